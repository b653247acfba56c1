//! `invalidate_user_tokens`: a user's tokens issued before a time are no longer good; sessions that
//! came with them end.

use simd_json::tape::Value;

use super::error::ApiError;
use super::params::{Fault, integer, known, required, text, until};
use super::question::Question;
use crate::auth::Rule;

/// Reads `{"user","issued_before"?,"expire_at"?}`. Without `issued_before`, or with 0, the time is
/// now. `channel` is refused until there are channels: ignoring what narrows would mean too many.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Question, Fault> {
    let (mut user, mut issued_before, mut expire_at, mut channel) = (None, None, None, None);
    for (key, value) in params {
        match known(key, &["user", "issued_before", "expire_at", "channel"]) {
            "user" => text(&mut user, "user", value)?,
            "issued_before" => integer(&mut issued_before, "issued_before", value)?,
            "expire_at" => integer(&mut expire_at, "expire_at", value)?,
            "channel" => text(&mut channel, "channel", value)?,
            _ => {}
        }
    }
    if channel.is_some_and(|channel| !channel.is_empty()) {
        let why = "\"channel\" needs channels, and this server has none yet";
        return Err(ApiError::not_available(why).into());
    }
    let issued_before = issued_before.filter(|issued_before| *issued_before != 0);
    let user = required("user", user)?;
    let rule = Rule::Invalidate { user, issued_before, until: until(expire_at)? };
    Ok(Question::KeepOut(Box::new(rule)))
}
