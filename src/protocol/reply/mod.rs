//! What a client of a bidirectional transport is told, in both encodings: exact bytes, fields in
//! the order the reference encoder fixes, zero values left out (client protocol v2, `Reply`).
//!
//! JSON comes without any framing: whether a line break, a `data: ` or the end of a frame stands
//! around it is the transport's affair. Protobuf comes with its length in front, on every
//! transport; replies are simply put one after another.

use super::codes::{Disconnect, ErrorCode};
use super::push::{self, Dialect, RefreshPush};
use super::{Encoding, json, protobuf};
use crate::ids::{ClientId, SessionId};

/// What a command is answered.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// It failed.
    Error {
        /// 100 to 399 are the server's, 400 to 1999 a backend's.
        code: u32,
        /// For people.
        message: &'a str,
        /// Whether the same command may succeed later.
        temporary: bool,
    },
    /// The client is in.
    Connect(ConnectResult<'a>),
    /// A backend has answered.
    Rpc {
        /// Raw JSON for a JSON client, anything for a Protobuf client. Empty when there is
        /// nothing to say.
        data: &'a [u8],
    },
    /// The new token is good.
    Refresh {
        /// Seconds until the session ends; `None` when it does not. 0 is left out.
        ttl: Option<u32>,
    },
    /// The client hears the channel no longer.
    Unsubscribe,
}

impl<'e> From<&'e ErrorCode> for Reply<'e> {
    fn from(error: &'e ErrorCode) -> Self {
        let ErrorCode { code, message, temporary } = error;
        Self::Error { code: *code, message, temporary: *temporary }
    }
}

/// What an accepted client learns.
#[derive(Clone, Copy, Debug)]
pub struct ConnectResult<'a> {
    /// Public name of the session.
    pub client: ClientId,
    /// Version of the server; never empty, some clients insist.
    pub version: &'a str,
    /// Whether the client must refresh its token.
    pub expires: bool,
    /// Seconds until then; 0 is left out.
    pub ttl: u32,
    /// What a backend has for the client: raw JSON, or anything in Protobuf.
    pub data: Option<&'a [u8]>,
    /// Seconds between pings; 0 means there are none, and is left out.
    pub ping_s: u32,
    /// Whether the client has to answer them.
    pub pong: bool,
    /// Private name of the session, only on emulated transports: it comes back in every
    /// [`super::EmulationRequest`].
    pub session: Option<SessionId>,
    /// Where the session lives, likewise; empty elsewhere.
    pub node: &'a str,
    /// The server's time, Unix milliseconds.
    pub time_ms: Option<u64>,
}

/// What a client is told unasked.
#[derive(Clone, Copy, Debug)]
pub enum Push<'a> {
    /// Are you there? The client answers with the same bytes.
    Ping,
    /// The last thing it hears, where no close frame can say it.
    Disconnect(&'a Disconnect),
    /// A backend changed when the session ends.
    Refresh(RefreshPush),
}

/// Writes the reply to the command of this id, which is not 0: without an id a client takes a
/// reply for a ping.
pub fn write_reply(out: &mut Vec<u8>, encoding: Encoding, id: u32, reply: &Reply<'_>) {
    debug_assert_ne!(id, 0, "a reply without an id is a ping");
    match encoding {
        Encoding::Json => {
            out.extend_from_slice(br#"{"id":"#);
            out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
            write_json(out, reply);
            out.push(b'}');
        }
        Encoding::Protobuf => protobuf::write_delimited(out, |out| {
            protobuf::write_number(out, 1, id.into());
            write_protobuf(out, reply);
        }),
    }
}

/// Writes a push.
pub fn write_push(out: &mut Vec<u8>, encoding: Encoding, push: &Push<'_>) {
    match (encoding, push) {
        (Encoding::Json, Push::Ping) => out.extend_from_slice(b"{}"),
        (Encoding::Protobuf, Push::Ping) => out.push(0),
        (Encoding::Json, _) => {
            out.extend_from_slice(br#"{"push":"#);
            write_inner_push(out, Dialect::V2, push);
            out.push(b'}');
        }
        (Encoding::Protobuf, _) => protobuf::write_delimited(out, |out| {
            protobuf::write_message(out, 4, |out| write_inner_push(out, Dialect::Protobuf, push));
        }),
    }
}

fn write_inner_push(out: &mut Vec<u8>, dialect: Dialect, push: &Push<'_>) {
    match push {
        Push::Ping => push::write_ping(out, dialect),
        Push::Disconnect(disconnect) => push::write_disconnect_push(out, dialect, disconnect),
        Push::Refresh(refresh) => push::write_refresh_push(out, dialect, *refresh),
    }
}

fn write_json(out: &mut Vec<u8>, reply: &Reply<'_>) {
    match reply {
        Reply::Error { code, message, temporary } => {
            // Always all of it: some clients look the message up without asking.
            out.extend_from_slice(br#","error":{"code":"#);
            out.extend_from_slice(itoa::Buffer::new().format(*code).as_bytes());
            out.extend_from_slice(br#","message":"#);
            json::write_string(out, message);
            if *temporary {
                out.extend_from_slice(br#","temporary":true"#);
            }
        }
        Reply::Connect(result) => write_connect_json(out, result),
        Reply::Rpc { data } => {
            out.extend_from_slice(br#","rpc":{"#);
            if !data.is_empty() {
                out.extend_from_slice(br#""data":"#);
                json::write_payload(out, data);
            }
        }
        Reply::Refresh { ttl } => {
            out.extend_from_slice(br#","refresh":{"#);
            if let Some(ttl) = ttl {
                out.extend_from_slice(br#""expires":true"#);
                json::write_number(out, br#","ttl":"#, (*ttl).into());
            }
        }
        Reply::Unsubscribe => out.extend_from_slice(br#","unsubscribe":{"#),
    }
    out.push(b'}');
}

fn write_connect_json(out: &mut Vec<u8>, result: &ConnectResult<'_>) {
    out.extend_from_slice(br#","connect":{"client":""#);
    out.extend_from_slice(&result.client.text());
    out.extend_from_slice(br#"","version":"#);
    json::write_string(out, result.version);
    if result.expires {
        out.extend_from_slice(br#","expires":true"#);
    }
    json::write_number(out, br#","ttl":"#, result.ttl.into());
    if let Some(data) = result.data {
        out.extend_from_slice(br#","data":"#);
        json::write_payload(out, data);
    }
    json::write_number(out, br#","ping":"#, result.ping_s.into());
    if result.pong {
        out.extend_from_slice(br#","pong":true"#);
    }
    if let Some(session) = result.session {
        out.extend_from_slice(br#","session":""#);
        out.extend_from_slice(&session.text());
        out.push(b'"');
    }
    if !result.node.is_empty() {
        out.extend_from_slice(br#","node":"#);
        json::write_string(out, result.node);
    }
    json::write_number(out, br#","time":"#, result.time_ms.unwrap_or(0));
}

/// The numbers of `Reply` and of its messages.
fn write_protobuf(out: &mut Vec<u8>, reply: &Reply<'_>) {
    match reply {
        Reply::Error { code, message, temporary } => protobuf::write_message(out, 2, |out| {
            protobuf::write_number(out, 1, (*code).into());
            protobuf::write_bytes(out, 2, message.as_bytes());
            protobuf::write_number(out, 3, (*temporary).into());
        }),
        Reply::Connect(result) => protobuf::write_message(out, 5, |out| {
            protobuf::write_bytes(out, 1, &result.client.text());
            protobuf::write_bytes(out, 2, result.version.as_bytes());
            protobuf::write_number(out, 3, result.expires.into());
            protobuf::write_number(out, 4, result.ttl.into());
            protobuf::write_bytes(out, 5, result.data.unwrap_or_default());
            protobuf::write_number(out, 7, result.ping_s.into());
            protobuf::write_number(out, 8, result.pong.into());
            if let Some(session) = result.session {
                protobuf::write_bytes(out, 9, &session.text());
            }
            protobuf::write_bytes(out, 10, result.node.as_bytes());
            protobuf::write_number(out, 11, result.time_ms.unwrap_or(0));
        }),
        Reply::Rpc { data } => {
            protobuf::write_message(out, 13, |out| protobuf::write_bytes(out, 1, data));
        }
        Reply::Refresh { ttl } => protobuf::write_message(out, 14, |out| {
            protobuf::write_number(out, 3, ttl.is_some().into());
            protobuf::write_number(out, 4, ttl.unwrap_or(0).into());
        }),
        Reply::Unsubscribe => protobuf::write_message(out, 7, |_empty| {}),
    }
}

#[cfg(test)]
mod tests;
