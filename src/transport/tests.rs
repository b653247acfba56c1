//! What each transport writes, byte for byte.

use super::*;
use crate::ids::{ClientId, SessionId};
use crate::protocol::codes;

const DATE: &str = "Tue, 15 Nov 1994 08:12:31 GMT";

#[track_caller]
fn check(wire: Wire, write: impl FnOnce(&mut Out<'_>), expected: &[u8]) {
    let mut bytes = Vec::new();
    write(&mut Out { bytes: &mut bytes, deflater: None });
    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{wire:?}");
}

const JSON: Encoding = Encoding::Json;
const PROTOBUF: Encoding = Encoding::Protobuf;
const BODY: Body = Body::Reusable;

fn frames() -> Frames {
    Frames::default()
}

#[test]
fn every_transport_has_its_ping() {
    for (wire, ping) in [
        (Wire::WebSocket(JSON, frames()), &b"\x81\x02{}"[..]),
        (Wire::WebSocket(PROTOBUF, frames()), b"\x82\x01\0"),
        (Wire::WebSocket(JSON, frames().with_ping_by_frame()), b"\x89\0"),
        (Wire::HttpStream(JSON, BODY), b"3\r\n{}\n\r\n"),
        (Wire::HttpStream(PROTOBUF, BODY), b"1\r\n\0\r\n"),
        (Wire::Sse(BODY), b"a\r\ndata: {}\n\n\r\n"),
        (Wire::UniWebSocket(Dialect::V2, frames()), b"\x81\x02{}\x89\0"),
        (Wire::UniWebSocket(Dialect::V1, frames()), b"\x81\0\x89\0"),
        (Wire::UniHttpStream(Dialect::V2, BODY), b"3\r\n{}\n\r\n"),
        (Wire::UniHttpStream(Dialect::V1, Body::Http10), b"null\n"),
        (Wire::UniSse(Dialect::V2, Body::Http10), b"data: {}\n\n"),
        (Wire::UniSse(Dialect::V1, Body::Http10), b"event: ping\ndata:\n\n"),
        (Wire::UniGrpc, b"\0\0\0\0\0"),
    ] {
        check(wire, |out| wire.ping(out), ping);
    }
}

#[test]
fn every_transport_tells_when_its_session_ends() {
    let said = br#"{"refresh":{"expires":true,"ttl":60}}"#;
    let pushed = br#"{"push":{"refresh":{"expires":true,"ttl":60}}}"#;
    let bi = |head: &[u8], tail: &[u8]| [head, pushed, tail].concat();
    let uni = |head: &[u8], tail: &[u8]| [head, said, tail].concat();
    let old = br#"{"type":8,"data":{"expires":true,"ttl":60}}"#;
    let protobuf = b"\x08\x22\x06\x62\x04\x08\x01\x10\x3c";
    for (wire, bytes) in [
        (Wire::WebSocket(JSON, frames()), bi(b"\x81\x2e", b"")),
        (Wire::WebSocket(PROTOBUF, frames()), [b"\x82\x09", &protobuf[..]].concat()),
        (Wire::HttpStream(JSON, BODY), bi(b"2f\r\n", b"\n\r\n")),
        (Wire::HttpStream(PROTOBUF, BODY), [b"9\r\n", &protobuf[..], b"\r\n"].concat()),
        (Wire::Sse(BODY), bi(b"36\r\ndata: ", b"\n\n\r\n")),
        (Wire::UniWebSocket(Dialect::V2, frames()), uni(b"\x81\x25", b"")),
        (Wire::UniWebSocket(Dialect::V1, frames()), [b"\x81\x2b", &old[..]].concat()),
        (Wire::UniHttpStream(Dialect::V2, BODY), uni(b"26\r\n", b"\n\r\n")),
        (Wire::UniHttpStream(Dialect::V1, Body::Http10), [&old[..], b"\n"].concat()),
        (Wire::UniSse(Dialect::V2, Body::Http10), uni(b"data: ", b"\n\n")),
        (Wire::UniGrpc, b"\0\0\0\0\x06\x62\x04\x08\x01\x10\x3c".to_vec()),
    ] {
        check(wire, |out| wire.refresh(out, RefreshPush { ttl: Some(60) }), &bytes);
    }
    for (wire, bytes) in [
        (Wire::WebSocket(JSON, frames()), &b"\x81\x17{\"push\":{\"refresh\":{}}}"[..]),
        (Wire::WebSocket(PROTOBUF, frames()), b"\x82\x05\x04\x22\x02\x62\0"),
        (Wire::UniHttpStream(Dialect::V2, Body::Http10), b"{\"refresh\":{}}\n"),
        (Wire::UniGrpc, b"\0\0\0\0\x02\x62\0"),
    ] {
        check(wire, |out| wire.refresh(out, RefreshPush { ttl: None }), bytes);
    }
}

#[test]
fn every_transport_has_its_last_words() {
    let said = br#"{"disconnect":{"code":3501,"reason":"bad request"}}"#;
    let close = b"\x88\x0d\x0d\xadbad request";
    let uni = |head: &[u8], tail: &[u8]| [head, said, tail].concat();
    let uni_websocket = [b"\x81\x33", &said[..], close].concat();
    for (wire, last) in [
        (Wire::WebSocket(JSON, frames()), close.to_vec()),
        (Wire::WebSocket(PROTOBUF, frames()), close.to_vec()),
        (
            Wire::HttpStream(JSON, BODY),
            [b"3d\r\n{\"push\":", &said[..], b"}\n\r\n0\r\n\r\n"].concat(),
        ),
        (
            Wire::HttpStream(PROTOBUF, Body::Http10),
            b"\x14\x22\x12\x5a\x10\x08\xad\x1b\x12\x0bbad request".to_vec(),
        ),
        (Wire::Sse(Body::Http10), [b"data: {\"push\":", &said[..], b"}\n\n"].concat()),
        (Wire::UniWebSocket(Dialect::V2, frames()), uni_websocket),
        (Wire::UniWebSocket(Dialect::V2, frames().without_disconnect_push()), close.to_vec()),
        (Wire::UniWebSocket(Dialect::V2, frames().without_close_frame()), uni(b"\x81\x33", b"")),
        (Wire::UniHttpStream(Dialect::V2, BODY), uni(b"34\r\n", b"\n\r\n0\r\n\r\n")),
        (Wire::UniSse(Dialect::V2, Body::Http10), uni(b"data: ", b"\n\n")),
        (Wire::UniGrpc, b"\0\0\0\0\x12\x5a\x10\x08\xad\x1b\x12\x0bbad request".to_vec()),
    ] {
        check(wire, |out| wire.disconnect(out, &codes::BAD_REQUEST), &last);
    }
}

#[test]
fn a_code_no_close_frame_can_carry_still_closes() {
    let wire = Wire::WebSocket(JSON, frames());
    let odd = Disconnect { code: 70_000, reason: "far".into() };
    check(wire, |out| wire.disconnect(out, &odd), b"\x88\x05\x03\xf3far");
}

#[test]
fn an_event_stream_says_so_and_starts_at_once() {
    let wire = Wire::Sse(Body::Http10);
    check(
        wire,
        |out| wire.head(out, DATE, &[("A", "b")]),
        b"HTTP/1.0 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\nA: b\r\n\r\n\r\n",
    );
}

#[test]
fn a_spoilt_stream_closes_its_connection() {
    let mut wire = Wire::UniSse(Dialect::V2, Body::Reusable);
    assert!(wire.body().is_some_and(Body::is_reusable));
    wire.spoil();
    assert_eq!(wire.body(), Some(Body::Last));
}

#[test]
fn messages_of_a_grpc_stream_are_told_apart_again() {
    let mut bytes = Vec::new();
    let mut out = Out { bytes: &mut bytes, deflater: None };
    let (client, session) = (ClientId([1; 16]), SessionId([2; 16]));
    let push = ConnectPush {
        client,
        session,
        version: "1",
        data: None,
        expires: false,
        ttl: 0,
        ping_s: 25,
        time_ms: None,
    };
    Wire::UniGrpc.connect(&mut out, &push);
    Wire::UniGrpc.ping(&mut out);
    Wire::UniGrpc.disconnect(&mut out, &codes::SHUTDOWN);
    let mut rest = bytes.as_slice();
    let lengths: Vec<_> =
        std::iter::from_fn(|| grpc::split_message(&mut rest)).map(<[u8]>::len).collect();
    assert_eq!((lengths.len(), lengths[1], rest.len()), (3, 0, 0));
    assert!(lengths[0] > 76 && lengths[2] == 15, "{lengths:?}");
}
