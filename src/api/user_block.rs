//! `get_user_block`: whether a user is blocked, and until when. Every shard knows: the one that is
//! asked answers.

use simd_json::tape::Value;

use super::encode::Object;
use super::params::{Fault, one_user};
use super::question::Question;
use crate::auth::Until;

/// Reads `{"user"}`.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Question, Fault> {
    Ok(Question::UserBlock(one_user(params)?))
}

/// Writes `{"blocked":true,"expire_at":…}`; a block that does not end by itself has no end.
pub(super) fn write(block: Option<Until>, out: &mut Vec<u8>) {
    let mut result = Object::open(out);
    result.raw("blocked", if block.is_some() { b"true" } else { b"false" });
    if let Some(until) = block.filter(|until| *until != Until::FOREVER) {
        result.integer("expire_at", until.unix_s());
    }
    result.close();
}
