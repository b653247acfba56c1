//! What a unidirectional client is sent, in every dialect: exact bytes, fields in the order the
//! reference encoder fixes, zero values left out (client protocol, `Push`).

use super::codes::Disconnect;
use super::{json, protobuf};
use crate::ids::{ClientId, SessionId};

/// Which form pushes take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Centrifugo v3: numbered types, `null` as ping.
    V1,
    /// Centrifugo v4 and later: a push is named by its only key, `{}` as ping.
    V2,
    /// Centrifugo v4 and later in Protobuf: a push is named by its number. Messages without
    /// their length: how they are told apart is the transport's affair.
    Protobuf,
}

/// The first thing an accepted client hears.
#[derive(Clone, Copy, Debug)]
pub struct ConnectPush<'a> {
    /// Public name of the session.
    pub client: ClientId,
    /// Private name of the session.
    pub session: SessionId,
    /// Version of the server; never empty, some clients insist.
    pub version: &'a str,
    /// What a backend has for the client: raw JSON, or anything in Protobuf.
    pub data: Option<&'a [u8]>,
    /// Whether the session ends at a time known now.
    pub expires: bool,
    /// Seconds until it ends; 0 is left out.
    pub ttl: u32,
    /// Seconds between pings; 0 means there are none, and is left out.
    pub ping_s: u32,
    /// The server's time, Unix milliseconds.
    pub time_ms: Option<u64>,
}

/// What a session may still hear about its end; `None` when there is no end any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RefreshPush {
    /// Seconds until it ends; 0 is left out.
    pub ttl: Option<u32>,
}

/// Writes the connect push. `V1` knows no `ping` and no `time`.
pub fn write_connect_push(out: &mut Vec<u8>, dialect: Dialect, push: &ConnectPush<'_>) {
    out.extend_from_slice(match dialect {
        Dialect::V1 => br#"{"type":6,"data":{"client":""#,
        Dialect::V2 => br#"{"connect":{"client":""#,
        Dialect::Protobuf => return write_connect_protobuf(out, push),
    });
    out.extend_from_slice(&push.client.text());
    out.extend_from_slice(br#"","version":"#);
    json::write_string(out, push.version);
    if let Some(data) = push.data {
        out.extend_from_slice(br#","data":"#);
        json::write_payload(out, data);
    }
    if push.expires {
        out.extend_from_slice(br#","expires":true"#);
    }
    json::write_number(out, br#","ttl":"#, push.ttl.into());
    if dialect == Dialect::V2 {
        json::write_number(out, br#","ping":"#, push.ping_s.into());
    }
    out.extend_from_slice(br#","session":""#);
    out.extend_from_slice(&push.session.text());
    out.push(b'"');
    if dialect == Dialect::V2 {
        json::write_number(out, br#","time":"#, push.time_ms.unwrap_or(0));
    }
    out.extend_from_slice(b"}}");
}

fn write_connect_protobuf(out: &mut Vec<u8>, push: &ConnectPush<'_>) {
    protobuf::write_message(out, 10, |out| {
        protobuf::write_bytes(out, 1, &push.client.text());
        protobuf::write_bytes(out, 2, push.version.as_bytes());
        protobuf::write_bytes(out, 3, push.data.unwrap_or_default());
        protobuf::write_number(out, 5, push.expires.into());
        protobuf::write_number(out, 6, push.ttl.into());
        protobuf::write_number(out, 7, push.ping_s.into());
        protobuf::write_bytes(out, 9, &push.session.text());
        protobuf::write_number(out, 11, push.time_ms.unwrap_or(0));
    });
}

/// Writes a ping. In Protobuf that is an empty message: nothing.
pub fn write_ping(out: &mut Vec<u8>, dialect: Dialect) {
    out.extend_from_slice(match dialect {
        Dialect::V1 => b"null",
        Dialect::V2 => b"{}",
        Dialect::Protobuf => b"",
    });
}

/// Writes the last push. `V1` clients are told whether to come back, others know it from the
/// code.
pub fn write_disconnect_push(out: &mut Vec<u8>, dialect: Dialect, disconnect: &Disconnect) {
    out.extend_from_slice(match dialect {
        Dialect::V1 => br#"{"type":7,"data":{"code":"#,
        Dialect::V2 => br#"{"disconnect":{"code":"#,
        Dialect::Protobuf => {
            return protobuf::write_message(out, 11, |out| {
                protobuf::write_number(out, 1, disconnect.code.into());
                protobuf::write_bytes(out, 2, disconnect.reason.as_bytes());
            });
        }
    });
    out.extend_from_slice(itoa::Buffer::new().format(disconnect.code).as_bytes());
    if !disconnect.reason.is_empty() {
        out.extend_from_slice(br#","reason":"#);
        json::write_string(out, &disconnect.reason);
    }
    if dialect == Dialect::V1 && disconnect.may_return() {
        out.extend_from_slice(br#","reconnect":true"#);
    }
    out.extend_from_slice(b"}}");
}

/// Writes that a backend changed when the session ends.
pub fn write_refresh_push(out: &mut Vec<u8>, dialect: Dialect, push: RefreshPush) {
    out.extend_from_slice(match dialect {
        Dialect::V1 => br#"{"type":8,"data":{"#,
        Dialect::V2 => br#"{"refresh":{"#,
        Dialect::Protobuf => {
            return protobuf::write_message(out, 12, |out| {
                protobuf::write_number(out, 1, push.ttl.is_some().into());
                protobuf::write_number(out, 2, push.ttl.unwrap_or(0).into());
            });
        }
    });
    if let Some(ttl) = push.ttl {
        out.extend_from_slice(br#""expires":true"#);
        json::write_number(out, br#","ttl":"#, ttl.into());
    }
    out.extend_from_slice(b"}}");
}

#[cfg(test)]
mod tests;
