//! Axes: where a quantity stands between both ends, and where the round numbers are.

use crate::report::plot::{Axis, Scale, Unit};
use crate::report::{grouped, whole};

/// Round numbers aimed at on a linear axis; there may be half as many or twice.
const TICKS_AIM: f64 = 5.0;

/// Round numbers a logarithmic axis may have on a narrow screen.
const TICKS_NARROW: usize = 6;

/// An axis with both of its ends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Ruler {
    axis: Axis,
    from: f64,
    to: f64,
}

/// A round number on an axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tick {
    /// From 0 to 1.
    pub(super) at: f64,
    pub(super) label: String,
    /// Whether there is room for it only on a wide screen.
    pub(super) is_spare: bool,
}

impl Ruler {
    /// A horizontal axis: from the least value to the greatest. Time begins at 0. `None` without
    /// values that can be drawn.
    pub(super) fn across(axis: Axis, values: impl Iterator<Item = f64>) -> Option<Self> {
        let (least, greatest) = ends(axis, values)?;
        let ruler = match axis.scale {
            Scale::Linear => Self { axis, from: least.min(0.0), to: greatest.max(least + 1.0) },
            Scale::Log => Self { axis, from: least, to: greatest.max(least * 2.0) },
        };
        Some(ruler)
    }

    /// A vertical axis: from a round number to a round number.
    pub(super) fn up(axis: Axis, values: impl Iterator<Item = f64>) -> Option<Self> {
        let (least, greatest) = ends(axis, values)?;
        let ruler = match axis.scale {
            Scale::Linear => {
                // What hardly changes is not blown up to fill the drawing.
                let span_min = if greatest > 0.0 { greatest * 0.02 } else { 1.0 };
                let zero = if axis.unit.starts_at_zero() { 0.0 } else { f64::INFINITY };
                let from = least.min(zero).min((greatest - span_min).max(0.0));
                let to = greatest.max(from + span_min);
                let step = step(to - from);
                let from = (from / step).floor() * step;
                Self { axis, from, to: (to / step).ceil() * step }
            }
            Scale::Log => {
                let (from, to) = (round_below(least), round_above(greatest));
                Self { axis, from, to: if to > from { to } else { from * 10.0 } }
            }
        };
        Some(ruler)
    }

    /// Where a value stands, from 0 to 1 if it is between the ends. What has no place on a
    /// logarithmic axis stands at its beginning.
    pub(super) fn place(&self, value: f64) -> f64 {
        match self.axis.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => {
                (value.max(self.from) / self.from).log10() / (self.to / self.from).log10()
            }
        }
    }

    pub(super) fn starts_at_zero(&self) -> bool {
        self.axis.scale == Scale::Linear && self.from.abs() < f64::EPSILON
    }

    /// What stands beside the axis.
    pub(super) fn name(&self) -> &'static str {
        self.axis.unit.axis_name(self.axis.scale, self.to)
    }

    pub(super) fn ticks(&self) -> Vec<Tick> {
        match (self.axis.scale, self.axis.unit) {
            (Scale::Linear, _) => self.linear(),
            (Scale::Log, Unit::Percentile) => {
                let values: Vec<_> = [2.0].into_iter().chain(decades(10.0, self.to)).collect();
                // p99.9 is of interest everywhere, what is beyond where there is room.
                let spare = values.iter().map(|value| *value > 1_001.0).collect();
                self.round(values, spare)
            }
            (Scale::Log, _) => {
                let whole: Vec<_> = decades(self.from, self.to).collect();
                let values = if whole.len() > 2 { whole } else { one_two_five(self.from, self.to) };
                let is_tight = values.len() > TICKS_NARROW;
                let spare = (0..values.len()).rev().map(|nth| is_tight && nth % 2 == 1).collect();
                self.round(values, spare)
            }
        }
    }

    fn linear(&self) -> Vec<Tick> {
        let unit = self.axis.unit.on_axis(self.to);
        let (from, to) = (self.from / unit.one, self.to / unit.one);
        let step = step(to - from);
        let digits = digits(step);
        let label = |value: f64| {
            if digits == 0 { grouped(whole(value)) } else { format!("{value:.digits$}") }
        };
        // A hair more than the end: rounding must not cost the last one.
        let first = (from / step - 1e-6).ceil();
        let count = whole(((to / step + 1e-6).floor() - first).max(0.0));
        let numbers = (0..=count).map(|nth| (first + crate::report::ratio(nth, 1)) * step);
        let tick = |value: f64| Tick {
            at: self.place(value * unit.one),
            label: label(value),
            is_spare: false,
        };
        numbers.map(tick).collect()
    }

    /// These numbers, and which of them are spare.
    fn round(&self, values: Vec<f64>, spare: Vec<bool>) -> Vec<Tick> {
        let tick = |(value, is_spare): (f64, bool)| Tick {
            at: self.place(value),
            label: self.axis.unit.round_text(value),
            is_spare,
        };
        values.into_iter().zip(spare).map(tick).collect()
    }
}

/// The least and the greatest value that can be drawn.
fn ends(axis: Axis, values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let can_be_drawn = |value: &f64| match axis.scale {
        Scale::Linear => value.is_finite(),
        Scale::Log => value.is_finite() && *value > 0.0,
    };
    values.filter(can_be_drawn).fold(None, |ends, value| match ends {
        None => Some((value, value)),
        Some((least, greatest)) => Some((value.min(least), value.max(greatest))),
    })
}

/// The distance of round numbers on a linear axis of this length: 1, 2 or 5 of some power of ten.
fn step(length: f64) -> f64 {
    let rough = length / TICKS_AIM;
    let power = 10_f64.powf(rough.log10().floor());
    // A hair less than the bounds: 0.1 + 0.2 must be 0.3.
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| rough / power <= factor + 1e-9);
    factor.unwrap_or(10.0) * power
}

/// Digits behind the point that tell multiples of `step` apart.
fn digits(step: f64) -> usize {
    let mut digits = 0;
    let mut unit = 1.0;
    while unit > step * 1.000_001 && digits < 9 {
        digits += 1;
        unit /= 10.0;
    }
    digits
}

/// Powers of ten between both, these included.
fn decades(from: f64, to: f64) -> impl Iterator<Item = f64> {
    one_two_five(from, to).into_iter().filter(|value| {
        let power = value.log10();
        (power - power.round()).abs() < 1e-6
    })
}

/// 1, 2 and 5 of each power of ten between both, these included.
fn one_two_five(from: f64, to: f64) -> Vec<f64> {
    let mut values = Vec::new();
    let mut power = 10_f64.powf(from.log10().floor());
    while power <= to * 1.000_001 {
        let here = [1.0, 2.0, 5.0].map(|factor| factor * power);
        let is_between = |value: &f64| (from * 0.999_999..=to * 1.000_001).contains(value);
        values.extend(here.into_iter().filter(is_between));
        power *= 10.0;
    }
    values
}

fn round_below(value: f64) -> f64 {
    one_two_five(value / 10.0, value).last().copied().unwrap_or(value)
}

fn round_above(value: f64) -> f64 {
    one_two_five(value, value * 10.0).first().copied().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn axis(unit: Unit, scale: Scale) -> Axis {
        Axis { unit, scale }
    }

    fn up(unit: Unit, scale: Scale, values: &[f64]) -> Ruler {
        Ruler::up(axis(unit, scale), values.iter().copied()).unwrap()
    }

    fn across(unit: Unit, scale: Scale, values: &[f64]) -> Ruler {
        Ruler::across(axis(unit, scale), values.iter().copied()).unwrap()
    }

    /// The labels, those for wide screens in brackets.
    fn told(ruler: &Ruler) -> String {
        let label =
            |tick: Tick| if tick.is_spare { format!("({})", tick.label) } else { tick.label };
        ruler.ticks().into_iter().map(label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn round_numbers_stand_on_linear_axes() {
        use Scale::Linear;
        let memory = up(Unit::Bytes, Linear, &[21_708_800.0, 23_007_232.0]);
        assert_eq!((told(&memory).as_str(), memory.name()), ("21.5 22.0 22.5 23.0 23.5", "MB"));
        assert_eq!(told(&up(Unit::PerSecond, Linear, &[4_990.0, 5_010.0])), "0 2,000 4,000 6,000");
        assert_eq!(told(&up(Unit::Cores, Linear, &[0.0, 0.31])), "0.0 0.1 0.2 0.3 0.4");
        assert_eq!(told(&up(Unit::Cores, Linear, &[0.0])), "0.0 0.2 0.4 0.6 0.8 1.0");
        assert_eq!(told(&across(Unit::Seconds, Linear, &[0.1, 12.6])), "0 5 10");
        let long = across(Unit::Seconds, Linear, &[3_600.0]);
        assert_eq!((told(&long).as_str(), long.name()), ("0 20 40 60", "minutes"));
    }

    #[test]
    fn memory_that_hardly_changes_does_not_fill_the_drawing() {
        let flat = up(Unit::Bytes, Scale::Linear, &[100e6, 100e6 + 4_096.0]);
        assert!(flat.place(100e6 + 4_096.0) - flat.place(100e6) < 0.01);
        assert!(up(Unit::Bytes, Scale::Linear, &[5.0]).from >= 0.0);
    }

    #[test]
    fn powers_of_ten_stand_on_logarithmic_axes_or_more_where_they_are_few() {
        use Scale::Log;
        let times = up(Unit::Nanoseconds, Log, &[324_607.0, 12_290_000.0]);
        assert_eq!(told(&times), "200 µs (500 µs) 1 ms (2 ms) 5 ms (10 ms) 20 ms");
        let sessions = across(Unit::Sessions, Log, &[1e3, 1e7]);
        assert_eq!(told(&sessions), "1 k 10 k 100 k 1 M 10 M");
        assert!((sessions.place(1e5) - 0.5).abs() < 1e-9);
        let ranks = across(Unit::Percentile, Log, &[1.0, 20_000.0]);
        assert_eq!(told(&ranks), "p50 p90 p99 p99.9 (p99.99)");
        let few = across(Unit::Percentile, Log, &[1.0, 500.0]);
        assert_eq!(told(&few), "p50 p90 p99");
    }

    #[test]
    fn every_value_has_a_place_between_the_ends() {
        let check = |ruler: Ruler, values: &[f64]| {
            let values = values.iter().filter(|value| value.is_finite());
            let places = values.map(|value| ruler.place(*value));
            for at in places.chain(ruler.ticks().into_iter().map(|tick| tick.at)) {
                assert!((-1e-6..=1.0 + 1e-6).contains(&at), "{at} on {ruler:?}");
            }
        };
        for scale in [Scale::Linear, Scale::Log] {
            for values in [&[3.0, 3.0][..], &[1e-3, 1e6], &[0.7], &[0.0, 1.0, f64::NAN]] {
                check(across(Unit::Seconds, scale, values), values);
                check(up(Unit::Bytes, scale, values), values);
            }
            assert_eq!(Ruler::up(axis(Unit::Bytes, scale), [f64::NAN].into_iter()), None);
        }
        let nothing = std::iter::once(0.0);
        assert_eq!(Ruler::across(axis(Unit::Bytes, Scale::Log), nothing), None);
    }
}
