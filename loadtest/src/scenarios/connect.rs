//! `connect`: what does a new session cost, from TCP to its acceptance, and how many come up per
//! second?

use std::time::Duration;

use serde_json::{Value, json};

use super::{Scenario, doubt_shared_cores};
use crate::cli::{CommonArgs, ConnectArgs};
use crate::clock::NS_PER_S;
use crate::failure::Failure;
use crate::fleet::{Worker, receive_all, share, unasked};
use crate::latency::{Latencies, Percentiles};
use crate::limits;
use crate::orders::{ConnectOrder, Connects, OpenOrder, Order, Reply, add_counts};
use crate::procfs::Cpu;
use crate::report::{Passing, Plot, Report, Unit, duration, grouped, progress, ratio};
use crate::sampler::Sampler;
use crate::target::Target;
use crate::transport::{Carrier, Transport};
use crate::versus::Headline;

/// New WebSocket sessions per second and server core that are demanded.
const PER_CORE_MUST: u64 = 10_000;

/// Share of one core above which a connecting worker is the bottleneck.
const BUSY: f64 = 0.85;

/// What was found, over all workers.
struct Found {
    connects: Connects,
    times: Percentiles,
    server: Option<Cpu>,
    workers: Vec<Cpu>,
    elapsed_ns: u64,
    /// When the connects began, in nanoseconds of the monotonic clock.
    begin_ns: u64,
}

impl Scenario for ConnectArgs {
    const NAME: &'static str = "connect";
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

fn run(args: &ConnectArgs) -> Result<Report, Failure> {
    if args.transport.carrier() == Carrier::Grpc {
        let text = "sessions over uni_grpc share connections: `connect` measures the others";
        return Err(Failure::new(text));
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
    let mut report = Report::new("connect", settings(args, workers, &target.told));
    let sampler = Sampler::start(target.pid);
    let found = measure(args, workers, &target, &sampler)?;
    target.check_alive()?;
    tell_rate(&mut report, args.transport, &found);
    tell_times(&mut report, common, workers, &found);
    tell_harness(&mut report, args, &found);
    let line = found.connects.per_second.line(
        "accepted",
        sampler.seconds(found.begin_ns),
        args.lead + args.duration,
    );
    report.plot(sampler.over_time("Connects per second", Unit::PerSecond, vec![line]));
    sampler.finish().tell(&mut report);
    for (why, count) in &found.connects.errors {
        report.fail(format!("{} connects: {why}", grouped(*count)));
    }
    if let Err(failure) = target.down() {
        report.fail(failure.to_string());
    }
    Ok(report)
}

fn settings(args: &ConnectArgs, workers: u32, server: &Value) -> Value {
    json!({
        "transport": args.transport, "concurrency": args.common.concurrency, "workers": workers,
        "keep": args.keep, "tokens": args.tokens, "per_user": args.common.per_user,
        "duration_s": args.duration, "lead_s": args.lead, "seed": args.common.seed,
        "server": server,
    })
}

fn measure(
    args: &ConnectArgs,
    count: u32,
    target: &Target,
    sampler: &Sampler,
) -> Result<Found, Failure> {
    let mut workers = (0..count).map(|_| Worker::start()).collect::<Result<Vec<_>, _>>()?;
    progress(&format!("{} tokens are signed", grouped(args.tokens.into())));
    for (index, worker) in (0..count).zip(&mut workers) {
        worker.send(&Order::Prepare(order(args, target, index, count)))?;
    }
    let is_expected = |replies: &[Reply], expected: &Reply| {
        if replies.iter().all(|reply| reply == expected) { Ok(()) } else { Err(unasked()) }
    };
    is_expected(&receive_all(&mut workers, Duration::ZERO, |_| ())?, &Reply::Prepared)?;
    progress(&format!("connects for {} s", args.lead + args.duration));
    sampler.mark("connects");
    for worker in &mut workers {
        worker.send(&Order::Connect)?;
    }
    let passing = Passing::new(Duration::from_secs(args.lead + args.duration), "connects");
    let after = |workers: &mut [Worker], work_s| {
        receive_all(workers, Duration::from_secs(work_s), |count| passing.done(count))
    };
    is_expected(&after(&mut workers, args.lead)?, &Reply::Measuring)?;
    sampler.mark("measured from here");
    let server_cpu = || target.pid.map(Cpu::of).transpose();
    let cpus = |workers: &[Worker]| {
        workers.iter().map(|worker| Cpu::of(worker.pid())).collect::<Result<Vec<_>, _>>()
    };
    let (start, server, before) = (crate::clock::now_ns(), server_cpu()?, cpus(&workers)?);
    let replies = after(&mut workers, args.duration)?;
    let server = server_cpu()?.zip(server).map(|(end, start)| end.since(start));
    let elapsed_ns = crate::clock::now_ns() - start;
    let used = cpus(&workers)?.iter().zip(&before).map(|(end, start)| end.since(*start)).collect();
    let (connects, times) = sum(replies)?;
    let begin_ns = start - args.lead * NS_PER_S;
    Ok(Found { connects, times, server, workers: used, elapsed_ns, begin_ns })
}

/// The part of the load that falls to worker `index` of `count`.
fn order(args: &ConnectArgs, target: &Target, index: u32, count: u32) -> ConnectOrder {
    // At least one token for each worker.
    let (first, end) = share(0, args.tokens.max(count), index, count);
    let (keep_first, keep_end) = share(0, args.keep, index, count);
    let opening = super::opening(&args.common, target, args.transport);
    let source = opening.source.map(|first| apart(first, index));
    ConnectOrder {
        open: OpenOrder { first, end, source, ..opening },
        lead_s: args.lead,
        duration_s: args.duration,
        keep: keep_end - keep_first,
    }
}

/// Another network of local addresses for each worker: workers do not look for the same ports.
fn apart(first: std::net::Ipv4Addr, index: u32) -> std::net::Ipv4Addr {
    let [a, b, c, d] = first.octets();
    let network = (u32::from(b) + index) % 250 + 1;
    std::net::Ipv4Addr::new(a, u8::try_from(network).expect("at most 250"), c, d)
}

fn sum(replies: Vec<Reply>) -> Result<(Connects, Percentiles), Failure> {
    let (mut connects, mut times) = (Connects::default(), Latencies::new());
    for reply in replies {
        let Reply::Connects(found) = reply else { return Err(unasked()) };
        connects.begun += found.begun;
        connects.accepted += found.accepted;
        connects.elapsed_ns = connects.elapsed_ns.max(found.elapsed_ns);
        add_counts(&mut connects.errors, &found.errors);
        times.add(&found.times)?;
        connects.per_second.add(&found.per_second);
    }
    connects.times = times.buckets();
    Ok((connects, times.percentiles()))
}

fn tell_rate(report: &mut Report, transport: Transport, found: &Found) {
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
    let Some(server) = found.server else { return };
    let per_connect_us = ratio(server.used_ns, accepted) / 1000.0;
    let per_core = 1_000_000.0 / per_connect_us;
    let cores = ratio(server.used_ns, found.elapsed_ns.max(1));
    let note = "accept, handshake, connect and close; loopback bills receiving to the sender";
    report.figure("server CPU per connect", format!("{per_connect_us:.1} µs"), note);
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

fn tell_times(report: &mut Report, common: &CommonArgs, workers: u32, found: &Found) {
    let flying = common.concurrency.saturating_mul(workers);
    report.heading(format!(
        "time of a connect with {} in flight, from the first packet to its acceptance read",
        grouped(flying.into())
    ));
    for (label, ns) in [
        ("p50", found.times.p50_ns),
        ("p90", found.times.p90_ns),
        ("p99", found.times.p99_ns),
        ("max", found.times.max_ns),
    ] {
        report.figure(label, duration(ns), "");
    }
    report.result("connect_time", json!(found.times));
    report.result("connect_time_buckets_ns", json!(found.connects.times));
    let times = ("connect", &found.connects.times);
    report.plot(Plot::percentiles("Time of a connect by percentile", &[times]));
}

fn tell_harness(report: &mut Report, args: &ConnectArgs, found: &Found) {
    let busiest = found.workers.iter().map(|cpu| cpu.used_ns).max().unwrap_or(0);
    let share = ratio(busiest, found.elapsed_ns.max(1));
    let all: u64 = found.workers.iter().map(|cpu| cpu.used_ns).sum();
    report.heading("the harness itself");
    report.figure("CPU", format!("{:.0} %", share * 100.0), "of one core, the busiest worker");
    let per_connect = all / found.connects.accepted.max(1);
    report.figure("CPU per connect", duration(per_connect), "");
    report.result("harness_core_share_max", share);
    report.result("harness_cpu_ns_per_connect", per_connect);
    let used_again = found.connects.begun.saturating_sub(args.tokens.into());
    report.figure("connects with a used token", grouped(used_again), "fewer with more --tokens");
    report.result("begun", found.connects.begun);
    report.result("errors", json!(found.connects.errors));
    if share > BUSY {
        report.warn(
            "the harness was the bottleneck: connects per second and their times are its own \
             (--workers for more), the server's CPU per connect stands",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(accepted: u64, server_ns: u64) -> Found {
        Found {
            connects: Connects { accepted, elapsed_ns: 1_000_000_000, ..Connects::default() },
            times: Latencies::new().percentiles(),
            server: Some(Cpu { used_ns: server_ns, kept_waiting_ns: 0 }),
            workers: Vec::new(),
            elapsed_ns: 1_000_000_000,
            begin_ns: 0,
        }
    }

    #[test]
    fn sessions_per_core_are_those_a_second_of_cpu_would_pay_for() {
        let mut report = Report::new("connect", json!({}));
        tell_rate(&mut report, Transport::Websocket, &found(5_000, 250_000_000));
        let results = &report.json()["results"];
        assert_eq!(results["server_cpu_us_per_connect"], 50.0);
        assert_eq!(results["connects_per_second_and_server_core"], 20_000.0);
        assert!(!report.has_failures());
    }

    #[test]
    fn a_run_without_a_session_fails() {
        let mut report = Report::new("connect", json!({}));
        tell_rate(&mut report, Transport::Websocket, &found(0, 1));
        assert!(report.has_failures());
    }

    #[test]
    fn workers_add_up_and_start_from_other_addresses() {
        let one = |elapsed_ns, ns| {
            let errors = [("reset".to_owned(), 1)].into();
            Reply::Connects(Connects {
                begun: 3,
                accepted: 2,
                errors,
                elapsed_ns,
                times: vec![(ns, 2)],
                ..Connects::default()
            })
        };
        let (connects, times) = sum(vec![one(5, 1_000), one(7, 3_000)]).unwrap();
        assert_eq!((connects.begun, connects.accepted, connects.elapsed_ns), (6, 4, 7));
        assert_eq!((connects.errors["reset"], times.count), (2, 4));
        assert!(sum(vec![Reply::Prepared]).is_err());
        let first = std::net::Ipv4Addr::new(127, 250, 0, 2);
        assert_eq!(apart(first, 0), std::net::Ipv4Addr::new(127, 1, 0, 2));
        assert_ne!(apart(first, 0), apart(first, 1));
    }
}
