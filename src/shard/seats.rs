//! How many sessions each user has, exactly, over all shards: a seat is taken in the turn that opens
//! the session and left in the turn that ends it.
//!
//! Kept only where a limit per user may apply, because it costs an entry for each connected user and
//! an exchange in a map that all shards share, for each session that comes and for each that goes.

use std::hash::BuildHasherDefault;

use papaya::{Compute, HashMap, Operation, ResizeMode};

use super::directory::AlreadyHashed;
use crate::ids::UserHash;

/// Sessions by the hash of their user. Two users with one hash share an entry: with 64 bits and a
/// secret key that does not happen.
#[derive(Debug)]
pub(super) struct Seats {
    taken: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
}

/// Whether somebody may come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seat {
    /// It is theirs, to be left when the session ends.
    Taken,
    /// As many are taken as there may be.
    Full,
}

impl Seats {
    pub(super) fn new() -> Self {
        let taken = HashMap::builder()
            .hasher(BuildHasherDefault::default())
            .resize_mode(ResizeMode::Blocking)
            .build();
        Self { taken }
    }

    /// One more session of this user, who may have `sessions_max`; 0 is no limit.
    pub(super) fn take(&self, user: UserHash, sessions_max: u32) -> Seat {
        let taken = self.taken.pin();
        let outcome = taken.compute(user.0, |entry| match entry.map_or(0, |(_, count)| *count) {
            count if sessions_max > 0 && count >= sessions_max => Operation::Abort(()),
            count => Operation::Insert(count + 1),
        });
        if matches!(outcome, Compute::Aborted(())) { Seat::Full } else { Seat::Taken }
    }

    /// One session of this user less.
    pub(super) fn leave(&self, user: UserHash) {
        let taken = self.taken.pin();
        let outcome = taken.compute(user.0, |entry| match entry.map(|(_, count)| *count) {
            None => Operation::Abort(()),
            Some(0 | 1) => Operation::Remove,
            Some(count) => Operation::Insert(count - 1),
        });
        debug_assert!(
            !matches!(outcome, Compute::Aborted(())),
            "a seat is taken before it is left"
        );
    }

    /// Users with a seat.
    pub(super) fn users(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserHash = UserHash(42);

    #[test]
    fn a_seat_that_is_left_can_be_taken_again() {
        let seats = Seats::new();
        assert_eq!([1, 2, 3].map(|_| seats.take(USER, 2)), [Seat::Taken, Seat::Taken, Seat::Full]);
        assert_eq!(seats.take(USER, 0), Seat::Taken);
        assert_eq!(seats.take(USER, 3), Seat::Full);
        seats.leave(USER);
        assert_eq!([1, 2].map(|_| seats.take(USER, 3)), [Seat::Taken, Seat::Full]);
        for _ in 0..3 {
            seats.leave(USER);
        }
        assert_eq!(seats.users(), 0);
    }

    #[test]
    fn threads_that_come_at_once_take_as_many_seats_as_there_are() {
        const SEATS: u32 = 7;
        let seats = Seats::new();
        let take = |_| (0..100).filter(|_| seats.take(USER, SEATS) == Seat::Taken).count();
        let take_and_leave = |_: u32| {
            for _ in 0..20_000 {
                if seats.take(USER, SEATS + 2) == Seat::Taken {
                    seats.leave(USER);
                }
            }
        };
        let taken: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|thread| scope.spawn(move || take(thread))).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 7);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || take_and_leave(thread));
            }
        });
        assert_eq!([1, 2].map(|_| seats.take(USER, SEATS + 1)), [Seat::Taken, Seat::Full]);
    }
}
