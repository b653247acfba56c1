//! Which user a session belongs to.

use super::users::SESSIONS_PER_USER;

/// The user of the nth of `sessions`: each has three, which come far apart from each other.
pub(crate) fn user_of(n: u64, sessions: u64) -> u64 {
    // A prime that divides no size used here, so that it visits every user once per round.
    n.wrapping_mul(1_000_003) % (sessions / SESSIONS_PER_USER).max(1)
}
