//! What can be asked on the command line: one subcommand per scenario.

mod turnover;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, value_parser};

use crate::failure::Failure;
use crate::target::{Choice, Kind};
use crate::transport::Transport;
pub(crate) use turnover::{ChurnArgs, DisconnectAllArgs, SlowClientsArgs};

/// Opens sessions, holds them, queries them, and prints what each costs.
#[derive(Parser, Debug)]
#[command(name = "rollcall-loadtest", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Hold N sessions and measure memory, kernel memory and CPU of the server per session
    Idle(IdleArgs),
    /// Connect in a closed loop, or all at once, and measure the time of a connect and the server's
    /// CPU for it
    #[command(visible_alias = "connect")]
    ConnectStorm(ConnectStormArgs),
    /// Have sessions come and go while queries run, and judge every answer
    Churn(ChurnArgs),
    /// Disconnect every user by the API and measure until each socket is gone
    DisconnectAll(DisconnectAllArgs),
    /// Connect clients that do not do their part, and measure what they cost the others
    SlowClients(SlowClientsArgs),
    /// Query user_connections at a constant rate while sessions are held
    Query(QueryArgs),
    /// Fill servers with sessions that have no socket, up to millions, and query them
    Synthetic(SyntheticArgs),
    /// The figures servers are compared by, one run after the other
    Table(TableArgs),
    /// A load process; started by the scenarios, talks over its standard input
    #[command(hide = true)]
    Worker,
}

/// What every scenario takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArgs {
    /// What to measure: rollcall, or side by side with it centrifugo, centrifuge, axum or redis;
    /// or a Rollcall that runs already, as http://ADDRESS:PORT
    #[arg(long, value_name = "NAME|URL", default_value = "rollcall")]
    pub(crate) target: Choice,

    /// Binary of that other server [default: beside this program, or in the PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) target_binary: Option<PathBuf>,

    /// How often both are measured, in turns [default: 2]
    #[arg(long, value_parser = value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// Measure only that other server, once
    #[arg(long)]
    alone: bool,

    /// Rollcall binary to start [default: beside this program, or in the PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,

    /// One more argument for the started Rollcall (repeatable)
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) server_arg: Vec<String>,

    /// `shards.count` of the started Rollcall [default: its own]
    #[arg(long)]
    pub(crate) shards: Option<u32>,

    /// `shards.driver` of the started Rollcall [default: its own]
    #[arg(long)]
    pub(crate) driver: Option<String>,

    /// `shards.parking` of the started Rollcall [default: its own]
    #[arg(long)]
    pub(crate) parking: Option<String>,

    /// Seconds between pings of the started server [default: 25]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..))]
    ping_interval: Option<u64>,

    /// Process id of the server that runs already, if on this machine: to read its memory and CPU
    #[arg(long)]
    pub(crate) pid: Option<u32>,

    /// HMAC secret of its tokens
    #[arg(long)]
    pub(crate) secret: Option<String>,

    /// Its API key
    #[arg(long)]
    pub(crate) key: Option<String>,

    /// Port of its uni_grpc
    #[arg(long, default_value_t = 11_000)]
    pub(crate) grpc_port: u16,

    /// Processes that open sessions [default: as many as the descriptor limit demands]
    #[arg(long, value_parser = value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,

    /// Connects in flight per worker; over uni_grpc those of one connection, 100, at least
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: u32,

    /// Sessions of one user
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) per_user: u32,

    /// Seed of every random choice
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Also write the results to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Also write them to this file as a page for a browser, with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl CommonArgs {
    /// Seconds between pings of a started server.
    pub(crate) fn ping_interval(&self) -> u64 {
        self.ping_interval.unwrap_or(25)
    }

    /// How often two servers are measured in turns.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(2)
    }

    /// The server to be measured side by side with Rollcall.
    pub(crate) fn beside(&self) -> Option<Kind> {
        match self.target {
            Choice::Start(kind) if kind != Kind::Rollcall && !self.alone => Some(kind),
            Choice::Start(_) | Choice::Running(_) => None,
        }
    }

    /// The same for one run on this server alone.
    pub(crate) fn on(&self, kind: Kind) -> Self {
        let mut args = Self { target: Choice::Start(kind), rounds: None, ..self.clone() };
        if kind == Kind::Rollcall {
            (args.alone, args.target_binary) = (false, None);
        } else {
            args.alone = true;
        }
        args
    }

    /// What the one server under test is; one that runs already is spoken to as a Rollcall.
    pub(crate) const fn kind(&self) -> Kind {
        match self.target {
            Choice::Start(kind) => kind,
            Choice::Running(_) => Kind::Rollcall,
        }
    }

    pub(crate) const fn is_rollcall(&self) -> bool {
        matches!(self.kind(), Kind::Rollcall)
    }

    /// The flags of `others`, and these where they say nothing and may.
    pub(crate) fn over(&self, others: &Self) -> Self {
        let ping_interval = others.ping_interval.or(self.ping_interval);
        let ping_interval = ping_interval.filter(|_| others.starts_a_server());
        Self { ping_interval, ..others.clone() }
    }

    /// Whether the server under test is started here.
    pub(crate) const fn starts_a_server(&self) -> bool {
        matches!(self.target, Choice::Start(_))
    }

    /// Fails if flags do not go together: which ones do depends on what `--target` says.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let of_started = [
            ("--server", self.server.is_some()),
            ("--server-arg", !self.server_arg.is_empty()),
            ("--shards", self.shards.is_some()),
            ("--driver", self.driver.is_some()),
            ("--parking", self.parking.is_some()),
            ("--ping-interval", self.ping_interval.is_some()),
        ];
        let of_running = [
            ("--pid", self.pid.is_some()),
            ("--secret", self.secret.is_some()),
            ("--key", self.key.is_some()),
        ];
        let of_another = [
            ("--target-binary", self.target_binary.is_some()),
            ("--rounds", self.rounds.is_some()),
            ("--alone", self.alone),
        ];
        let refuse = |flags: &[(&str, bool)], why: &str| match flags
            .iter()
            .find(|(_, is_given)| *is_given)
        {
            Some((flag, _)) => Err(Failure::new(format!("{flag} {why}"))),
            None => Ok(()),
        };
        let is_another = "is for a --target beside rollcall";
        match &self.target {
            Choice::Running(_) => {
                refuse(&of_started, "is for a server started here, --target names one that runs")?;
                refuse(&of_another, is_another)?;
                if self.secret.is_none() || self.key.is_none() {
                    let text = "a server that runs already needs --secret and --key";
                    return Err(Failure::new(text));
                }
                Ok(())
            }
            Choice::Start(kind) => {
                refuse(&of_running, "is for a server that runs already: --target http://…")?;
                if *kind == Kind::Rollcall { refuse(&of_another, is_another) } else { Ok(()) }
            }
        }
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// How sessions connect
    #[arg(short, long, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,

    /// Sessions to hold
    #[arg(short = 'n', long, default_value_t = 15_000,
          value_parser = value_parser!(u32).range(2..=20_000_000))]
    pub(crate) sessions: u32,

    /// Sessions at the first of the two sizes the marginal cost is taken between
    /// [default: a third]
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    pub(crate) warmup: Option<u32>,

    /// Seconds over which CPU is measured [default: two ping intervals]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..))]
    pub(crate) hold: Option<u64>,

    /// Seconds of rest before memory is read
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub(crate) settle: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectStormArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// How sessions connect; over uni_grpc each has a connection of its own
    #[arg(short, long, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,

    /// Connect so many clients, as fast as --concurrency in flight allow, and hold them, instead
    /// of a closed loop
    #[arg(short = 'n', long, conflicts_with_all = ["keep", "tokens", "duration", "lead"],
          value_parser = value_parser!(u32).range(1..=20_000_000))]
    pub(crate) sessions: Option<u32>,

    /// Newest sessions kept open; one more closes the oldest
    #[arg(short, long, default_value_t = 0, value_parser = value_parser!(u32).range(0..=20_000_000))]
    pub(crate) keep: u32,

    /// Tokens signed before the first connect; used again in turn if there are more connects
    #[arg(long, default_value_t = 200_000,
          value_parser = value_parser!(u32).range(1..=20_000_000))]
    pub(crate) tokens: u32,

    /// Seconds measured
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=3_600))]
    pub(crate) duration: u64,

    /// Seconds of connects before that, not measured
    #[arg(long, value_name = "SECONDS", default_value_t = 2,
          value_parser = value_parser!(u64).range(0..=3_600))]
    pub(crate) lead: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// How sessions connect [default: uni_http_stream; websocket beside another server]
    #[arg(short, long)]
    pub(crate) transport: Option<Transport>,

    /// Sessions held while queries run
    #[arg(short = 'n', long, default_value_t = 3_000,
          value_parser = value_parser!(u32).range(1..=20_000_000))]
    pub(crate) sessions: u32,

    /// Queries per second, sent at this pace whatever the server does
    #[arg(short, long, default_value_t = 5_000,
          value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub(crate) rate: u64,

    /// Keep-alive connections they share; one query is in flight on each at most
    #[arg(short, long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// Seconds measured
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) duration: u64,

    /// Seconds at full rate before that, not measured
    #[arg(long, value_name = "SECONDS", default_value_t = 2,
          value_parser = value_parser!(u64).range(0..=3_600))]
    pub(crate) lead: u64,
}

impl QueryArgs {
    /// How sessions connect: over what all kinds of server have, unless Rollcall is alone.
    pub(crate) fn sessions_transport(&self) -> Transport {
        let alone = self.common.is_rollcall();
        let common = if alone { Transport::UniHttpStream } else { Transport::Websocket };
        self.transport.unwrap_or(common)
    }

    /// Whether sessions connect to the server; else records of them are stored in it.
    pub(crate) const fn opens_sessions(&self) -> bool {
        self.common.kind().has_sessions()
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TableArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// As little load as shows that all of it works
    #[arg(long)]
    pub(crate) quick: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SyntheticArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// Numbers of sessions, one server after the other for each
    #[arg(short = 'n', long, value_delimiter = ',',
          default_value = "1000,10000,100000,1000000,10000000",
          value_parser = value_parser!(u64).range(10..=100_000_000))]
    pub(crate) sizes: Vec<u64>,

    /// Queries per second for users with 1 and 3 sessions; a 50th of it for those with 50 to 100, a
    /// 200th for those with 1,000
    #[arg(short, long, default_value_t = 5_000,
          value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub(crate) rate: u64,

    /// Keep-alive connections they share; one query is in flight on each at most
    #[arg(short, long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// Seconds measured for each size and kind of user
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=3_600))]
    pub(crate) duration: u64,

    /// Seconds at full rate before that, not measured
    #[arg(long, value_name = "SECONDS", default_value_t = 2,
          value_parser = value_parser!(u64).range(0..=3_600))]
    pub(crate) lead: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::scenarios::Scenario;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn checked(flags: &str) -> Result<(), Failure> {
        let Command::Idle(args) = parse(&format!("x idle {flags}")).unwrap().command else {
            panic!("{flags}")
        };
        args.common.check()
    }

    #[test]
    fn a_target_needs_its_secret_and_key_and_excludes_what_concerns_a_started_server() {
        let url = "--target http://127.0.0.1:8000";
        assert!(checked(url).is_err());
        assert!(checked(&format!("{url} --secret s --key k --pid 1")).is_ok());
        for flag in ["--server y", "--ping-interval 25", "--server-arg -v", "--target-binary y"] {
            let error = checked(&format!("{url} --secret s --key k {flag}")).unwrap_err();
            assert!(error.to_string().contains(flag.split(' ').next().unwrap()), "{error}");
        }
        assert!(checked("--pid 1").is_err());
    }

    #[test]
    fn another_server_may_have_a_binary_and_rollcall_its_own_beside_it() {
        assert!(checked("--target centrifugo --target-binary a --server b --shards 1").is_ok());
        assert!(checked("--target centrifugo --key k").is_err());
        assert!(checked("--target rollcall --target-binary a").is_err());
        assert!(parse("x idle --target centrifuga").is_err());
    }

    #[test]
    fn both_sides_of_a_comparison_are_measured_alike() {
        let line = "x query --target redis --target-binary a --server b --rounds 3";
        let Command::Query(args) = parse(line).unwrap().command else { panic!("{line}") };
        assert_eq!((args.common.beside(), args.common.rounds()), (Some(Kind::Redis), 3));
        for kind in [Kind::Rollcall, Kind::Redis] {
            let side = args.on(args.common.on(kind));
            assert_eq!(side.common.check(), Ok(()));
            assert_eq!(side.common.beside(), None);
            assert_eq!(side.sessions_transport(), Transport::Websocket);
        }
        let Command::Query(alone) = parse("x query").unwrap().command else { panic!() };
        assert_eq!(alone.sessions_transport(), Transport::UniHttpStream);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for line in ["x idle -n 1", "x idle --hold 0", "x query -r 0", "x query -c 0", "x"] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("x connect-storm -n 10 -d 5").is_err());
        assert!(parse("x connect -n 10").is_ok());
        assert!(parse("x query -n 10 -r 100 -c 2 -d 1 --server-arg --log.level=debug").is_ok());
    }
}
