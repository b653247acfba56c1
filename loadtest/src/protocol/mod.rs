//! As much of the client protocol as a session needs that connects, answers pings and does
//! nothing else (client protocol v2). Sans-IO.

mod json;
mod protobuf;

use rollcall::ids::ClientId;

use crate::population::{APP_NAME, APP_VERSION};
use crate::transport::{Encoding, Transport};

/// Something the server said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// The session is accepted.
    Connected(Connected),
    /// The server asks whether we are there.
    Ping,
    /// The WebSocket's own ping, which asks for its payload back.
    FramePing(Vec<u8>),
    /// The session ends, or was refused.
    Ended { code: u32, reason: String },
    /// Nothing an idle session should be told.
    Other,
}

/// What the server promised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Connected {
    pub(crate) client: ClientId,
    /// Seconds between pings; 0 is never.
    pub(crate) ping_s: u32,
    /// Whether pings must be answered.
    pub(crate) wants_pong: bool,
    /// Where answers go, if they do not travel on the connection itself.
    pub(crate) emulation: Option<Emulated>,
}

/// The address of a session whose commands are posted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Emulated {
    pub(crate) session: [u8; 16],
    pub(crate) node: String,
}

/// Reads one message.
pub(crate) fn read(encoding: Encoding, message: &[u8]) -> Told {
    match encoding {
        Encoding::Json => json::read(message),
        Encoding::Protobuf => protobuf::read_reply(message).unwrap_or(Told::Other),
        Encoding::ProtobufPush => protobuf::read_push(message).unwrap_or(Told::Other),
    }
}

/// The messages of one frame: JSON on lines, Protobuf with lengths in front; `None` if a length
/// lies.
pub(crate) fn split(encoding: Encoding, payload: &[u8]) -> Option<Vec<&[u8]>> {
    match encoding {
        Encoding::Json => Some(payload.split(|byte| *byte == b'\n').collect()),
        Encoding::Protobuf => protobuf::split(payload),
        Encoding::ProtobufPush => Some(vec![payload]),
    }
}

/// The first thing a client says, as the body or frame it travels in.
pub(crate) fn connect(transport: Transport, token: &str) -> Vec<u8> {
    match transport.encoding() {
        Encoding::Protobuf => protobuf::connect_command(token),
        Encoding::ProtobufPush => protobuf::connect_request(token),
        Encoding::Json => {
            let request = json::connect_request(token);
            if transport.is_bidirectional() {
                format!(r#"{{"id":1,"connect":{request}}}"#).into_bytes()
            } else {
                request.into_bytes()
            }
        }
    }
}

/// Asks for a list of the user's own sessions, in JSON; `id` must not repeat.
pub(crate) fn list_sessions(id: u32) -> Vec<u8> {
    format!(r#"{{"id":{id},"rpc":{{"method":"sessions.list","data":{{}}}}}}"#).into_bytes()
}

/// The answer to a ping.
pub(crate) const fn pong(encoding: Encoding) -> &'static [u8] {
    match encoding {
        Encoding::Json => b"{}",
        Encoding::Protobuf | Encoding::ProtobufPush => b"\0",
    }
}

/// The body of a request to `/emulation` that answers a ping.
pub(crate) fn emulated_pong(to: &Emulated) -> String {
    let session = rollcall::ids::uuid_text(&to.session);
    let session = std::str::from_utf8(&session).expect("hex digits and hyphens");
    let node = serde_json::to_string(&to.node).expect("a text is JSON");
    format!(r#"{{"session":"{session}","node":{node},"data":"{{}}"}}"#)
}

#[cfg(test)]
mod tests;
