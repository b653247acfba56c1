//! A page of everything a report can carry, hostile words among it.

use serde_json::json;

use super::*;
use crate::report::{Line, Mark, Plot, Unit};

/// What would run, load or break out if it were not escaped.
const HOSTILE: &str = "</script></style><script>window.hit = 1</script>\"'><img src=x onerror=\"window.hit = 1\"> & end";

/// A report with every kind of row, notice and drawing.
pub(super) fn report() -> Report {
    let settings = json!({"hostile": HOSTILE, HOSTILE: [1, {"a": HOSTILE}], "deep": {"er": null}});
    let mut report = Report::new("idle", settings);
    report.heading(format!("memory ({HOSTILE})"));
    report.figure("resident", "1 B", HOSTILE);
    report.figure("  a part", HOSTILE, "");
    report.heading("nothing below");
    report.warn(HOSTILE);
    report.fail(HOSTILE);
    let wave = |shift: f64| {
        (0..600).map(|nth| (f64::from(nth), 2.0 + (f64::from(nth) / 40.0 + shift).sin())).collect()
    };
    let marks = [(3.0, "first"), (9.0, HOSTILE), (300.0, "last")]
        .map(|(x, name)| Mark { x, name: name.to_owned() });
    let one = vec![Line::new(HOSTILE, wave(0.0))];
    report.plot(Plot::over_time("Cores over time", Unit::Cores, one).marked(&marks));
    let several = (0..7).map(|nth| Line::new(format!("line {nth}"), wave(f64::from(nth))));
    report.plot(Plot::over_time(HOSTILE, Unit::Bytes, several.collect()));
    let buckets: Vec<_> =
        (1..2_000).map(|nth| (nth * nth * 1_000, 2_000_000 / (nth * nth))).collect();
    report.plot(Plot::percentiles("Latency by percentile", &[("answers", &buckets)]));
    let sizes = [1e3, 1e4, 1e5, 1e6, 1e7].map(|sessions: f64| (sessions, sessions.sqrt()));
    report.plot(Plot::growth(
        "Time of a query",
        Unit::Microseconds,
        vec![Line::new("p99", sizes.to_vec())],
    ));
    report.plot(Plot::over_time("Nothing", Unit::Sessions, Vec::new()));
    report
}

#[test]
fn no_text_becomes_markup() {
    let page = page(&report());
    assert!(!page.contains("<img"), "an element of a text");
    assert_eq!(page.matches("<script").count(), 1, "the page's own");
    assert_eq!(page.matches("</style").count(), 1, "the page's own");
    let escaped = "&lt;img src=x onerror=&quot;window.hit = 1&quot;&gt; &amp; end";
    // Heading, note, value, warning, failure, two settings with a name and a value each, a mark, a
    // line, a title: some of them twice.
    assert!(page.matches(escaped).count() >= 10, "{}", page.matches(escaped).count());
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let page = page(&report());
    for outside in ["http:", "https:", "url(", "@import", " src=\"", " href=\"/"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn settings_are_told_by_their_path_and_what_is_not_set_is_left_out() {
    let mut rows = Vec::new();
    let settings = json!({"a": {"b": {"c": "25s"}, "d": null}, "e": [1, "x"], "f": true});
    flatten(&mut rows, String::new(), &settings);
    let rows: Vec<_> = rows.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(rows, [("a.b.c", "25s"), ("e", "[1,\"x\"]"), ("f", "true")]);
}

#[test]
fn only_a_remark_at_the_end_of_a_heading_stands_back() {
    let written = |heading: &str| {
        let mut out = Markup::default();
        write_heading(&mut out, heading);
        out.into_string()
    };
    assert_eq!(written("memory (VmRSS)"), "<h3>Memory <small>VmRSS</small></h3>");
    assert_eq!(written("memory (VmRSS) of all"), "<h3>Memory (VmRSS) of all</h3>");
}

#[test]
fn headings_have_a_capital_but_names_stay_as_they_are() {
    assert_eq!(capitalised("latency, from a to b"), "Latency, from a to b");
    assert_eq!(capitalised("user_connections, 5"), "user_connections, 5");
    assert_eq!(capitalised(""), "");
}

#[test]
fn a_clean_run_says_so() {
    let clean = page(&Report::new("query", json!({})));
    assert!(clean.contains("The server did nothing wrong"));
    assert!(!clean.contains("Read these figures with care"));
    let wrong = page(&report());
    assert!(!wrong.contains("The server did nothing wrong"));
    assert!(wrong.contains("The server was wrong") && wrong.contains("with care"));
}
