//! Flags of the scenarios in which sessions come, go or do not behave.

use clap::{Args, value_parser};

use super::CommonArgs;
use crate::orders::{Leaver, Parting, Slow};
use crate::transport::Transport;

#[derive(Args, Clone, Debug)]
pub(crate) struct ChurnArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// How sessions connect; over uni_grpc each has a connection of its own
    #[arg(short, long, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,

    /// Sessions held
    #[arg(short = 'n', long, default_value_t = 3_000,
          value_parser = value_parser!(u32).range(1..=20_000_000))]
    pub(crate) sessions: u32,

    /// Sessions that come per second, at this pace whatever the server does; as many go
    #[arg(short, long, default_value_t = 500,
          value_parser = value_parser!(u64).range(1..=1_000_000))]
    pub(crate) rate: u64,

    /// Queries per second meanwhile
    #[arg(short, long, default_value_t = 2_000,
          value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub(crate) query_rate: u64,

    /// Keep-alive connections the queries share
    #[arg(short, long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// How sessions go: by FIN, after a close frame where there is one, or by a reset
    #[arg(long, value_enum, default_value_t = Parting::Both)]
    pub(crate) parting: Parting,

    /// Which session goes next
    #[arg(long, value_enum, default_value_t = Leaver::Random)]
    pub(crate) leaver: Leaver,

    /// Seconds a closed session may still be listed
    #[arg(long, value_name = "SECONDS", default_value_t = 1,
          value_parser = value_parser!(u64).range(0..=600))]
    pub(crate) grace: u64,

    /// Seconds measured
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) duration: u64,

    /// Seconds of the same before that, not measured
    #[arg(long, value_name = "SECONDS", default_value_t = 2,
          value_parser = value_parser!(u64).range(0..=3_600))]
    pub(crate) lead: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DisconnectAllArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// How sessions connect
    #[arg(short, long, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,

    /// Sessions to disconnect
    #[arg(short = 'n', long, default_value_t = 15_000,
          value_parser = value_parser!(u32).range(1..=20_000_000))]
    pub(crate) sessions: u32,

    /// Calls in flight at most, one for each user
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) calls: u32,

    /// Calls begun per second [default: a call follows the other]
    #[arg(short, long, value_parser = value_parser!(u64).range(1..=1_000_000))]
    pub(crate) rate: Option<u64>,

    /// The code sessions are to be told
    #[arg(long, default_value_t = 3503, value_parser = value_parser!(u32).range(3000..=4999))]
    pub(crate) code: u32,

    /// Queries per second before and meanwhile
    #[arg(short, long, default_value_t = 500,
          value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub(crate) query_rate: u64,

    /// Keep-alive connections the queries share
    #[arg(short, long, default_value_t = 8, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// Seconds of queries before the first call
    #[arg(short, long, value_name = "SECONDS", default_value_t = 5,
          value_parser = value_parser!(u64).range(1..=3_600))]
    pub(crate) duration: u64,

    /// Seconds of rest before memory is read
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub(crate) settle: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SlowClientsArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// How the sessions connect that do their part; slow clients are WebSockets with JSON
    #[arg(short, long, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,

    /// Sessions that do their part
    #[arg(short = 'n', long, default_value_t = 3_000,
          value_parser = value_parser!(u32).range(1..=20_000_000))]
    pub(crate) sessions: u32,

    /// Slow clients of each kind
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) slow: u32,

    /// What they do not do: read, finish their handshake, answer pings
    #[arg(long, value_enum, value_delimiter = ',', default_value = "reader,handshake,pong")]
    pub(crate) kinds: Vec<Slow>,

    /// Sessions in the lists that slow readers ask for
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=4_000))]
    pub(crate) list: u32,

    /// Milliseconds between two questions of a slow reader: each answer is a whole list
    #[arg(long, value_name = "MS", default_value_t = 100,
          value_parser = value_parser!(u64).range(1..=60_000))]
    pub(crate) ask_every: u64,

    /// Queries per second for those who do their part, without and with slow clients
    #[arg(short, long, default_value_t = 1_000,
          value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub(crate) query_rate: u64,

    /// Keep-alive connections the queries share
    #[arg(short, long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// Bytes of the server's `client.queue_max_size`
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024,
          value_parser = value_parser!(u64).range(1_024..=1_073_741_824))]
    pub(crate) queue_max_size: u64,

    /// Seconds of the server's `client.stale_close_delay`
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) stale_close_delay: u64,

    /// Seconds of queries without slow clients
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=3_600))]
    pub(crate) alone_for: u64,

    /// Seconds beside slow clients [default: until the slowest kind must have been cut]
    #[arg(short, long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=3_600))]
    pub(crate) duration: Option<u64>,

    /// Seconds of rest before memory is read
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub(crate) settle: u64,
}
