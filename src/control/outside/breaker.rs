//! Whether a backend that fails is left alone for a while: what would wait for it in vain is refused
//! at once, and it is not buried under those who come back.
//!
//! ```text
//!            failures_max in a row               pause over
//!   Closed ────────────────────────▶ Open ─────────────────────▶ Trying: one question goes out
//!     ▲                               ▲                              │
//!     │                               └────────── it fails ──────────┤
//!     └────────────────────────────────────────── it succeeds ───────┘
//! ```

use std::time::{Duration, Instant};

/// When a backend is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerOptions {
    /// Failures in a row after which it is; 0 never does it.
    pub failures_max: u32,
    /// For how long.
    pub pause: Duration,
}

/// One backend's.
#[derive(Debug)]
pub(super) struct Breaker {
    options: BreakerOptions,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Trying,
}

/// What an outcome has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turned {
    /// Nothing.
    No,
    /// The backend is left alone from now on.
    Off,
    /// It is asked again.
    On,
}

impl Breaker {
    pub(super) const fn new(options: BreakerOptions) -> Self {
        Self { options, state: State::Closed { failures: 0 } }
    }

    /// Whether a question need not wait for its turn in vain.
    pub(super) fn may_admit(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } => now >= until,
            State::Trying => false,
        }
    }

    /// Whether a question may go out now. Its outcome must be told.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } if now >= until => {
                self.state = State::Trying;
                true
            }
            State::Open { .. } | State::Trying => false,
        }
    }

    /// A question that went out was answered, whatever the answer.
    pub(super) const fn succeeded(&mut self) -> Turned {
        let turned = match self.state {
            State::Closed { .. } => Turned::No,
            State::Open { .. } | State::Trying => Turned::On,
        };
        self.state = State::Closed { failures: 0 };
        turned
    }

    /// A question that went out was not answered.
    pub(super) fn failed(&mut self, now: Instant) -> Turned {
        let BreakerOptions { failures_max, pause } = self.options;
        let open = State::Open { until: now + pause };
        match &mut self.state {
            State::Closed { .. } if failures_max == 0 => Turned::No,
            State::Closed { failures } => {
                *failures += 1;
                if *failures < failures_max {
                    return Turned::No;
                }
                self.state = open;
                Turned::Off
            }
            // Of those that were on their way.
            State::Open { .. } => Turned::No,
            State::Trying => {
                self.state = open;
                Turned::No
            }
        }
    }

    /// Nobody waits any more for a question that went out: what it would have told is not known.
    pub(super) const fn abandoned(&mut self, now: Instant) {
        if matches!(self.state, State::Trying) {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "some point in time; no test waits")]
    fn breaker(failures_max: u32) -> (Breaker, Instant) {
        (Breaker::new(BreakerOptions { failures_max, pause: PAUSE }), Instant::now())
    }

    #[test]
    fn failures_in_a_row_turn_it_off_and_one_success_on_again() {
        let (mut breaker, now) = breaker(3);
        for _ in 0..2 {
            assert_eq!((breaker.admits(now), breaker.failed(now)), (true, Turned::No));
        }
        assert_eq!(breaker.succeeded(), Turned::No);
        for turned in [Turned::No, Turned::No, Turned::Off] {
            assert_eq!((breaker.admits(now), breaker.failed(now)), (true, turned));
        }
        assert!(!breaker.admits(now));
        // One that was on its way.
        assert_eq!(breaker.failed(now), Turned::No);
        let later = now + PAUSE;
        assert_eq!([breaker.admits(later), breaker.admits(later)], [true, false], "one tries");
        assert_eq!((breaker.failed(later), breaker.admits(later)), (Turned::No, false));
        let later = later + PAUSE;
        assert_eq!((breaker.admits(later), breaker.succeeded()), (true, Turned::On));
        assert!(breaker.admits(later) && breaker.admits(later));
    }

    #[test]
    fn one_that_leaves_while_it_tries_does_not_close_the_way() {
        let (mut breaker, now) = breaker(1);
        assert_eq!(breaker.failed(now), Turned::Off);
        let later = now + PAUSE;
        assert!(breaker.admits(later));
        breaker.abandoned(later);
        assert!(breaker.admits(later));
    }

    #[test]
    fn it_can_be_switched_off() {
        let (mut breaker, now) = breaker(0);
        for _ in 0..1_000 {
            assert_eq!((breaker.admits(now), breaker.failed(now)), (true, Turned::No));
        }
    }
}
