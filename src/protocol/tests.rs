//! Connect requests as text in, values or error text out; and the codes as a document.

use std::fmt::Write;
use std::{fs, path::Path};

use proptest::prelude::*;
use prost::Message;

use super::codes::{DISCONNECTS, ERRORS, uni_disconnect};
use super::*;
use crate::limits::CLIENT_JSON_DEPTH_MAX;

fn parse(body: &str) -> Result<ConnectRequest, String> {
    ConnectRequest::parse(body.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn the_request_of_the_founding_page_is_read() {
    let request = parse(r#"{"token": "eyJ.e30.x", "name": "terminal"}"#).unwrap();
    let expected =
        ConnectRequest { token: "eyJ.e30.x".into(), name: "terminal".into(), ..Default::default() };
    assert_eq!(request, expected);
}

#[test]
fn every_member_is_read() {
    let request = parse(
        r#"{"token":"t","data":{ "a" : [1.50] },"subs":{"c":{"recover":true},"d":null},
            "name":"n","version":"1.2","headers":{"x":"y","z":null},"flag":-1,"other":[{}]}"#,
    )
    .unwrap();
    let expected = ConnectRequest {
        token: "t".into(),
        name: "n".into(),
        version: "1.2".into(),
        data: Some(br#"{ "a" : [1.50] }"#.as_slice().into()),
        channels: ["c".into(), "d".into()].into(),
        headers: [("x".into(), "y".into())].into(),
    };
    assert_eq!(request, expected);
}

#[test]
fn an_empty_object_null_and_null_members_ask_for_nothing() {
    for body in [
        "{}",
        " \r\n\t{ }",
        "null",
        " null ",
        r#"{"token":null,"subs":null,"name":null,"version":null,"headers":null,"flag":null}"#,
    ] {
        assert_eq!(parse(body), Ok(ConnectRequest::default()), "{body}");
    }
    assert_eq!(parse(r#"{"data": null }"#).unwrap().data.as_deref(), Some(b"null".as_slice()));
}

#[test]
fn keys_match_in_any_case_and_the_last_of_a_repeated_one_counts() {
    assert_eq!(parse(r#"{"TOKEN":"1","Token":"2","\u004eame":"n"}"#).unwrap().token, "2");
    assert_eq!(parse(r#"{"name":"a","NAME":"\u00fc\n\ud83d\ude00"}"#).unwrap().name, "ü\n😀");
    assert_eq!(parse(r#"{"name":"a","name":null}"#).unwrap().name, "");
    assert_eq!(parse(r#"{"name":7,"name":"a"}"#).unwrap().name, "a");
}

#[test]
fn what_follows_the_request_is_ignored() {
    for body in [r#"{"name":"a"}{"name":"b"}"#, "{\"name\":\"a\"}\n", r#"{"name":"a"}]]"#] {
        assert_eq!(parse(body).unwrap().name, "a", "{body}");
    }
}

#[test]
fn an_error_names_the_member_and_says_what_was_expected() {
    for (body, error) in [
        ("", r#"empty body: expected a JSON object such as {"token": "<JWT>"}"#),
        (" \n", r#"empty body: expected a JSON object such as {"token": "<JWT>"}"#),
        ("hello", "malformed JSON: expected value at line 1 column 1"),
        ("nil", "malformed JSON: expected ident at line 1 column 2"),
        ("{\"token\"", "malformed JSON: EOF while parsing an object at line 1 column 8"),
        ("{\"a\":1,}", "malformed JSON: trailing comma at line 1 column 8"),
        ("[]", "expected a JSON object, got an array"),
        ("\"{}\"", "expected a JSON object, got a string"),
        ("-1", "expected a JSON object, got a number"),
        ("true", "expected a JSON object, got a boolean"),
        (r#"{"token":42}"#, r#""token": expected a string, got a number"#),
        (r#"{"Name":["a"]}"#, r#""name": expected a string, got an array"#),
        (r#"{"version":{}}"#, r#""version": expected a string, got an object"#),
        (r#"{"name":"\ud83d"}"#, r#""name": half a surrogate pair in a string"#),
        (r#"{"subs":["a"]}"#, r#""subs": expected an object, got an array"#),
        (
            r#"{"subs":{"a":{},"b":1}}"#,
            r#""subs": expected an object whose every value is an object, one is a number"#,
        ),
        (
            r#"{"headers":{"a":false}}"#,
            r#""headers": expected an object whose every value is a string, one is a boolean"#,
        ),
        (r#"{"flag":"1"}"#, r#""flag": expected a number, got a string"#),
        (r#"{"flag":1.5}"#, r#""flag": expected a 64-bit integer"#),
        (r#"{"flag":9223372036854775808}"#, r#""flag": expected a 64-bit integer"#),
    ] {
        assert_eq!(parse(body), Err(error.to_owned()), "{body}");
    }
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let error = ConnectRequest::parse(b"{\"name\":\"\xff\"}").unwrap_err();
    assert_eq!(error.to_string(), "invalid UTF-8 after byte 9");
    assert!(ConnectRequest::parse(b"{\"other\":\"\xed\xa0\x80\"}").is_err());
}

#[test]
fn too_deep_data_is_refused_and_no_depth_costs_stack() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let at_limit = parse(&format!(r#"{{"data":{}}}"#, nested(CLIENT_JSON_DEPTH_MAX))).unwrap();
    assert!(at_limit.data.is_some());
    let error = parse(&format!(r#"{{"data":{}}}"#, nested(CLIENT_JSON_DEPTH_MAX + 1)));
    assert_eq!(error, Err(r#""data": nested deeper than 128 levels"#.to_owned()));

    let deep = nested(500_000);
    assert!(parse(&format!(r#"{{"data":{deep}}}"#)).is_err());
    assert!(parse(&format!(r#"{{"other":{deep}}}"#)).is_ok());
    assert!(parse(&format!(r#"{{"subs":{{"a":{deep}}}}}"#)).is_err());
    assert!(parse(&"[".repeat(500_000)).is_err());
    assert!(parse(&r#"{"data":"#.repeat(500_000)).is_err());
}

#[test]
fn a_protobuf_request_is_read_and_the_faults_of_one_are_named() {
    let mut request = schema::ConnectRequest {
        token: "t".into(),
        data: vec![0xff, 0],
        name: "n".into(),
        version: "1.2".into(),
        flag: -1,
        ..Default::default()
    };
    request.subs.insert("c".into(), schema::Empty {});
    request.headers.insert("x".into(), "y".into());
    let expected = ConnectRequest {
        token: "t".into(),
        name: "n".into(),
        version: "1.2".into(),
        data: Some([0xff, 0].into()),
        channels: ["c".into()].into(),
        headers: [("x".into(), "y".into())].into(),
    };
    assert_eq!(ConnectRequest::parse_protobuf(&request.encode_to_vec()), Ok(expected));
    assert_eq!(ConnectRequest::parse_protobuf(b""), Ok(ConnectRequest::default()));
    for (message, error) in [
        (&b"\x0a\x02t"[..], DecodeError::Truncated),
        (b"\x0a\x01\xff", DecodeError::Encoding { field: 1 }),
        (b"\x18\x01", DecodeError::WireType { field: 3 }),
        (b"\x3a\x00", DecodeError::WireType { field: 7 }),
    ] {
        assert_eq!(ConnectRequest::parse_protobuf(message), Err(error), "{message:x?}");
    }
}

#[test]
fn a_token_is_not_debugged() {
    let shown = format!("{:?}", parse(r#"{"token":"eyJ-secret","data":"private"}"#).unwrap());
    assert!(!shown.contains("secret") && !shown.contains("private"), "{shown}");
}

fn document() -> String {
    let mut text = String::from(
        "# Codes\n\nWritten from `src/protocol/codes.rs`; \
         `ROLLCALL_WRITE_DOCS=1 cargo test --lib codes` writes it anew.\n\n\
         ## Disconnects\n\nA client returns by itself unless the code is 3500 to 3999 or \
         4500 to 4999. 4000 to 4999 belong to applications.\n\n\
         | code | reason | returns | when |\n|---|---|---|---|\n",
    );
    for (disconnect, when) in DISCONNECTS {
        let (code, reason) = (disconnect.code, &disconnect.reason);
        let returns = if disconnect.may_return() { "yes" } else { "no" };
        writeln!(text, "| {code} | {reason} | {returns} | {when} |").unwrap();
    }
    text.push_str(
        "\n## Errors\n\n400 to 1999 belong to applications. On unidirectional transports \
         an error ends the connection with the code in the last column, unless \
         `client.connect_code_to_unidirectional_disconnect` says otherwise.\n\n\
         | code | message | temporary | means | ends with |\n|---|---|---|---|---|\n",
    );
    for (error, meaning) in ERRORS {
        let (code, message) = (error.code, error.message.clone());
        let temporary = if error.temporary { "yes" } else { "no" };
        let end = uni_disconnect(code).code;
        writeln!(text, "| {code} | {message} | {temporary} | {meaning} | {end} |").unwrap();
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a developer asks this test to write the file")]
fn docs_codes_md_says_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/codes.md");
    if std::env::var("ROLLCALL_WRITE_DOCS").is_ok() {
        fs::write(&path, document()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, document(), "run it with ROLLCALL_WRITE_DOCS=1");
}

proptest! {
    #[test]
    fn what_a_client_writes_is_what_is_read(token in ".*", name in ".*", version in ".*") {
        let body = serde_json::json!({"token": token, "name": name, "version": version});
        let request = parse(&body.to_string()).unwrap();
        prop_assert_eq!((request.token, request.name, request.version), (token, name, version));
    }

    #[test]
    fn any_bytes_are_a_request_or_an_error(body in prop::collection::vec(any::<u8>(), 0..100)) {
        drop(ConnectRequest::parse(&body));
    }

    /// One byte of a good request changed: no panic, and kept data is JSON.
    #[test]
    fn kept_data_is_always_json(at in any::<prop::sample::Index>(), byte in 0x20..0x7f_u8) {
        let mut body = br#"{"token":"t\u0041","data":{"a":[1,"\"x"]},"subs":{"c":{}}}"#.to_vec();
        *at.get_mut(&mut body) = byte;
        if let Ok(ConnectRequest { data: Some(data), .. }) = ConnectRequest::parse(&body) {
            serde_json::from_slice::<serde_json::Value>(&data).unwrap();
        }
    }
}
