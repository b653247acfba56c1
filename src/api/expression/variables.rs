//! What an expression sees of a session.

use std::collections::HashMap;

use cel::common::types::{CelInt, CelList, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::checks::MetaUse;
use super::cost::BYTES_PER_STEP;
use super::json;
use crate::api::connections::latency_ms;
use crate::ids::UUID_TEXT_LEN;
use crate::session::Session;

/// Every variable; `docs/queries.md` has their types.
pub(super) const NAMES: [&str; 16] = [
    "user",
    "client",
    "session",
    "app_name",
    "app_version",
    "transport",
    "protocol",
    "meta",
    "labels",
    "channels",
    "connected_at_ms",
    "ping_pong_latency_ms",
    "token_uid",
    "token_issued_at",
    "remote_addr",
    "user_agent",
];

/// What an expression sees of a session weighs, as [`Cost`](super::cost::Cost) counts it.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    pub(super) session: usize,
    /// The part of it that has to be parsed.
    pub(super) meta: usize,
}

impl Weights {
    /// Told without parsing anything. O(bytes of `meta`).
    pub(super) fn of(session: &Session<'_>, meta: MetaUse) -> Self {
        let meta = match meta {
            MetaUse::Read => json::weight(meta_of(session)),
            MetaUse::Ignored => 0,
        };
        let labels =
            session.labels().map(|(key, value)| 2 + (key.len() + value.len()) / BYTES_PER_STEP);
        let texts = session.user().len() + session.user_agent().len();
        Self { session: 1 + meta + labels.sum::<usize>() + texts / BYTES_PER_STEP, meta }
    }
}

/// One session, read when it is asked for.
pub(super) struct Variables<'s> {
    session: Session<'s>,
    /// Parsed once when the expression looks at it.
    meta: Option<Box<dyn Val>>,
}

impl<'s> Variables<'s> {
    pub(super) fn of(session: &Session<'s>, meta: MetaUse) -> Self {
        let meta = match meta {
            MetaUse::Read => Some(json::value(meta_of(session))),
            MetaUse::Ignored => None,
        };
        Self { session: *session, meta }
    }
}

fn meta_of<'s>(session: &Session<'s>) -> &'s [u8] {
    session.meta().unwrap_or(b"{}")
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let session = &self.session;
        let text = |text: &'b str| Some(CowVal::owned(CelString::from(text)));
        let own = |text: String| Some(CowVal::owned(CelString::from(text)));
        let number = |number: i64| Some(CowVal::owned(CelInt::from(number)));
        match variable {
            "user" => text(session.user()),
            "client" => own(uuid(&session.client().text())),
            "session" => own(uuid(&session.session().text())),
            "app_name" => text(session.app_name()),
            "app_version" => text(session.app_version()),
            "transport" => text(session.transport().name()),
            "protocol" => text(session.protocol().name()),
            "meta" => self.meta.as_deref().map(CowVal::Borrowed),
            "labels" => {
                let labels = session.labels().map(|(key, value)| {
                    let value: Box<dyn Val + 'b> = Box::new(CelString::from(value));
                    (CelMapKey::from(key.to_owned()), value)
                });
                Some(CowVal::owned(CelMap::from(labels.collect::<HashMap<_, _>>())))
            }
            "channels" => Some(CowVal::owned(CelList::default())),
            "connected_at_ms" => number(session.connected_at_ms().cast_signed()),
            "ping_pong_latency_ms" => number(latency_ms(session)),
            "token_uid" => own((*session.token_uid()).to_owned()),
            "token_issued_at" => number(session.token_issued_at().unwrap_or_default()),
            "remote_addr" => own(session.remote_addr().map_or_else(String::new, |a| a.to_string())),
            "user_agent" => text(session.user_agent()),
            _ => None,
        }
    }
}

fn uuid(text: &[u8; UUID_TEXT_LEN]) -> String {
    std::str::from_utf8(text).expect("hexadecimal digits and hyphens").to_owned()
}
