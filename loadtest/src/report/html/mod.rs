//! The report as one HTML file: no network, no font and no script but its own.
//!
//! Knows no scenario: it shows what a [`Report`] carries.

mod chart;
mod curve;
mod markup;
mod ruler;
mod words;

use serde_json::Value;

use super::{Report, Row};
use crate::procfs::Machine;
use markup::Markup;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("hover.js");

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut out = Markup::default();
    out.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    // Without one a browser would ask the site it lies on for it.
    out.raw("<link rel=\"icon\" href=\"data:,\">\n<title>").text(report.scenario);
    out.raw(" · rollcall-loadtest</title>\n<style>\n")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n");
    write_head(&mut out, report);
    out.raw("<main>\n");
    write_figures(&mut out, &report.rows);
    if !report.plots.is_empty() {
        out.raw("<h2>Plots</h2>\n<div class=\"plots\">\n");
        let run_s = chart::run_s(&report.plots);
        for plot in &report.plots {
            chart::write(&mut out, plot, run_s);
        }
        out.raw("</div>\n");
    }
    write_settings(&mut out, &report.settings);
    out.raw("</main>\n<script>\n").raw(SCRIPT).raw("</script>\n</body>\n</html>\n");
    out.into_string()
}

fn write_head(out: &mut Markup, report: &Report) {
    let Machine { kernel, cpu, cores } = &report.machine;
    out.raw("<header>\n<p class=\"over\">").text(super::TOOL).raw("</p>\n<h1>");
    out.text(&capitalised(report.scenario)).raw("</h1>\n<p class=\"over\">");
    out.text(&format!("{} · {cpu}, {cores} cores · Linux {kernel}", report.origin.began));
    out.raw("</p>\n<code class=\"command\">").text(&report.origin.command);
    out.raw("</code>\n");
    if report.failures.is_empty() {
        out.raw("<section class=\"notice good\"><b>The server did nothing wrong</b></section>\n");
    }
    write_notice(out, "wrong", "The server was wrong", &report.failures);
    write_notice(out, "doubt", "Read these figures with care", &report.warnings);
    out.raw("</header>\n");
}

fn write_notice(out: &mut Markup, class: &'static str, what: &'static str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    out.raw("<section class=\"notice ").raw(class).raw("\"><b>").raw(what).raw("</b><ul>");
    for line in lines {
        out.raw("<li>").text(line).raw("</li>");
    }
    out.raw("</ul></section>\n");
}

/// The rows of the terminal's table, a card for each heading.
fn write_figures(out: &mut Markup, rows: &[Row]) {
    out.raw("<h2>Figures</h2>\n<div class=\"figures\">\n");
    let starts_card = |row: &Row| matches!(row, Row::Heading(_));
    for card in rows.chunk_by(|_, next| !starts_card(next)) {
        out.raw("<section class=\"card\">");
        let figures = match card {
            [Row::Heading(heading), figures @ ..] => {
                write_heading(out, heading);
                figures
            }
            figures => figures,
        };
        out.raw("<table>");
        for row in figures {
            if let Row::Figure { label, value, note } = row {
                write_figure(out, label, value, note);
            }
        }
        out.raw("</table></section>\n");
    }
    out.raw("</div>\n");
}

/// What a heading says in brackets at its end stands back.
fn write_heading(out: &mut Markup, heading: &str) {
    let bracketed = heading.strip_suffix(')').and_then(|heading| heading.split_once(" ("));
    let (name, more) = bracketed.unwrap_or((heading, ""));
    out.raw("<h3>").text(&capitalised(name));
    if !more.is_empty() {
        out.raw(" <small>").text(more).raw("</small>");
    }
    out.raw("</h3>");
}

/// With a capital, unless it begins with a name of the program's.
fn capitalised(text: &str) -> String {
    let word = text.split([' ', ',']).next().unwrap_or_default();
    let mut rest = text.chars();
    match rest.next() {
        Some(first) if word.chars().all(|c| c.is_ascii_lowercase()) => {
            format!("{}{}", first.to_ascii_uppercase(), rest.as_str())
        }
        _ => text.to_owned(),
    }
}

fn write_figure(out: &mut Markup, label: &str, value: &str, note: &str) {
    // Indented in the terminal: a part of the figure above.
    out.raw(if label.starts_with(' ') { "<tr class=\"part\">" } else { "<tr>" });
    out.raw("<th scope=\"row\">").text(label.trim_start());
    out.raw("</th><td class=\"value\">").text(value).raw("</td>");
    if !note.is_empty() {
        out.raw("<td class=\"note\">").text(note).raw("</td>");
    }
    out.raw("</tr>");
}

fn write_settings(out: &mut Markup, settings: &Value) {
    out.raw("<h2>Settings</h2>\n<section class=\"card settings\"><table>");
    let mut rows = Vec::new();
    flatten(&mut rows, String::new(), settings);
    for (name, value) in rows {
        out.raw("<tr><th scope=\"row\">").text(&name).raw("</th><td><code>").text(&value);
        out.raw("</code></td></tr>");
    }
    out.raw("</table></section>\n");
}

/// `(a.b, value)` of everything that is set.
fn flatten(rows: &mut Vec<(String, String)>, name: String, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(rows, format!("{name}{dot}{field}"), value);
            }
        }
        Value::Null => {}
        Value::String(text) => rows.push((name, text.clone())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => rows.push((name, value.to_string())),
    }
}

#[cfg(test)]
mod browser;
#[cfg(test)]
mod tests;
