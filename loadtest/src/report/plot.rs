//! What is drawn in the HTML report: quantities over time, distributions, growth with size.

use serde::Serialize;

use crate::latency::Buckets;

/// One drawing: lines over a common pair of axes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    /// Where something begins: lines across.
    pub(crate) marks: Vec<Mark>,
}

/// A quantity and how it is spread along an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Axis {
    pub(crate) unit: Unit,
    pub(crate) scale: Scale,
}

/// What an axis counts; says how its numbers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Seconds,
    Nanoseconds,
    Microseconds,
    Bytes,
    PerSecond,
    Sessions,
    /// Share of one core, 0 to the number of cores.
    Cores,
    /// `1 / (1 - quantile)`: 2 is the median, 100 is p99.
    Percentile,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// One line of a drawing: `(x, y)`, by ascending `x`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A place on the horizontal axis where something begins.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Mark {
    pub(crate) x: f64,
    pub(crate) name: String,
}

impl Line {
    pub(crate) fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points }
    }
}

impl Plot {
    /// Quantities over the seconds since the run began.
    pub(crate) fn over_time(title: &str, unit: Unit, lines: Vec<Line>) -> Self {
        let x = Axis { unit: Unit::Seconds, scale: Scale::Linear };
        let y = Axis { unit, scale: Scale::Linear };
        Self { title: title.to_owned(), x, y, lines, marks: Vec::new() }
    }

    /// The same with lines across where something begins.
    pub(crate) fn marked(self, marks: &[Mark]) -> Self {
        Self { marks: marks.to_vec(), ..self }
    }

    /// How a quantity grows with the number of sessions.
    pub(crate) fn growth(title: &str, unit: Unit, lines: Vec<Line>) -> Self {
        let x = Axis { unit: Unit::Sessions, scale: Scale::Log };
        let y = Axis { unit, scale: Scale::Linear };
        Self { title: title.to_owned(), x, y, lines, marks: Vec::new() }
    }

    /// The same with a logarithmic vertical axis: for times, which differ by factors.
    pub(crate) const fn by_factors(mut self) -> Self {
        self.y.scale = Scale::Log;
        self
    }

    /// Times by percentile, one line per distribution.
    pub(crate) fn percentiles(title: &str, distributions: &[(&str, &Buckets)]) -> Self {
        let x = Axis { unit: Unit::Percentile, scale: Scale::Log };
        let y = Axis { unit: Unit::Nanoseconds, scale: Scale::Log };
        let lines = distributions
            .iter()
            .map(|(name, buckets)| Line::new(*name, by_percentile(buckets)))
            .collect();
        Self { title: title.to_owned(), x, y, lines, marks: Vec::new() }
    }
}

/// `(1 / (1 - quantile), ns)` of each bucket: the part of all values at or below it.
#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn by_percentile(buckets: &Buckets) -> Vec<(f64, f64)> {
    let count: u64 = buckets.iter().map(|(_, count)| count).sum();
    let mut above = count;
    let points = buckets.iter().map(|(ns, here)| {
        // The bucket's lowest rank: the last one is drawn too, where no value is above it.
        let x = count as f64 / above.max(1) as f64;
        above -= here;
        (x, *ns as f64)
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_drawn_from_its_least_to_its_greatest_value() {
        let buckets = vec![(10, 50), (20, 40), (30, 10)];
        assert_eq!(by_percentile(&buckets), [(1.0, 10.0), (2.0, 20.0), (10.0, 30.0)]);
        assert!(by_percentile(&Vec::new()).is_empty());
    }
}
