//! `connections`: the sessions of a user in the form of v4 and later.

use simd_json::prelude::TypedScalarValue;
use simd_json::tape::Value;

use super::encode::Object;
use super::error::ApiError;
use super::label_filter;
use super::params::{Fault, Reading, known, text};
use super::question::Question;
use crate::session::Session;

/// Milliseconds of the last ping's round trip when there is none to tell: no pong yet, or a
/// transport on which clients never answer (`api.proto`, `ping_pong_latency_ms`).
const LATENCY_UNKNOWN_MS: i64 = -1;

/// Reads `{"user","expression","label_filter"}`.
///
/// Clients always send every key, so empty means absent here, also for the user. What would
/// narrow the listing and cannot yet is refused, not ignored.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    let (mut user, mut expression, mut filter) = (None, None, None);
    for (key, value) in params {
        match known(key, &["user", "expression", "label_filter"]) {
            "user" => text(&mut user, "user", value)?,
            "expression" => text(&mut expression, "expression", value)?,
            "label_filter" if !value.is_null() => filter = Some(value),
            _ => {}
        }
    }
    if expression.is_some_and(|expression| !expression.is_empty()) {
        return Err(
            ApiError::not_available("\"expression\" cannot be used yet, only \"user\"").into()
        );
    }
    if let Some(filter) = filter {
        label_filter::read(filter, reading.options.label_filter)?;
        let why = "\"label_filter\" cannot be used yet, only \"user\"";
        return Err(ApiError::not_available(why).into());
    }
    let user = user.filter(|user| !user.is_empty()).ok_or_else(|| {
        ApiError::bad_request("key \"user\" is missing or empty, for now a user id is needed")
    })?;
    Ok(Question::Connections { user: user.into(), hash: reading.hasher.hash(user) })
}

/// Writes one `ConnectionInfo`, in the order of its field numbers; what is empty is left out. Where
/// a session came from stands after them: Centrifugo's message has no such field.
pub(super) fn write(session: &Session<'_>, out: &mut Vec<u8>) {
    let mut info = Object::open(out);
    info.text_if_any("app_name", session.app_name());
    info.text_if_any("app_version", session.app_version());
    info.word("transport", session.transport().name());
    info.word("protocol", session.protocol().name());
    info.text_if_any("user", session.user());
    let uid = session.token_uid();
    let issued_at = session.token_issued_at().filter(|at| *at != 0);
    let has_token = !uid.is_empty() || issued_at.is_some();
    let meta = session.meta();
    if has_token || meta.is_some() {
        let mut state = info.object("state");
        if has_token {
            let mut token = state.object("connection_token");
            token.text_if_any("uid", &uid);
            if let Some(issued_at) = issued_at {
                token.integer("issued_at", issued_at);
            }
            token.close();
        }
        if let Some(meta) = meta {
            state.raw("meta", meta);
        }
        state.close();
    }
    info.integer("connected_at_ms", session.connected_at_ms());
    info.integer("ping_pong_latency_ms", LATENCY_UNKNOWN_MS);
    let mut labels = session.labels().peekable();
    if labels.peek().is_some() {
        let mut object = info.object("labels");
        labels.for_each(|(key, value)| object.text_under(key, value));
        object.close();
    }
    if let Some(address) = session.remote_addr() {
        info.plain("remote_addr", address);
    }
    info.text_if_any("user_agent", session.user_agent());
    info.close();
}
