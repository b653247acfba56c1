//! Flags of the scenarios in which sessions come, go or do not behave.

use clap::{Args, value_parser};

use super::CommonArgs;
use crate::orders::{Leaver, Parting};
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
