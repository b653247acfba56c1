//! What the server says and what is said to it, against the published golden bytes.

use super::*;

const CLIENT: &str = "11111111-2222-4333-8444-555555555555";

fn hex(text: &str) -> Vec<u8> {
    let byte = |pair: &str| u8::from_str_radix(pair, 16).unwrap();
    text.split(' ').map(byte).collect()
}

fn json(text: &str) -> Told {
    read(Encoding::Json, text.as_bytes())
}

fn ended(code: u32, reason: &str) -> Told {
    Told::Ended { code, reason: reason.to_owned() }
}

/// The only message of a frame.
fn reply(frame: &[u8]) -> Told {
    let messages = split(Encoding::Protobuf, frame).unwrap();
    assert_eq!(messages.len(), 1);
    read(Encoding::Protobuf, messages[0])
}

#[test]
fn a_reply_and_a_push_of_connect_are_read_alike() {
    let client = ClientId::parse(CLIENT).unwrap();
    let promised = Connected { client, ping_s: 25, wants_pong: true, emulation: None };
    let inner = format!(r#""connect":{{"client":"{CLIENT}","version":"x","ping":25,"pong":true}}"#);
    for text in [format!("{{{inner}}}"), format!(r#"{{"id":1,{inner}}}"#)] {
        assert_eq!(json(&text), Told::Connected(promised.clone()));
    }
    let mut frame = hex("39 08 01 2a 35 0a 24");
    frame.extend_from_slice(CLIENT.as_bytes());
    frame.extend(hex("12 09 36 2e 39 2e 31 20 4f 53 53 38 19 40 01"));
    assert_eq!(reply(&frame), Told::Connected(promised));
    // As a push: field 10 in place of 5, and neither id nor length.
    let mut push = hex("52 35");
    push.extend_from_slice(&frame[5..]);
    assert!(matches!(read(Encoding::ProtobufPush, &push), Told::Connected(_)));
}

#[test]
fn an_emulated_session_says_where_its_pongs_go() {
    let session = "22222222-2222-4222-8222-222222222222";
    let text = format!(
        r#"{{"id":1,"connect":{{"client":"{CLIENT}","session":"{session}","node":"n\"1"}}}}"#
    );
    let Told::Connected(connected) = json(&text) else { panic!("{text}") };
    let body = emulated_pong(&connected.emulation.unwrap());
    assert_eq!(body, format!(r#"{{"session":"{session}","node":"n\"1","data":"{{}}"}}"#));
    assert_eq!(json(&text.replace("22-", "2-")), Told::Other);
}

#[test]
fn connect_lines_without_a_client_id_are_none() {
    for text in [r#"{"connect":{"client":"x"}}"#, "", r#"{"type":6}"#, r#"{"pub":{}}"#, "null"] {
        assert_eq!(json(text), Told::Other, "{text}");
    }
    assert_eq!(reply(&hex("04 08 01 2a 00")), Told::Other);
}

#[test]
fn pings_are_empty_and_so_are_pongs() {
    assert_eq!(json("{}"), Told::Ping);
    assert_eq!(reply(&[0]), Told::Ping);
    assert_eq!(read(Encoding::ProtobufPush, b""), Told::Ping);
    assert_eq!(pong(Encoding::Json), b"{}");
    assert_eq!(pong(Encoding::Protobuf), [0]);
}

#[test]
fn refusals_and_farewells_carry_code_and_reason() {
    assert_eq!(
        json(r#"{"disconnect":{"code":3500,"reason":"invalid token"}}"#),
        ended(3500, "invalid token")
    );
    assert_eq!(
        json(r#"{"push":{"disconnect":{"code":3012,"reason":"no pong"}}}"#),
        ended(3012, "no pong")
    );
    let error = r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#;
    assert_eq!(json(error), ended(109, "token expired"));
    let error = "15 08 01 12 11 08 6d 12 0d 74 6f 6b 65 6e 20 65 78 70 69 72 65 64";
    assert_eq!(reply(&hex(error)), ended(109, "token expired"));
    let push = "14 22 12 5a 10 08 ad 1b 12 0b 62 61 64 20 72 65 71 75 65 73 74";
    assert_eq!(reply(&hex(push)), ended(3501, "bad request"));
    let push = hex("5a 12 08 ac 1b 12 0d 69 6e 76 61 6c 69 64 20 74 6f 6b 65 6e");
    assert_eq!(read(Encoding::ProtobufPush, &push), ended(3500, "invalid token"));
}

#[test]
fn a_frame_may_carry_several_messages() {
    assert_eq!(split(Encoding::Json, b"{}\n{}").unwrap(), [b"{}", b"{}"]);
    let frame = hex("00 02 08 01");
    let messages = split(Encoding::Protobuf, &frame).unwrap();
    assert_eq!(messages, [&b""[..], &[8, 1]]);
    for lie in ["02 08", "80", "ff ff ff ff ff ff ff ff ff ff 01"] {
        assert_eq!(split(Encoding::Protobuf, &hex(lie)), None, "{lie}");
    }
}

#[test]
fn broken_protobuf_is_not_taken_for_anything() {
    for message in ["0b", "2a 05 0a", "22 03 5a 05 08", "12 02 10 01"] {
        assert_eq!(read(Encoding::Protobuf, &hex(message)), Told::Other, "{message}");
    }
}

#[test]
fn the_first_word_depends_on_the_transport() {
    let text = |transport| String::from_utf8(connect(transport, "a.b.c")).unwrap();
    let request = r#"{"token":"a.b.c","name":"ios","version":"1.2.3"}"#;
    assert_eq!(text(Transport::UniHttpStream), request);
    assert_eq!(text(Transport::UniWebsocket), request);
    assert_eq!(text(Transport::Websocket), format!(r#"{{"id":1,"connect":{request}}}"#));
    // Command id1 connect{token T,name js}, with our name and version in its place.
    let fields = hex("0a 01 54 22 03 69 6f 73 2a 05 31 2e 32 2e 33");
    assert_eq!(connect(Transport::UniGrpc, "T"), fields);
    let command = [hex("13 08 01 22 0f"), fields].concat();
    assert_eq!(connect(Transport::WebsocketProtobuf, "T"), command);
    let long = connect(Transport::WebsocketProtobuf, &"t".repeat(300));
    assert_eq!(split(Encoding::Protobuf, &long).unwrap().len(), 1);
}
