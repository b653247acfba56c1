//! Hundreds of clients and backends at once: what each asked and heard is written down with its
//! time, and afterwards held against the truths. A listing is right when the server could have
//! given it at some moment between question and answer.
//!
//! `ROLLCALL_HISTORY_ROUNDS=1000 cargo test --test it history -- --nocapture` runs for minutes.

mod callers;
mod clients;
mod timeline;
mod verdict;
mod watchers;

use std::time::Instant;

use serde_json::json;

use self::verdict::Counted;
use self::watchers::Watched;
use crate::harness::Server;

/// Users in all: few, so that their sessions meet.
const USERS: usize = 24;
const CLIENTS: usize = 200;
const CALLERS: usize = 24;

/// Values of the label `region`.
const REGIONS: [&str; 3] = ["eu", "us", "ap"];

/// What a blocked user is told.
const BLOCKED: u64 = 3507;

/// What those are told who are fenced out.
const FENCED: u64 = 3013;

/// Since the history began, in nanoseconds.
type Time = u64;

/// The one clock of a history.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Time {
        u64::try_from(self.0.elapsed().as_nanos()).expect("centuries")
    }
}

/// What a session is, as its client knows it.
#[derive(Clone, Debug)]
struct Facts {
    user: String,
    region: &'static str,
}

/// A session that was let in.
#[derive(Clone, Debug)]
struct Session {
    client: String,
    facts: Facts,
    /// When its connect was sent, and when its answer was read.
    asked: Time,
    acknowledged: Time,
    /// When its client began to leave by itself.
    leaves: Option<Time>,
    /// When its client read that the server ended it, and the code.
    ended: Option<(Time, u64)>,
}

/// Which sessions a call is about.
#[derive(Clone, Debug)]
enum Which {
    User(String),
    UserBut(String, Vec<String>),
    Client(String),
    Region(&'static str),
    UserIn(String, &'static str),
    Users(Vec<String>),
}

impl Which {
    fn means(&self, session: &Session) -> bool {
        match self {
            Self::User(user) => session.facts.user == *user,
            Self::UserBut(user, keep) => {
                session.facts.user == *user && !keep.contains(&session.client)
            }
            Self::Client(client) => session.client == *client,
            Self::Region(region) => session.facts.region == *region,
            Self::UserIn(user, region) => {
                session.facts.user == *user && session.facts.region == *region
            }
            Self::Users(users) => users.contains(&session.facts.user),
        }
    }

    /// Whether sessions of this user may be meant.
    fn is_of(&self, of: &str) -> bool {
        match self {
            Self::User(user) | Self::UserBut(user, _) | Self::UserIn(user, _) => user == of,
            Self::Client(_) | Self::Region(_) => true,
            Self::Users(users) => users.iter().any(|user| user == of),
        }
    }
}

/// A listing that was whole.
#[derive(Debug)]
struct Listing {
    which: Which,
    from: Time,
    to: Time,
    clients: Vec<String>,
    pages: usize,
}

/// A number of sessions, and how many the groups have together.
#[derive(Debug)]
struct Count {
    which: Which,
    from: Time,
    to: Time,
    counted: usize,
    in_groups: usize,
}

/// A session that was listed as one that has ended.
#[derive(Debug)]
struct Ending {
    client: String,
    user: String,
    to: Time,
    code: u64,
}

/// An order to end sessions that was acknowledged.
#[derive(Debug)]
struct Order {
    which: Which,
    from: Time,
    to: Time,
    code: u64,
}

/// A user who was kept out: from one call to the other.
#[derive(Debug)]
struct Block {
    user: String,
    from: Time,
    to: Time,
    lifted_from: Time,
    lifted_to: Time,
    /// What they were told.
    code: u64,
}

/// A connect that was refused because its user was kept out.
#[derive(Debug)]
struct Refusal {
    user: String,
    from: Time,
    to: Time,
    code: u64,
}

/// Everything that was asked and heard.
#[derive(Default, Debug)]
struct History {
    sessions: Vec<Session>,
    listings: Vec<Listing>,
    orders: Vec<Order>,
    blocks: Vec<Block>,
    refusals: Vec<Refusal>,
    counts: Vec<Count>,
    endings: Vec<Ending>,
    /// Calls that the server says it could not answer as a whole.
    partial: usize,
}

impl History {
    fn append(&mut self, mut other: Self) {
        self.sessions.append(&mut other.sessions);
        self.listings.append(&mut other.listings);
        self.orders.append(&mut other.orders);
        self.blocks.append(&mut other.blocks);
        self.refusals.append(&mut other.refusals);
        self.counts.append(&mut other.counts);
        self.endings.append(&mut other.endings);
        self.partial += other.partial;
    }
}

fn user(n: usize) -> String {
    format!("user-{n}")
}

fn rounds() -> usize {
    let asked = std::env::var("ROLLCALL_HISTORY_ROUNDS").ok();
    asked.map_or(12, |rounds| rounds.parse().expect("ROLLCALL_HISTORY_ROUNDS is a number"))
}

fn check(shards: usize, driver: &str) {
    let seed = rand::random();
    eprintln!("{shards} shards on {driver}, seed {seed}");
    let server = Server::start(&json!({
        // Longer than a busy machine lets a shard wait for its core: what is partial proves little.
        "shards": {"count": shards, "driver": driver, "query_timeout": "20s"},
        "user_block": {"storage_type": "memory"},
        "token_revoke": {"storage_type": "memory"},
        "user_tokens_invalidate": {"storage_type": "memory"},
        "client": {"ping_interval": "1s", "pong_timeout": "0s"},
    }));
    let (history, watched) = record(&server, seed);
    watchers::check(&watched, &history);
    let counted = verdict::check(&history);
    eprintln!("{counted:?}");
    let Counted { sessions, listed, ended_by_order, refused, walked, counts, ended_listed } =
        counted;
    let all = [sessions, listed, ended_by_order, refused, walked, counts, ended_listed];
    assert!(all.iter().all(|count| *count > 0));
}

fn record(server: &Server, seed: u64) -> (History, Vec<Watched>) {
    let clock = Clock(Instant::now());
    let mut history = History::default();
    let mut watched = Vec::new();
    std::thread::scope(|scope| {
        let wanted = [None, Some(user(3)), Some(user(17))];
        let watches: Vec<_> = wanted
            .into_iter()
            .map(|wanted| scope.spawn(move || watchers::run(server, clock, wanted)))
            .collect();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| scope.spawn(move || clients::run(server, clock, seed ^ n as u64)))
            .collect();
        let callers: Vec<_> = (0..CALLERS)
            .map(|n| {
                scope.spawn(move || callers::run(server, clock, n, seed ^ (1 << 32) ^ n as u64))
            })
            .collect();
        let threads = clients.into_iter().chain(callers);
        let histories: Vec<_> = threads.map(std::thread::ScopedJoinHandle::join).collect();
        let _last = watchers::end(server);
        watched.extend(watches.into_iter().map(|watch| watch.join().expect("no watcher fails")));
        for one in histories {
            history.append(one.expect("no client and no caller fails"));
        }
    });
    (history, watched)
}

#[test]
fn a_history_on_two_shards_with_io_uring_breaks_no_truth() {
    check(2, "io_uring");
}

#[test]
fn a_history_on_two_shards_with_epoll_breaks_no_truth() {
    check(2, "epoll");
}

#[test]
fn a_history_on_more_shards_than_cores_with_io_uring_breaks_no_truth() {
    check(9, "io_uring");
}

#[test]
fn a_history_on_more_shards_than_cores_with_epoll_breaks_no_truth() {
    check(9, "epoll");
}
