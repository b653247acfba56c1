//! Who a server filled with `test.synthetic_sessions` holds, worked out here once more from what
//! the option promises: users by rank, Zipf's law, a thousand sessions for one user at most.

use serde::{Deserialize, Serialize};

use crate::question::{Expected, TokenUids};
use crate::transport::Transport;

/// Most sessions one user has.
const PER_USER_MAX: u64 = 1_000;

/// Users with neighbouring ranks of a server that is filled with so many sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ranks {
    /// Sessions of the whole server.
    pub(crate) sessions: u64,
    pub(crate) first: u32,
    end: u32,
}

impl Ranks {
    /// The users that have from `least` to `most` sessions; `None` if there are none.
    pub(crate) fn with(sessions: u64, least: u64, most: u64) -> Option<Self> {
        // Counts fall with the rank, so both ends are found by halving.
        let users = users(sessions);
        let rank = |rank: u64| u32::try_from(rank).expect("a hundred million sessions at most");
        let first_below = |count: u64| {
            let (mut low, mut high) = (1, users + 1);
            while low < high {
                let middle = low.midpoint(high);
                if sessions_of(middle, sessions) < count {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            low
        };
        let (first, end) = (first_below(most + 1), first_below(least));
        (first < end).then(|| Self { sessions, first: rank(first), end: rank(end) })
    }

    /// Users of these ranks.
    pub(crate) const fn users(self) -> u32 {
        self.end - self.first
    }

    /// What is true of the user of this rank, whose id it is.
    pub(crate) fn expected(self, rank: u32, user_id: &str) -> Expected<'_> {
        let sessions = sessions_of(rank.into(), self.sessions);
        Expected {
            user: user_id,
            sessions: u32::try_from(sessions).expect("a thousand at most"),
            transport: Transport::Websocket,
            app_names: &["ios", "android", "web"],
            token_uids: TokenUids::Any,
        }
    }
}

/// The id of the user of this rank.
pub(crate) fn user_id(rank: u32) -> String {
    format!("s{rank:09}")
}

/// How many sessions the user of this rank has.
fn sessions_of(rank: u64, sessions: u64) -> u64 {
    (sessions / 10 / rank).clamp(1, PER_USER_MAX)
}

/// How many users share so many sessions.
fn users(sessions: u64) -> u64 {
    let mut left = sessions;
    let mut rank = 0;
    // From here on each has one.
    let ones_from = sessions / 10 / 2 + 1;
    while left > 0 && rank + 1 < ones_from {
        rank += 1;
        left = left.saturating_sub(sessions_of(rank, sessions));
    }
    rank + left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_users_together_have_all_sessions() {
        for sessions in [1, 9, 10, 37, 1_000, 10_000, 123_457, 1_000_000] {
            let sum: u64 = (1..=users(sessions)).map(|rank| sessions_of(rank, sessions)).sum();
            assert_eq!(sum, sessions);
        }
    }

    #[test]
    fn users_are_found_by_how_many_sessions_they_have() {
        let count = |ranks: Ranks| {
            let sessions = move |rank: u32| sessions_of(rank.into(), ranks.sessions);
            (ranks.first..ranks.end).map(sessions)
        };
        for (least, most) in [(1, 1), (3, 3), (2, 50), (900, 1_000)] {
            let ranks = Ranks::with(1_000_000, least, most).unwrap();
            assert!(count(ranks).all(|count| (least..=most).contains(&count)));
            let all = (1..=users(1_000_000)).map(|rank| sessions_of(rank, 1_000_000));
            let right = all.filter(|count| (least..=most).contains(count)).count();
            assert_eq!(ranks.users() as usize, right, "{least} to {most}");
        }
        assert_eq!(Ranks::with(1_000, 101, 1_000), None);
    }

    #[test]
    fn a_user_is_known_by_rank() {
        let ranks = Ranks::with(1_000, 50, 50).unwrap();
        assert_eq!((ranks.first, ranks.users()), (2, 1));
        assert_eq!(user_id(2), "s000000002");
        assert_eq!(ranks.expected(2, "s000000002").sessions, 50);
    }
}
