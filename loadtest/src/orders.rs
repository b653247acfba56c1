//! What crosses between the coordinating process and its workers: one JSON line each way.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::latency::Buckets;
use crate::population::Crowd;
use crate::question::Question;
use crate::rate::PerSecond;
use crate::transport::Transport;

/// From the coordinator to a worker. Each is answered before the next is sent; an answer that takes
/// its time is preceded by any number of `Progress`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Open sessions and hold them until the worker ends: answered by `Opened`.
    Open(OpenOrder),
    /// Say how the held sessions are: answered by `Tally`.
    Tally,
    /// Query at a constant rate: answered by `Measuring` after the lead, then by `Measured`.
    Query(QueryOrder),
    /// Make what a load of connects needs: answered by `Prepared`.
    Prepare(ConnectOrder),
    /// Carry that load out: answered by `Measuring` after the lead, then by `Connects`.
    Connect,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct OpenOrder {
    /// Where this transport is served.
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) secret: String,
    /// Sessions `first..end` of the population.
    pub(crate) first: u32,
    pub(crate) end: u32,
    pub(crate) per_user: u32,
    pub(crate) seed: u64,
    /// Connects in flight at once.
    pub(crate) concurrency: u32,
    /// The first local address to connect from; `None` leaves it to the kernel.
    pub(crate) source: Option<Ipv4Addr>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct QueryOrder {
    pub(crate) address: SocketAddr,
    pub(crate) question: Question,
    pub(crate) key: String,
    pub(crate) crowd: Crowd,
    pub(crate) connections: u32,
    /// Queries per second.
    pub(crate) rate: u64,
    pub(crate) lead_s: u64,
    pub(crate) duration_s: u64,
    pub(crate) seed: u64,
}

/// Connects in a closed loop.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ConnectOrder {
    /// How they connect. The tokens are those of its sessions, used in turn.
    pub(crate) open: OpenOrder,
    pub(crate) lead_s: u64,
    pub(crate) duration_s: u64,
    /// Sessions kept open; one more closes the oldest.
    pub(crate) keep: u32,
}

/// From a worker to the coordinator.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// All sessions asked for are connected: each has read its connect line.
    Opened {
        /// Seconds between pings as the server promised; 0 is never.
        ping_s: u32,
    },
    Tally(Tally),
    /// The lead is over; what is sent from now on counts.
    Measuring,
    Measured(Measured),
    /// What the load of connects needs is made.
    Prepared,
    Connects(Connects),
    /// So much of the load is done, its lead included; the answer is still to come.
    Progress {
        done: u64,
    },
    /// The order could not be carried out.
    Failed(String),
}

/// What has happened to the held sessions so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Sessions still connected.
    pub(crate) held: u64,
    /// Connections they were opened on: fewer where one carries many.
    pub(crate) connections: u64,
    /// Pings of the protocol read.
    pub(crate) pings: u64,
    /// Of these, answered or on the way to be.
    pub(crate) pongs: u64,
    /// Answers that did not get through, by what was seen.
    pub(crate) pongs_wrong: BTreeMap<String, u64>,
    /// Pings of WebSocket itself, each answered.
    pub(crate) frame_pings: u64,
    /// Sessions that ended although nobody asked, by what was seen.
    pub(crate) ended: BTreeMap<String, u64>,
    /// Messages nobody expected.
    pub(crate) unexpected: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.held += other.held;
        self.connections += other.connections;
        self.pings += other.pings;
        self.pongs += other.pongs;
        self.frame_pings += other.frame_pings;
        self.unexpected += other.unexpected;
        add_counts(&mut self.pongs_wrong, &other.pongs_wrong);
        add_counts(&mut self.ended, &other.ended);
    }

    /// Counts a held session as gone.
    pub(crate) fn lose(&mut self, why: String) {
        self.held -= 1;
        *self.ended.entry(why).or_default() += 1;
    }
}

/// Adds counts by name.
pub(crate) fn add_counts(sum: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (name, count) in more {
        *sum.entry(name.clone()).or_default() += count;
    }
}

/// The outcome of a load of connects.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Connects {
    /// Connects begun, the lead included.
    pub(crate) begun: u64,
    /// Sessions accepted after the lead.
    pub(crate) accepted: u64,
    /// Connects that failed, the lead included, by what was seen.
    pub(crate) errors: BTreeMap<String, u64>,
    /// From the end of the lead to the last session accepted, in nanoseconds.
    pub(crate) elapsed_ns: u64,
    /// From the begin of each connect to its session accepted.
    pub(crate) times: Buckets,
    /// Sessions accepted, the lead included.
    pub(crate) per_second: PerSecond,
}

/// The outcome of a query load, the lead left out.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Queries that were due.
    pub(crate) due: u64,
    /// Queries answered, rightly or wrongly.
    pub(crate) answered: u64,
    /// Wrong answers and broken connections, by what was seen.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Queries due but never sent, or sent but not answered before the run was given up: they
    /// count in `latency` with the time they had waited by then.
    pub(crate) unanswered: u64,
    /// Queries that had to wait for a free connection.
    pub(crate) delayed: u64,
    /// From the first instant a query was due to the last answer, in nanoseconds.
    pub(crate) elapsed_ns: u64,
    /// From the instant each query was due to its answer.
    pub(crate) latency: Buckets,
    /// Queries answered, the lead included.
    pub(crate) per_second: PerSecond,
    /// From the instant each query was due to its sending where a connection was free: the
    /// harness's own tardiness.
    pub(crate) tardiness: Buckets,
}
