//! `connect-storm --sessions N`: everybody comes back, as after a restart, as fast as so many
//! connects in flight allow. How long until all are in, and who is not?

use std::time::Duration;

use serde_json::json;

use super::connect_storm::{Found, prepare, tell_harness, tell_rate, tell_times};
use super::meter::Meter;
use super::{Rig, rest};
use crate::cli::ConnectStormArgs;
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::fleet::{receive_all, send_all, unasked};
use crate::latency::{self, Buckets, Percentiles};
use crate::orders::{Connects, Order, Reply};
use crate::report::{Plot, Report, duration, grouped, progress};

/// Time for every worker to hear when the storm begins.
const NOTICE_NS: u64 = 200_000_000;

/// How long all of it may take.
const STORM: Duration = Duration::from_secs(600);

/// Runs the scenario.
pub(super) fn run(args: &ConnectStormArgs, sessions: u32) -> Result<Report, Failure> {
    let mut rig = Rig::up(&args.common, sessions, args.transport)?;
    let workers = rig.holders.workers().len();
    let settings = json!({
        "transport": args.transport, "sessions": sessions, "workers": workers,
        "concurrency": args.common.concurrency, "per_user": args.common.per_user,
        "seed": args.common.seed, "server": rig.target.told,
    });
    let mut report = Report::new("connect-storm", settings);
    rig.sampler.mark("storm");
    let (found, waits) = measure(args, sessions, &mut rig)?;
    rest(1, "whoever is in must stay in");
    let accepted = found.connects.accepted;
    let refused: u64 = found.connects.errors.values().sum();
    let workers = u32::try_from(workers).expect("counted as u32");
    let flying = args.common.concurrency.saturating_mul(workers);
    tell_arrival(&mut report, (sessions, flying), &found.connects, &waits)?;
    tell_rate(&mut report, args.transport, &found);
    tell_times(&mut report, flying, &found)?;
    tell_harness(&mut report, &found);
    report.result("refused", refused);
    if args.common.is_rollcall() {
        let counted = rig.target.api()?.info()?.num_clients;
        if counted != accepted {
            report.fail(format!("the server counts {counted} sessions, {accepted} were accepted"));
        }
    }
    // Who is missing among the refused is not known: only a full house can be checked by user.
    if refused == 0 {
        rig.judge(&mut report)?
    } else {
        rig.judge_held(&mut report)?
    };
    rig.down(&mut report);
    Ok(report)
}

fn measure(
    args: &ConnectStormArgs,
    sessions: u32,
    rig: &mut Rig,
) -> Result<(Found, Buckets), Failure> {
    let pids = rig.holders.pids();
    let (target, workers) = (&rig.target, rig.holders.workers());
    prepare(args, target, sessions, workers)?;
    progress(&format!("{} clients connect", grouped(sessions.into())));
    let meter = Meter::start(target, &pids)?;
    let at_ns = now_ns() + NOTICE_NS;
    send_all(workers, |_, _| Order::Storm { at_ns })?;
    let mut connects = Connects::default();
    let mut waits = Vec::new();
    for reply in receive_all(workers, STORM, |_| ())? {
        let Reply::Stormed(stormed) = reply else { return Err(unasked()) };
        connects.add(&stormed.connects)?;
        waits = latency::sum(&[&waits, &stormed.waits])?;
    }
    let mut used = meter.stop(target, &pids)?;
    // Until the storm began nothing was used.
    used.elapsed_ns -= NOTICE_NS;
    Ok((Found { connects, used, work: "accept, handshake and connect" }, waits))
}

/// Says when so many sessions were in, with so many connects in flight.
fn tell_arrival(
    report: &mut Report,
    (sessions, flying): (u32, u32),
    connects: &Connects,
    waits: &Buckets,
) -> Result<(), Failure> {
    let in_after = Percentiles::of(waits)?;
    report.heading(format!(
        "{} clients come, as fast as {} in flight allow",
        grouped(sessions.into()),
        grouped(flying.into())
    ));
    let left_out = u64::from(sessions) - connects.accepted;
    let note = format!("{} were not let in", grouped(left_out));
    let label = if left_out == 0 { "all in after" } else { "the last one in after" };
    report.figure(label, duration(connects.elapsed_ns), &note);
    for (label, ns) in [("half in after", in_after.p50_ns), ("99 % in after", in_after.p99_ns)] {
        report.figure(label, duration(ns), "");
    }
    report.result("all_in_after_ns", connects.elapsed_ns);
    report.result("in_after", json!(in_after));
    report.result("in_after_buckets_ns", json!(waits));
    let waited = ("from the begin of the storm", waits);
    report.plot(Plot::percentiles("When clients were in, by percentile", &[waited]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_let_in_is_counted() {
        let mut report = Report::new("connect-storm", json!({}));
        let connects = Connects { accepted: 7, elapsed_ns: 3_000, ..Connects::default() };
        for (sessions, label) in [(7, "all in after"), (10, "the last one in after")] {
            let waits = vec![(1_000, 6), (3_000, 1)];
            tell_arrival(&mut report, (sessions, 4), &connects, &waits).unwrap();
            assert!(report.table().contains(label), "{}", report.table());
        }
        let results = &report.json()["results"];
        assert_eq!(results["all_in_after_ns"], 3_000);
        assert_eq!(results["in_after"]["count"], 7);
    }
}
