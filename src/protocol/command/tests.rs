//! Commands as bytes in, values or error text out.

use super::*;

pub(super) fn read(encoding: Encoding, message: &[u8]) -> Vec<Result<Command<'_>, String>> {
    commands(encoding, message).map(|read| read.map_err(|error| error.to_string())).collect()
}

fn json(message: &str) -> Vec<Result<Command<'_>, String>> {
    read(Encoding::Json, message.as_bytes())
}

pub(super) fn command(id: u32, request: Request<'_>) -> Result<Command<'_>, String> {
    Ok(Command { id, request })
}

pub(super) fn named(name: &str) -> Request<'_> {
    Request::Connect(ConnectRequest { name: name.into(), ..Default::default() })
}

#[test]
fn every_request_is_read_from_json() {
    for (line, expected) in [
        (r#"{"id":1,"connect":{}}"#, command(1, named(""))),
        (r#"{"connect":{"name":"js"},"id":4294967295}"#, command(u32::MAX, named("js"))),
        (r#"{"id":2,"refresh":{"token":"T"}}"#, command(2, Request::Refresh { token: "T".into() })),
        (r#"{"id":2,"refresh":{}}"#, command(2, Request::Refresh { token: "".into() })),
        (r#"{"send":{"data": { "a":1 } }}"#, command(0, Request::Send { data: b"{ \"a\":1 }" })),
        (
            r#"{"id":3,"rpc":{"method":"p\u0069ng","data":null}}"#,
            command(3, Request::Rpc { method: "ping".into(), data: b"null" }),
        ),
        (r#"{"id":3,"rpc":{}}"#, command(3, Request::Rpc { method: "".into(), data: b"" })),
        (
            r#"{"id":4,"subscribe":{"channel":"c","recover":true,"flag":1}}"#,
            command(4, Request::Subscribe("c".into())),
        ),
        (r#"{"id":4,"unsubscribe":{"channel":"c"}}"#, command(4, Request::Unsubscribe("c".into()))),
        (
            r#"{"id":4,"publish":{"channel":"c","data":1}}"#,
            command(4, Request::Publish("c".into())),
        ),
        (r#"{"id":4,"presence":{"channel":""}}"#, command(4, Request::Presence("".into()))),
        (r#"{"id":4,"presence_stats":{}}"#, command(4, Request::PresenceStats("".into()))),
        (r#"{"id":4,"history":{"Channel":"c"}}"#, command(4, Request::History("c".into()))),
        (r#"{"id":4,"sub_refresh":{"channel":"c"}}"#, command(4, Request::SubRefresh("c".into()))),
        (r#"{"id":5}"#, command(5, Request::Unknown)),
        (r#"{"id":5,"ping":{}}"#, command(5, Request::Unknown)),
        (r#"{"id":5,"connect":null,"other":[1]}"#, command(5, Request::Unknown)),
    ] {
        assert_eq!(json(line), [expected], "{line}");
    }
}

#[test]
fn a_command_without_an_id_is_a_pong_unless_it_sends() {
    for line in ["{}", "null", " {} ", "{}\n", r#"{"id":0}"#, r#"{"id":null,"rpc":{"data":1}}"#] {
        assert_eq!(json(line), [command(0, Request::Pong)], "{line}");
    }
    let both = r#"{"connect":{},"send":{}}"#;
    assert_eq!(json(both), [command(0, Request::Unknown)]);
}

#[test]
fn of_two_requests_the_one_the_reference_looks_for_first_counts() {
    for (line, expected) in [
        (r#"{"id":1,"send":{},"rpc":{}}"#, Request::Rpc { method: "".into(), data: b"" }),
        (r#"{"id":1,"subscribe":{},"connect":{}}"#, named("")),
        (r#"{"id":1,"connect":{},"CONNECT":{"name":"b"}}"#, named("b")),
        (r#"{"id":7,"ID":1,"connect":{},"connect":null}"#, Request::Unknown),
    ] {
        assert_eq!(json(line), [command(1, expected)], "{line}");
    }
}

#[test]
fn lines_are_commands_until_one_is_not() {
    let pong = || command(0, Request::Pong);
    let empty = || Err("nothing where a command was expected".to_owned());
    for (message, expected) in [
        ("", vec![empty()]),
        ("\n", vec![empty()]),
        ("{}\n{}\r\n{}", vec![pong(), pong(), pong()]),
        ("{}\n\n{}", vec![pong(), empty()]),
        ("{}{}]\n{}", vec![pong(), pong()]),
        (
            "{}\n{\n}",
            vec![
                pong(),
                Err("malformed JSON: EOF while parsing an object at line 1 column 1".into()),
            ],
        ),
    ] {
        assert_eq!(json(message), expected, "{message:?}");
    }
}

#[test]
fn an_error_names_the_member() {
    for (line, error) in [
        (r#"{"id":"1"}"#, r#""id": expected a number, got a string"#),
        (r#"{"id":-1}"#, r#""id": expected an integer from 0 to 4294967295"#),
        (r#"{"id":4294967296}"#, r#""id": expected an integer from 0 to 4294967295"#),
        (r#"{"id":1.0}"#, r#""id": expected an integer from 0 to 4294967295"#),
        (r#"{"id":1,"connect":[]}"#, r#""connect": expected an object, got an array"#),
        (r#"{"id":1,"connect":{"token":1}}"#, r#""token": expected a string, got a number"#),
        (r#"{"id":1,"connect":{},"rpc":1}"#, r#""rpc": expected an object, got a number"#),
        (r#"{"id":1,"history":{"channel":{}}}"#, r#""channel": expected a string, got an object"#),
        ("[]", "expected a JSON object, got an array"),
        (" ", "malformed JSON: EOF while parsing a value at line 1 column 0"),
    ] {
        assert_eq!(json(line), [Err(error.to_owned())], "{line}");
    }
    let invalid = [Err("invalid UTF-8 after byte 8".to_owned())];
    assert_eq!(
        read(Encoding::Json, b"{\"ping\":\"\xff\"}"),
        [Err("invalid UTF-8 after byte 9".to_owned())]
    );
    assert_eq!(read(Encoding::Json, b"{\"pin\":\"\xff\"}"), invalid);
}

#[test]
fn too_deep_data_is_refused_and_no_depth_costs_stack() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let rpc = |depth| format!(r#"{{"id":1,"rpc":{{"data":{}}}}}"#, nested(depth));
    assert!(matches!(json(&rpc(128)).as_slice(), [Ok(_)]));
    assert_eq!(json(&rpc(129)), [Err(r#""data": nested deeper than 128 levels"#.to_owned())]);
    assert_eq!(json(&format!(r#"{{"a":{}}}"#, nested(500_000))), [command(0, Request::Pong)]);
    assert!(matches!(json(&r#"{"rpc":"#.repeat(500_000)).as_slice(), [Err(_)]));
}

/// Bytes another implementation of the protocol made of the same messages.
#[test]
fn protobuf_is_read_as_others_write_it() {
    for (message, expected) in [
        (&b"\x04\x08\x01\x22\x00"[..], command(1, named(""))),
        (b"\x08\x08\x01\x22\x04\x22\x02go", command(1, named("go"))),
        (b"\x00", command(0, Request::Pong)),
        (b"\x07\x08\x02\x72\x03\x0a\x01T", command(2, Request::Refresh { token: "T".into() })),
        (b"\x06\x62\x04\x0a\x02{}", command(0, Request::Send { data: b"{}" })),
        (
            b"\x0e\x08\x03\x6a\x0a\x0a\x02{}\x12\x04ping",
            command(3, Request::Rpc { method: "ping".into(), data: b"{}" }),
        ),
        (b"\x04\x08\x05\x5a\x00", command(5, Request::Unknown)),
    ] {
        assert_eq!(read(Encoding::Protobuf, message), [expected], "{message:x?}");
    }
    let token = b"\x0b\x08\x01\x22\x07\x0a\x01T\x22\x02js";
    let request = ConnectRequest { token: "T".into(), name: "js".into(), ..Default::default() };
    assert_eq!(read(Encoding::Protobuf, token), [command(1, Request::Connect(request))]);
}

#[test]
fn protobuf_commands_follow_each_other_until_one_is_not() {
    let pong = || command(0, Request::Pong);
    let error = |text: &str| Err(text.to_owned());
    for (message, expected) in [
        (&b""[..], vec![error("nothing where a command was expected")]),
        (b"\0\0", vec![pong(), pong()]),
        (b"\0\x05\x08\x01", vec![pong(), error("message ends inside a field")]),
        (b"\0\xff", vec![pong(), error("message ends inside a field")]),
        (b"\x02\x0a\x00\0", vec![error("field 1 has the wrong wire type")]),
        (b"\x04\x08\x01\x20\x01\0", vec![error("field 4 has the wrong wire type")]),
        (b"\x07\x08\x01\x72\x03\x0a\x01\xff", vec![error("field 1 is not UTF-8")]),
        (b"\x07\x08\x01\x22\x03\x1a\x02a", vec![error("message ends inside a field")]),
        (b"\xff\xff\xff\xff\x0f\0", vec![error("message ends inside a field")]),
    ] {
        assert_eq!(read(Encoding::Protobuf, message), expected, "{message:x?}");
    }
}

#[test]
fn no_token_and_no_data_is_debugged() {
    for line in [
        r#"{"id":1,"connect":{"token":"secret","data":"secret"}}"#,
        r#"{"id":1,"refresh":{"token":"secret"}}"#,
        r#"{"id":1,"rpc":{"data":"secret"}}"#,
        r#"{"id":1,"send":{"data":"secret"}}"#,
    ] {
        let shown = format!("{:?}", json(line));
        assert!(!shown.contains("secret") && !shown.contains("115"), "{shown}");
    }
}
