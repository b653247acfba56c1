//! One drawing: an SVG that stretches to any width, and words around it that do not, so that they
//! stay readable on a phone.

use super::curve::{Curve, SIDE, colour, write_dots};
use super::markup::Markup;
use super::ruler::{Ruler, Tick};
use crate::report::plot::{Line, Mark, Plot, Scale, Unit};

/// Marks nearer than this share of the width would cover each other.
const MARKS_APART: f64 = 0.06;

/// `1 / (1 - quantile)` of the points that get their value written beside them.
const TOLD: [f64; 4] = [2.0, 10.0, 100.0, 1_000.0];

/// A plot with its axes.
struct Chart<'a> {
    plot: &'a Plot,
    across: Ruler,
    up: Ruler,
}

/// How long the run was that these plots are of, as far as they show it: all have the same axis of
/// time, so that what stands below each other is of one instant.
pub(super) fn run_s(plots: &[Plot]) -> f64 {
    let timed = plots.iter().filter(|plot| plot.x.unit == Unit::Seconds);
    timed.flat_map(places).fold(0.0, f64::max)
}

/// Writes the drawing of a plot of a run of `run_s` seconds.
pub(super) fn write(out: &mut Markup, plot: &Plot, run_s: f64) {
    let points = || plot.lines.iter().flat_map(|line| &line.points);
    let end = (plot.x.unit == Unit::Seconds).then_some(run_s);
    let across = Ruler::across(plot.x, places(plot).chain(end));
    let up = Ruler::up(plot.y, points().map(|(_, y)| *y));
    out.raw("<figure class=\"card\"><h3>").text(&plot.title);
    match across.zip(up) {
        Some((across, up)) => Chart { plot, across, up }.write(out),
        None => {
            out.raw("</h3><p class=\"muted\">There is nothing to draw.</p>");
        }
    }
    out.raw("</figure>\n");
}

/// Everything that has a place on the horizontal axis.
fn places(plot: &Plot) -> impl Iterator<Item = f64> {
    let points = plot.lines.iter().flat_map(|line| &line.points);
    points.map(|(x, _)| *x).chain(plot.marks.iter().map(|mark| mark.x))
}

impl Chart<'_> {
    fn write(&self, out: &mut Markup) {
        let unit = self.up.name();
        if !self.plot.title.to_lowercase().contains(unit) {
            out.raw(" <small>").text(unit).raw("</small>");
        }
        out.raw("</h3>");
        self.write_legend(out);
        let ticks = self.up.ticks();
        let longest = ticks.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(0);
        let longest = u32::try_from(longest).expect("labels are short");
        let marked = if self.plot.marks.is_empty() { "chart" } else { "chart marked" };
        out.raw("<div class=\"").text(marked).raw("\" style=\"--gutter:");
        out.number(longest.into()).raw("ch\"><div class=\"area\" role=\"img\" aria-label=\"");
        out.text(&self.in_words()).raw("\">");
        self.write_svg(out);
        self.write_ticks(out, &ticks);
        self.write_badges(out);
        self.write_values(out);
        out.raw("</div><p class=\"across\">").text(&self.across_name()).raw("</p></div>");
        self.write_marks(out);
    }

    /// The drawing for those who do not see it.
    fn in_words(&self) -> String {
        let unit = self.plot.y.unit;
        let ends = |line: &Line| match (line.points.first(), line.points.last()) {
            (Some(first), Some(last)) => {
                format!("{} from {} to {}", line.name, unit.text(first.1), unit.text(last.1))
            }
            _ => format!("{}, nothing", line.name),
        };
        let lines: Vec<_> = self.plot.lines.iter().map(ends).collect();
        format!("{} by {}: {}", self.plot.title, self.across_name(), lines.join("; "))
    }

    fn across_name(&self) -> String {
        let since = if self.plot.x.unit == Unit::Seconds { " since the run began" } else { "" };
        format!("{}{since}", self.across.name())
    }

    fn write_legend(&self, out: &mut Markup) {
        out.raw("<ul class=\"legend\">");
        for (nth, line) in self.plot.lines.iter().enumerate() {
            out.raw("<li class=\"").text(&colour(nth)).raw("\">").text(&line.name).raw("</li>");
        }
        out.raw("</ul>");
    }

    fn write_svg(&self, out: &mut Markup) {
        out.raw(
            "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        );
        for tick in self.up.ticks() {
            let class = if tick.at < 1e-6 { "axis" } else { "grid" };
            out.raw("<path class=\"").text(class).raw("\" d=\"M0 ");
            out.number((1.0 - tick.at) * SIDE).raw("H1000\"/>");
        }
        if self.plot.x.scale == Scale::Log {
            for tick in self.across.ticks() {
                write_upright(out, "grid", tick.at);
            }
        }
        for mark in &self.plot.marks {
            write_upright(out, "mark", self.across.place(mark.x));
        }
        let curve = |(nth, line)| Curve::new(self.plot, nth, line, self.across, self.up);
        let curves: Vec<_> = self.plot.lines.iter().enumerate().map(curve).collect();
        // An area is as large as what it stands for only above zero; several would be mud.
        if let ([only], true) = (curves.as_slice(), self.up.starts_at_zero()) {
            only.write_area(out);
        }
        for curve in &curves {
            curve.write_line(out);
        }
        let told = self.told().into_iter();
        write_dots(out, &colour(0), told.map(|(x, ns)| (self.across.place(x), self.up.place(ns))));
        out.raw("</svg>");
    }

    fn write_ticks(&self, out: &mut Markup, up: &[Tick]) {
        for tick in up {
            out.raw("<span class=\"y\" style=\"bottom:").number(tick.at * 100.0);
            out.raw("%\">").text(&tick.label).raw("</span>");
        }
        for tick in self.across.ticks() {
            out.raw(if tick.is_spare { "<span class=\"x spare\"" } else { "<span class=\"x\"" });
            out.raw(" style=\"left:").number(tick.at * 100.0);
            out.raw("%\">").text(&tick.label).raw("</span>");
        }
    }

    /// The numbers of the marks, on the lines they name.
    fn write_badges(&self, out: &mut Markup) {
        let places: Vec<_> = self.plot.marks.iter().map(|mark| self.across.place(mark.x)).collect();
        for ((nth, at), is_low) in (1..).zip(&places).zip(lowered(&places)) {
            out.raw(if is_low { "<span class=\"badge low\"" } else { "<span class=\"badge\"" });
            out.raw(" style=\"left:").number(at * 100.0).raw("%\">").number(f64::from(nth));
            out.raw("</span>");
        }
    }

    fn write_marks(&self, out: &mut Markup) {
        if self.plot.marks.is_empty() {
            return;
        }
        out.raw("<ol class=\"marks\">");
        for (nth, Mark { x, name }) in (1..).zip(&self.plot.marks) {
            out.raw("<li><b>").number(f64::from(nth)).raw("</b>").text(name);
            out.raw(" <span class=\"muted\">").text(&self.plot.x.unit.text(*x)).raw("</span></li>");
        }
        out.raw("</ol>");
    }

    /// Of a distribution that is alone: `(1 / (1 - quantile), value)` of the percentiles that are
    /// asked for most.
    fn told(&self) -> Vec<(f64, f64)> {
        let (Unit::Percentile, [line]) = (self.plot.x.unit, self.plot.lines.as_slice()) else {
            return Vec::new();
        };
        // The value that holds from a rank below it up to this one.
        let at = |one_in: f64| line.points.iter().rev().find(|(x, _)| *x < one_in);
        let reaches = line.points.last().map_or(0.0, |(x, _)| *x);
        let told = TOLD.into_iter().filter(|one_in| *one_in <= reaches);
        told.filter_map(|one_in| Some((one_in, at(one_in)?.1))).collect()
    }

    fn write_values(&self, out: &mut Markup) {
        for (x, value) in self.told() {
            let (at, height) = (self.across.place(x), self.up.place(value));
            // The line rises: above it is room to the left, below it to the right, unless there
            // the axis is.
            let class = match (at < 0.5, height < 0.12) {
                (false, _) => "value",
                (true, false) => "value after",
                (true, true) => "value after above",
            };
            out.raw("<span class=\"").text(class).raw("\" style=\"left:").number(at * 100.0);
            out.raw("%;bottom:").number(height * 100.0).raw("%\">");
            out.text(&self.plot.y.unit.text(value)).raw("</span>");
        }
    }
}

fn write_upright(out: &mut Markup, class: &'static str, at: f64) {
    out.raw("<path class=\"").raw(class).raw("\" d=\"M").number(at * SIDE).raw(" 0V1000\"/>");
}

/// Which marks make room for the one before them.
fn lowered(places: &[f64]) -> Vec<bool> {
    let mut last_high = f64::NEG_INFINITY;
    let is_low = |at: &f64| {
        let is_low = at - last_high < MARKS_APART;
        if !is_low {
            last_high = *at;
        }
        is_low
    };
    places.iter().map(is_low).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(plot: &Plot) -> String {
        let mut out = Markup::default();
        write(&mut out, plot, run_s(std::slice::from_ref(plot)));
        out.into_string()
    }

    #[test]
    fn a_distribution_alone_tells_its_percentiles_as_the_table_does() {
        let mut latencies = crate::latency::Latencies::new();
        for us in 1..=10_000 {
            latencies.record(us * 1_000);
        }
        let buckets = latencies.buckets();
        let alone = drawn(&Plot::percentiles("Latency", &[("one", &buckets)]));
        let told = latencies.percentiles();
        for ns in [told.p50_ns, told.p90_ns, told.p99_ns, told.p999_ns] {
            let text = crate::report::duration(ns);
            assert!(alone.contains(&format!("%\">{text}</span>")), "{text} in {alone}");
        }
        let two = [("one", &buckets), ("two", &buckets)];
        assert!(!drawn(&Plot::percentiles("Latency", &two)).contains("class=\"value"));
    }

    #[test]
    fn marks_that_are_close_do_not_cover_each_other() {
        assert_eq!(lowered(&[0.0, 0.05, 0.07, 0.5]), [false, true, false, false]);
        assert!(lowered(&[]).is_empty());
    }

    #[test]
    fn a_drawing_says_its_units_and_is_told_in_words() {
        let line = Line::new("resident", vec![(0.0, 20e6), (10.0, 40e6)]);
        let mark = Mark { x: 2.0, name: "all sessions".to_owned() };
        let plot = Plot::over_time("Memory", Unit::Bytes, vec![line]).marked(&[mark]);
        let drawn = drawn(&plot);
        for part in [
            "<h3>Memory <small>MB</small></h3>",
            "aria-label=\"Memory by seconds since the run began: resident from 20.0 MB to 40.0 MB\"",
            "<p class=\"across\">seconds since the run began</p>",
            "<li><b>1</b>all sessions <span class=\"muted\">2.0 s</span></li>",
        ] {
            assert!(drawn.contains(part), "{part} in {drawn}");
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let plot = Plot::percentiles("Latency", &[("x", &Vec::new())]);
        assert!(drawn(&plot).contains("There is nothing to draw."));
        assert!(!drawn(&plot).contains("<svg"));
    }
}
