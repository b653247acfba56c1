//! `block_user`: ends the sessions of a user and lets none in, until a time or until
//! `unblock_user`.

use simd_json::tape::Value;

use super::params::{Fault, integer, known, required, text, until};
use super::question::Question;
use crate::auth::Rule;

/// Reads `{"user","expire_at"?}`.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Question, Fault> {
    let (mut user, mut expire_at) = (None, None);
    for (key, value) in params {
        match known(key, &["user", "expire_at"]) {
            "user" => text(&mut user, "user", value)?,
            "expire_at" => integer(&mut expire_at, "expire_at", value)?,
            _ => {}
        }
    }
    let rule = Rule::Block { user: required("user", user)?, until: until(expire_at)? };
    Ok(Question::KeepOut(Box::new(rule)))
}
