//! The round trip of a session's last ping, in the six bits that its connect time leaves free.

/// What six bits stand for, in milliseconds: exact up to 14, then steps of 15 %. 0 is unknown.
#[expect(clippy::cast_possible_truncation, reason = "the last step is some ten thousand")]
const STEPS_MS: [u16; 64] = {
    let mut steps = [0_u16; 64];
    let mut step = 1;
    let mut ms = 1_u16;
    while step < 64 {
        steps[step] = ms;
        let next = ms as u32 * 115 / 100;
        ms = if next > ms as u32 { next as u16 } else { ms + 1 };
        step += 1;
    }
    steps
};

/// A round trip, as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Latency(u8);

impl Latency {
    /// The nearest step; none is shorter than one millisecond, and none longer than
    /// some ten seconds.
    pub(super) fn of_ms(ms: u64) -> Self {
        let above = STEPS_MS[1..].partition_point(|step| u64::from(*step) < ms) + 1;
        let step = match (STEPS_MS[above - 1], STEPS_MS.get(above)) {
            (0, _) => above,
            (below, Some(over)) if u64::from(*over) - ms <= ms - u64::from(below) => above,
            _ => above - 1,
        };
        Self(u8::try_from(step).expect("64 steps"))
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits & 63)
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    /// In milliseconds, to 7 %; `None` when there was none yet.
    pub(super) fn ms(self) -> Option<u32> {
        let ms = STEPS_MS[usize::from(self.0)];
        (ms > 0).then_some(u32::from(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_told_to_seven_percent() {
        let longest_ms = u64::from(STEPS_MS[63]);
        assert!((8_000..20_000).contains(&longest_ms), "{longest_ms}: longer than a ping waits");
        assert_eq!(Latency::from_bits(0).ms(), None);
        for ms in 1..=longest_ms {
            let latency = Latency::of_ms(ms);
            assert_eq!(Latency::from_bits(latency.bits()), latency);
            let told = u64::from(latency.ms().expect("it is known"));
            assert!(told.abs_diff(ms) * 100 <= ms * 8, "{ms} is told as {told}");
            assert!(ms > 14 || told == ms, "{ms} is told as {told}");
        }
        assert_eq!(Latency::of_ms(0).ms(), Some(1));
        assert_eq!(Latency::of_ms(u64::MAX).ms(), Some(u32::from(STEPS_MS[63])));
    }
}
