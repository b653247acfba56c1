//! Time as a value: the core is told what time it is and never looks.

/// One reading of both clocks, taken once per batch of events by whoever drives a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Milliseconds of a monotonic clock with an arbitrary start: deadlines and pings.
    pub mono_ms: u64,
    /// Milliseconds since the Unix epoch: tokens, and what people are shown.
    pub unix_ms: u64,
}

impl Now {
    /// Microseconds of the monotonic clock, as exact as its milliseconds.
    #[must_use]
    pub const fn mono_us(self) -> u64 {
        self.mono_ms * 1_000
    }

    /// Whole seconds since the Unix epoch, as JWT claims count them (RFC 7519 §2).
    #[must_use]
    pub const fn unix_s(self) -> i64 {
        (self.unix_ms / 1000).cast_signed()
    }
}

/// How often something may happen: so many times in any interval, at once or evenly (generic cell
/// rate algorithm, ITU-T I.371). What has to be kept of the past is one time: when the last one would
/// have come had all come evenly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Between two that come evenly.
    step_us: u64,
    interval_us: u64,
}

impl Rate {
    /// So many in an interval, one at least.
    #[must_use]
    pub const fn new(most: u64, interval_us: u64) -> Self {
        let step_us = interval_us / most;
        Self { step_us: if step_us == 0 { 1 } else { step_us }, interval_us }
    }

    /// What is kept when one more has come now.
    #[must_use]
    pub const fn after(self, kept_us: u64, now_us: u64) -> u64 {
        let last_us = if kept_us > now_us { kept_us } else { now_us };
        last_us + self.step_us
    }

    /// How long one more has to wait, in microseconds; 0 when it may come now.
    #[must_use]
    pub const fn wait_us(self, kept_us: u64, now_us: u64) -> u64 {
        self.after(kept_us, now_us).saturating_sub(now_us + self.interval_us)
    }
}
