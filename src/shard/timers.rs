//! One wheel for all deadlines and pings of a shard: a hashed wheel over connection indices,
//! with the links in one array and no timer objects.
//!
//! ```text
//!   due 7 ──▶ bucket 7 & MASK ──▶ conn 12 ⇄ conn 3 ⇄ conn 99
//! ```
//! A connection has at most one entry. One that is due in a later round stays where it is when
//! the cursor passes.

/// Length of one tick in milliseconds: how exactly a deadline is kept.
pub const TICK_MS: u64 = 100;

/// Buckets of the wheel; a power of two. One round takes 409.6 s, longer than any ping interval
/// in use, so that entries rarely see the cursor twice.
const BUCKETS: u32 = 4096;

const NONE: u32 = u32::MAX;

/// A point in time, in ticks of the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Tick(pub(super) u32);

impl Tick {
    /// The first tick that is not before this time.
    #[must_use]
    pub(super) const fn at_or_after(mono_ms: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "13 years of ticks fit")]
        Self(mono_ms.div_ceil(TICK_MS) as u32)
    }

    /// The last tick that is not after this time.
    #[must_use]
    pub(super) const fn reached_by(mono_ms: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "13 years of ticks fit")]
        Self((mono_ms / TICK_MS) as u32)
    }

    /// Milliseconds of the monotonic clock.
    #[must_use]
    pub(super) const fn mono_ms(self) -> u64 {
        self.0 as u64 * TICK_MS
    }

    /// As many whole ticks later as this time has.
    #[must_use]
    pub(super) const fn later(self, ms: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "13 years of ticks fit")]
        Self(self.0.saturating_add((ms / TICK_MS) as u32))
    }
}

#[derive(Clone, Copy, Debug)]
struct Link {
    due: u32,
    prev: u32,
    next: u32,
}

const UNLINKED: Link = Link { due: NONE, prev: NONE, next: NONE };

/// The wheel.
#[derive(Debug)]
pub(super) struct Wheel {
    heads: Box<[u32]>,
    links: Vec<Link>,
    /// The tick whose bucket is looked at next.
    cursor: u32,
    armed: usize,
}

impl Wheel {
    /// An empty wheel that starts at this tick.
    #[must_use]
    pub(super) fn new(start: Tick) -> Self {
        let heads = vec![NONE; BUCKETS as usize].into_boxed_slice();
        Self { heads, links: Vec::new(), cursor: start.0, armed: 0 }
    }

    #[cfg(test)]
    pub(super) const fn armed(&self) -> usize {
        self.armed
    }

    #[cfg(test)]
    pub(super) fn due(&self, index: u32) -> Option<Tick> {
        self.links.get(index as usize).filter(|link| link.due != NONE).map(|link| Tick(link.due))
    }

    /// Sets the one timer of `index`, in place of an earlier one. A time already passed fires on
    /// the next look.
    pub(super) fn arm(&mut self, index: u32, due: Tick) {
        self.disarm(index);
        if self.links.len() <= index as usize {
            self.links.resize(index as usize + 1, UNLINKED);
        }
        // One below what marks a place without a timer.
        let due = due.0.max(self.cursor).min(NONE - 1);
        let head = &mut self.heads[(due % BUCKETS) as usize];
        let next = std::mem::replace(head, index);
        self.links[index as usize] = Link { due, prev: NONE, next };
        if next != NONE {
            self.links[next as usize].prev = index;
        }
        self.armed += 1;
    }

    /// Takes `index` out of the wheel, if it is in it.
    pub(super) fn disarm(&mut self, index: u32) {
        let Some(link) = self.links.get_mut(index as usize).filter(|link| link.due != NONE) else {
            return;
        };
        let Link { due, prev, next } = std::mem::replace(link, UNLINKED);
        if next != NONE {
            self.links[next as usize].prev = prev;
        }
        if prev == NONE {
            self.heads[(due % BUCKETS) as usize] = next;
        } else {
            self.links[prev as usize].next = next;
        }
        self.armed -= 1;
    }

    /// Takes out what is due by `now` into `fired`, at most `budget` entries. Returns whether
    /// everything due was taken.
    pub(super) fn take_due(&mut self, now: Tick, budget: usize, fired: &mut Vec<u32>) -> bool {
        while self.cursor <= now.0 {
            if !self.empty_bucket(now, budget, fired) {
                return false;
            }
            self.cursor += 1;
        }
        true
    }

    /// Takes what is due out of the bucket under the cursor. Returns whether all of it was.
    fn empty_bucket(&mut self, now: Tick, budget: usize, fired: &mut Vec<u32>) -> bool {
        let mut index = self.heads[(self.cursor % BUCKETS) as usize];
        while index != NONE {
            let link = self.links[index as usize];
            if link.due <= now.0 {
                if fired.len() == budget {
                    return false;
                }
                self.disarm(index);
                fired.push(index);
            }
            index = link.next;
        }
        true
    }

    /// Gives the links' memory back; only when the wheel is empty.
    pub(super) fn shrink(&mut self) {
        debug_assert_eq!(self.armed, 0, "links in use");
        self.links = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn every_timer_fires_once_and_never_early(
            steps in prop::collection::vec((0u32..40, 0u32..9000, 0u8..4), 1..300),
        ) {
            let mut wheel = Wheel::new(Tick(5));
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            let mut now = 5;
            for (index, delay, kind) in steps {
                match kind {
                    0 | 1 => {
                        let due = now + delay.max(1);
                        wheel.arm(index, Tick(due));
                        model.insert(index, due);
                    }
                    2 => {
                        wheel.disarm(index);
                        model.remove(&index);
                    }
                    _ => {
                        now += delay;
                        let mut fired = Vec::new();
                        while !wheel.take_due(Tick(now), 3, &mut fired) {
                            for index in fired.drain(..) {
                                prop_assert!(model.remove(&index).is_some_and(|due| due <= now));
                            }
                        }
                        for index in fired.drain(..) {
                            prop_assert!(model.remove(&index).is_some_and(|due| due <= now));
                        }
                        prop_assert!(model.values().all(|due| *due > now));
                    }
                }
                prop_assert_eq!(wheel.armed(), model.len());
                for index in 0..40 {
                    prop_assert_eq!(wheel.due(index).is_some(), model.contains_key(&index));
                }
            }
        }
    }

    #[test]
    fn a_timer_that_never_comes_leaves_the_wheel_like_any_other() {
        let mut wheel = Wheel::new(Tick(5));
        for index in [3, 1, 3] {
            wheel.arm(index, Tick(NONE));
        }
        assert_eq!(wheel.armed(), 2);
        wheel.disarm(1);
        wheel.disarm(3);
        assert_eq!(wheel.armed(), 0);
        assert!(wheel.take_due(Tick(5 + BUCKETS), 10, &mut Vec::new()));
    }

    #[test]
    fn ticks_round_away_from_early() {
        assert_eq!(Tick::at_or_after(101), Tick(2));
        assert_eq!(Tick::reached_by(199), Tick(1));
    }
}
