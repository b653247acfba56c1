//! `slow-clients`: do clients that do not do their part cost the others anything, and is each of
//! them cut?
//!
//! ```text
//! open N ─► queries alone ─► slow ones connect ─► queries beside them ─► what became of each
//!           percentiles      memory               percentiles           codes, memory, peak
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::meter::{Meter, Used};
use super::{Rig, Scenario, Sides, asking, rest, tell_beside};
use crate::cli::{CommonArgs, SlowClientsArgs};
use crate::failure::Failure;
use crate::fleet::{Worker, unasked};
use crate::latency::Percentiles;
use crate::orders::{Measured, OpenOrder, Order, QueryOrder, Reply, Slow, SlowOrder, Slowed};
use crate::population::Crowd;
use crate::procfs::{Kernel, Memory, memory_peak};
use crate::report::{Plot, Report, bytes, duration, grouped, progress, ratio};
use crate::target::{Node, PONG_TIMEOUT_S};
use crate::transport::Transport;
use crate::versus::Headline;

/// Time on top of what a kind of slowness must last, for a busy machine.
const SPARE_S: u64 = 4;

/// Bytes of one session in a list of one's own.
const LISTED_BYTES: u64 = 170;

/// Bytes the kernel takes for a peer that does not read, at most: `net.ipv4.tcp_wmem` as it comes.
const SOCKET_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of server memory beside the queues that slow readers may make it need for a while.
const MEMORY_SPARE: u64 = 64 * 1024 * 1024;

/// A queue that grows is copied to one of twice its size.
const QUEUE_GROWTH: u64 = 2;

impl Scenario for SlowClientsArgs {
    const NAME: &'static str = "slow-clients";
    const HEADLINES: &'static [Headline] = &[];

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn transport(&self) -> Option<Transport> {
        Some(self.transport)
    }

    fn on(&self, common: CommonArgs) -> Self {
        Self { common, ..self.clone() }
    }

    fn run(&self) -> Result<Report, Failure> {
        run(self)
    }
}

/// What was found.
struct Found {
    alone: Measured,
    beside: Measured,
    slowed: BTreeMap<Slow, Slowed>,
    used: Used,
    /// What the server counted before and after, while the slow ones were still there.
    nodes: [Node; 2],
    kernel: [Kernel; 2],
}

/// The server's memory: before the slow ones, at most, and after them.
struct Memories {
    before: u64,
    peak: u64,
    after: u64,
}

fn run(args: &SlowClientsArgs) -> Result<Report, Failure> {
    let slow = args.slow.saturating_mul(2 * u32::try_from(args.kinds.len()).expect("few kinds"));
    let sessions = args.sessions.saturating_add(args.list).saturating_add(slow);
    let mut rig = Rig::up(&told(args), sessions, args.transport)?;
    rig.population.sessions = args.sessions;
    let mut report = Report::new("slow-clients", settings(args, &rig.target.told));
    rig.sampler.mark("first session");
    let ping_s = u64::from(rig.holders.open(0, args.sessions)?);
    let mut list = hold_list(args, &rig)?;
    let memory = || rig.target.pid.map(|pid| Memory::of(pid).map(|memory| memory.rss)).transpose();
    rest(args.settle, "memory settles");
    let before = memory()?;
    if ping_s == 0 && args.kinds.contains(&Slow::Pong) {
        return Err(Failure::new("this server sends no pings: leave `pong` out of --kinds"));
    }
    let duration_s = args.duration.unwrap_or_else(|| lasting(args, ping_s));
    let found = measure(args, &rig, duration_s)?;
    rest(args.settle, "memory comes back");
    let peak = rig.target.pid.map(memory_peak).transpose()?;
    let after = memory()?;
    tell_slow(&mut report, &found.slowed, args, &found.nodes)?;
    tell_queries(&mut report, &found)?;
    if let (Some(before), Some(peak), Some(after)) = (before, peak, after) {
        tell_memory(&mut report, args, &Memories { before, peak, after });
    }
    tell_kernel(&mut report, &found.kernel);
    tell_harness(&mut report, &found.used);
    judge_list(&mut report, &mut list, args.list)?;
    let held = rig.judge(&mut report)?.held;
    report.result("sessions_held", held);
    rig.down(&mut report);
    Ok(report)
}

fn settings(args: &SlowClientsArgs, server: &Value) -> Value {
    json!({
        "transport": args.transport, "sessions": args.sessions, "slow": args.slow,
        "kinds": args.kinds, "list": args.list, "ask_every_ms": args.ask_every, "query_rate": args.query_rate,
        "connections": args.connections, "queue_max_size": args.queue_max_size,
        "stale_close_delay_s": args.stale_close_delay, "duration_s": args.duration,
        "alone_s": args.alone_for, "settle_s": args.settle, "per_user": args.common.per_user,
        "seed": args.common.seed, "server": server,
    })
}

/// The server's limits, where one is started.
fn told(args: &SlowClientsArgs) -> CommonArgs {
    let mut common = args.common.clone();
    if common.starts_a_server() {
        common.server_arg.extend([
            format!("--client.queue_max_size={}", args.queue_max_size),
            format!("--client.stale_close_delay={}s", args.stale_close_delay),
        ]);
    }
    common
}

/// How long it takes until the slowest kind must have been cut: a first ping comes within an
/// interval, and the time to answer it is shorter than another.
fn lasting(args: &SlowClientsArgs, ping_s: u64) -> u64 {
    let of = |kind: &Slow| match kind {
        Slow::Reader => reading(args),
        Slow::Handshake => args.stale_close_delay,
        Slow::Pong => ping_s + ping_s.min(PONG_TIMEOUT_S),
    };
    args.kinds.iter().map(of).max().unwrap_or(0) + SPARE_S
}

/// How long a reader asks until what it has not read fills the server's socket and queue, in
/// seconds.
fn reading(args: &SlowClientsArgs) -> u64 {
    let answer = u64::from(args.list) * LISTED_BYTES;
    let answers = (SOCKET_BYTES + args.queue_max_size).div_ceil(answer);
    (answers * args.ask_every).div_ceil(1_000)
}

/// The user of the slow ones, whom nobody else is.
const fn slow_user(rig: &Rig) -> u32 {
    rig.population.users()
}

/// Opens the sessions that make the replies to slow readers long; they do their part.
fn hold_list(args: &SlowClientsArgs, rig: &Rig) -> Result<Worker, Failure> {
    let mut worker = Worker::start()?;
    worker.send(&Order::Open(of_slow_user(args, rig)?))?;
    let Reply::Opened { .. } = worker.receive(Duration::ZERO)? else { return Err(unasked()) };
    Ok(worker)
}

/// All sessions of the user of the slow ones that do their part.
fn of_slow_user(args: &SlowClientsArgs, rig: &Rig) -> Result<OpenOrder, Failure> {
    let first = slow_user(rig)
        .checked_mul(args.list)
        .filter(|first| first.checked_add(args.list).is_some());
    let first = first.ok_or_else(|| Failure::new("too many users for a --list that long"))?;
    let opening = super::opening(&args.common, &rig.target, Transport::Websocket);
    let source = opening.source.map(|first| super::apart(first, 1));
    Ok(OpenOrder { first, end: first + args.list, per_user: args.list, source, ..opening })
}

fn measure(args: &SlowClientsArgs, rig: &Rig, duration_s: u64) -> Result<Found, Failure> {
    let mut querier = Worker::start()?;
    let queries = |lead_s, duration_s| QueryOrder {
        connections: args.connections,
        rate: args.query_rate,
        lead_s,
        duration_s,
        ..asking(&args.common, &rig.target, Crowd::Held(rig.population))
    };
    progress(&format!("{} queries per second for {} s", args.query_rate, args.alone_for));
    rig.sampler.mark("queries alone");
    let alone = super::query_load(&mut querier, queries(1, args.alone_for))?;
    let info = || rig.target.api()?.info();
    let (before, kernel) = (info()?, Kernel::now());
    let mut slow = Worker::start()?;
    let all = grouped(u64::from(args.slow) * args.kinds.len() as u64);
    progress(&format!("{all} slow clients, and the same queries for {duration_s} s"));
    let open = of_slow_user(args, rig)?;
    let open = OpenOrder { source: open.source.map(|first| super::apart(first, 1)), ..open };
    let kinds = args.kinds.clone();
    slow.send(&Order::Slow(SlowOrder {
        open,
        count: args.slow,
        kinds,
        ask_every_ms: args.ask_every,
        duration_s,
    }))?;
    let Reply::Measuring = slow.receive(Duration::ZERO)? else { return Err(unasked()) };
    rig.sampler.mark("slow clients");
    let pids = [querier.pid(), slow.pid()];
    let meter = Meter::start(&rig.target, &pids)?;
    let beside = super::query_load(&mut querier, queries(0, duration_s))?;
    let used = meter.stop(&rig.target, &pids)?;
    let Reply::Slowed(slowed) = slow.receive(Duration::ZERO)? else {
        return Err(unasked());
    };
    // While the slow ones still hold their ends.
    let after = info()?;
    let kernel = [kernel, Kernel::now()];
    Ok(Found { alone, beside, slowed, used, nodes: [before, after], kernel })
}

/// What a client of this kind must see, and the server's counter of such.
const fn right_end(kind: Slow) -> (&'static str, &'static str, &'static str) {
    match kind {
        // It is cut without a word: what it does not read it could not read either.
        Slow::Reader => ("do not read", "connection reset", "sessions_slow"),
        Slow::Handshake => ("never finish a handshake", "HTTP status 408", "requests_timed_out"),
        Slow::Pong => ("answer no ping", "disconnected with 3012", "sessions_no_pong"),
    }
}

fn tell_slow(
    report: &mut Report,
    slowed: &BTreeMap<Slow, Slowed>,
    args: &SlowClientsArgs,
    [before, after]: &[Node; 2],
) -> Result<(), Failure> {
    report.heading(format!("{} clients of each kind that do not do their part", args.slow));
    let mut results = serde_json::Map::new();
    let mut lines = Vec::new();
    for (kind, Slowed { begun, seen, times }) in slowed {
        let (what, right, counter) = right_end(*kind);
        let cut: u64 = seen.values().sum();
        let found = Percentiles::of(times)?;
        let note = format!("of {} who {what}: {right}", grouped(*begun));
        report.figure("cut", grouped(cut), &note);
        report.figure("  p50 after", duration(found.p50_ns), "");
        report.figure("  the last after", duration(found.max_ns), "");
        let counted = after.counter(counter) - before.counter(counter);
        results.insert(
            format!("{kind:?}").to_lowercase(),
            json!({"begun": begun, "seen": seen, "times": found, "server_counted": counted}),
        );
        judge_slow(report, *kind, *begun, seen, counted);
        lines.push((what, times));
    }
    report.result("slow", Value::from(results));
    report.plot(Plot::percentiles("When slow clients were cut, by percentile", &lines));
    if after.num_clients != u64::from(args.sessions) + u64::from(args.list) {
        let (counted, held) = (after.num_clients, args.sessions + args.list);
        report.fail(format!("the server counts {counted} sessions, {held} do their part"));
    }
    Ok(())
}

/// Each must have been cut, as its kind is, and the server must have counted it as that.
fn judge_slow(
    report: &mut Report,
    kind: Slow,
    begun: u64,
    seen: &BTreeMap<String, u64>,
    counted: u64,
) {
    let (what, right, counter) = right_end(kind);
    let cut: u64 = seen.values().sum();
    if cut < begun {
        report.fail(format!("{} clients who {what} were not cut", grouped(begun - cut)));
    }
    for (how, count) in seen.iter().filter(|(how, _)| *how != right) {
        report.fail(format!("{} clients who {what} saw: {how}", grouped(*count)));
    }
    if counted != cut {
        report.fail(format!("{cut} clients who {what} were cut, {counter} counts {counted}"));
    }
}

fn tell_queries(report: &mut Report, found: &Found) -> Result<(), Failure> {
    report.heading("user_connections for those who do their part");
    let names = Sides { alone: "without slow clients", beside: "with slow clients" };
    tell_beside(report, &names, &found.alone, &found.beside)
}

fn tell_memory(report: &mut Report, args: &SlowClientsArgs, memories: &Memories) {
    let Memories { before, peak, after } = *memories;
    let readers = if args.kinds.contains(&Slow::Reader) { u64::from(args.slow) } else { 0 };
    let allowed = readers * QUEUE_GROWTH * args.queue_max_size + MEMORY_SPARE;
    report.heading("server memory (VmRSS)");
    report.figure("before the slow clients", bytes(ratio(before, 1)), "");
    let note = format!(
        "{} more; may be {}: a full queue for each reader, and what growing it takes",
        bytes(ratio(peak.saturating_sub(before), 1)),
        bytes(ratio(allowed, 1))
    );
    report.figure("at most", bytes(ratio(peak, 1)), &note);
    report.figure("after them", bytes(ratio(after, 1)), "");
    report.result("rss_bytes_before", before);
    report.result("rss_bytes_peak", peak);
    report.result("rss_bytes_after", after);
    report.result("rss_bytes_peak_allowed", before + allowed);
    if peak > before + allowed {
        report.fail(format!(
            "slow clients made the server take {} more memory, {} is what their queues may hold",
            bytes(ratio(peak - before, 1)),
            bytes(ratio(allowed, 1))
        ));
    }
}

/// What the kernel still holds for those that were cut: they themselves are still there.
fn tell_kernel(report: &mut Report, [before, after]: &[Kernel; 2]) {
    let Some((before, after)) = before.tcp_queued_bytes.zip(after.tcp_queued_bytes) else { return };
    let grown = after.saturating_sub(before);
    let note = "TCP mem of /proc/net/sockstat, of the whole machine, since before they came";
    report.figure("kernel: queued packets", bytes(ratio(grown, 1)), note);
    report.result("kernel_queued_bytes_grown", grown);
}

fn tell_harness(report: &mut Report, used: &Used) {
    used.tell_server(report, "queries and slow clients");
    used.tell_harness(report, "latencies are its own: a lower --query-rate, or fewer --slow");
}

/// Those who make the lists long must have stayed, all of them.
fn judge_list(report: &mut Report, worker: &mut Worker, held: u32) -> Result<(), Failure> {
    worker.send(&Order::Tally)?;
    let Reply::Tally(tally) = worker.receive(Duration::ZERO)? else { return Err(unasked()) };
    for (why, count) in &tally.ended {
        report.fail(format!("{count} sessions of the same user did not stay: {why}"));
    }
    report.result("list_held", tally.held);
    report.result("list_asked", held);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(flags: &str) -> SlowClientsArgs {
        let line = format!("x slow-clients {flags}");
        let Command::SlowClients(args) = Cli::parse_from(line.split(' ')).command else {
            panic!("{line}")
        };
        args
    }

    fn failures(begun: u64, seen: &[(&str, u64)], counted: u64) -> usize {
        let mut report = Report::new("slow-clients", json!({}));
        let seen = seen.iter().map(|(how, count)| ((*how).to_owned(), *count)).collect();
        judge_slow(&mut report, Slow::Pong, begun, &seen, counted);
        report.json()["failures"].as_array().unwrap().len()
    }

    #[test]
    fn each_slow_client_must_be_cut_as_its_kind_is_and_be_counted_as_that() {
        let right = "disconnected with 3012";
        assert_eq!(failures(3, &[(right, 3)], 3), 0);
        assert_eq!(failures(3, &[(right, 2)], 2), 1);
        assert_eq!(failures(3, &[(right, 2), ("closed without a farewell", 1)], 3), 1);
        assert_eq!(failures(3, &[(right, 3)], 2), 1);
    }

    #[test]
    fn memory_beyond_what_full_queues_take_fails_the_run() {
        let args = args("--slow 10 --queue-max-size 1048576");
        let allowed = 10 * 2 * 1_048_576 + MEMORY_SPARE;
        for (peak, is_wrong) in [(100 + allowed, false), (101 + allowed, true)] {
            let mut report = Report::new("slow-clients", json!({}));
            tell_memory(&mut report, &args, &Memories { before: 100, peak, after: 100 });
            assert_eq!(report.has_failures(), is_wrong);
        }
    }

    #[test]
    fn slow_ones_are_waited_for_until_the_slowest_kind_must_be_gone() {
        let all = args("--kinds handshake,pong --stale-close-delay 3");
        assert_eq!(lasting(&all, 25), 25 + 8 + SPARE_S);
        assert_eq!(lasting(&all, 1), 3 + SPARE_S);
        let readers = args("--kinds reader --list 1000 --queue-max-size 1048576");
        assert_eq!(lasting(&readers, 25), 4 + SPARE_S, "31 lists, ten a second");
        let one = args("--kinds handshake --stale-close-delay 3");
        assert_eq!(lasting(&one, 25), 3 + SPARE_S);
    }
}
