//! Replies and pushes as values in, exact bytes out; and against independent decoders.

use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::*;
use crate::protocol::{codes, schema};

const CLIENT: ClientId = ClientId([
    0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x43, 0x33, 0x84, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55,
]);

const PLAIN: ConnectResult<'static> = ConnectResult {
    client: CLIENT,
    version: "6.9.1 OSS",
    expires: false,
    ttl: 0,
    data: None,
    ping_s: 25,
    pong: true,
    session: None,
    node: "",
    time_ms: None,
};

const FULL: ConnectResult<'static> = ConnectResult {
    expires: true,
    ttl: 3600,
    data: Some(b"{ \"a\":\r\n\"<\" }"),
    session: Some(SessionId([0x22; 16])),
    node: "n<1>",
    time_ms: Some(1_716_198_604_052),
    ..PLAIN
};

fn reply(encoding: Encoding, id: u32, reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_reply(&mut out, encoding, id, reply);
    out
}

fn push(encoding: Encoding, push: &Push<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_push(&mut out, encoding, push);
    out
}

const NO_END: RefreshPush = RefreshPush { ttl: None };
const ONE_MINUTE: RefreshPush = RefreshPush { ttl: Some(60) };

#[test]
fn json_replies_have_their_members_in_the_reference_order() {
    for (id, sent, expected) in [
        (
            1,
            Reply::Connect(PLAIN),
            r#"{"id":1,"connect":{"client":"11111111-2222-4333-8444-555555555555","version":"6.9.1 OSS","ping":25,"pong":true}}"#,
        ),
        (
            u32::MAX,
            Reply::Connect(FULL),
            r#"{"id":4294967295,"connect":{"client":"11111111-2222-4333-8444-555555555555","version":"6.9.1 OSS","expires":true,"ttl":3600,"data":{ "a":"<" },"ping":25,"pong":true,"session":"22222222-2222-2222-2222-222222222222","node":"n\u003c1\u003e","time":1716198604052}}"#,
        ),
        (
            2,
            (&codes::ERROR_NOT_AVAILABLE).into(),
            r#"{"id":2,"error":{"code":108,"message":"not available"}}"#,
        ),
        (
            1,
            (&codes::ERROR_INTERNAL).into(),
            r#"{"id":1,"error":{"code":100,"message":"internal server error","temporary":true}}"#,
        ),
        (
            1,
            Reply::Error { code: 400, message: "", temporary: false },
            r#"{"id":1,"error":{"code":400,"message":""}}"#,
        ),
        (3, Reply::Rpc { data: b"" }, r#"{"id":3,"rpc":{}}"#),
        (3, Reply::Rpc { data: b"[\"&\",\n1.50]" }, r#"{"id":3,"rpc":{"data":["&",1.50]}}"#),
        (4, Reply::Refresh { ttl: None }, r#"{"id":4,"refresh":{}}"#),
        (
            4,
            Reply::Refresh { ttl: Some(3600) },
            r#"{"id":4,"refresh":{"expires":true,"ttl":3600}}"#,
        ),
        (5, Reply::Unsubscribe, r#"{"id":5,"unsubscribe":{}}"#),
    ] {
        let written = String::from_utf8(reply(Encoding::Json, id, &sent)).unwrap();
        assert_eq!(written, expected);
        serde_json::from_str::<Value>(&written).unwrap();
    }
}

#[test]
fn json_pushes_stand_inside_a_reply_without_an_id() {
    for (sent, expected) in [
        (Push::Ping, "{}"),
        (
            Push::Disconnect(&codes::SHUTDOWN),
            r#"{"push":{"disconnect":{"code":3001,"reason":"shutdown"}}}"#,
        ),
        (Push::Refresh(ONE_MINUTE), r#"{"push":{"refresh":{"expires":true,"ttl":60}}}"#),
        (Push::Refresh(NO_END), r#"{"push":{"refresh":{}}}"#),
    ] {
        assert_eq!(String::from_utf8(push(Encoding::Json, &sent)).unwrap(), expected);
    }
}

/// Bytes another implementation of the protocol made of the same messages.
#[test]
fn protobuf_is_written_as_others_write_it() {
    let mut connect = b"\x39\x08\x01\x2a\x35\x0a\x24".to_vec();
    connect.extend_from_slice(&CLIENT.text());
    connect.extend_from_slice(b"\x12\x096.9.1 OSS\x38\x19\x40\x01");
    for (id, sent, expected) in [
        (1, Reply::Connect(PLAIN), connect.as_slice()),
        (
            1,
            (&codes::ERROR_TOKEN_EXPIRED).into(),
            b"\x15\x08\x01\x12\x11\x08\x6d\x12\x0dtoken expired",
        ),
        (
            1,
            (&codes::ERROR_INTERNAL).into(),
            b"\x1f\x08\x01\x12\x1b\x08\x64\x12\x15internal server error\x18\x01",
        ),
        (
            2,
            (&codes::ERROR_NOT_AVAILABLE).into(),
            b"\x15\x08\x02\x12\x11\x08\x6c\x12\x0dnot available",
        ),
        (2, Reply::Refresh { ttl: Some(3600) }, b"\x09\x08\x02\x72\x05\x18\x01\x20\x90\x1c"),
        (2, Reply::Refresh { ttl: None }, b"\x04\x08\x02\x72\x00"),
        (3, Reply::Rpc { data: b"" }, b"\x04\x08\x03\x6a\x00"),
        (3, Reply::Unsubscribe, b"\x04\x08\x03\x3a\x00"),
    ] {
        assert_eq!(reply(Encoding::Protobuf, id, &sent), expected);
    }
    assert_eq!(push(Encoding::Protobuf, &Push::Ping), b"\0");
    assert_eq!(
        push(Encoding::Protobuf, &Push::Disconnect(&codes::BAD_REQUEST)),
        b"\x14\x22\x12\x5a\x10\x08\xad\x1b\x12\x0bbad request"
    );
    assert_eq!(push(Encoding::Protobuf, &Push::Refresh(NO_END)), b"\x04\x22\x02\x62\x00");
}

fn decoded(bytes: &[u8]) -> schema::Reply {
    schema::Reply::decode_length_delimited(bytes).unwrap()
}

#[test]
fn a_full_connect_result_reads_back_from_protobuf() {
    let expected = schema::ConnectResult {
        client: CLIENT.to_string(),
        version: "6.9.1 OSS".into(),
        expires: true,
        ttl: 3600,
        data: FULL.data.unwrap().into(),
        ping: 25,
        pong: true,
        session: SessionId([0x22; 16]).to_string(),
        node: "n<1>".into(),
        time: 1_716_198_604_052,
    };
    let read = decoded(&reply(Encoding::Protobuf, 9, &Reply::Connect(FULL)));
    assert_eq!(read, schema::Reply { id: 9, connect: Some(expected), ..Default::default() });
}

#[test]
fn protobuf_replies_are_told_apart_by_their_lengths() {
    let mut frame = reply(Encoding::Protobuf, 1, &Reply::Rpc { data: &[0; 70_000] });
    frame.extend(push(Encoding::Protobuf, &Push::Refresh(ONE_MINUTE)));
    let mut rest = frame.as_slice();
    let first = schema::Reply::decode_length_delimited(&mut rest).unwrap();
    assert_eq!(first.rpc.unwrap().data.len(), 70_000);
    let second = schema::Reply::decode_length_delimited(rest).unwrap();
    let refresh = schema::RefreshPush { expires: true, ttl: 60 };
    assert_eq!(second.push.unwrap().refresh, Some(refresh));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        id in 1..=u32::MAX, code in 1..=u32::MAX, message in ".*", temporary in any::<bool>(),
        data in ".*", ttl in any::<Option<u32>>(),
    ) {
        let error = Reply::Error { code, message: &message, temporary };
        let read: Value = serde_json::from_slice(&reply(Encoding::Json, id, &error)).unwrap();
        let expected = if temporary {
            json!({"id": id, "error": {"code": code, "message": message, "temporary": true}})
        } else {
            json!({"id": id, "error": {"code": code, "message": message}})
        };
        prop_assert_eq!(read, expected);
        let read = decoded(&reply(Encoding::Protobuf, id, &error));
        let error = schema::Error { code, message, temporary };
        prop_assert_eq!(read, schema::Reply { id, error: Some(error), ..Default::default() });

        let pretty = serde_json::to_vec_pretty(&json!([data])).unwrap();
        let written = reply(Encoding::Json, id, &Reply::Rpc { data: &pretty });
        prop_assert!(!written.contains(&b'\n') && !written.contains(&b'\r'));
        let read: Value = serde_json::from_slice(&written).unwrap();
        prop_assert_eq!(read, json!({"id": id, "rpc": {"data": [data]}}));

        let read = decoded(&reply(Encoding::Protobuf, id, &Reply::Refresh { ttl })).refresh;
        let refresh = schema::RefreshResult { expires: ttl.is_some(), ttl: ttl.unwrap_or(0) };
        prop_assert_eq!(read, Some(refresh));
    }
}
