//! When each query is due: a fixed pace from a fixed start, whatever the server does.

const NS_PER_S: u128 = 1_000_000_000;

/// An open-loop schedule. Query `n` is due `n / rate` seconds after the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Schedule {
    start_ns: u64,
    rate: u64,
}

impl Schedule {
    pub(super) fn new(start_ns: u64, rate: u64) -> Self {
        assert!(rate > 0, "the command line refuses a rate of 0");
        Self { start_ns, rate }
    }

    /// When query `n` is due, in nanoseconds of the monotonic clock.
    pub(super) fn due_ns(self, n: u64) -> u64 {
        let after = u128::from(n) * NS_PER_S / u128::from(self.rate);
        self.start_ns + u64::try_from(after).expect("a run ends within centuries")
    }

    /// How many queries are due by this instant, its own included.
    pub(super) fn due_by(self, now_ns: u64) -> u64 {
        let Some(after) = now_ns.checked_sub(self.start_ns) else { return 0 };
        let count = (u128::from(after) + 1) * u128::from(self.rate);
        u64::try_from(count.div_ceil(NS_PER_S)).expect("a run ends within centuries")
    }

    /// How many queries are due in this many seconds.
    pub(super) const fn count(self, seconds: u64) -> u64 {
        self.rate * seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_due_at_an_even_pace_without_drift() {
        let schedule = Schedule::new(1_000, 3);
        assert_eq!(schedule.due_ns(0), 1_000);
        assert_eq!(schedule.due_ns(1), 333_334_333);
        assert_eq!(schedule.due_ns(3), 1_000_001_000);
        for n in 0..10 {
            assert_eq!(schedule.due_by(schedule.due_ns(n)), n + 1);
            assert_eq!(schedule.due_by(schedule.due_ns(n) - 1), n);
        }
        assert_eq!(schedule.due_by(0), 0);
        let day = schedule.count(86_400);
        assert_eq!(schedule.due_ns(day), 86_400 * 1_000_000_000 + 1_000);
    }
}
