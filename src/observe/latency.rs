//! How long things took in the last minute.

use hdrhistogram::Histogram;

/// What [`Recent`] remembers, in milliseconds. It forgets a quarter at a time.
pub const WINDOW_MS: u64 = 60_000;

const SLOTS: usize = 4;
const SLOT_MS: u64 = WINDOW_MS / SLOTS as u64;

/// Longest duration told apart, in microseconds; a longer one counts as this.
const TOOK_US_MAX: u64 = 60_000_000;

/// Durations in microseconds, each known to one part in a hundred. At most 12 KB.
#[derive(Clone, Default, Debug)]
pub struct Spread(Option<Box<Histogram<u32>>>);

/// What its owner has measured lately: at most four [`Spread`]s. Costs nothing until something is
/// measured.
#[derive(Debug, Default)]
pub struct Recent {
    /// The newest first.
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    /// Which quarter of which minute.
    number: u64,
    spread: Spread,
}

impl Recent {
    /// Something took so long and is done now, on the monotonic clock.
    pub fn note(&mut self, took_us: u64, now_mono_ms: u64) {
        let number = now_mono_ms / SLOT_MS;
        if self.slots[0].number != number {
            self.slots.rotate_right(1);
            self.slots[0].number = number;
            self.slots[0].spread.clear();
        }
        self.slots[0].spread.note(took_us);
    }

    /// All of the last minute.
    #[must_use]
    pub fn last_minute(&self, now_mono_ms: u64) -> Spread {
        let now = now_mono_ms / SLOT_MS;
        let mut all = Spread::default();
        for slot in self.slots.iter().filter(|slot| slot.number + SLOTS as u64 > now) {
            all.add(&slot.spread);
        }
        all
    }
}

impl Spread {
    fn note(&mut self, took_us: u64) {
        let spread = self.0.get_or_insert_with(|| {
            let spread = Histogram::new_with_bounds(1, TOOK_US_MAX, 2);
            Box::new(spread.expect("bounds in order, digits from 0 to 5"))
        });
        spread.saturating_record(took_us.max(1));
    }

    fn clear(&mut self) {
        if let Some(spread) = &mut self.0 {
            spread.reset();
        }
    }

    /// Adds another's durations.
    ///
    /// # Panics
    /// If the other has other bounds: there is one pair of them.
    pub fn add(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Some(mine), Some(others)) => mine.add(&**others).expect("all have the same bounds"),
            (mine @ None, Some(others)) => *mine = Some(others.clone()),
            (_, None) => {}
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, |spread| spread.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What this part of them, from 0 to 1, took at most, in microseconds; 0 when there is none.
    #[must_use]
    pub fn quantile_us(&self, part: f64) -> u64 {
        self.0.as_ref().map_or(0, |spread| spread.value_at_quantile(part))
    }

    /// What the longest took, in microseconds; 0 when there is none.
    #[must_use]
    pub fn max_us(&self) -> u64 {
        self.0.as_ref().map_or(0, |spread| spread.max())
    }
}

impl PartialEq for Spread {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(mine), Some(others)) => mine == others,
            (_, _) => self.is_empty() && other.is_empty(),
        }
    }
}

impl Eq for Spread {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_remembered_and_what_is_older_is_not() {
        let mut recent = Recent::default();
        assert!(recent.last_minute(1_000).is_empty());
        for (took_us, at_ms) in [(10, 1_000), (20, 14_999), (30, 15_000), (40, 59_999)] {
            recent.note(took_us, at_ms);
        }
        let at = |recent: &Recent, now_ms| {
            let spread = recent.last_minute(now_ms);
            (spread.len(), spread.max_us())
        };
        assert_eq!(at(&recent, 59_999), (4, 40));
        assert_eq!(at(&recent, 60_000), (2, 40));
        assert_eq!(at(&recent, 75_000), (1, 40));
        assert_eq!(at(&recent, 105_000), (0, 0));
        recent.note(50, 105_000);
        assert_eq!(at(&recent, 105_000), (1, 50));
        recent.note(60, 3_600_000);
        assert_eq!(recent.last_minute(3_600_000).quantile_us(0.5), 60);
        assert_eq!(recent.last_minute(3_600_000).len(), 1);
    }

    #[test]
    fn what_shards_measured_comes_together() {
        let (mut one, mut other) = (Recent::default(), Recent::default());
        for took_us in 1..=900 {
            one.note(took_us, 1_000);
        }
        for took_us in 901..=1_000 {
            other.note(took_us, 1_000);
        }
        let mut all = Spread::default();
        for recent in [&one, &other] {
            all.add(&recent.last_minute(1_000));
        }
        assert_eq!(all.len(), 1_000);
        for (part, expected) in [(0.5, 500), (0.99, 990), (1.0, 1_000)] {
            assert!(all.quantile_us(part).abs_diff(expected) <= expected / 100 + 1, "{part}");
        }
        one.note(u64::MAX, 1_000);
        one.note(0, 1_000);
        assert!(one.last_minute(1_000).max_us() >= TOOK_US_MAX);
    }
}
