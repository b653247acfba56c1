//! The server under test: started here for one run, or running already.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::CommonArgs;
use crate::clock::now_ns;
use crate::failure::{Context, Failure};
use crate::http;
use crate::listing::{self, Wrong};
use crate::population::NOBODY;
use crate::report::progress;

/// How long the server may take to answer its first query, or to end.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Pause between two looks at the server.
const LOOK: Duration = Duration::from_millis(20);

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the server's log shown when it fails.
const LOG_TAIL: usize = 2_000;

/// A server and what is needed to talk to it.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) secret: String,
    pub(crate) key: String,
    /// Its process on this machine, where known.
    pub(crate) pid: Option<u32>,
    /// How it was started, for the report.
    pub(crate) told: Value,
    server: Option<Server>,
}

impl Target {
    /// Starts the server, or finds the one named; returns once it answers.
    pub(crate) fn up(args: &CommonArgs) -> Result<Self, Failure> {
        let mut target = match &args.target {
            Some(url) => Self {
                address: parse_url(url)?,
                secret: args.secret.clone().unwrap_or_default(),
                key: args.key.clone().unwrap_or_default(),
                pid: args.pid,
                told: json!({"target": url}),
                server: None,
            },
            None => Self::start(args)?,
        };
        match target.wait_until_it_answers() {
            Ok(()) => Ok(target),
            Err(failure) => Err(target.with_log(&failure)),
        }
    }

    fn start(args: &CommonArgs) -> Result<Self, Failure> {
        let binary = match &args.server {
            Some(path) => path.clone(),
            None => beside_us()?,
        };
        let address = free_port()?;
        let (secret, key) = (random_hex()?, random_hex()?);
        let config = config(args, address, &secret, &key);
        let server = Server::start(&binary, &config, &args.server_arg)?;
        progress(&format!("{} runs on {address} as process {}", binary.display(), server.pid()));
        let mut told = config;
        // Secrets of a server that will be gone: of no use, and nobody's business.
        told["client"]["token"] = Value::Null;
        told["http_api"] = Value::Null;
        let told = json!({"binary": binary, "arguments": args.server_arg, "config": told});
        Ok(Self { address, secret, key, pid: Some(server.pid()), told, server: Some(server) })
    }

    fn wait_until_it_answers(&mut self) -> Result<(), Failure> {
        let give_up = now_ns() + PATIENCE_NS;
        loop {
            self.check_alive()?;
            match self.api() {
                Ok(mut api) => {
                    return api.check(NOBODY, 0)?.map_err(|wrong| {
                        Failure::new(format!("the server's first answer: {wrong}"))
                    });
                }
                Err(failure) if now_ns() > give_up => return Err(failure),
                Err(_) => sleep(LOOK),
            }
        }
    }

    /// A failure with the last words of the server we started.
    fn with_log(&self, failure: &Failure) -> Failure {
        let log = self.server.as_ref().map(Server::log_tail).unwrap_or_default();
        if log.is_empty() { failure.clone() } else { Failure::new(format!("{failure}\n{log}")) }
    }

    /// A connection to the server's API.
    pub(crate) fn api(&self) -> Result<Api, Failure> {
        Api::connect(self.address, &self.key)
    }

    /// Fails if the server we started is gone.
    pub(crate) fn check_alive(&mut self) -> Result<(), Failure> {
        match &mut self.server {
            Some(server) => server.check_alive(),
            None => Ok(()),
        }
    }

    /// Whether both ends of every connection are on this machine.
    pub(crate) const fn is_local(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Ends the server if it was started here; it must end well.
    pub(crate) fn down(self) -> Result<(), Failure> {
        self.server.map_or(Ok(()), Server::stop)
    }
}

/// The options the server is started with: only what the run depends on, the rest its defaults.
fn config(args: &CommonArgs, address: SocketAddr, secret: &str, key: &str) -> Value {
    let mut shards = serde_json::Map::new();
    if let Some(count) = args.shards {
        shards.insert("count".into(), count.into());
    }
    for (name, value) in [("driver", &args.driver), ("parking", &args.parking)] {
        if let Some(value) = value {
            shards.insert(name.into(), value.as_str().into());
        }
    }
    json!({
        "http_server": {"address": address.ip().to_string(), "port": address.port()},
        "client": {
            "token": {"hmac_secret_key": secret},
            "ping_interval": format!("{}s", args.ping_interval),
            // The same part of it as in the defaults, 8 of 25 seconds.
            "pong_timeout": format!("{}ms", 320 * args.ping_interval),
        },
        "http_api": {"key": key},
        "uni_http_stream": {"enabled": true},
        "shards": shards,
    })
}

fn beside_us() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe().during("finding this program")?.with_file_name("rollcall");
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::new(format!(
        "no server at {}: build it (`cargo build --release -p rollcall`) or give --server PATH",
        path.display()
    )))
}

/// A loopback port nobody listens on now.
fn free_port() -> Result<SocketAddr, Failure> {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).during("finding a free port")?;
    probe.local_addr().during("finding a free port")
}

fn random_hex() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    let mut source = File::open("/dev/urandom").during("opening /dev/urandom")?;
    source.read_exact(&mut bytes).during("reading /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `http://HOST:PORT`, nothing more.
fn parse_url(url: &str) -> Result<SocketAddr, Failure> {
    let wrong = || Failure::new(format!("--target must be http://HOST:PORT, not `{url}`"));
    let authority = url.strip_prefix("http://").ok_or_else(wrong)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '@', '?']) {
        return Err(wrong());
    }
    let mut addresses = authority.to_socket_addrs().during(&wrong().to_string())?;
    addresses.next().ok_or_else(wrong)
}

/// The server process; killed if the run fails.
struct Server {
    child: Child,
    /// Configuration and log.
    dir: TempDir,
}

impl Server {
    fn start(binary: &PathBuf, config: &Value, arguments: &[String]) -> Result<Self, Failure> {
        let dir = TempDir::with_prefix("rollcall-loadtest-").during("making a directory")?;
        let path = dir.path().join("config.json");
        std::fs::write(&path, config.to_string()).during("writing the configuration")?;
        // A file, not a pipe: a pipe nobody empties would stop the server.
        let log = File::create(dir.path().join("log")).during("creating the server's log")?;
        let child = Command::new(binary)
            .arg("-c")
            .arg(&path)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().during("sharing the server's log")?)
            .stderr(log)
            .spawn()
            .during(&format!("starting {}", binary.display()))?;
        Ok(Self { child, dir })
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn check_alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait().during("looking at the server")? {
            None => Ok(()),
            Some(status) => {
                Err(Failure::new(format!("the server has ended {}", how_it_ended(status))))
            }
        }
    }

    fn stop(mut self) -> Result<(), Failure> {
        progress("the server is told to end");
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child has a pid"), Signal::TERM).during("sending SIGTERM")?;
        let give_up = now_ns() + PATIENCE_NS;
        while now_ns() < give_up {
            match self.child.try_wait().during("waiting for the server")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let (how, log) = (how_it_ended(status), self.log_tail());
                    let text = format!("after SIGTERM the server ended {how}\n{log}");
                    return Err(Failure::new(text));
                }
                None => sleep(LOOK),
            }
        }
        Err(Failure::new("the server does not end after SIGTERM"))
    }

    /// The end of its log, under a heading; empty if it said nothing.
    fn log_tail(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned();
        if tail.is_empty() { tail } else { format!("the end of the server's log:\n{tail}") }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("with code {code}"),
        (None, signal) => format!("by signal {}", signal.unwrap_or_default()),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, as it should.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A blocking keep-alive connection to the API.
pub(crate) struct Api {
    stream: TcpStream,
    host: String,
    authorization: String,
}

impl Api {
    fn connect(address: SocketAddr, key: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)
            .during(&format!("connecting to the server at {address}"))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).during("setting a time-out")?;
        stream.set_nodelay(true).during("setting TCP_NODELAY")?;
        let authorization = format!("Authorization: apikey {key}");
        Ok(Self { stream, host: address.to_string(), authorization })
    }

    /// Asks for a user's sessions and checks the answer; the outer error is no answer at all.
    pub(crate) fn check(
        &mut self,
        user: &str,
        expected: u32,
    ) -> Result<Result<(), Wrong>, Failure> {
        let headers = ["Content-Type: application/json", self.authorization.as_str()];
        let request = http::post(&self.host, "/api", &headers, &listing::request_body(user));
        self.stream.write_all(&request).during("sending a query")?;
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = self.stream.read(&mut buffer).during("waiting for an answer")?;
            if read == 0 {
                return Err(Failure::new("the server closed the API connection"));
            }
            received.extend_from_slice(&buffer[..read]);
            if let Some(answer) = http::parse_response(&received).during("reading an answer")? {
                return Ok(listing::check(answer.status, &answer.body, expected));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command as Asked};

    #[test]
    fn only_an_address_and_a_port_make_a_target() {
        assert_eq!(parse_url("http://127.0.0.1:8000/").unwrap().port(), 8000);
        assert!(parse_url("http://[::1]:80").unwrap().is_ipv6());
        for url in ["https://127.0.0.1:1", "127.0.0.1:1", "http://127.0.0.1", "http://a@b:1/c"] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_started_server_is_told_only_what_was_asked() {
        let parsed = Cli::parse_from(["x", "idle", "--shards", "2", "--ping-interval", "5"]);
        let Asked::Idle(args) = parsed.command else { panic!("idle was asked") };
        let address = "127.0.0.1:9".parse().unwrap();
        let config = config(&args.common, address, "s", "k");
        assert_eq!(config["http_server"], json!({"address": "127.0.0.1", "port": 9}));
        assert_eq!(config["client"]["ping_interval"], "5s");
        assert_eq!(config["client"]["pong_timeout"], "1600ms");
        assert_eq!(config["shards"], json!({"count": 2}));
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(random_hex().unwrap(), random_hex().unwrap());
    }
}
