//! Rollcall and another server side by side: the same scenario on each in turn, A B A B, both
//! fresh every time; told as what each needs and the ratio, pair by pair, so that what changes on
//! the machine meanwhile shows as spread.

use serde_json::json;

use crate::failure::{Context, Failure};
use crate::report::{Line, Plot, Report, Unit, bytes, duration, progress, whole};
use crate::scenarios::Scenario;
use crate::target::{Kind, Target};

/// A result two servers are compared by.
pub(crate) struct Headline {
    /// Where it stands in the results, as a JSON pointer.
    pub(crate) result: &'static str,
    pub(crate) label: &'static str,
    pub(crate) unit: Unit,
}

/// One run on one of the two.
struct Run {
    kind: Kind,
    round: u32,
    report: Report,
}

/// Runs it beside Rollcall if another server is to be started, else on the one server there is.
pub(crate) fn run<S: Scenario>(scenario: &S) -> Result<Report, Failure> {
    scenario.common().check()?;
    let kind = scenario.common().kind();
    if !S::can_ask(kind) {
        return Err(Failure::new(format!("{kind} has not what {} asks for", S::NAME)));
    }
    match scenario.common().beside() {
        Some(other) => side_by_side(scenario, other),
        None => scenario.run(),
    }
}

fn side_by_side<S: Scenario>(scenario: &S, other: Kind) -> Result<Report, Failure> {
    let common = scenario.common();
    let sides = [Kind::Rollcall, other].map(|kind| (kind, scenario.on(common.on(kind))));
    for (_, side) in &sides {
        Target::check_startable(side.common(), side.transport())?;
    }
    let rounds = common.rounds();
    let settings = json!({"target": other, "rounds": rounds});
    let mut report = Report::new(S::NAME, settings);
    let mut runs = Vec::new();
    for round in 1..=rounds {
        match one_round(&sides, round, rounds) {
            Ok(pair) => runs.extend(pair),
            // The rounds before stand, without a pair that is not whole.
            Err(failure) => {
                report.fail(failure.to_string());
                break;
            }
        }
    }
    tell(&mut report, S::HEADLINES, other, &runs);
    Ok(report)
}

/// The scenario on both sides, one after the other.
fn one_round<S: Scenario>(
    sides: &[(Kind, S); 2],
    round: u32,
    rounds: u32,
) -> Result<Vec<Run>, Failure> {
    let run = |(kind, side): &(Kind, S)| {
        progress(&format!("round {round} of {rounds}: {kind}"));
        let report = side.run().during(&format!("round {round}, {kind}"))?;
        Ok(Run { kind: *kind, round, report })
    };
    sides.iter().map(run).collect()
}

fn tell(report: &mut Report, headlines: &[Headline], other: Kind, runs: &[Run]) {
    for headline in headlines {
        compare(report, headline, other, runs);
    }
    for Run { kind, round, report: single } in runs {
        for warning in single.warnings() {
            report.warn(format!("round {round}, {kind}: {warning}"));
        }
        for failure in single.failures() {
            report.fail(format!("round {round}, {kind}: {failure}"));
        }
    }
    for plot in overlaid(runs) {
        report.plot(plot);
    }
    let every = runs.iter().map(|Run { kind, round, report }| {
        json!({"server": kind, "round": round, "report": report.json()})
    });
    report.result("runs", every.collect::<Vec<_>>());
}

/// Tells one figure of both and their ratio.
fn compare(report: &mut Report, headline: &Headline, other: Kind, runs: &[Run]) {
    let Headline { result, label, unit } = headline;
    let of = |kind| {
        let runs = runs.iter().filter(|run| run.kind == kind);
        runs.map(|run| run.report.figure_of(result)).collect::<Option<Vec<f64>>>()
    };
    let measured = of(Kind::Rollcall).zip(of(other)).filter(|(ours, _)| !ours.is_empty());
    let Some((ours, theirs)) = measured else {
        return report.warn(format!("{label}: not measured on both servers"));
    };
    report.heading(*label);
    for (kind, figures) in [(Kind::Rollcall, &ours), (other, &theirs)] {
        let spread = Spread::of(figures);
        let range = format!("{} … {}", text(*unit, spread.min), text(*unit, spread.max));
        report.figure(kind.name(), text(*unit, spread.middle), &range);
    }
    let mut compared = json!({"rollcall": ours, other.name(): theirs});
    if ours.iter().all(|figure| *figure > 0.0) {
        let pairs = ours.iter().zip(&theirs);
        let ratios: Vec<_> = pairs.map(|(ours, theirs)| theirs / ours).collect();
        let Spread { min, middle, max } = Spread::of(&ratios);
        let range = format!("{min:.2} … {max:.2} over {} pairs", ratios.len());
        report.figure(&format!("{other} ÷ rollcall"), format!("{middle:.2}"), &range);
        compared["ratio"] = json!({"pairs": ratios, "min": min, "middle": middle, "max": max});
    } else {
        report.warn(format!("{label}: no ratio, for a figure of rollcall is not above zero"));
    }
    report.result(result.trim_start_matches('/'), compared);
}

/// The range of some figures.
pub(crate) struct Spread {
    min: f64,
    /// The median.
    pub(crate) middle: f64,
    max: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
        let last = sorted.len() - 1;
        Self { min: sorted[0], middle: f64::midpoint(sorted[low], sorted[high]), max: sorted[last] }
    }
}

/// The drawings of the last round, those of the same title in one.
fn overlaid(runs: &[Run]) -> Vec<Plot> {
    let last = runs.last().map_or(0, |run| run.round);
    let mut plots: Vec<Plot> = Vec::new();
    for Run { kind, report, .. } in runs.iter().filter(|run| run.round == last) {
        for plot in report.plots() {
            let named = |line: &Line| Line {
                name: format!("{kind}: {}", line.name),
                points: line.points.clone(),
            };
            let lines = plot.lines.iter().map(named);
            match plots.iter_mut().find(|found| found.title == plot.title) {
                Some(found) => {
                    found.lines.extend(lines);
                    // What begins when is different on each.
                    found.marks.clear();
                }
                None => plots.push(Plot { lines: lines.collect(), ..plot.clone() }),
            }
        }
    }
    plots
}

/// A figure at a glance.
pub(crate) fn text(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Bytes => bytes(value),
        Unit::Nanoseconds => duration(whole(value)),
        Unit::Microseconds => format!("{value:.3} µs"),
        Unit::PerSecond => format!("{value:.0} /s"),
        Unit::Seconds => format!("{value:.3} s"),
        Unit::Cores => format!("{value:.2} cores"),
        Unit::Sessions | Unit::Percentile => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    const HEADLINES: [Headline; 2] = [
        Headline { result: "/bytes", label: "memory", unit: Unit::Bytes },
        Headline { result: "/latency/p50_ns", label: "median", unit: Unit::Nanoseconds },
    ];

    /// A run with these results.
    fn run(kind: Kind, round: u32, bytes: f64, p50_ns: u64) -> Run {
        let mut report = Report::new("query", json!({}));
        report.result("bytes", bytes);
        report.result("latency", json!({"p50_ns": p50_ns}));
        report.plot(Plot::percentiles("Latency", &[("x", &vec![(p50_ns, 1)])]));
        Run { kind, round, report }
    }

    fn told(runs: &[Run]) -> Report {
        let mut report = Report::new("query", json!({}));
        tell(&mut report, &HEADLINES, Kind::Axum, runs);
        report
    }

    #[test]
    fn what_a_server_has_not_is_not_asked_of_it() {
        for flags in ["--target centrifuge", "--target axum --alone", "--target redis"] {
            for scenario in ["churn", "disconnect-all", "slow-clients", "synthetic"] {
                let line = format!("x {scenario} --server /nowhere {flags}");
                let error = match Cli::parse_from(line.split(' ')).command {
                    Command::Churn(args) => super::run(&args),
                    Command::DisconnectAll(args) => super::run(&args),
                    Command::SlowClients(args) => super::run(&args),
                    Command::Synthetic(args) => super::run(&args),
                    Command::Idle(_)
                    | Command::ConnectStorm(_)
                    | Command::Query(_)
                    | Command::Table(_)
                    | Command::Worker => panic!("{line}"),
                };
                let error = error.err().map(|failure| failure.to_string()).unwrap_or_default();
                assert!(
                    error.contains(&format!("has not what {scenario} asks for")),
                    "{line}: {error}"
                );
            }
        }
    }

    #[test]
    fn each_pair_has_a_ratio_and_every_run_is_kept() {
        let report = told(&[
            run(Kind::Rollcall, 1, 100.0, 1_000),
            run(Kind::Axum, 1, 400.0, 3_000),
            run(Kind::Rollcall, 2, 200.0, 1_000),
            run(Kind::Axum, 2, 400.0, 5_000),
        ]);
        let results = &report.json()["results"];
        assert_eq!(results["bytes"]["axum"], json!([400.0, 400.0]));
        assert_eq!(results["bytes"]["ratio"]["pairs"], json!([4.0, 2.0]));
        let ratio = &results["latency/p50_ns"]["ratio"];
        assert_eq!(
            (&ratio["min"], &ratio["middle"], &ratio["max"]),
            (&json!(3.0), &json!(4.0), &json!(5.0))
        );
        assert_eq!(results["runs"].as_array().unwrap().len(), 4);
        assert_eq!(results["runs"][1]["server"], "axum");
        assert!(report.table().contains("axum ÷ rollcall    3.00  2.00 … 4.00 over 2 pairs"));
    }

    #[test]
    fn what_went_wrong_on_a_side_is_wrong_and_says_where() {
        let mut bad = run(Kind::Axum, 1, 1.0, 1);
        bad.report.fail("lost a session");
        bad.report.warn("busy");
        let report = told(&[run(Kind::Rollcall, 1, 1.0, 1), bad]);
        assert_eq!(report.failures(), ["round 1, axum: lost a session"]);
        assert_eq!(report.warnings(), ["round 1, axum: busy"]);
    }

    #[test]
    fn no_ratio_is_made_up_where_a_figure_is_missing_or_not_above_zero() {
        let mut lacking = run(Kind::Axum, 1, 1.0, 1);
        lacking.report = Report::new("query", json!({}));
        let report = told(&[run(Kind::Rollcall, 1, 1.0, 1), lacking]);
        assert_eq!(report.warnings().len(), 2);
        let report = told(&[run(Kind::Rollcall, 1, -1.0, 1), run(Kind::Axum, 1, 1.0, 1)]);
        assert_eq!(report.warnings().len(), 1);
        assert_eq!(report.json()["results"]["bytes"].get("ratio"), None);
    }

    #[test]
    fn drawings_of_the_last_round_are_laid_over_each_other() {
        let runs =
            [1, 2].map(|round| [Kind::Rollcall, Kind::Axum].map(|kind| run(kind, round, 1.0, 1)));
        let plots = overlaid(&runs.into_iter().flatten().collect::<Vec<_>>());
        let names: Vec<_> = plots[0].lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!((plots.len(), names), (1, vec!["rollcall: x", "axum: x"]));
    }
}
