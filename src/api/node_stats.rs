//! `node_stats`: this node for whoever looks at it, shard by shard, and what is not well.

use super::answer::Merged;
use super::encode::Object;
use super::health;
use super::info::NodeFacts;
use crate::ids::ShardId;
use crate::observe::{Counters, Spread, WINDOW_MS};

/// What carries a shard's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// io_uring.
    IoUring,
    /// epoll, as it was asked for.
    Epoll,
    /// epoll, because io_uring is missing or forbidden.
    EpollInstead,
}

/// What the process uses, all shards together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessUse {
    /// Resident memory.
    pub rss_bytes: u64,
    /// Resident memory before there was a session.
    pub rss_start_bytes: u64,
    /// What it may grow to, when that is known.
    pub memory_bytes_max: Option<u64>,
    /// Descriptors it may have open, when there is a limit.
    pub descriptors_max: Option<u64>,
}

/// One shard's part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardStats {
    /// Which one.
    pub shard: ShardId,
    /// Sessions it holds.
    pub sessions: u64,
    /// Users of these; one may be on other shards as well.
    pub users: u64,
    /// Connections of any kind.
    pub connections: u64,
    /// What it has counted.
    pub counters: Counters,
    /// How long requests to the server API took there, from the moment their last byte was read.
    pub requests: Spread,
    /// What carries it; a simulation does.
    pub carrier: Option<Carrier>,
    /// What the process uses, from the one shard that looks.
    pub process: Option<ProcessUse>,
}

/// Fewer sessions than these say nothing about what one takes, or how they are spread.
pub(super) const SESSIONS_TELLING: u64 = 1_000;

impl Carrier {
    const fn word(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll | Self::EpollInstead => "epoll",
        }
    }
}

impl ShardStats {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.integer("shard", self.shard.index());
        object.integer("sessions", self.sessions);
        object.integer("users", self.users);
        object.integer("connections", self.connections);
        object.word("driver", driver(Some(self)));
        write_counters(&mut object, &self.counters);
        object.close();
    }
}

/// Writes the result: `{"node":{…},"health":[…]}`.
pub(super) fn write(facts: &NodeFacts<'_>, merged: &Merged, out: &mut Vec<u8>) {
    let mut shards: Vec<&ShardStats> = merged.stats().iter().collect();
    shards.sort_by_key(|shard| shard.shard.index());
    let mut result = Object::open(out);
    write_node(facts, &shards, &mut result);
    let findings = health::look(facts, &shards, merged.missing);
    result.nested("health", |out| list(out, &findings, health::Finding::write));
    if merged.is_partial() {
        result.raw("partial", b"true");
    }
    result.close();
}

fn write_node(facts: &NodeFacts<'_>, shards: &[&ShardStats], result: &mut Object<'_>) {
    let (mut counters, mut requests) = (Counters::default(), Spread::default());
    for shard in shards {
        counters.add(&shard.counters);
        requests.add(&shard.requests);
    }
    let sum = |of: fn(&ShardStats) -> u64| shards.iter().map(|shard| of(shard)).sum::<u64>();
    let sessions = sum(|shard| shard.sessions);
    let process = shards.iter().find_map(|shard| shard.process);
    let mut node = result.object("node");
    node.text("uid", facts.uid);
    node.text("name", facts.name);
    node.text("version", facts.version);
    node.integer("uptime_s", facts.uptime_s);
    node.word("driver", driver(shards.first().copied()));
    node.integer("sessions", sessions);
    node.integer("users", facts.users);
    node.integer("connections", sum(|shard| shard.connections));
    write_counters(&mut node, &counters);
    write_requests(&requests, &mut node);
    if let Some(process) = process {
        write_process(process, sessions, &mut node);
    }
    node.nested("shards", |out| list(out, shards, |shard, out| shard.write(out)));
    node.close();
}

fn driver(shard: Option<&ShardStats>) -> &'static str {
    shard.and_then(|shard| shard.carrier).map_or("none", Carrier::word)
}

fn write_counters(object: &mut Object<'_>, counters: &Counters) {
    object.integer("opened_total", counters.sessions_opened);
    object.integer("closed_total", counters.sessions_closed);
    object.integer("queries_total", counters.api_commands);
}

fn write_requests(requests: &Spread, node: &mut Object<'_>) {
    let mut times = node.object("query_us");
    times.integer("count", requests.len());
    for (name, part) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
        times.integer(name, requests.quantile_us(part));
    }
    times.integer("max", requests.max_us());
    times.integer("window_s", WINDOW_MS / 1_000);
    times.close();
}

fn write_process(process: ProcessUse, sessions: u64, node: &mut Object<'_>) {
    let mut memory = node.object("memory");
    memory.integer("rss_bytes", process.rss_bytes);
    if let Some(limit) = process.memory_bytes_max {
        memory.integer("limit_bytes", limit);
    }
    if sessions >= SESSIONS_TELLING {
        let grown = process.rss_bytes.saturating_sub(process.rss_start_bytes);
        memory.integer("per_session_bytes", grown / sessions);
    }
    memory.close();
    if let Some(limit) = process.descriptors_max {
        node.integer("descriptors_limit", limit);
    }
}

/// A list of what writes itself.
fn list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}
