//! How often something happened in each second of a load.

use serde::{Deserialize, Serialize};

use crate::clock::NS_PER_S;
use crate::report::{Line, ratio};

/// Counts by whole seconds since a load began, its lead included.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PerSecond(Vec<u64>);

impl PerSecond {
    /// Counts one that happened this long after the load began.
    pub(crate) fn count(&mut self, after_ns: u64) {
        let second = usize::try_from(after_ns / NS_PER_S).expect("a run ends within centuries");
        if self.0.len() <= second {
            self.0.resize(second + 1, 0);
        }
        self.0[second] += 1;
    }

    /// How many there were in all.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds what another worker counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum += more;
        }
    }

    /// The first `seconds`, each drawn at its middle, of a load that began at second `begin` of
    /// the run. What came later came in a second that was not whole.
    pub(crate) fn line(&self, name: &str, begin: f64, seconds: u64) -> Line {
        let counts = self.0.iter().copied().chain(std::iter::repeat(0));
        let middle = |second: u64| begin + ratio(second, 1) + 0.5;
        let points = (0..seconds).zip(counts).map(|(at, count)| (middle(at), ratio(count, 1)));
        Line::new(name, points.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_is_counted_even_one_in_which_nothing_happened() {
        let mut counts = PerSecond::default();
        for after_ns in [0, NS_PER_S - 1, 2 * NS_PER_S, 3 * NS_PER_S] {
            counts.count(after_ns);
        }
        assert_eq!(counts.0, [2, 0, 1, 1]);
        let mut more = PerSecond::default();
        more.count(1);
        more.add(&counts);
        assert_eq!(more.0, [3, 0, 1, 1]);
        assert_eq!(more.total(), 5);
        counts.add(&more);
        assert_eq!(counts.0, [5, 0, 2, 2]);
    }

    #[test]
    fn only_whole_seconds_of_the_load_are_drawn_all_of_them() {
        let counts = PerSecond(vec![7, 8, 9]);
        assert_eq!(counts.line("x", 10.0, 2).points, [(10.5, 7.0), (11.5, 8.0)]);
        assert_eq!(counts.line("x", 0.0, 4).points.last(), Some(&(3.5, 0.0)));
    }
}
