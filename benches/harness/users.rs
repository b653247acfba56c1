//! Who the sessions of the benchmarks belong to.

/// Sessions of one user.
pub(crate) const SESSIONS_PER_USER: u64 = 3;

/// Ten bytes.
pub(crate) fn user(n: u64) -> String {
    format!("u{n:09}")
}
