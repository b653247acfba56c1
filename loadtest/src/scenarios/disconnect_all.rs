//! `disconnect-all`: a backend throws everybody out. How long from the call to the socket gone,
//! does the API answer meanwhile, and does the memory come back?
//!
//! ```text
//! 0 sessions ─► open N ─► queries alone ─► queries, a call per user ─► nobody left
//! memory        memory    percentiles      percentiles, times           memory, descriptors
//! ```

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::meter::{Meter, Used};
use super::{Rig, Scenario, Sides, asking, doubt_shared_cores, rest, tell_beside};
use crate::cli::{CommonArgs, DisconnectAllArgs};
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::fleet::{Holders, Worker, unasked};
use crate::latency::{Buckets, Latencies, Percentiles};
use crate::orders::{
    Call, DisconnectOrder, Disconnected, Measured, Order, QueryOrder, Reply, SessionEnd,
};
use crate::population::{Crowd, Population};
use crate::procfs::{Memory, descriptors};
use crate::report::{Plot, Report, Unit, bytes, duration, grouped, progress, ratio};
use crate::target::Kind;
use crate::transport::Transport;
use crate::versus::Headline;

/// How long after the last call sessions may be waited for.
const GONE_NS: u64 = 30_000_000_000;

/// How long Centrifugo may take to count nobody: it counts every three seconds.
const COUNTED_NS: u64 = 5_000_000_000;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// The same while the last sessions end: the time until they are gone is measured by it.
const LOOK_AT_ENDS: Duration = Duration::from_millis(10);

/// Longest time the calls may take together.
const CALLS_S: u64 = 3_600;

/// Share of the sessions' memory that should have come back.
const CAME_BACK: f64 = 0.8;

/// The server's process at one moment; `None` where it is not known.
type Point = Option<(Memory, usize)>;

/// What the sessions saw.
#[derive(Clone, PartialEq, Debug, Default)]
struct Ends {
    /// From the instant the call was due to the farewell read, by session.
    told: Buckets,
    /// From the instant the call was due to the end of the connection or stream.
    gone: Buckets,
    /// From the first call due to the last session gone.
    span_ns: u64,
    /// Sessions that did not end as they should, by what was seen.
    wrong: BTreeMap<String, u64>,
}

impl Scenario for DisconnectAllArgs {
    const NAME: &'static str = "disconnect-all";
    const HEADLINES: &'static [Headline] = &[
        Headline {
            result: "/gone_time/p50_ns",
            label: "from the call to the socket gone, p50",
            unit: Unit::Nanoseconds,
        },
        Headline {
            result: "/gone_time/p99_ns",
            label: "from the call to the socket gone, p99",
            unit: Unit::Nanoseconds,
        },
        Headline {
            result: "/server_cpu_us_per_session_ended",
            label: "server CPU per session ended, the queries meanwhile included",
            unit: Unit::Microseconds,
        },
    ];

    fn can_ask(kind: Kind) -> bool {
        // Our own peers have no `disconnect`.
        matches!(kind, Kind::Rollcall | Kind::Centrifugo)
    }

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

fn run(args: &DisconnectAllArgs) -> Result<Report, Failure> {
    let mut rig = Rig::up(&args.common, args.sessions, args.transport)?;
    let settings = json!({
        "transport": args.transport, "sessions": args.sessions,
        "per_user": args.common.per_user, "calls": args.calls, "rate": args.rate,
        "code": args.code, "query_rate": args.query_rate, "connections": args.connections,
        "duration_s": args.duration, "settle_s": args.settle, "seed": args.common.seed,
        "server": rig.target.told,
    });
    let mut report = Report::new("disconnect-all", settings);
    let mut caller = Worker::start()?;
    warm_up(args, &rig, &mut caller)?;
    rest(args.settle, "the server settles before the first session");
    let empty = point(&rig)?;
    rig.holders.open(0, args.sessions)?;
    rest(args.settle, "memory settles");
    let full = point(&rig)?;
    let alone = measure_alone(args, &rig, &mut caller)?;
    let (disconnected, gone, used) = disconnect(args, &mut rig, &mut caller)?;
    drop(caller);
    let ends = ends(&gone, &disconnected.calls, rig.population, args.code)?;
    tell_ends(&mut report, args, &ends, &disconnected);
    tell_queries(&mut report, &alone, &disconnected.queries)?;
    tell_cost(&mut report, args, &used);
    // A server that does not answer any more is told with all that was seen before.
    if let Err(failure) = judge(&mut report, args, &mut rig) {
        report.fail(failure.to_string());
    }
    if let (Some(pid), Some(empty), Some(full)) = (rig.target.pid, empty, full) {
        // Their connections for pongs go with them.
        rig.holders.dismiss();
        rest(args.settle, "memory comes back");
        tell_memory(&mut report, args.sessions, [empty, full, left(pid, empty.1)?]);
    }
    rig.down(&mut report);
    Ok(report)
}

fn point(rig: &Rig) -> Result<Point, Failure> {
    let at = |pid| Ok((Memory::of(pid)?, descriptors(pid)?));
    rig.target.pid.map(at).transpose()
}

/// Memory and descriptors once these are as few as they were, or will not be.
fn left(pid: u32, descriptors_before: usize) -> Result<(Memory, usize), Failure> {
    let give_up = now_ns() + GONE_NS / 6;
    while descriptors(pid)? > descriptors_before && now_ns() < give_up {
        sleep(LOOK);
    }
    Ok((Memory::of(pid)?, descriptors(pid)?))
}

fn queries(
    args: &DisconnectAllArgs,
    rig: &Rig,
    population: Population,
    duration_s: u64,
) -> QueryOrder {
    QueryOrder {
        connections: args.connections,
        rate: args.query_rate,
        duration_s,
        ..asking(&args.common, &rig.target, Crowd::Held(population))
    }
}

/// Queries while nobody is there: what the server keeps for its API is not the sessions'.
fn warm_up(args: &DisconnectAllArgs, rig: &Rig, caller: &mut Worker) -> Result<(), Failure> {
    let measured = super::query_load(caller, queries(args, rig, rig.population(0), 1))?;
    match measured.errors.first_key_value() {
        None => Ok(()),
        Some((why, _)) => Err(Failure::new(format!("queries before the first session: {why}"))),
    }
}

/// Queries while nobody is disconnected.
fn measure_alone(
    args: &DisconnectAllArgs,
    rig: &Rig,
    caller: &mut Worker,
) -> Result<Measured, Failure> {
    progress(&format!("{} queries per second for {} s", args.query_rate, args.duration));
    rig.sampler.mark("queries");
    let order = queries(args, rig, rig.population, args.duration);
    super::query_load(caller, QueryOrder { lead_s: 1, ..order })
}

/// Calls for every user, and waits until every session has seen its connection end; what is used
/// counts from the first call until then.
fn disconnect(
    args: &DisconnectAllArgs,
    rig: &mut Rig,
    caller: &mut Worker,
) -> Result<(Disconnected, Vec<SessionEnd>, Used), Failure> {
    progress(&format!("{} users are disconnected", grouped(rig.population.users().into())));
    let pids = [rig.holders.pids(), vec![caller.pid()]].concat();
    rig.sampler.mark("disconnect");
    caller.send(&Order::Disconnect(DisconnectOrder {
        population: rig.population,
        calls: args.calls,
        rate: args.rate,
        code: args.code,
        query: queries(args, rig, rig.population, CALLS_S),
    }))?;
    let Reply::Measuring = caller.receive(Duration::ZERO)? else { return Err(unasked()) };
    let meter = Meter::start(&rig.target, &pids)?;
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| caller.receive(Duration::from_secs(CALLS_S)));
        let gone = all_gone(&mut rig.holders, args.sessions, || calling.is_finished())?;
        let used = meter.stop(&rig.target, &pids)?;
        let reply = calling.join().expect("does not panic")?;
        let Reply::Disconnected(disconnected) = reply else { return Err(unasked()) };
        Ok((disconnected, gone, used))
    })
}

/// The ends of so many sessions, or those there are a while after all calls have been made.
fn all_gone(
    holders: &mut Holders,
    sessions: u32,
    all_called: impl Fn() -> bool,
) -> Result<Vec<SessionEnd>, Failure> {
    let mut gone = Vec::new();
    let mut give_up = None;
    loop {
        gone.extend(holders.ends()?);
        if gone.len() >= sessions as usize {
            return Ok(gone);
        }
        if all_called() && now_ns() > *give_up.get_or_insert_with(|| now_ns() + GONE_NS) {
            return Ok(gone);
        }
        sleep(LOOK_AT_ENDS);
    }
}

/// Holds what sessions saw against the calls for their users.
fn ends(
    ends: &[SessionEnd],
    calls: &[Call],
    population: Population,
    code: u32,
) -> Result<Ends, Failure> {
    let mut called: Vec<Option<&Call>> = vec![None; population.users() as usize];
    for call in calls {
        called[call.user as usize] = Some(call);
    }
    let (mut told, mut gone) = (Latencies::new(), Latencies::new());
    let mut found = Ends::default();
    let mut wrong = |why: String| *found.wrong.entry(why).or_default() += 1;
    for end in ends {
        let user = end.session / population.per_user;
        let call = called[user as usize].filter(|call| call.sent_ns <= end.gone_ns);
        let Some(Call { due_ns, .. }) = call else {
            wrong("ended before anybody asked".to_owned());
            continue;
        };
        match end.farewell {
            Some((seen, at_ns)) if seen == code => told.record(at_ns.saturating_sub(*due_ns)),
            Some((seen, _)) => wrong(format!("was told {seen} in place of {code}")),
            None => wrong("ended without a farewell".to_owned()),
        }
        gone.record(end.gone_ns - due_ns);
    }
    let missing = u64::from(population.sessions).saturating_sub(ends.len() as u64);
    if missing > 0 {
        found.wrong.insert("is not gone".to_owned(), missing);
    }
    (found.told, found.gone) = (told.buckets(), gone.buckets());
    let first = calls.iter().map(|call| call.due_ns).min().unwrap_or_default();
    let last = ends.iter().map(|end| end.gone_ns).max().unwrap_or_default();
    found.span_ns = last.saturating_sub(first);
    Ok(found)
}

fn tell_ends(report: &mut Report, args: &DisconnectAllArgs, ends: &Ends, made: &Disconnected) {
    let mut answers = Latencies::new();
    made.calls.iter().for_each(|call| answers.record(call.answered_ns - call.due_ns));
    report.heading(format!(
        "{} {} sessions of {} users are disconnected, a call per user",
        grouped(args.sessions.into()),
        args.transport,
        grouped(made.calls.len() as u64)
    ));
    let per_second = ratio(args.sessions.into(), 1) / ratio(ends.span_ns.max(1), 1_000_000_000);
    let note = format!("{per_second:.0} sessions per second, {} calls in flight", args.calls);
    report.figure("all gone after", duration(ends.span_ns), &note);
    report.result("all_gone_after_ns", ends.span_ns);
    report.result("sessions_gone_per_second", per_second);
    let distributions = [
        ("told", &ends.told, "from the call due to the farewell read"),
        ("gone", &ends.gone, "from the call due to the socket gone, or the stream ended"),
        ("call answered", &answers.buckets(), "from the call due to its answer read"),
    ];
    for (what, buckets, note) in distributions {
        let found = tell_percentiles(report, what, buckets, note);
        report.result(&format!("{}_time", what.replace(' ', "_")), found);
        report.result(&format!("{}_time_buckets_ns", what.replace(' ', "_")), json!(buckets));
    }
    report.plot(Plot::percentiles(
        "Time since the call of disconnect, by percentile",
        &distributions.map(|(what, buckets, _)| (what, buckets)),
    ));
    for (why, count) in &ends.wrong {
        report.fail(format!("{} sessions: {why}", grouped(*count)));
    }
    for (why, count) in &made.errors {
        report.fail(format!("{} calls of disconnect: {why}", grouped(*count)));
    }
}

fn tell_percentiles(
    report: &mut Report,
    what: &str,
    buckets: &Buckets,
    note: &str,
) -> serde_json::Value {
    let Ok(found) = Percentiles::of(buckets) else { return serde_json::Value::Null };
    for (label, ns) in [("p50", found.p50_ns), ("p99", found.p99_ns), ("max", found.max_ns)] {
        report.figure(&format!("{what}, {label}"), duration(ns), note);
    }
    json!(found)
}

fn tell_queries(report: &mut Report, alone: &Measured, beside: &Measured) -> Result<(), Failure> {
    report.heading("user_connections meanwhile, and what it listed");
    let names = Sides { alone: "before the first call", beside: "while sessions end" };
    tell_beside(report, &names, alone, beside)
}

fn tell_cost(report: &mut Report, args: &DisconnectAllArgs, used: &Used) {
    if let Some(server) = used.server {
        report.heading("what it costs the server");
        let each = ratio(server.used_ns, args.sessions.into()) / 1000.0;
        let note = format!(
            "from the first call to the last session gone, the {} queries per second included",
            args.query_rate
        );
        report.figure("CPU per session ended", format!("{each:.1} µs"), &note);
        report.result("server_cpu_us_per_session_ended", each);
        doubt_shared_cores(report, server);
    }
    used.tell_harness(report, "what sessions saw is told late: more --workers, or a lower --rate");
}

/// The server must know of nobody any more.
fn judge(report: &mut Report, args: &DisconnectAllArgs, rig: &mut Rig) -> Result<(), Failure> {
    rig.target.check_alive()?;
    let mut api = rig.target.api()?;
    let patience_ns = if args.common.is_rollcall() { 0 } else { COUNTED_NS };
    let give_up = now_ns() + patience_ns;
    let mut node = api.info()?;
    while (node.num_clients, node.num_users) != (0, 0) && now_ns() < give_up {
        sleep(LOOK);
        node = api.info()?;
    }
    if (node.num_clients, node.num_users) != (0, 0) {
        let (clients, users) = (node.num_clients, node.num_users);
        report.fail(format!("the server still counts {clients} sessions of {users} users"));
    }
    if args.common.is_rollcall() {
        report.result("server_sessions_closed_by_api", node.counter("sessions_closed_by_api"));
    }
    Ok(())
}

fn tell_memory(report: &mut Report, sessions: u32, [empty, full, after]: [(Memory, usize); 3]) {
    report.heading("what is left of them on the server");
    for (label, memory) in [
        ("VmRSS before the first session", empty.0),
        ("with all of them", full.0),
        ("with none again", after.0),
    ] {
        report.figure(label, bytes(ratio(memory.rss, 1)), "");
    }
    let taken = full.0.rss.saturating_sub(empty.0.rss);
    let share = 1.0 - ratio(after.0.rss.saturating_sub(empty.0.rss), taken.max(1));
    let note = "of what the sessions took; a page is given back when nothing else is on it";
    report.figure("came back", format!("{:.0} %", share * 100.0), note);
    let left = after.1.saturating_sub(empty.1);
    report.figure("descriptors left", grouped(left as u64), "any fails the run");
    report.result("rss_bytes_before", empty.0.rss);
    report.result("rss_bytes_held", full.0.rss);
    report.result("rss_bytes_after", after.0.rss);
    report.result("rss_share_that_came_back", share);
    report.result("descriptors_left", left);
    if left > 0 {
        report.fail(format!("{left} descriptors are still open though nobody is connected"));
    }
    if share < CAME_BACK {
        let each = ratio(after.0.rss.saturating_sub(empty.0.rss), sessions.into());
        report.warn(format!(
            "only {:.0} % of the memory came back: {} per session stayed",
            share * 100.0,
            bytes(each)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Session, code told and when, gone when.
    type Seen = (u32, Option<(u32, u64)>, u64);

    /// Two users with two sessions each; the calls were due at 100 and 200, and sent 2 later.
    fn judged(seen: &[Seen]) -> Ends {
        let population =
            Population { sessions: 4, per_user: 2, transport: Transport::Websocket, seed: 1 };
        let call =
            |user, due_ns| Call { user, due_ns, sent_ns: due_ns + 2, answered_ns: due_ns + 10 };
        let seen: Vec<SessionEnd> = seen
            .iter()
            .map(|(session, farewell, gone_ns)| SessionEnd {
                session: *session,
                farewell: *farewell,
                gone_ns: *gone_ns,
            })
            .collect();
        ends(&seen, &[call(0, 100), call(1, 200)], population, 3503).unwrap()
    }

    #[test]
    fn a_session_is_timed_from_the_instant_the_call_for_its_user_was_due() {
        let farewell = |at| Some((3503, at));
        let found = judged(&[
            (0, farewell(105), 106),
            (1, farewell(105), 107),
            (3, farewell(230), 250),
            (2, farewell(205), 205),
        ]);
        assert_eq!(found.wrong, [].into());
        assert_eq!(found.told, [(5, 3), (30, 1)]);
        assert_eq!(found.gone, [(5, 1), (6, 1), (7, 1), (50, 1)]);
        assert_eq!(found.span_ns, 150);
    }

    #[test]
    fn what_did_not_end_as_it_should_is_wrong_by_name() {
        let found = judged(&[(0, Some((3000, 105)), 106), (1, None, 107), (2, None, 150)]);
        let wrong: Vec<(&str, u64)> =
            found.wrong.iter().map(|(why, count)| (why.as_str(), *count)).collect();
        assert_eq!(
            wrong,
            [
                ("ended before anybody asked", 1),
                ("ended without a farewell", 1),
                ("is not gone", 1),
                ("was told 3000 in place of 3503", 1),
            ]
        );
    }

    #[test]
    fn a_descriptor_that_stays_fails_the_run_and_memory_that_stays_is_doubted() {
        let at = |rss, descriptors| (Memory { rss, anon: 0 }, descriptors);
        for (after, failures, warnings) in
            [(at(1_100, 10), 0, 0), (at(1_900, 10), 0, 1), (at(1_000, 11), 1, 0)]
        {
            let mut report = Report::new("disconnect-all", json!({}));
            tell_memory(&mut report, 10, [at(1_000, 10), at(2_000, 20), after]);
            assert_eq!(report.json()["failures"].as_array().unwrap().len(), failures);
            assert_eq!(report.warnings().len(), warnings);
        }
    }
}
