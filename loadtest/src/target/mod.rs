//! The server under test: started here for one run, or running already.

mod api;
mod axum;
mod centrifuge;
mod centrifugo;
mod kind;
mod options;
mod ours;
mod process;
mod redis;
mod rollcall;

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::CommonArgs;
use crate::clock::{now_ns, unix_s};
use crate::failure::{Context, Failure};
use crate::population::{Mint, Population};
use crate::question::{Expected, Question};
use crate::report::progress;
use crate::transport::{Carrier, Transport};
use api::Api;
pub(crate) use api::Node;
use kind::Wanted;
pub(crate) use kind::{Choice, Kind};
pub(crate) use options::PONG_TIMEOUT_S;
use process::Server;

/// How long the server may take to end.
const PATIENCE_NS: u64 = 30_000_000_000;

/// How long it may take to answer its first query: with ten million sessions to fill in first on a
/// busy machine it takes a minute.
const START_PATIENCE_NS: u64 = 300_000_000_000;

/// Pause between two looks at the server.
const LOOK: Duration = Duration::from_millis(20);

/// A server and what is needed to talk to it.
pub(crate) struct Target {
    /// Where its HTTP endpoints are.
    pub(crate) address: SocketAddr,
    /// Where its `uni_grpc` is, if that was asked for.
    grpc: SocketAddr,
    pub(crate) secret: String,
    pub(crate) key: String,
    /// How it is asked for the sessions of a user.
    pub(crate) question: Question,
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
        args.check()?;
        match &args.target {
            Choice::Running(url) => Self::running(args, url)?,
            Choice::Start(kind) => {
                kind.check_transport(transport)?;
                Self::start(args, *kind, transport)?
            }
        }
        .answering()
    }

    /// Fails if the server to be started is not there, or if sessions are to connect to it over a
    /// transport it does not have.
    pub(crate) fn check_startable(
        args: &CommonArgs,
        transport: Option<Transport>,
    ) -> Result<(), Failure> {
        let Choice::Start(kind) = args.target else { return Ok(()) };
        transport.map_or(Ok(()), |transport| kind.check_transport(transport))?;
        if kind == Kind::Redis {
            redis::check(args.per_user)?;
        }
        binary(args, kind).map(|_found| ())
    }

    /// Starts a server that sessions do not connect to, and stores their records in it.
    pub(crate) fn filled(args: &CommonArgs, population: Population) -> Result<Self, Failure> {
        args.check()?;
        let Choice::Start(Kind::Redis) = args.target else {
            return Err(Failure::new("records are stored in redis only"));
        };
        redis::check(args.per_user)?;
        let target = Self::start(args, Kind::Redis, population.transport)?.answering()?;
        let mint = Mint::new(&target.secret, args.per_user, args.seed, unix_s());
        redis::fill(target.address, &mint, population)?;
        Ok(target)
    }

    fn running(args: &CommonArgs, url: &str) -> Result<Self, Failure> {
        let address = parse_url(url)?;
        Ok(Self {
            address,
            grpc: (address.ip(), args.grpc_port).into(),
            secret: args.secret.clone().unwrap_or_default(),
            key: args.key.clone().unwrap_or_default(),
            question: Kind::Rollcall.question(),
            pid: args.pid,
            told: json!({"target": url}),
            server: None,
        })
    }

    fn start(args: &CommonArgs, kind: Kind, transport: Transport) -> Result<Self, Failure> {
        let binary = binary(args, kind)?;
        let [address, grpc] = free_ports()?;
        let (secret, key) = (random_hex()?, random_hex()?);
        let launch =
            kind.launch(&Wanted { args, transport, address, grpc, secret: &secret, key: &key });
        let server = Server::start(&binary, &launch)?;
        progress(&format!("{} runs on {address} as process {}", binary.display(), server.pid()));
        Ok(Self {
            address,
            grpc,
            secret,
            key,
            question: kind.question(),
            pid: Some(server.pid()),
            told: launch.told(&binary),
            server: Some(server),
        })
    }

    fn answering(mut self) -> Result<Self, Failure> {
        match self.wait_until_it_answers() {
            Ok(()) => Ok(self),
            Err(failure) => Err(self.with_log(&failure)),
        }
    }

    fn wait_until_it_answers(&mut self) -> Result<(), Failure> {
        let give_up = now_ns() + START_PATIENCE_NS;
        loop {
            self.check_alive()?;
            // While it fills itself the kernel connects and nobody answers.
            match self.api().and_then(|mut api| api.check(&Expected::nobody())) {
                Ok(verdict) => {
                    return verdict.map_err(|wrong| {
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
        Api::connect(self.address, self.question, &self.key)
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

fn binary(args: &CommonArgs, kind: Kind) -> Result<PathBuf, Failure> {
    let told = if kind == Kind::Rollcall { &args.server } else { &args.target_binary };
    kind.binary(told.as_deref())
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::kind::Launch;
    use super::*;
    use crate::cli::{Cli, Command};

    /// How this kind is started when the command line has these flags.
    pub(super) fn launch(kind: Kind, flags: &str, transport: Transport) -> Launch {
        let line = format!("x idle {flags}");
        let Command::Idle(args) = Cli::parse_from(line.split_whitespace()).command else {
            panic!("{line}")
        };
        let [address, grpc] =
            ["127.0.0.1:9", "127.0.0.1:10"].map(|address| address.parse().unwrap());
        let (args, secret, key) = (&args.common, "SECRET", "KEY-OF-API");
        kind.launch(&Wanted { args, transport, address, grpc, secret, key })
    }

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
