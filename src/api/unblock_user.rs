//! `unblock_user`: a blocked user may come again. Also one that is not blocked.

use simd_json::tape::Value;

use super::params::{Fault, one_user};
use super::question::Question;
use crate::auth::Rule;

/// Reads `{"user"}`.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Question, Fault> {
    Ok(Question::KeepOut(Box::new(Rule::Unblock { user: one_user(params)? })))
}
