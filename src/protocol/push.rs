//! What a unidirectional client is sent, in both dialects: exact bytes, fields in the order the
//! reference encoder fixes, zero values left out (client protocol, `Push`).

use super::codes::Disconnect;
use super::json;
use crate::ids::{ClientId, SessionId};

/// Which form pushes take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Centrifugo v3: numbered types, `null` as ping.
    V1,
    /// Centrifugo v4 and later: a push is named by its only key, `{}` as ping.
    V2,
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
    /// Raw JSON a backend has for the client.
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

/// Writes the connect push. `V1` knows no `ping` and no `time`.
pub fn write_connect_push(out: &mut Vec<u8>, dialect: Dialect, push: &ConnectPush<'_>) {
    out.extend_from_slice(match dialect {
        Dialect::V1 => br#"{"type":6,"data":{"client":""#,
        Dialect::V2 => br#"{"connect":{"client":""#,
    });
    out.extend_from_slice(&push.client.text());
    out.extend_from_slice(br#"","version":"#);
    json::write_string(out, push.version);
    if let Some(data) = push.data {
        out.extend_from_slice(br#","data":"#);
        // Compacted, unlike the reference: a line break in it would end the line of a stream.
        json::write_raw(out, data);
    }
    if push.expires {
        out.extend_from_slice(br#","expires":true"#);
    }
    write_number(out, br#","ttl":"#, push.ttl.into());
    if dialect == Dialect::V2 {
        write_number(out, br#","ping":"#, push.ping_s.into());
    }
    out.extend_from_slice(br#","session":""#);
    out.extend_from_slice(&push.session.text());
    out.push(b'"');
    if dialect == Dialect::V2 {
        write_number(out, br#","time":"#, push.time_ms.unwrap_or(0));
    }
    out.extend_from_slice(b"}}");
}

/// Writes a ping.
pub fn write_ping(out: &mut Vec<u8>, dialect: Dialect) {
    out.extend_from_slice(match dialect {
        Dialect::V1 => b"null",
        Dialect::V2 => b"{}",
    });
}

/// Writes the last push. `V1` clients are told whether to come back, `V2` clients know it from
/// the code.
pub fn write_disconnect_push(out: &mut Vec<u8>, dialect: Dialect, disconnect: &Disconnect) {
    out.extend_from_slice(match dialect {
        Dialect::V1 => br#"{"type":7,"data":{"code":"#,
        Dialect::V2 => br#"{"disconnect":{"code":"#,
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

fn write_number(out: &mut Vec<u8>, key: &[u8], number: u64) {
    if number != 0 {
        out.extend_from_slice(key);
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::codes;

    const PLAIN: ConnectPush<'static> = ConnectPush {
        client: ClientId([0x11; 16]),
        session: SessionId([0x22; 16]),
        version: "6.9.1 OSS",
        data: None,
        expires: false,
        ttl: 0,
        ping_s: 25,
        time_ms: None,
    };

    const FULL: ConnectPush<'static> = ConnectPush {
        data: Some(b"{ \"a\":\n\"<\" }"),
        expires: true,
        ttl: 3599,
        time_ms: Some(1_716_198_604_052),
        ..PLAIN
    };

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_connect_push_has_its_fields_in_the_reference_order() {
        for (dialect, push, expected) in [
            (
                Dialect::V2,
                PLAIN,
                r#"{"connect":{"client":"11111111-1111-1111-1111-111111111111","version":"6.9.1 OSS","ping":25,"session":"22222222-2222-2222-2222-222222222222"}}"#,
            ),
            (
                Dialect::V2,
                ConnectPush { ping_s: 0, expires: true, ..PLAIN },
                r#"{"connect":{"client":"11111111-1111-1111-1111-111111111111","version":"6.9.1 OSS","expires":true,"session":"22222222-2222-2222-2222-222222222222"}}"#,
            ),
            (
                Dialect::V2,
                FULL,
                r#"{"connect":{"client":"11111111-1111-1111-1111-111111111111","version":"6.9.1 OSS","data":{"a":"\u003c"},"expires":true,"ttl":3599,"ping":25,"session":"22222222-2222-2222-2222-222222222222","time":1716198604052}}"#,
            ),
            (
                Dialect::V1,
                PLAIN,
                r#"{"type":6,"data":{"client":"11111111-1111-1111-1111-111111111111","version":"6.9.1 OSS","session":"22222222-2222-2222-2222-222222222222"}}"#,
            ),
            (
                Dialect::V1,
                FULL,
                r#"{"type":6,"data":{"client":"11111111-1111-1111-1111-111111111111","version":"6.9.1 OSS","data":{"a":"\u003c"},"expires":true,"ttl":3599,"session":"22222222-2222-2222-2222-222222222222"}}"#,
            ),
        ] {
            assert_eq!(written(|out| write_connect_push(out, dialect, &push)), expected);
        }
    }

    #[test]
    fn a_ping_is_the_smallest_thing_its_dialect_can_say() {
        assert_eq!(written(|out| write_ping(out, Dialect::V1)), "null");
        assert_eq!(written(|out| write_ping(out, Dialect::V2)), "{}");
    }

    #[test]
    fn the_disconnect_push_tells_old_clients_whether_to_return() {
        let own = Disconnect { code: 4500, reason: "\"<bye>\"".into() };
        let silent = Disconnect { code: 4000, reason: "".into() };
        for (dialect, disconnect, expected) in [
            (Dialect::V2, &codes::SHUTDOWN, r#"{"disconnect":{"code":3001,"reason":"shutdown"}}"#),
            (Dialect::V2, &own, r#"{"disconnect":{"code":4500,"reason":"\"\u003cbye\u003e\""}}"#),
            (Dialect::V2, &silent, r#"{"disconnect":{"code":4000}}"#),
            (
                Dialect::V1,
                &codes::SHUTDOWN,
                r#"{"type":7,"data":{"code":3001,"reason":"shutdown","reconnect":true}}"#,
            ),
            (
                Dialect::V1,
                &codes::BAD_REQUEST,
                r#"{"type":7,"data":{"code":3501,"reason":"bad request"}}"#,
            ),
            (Dialect::V1, &silent, r#"{"type":7,"data":{"code":4000,"reconnect":true}}"#),
        ] {
            assert_eq!(written(|out| write_disconnect_push(out, dialect, disconnect)), expected);
        }
    }
}
