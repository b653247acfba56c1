//! Pushes as values in, exact bytes out.

use prost::Message;

use super::*;
use crate::protocol::{codes, schema};

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
            r#"{"connect":{"client":"11111111-1111-1111-1111-111111111111","version":"6.9.1 OSS","data":{ "a":"<" },"expires":true,"ttl":3599,"ping":25,"session":"22222222-2222-2222-2222-222222222222","time":1716198604052}}"#,
        ),
        (
            Dialect::V1,
            PLAIN,
            r#"{"type":6,"data":{"client":"11111111-1111-1111-1111-111111111111","version":"6.9.1 OSS","session":"22222222-2222-2222-2222-222222222222"}}"#,
        ),
        (
            Dialect::V1,
            FULL,
            r#"{"type":6,"data":{"client":"11111111-1111-1111-1111-111111111111","version":"6.9.1 OSS","data":{ "a":"<" },"expires":true,"ttl":3599,"session":"22222222-2222-2222-2222-222222222222"}}"#,
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

#[test]
fn the_refresh_push_says_when_the_session_ends() {
    let never = RefreshPush { ttl: None };
    let soon = RefreshPush { ttl: Some(60) };
    for (dialect, push, expected) in [
        (Dialect::V2, soon, r#"{"refresh":{"expires":true,"ttl":60}}"#),
        (Dialect::V2, never, r#"{"refresh":{}}"#),
        (Dialect::V1, soon, r#"{"type":8,"data":{"expires":true,"ttl":60}}"#),
        (Dialect::Protobuf, soon, "\x62\x04\x08\x01\x10\x3c"),
    ] {
        assert_eq!(written(|out| write_refresh_push(out, dialect, push)), expected);
    }
}

/// Bytes another implementation of the protocol made of the same message.
#[test]
fn the_last_message_of_a_protobuf_stream_is_as_others_write_it() {
    let mut out = Vec::new();
    write_disconnect_push(&mut out, Dialect::Protobuf, &codes::INVALID_TOKEN);
    assert_eq!(out, b"\x5a\x12\x08\xac\x1b\x12\x0dinvalid token");
    out.clear();
    write_ping(&mut out, Dialect::Protobuf);
    assert!(out.is_empty());
}

#[test]
fn a_protobuf_connect_push_reads_back() {
    for push in [PLAIN, FULL] {
        let mut out = Vec::new();
        write_connect_push(&mut out, Dialect::Protobuf, &push);
        let expected = schema::ConnectPush {
            client: push.client.to_string(),
            version: push.version.into(),
            data: push.data.unwrap_or_default().into(),
            expires: push.expires,
            ttl: push.ttl,
            ping: push.ping_s,
            session: push.session.to_string(),
            time: push.time_ms.unwrap_or(0).try_into().unwrap(),
        };
        let read = schema::Push::decode(out.as_slice()).unwrap();
        assert_eq!(read, schema::Push { connect: Some(expected), ..Default::default() });
    }
}
