//! What a run found: a table for a person, JSON for a machine, warnings where a figure may
//! mislead.

mod html;
mod live;
mod origin;
mod plot;

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::failure::{Context, Failure};
use crate::procfs::Machine;
pub(crate) use live::{Growing, Passing, pause, progress, server_now};
use origin::Origin;
pub(crate) use plot::{Line, Mark, Plot, Unit};

/// This program, as a report names it.
const TOOL: &str = concat!("rollcall-loadtest ", env!("CARGO_PKG_VERSION"));

/// The findings of one run.
pub(crate) struct Report {
    scenario: &'static str,
    origin: Origin,
    machine: Machine,
    settings: Value,
    rows: Vec<Row>,
    results: Map<String, Value>,
    plots: Vec<Plot>,
    warnings: Vec<String>,
    failures: Vec<String>,
}

enum Row {
    Heading(String),
    Figure { label: String, value: String, note: String },
}

impl Report {
    pub(crate) fn new(scenario: &'static str, settings: Value) -> Self {
        Self {
            scenario,
            origin: Origin::of_this_process(),
            machine: Machine::this(),
            settings,
            rows: Vec::new(),
            results: Map::new(),
            plots: Vec::new(),
            warnings: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        self.rows.push(Row::Heading(text.into()));
    }

    /// A line of the table. What it says is also put into the JSON, by [`Self::result`].
    pub(crate) fn figure(&mut self, label: &str, value: impl Into<String>, note: &str) {
        let (label, note) = (label.to_owned(), note.to_owned());
        self.rows.push(Row::Figure { label, value: value.into(), note });
    }

    /// A value of the JSON form.
    pub(crate) fn result(&mut self, name: &str, value: impl Into<Value>) {
        self.results.insert(name.to_owned(), value.into());
    }

    /// A drawing of the HTML form; its numbers are in the JSON too.
    pub(crate) fn plot(&mut self, plot: Plot) {
        self.plots.push(plot);
    }

    /// A reason to doubt a figure.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    /// Something the server did wrong: the run counts as failed.
    pub(crate) fn fail(&mut self, text: impl Into<String>) {
        self.failures.push(text.into());
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn plots(&self) -> &[Plot] {
        &self.plots
    }

    /// A number among the results, by its JSON pointer.
    pub(crate) fn figure_of(&self, pointer: &str) -> Option<f64> {
        let (name, inner) =
            pointer.strip_prefix('/')?.split_once('/').unwrap_or((&pointer[1..], ""));
        let result = self.results.get(name)?;
        if inner.is_empty() {
            result.as_f64()
        } else {
            result.pointer(&format!("/{inner}"))?.as_f64()
        }
    }

    pub(crate) fn print(&self) -> Result<(), Failure> {
        std::io::stdout().write_all(self.table().as_bytes()).during("printing the report")
    }

    pub(crate) fn table(&self) -> String {
        let Machine { kernel, cpu, cores } = &self.machine;
        let mut text = format!("\n{}: {cpu}, {cores} cores, Linux {kernel}\n", self.scenario);
        let (mut label_len, mut value_len) = (0, 0);
        for row in &self.rows {
            if let Row::Figure { label, value, .. } = row {
                label_len = label_len.max(label.chars().count());
                value_len = value_len.max(value.chars().count());
            }
        }
        for row in &self.rows {
            let line = match row {
                Row::Heading(heading) => format!("\n{heading}"),
                Row::Figure { label, value, note } => {
                    format!("  {label:<label_len$}  {value:>value_len$}  {note}")
                }
            };
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for (what, lines) in [("WARNING", &self.warnings), ("WRONG", &self.failures)] {
            for line in lines {
                text.push_str(&format!("\n{what}: {line}\n"));
            }
        }
        text
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<(), Failure> {
        let what = format!("writing {}", path.display());
        let mut text = serde_json::to_string_pretty(&self.json()).during(&what)?;
        text.push('\n');
        std::fs::write(path, text).during(&what)
    }

    /// Writes the report as one page for a browser.
    pub(crate) fn write_html(&self, path: &Path) -> Result<(), Failure> {
        std::fs::write(path, html::page(self)).during(&format!("writing {}", path.display()))
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "tool": TOOL,
            "origin": self.origin,
            "scenario": self.scenario,
            "machine": self.machine,
            "settings": self.settings,
            "results": self.results,
            "plots": self.plots,
            "warnings": self.warnings,
            "failures": self.failures,
        })
    }
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1,234 B`, with its sign.
pub(crate) fn bytes(count: f64) -> String {
    let sign = if count <= -0.5 { "-" } else { "" };
    format!("{sign}{} B", grouped(whole(count.abs())))
}

/// A size at a glance, in decimal units as the table's bytes are: `12.3 MB`.
pub(crate) fn size(bytes: f64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes / unit),
        None => format!("{bytes:.0} B"),
    }
}

/// A duration at a glance: three digits or so, in the unit that fits.
pub(crate) fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..100_000 => format!("{:.1} µs", ratio(ns, 1_000)),
        100_000..1_000_000 => format!("{:.0} µs", ratio(ns, 1_000)),
        1_000_000..100_000_000 => format!("{:.2} ms", ratio(ns, 1_000_000)),
        100_000_000..1_000_000_000 => format!("{:.0} ms", ratio(ns, 1_000_000)),
        _ => format!("{:.2} s", ratio(ns, 1_000_000_000)),
    }
}

/// `amount / per`, for figures a person reads.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53, and three digits are shown")]
pub(crate) fn ratio(amount: u64, per: u64) -> f64 {
    amount as f64 / per as f64
}

/// `(after - before) / per`, of either sign.
pub(crate) fn growth(before: u64, after: u64, per: u64) -> f64 {
    if after >= before { ratio(after - before, per) } else { -ratio(before - after, per) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rounded byte count, not negative"
)]
pub(crate) fn whole(count: f64) -> u64 {
    count.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_at_a_glance() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1234.4), "1,234 B");
        assert_eq!(bytes(-0.2), "0 B");
        assert_eq!(bytes(-12.0), "-12 B");
        assert_eq!(size(999.0), "999 B");
        assert_eq!(size(21_708_800.0), "21.7 MB");
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(1_500), "1.5 µs");
        assert_eq!(duration(123_456), "123 µs");
        assert_eq!(duration(1_234_567), "1.23 ms");
        assert_eq!(duration(2_500_000_000), "2.50 s");
    }

    #[test]
    fn growth_keeps_its_sign() {
        assert!((growth(10, 30, 10) - 2.0).abs() < 1e-9);
        assert!((growth(30, 10, 10) + 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_table_is_aligned_and_ends_with_what_is_doubtful_and_wrong() {
        let mut report = Report::new("idle", json!({}));
        report.heading("memory");
        report.figure("short", "1 B", "a note");
        report.figure("much longer", "1,000 B", "");
        report.warn("doubt");
        report.fail("wrong");
        assert!(report.has_failures());
        let table = report.table();
        let expected = "\nmemory\n  short            1 B  a note\n  much longer  1,000 B\n\n\
                        WARNING: doubt\n\nWRONG: wrong\n";
        assert!(table.ends_with(expected), "{table}");
        assert_eq!(report.json()["failures"], json!(["wrong"]));
    }
}
