//! A user's own sessions, as the user may see them (client RPC `sessions.list`): never `meta`, and
//! nothing of tokens.

use compact_str::CompactString;

use super::encode::Object;
use crate::ids::{ClientId, UserHash};
use crate::session::Session;

/// What users see of their own sessions beside what is always shown.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OwnSessionsShown {
    /// The address each came from.
    pub remote_addr: bool,
    /// The user agent each named.
    pub user_agent: bool,
}

/// Whose sessions are listed, and for which of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnSessions {
    /// User id; never empty, the anonymous have no sessions of their own.
    pub user: CompactString,
    /// Its hash.
    pub hash: UserHash,
    /// The session that asks: it is marked.
    pub current: ClientId,
    /// What the operator lets users see.
    pub shown: OwnSessionsShown,
}

/// Writes one session; what is empty is left out.
pub(super) fn write(own: &OwnSessions, session: &Session<'_>, out: &mut Vec<u8>) {
    let client = session.client();
    let mut info = Object::open(out);
    info.plain("client", client);
    if client == own.current {
        info.raw("current", b"true");
    }
    info.text_if_any("app_name", session.app_name());
    info.text_if_any("app_version", session.app_version());
    info.word("transport", session.transport().name());
    info.word("protocol", session.protocol().name());
    info.integer("connected_at_ms", session.connected_at_ms());
    if let Some(address) = session.remote_addr().filter(|_| own.shown.remote_addr) {
        info.plain("remote_addr", address);
    }
    if own.shown.user_agent {
        info.text_if_any("user_agent", session.user_agent());
    }
    info.close();
}
