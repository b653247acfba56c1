//! `connect-storm`: what does a new session cost, from TCP to its acceptance, and how many come
//! up per second?

use std::time::Duration;

use serde_json::{Value, json};

use super::meter::{Meter, Used};
use super::{Scenario, doubt_shared_cores, storm};
use crate::cli::{CommonArgs, ConnectStormArgs};
use crate::clock::NS_PER_S;
use crate::failure::Failure;
use crate::fleet::{Worker, await_all, pids, receive_all, send_all, share, unasked};
use crate::latency::Percentiles;
use crate::limits;
use crate::orders::{ConnectOrder, Connects, OpenOrder, Order, Reply};
use crate::report::{Passing, Plot, Report, Unit, duration, grouped, progress, ratio};
use crate::sampler::Sampler;
use crate::target::Target;
use crate::transport::Transport;
use crate::versus::Headline;

/// New WebSocket sessions per second and server core that are demanded.
const PER_CORE_MUST: u64 = 10_000;

/// What was found, over all workers.
pub(super) struct Found {
    pub(super) connects: Connects,
    pub(super) used: Used,
    /// What the server's CPU was used for.
    pub(super) work: &'static str,
}

impl Scenario for ConnectStormArgs {
    const NAME: &'static str = "connect-storm";
    const HEADLINES: &'static [Headline] = &[
        Headline {
            result: "/connects_per_second_and_server_core",
            label: "connects per second and server core",
            unit: Unit::PerSecond,
        },
        Headline {
            result: "/server_cpu_us_per_connect",
            label: "server CPU per connect",
            unit: Unit::Microseconds,
        },
    ];

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

fn run(args: &ConnectStormArgs) -> Result<Report, Failure> {
    if let Some(sessions) = args.sessions {
        return storm::run(args, sessions);
    }
    let common = &args.common;
    let workers = common.workers.unwrap_or(1);
    let descriptors = limits::raise_descriptors();
    let open = args.keep.saturating_add(common.concurrency.saturating_mul(workers));
    limits::workers(open, Some(workers), descriptors)?;
    if common.starts_a_server() {
        limits::check_server(open, descriptors)?;
    }
    let mut target = Target::up(common, args.transport)?;
    let mut report = Report::new("connect-storm", settings(args, workers, &target.told));
    let sampler = Sampler::start(target.pid);
    let found = measure(args, workers, &target, &sampler)?;
    target.check_alive()?;
    tell_rate(&mut report, args.transport, &found);
    tell_times(&mut report, common.concurrency.saturating_mul(workers), &found)?;
    tell_harness(&mut report, &found);
    let used_again = found.connects.begun.saturating_sub(args.tokens.into());
    report.figure("connects with a used token", grouped(used_again), "fewer with more --tokens");
    let line = found.connects.per_second.line(
        "accepted",
        sampler.seconds(found.used.start_ns - args.lead * NS_PER_S),
        args.lead + args.duration,
    );
    report.plot(sampler.over_time("Connects per second", Unit::PerSecond, vec![line]));
    sampler.finish().tell(&mut report);
    if let Err(failure) = target.down() {
        report.fail(failure.to_string());
    }
    Ok(report)
}

fn settings(args: &ConnectStormArgs, workers: u32, server: &Value) -> Value {
    json!({
        "transport": args.transport, "concurrency": args.common.concurrency, "workers": workers,
        "keep": args.keep, "tokens": args.tokens, "per_user": args.common.per_user,
        "duration_s": args.duration, "lead_s": args.lead, "seed": args.common.seed,
        "server": server,
    })
}

fn measure(
    args: &ConnectStormArgs,
    count: u32,
    target: &Target,
    sampler: &Sampler,
) -> Result<Found, Failure> {
    let mut workers = (0..count).map(|_| Worker::start()).collect::<Result<Vec<_>, _>>()?;
    // At least one token for each worker.
    prepare(args, target, args.tokens.max(count), &mut workers)?;
    progress(&format!("connects for {} s", args.lead + args.duration));
    sampler.mark("connects");
    send_all(&mut workers, |index, count| {
        let (keep_first, keep_end) = share(0, args.keep, index, count);
        Order::Connect(ConnectOrder {
            lead_s: args.lead,
            duration_s: args.duration,
            keep: keep_end - keep_first,
        })
    })?;
    let (lead, work) = (Duration::from_secs(args.lead), Duration::from_secs(args.duration));
    let passing = Passing::new(lead + work, "connects");
    let done = |count| passing.done(count);
    await_all(&mut workers, &Reply::Measuring, lead, done)?;
    sampler.mark("measured from here");
    let pids = pids(&workers);
    let meter = Meter::start(target, &pids)?;
    let replies = receive_all(&mut workers, work, done)?;
    let used = meter.stop(target, &pids)?;
    let mut connects = Connects::default();
    for reply in replies {
        let Reply::Connects(found) = reply else { return Err(unasked()) };
        connects.add(&found)?;
    }
    Ok(Found { connects, used, work: "accept, handshake, connect and close" })
}

/// Has the workers make the tokens of these sessions, each its share.
pub(super) fn prepare(
    args: &ConnectStormArgs,
    target: &Target,
    sessions: u32,
    workers: &mut [Worker],
) -> Result<(), Failure> {
    progress(&format!("{} tokens are signed", grouped(sessions.into())));
    send_all(workers, |index, count| {
        let (first, end) = share(0, sessions, index, count);
        let opening = super::opening(&args.common, target, args.transport);
        let source = opening.source.map(|first| super::apart(first, index));
        Order::Prepare(OpenOrder { first, end, source, ..opening })
    })?;
    await_all(workers, &Reply::Prepared, Duration::ZERO, |_| ())
}

/// Says how many connects there were and what each cost the server.
pub(super) fn tell_rate(report: &mut Report, transport: Transport, found: &Found) {
    let Connects { accepted, elapsed_ns, .. } = found.connects;
    let rate = ratio(accepted, 1) / ratio(elapsed_ns.max(1), 1_000_000_000);
    report.heading(format!("new {transport} sessions, each with its own HS256 token"));
    report.figure("accepted", grouped(accepted), "");
    report.figure("connects", format!("{rate:.0} /s"), "harness and server share this machine");
    report.result("accepted", accepted);
    report.result("connects_per_second", rate);
    if accepted == 0 {
        report.fail("not one session was accepted");
        return;
    }
    let Some((server, cores)) = found.used.server.zip(found.used.server_cores()) else { return };
    let per_connect_us = ratio(server.used_ns, accepted) / 1000.0;
    let per_core = 1_000_000.0 / per_connect_us;
    let note = format!("{}; loopback bills receiving to the sender", found.work);
    report.figure("server CPU per connect", format!("{per_connect_us:.1} µs"), &note);
    let demand = match transport {
        Transport::Websocket => format!("must {}; ", grouped(PER_CORE_MUST)),
        Transport::WebsocketProtobuf
        | Transport::UniWebsocket
        | Transport::HttpStream
        | Transport::Sse
        | Transport::UniSse
        | Transport::UniHttpStream
        | Transport::UniGrpc => String::new(),
    };
    let note = format!("{demand}1 s ÷ CPU per connect; {cores:.2} cores were used");
    report.figure("per second and server core", format!("{per_core:.0}"), &note);
    report.result("server_cpu_us_per_connect", per_connect_us);
    report.result("connects_per_second_and_server_core", per_core);
    report.result("server_cores", cores);
    doubt_shared_cores(report, server);
}

/// Says how long connects took, with so many in flight.
pub(super) fn tell_times(report: &mut Report, flying: u32, found: &Found) -> Result<(), Failure> {
    let times = Percentiles::of(&found.connects.times)?;
    report.heading(format!(
        "time of a connect with {} in flight, from the first packet to its acceptance read",
        grouped(flying.into())
    ));
    for (label, ns) in
        [("p50", times.p50_ns), ("p90", times.p90_ns), ("p99", times.p99_ns), ("max", times.max_ns)]
    {
        report.figure(label, duration(ns), "");
    }
    report.result("connect_time", json!(times));
    report.result("connect_time_buckets_ns", json!(found.connects.times));
    let times = ("connect", &found.connects.times);
    report.plot(Plot::percentiles("Time of a connect by percentile", &[times]));
    Ok(())
}

/// Says what the harness itself needed, and which connects failed.
pub(super) fn tell_harness(report: &mut Report, found: &Found) {
    found.used.tell_harness(
        report,
        "connects per second and their times are its own (--workers for more), the server's CPU \
         per connect stands",
    );
    let per_connect = found.used.harness_ns() / found.connects.accepted.max(1);
    report.figure("CPU per connect", duration(per_connect), "");
    report.result("harness_cpu_ns_per_connect", per_connect);
    report.result("begun", found.connects.begun);
    report.result("errors", json!(found.connects.errors));
    for (why, count) in &found.connects.errors {
        report.fail(format!("{} connects: {why}", grouped(*count)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::Cpu;

    fn found(accepted: u64, server_ns: u64) -> Found {
        Found {
            connects: Connects { accepted, elapsed_ns: 1_000_000_000, ..Connects::default() },
            used: Used {
                server: Some(Cpu { used_ns: server_ns, kept_waiting_ns: 0 }),
                workers: Vec::new(),
                start_ns: 0,
                elapsed_ns: 1_000_000_000,
            },
            work: "connect",
        }
    }

    #[test]
    fn sessions_per_core_are_those_a_second_of_cpu_would_pay_for() {
        let mut report = Report::new("connect-storm", json!({}));
        tell_rate(&mut report, Transport::Websocket, &found(5_000, 250_000_000));
        let results = &report.json()["results"];
        assert_eq!(results["server_cpu_us_per_connect"], 50.0);
        assert_eq!(results["connects_per_second_and_server_core"], 20_000.0);
        assert!(!report.has_failures());
    }

    #[test]
    fn a_run_without_a_session_fails() {
        let mut report = Report::new("connect-storm", json!({}));
        tell_rate(&mut report, Transport::Websocket, &found(0, 1));
        assert!(report.has_failures());
    }
}
