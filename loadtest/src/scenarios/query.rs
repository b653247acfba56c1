//! `query`: how long does the server take to say who is there, at a pace it does not choose?

use std::collections::BTreeMap;

use serde_json::json;

use super::meter::{BUSY, Meter, Used};
use super::{KEPT, Rig, Scenario, asking, doubt_shared_cores, query_load_from};
use crate::cli::{CommonArgs, QueryArgs};
use crate::clock::NS_PER_S;
use crate::failure::Failure;
use crate::fleet::Worker;
use crate::latency::Percentiles;
use crate::orders::{Measured, QueryOrder};
use crate::population::Crowd;
use crate::question::Question;
use crate::report::{Plot, Report, Unit, duration, grouped, progress, ratio};
use crate::sampler::Sampler;
use crate::target::Target;
use crate::transport::Transport;
use crate::versus::Headline;

impl Scenario for QueryArgs {
    const NAME: &'static str = "query";
    const HEADLINES: &'static [Headline] = &[
        Headline {
            result: "/server_cpu_us_per_query",
            label: "server CPU per query",
            unit: Unit::Microseconds,
        },
        Headline {
            result: "/queries_per_second_and_server_core",
            label: "queries per second and server core",
            unit: Unit::PerSecond,
        },
        Headline { result: "/server_cores", label: "server cores", unit: Unit::Cores },
        Headline { result: "/latency/p50_ns", label: "latency, p50", unit: Unit::Nanoseconds },
        Headline { result: "/latency/p99_ns", label: "latency, p99", unit: Unit::Nanoseconds },
    ];

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn transport(&self) -> Option<Transport> {
        self.opens_sessions().then(|| self.sessions_transport())
    }

    fn on(&self, common: CommonArgs) -> Self {
        Self { common, transport: Some(self.sessions_transport()), ..self.clone() }
    }

    fn run(&self) -> Result<Report, Failure> {
        run(self)
    }
}

fn run(args: &QueryArgs) -> Result<Report, Failure> {
    let mut rig = rig(args)?;
    let settings = json!({
        "transport": args.sessions_transport(), "sessions": args.sessions,
        "per_user": args.common.per_user, "rate": args.rate,
        "connections": args.connections, "duration_s": args.duration, "lead_s": args.lead,
        "seed": args.common.seed, "server": rig.target.told,
    });
    let mut report = Report::new("query", settings);
    rig.sampler.mark("queries");
    progress(&format!("{} queries per second for {} s", args.rate, args.lead + args.duration));
    let (measured, used) = measure(order(args, &rig), &rig.target, &rig.sampler)?;
    let tally = rig.judge(&mut report)?;
    report.result("sessions_held", tally.held);
    tell_rate(&mut report, args, rig.target.question, &measured, &used);
    tell_latency(&mut report, rig.target.question, &measured)?;
    tell_harness(&mut report, &measured, &used)?;
    tell_errors(&mut report, &measured.errors);
    let line = measured.per_second.line(
        rig.target.question.name(),
        rig.sampler.seconds(used.start_ns - args.lead * NS_PER_S),
        args.lead + args.duration,
    );
    report.plot(rig.sampler.over_time("Answers per second", Unit::PerSecond, vec![line]));
    rig.down(&mut report);
    Ok(report)
}

/// A server that has all sessions, or records of them.
fn rig(args: &QueryArgs) -> Result<Rig, Failure> {
    let (common, transport) = (&args.common, args.sessions_transport());
    if !args.opens_sessions() {
        return Rig::filled(common, args.sessions, transport);
    }
    let mut rig = Rig::up(common, args.sessions, transport)?;
    rig.sampler.mark("first session");
    rig.holders.open(0, args.sessions)?;
    Ok(rig)
}

/// The load these flags ask for.
fn order(args: &QueryArgs, rig: &Rig) -> QueryOrder {
    QueryOrder {
        connections: args.connections,
        rate: args.rate,
        lead_s: args.lead,
        duration_s: args.duration,
        ..asking(&args.common, &rig.target, Crowd::Held(rig.population))
    }
}

/// Carries a load out on this server.
pub(super) fn measure(
    order: QueryOrder,
    target: &Target,
    sampler: &Sampler,
) -> Result<(Measured, Used), Failure> {
    let mut worker = Worker::start()?;
    let pids = [worker.pid()];
    let (measured, meter) = query_load_from(&mut worker, order, || {
        sampler.mark("measured from here");
        Meter::start(target, &pids)
    })?;
    Ok((measured, meter.stop(target, &pids)?))
}

fn tell_rate(
    report: &mut Report,
    args: &QueryArgs,
    question: Question,
    measured: &Measured,
    used: &Used,
) {
    let achieved = pace(measured);
    report.heading(format!(
        "{}, {} sessions held, {} connections",
        question.name(),
        grouped(args.sessions.into()),
        args.connections
    ));
    report.figure("asked", format!("{} /s", grouped(args.rate)), "");
    report.figure("answered", format!("{achieved:.0} /s"), "");
    let delayed = ratio(measured.delayed * 100, measured.due);
    report.figure("waited", format!("{delayed:.2} %"), "no connection was free when due");
    report.result("rate_asked", args.rate);
    report.result("rate_answered", achieved);
    report.result("due", measured.due);
    report.result("answered", measured.answered);
    report.result("unanswered", measured.unanswered);
    report.result("unsent", measured.unsent);
    report.result("delayed", measured.delayed);
    if let Some((server, cores)) = used.server.zip(used.server_cores()) {
        let per_query = ratio(server.used_ns, measured.answered.max(1)) / 1000.0;
        doubt_shared_cores(report, server);
        let note = format!("{cores:.2} cores; loopback bills the receive work to the sender");
        report.figure("server CPU per query", format!("{per_query:.2} µs"), &note);
        let per_core = 1_000_000.0 / per_query;
        let note = "1 s ÷ CPU per query; at a higher pace a core sleeps less and does more";
        report.figure("per second and server core", format!("{per_core:.0}"), note);
        report.result("server_cpu_us_per_query", per_query);
        report.result("queries_per_second_and_server_core", per_core);
        report.result("server_cores", cores);
    }
    for doubt in doubts_of_pace(args.rate, measured) {
        report.warn(doubt);
    }
}

/// Queries answered per second.
fn pace(measured: &Measured) -> f64 {
    ratio(measured.answered, 1) / ratio(measured.elapsed_ns.max(1), NS_PER_S)
}

/// Why latencies at this rate may not be what they seem.
pub(super) fn doubts_of_pace(rate: u64, measured: &Measured) -> Vec<String> {
    let mut doubts = Vec::new();
    let achieved = pace(measured);
    if achieved < KEPT * ratio(rate, 1) {
        doubts.push(format!(
            "only {achieved:.0} of {rate} queries per second were answered: the latencies are \
             those of a growing queue"
        ));
    }
    if measured.unsent > 0 {
        doubts.push(format!(
            "{} queries were due and not sent when the run ended; they count with the time they \
             had waited by then",
            grouped(measured.unsent)
        ));
    }
    doubts
}

/// Says how long answers took.
pub(super) fn tell_latency(
    report: &mut Report,
    question: Question,
    measured: &Measured,
) -> Result<(), Failure> {
    let found = Percentiles::of(&measured.latency)?;
    report.heading("latency, from the instant a query was due to its answer read");
    for (label, ns) in found.labelled() {
        report.figure(label, duration(ns), "");
    }
    report.result("latency", json!(found));
    report.result("latency_buckets_ns", json!(measured.latency));
    let found = (question.name(), &measured.latency);
    report.plot(Plot::percentiles("Latency by percentile", &[found]));
    Ok(())
}

fn tell_harness(report: &mut Report, measured: &Measured, used: &Used) -> Result<(), Failure> {
    let tardiness = Percentiles::of(&measured.tardiness)?;
    let share = used.busiest();
    report.heading("the harness itself");
    report.figure("CPU", format!("{:.0} %", share * 100.0), "of one core, the querying worker");
    let late = |ns| if tardiness.count == 0 { "never free".to_owned() } else { duration(ns) };
    report.figure("sent late, p50", late(tardiness.p50_ns), "contained in the latencies above");
    report.figure("sent late, p99", late(tardiness.p99_ns), "");
    report.result("harness_core_share", share);
    report.result("harness_tardiness", json!(tardiness));
    for doubt in doubts_of_harness(measured, used)? {
        report.warn(doubt);
    }
    Ok(())
}

/// Why latencies may be the harness's own.
pub(super) fn doubts_of_harness(measured: &Measured, used: &Used) -> Result<Vec<String>, Failure> {
    let latency = Percentiles::of(&measured.latency)?;
    let tardiness = Percentiles::of(&measured.tardiness)?;
    let share = used.busiest();
    let mut doubts = Vec::new();
    if share > BUSY {
        doubts.push(format!(
            "the harness was the bottleneck ({:.0} % of a core): lower --rate; the latencies are \
             its own",
            share * 100.0
        ));
    }
    if tardiness.p99_ns > latency.p99_ns / 2 {
        let text = "half of the p99 or more is the harness sending late (a busy machine, or cores \
                    shared with the server): trust the server's CPU per query, not the tail";
        doubts.push(text.to_owned());
    }
    Ok(doubts)
}

fn tell_errors(report: &mut Report, errors: &BTreeMap<String, u64>) {
    let count: u64 = errors.values().sum();
    report.figure("wrong answers", grouped(count), "every answer's sessions are counted");
    report.result("errors", json!(errors));
    for (why, count) in errors {
        report.fail(format!("{} queries: {why}", grouped(*count)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::Cpu;

    fn report(errors: &[(&str, u64)], querier_ns: u64, late_ns: u64) -> Report {
        let mut report = Report::new("query", json!({}));
        let errors = errors.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect();
        let measured = Measured {
            latency: vec![(1_000_000, 100)],
            tardiness: vec![(late_ns, 100)],
            errors,
            ..Measured::default()
        };
        let querier = Cpu { used_ns: querier_ns, kept_waiting_ns: 0 };
        let workers = vec![querier];
        let used = Used { server: None, workers, start_ns: 0, elapsed_ns: 1_000_000_000 };
        tell_harness(&mut report, &measured, &used).unwrap();
        tell_errors(&mut report, &measured.errors);
        report
    }

    #[test]
    fn the_harness_says_when_it_is_the_bottleneck() {
        assert_eq!(report(&[], 500_000_000, 1_000).warnings().len(), 0);
        assert_eq!(report(&[], 900_000_000, 1_000).warnings().len(), 1);
        assert_eq!(report(&[], 900_000_000, 900_000).warnings().len(), 2);
    }

    #[test]
    fn a_single_wrong_answer_fails_the_run() {
        assert!(!report(&[], 0, 0).has_failures());
        assert!(report(&[("too few sessions listed", 1)], 0, 0).has_failures());
    }
}
