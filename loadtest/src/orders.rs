//! What crosses between the coordinating process and its workers: one JSON line each way.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::latency::{self, Buckets};
use crate::ledger::Judged;
use crate::population::{Crowd, Population};
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
    /// Say which held sessions the server has ended since this was asked last: answered by
    /// `Ends`.
    Ends,
    /// Query at a constant rate: answered by `Measuring` after the lead, then by `Measured`.
    Query(QueryOrder),
    /// Make the tokens of these sessions for a load of connects: answered by `Prepared`.
    Prepare(OpenOrder),
    /// Connect in a closed loop: answered by `Measuring` after the lead, then by `Connects`.
    Connect(ConnectOrder),
    /// Connect all of them from this instant of the monotonic clock on, as fast as those in flight
    /// allow, and hold them: answered by `Stormed`.
    Storm { at_ns: u64 },
    /// Open sessions that will come and go: answered by `Opened`.
    Gather(ChurnOrder),
    /// Have them come and go while queries run: answered by `Measuring` after the lead, by
    /// `LoadOver`, and by `Churned` when every user has been looked at once more.
    Churn,
    /// Have the server disconnect every user while queries run: answered by `Measuring` before the
    /// first call, then by `Disconnected`.
    Disconnect(DisconnectOrder),
    /// Connect clients that do not do their part: answered by `Measuring` when those are in that
    /// must be, then by `Slowed`.
    Slow(SlowOrder),
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

/// Connects in a closed loop, with the tokens that are made, used in turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ConnectOrder {
    pub(crate) lead_s: u64,
    pub(crate) duration_s: u64,
    /// Sessions kept open; one more closes the oldest.
    pub(crate) keep: u32,
}

/// Sessions that come and go. The worker alone knows their users, and asks for no others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ChurnOrder {
    /// Who is there at the begin: all sessions of its users.
    pub(crate) open: OpenOrder,
    /// Sessions that come per second; as many go.
    pub(crate) rate: u64,
    pub(crate) parting: Parting,
    pub(crate) leaver: Leaver,
    /// How long a closed session may still be listed.
    pub(crate) grace_s: u64,
    /// What is asked meanwhile, for as long as sessions come and go.
    pub(crate) query: QueryOrder,
}

/// How sessions go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Parting {
    /// A close frame where there is one, then FIN.
    Close,
    /// A reset.
    Reset,
    /// Each half of them.
    Both,
}

/// Which session goes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leaver {
    Oldest,
    Random,
}

/// Calls of `disconnect`, one for each user of a population that is held elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DisconnectOrder {
    pub(crate) population: Population,
    /// Calls in flight at most.
    pub(crate) calls: u32,
    /// Calls begun per second; without it a call follows the other.
    pub(crate) rate: Option<u64>,
    /// The code sessions are to be told.
    pub(crate) code: u32,
    /// What is asked meanwhile; ends with the calls, or after its time at the latest.
    pub(crate) query: QueryOrder,
}

/// Clients that do not do their part. All of them are WebSockets with JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SlowOrder {
    /// How they connect. Its sessions are those of one user.
    pub(crate) open: OpenOrder,
    /// How many there are of each kind.
    pub(crate) count: u32,
    pub(crate) kinds: Vec<Slow>,
    /// Milliseconds between two questions of a slow reader.
    pub(crate) ask_every_ms: u64,
    /// How long they are waited for.
    pub(crate) duration_s: u64,
}

/// What a client does not do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Slow {
    /// It asks for long replies and reads none.
    Reader,
    /// It sends a byte of its handshake per second.
    Handshake,
    /// It answers no ping.
    Pong,
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
    /// What is measured is over; what comes until the last reply is not part of it.
    LoadOver,
    /// The tokens are made.
    Prepared,
    Connects(Connects),
    Stormed(Stormed),
    Churned(Churned),
    Ends(Vec<SessionEnd>),
    Disconnected(Disconnected),
    Slowed(BTreeMap<Slow, Slowed>),
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

/// A held session the server ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SessionEnd {
    pub(crate) session: u32,
    /// The code it was told, and when that was read by the monotonic clock.
    pub(crate) farewell: Option<(u32, u64)>,
    /// When nothing more came: the end of its connection, or of its stream where a connection
    /// may serve others.
    pub(crate) gone_ns: u64,
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

impl Connects {
    /// Adds what another worker found.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.begun += other.begun;
        self.accepted += other.accepted;
        self.elapsed_ns = self.elapsed_ns.max(other.elapsed_ns);
        add_counts(&mut self.errors, &other.errors);
        self.times = latency::sum(&[&self.times, &other.times])?;
        self.per_second.add(&other.per_second);
        Ok(())
    }
}

/// The outcome of a storm.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stormed {
    /// `elapsed_ns` is from the begin of the storm to the last session accepted.
    pub(crate) connects: Connects,
    /// From the begin of the storm to each session accepted.
    pub(crate) waits: Buckets,
}

/// The outcome of sessions that came and went.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Churned {
    /// Sessions that came. Times count from the instant each was due.
    pub(crate) arrivals: Connects,
    /// Arrivals that had to wait for others in flight.
    pub(crate) delayed: u64,
    /// Sessions that were told to go.
    pub(crate) departures: u64,
    pub(crate) queries: Measured,
    pub(crate) judged: Judged,
    /// Users asked for at the end, when nobody came or went any more.
    pub(crate) swept: u64,
    /// What was wrong beside the answers to `queries`, by name.
    pub(crate) wrong: BTreeMap<String, u64>,
}

impl Churned {
    /// Adds what another worker found.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.arrivals.add(&other.arrivals)?;
        self.delayed += other.delayed;
        self.departures += other.departures;
        self.queries.add(&other.queries)?;
        self.judged.certain += other.judged.certain;
        self.judged.doubtful += other.judged.doubtful;
        self.swept += other.swept;
        add_counts(&mut self.wrong, &other.wrong);
        Ok(())
    }
}

/// The outcome of calls of `disconnect`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Disconnected {
    pub(crate) calls: Vec<Call>,
    /// Calls that failed, by what was seen.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) queries: Measured,
}

/// One call; instants by the monotonic clock, which all processes of a machine share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) user: u32,
    /// When it should have been sent.
    pub(crate) due_ns: u64,
    pub(crate) sent_ns: u64,
    pub(crate) answered_ns: u64,
}

/// What became of the clients of one kind.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Slowed {
    /// How many there were.
    pub(crate) begun: u64,
    /// How each that was cut saw it.
    pub(crate) seen: BTreeMap<String, u64>,
    /// From the begin of its slowness to its end.
    pub(crate) times: Buckets,
}

/// The outcome of a query load, the lead left out.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Queries that were due.
    pub(crate) due: u64,
    /// Queries answered, rightly or wrongly.
    pub(crate) answered: u64,
    /// Wrong and missing answers and broken connections, by what was seen.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Queries sent but not answered before the run was given up, each one of `errors` too. Like
    /// those never sent they count in `latency` with the time they had waited by then.
    pub(crate) unanswered: u64,
    /// Queries due but never sent.
    pub(crate) unsent: u64,
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

impl Measured {
    /// Adds what another worker measured meanwhile.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.due += other.due;
        self.answered += other.answered;
        add_counts(&mut self.errors, &other.errors);
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.delayed += other.delayed;
        self.elapsed_ns = self.elapsed_ns.max(other.elapsed_ns);
        self.latency = latency::sum(&[&self.latency, &other.latency])?;
        self.per_second.add(&other.per_second);
        self.tardiness = latency::sum(&[&self.tardiness, &other.tardiness])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workers_found_adds_up() {
        let one = |elapsed_ns, ns| Connects {
            begun: 3,
            accepted: 2,
            errors: [("reset".to_owned(), 1)].into(),
            elapsed_ns,
            times: vec![(ns, 2)],
            ..Connects::default()
        };
        let mut connects = one(5, 1_000);
        connects.add(&one(7, 3_000)).unwrap();
        assert_eq!((connects.begun, connects.accepted, connects.elapsed_ns), (6, 4, 7));
        assert_eq!((connects.errors["reset"], connects.times.len()), (2, 2));
    }
}
