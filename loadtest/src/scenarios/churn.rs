//! `churn`: sessions come and go while queries run. Is every answer right, and what does it cost?
//!
//! Each worker owns some users, opens and closes their sessions, and asks for them alone: so it
//! knows at each answer who must be listed, who may be and who must not.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::meter::{Meter, Used};
use super::{KEPT, Rig, Scenario, asking, query};
use crate::cli::{ChurnArgs, CommonArgs};
use crate::clock::{NS_PER_S, now_ns};
use crate::failure::Failure;
use crate::fleet::{await_all, receive_all, send_all, share, unasked};
use crate::latency::Percentiles;
use crate::orders::{ChurnOrder, Churned, OpenOrder, Order, QueryOrder, Reply, add_counts};
use crate::population::Crowd;
use crate::question::Question;
use crate::rate::PerSecond;
use crate::report::{Passing, Plot, Report, Unit, duration, grouped, progress, ratio};
use crate::transport::Transport;
use crate::versus::Headline;

/// How long the server may take to count its sessions right once nobody comes or goes.
const SETTLED_NS: u64 = 5_000_000_000;

/// How long the first sessions may take to open.
const GATHERING: Duration = Duration::from_secs(600);

/// Pause between two looks at the count.
const LOOK: Duration = Duration::from_millis(50);

impl Scenario for ChurnArgs {
    const NAME: &'static str = "churn";
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

fn run(args: &ChurnArgs) -> Result<Report, Failure> {
    let common = &args.common;
    // Those on their way and the connections of queries need descriptors too.
    let extra = common.concurrency.saturating_add(2 * args.connections);
    let mut rig = Rig::up(common, args.sessions.saturating_add(extra), args.transport)?;
    let workers = rig.holders.workers().len();
    let mut report = Report::new("churn", settings(args, workers, &rig.target.told));
    if population_is_too_small(args, workers) {
        return Err(Failure::new(format!(
            "each of {workers} workers needs a user of its own: fewer --workers, fewer sessions \
             --per-user or more --sessions"
        )));
    }
    progress(&format!("{} sessions are opened", grouped(args.sessions.into())));
    gather(args, &mut rig)?;
    let (churned, used) = measure(args, &mut rig)?;
    tell_turnover(&mut report, args, &churned)?;
    tell_queries(&mut report, args, rig.target.question, &churned)?;
    tell_cost(&mut report, &churned, &used);
    tell_accuracy(&mut report, &churned);
    let held = rig.judge_held(&mut report)?.held;
    report.result("sessions_held", held);
    if let Some(counted) = counted_otherwise(&rig, held)? {
        report.fail(format!("the server counts {counted} sessions, {held} are there"));
    }
    let per_second = |counts: &PerSecond, name: &str| {
        let begin = used.start_ns - args.lead * NS_PER_S;
        let line = counts.line(name, rig.sampler.seconds(begin), args.lead + args.duration);
        rig.sampler.over_time(&format!("{name} per second"), Unit::PerSecond, vec![line])
    };
    report.plot(per_second(&churned.arrivals.per_second, "Sessions that came"));
    report.plot(per_second(&churned.queries.per_second, "Answers"));
    rig.down(&mut report);
    Ok(report)
}

fn population_is_too_small(args: &ChurnArgs, workers: usize) -> bool {
    (args.sessions.div_ceil(args.common.per_user) as usize) < workers
}

fn settings(args: &ChurnArgs, workers: usize, server: &Value) -> Value {
    json!({
        "transport": args.transport, "sessions": args.sessions, "rate": args.rate,
        "query_rate": args.query_rate, "connections": args.connections, "parting": args.parting,
        "leaver": args.leaver, "grace_s": args.grace, "duration_s": args.duration,
        "lead_s": args.lead, "concurrency": args.common.concurrency, "workers": workers,
        "per_user": args.common.per_user, "seed": args.common.seed, "server": server,
    })
}

fn gather(args: &ChurnArgs, rig: &mut Rig) -> Result<(), Failure> {
    let target = &rig.target;
    let population = rig.population(args.sessions);
    let opening = super::opening(&args.common, target, args.transport);
    let part = |whole: u64, index: u32, count: u32| {
        // At least one, so that every worker does what the others do.
        let (first, end) = share(0, u32::try_from(whole).unwrap_or(u32::MAX), index, count);
        u64::from((end - first).max(1))
    };
    let order = |index: u32, count: u32| {
        let (first, end) = share(0, population.users(), index, count);
        let session = |user: u32| (user * population.per_user).min(args.sessions);
        let seed = args.common.seed + u64::from(index);
        let query = QueryOrder {
            connections: u32::try_from(part(args.connections.into(), index, count))
                .expect("at most what was asked"),
            rate: part(args.query_rate, index, count),
            lead_s: args.lead,
            duration_s: args.duration,
            seed,
            ..asking(&args.common, target, Crowd::Held(population))
        };
        let open = OpenOrder {
            first: session(first),
            end: session(end),
            seed,
            source: opening.source.map(|first| super::apart(first, index)),
            ..opening.clone()
        };
        Order::Gather(ChurnOrder {
            open,
            rate: part(args.rate, index, count),
            parting: args.parting,
            leaver: args.leaver,
            grace_s: args.grace,
            query,
        })
    };
    send_all(rig.holders.workers(), order)?;
    for reply in receive_all(rig.holders.workers(), GATHERING, |_| ())? {
        let Reply::Opened { .. } = reply else { return Err(unasked()) };
    }
    Ok(())
}

fn measure(args: &ChurnArgs, rig: &mut Rig) -> Result<(Churned, Used), Failure> {
    let ChurnArgs { rate, query_rate, lead, duration, grace, .. } = args;
    progress(&format!(
        "{rate} sessions per second come and go, {query_rate} queries per second, {} s",
        lead + duration
    ));
    let pids = rig.holders.pids();
    let (target, workers) = (&rig.target, rig.holders.workers());
    send_all(workers, |_, _| Order::Churn)?;
    let (lead, work) = (Duration::from_secs(*lead), Duration::from_secs(*duration));
    let passing = Passing::new(lead + work, "queries");
    let done = |count| passing.done(count);
    rig.sampler.mark("come and go");
    await_all(workers, &Reply::Measuring, lead, done)?;
    rig.sampler.mark("measured from here");
    let meter = Meter::start(target, &pids)?;
    await_all(workers, &Reply::LoadOver, work, done)?;
    let used = meter.stop(target, &pids)?;
    // A user a millisecond at the least, when all is quiet at the end.
    let sweep = Duration::from_secs(grace + u64::from(args.sessions / 1000));
    let mut churned = Churned::default();
    for reply in receive_all(workers, sweep, |_| ())? {
        let Reply::Churned(found) = reply else { return Err(unasked()) };
        churned.add(&found)?;
    }
    Ok((churned, used))
}

/// What the server counts if that is not what is held, also after a while.
fn counted_otherwise(rig: &Rig, held: u64) -> Result<Option<u64>, Failure> {
    let mut api = rig.target.api()?;
    let give_up = now_ns() + SETTLED_NS;
    loop {
        let counted = api.info()?.num_clients;
        if counted == held {
            return Ok(None);
        }
        if now_ns() > give_up {
            return Ok(Some(counted));
        }
        sleep(LOOK);
    }
}

fn tell_turnover(report: &mut Report, args: &ChurnArgs, churned: &Churned) -> Result<(), Failure> {
    let arrivals = &churned.arrivals;
    let times = Percentiles::of(&arrivals.times)?;
    report.heading(format!(
        "{} {} sessions held, {} per second come and go",
        grouped(args.sessions.into()),
        args.transport,
        grouped(args.rate)
    ));
    let rate = ratio(arrivals.accepted, 1) / ratio(args.duration, 1);
    report.figure("came", format!("{rate:.0} /s"), "accepted, after the lead");
    let gone = ratio(churned.departures, 1) / ratio(args.duration, 1);
    report.figure("went", format!("{gone:.0} /s"), "");
    let delayed = ratio(churned.delayed * 100, args.rate * args.duration);
    let note = "of those who came: --concurrency others were on their way when due";
    report.figure("waited", format!("{delayed:.2} %"), note);
    for (label, ns) in [
        ("connect p50", times.p50_ns),
        ("connect p99", times.p99_ns),
        ("connect max", times.max_ns),
    ] {
        report.figure(label, duration(ns), "from the instant each was due to its acceptance");
    }
    report.result("arrivals_per_second", rate);
    report.result("departures_per_second", gone);
    report.result("arrivals_delayed", churned.delayed);
    report.result("connect_time", json!(times));
    report.result("connect_time_buckets_ns", json!(arrivals.times));
    report.plot(Plot::percentiles(
        "Time of a connect by percentile, while sessions come and go",
        &[("connect", &arrivals.times)],
    ));
    for (why, count) in &arrivals.errors {
        report.fail(format!("{} connects: {why}", grouped(*count)));
    }
    if rate < KEPT * ratio(args.rate, 1) {
        report.warn(format!("only {rate:.0} of {} sessions per second came", args.rate));
    }
    Ok(())
}

fn tell_queries(
    report: &mut Report,
    args: &ChurnArgs,
    question: Question,
    churned: &Churned,
) -> Result<(), Failure> {
    let queries = &churned.queries;
    let answered = ratio(queries.answered, 1) / ratio(queries.elapsed_ns.max(1), 1_000_000_000);
    query::tell_latency(report, question, queries)?;
    report.figure("answered", format!("{answered:.0} /s"), &format!("of {}", args.query_rate));
    report.result("queries_answered_per_second", answered);
    for doubt in query::doubts_of_pace(args.query_rate, queries) {
        report.warn(doubt);
    }
    Ok(())
}

fn tell_cost(report: &mut Report, churned: &Churned, used: &Used) {
    used.tell_server(report, "queries, arrivals and departures");
    used.tell_harness(
        report,
        "times are its own (--workers for more, or lower rates); what answers listed is judged \
         all the same",
    );
    report.result("begun", churned.arrivals.begun);
}

fn tell_accuracy(report: &mut Report, churned: &Churned) {
    let mut wrong = churned.queries.errors.clone();
    add_counts(&mut wrong, &churned.wrong);
    report.heading("accuracy: what every answer listed, against what its worker knew");
    report.figure("answers judged", grouped(churned.queries.answered + churned.swept), "");
    report.figure(
        "had to be listed",
        grouped(churned.judged.certain),
        "sessions, over all answers",
    );
    let note = "sessions that were coming or going: listed or not, both is right";
    report.figure("in doubt", grouped(churned.judged.doubtful), note);
    let note = "users asked for when nobody came or went any more";
    report.figure("swept", grouped(churned.swept), note);
    report.figure("wrong", grouped(wrong.values().sum()), "each fails the run");
    report.result("sessions_certain", churned.judged.certain);
    report.result("sessions_doubtful", churned.judged.doubtful);
    report.result("users_swept", churned.swept);
    report.result("wrong", json!(wrong));
    tell_wrong(report, &wrong);
}

fn tell_wrong(report: &mut Report, wrong: &BTreeMap<String, u64>) {
    for (why, count) in wrong {
        report.fail(format!("{} times: {why}", grouped(*count)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_wrong_answer_fails_the_run_by_name() {
        let wrong = "a session that ended is still listed";
        for (in_queries, at_the_end) in [(0, 0), (1, 0), (0, 1)] {
            let mut churned = Churned::default();
            let counts = |count| [(wrong.to_owned(), count)].into_iter().filter(|(_, n)| *n > 0);
            churned.queries.errors = counts(in_queries).collect();
            churned.wrong = counts(at_the_end).collect();
            let mut report = Report::new("churn", json!({}));
            tell_accuracy(&mut report, &churned);
            assert_eq!(report.has_failures(), in_queries + at_the_end > 0);
            assert_eq!(report.json()["results"]["wrong"][wrong].is_null(), !report.has_failures());
        }
    }
}
