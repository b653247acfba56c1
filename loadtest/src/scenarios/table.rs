//! `table`: the figures that servers of sessions are compared by, each from the scenario that
//! measures it.

use clap::Parser;
use serde_json::{Value, json};

use super::Scenario;
use crate::cli::{Cli, Command, CommonArgs, TableArgs};
use crate::failure::{Context, Failure};
use crate::report::{Report, Unit, progress};
use crate::versus::{self, Spread, text};

/// One run and what is taken from it.
struct Part {
    command: &'static str,
    /// The same with as little load as shows that it works.
    quick: &'static str,
    figures: &'static [Figure],
}

struct Figure {
    label: &'static str,
    /// Where it stands in the results of the run, as a JSON pointer.
    result: &'static str,
    unit: Unit,
}

const PARTS: [Part; 4] = [
    Part {
        command: "idle -n 15000",
        quick: "idle -n 500 --ping-interval 2 --hold 4 --settle 1",
        figures: &[
            Figure {
                label: "server memory per idle session",
                result: "/rss_bytes_per_session_whole",
                unit: Unit::Bytes,
            },
            Figure {
                label: "server CPU per idle session and second",
                result: "/cpu_us_per_session_second",
                unit: Unit::Microseconds,
            },
        ],
    },
    Part {
        command: "connect-storm -d 10",
        quick: "connect-storm -d 1 --lead 0 --tokens 5000",
        figures: &[Figure {
            label: "new sessions with a JWT per second and core",
            result: "/connects_per_second_and_server_core",
            unit: Unit::PerSecond,
        }],
    },
    Part {
        command: "query -n 15000 -r 10000 -t websocket",
        quick: "query -n 500 -r 500 -d 1 --lead 0 -t websocket",
        figures: &[
            Figure {
                label: "queries for a user's sessions per second and core, at this pace",
                result: "/queries_per_second_and_server_core",
                unit: Unit::PerSecond,
            },
            Figure { label: "cores it took", result: "/server_cores", unit: Unit::Cores },
            Figure {
                label: "their latency, p50",
                result: "/latency/p50_ns",
                unit: Unit::Nanoseconds,
            },
            Figure {
                label: "their latency, p99",
                result: "/latency/p99_ns",
                unit: Unit::Nanoseconds,
            },
        ],
    },
    Part {
        command: "disconnect-all -n 15000",
        quick: "disconnect-all -n 300 -d 1 --settle 1",
        figures: &[
            Figure {
                label: "from the call to the socket gone, p50",
                result: "/gone_time/p50_ns",
                unit: Unit::Nanoseconds,
            },
            Figure {
                label: "from the call to the socket gone, p99",
                result: "/gone_time/p99_ns",
                unit: Unit::Nanoseconds,
            },
        ],
    },
];

/// Runs them all.
pub(crate) fn run(args: &TableArgs) -> Result<Report, Failure> {
    args.common.check()?;
    let mut report = Report::new("table", json!({"quick": args.quick}));
    if args.quick {
        report.warn("--quick: as little load as shows that it works; no figure is of use");
    }
    for part in &PARTS {
        let command = if args.quick { part.quick } else { part.command };
        progress(&format!("table: {command}"));
        report.heading(format!("rollcall-loadtest {command}"));
        let found = match measured(command, &args.common) {
            Ok(Some(found)) => found,
            Ok(None) => {
                report.warn(format!("{command}: {} cannot be asked this", args.common.kind()));
                continue;
            }
            // What is measured already is not thrown away.
            Err(failure) => {
                report.fail(format!("{command}: {failure}"));
                continue;
            }
        };
        for figure in part.figures {
            tell(&mut report, figure, &found);
        }
        for warning in found.warnings() {
            report.warn(format!("{command}: {warning}"));
        }
        for failure in found.failures() {
            report.fail(format!("{command}: {failure}"));
        }
        let (name, _) = command.split_once(' ').unwrap_or((command, ""));
        report.result(name, found.json());
    }
    Ok(report)
}

/// What this command finds on the server that `common` says; `None` if it is not for that server.
fn measured(command: &str, common: &CommonArgs) -> Result<Option<Report>, Failure> {
    let line = std::iter::once("rollcall-loadtest").chain(command.split(' '));
    let parsed = Cli::try_parse_from(line).during("reading a command of the table")?;
    match parsed.command {
        Command::Idle(args) => on(&args, common),
        Command::ConnectStorm(args) => on(&args, common),
        Command::Query(args) => on(&args, common),
        Command::DisconnectAll(args) => on(&args, common),
        Command::Churn(_)
        | Command::SlowClients(_)
        | Command::Synthetic(_)
        | Command::Table(_)
        | Command::Worker => Err(Failure::new("no figure of the table comes from it")),
    }
}

fn on<S: Scenario>(scenario: &S, common: &CommonArgs) -> Result<Option<Report>, Failure> {
    if !S::can_ask(common.kind()) {
        return Ok(None);
    }
    versus::run(&scenario.on(scenario.common().over(common))).map(Some)
}

/// One figure, and that of the other server where there is one.
fn tell(report: &mut Report, figure: &Figure, found: &Report) {
    let Figure { label, result, unit } = figure;
    if let Some(alone) = found.figure_of(result) {
        return report.figure(label, text(*unit, alone), "");
    }
    let json = found.json();
    let compared = &json["results"][result.trim_start_matches('/')];
    let sides = compared.as_object().into_iter().flatten().filter(|(name, _)| *name != "ratio");
    let told: Vec<_> = sides.filter_map(|(name, runs)| Some((name, median(runs)?))).collect();
    if told.is_empty() {
        return report.warn(format!("{label}: not measured"));
    }
    for (name, value) in told {
        report.figure(&format!("{label}: {name}"), text(*unit, value), "");
    }
    if let Some(ratio) = compared["ratio"]["middle"].as_f64() {
        report.figure("  ratio to rollcall", format!("{ratio:.2}"), "median of the pairs");
    }
}

fn median(runs: &Value) -> Option<f64> {
    let figures: Option<Vec<f64>> = runs.as_array()?.iter().map(Value::as_f64).collect();
    figures.filter(|figures| !figures.is_empty()).map(|figures| Spread::of(&figures).middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_table_can_be_read_and_is_measured_by_a_scenario() {
        for part in &PARTS {
            for command in [part.command, part.quick] {
                let line = std::iter::once("rollcall-loadtest").chain(command.split(' '));
                let parsed = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
                assert!(
                    !matches!(parsed.command, Command::Table(_) | Command::Worker),
                    "{command}"
                );
            }
        }
    }

    /// The lines of a table that has one figure, taken from these results.
    fn told(results: &[(&str, Value)]) -> String {
        let mut found = Report::new("idle", json!({}));
        for (name, value) in results {
            found.result(name, value.clone());
        }
        let mut report = Report::new("table", json!({}));
        let figure = Figure { label: "memory", result: "/bytes", unit: Unit::Bytes };
        tell(&mut report, &figure, &found);
        report.table()
    }

    #[test]
    fn a_figure_of_one_server_or_of_two_is_told() {
        assert!(told(&[("bytes", json!(290.0))]).contains("memory  290 B"));
        let compared = json!({"rollcall": [280.0, 300.0], "axum": [900.0, 860.0],
                              "ratio": {"pairs": [3.2, 2.9], "middle": 3.05}});
        let table = told(&[("bytes", compared)]);
        for line in ["memory: rollcall  290 B", "memory: axum  880 B", "ratio to rollcall  3.05"] {
            let words: Vec<_> = line.split_whitespace().collect();
            let has = |row: &str| row.split_whitespace().collect::<Vec<_>>().starts_with(&words);
            assert!(table.lines().any(has), "{line} in {table}");
        }
        assert!(told(&[]).contains("WARNING: memory: not measured"));
    }
}
