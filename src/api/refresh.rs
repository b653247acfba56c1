//! `refresh`: changes when the sessions of a user, or one session, end.
//!
//! `info` may be there and does nothing: only channels show it, and there are none.

use simd_json::tape::Value;

use super::params::{Fault, Reading, boolean, integer, known};
use super::question::Question;
use super::selector::{Selector, Selectors};
use super::terms::{Terms, TermsGiven};
use crate::time::Now;

/// Seconds a backend can give a session from now on: 365 days (Centrifugo's limit). A later end
/// becomes this one, and the client is told so.
pub const TTL_S_MAX: u32 = 365 * 24 * 3600;

/// Which sessions go on, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefreshParams {
    /// Which sessions.
    pub selector: Selector,
    /// Until when.
    pub expiry: Expiry,
    /// How it is done.
    pub terms: Terms,
}

/// When sessions end, as a backend says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// They have ended.
    Reached,
    /// At this time, Unix seconds; one that has passed means what `Reached` means.
    At(i64),
    /// Not at any time known now.
    Never,
}

/// What is left of sessions, seen from now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// Nothing.
    Over,
    /// So many seconds, from 1 to [`TTL_S_MAX`].
    Seconds(u32),
    /// No end is known.
    Endless,
}

impl Expiry {
    /// What it leaves.
    #[must_use]
    pub fn lifetime(self, now: Now) -> Lifetime {
        match self {
            Self::Reached => Lifetime::Over,
            Self::At(expire_at) if expire_at <= now.unix_s() => Lifetime::Over,
            Self::At(expire_at) => {
                let ttl_s = u32::try_from(expire_at - now.unix_s()).unwrap_or(u32::MAX);
                Lifetime::Seconds(ttl_s.min(TTL_S_MAX))
            }
            Self::Never => Lifetime::Endless,
        }
    }
}

/// Reads the selectors and `{"expired","expire_at"}`. No `expire_at`, or none above 0, takes the
/// end away; `expired` counts before it.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    let (mut selectors, mut given) = (Selectors::default(), TermsGiven::default());
    let (mut expired, mut expire_at) = (None, None);
    for (key, value) in params {
        match known(key, &["expired", "expire_at"]) {
            "expired" => boolean(&mut expired, "expired", value)?,
            "expire_at" => integer(&mut expire_at, "expire_at", value)?,
            _ if given.read(key, value)? => {}
            _ => selectors.read(key, value)?,
        }
    }
    let selector = selectors.for_order(reading)?;
    let expiry = match (expired, expire_at) {
        (Some(true), _) => Expiry::Reached,
        (_, Some(expire_at @ 1..)) => Expiry::At(expire_at),
        (_, Some(_) | None) => Expiry::Never,
    };
    Ok(Question::Refresh(Box::new(RefreshParams { selector, expiry, terms: given.terms() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_reached_ahead_or_not_known_and_never_further_than_a_year() {
        let now = Now { mono_ms: 5, unix_ms: 1_700_000_000_999 };
        for (expiry, lifetime) in [
            (Expiry::Reached, Lifetime::Over),
            (Expiry::At(i64::MIN), Lifetime::Over),
            (Expiry::At(1_699_999_999), Lifetime::Over),
            (Expiry::At(1_700_000_000), Lifetime::Over),
            (Expiry::At(1_700_000_001), Lifetime::Seconds(1)),
            (Expiry::At(1_700_000_000 + 31_536_000), Lifetime::Seconds(31_536_000)),
            (Expiry::At(1_700_000_000 + 31_536_001), Lifetime::Seconds(31_536_000)),
            (Expiry::At(i64::MAX), Lifetime::Seconds(31_536_000)),
            (Expiry::Never, Lifetime::Endless),
        ] {
            assert_eq!(expiry.lifetime(now), lifetime, "{expiry:?}");
        }
    }
}
