//! The JSON form: replies and pushes told apart by their members, for an idle client needs no
//! ids.

use rollcall::ids::ClientId;
use serde::Deserialize;

use super::{APP_NAME, APP_VERSION, Connected, Emulated, Told};

/// A reply of a bidirectional transport, or a push of a unidirectional one.
#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    connect: Option<Connect<'m>>,
    push: Option<Push>,
    disconnect: Option<Ending>,
    error: Option<Ending>,
}

#[derive(Deserialize)]
struct Connect<'m> {
    client: &'m str,
    #[serde(default)]
    ping: u32,
    #[serde(default)]
    pong: bool,
    session: Option<&'m str>,
    node: Option<String>,
}

/// A push inside a reply.
#[derive(Deserialize)]
struct Push {
    disconnect: Option<Ending>,
}

/// A disconnect or an error.
#[derive(Deserialize)]
struct Ending {
    code: u32,
    #[serde(alias = "message")]
    reason: String,
}

pub(super) fn read(message: &[u8]) -> Told {
    if message == b"{}" {
        return Told::Ping;
    }
    let Ok(Message { connect, push, disconnect, error }) = serde_json::from_slice(message) else {
        return Told::Other;
    };
    let pushed = push.and_then(|push| push.disconnect);
    if let Some(Ending { code, reason }) = disconnect.or(error).or(pushed) {
        return Told::Ended { code, reason };
    }
    connect.and_then(connected).map_or(Told::Other, Told::Connected)
}

/// `None` if an id is not what it must be.
fn connected(connect: Connect<'_>) -> Option<Connected> {
    let uuid = |text: &str| rollcall::ids::uuid_parse(text.as_bytes());
    let client = ClientId::parse(connect.client)?;
    let emulation = match (connect.session, connect.node) {
        (Some(session), Some(node)) => Some(Emulated { session: uuid(session)?, node }),
        _ => None,
    };
    Some(Connected { client, ping_s: connect.ping, wants_pong: connect.pong, emulation })
}

pub(super) fn connect_request(token: &str) -> String {
    // A token is base64 and dots: nothing to escape.
    format!(r#"{{"token":"{token}","name":"{APP_NAME}","version":"{APP_VERSION}"}}"#)
}
