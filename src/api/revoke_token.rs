//! `revoke_token`: ends the sessions that came with a token and lets none in with it.

use simd_json::tape::Value;

use super::params::{Fault, integer, known, required, text, until};
use super::question::Question;
use crate::auth::Rule;

/// Reads `{"uid","expire_at"?}`; `uid` is the token's `jti`.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Question, Fault> {
    let (mut uid, mut expire_at) = (None, None);
    for (key, value) in params {
        match known(key, &["uid", "expire_at"]) {
            "uid" => text(&mut uid, "uid", value)?,
            "expire_at" => integer(&mut expire_at, "expire_at", value)?,
            _ => {}
        }
    }
    let rule = Rule::Revoke { uid: required("uid", uid)?, until: until(expire_at)? };
    Ok(Question::KeepOut(Box::new(rule)))
}
