//! What can be asked on the command line: one subcommand per scenario.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, value_parser};

use crate::transport::Transport;

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
    /// Connect in a closed loop and measure the time of a connect and the server's CPU for it
    Connect(ConnectArgs),
    /// Query user_connections at a constant rate while sessions are held
    Query(QueryArgs),
    /// A load process; started by the scenarios, talks over its standard input
    #[command(hide = true)]
    Worker,
}

/// What every scenario takes.
#[derive(Args, Debug)]
pub(crate) struct CommonArgs {
    /// Server binary to start [default: `rollcall` beside this program]
    #[arg(long, value_name = "PATH", conflicts_with = "target")]
    pub(crate) server: Option<PathBuf>,

    /// One more argument for the started server (repeatable)
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, conflicts_with = "target")]
    pub(crate) server_arg: Vec<String>,

    /// `shards.count` of the started server [default: its own]
    #[arg(long, conflicts_with = "target")]
    pub(crate) shards: Option<u32>,

    /// `shards.driver` of the started server [default: its own]
    #[arg(long, conflicts_with = "target")]
    pub(crate) driver: Option<String>,

    /// `shards.parking` of the started server [default: its own]
    #[arg(long, conflicts_with = "target")]
    pub(crate) parking: Option<String>,

    /// Seconds between pings of the started server
    #[arg(long, value_name = "SECONDS", default_value_t = 25, conflicts_with = "target",
          value_parser = value_parser!(u64).range(1..))]
    pub(crate) ping_interval: u64,

    /// Use a server that runs already, as http://ADDRESS:PORT
    #[arg(long, value_name = "URL", requires_all = ["secret", "key"])]
    pub(crate) target: Option<String>,

    /// Process id of that server, if it runs on this machine: to read its memory and CPU
    #[arg(long, requires = "target")]
    pub(crate) pid: Option<u32>,

    /// HMAC secret of that server's tokens
    #[arg(long, requires = "target")]
    pub(crate) secret: Option<String>,

    /// API key of that server
    #[arg(long, requires = "target")]
    pub(crate) key: Option<String>,

    /// Port of that server's uni_grpc
    #[arg(long, requires = "target", default_value_t = 11_000)]
    pub(crate) grpc_port: u16,

    /// Processes that open sessions [default: as many as the descriptor limit demands]
    #[arg(long, value_parser = value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,

    /// Connects in flight per worker; over uni_grpc those of one connection, 100, at least
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: u32,

    /// Sessions of one user
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) per_user: u32,

    /// Seed of every random choice
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Also write the results to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args, Debug)]
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

#[derive(Args, Debug)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// How sessions connect; all but uni_grpc
    #[arg(short, long, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,

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

#[derive(Args, Debug)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_target_needs_its_secret_and_key_and_excludes_what_concerns_a_started_server() {
        let url = "x idle --target http://127.0.0.1:8000";
        assert!(parse(url).is_err());
        assert!(parse(&format!("{url} --secret s --key k --pid 1")).is_ok());
        assert!(parse(&format!("{url} --secret s --key k --server y")).is_err());
        assert!(parse("x idle --pid 1").is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for line in ["x idle -n 1", "x idle --hold 0", "x query -r 0", "x query -c 0", "x"] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("x query -n 10 -r 100 -c 2 -d 1 --server-arg --log.level=debug").is_ok());
    }
}
