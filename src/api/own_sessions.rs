//! A user's own sessions, as the user may see them (client RPC `sessions.list`).

/// What users see of their own sessions beside what is always shown.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OwnSessionsShown {
    /// The address each came from.
    pub remote_addr: bool,
    /// The user agent each named.
    pub user_agent: bool,
}
