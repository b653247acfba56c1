//! How a figure is told: the median of its rounds, with the lowest and the highest.

use std::fmt;

/// The same thing measured in several rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    /// Of at least one round.
    pub(crate) fn of(rounds: &[f64]) -> Self {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { low: sorted[0], median: sorted[sorted.len() / 2], high: sorted[sorted.len() - 1] }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, median, high } = self;
        let digits = f.precision().unwrap_or(1);
        let range = format!("[{low:.digits$} … {high:.digits$}]");
        write!(f, "{median:>9.digits$} {range:<21}")
    }
}
