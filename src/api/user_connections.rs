//! `user_connections`: the sessions of a user in the flat form of v3, as the founding page of
//! this project shows it. Also under `/api/user_connections`, where Centrifugo has none.

use simd_json::tape::Value;

use super::encode::Object;
use super::error::ApiError;
use super::params::{Fault, Reading, any_user};
use super::question::Question;
use crate::session::Session;

/// Reads `{"user"}`. An explicit empty user is the anonymous one; no user is an error.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    let user = any_user(params)?.ok_or_else(|| {
        ApiError::bad_request("key \"user\" is missing, expected a user id (\"\" is anonymous)")
    })?;
    Ok(Question::UserConnections { user: user.into(), hash: reading.hasher.hash(user) })
}

/// Writes one `UserConnectionInfo`, in the order of the page; what is empty is left out.
pub(super) fn write(session: &Session<'_>, out: &mut Vec<u8>) {
    let mut info = Object::open(out);
    let (app_name, app_version) = session.app();
    info.text_if_any("app_name", app_name);
    info.text_if_any("app_version", app_version);
    info.word("transport", session.transport().name());
    info.word("protocol", session.protocol().name());
    info.uid_if_any("token_uid", &session.token_uid());
    if let Some(issued_at) = session.token_issued_at().filter(|at| *at != 0) {
        info.integer("token_issued_at", issued_at);
    }
    if let Some(meta) = session.meta() {
        info.raw("meta", meta);
    }
    info.close();
}
