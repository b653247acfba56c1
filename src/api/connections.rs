//! `connections`: sessions in the form of v4 and later.

use simd_json::tape::Value;

use super::answer::write_key;
use super::encode::Object;
use super::error::ApiError;
use super::params::{Fault, Reading};
use super::question::Question;
use super::search::{Additions, Search};
use super::selector::Selectors;
use crate::session::Session;

/// Milliseconds of the last ping's round trip, -1 when there is none to tell: no pong yet, or a
/// transport on which clients never answer (`api.proto`, `ping_pong_latency_ms`).
pub(super) fn latency_ms(session: &Session<'_>) -> i64 {
    session.latency_ms().map_or(-1, i64::from)
}

/// Reads the selectors and our own keys.
///
/// Clients always send every key, so empty means absent here, also for the user.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    let (mut selectors, mut additions) = (Selectors::default(), Additions::default());
    for (key, value) in params {
        if !additions.read(key, value)? {
            selectors.read(key, value)?;
        }
    }
    let is_ours = selectors.is_extended() || additions.are_used();
    let selector = selectors.for_listing(reading)?;
    if selector.is_everybody() && !is_ours {
        return Err(ApiError::bad_request(
            "nothing is asked for, expected \"user\", \"users\", \"expression\", \
             \"label_filter\", another condition, \"limit\", \"count_only\" or \"group_by\"",
        )
        .into());
    }
    if is_ours {
        return Ok(Question::Search(Box::new(additions.search(selector, reading)?)));
    }
    Ok(match selector.whole_user() {
        Some((user, hash)) => Question::Connections { user: user.clone(), hash: *hash },
        None => Question::Search(Box::new(Search::whole(selector))),
    })
}

/// Writes one session as a member of a listing, `"<client>":{…}`.
pub(super) fn write_entry(session: &Session<'_>, out: &mut Vec<u8>) {
    write_key(session, out);
    write(session, out);
}

/// Writes one `ConnectionInfo`, in the order of its field numbers; what is empty is left out. Where
/// a session came from stands after them: Centrifugo's message has no such field.
pub(super) fn write(session: &Session<'_>, out: &mut Vec<u8>) {
    write_with(session, session.meta(), out);
}

/// The same with this `meta`.
#[inline]
pub(super) fn write_with(session: &Session<'_>, meta: Option<&[u8]>, out: &mut Vec<u8>) {
    let mut info = Object::open(out);
    let (app_name, app_version) = session.app();
    info.text_if_any("app_name", app_name);
    info.text_if_any("app_version", app_version);
    info.word("transport", session.transport().name());
    info.word("protocol", session.protocol().name());
    info.text_if_any("user", session.user());
    let uid = session.token_uid();
    let issued_at = session.token_issued_at().filter(|at| *at != 0);
    let has_token = !uid.is_empty() || issued_at.is_some();
    if has_token || meta.is_some() {
        let mut state = info.object("state");
        if has_token {
            let mut token = state.object("connection_token");
            token.uid_if_any("uid", &uid);
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
    info.integer("ping_pong_latency_ms", latency_ms(session));
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
    if let Some(ended) = session.ended() {
        let mut closed = info.object("closed");
        closed.integer("at_ms", ended.at_ms);
        closed.integer("code", ended.code);
        closed.text_if_any("reason", &ended.reason);
        closed.integer("duration_ms", ended.at_ms.saturating_sub(session.connected_at_ms()));
        closed.close();
    }
    info.close();
}
