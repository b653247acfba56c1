//! `unblock_user`: a blocked user may come again. Also one that is not blocked.

use simd_json::tape::Value;

use super::params::{Fault, known, required, text};
use super::question::Question;
use crate::auth::Rule;

/// Reads `{"user"}`.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Question, Fault> {
    let mut user = None;
    for (key, value) in params {
        if known(key, &["user"]) == "user" {
            text(&mut user, "user", value)?;
        }
    }
    Ok(Question::KeepOut(Box::new(Rule::Unblock { user: required("user", user)? })))
}
