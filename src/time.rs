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
    /// Whole seconds since the Unix epoch, as JWT claims count them (RFC 7519 §2).
    #[must_use]
    pub const fn unix_s(self) -> i64 {
        (self.unix_ms / 1000).cast_signed()
    }
}
