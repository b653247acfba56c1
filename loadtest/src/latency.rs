//! Durations counted in an HDR histogram, told as percentiles.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::failure::{Context, Failure};

/// Longest duration told apart; longer ones count as this.
const NS_MAX: u64 = 600_000_000_000;

/// Significant digits of every recorded value.
const DIGITS: u8 = 3;

/// Durations in nanoseconds.
pub(crate) struct Latencies(Histogram<u64>);

/// The distribution as it travels and is stored: `[value in ns, count]`, ascending.
pub(crate) type Buckets = Vec<(u64, u64)>;

/// What a person reads of it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p90_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, NS_MAX, DIGITS);
        Self(histogram.expect("the bounds are in order and the digits few"))
    }

    pub(crate) fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn buckets(&self) -> Buckets {
        let recorded = self.0.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    /// Adds what another process recorded.
    pub(crate) fn add(&mut self, buckets: &Buckets) -> Result<(), Failure> {
        for (ns, count) in buckets {
            self.0.record_n((*ns).min(NS_MAX), *count).during("adding a histogram")?;
        }
        Ok(())
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Percentiles {
            count: self.0.len(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: self.0.max(),
        }
    }
}

impl Percentiles {
    /// Each with what it is called, from the middle to the end.
    pub(crate) const fn labelled(self) -> [(&'static str, u64); 5] {
        [
            ("p50", self.p50_ns),
            ("p90", self.p90_ns),
            ("p99", self.p99_ns),
            ("p99.9", self.p999_ns),
            ("max", self.max_ns),
        ]
    }

    pub(crate) fn of(buckets: &Buckets) -> Result<Self, Failure> {
        let mut latencies = Latencies::new();
        latencies.add(buckets)?;
        Ok(latencies.percentiles())
    }
}

/// Distributions taken together.
pub(crate) fn sum(parts: &[&Buckets]) -> Result<Buckets, Failure> {
    let mut latencies = Latencies::new();
    parts.iter().try_for_each(|part| latencies.add(part))?;
    Ok(latencies.buckets())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let mut latencies = Latencies::new();
        for us in 1..=10_000 {
            latencies.record(us * 1000);
        }
        let Percentiles { count, p50_ns, p90_ns, p99_ns, p999_ns, max_ns } =
            latencies.percentiles();
        assert_eq!(count, 10_000);
        for (found, right) in [
            (p50_ns, 5_000_000_u64),
            (p90_ns, 9_000_000),
            (p99_ns, 9_900_000),
            (p999_ns, 9_990_000),
            (max_ns, 10_000_000),
        ] {
            assert!(found.abs_diff(right) <= right / 1000, "{found} for {right}");
        }
    }

    #[test]
    fn a_histogram_survives_the_trip_between_processes() {
        let mut sent = Latencies::new();
        for ns in [0, 1, 999, 123_456_789, u64::MAX] {
            sent.record(ns);
        }
        let mut received = Latencies::new();
        received.add(&sent.buckets()).unwrap();
        assert_eq!(received.percentiles(), sent.percentiles());
        assert_eq!(received.buckets(), sent.buckets());
    }

    #[test]
    fn nothing_recorded_is_zero_not_an_error() {
        assert_eq!(Latencies::new().percentiles().count, 0);
    }
}
