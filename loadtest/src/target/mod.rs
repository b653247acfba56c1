//! The server under test: started here for one run, or running already.

mod config;
mod process;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::CommonArgs;
use crate::clock::now_ns;
use crate::failure::{Context, Failure};
use crate::http;
use crate::listing::{self, Wrong};
use crate::population::NOBODY;
use crate::report::progress;
use crate::transport::{Carrier, Transport};
use config::config;
use process::Server;

/// How long the server may take to answer its first query, or to end.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Pause between two looks at the server.
const LOOK: Duration = Duration::from_millis(20);

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A server and what is needed to talk to it.
pub(crate) struct Target {
    /// Where its HTTP endpoints are.
    pub(crate) address: SocketAddr,
    /// Where its `uni_grpc` is, if that was asked for.
    grpc: SocketAddr,
    pub(crate) secret: String,
    pub(crate) key: String,
    /// Its process on this machine, where known.
    pub(crate) pid: Option<u32>,
    /// How it was started, for the report.
    pub(crate) told: Value,
    server: Option<Server>,
}

impl Target {
    /// Starts the server with this transport switched on, or finds the one named; returns once it
    /// answers.
    pub(crate) fn up(args: &CommonArgs, transport: Transport) -> Result<Self, Failure> {
        let mut target = match &args.target {
            Some(url) => Self::running(args, url)?,
            None => Self::start(args, transport)?,
        };
        match target.wait_until_it_answers() {
            Ok(()) => Ok(target),
            Err(failure) => Err(target.with_log(&failure)),
        }
    }

    fn running(args: &CommonArgs, url: &str) -> Result<Self, Failure> {
        let address = parse_url(url)?;
        Ok(Self {
            address,
            grpc: (address.ip(), args.grpc_port).into(),
            secret: args.secret.clone().unwrap_or_default(),
            key: args.key.clone().unwrap_or_default(),
            pid: args.pid,
            told: json!({"target": url}),
            server: None,
        })
    }

    fn start(args: &CommonArgs, transport: Transport) -> Result<Self, Failure> {
        let binary = match &args.server {
            Some(path) => path.clone(),
            None => beside_us()?,
        };
        let [address, grpc] = free_ports()?;
        let (secret, key) = (random_hex()?, random_hex()?);
        let config = config(args, transport, [address, grpc], [&secret, &key]);
        let server = Server::start(&binary, &config, &args.server_arg)?;
        progress(&format!("{} runs on {address} as process {}", binary.display(), server.pid()));
        let mut told = config;
        // Secrets of a server that will be gone: of no use, and nobody's business.
        told["client"]["token"] = Value::Null;
        told["http_api"] = Value::Null;
        let told = json!({"binary": binary, "arguments": args.server_arg, "config": told});
        Ok(Self { address, grpc, secret, key, pid: Some(server.pid()), told, server: Some(server) })
    }

    fn wait_until_it_answers(&mut self) -> Result<(), Failure> {
        let give_up = now_ns() + PATIENCE_NS;
        loop {
            self.check_alive()?;
            match self.api() {
                Ok(mut api) => {
                    return api.check(NOBODY, 0, Transport::Websocket)?.map_err(|wrong| {
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

    /// Where sessions of this transport connect.
    pub(crate) const fn door(&self, transport: Transport) -> SocketAddr {
        match transport.carrier() {
            Carrier::Grpc => self.grpc,
            Carrier::Lines | Carrier::Events | Carrier::Frames => self.address,
        }
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

    /// The first local address of this run's connections to a server on this machine: another one
    /// each run, so that ports of an earlier run in TIME-WAIT do not stand in the way.
    pub(crate) fn loopback_source(&self) -> Option<Ipv4Addr> {
        let run = u8::try_from(std::process::id() % 250).expect("below 250");
        let is_reachable = self.is_local() && self.address.is_ipv4();
        is_reachable.then(|| Ipv4Addr::new(127, run + 1, 0, 2))
    }

    /// Ends the server if it was started here; it must end well.
    pub(crate) fn down(self) -> Result<(), Failure> {
        self.server.map_or(Ok(()), Server::stop)
    }
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

/// Two loopback ports nobody listens on now.
fn free_ports() -> Result<[SocketAddr; 2], Failure> {
    let probe = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).during("finding a free port");
    let found = |probe: &TcpListener| probe.local_addr().during("finding a free port");
    // Both are held until both are known: so they differ.
    let (first, second) = (probe()?, probe()?);
    Ok([found(&first)?, found(&second)?])
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
        transport: Transport,
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
                return Ok(listing::check(answer.status, &answer.body, expected, transport));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_and_a_port_make_a_target() {
        assert_eq!(parse_url("http://127.0.0.1:8000/").unwrap().port(), 8000);
        assert!(parse_url("http://[::1]:80").unwrap().is_ipv6());
        for url in ["https://127.0.0.1:1", "127.0.0.1:1", "http://127.0.0.1", "http://a@b:1/c"] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(random_hex().unwrap(), random_hex().unwrap());
    }
}
