//! How quantities are written on axes and beside points.

use crate::report::plot::{Scale, Unit};
use crate::report::{duration, grouped, size, whole};

/// One unit for all numbers of a linear axis, which stands beside it once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct AxisUnit {
    /// What is counted as 1 there.
    pub(super) one: f64,
    pub(super) name: &'static str,
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;

impl Unit {
    /// The unit of a linear axis that reaches up to `max`.
    pub(super) fn on_axis(self, max: f64) -> AxisUnit {
        // The first that makes no number too small; seconds read best up to some minutes.
        let units: &[(f64, f64, &'static str)] = match self {
            Self::Seconds => &[
                (4.0 * HOUR, HOUR, "hours"),
                (10.0 * MINUTE, MINUTE, "minutes"),
                (0.0, 1.0, "seconds"),
            ],
            Self::Nanoseconds => {
                &[(1e9, 1e9, "s"), (1e6, 1e6, "ms"), (1e3, 1e3, "µs"), (0.0, 1.0, "ns")]
            }
            Self::Microseconds => &[(1e6, 1e6, "s"), (1e3, 1e3, "ms"), (0.0, 1.0, "µs")],
            Self::Bytes => &[(1e9, 1e9, "GB"), (1e6, 1e6, "MB"), (1e3, 1e3, "kB"), (0.0, 1.0, "B")],
            Self::PerSecond => &[(0.0, 1.0, "per second")],
            Self::Sessions => &[(0.0, 1.0, "sessions")],
            Self::Cores => &[(0.0, 1.0, "cores")],
            Self::Percentile => &[(0.0, 1.0, "percentile")],
        };
        let (_, one, name) =
            units.iter().find(|(from, _, _)| max >= *from).unwrap_or(&units[units.len() - 1]);
        AxisUnit { one: *one, name }
    }

    /// What stands beside an axis that reaches up to `max`.
    pub(super) fn axis_name(self, scale: Scale, max: f64) -> &'static str {
        match (scale, self) {
            // Each number carries its own unit there.
            (Scale::Log, Self::Nanoseconds | Self::Microseconds | Self::Bytes) => "logarithmic",
            (Scale::Log, Self::Seconds) => "seconds, logarithmic",
            (Scale::Log, Self::PerSecond) => "per second, logarithmic",
            (Scale::Log, Self::Sessions) => "sessions, logarithmic",
            (Scale::Log, Self::Cores) => "cores, logarithmic",
            (Scale::Log, Self::Percentile) | (Scale::Linear, _) => self.on_axis(max).name,
        }
    }

    /// A quantity by itself.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.1} s"),
            Self::Nanoseconds => duration(whole(value)),
            Self::Microseconds => duration(whole(value * 1e3)),
            Self::Bytes => size(value),
            Self::PerSecond => format!("{} /s", grouped(whole(value))),
            Self::Sessions => format!("{} sessions", grouped(whole(value))),
            Self::Cores => format!("{value:.2} cores"),
            Self::Percentile => percentile(value),
        }
    }

    /// A round number of a logarithmic axis.
    pub(super) fn round_text(self, value: f64) -> String {
        let (units, one): (&[(f64, &str)], &str) = match self {
            Self::Percentile => return percentile(value),
            Self::Nanoseconds => (&[(1e9, " s"), (1e6, " ms"), (1e3, " µs")], " ns"),
            Self::Microseconds => (&[(1e6, " s"), (1e3, " ms")], " µs"),
            Self::Bytes => (&[(1e9, " GB"), (1e6, " MB"), (1e3, " kB")], " B"),
            Self::Seconds | Self::PerSecond | Self::Sessions | Self::Cores => {
                (&[(1e9, " G"), (1e6, " M"), (1e3, " k")], "")
            }
        };
        let fits = units.iter().find(|(unit, _)| value >= *unit);
        let (unit, name) = fits.copied().unwrap_or((1.0, one));
        format!("{}{name}", value / unit)
    }

    /// Whether a linear axis must show its zero: without it a steady pace would look like a
    /// mountain range. Memory is looked at for its growth.
    pub(super) const fn starts_at_zero(self) -> bool {
        !matches!(self, Self::Bytes)
    }
}

/// `p99.9`, from `1 / (1 - quantile)`: as many digits as it has nines, and one.
fn percentile(one_in: f64) -> String {
    let mut digits = 1;
    let mut nines = 100.0;
    while one_in > nines {
        digits += 1;
        nines *= 10.0;
    }
    let percent = format!("{:.digits$}", 100.0 - 100.0 / one_in);
    format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_the_names_they_are_known_by() {
        for (one_in, name) in [
            (1.0, "p0"),
            (2.0, "p50"),
            (10.0, "p90"),
            (100.0, "p99"),
            (1e3, "p99.9"),
            (1e6, "p99.9999"),
            (40.0, "p97.5"),
            (300.0, "p99.67"),
        ] {
            assert_eq!(Unit::Percentile.text(one_in), name);
        }
    }

    #[test]
    fn an_axis_has_the_largest_unit_that_its_numbers_fill() {
        for (unit, max, one, name) in [
            (Unit::Bytes, 21_708_800.0, 1e6, "MB"),
            (Unit::Bytes, 12.0, 1.0, "B"),
            (Unit::Seconds, 599.0, 1.0, "seconds"),
            (Unit::Seconds, 600.0, 60.0, "minutes"),
            (Unit::Seconds, 86_400.0, 3_600.0, "hours"),
            (Unit::Nanoseconds, 5e6, 1e6, "ms"),
            (Unit::Cores, 0.01, 1.0, "cores"),
        ] {
            assert_eq!(unit.on_axis(max), AxisUnit { one, name }, "{max}");
        }
    }

    #[test]
    fn round_numbers_are_written_short() {
        assert_eq!(Unit::Nanoseconds.round_text(500_000.0), "500 µs");
        assert_eq!(Unit::Nanoseconds.round_text(1e9), "1 s");
        assert_eq!(Unit::Sessions.round_text(10e6), "10 M");
        assert_eq!(Unit::Sessions.round_text(200.0), "200");
        assert_eq!(Unit::Percentile.round_text(1e4), "p99.99");
    }
}
