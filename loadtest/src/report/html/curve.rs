//! One line of a drawing as paths of an SVG whose sides are 1000 long.

use serde_json::json;

use super::markup::Markup;
use super::ruler::Ruler;
use crate::report::plot::{Line, Plot, Unit};

/// Length of either side of the SVG's own coordinates.
pub(super) const SIDE: f64 = 1000.0;

/// Columns a line is told apart in; what is denser cannot be seen.
const COLUMNS: f64 = 400.0;

/// Colours there are; more lines begin again, dashed.
const COLOURS: usize = 6;

/// Up to so many points of a line are drawn as dots too.
const DOTS_MAX: usize = 24;

/// A line with a place for each of its points.
pub(super) struct Curve<'a> {
    name: &'a str,
    colour: String,
    x: Unit,
    y: Unit,
    dots: Vec<Dot>,
}

/// A point: where it is drawn, each from 0 to 1 between the ends of its axis, and what it says.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Dot {
    x: f64,
    y: f64,
    value: (f64, f64),
}

/// The class that gives the `nth` line of a drawing its colour.
pub(super) fn colour(nth: usize) -> String {
    let again = if nth < COLOURS { "" } else { " again" };
    format!("l{}{again}", nth % COLOURS)
}

impl<'a> Curve<'a> {
    pub(super) fn new(plot: &Plot, nth: usize, line: &'a Line, across: Ruler, up: Ruler) -> Self {
        let dot = |value: &(f64, f64)| Dot {
            x: across.place(value.0),
            y: up.place(value.1),
            value: *value,
        };
        let is_drawn = |dot: &Dot| dot.x.is_finite() && dot.y.is_finite();
        let dots: Vec<_> = line.points.iter().map(dot).filter(is_drawn).collect();
        let (x, y) = (plot.x.unit, plot.y.unit);
        Self { name: &line.name, colour: colour(nth), x, y, dots: thin(&dots) }
    }

    /// What is below the line.
    pub(super) fn write_area(&self, out: &mut Markup) {
        let Some(first) = self.dots.first() else { return };
        out.raw("<path class=\"fill ").text(&self.colour).raw("\" d=\"");
        self.write_path(out);
        out.raw("V1000H").number(first.x * SIDE).raw("Z\"/>");
    }

    /// The line, with what its points say.
    pub(super) fn write_line(&self, out: &mut Markup) {
        let told = |dot: &Dot| {
            let percent = (dot.x * 10_000.0).round() / 100.0;
            json!([percent, self.x.text(dot.value.0), self.y.text(dot.value.1)])
        };
        let told: Vec<_> = self.dots.iter().map(told).collect();
        out.raw("<path class=\"line ").text(&self.colour).raw("\" data-name=\"").text(self.name);
        out.raw("\" data-points=\"").text(&json!(told).to_string()).raw("\" d=\"");
        self.write_path(out);
        out.raw("\"/>");
        if self.dots.len() <= DOTS_MAX {
            let places = self.dots.iter().map(|dot| (dot.x, dot.y));
            write_dots(out, &self.colour, places);
        }
    }

    fn write_path(&self, out: &mut Markup) {
        for (nth, dot) in self.dots.iter().enumerate() {
            let (x, y) = (dot.x * SIDE, (1.0 - dot.y) * SIDE);
            if nth == 0 {
                out.raw("M").number(x).raw(" ").number(y);
            } else if self.x == Unit::Percentile {
                // Up to the next rank it is this value and no other.
                out.raw("H").number(x).raw("V").number(y);
            } else {
                out.raw("L").number(x).raw(" ").number(y);
            }
        }
    }
}

/// Round dots however the SVG is stretched: lines of no length with round ends.
pub(super) fn write_dots(out: &mut Markup, colour: &str, places: impl Iterator<Item = (f64, f64)>) {
    out.raw("<path class=\"dots ").text(colour).raw("\" d=\"");
    for (x, y) in places {
        out.raw("M").number(x * SIDE).raw(" ").number((1.0 - y) * SIDE).raw("h0");
    }
    out.raw("\"/>");
}

/// Leaves out what cannot be seen: of each column the first, the lowest, the highest and the last
/// stay.
fn thin(dots: &[Dot]) -> Vec<Dot> {
    let column = |dot: &Dot| (dot.x * COLUMNS).floor();
    let mut thinned = Vec::new();
    for here in dots.chunk_by(|one, next| column(one).total_cmp(&column(next)).is_eq()) {
        let by_height =
            |(_, one): &(usize, &Dot), (_, other): &(usize, &Dot)| one.y.total_cmp(&other.y);
        let lowest = here.iter().enumerate().min_by(by_height);
        let highest = here.iter().enumerate().max_by(by_height);
        let extremes = [lowest, highest].into_iter().flatten().map(|(nth, _)| nth);
        let mut stay: Vec<_> = [0, here.len() - 1].into_iter().chain(extremes).collect();
        stay.sort_unstable();
        stay.dedup();
        thinned.extend(stay.into_iter().map(|nth| here[nth]));
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(x: f64, y: f64) -> Dot {
        Dot { x, y, value: (x, y) }
    }

    #[test]
    fn what_is_too_dense_to_be_seen_is_left_out_but_never_a_peak() {
        let mut dots: Vec<_> = (0..100_000).map(|nth| dot(f64::from(nth) / 1e5, 0.5)).collect();
        (dots[50_123].y, dots[70_001].y) = (1.0, 0.0);
        let thinned = thin(&dots);
        assert!(thinned.len() <= 2 * 400 + 4, "{}", thinned.len());
        for kept in [0, 50_123, 70_001, 99_999] {
            assert!(thinned.contains(&dots[kept]), "{kept}");
        }
        assert!(thinned.is_sorted_by(|one, next| one.x < next.x));
    }

    #[test]
    fn what_can_be_seen_stays() {
        let dots: Vec<_> = (0..300).map(|nth| dot(f64::from(nth) / 300.0, 0.1)).collect();
        assert_eq!(thin(&dots), dots);
        assert_eq!(thin(&[]), []);
    }

    #[test]
    fn a_distribution_is_drawn_in_steps_and_time_in_slopes() {
        let line = Line::new("x", vec![(1.0, 1.0), (10.0, 10.0)]);
        let path = |plot: &Plot| {
            let across = Ruler::across(plot.x, [1.0, 10.0].into_iter()).unwrap();
            let up = Ruler::up(plot.y, [1.0, 10.0].into_iter()).unwrap();
            let mut out = Markup::default();
            Curve::new(plot, 0, &line, across, up).write_path(&mut out);
            out.into_string()
        };
        assert_eq!(path(&Plot::percentiles("", &[])), "M0 1000H1000V0");
        let sloped = path(&Plot::over_time("", Unit::Sessions, Vec::new()));
        assert_eq!(sloped, "M100 900L1000 0");
    }
}
