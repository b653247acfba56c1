//! Questions and answers in both encodings, as the contract has them.

use super::*;
use crate::ids::ClientId;
use crate::limits::LabelLimits;
use crate::protocol::codes::{Disconnect, ErrorCode};
use crate::protocol::protobuf::Reader;

const CLIENT: &str = "db8bc772-2654-4283-851a-f29b888ace74";

fn question(data: &[u8]) -> ConnectQuestion {
    ConnectQuestion {
        client: ClientId::parse(CLIENT).unwrap(),
        transport: "websocket",
        encoding: Encoding::Protobuf,
        data: Some(data.into()),
        name: "app".to_owned(),
        version: "1.2".to_owned(),
        channels: ["a".to_owned(), "b".to_owned()].into(),
        carried: Carried::default(),
    }
}

#[test]
fn a_question_leaves_out_what_is_empty_and_passes_data_on_byte_for_byte() {
    let text =
        |question: &ConnectQuestion, form| String::from_utf8(question.json(form).unwrap()).unwrap();
    let head = format!(r#"{{"client":"{CLIENT}","transport":"websocket","protocol""#);
    let full = question(br#"{"n": 1.50}"#);
    let rest = r#""name":"app","version":"1.2","channels":["a","b"]}"#;
    let json = format!(r#"{head}:"protobuf","encoding":"json","data":{{"n": 1.50}},{rest}"#);
    assert_eq!(text(&full, DataForm::Json), json);
    let binary = format!(r#"{head}:"protobuf","encoding":"binary","b64data":"/wA=",{rest}"#);
    assert_eq!(text(&question(&[0xff, 0]), DataForm::Binary), binary);
    let bare = ConnectQuestion {
        encoding: Encoding::Json,
        data: None,
        name: String::new(),
        version: String::new(),
        channels: Default::default(),
        ..full
    };
    assert_eq!(text(&bare, DataForm::Json), format!(r#"{head}:"json","encoding":"json"}}"#));
    assert!(question(&[0xff]).json(DataForm::Json).is_err());
}

fn read(body: &str, encoding: Encoding) -> Result<ConnectAnswer, AnswerError> {
    ConnectAnswer::from_json(body.as_bytes(), encoding, LabelLimits::default())
}

#[test]
fn an_answer_is_read_as_a_backend_means_it() {
    let body = r#"{"result":{"user":"ann","expire_at":17,"info":[1],"b64info":"eA==",
        "data":{"d": 1},"meta":{ "m":2 },"labels":{"k":"v"},"channels":7,"subs":[],"caps":{},
        "connection_limit":3,"unheard_of":true},"error":null,"more":1}"#;
    let accepted = Accepted {
        user: "ann".to_owned(),
        expire_at: Some(17),
        data: Some(br#"{"d": 1}"#.as_slice().into()),
        meta: Some(br#"{ "m":2 }"#.as_slice().into()),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        sessions_max: Some(3),
    };
    assert_eq!(read(body, Encoding::Json).unwrap(), ConnectAnswer::Accepted(Box::new(accepted)));
    for empty in [
        r#"{"result":{}}"#,
        r#"{"result":{"user":null,"expire_at":0,"data":null,"meta":null,"labels":null,
            "b64data":"","b64info":null,"connection_limit":"many"}}"#,
    ] {
        let nobody = ConnectAnswer::Accepted(Box::default());
        assert_eq!(read(empty, Encoding::Json).unwrap(), nobody, "{empty}");
    }
    for nothing in ["{}", r#"{"result":null}"#] {
        assert_eq!(read(nothing, Encoding::Json).unwrap(), ConnectAnswer::Nobody, "{nothing}");
    }
}

#[test]
fn a_disconnect_counts_before_an_error_and_an_error_before_a_result() {
    let error = r#""error":{"code":4,"message":"m","temporary":true}"#;
    let disconnect = r#""disconnect":{"code":4000,"reason":"r","reconnect":true}"#;
    let result = r#""result":{"user":"ann"}"#;
    let told = ErrorCode { code: 4, message: "m".into(), temporary: true };
    let all = format!("{{{result},{error},{disconnect}}}");
    let left = Disconnect { code: 4000, reason: "r".into() };
    assert_eq!(read(&all, Encoding::Json).unwrap(), ConnectAnswer::Disconnect(left));
    let some = format!("{{{result},{error}}}");
    assert_eq!(read(&some, Encoding::Json).unwrap(), ConnectAnswer::Error(told));
    let long = format!(r#"{{"disconnect":{{"code":4000,"reason":"{}"}}}}"#, "é".repeat(90));
    let ConnectAnswer::Disconnect(cut) = read(&long, Encoding::Json).unwrap() else { panic!() };
    assert_eq!(cut.reason, "é".repeat(61), "no more than a close frame carries");
}

#[test]
fn what_makes_no_sense_is_refused_and_not_repeated() {
    for (body, why) in [
        ("", "not the JSON"),
        ("[null,null,null]", "no object"),
        (r#"{"result":[]}"#, "no object"),
        (r#"{"error":[]}"#, "no object"),
        (r#"{"result":{"user":7}}"#, "not the JSON"),
        (r#"{"result":{"expire_at":"soon"}}"#, "a member of the wrong type at line 1 column 19"),
        (r#"{"result":{"labels":{"k":1}}}"#, "not the JSON"),
        (r#"{"result":{"b64info":"?"}}"#, "b64info is not Base64"),
        (r#"{"result":{"b64data":"?"}}"#, "b64data is not Base64"),
        (r#"{"result":{"b64data":"/wA="}}"#, "data is not JSON"),
        (r#"{"disconnect":{}}"#, "disconnect code 0"),
        (r#"{"disconnect":{"code":5000}}"#, "disconnect code 5000"),
    ] {
        let error = read(body, Encoding::Json).expect_err(body).to_string();
        assert!(error.contains(why) && !error.contains("soon"), "{body}: {error}");
    }
    let labels = format!(r#"{{"result":{{"labels":{{"k":"{}"}}}}}}"#, "v".repeat(300));
    assert!(matches!(read(&labels, Encoding::Json), Err(AnswerError::Labels(_))));
}

#[test]
fn a_client_that_reads_protobuf_is_told_any_bytes() {
    let body = r#"{"result":{"b64data":"/wA="}}"#;
    let ConnectAnswer::Accepted(accepted) = read(body, Encoding::Protobuf).unwrap() else {
        panic!("refused");
    };
    assert_eq!(accepted.data.as_deref(), Some([0xff, 0].as_slice()));
}

#[test]
fn a_refresh_tells_whose_session_it_is_and_meta_where_that_is_wanted() {
    let bare = RefreshQuestion {
        client: ClientId::parse(CLIENT).unwrap(),
        transport: "uni_sse",
        encoding: Encoding::Json,
        user: String::new(),
        meta: None,
        labels: Default::default(),
        carried: Carried::default(),
    };
    let text =
        |question: &RefreshQuestion, form| String::from_utf8(question.json(form).unwrap()).unwrap();
    let head =
        format!(r#"{{"client":"{CLIENT}","transport":"uni_sse","protocol":"json","encoding""#);
    assert_eq!(text(&bare, DataForm::Json), format!(r#"{head}:"json","user":""}}"#));
    let full = RefreshQuestion {
        user: "ann".to_owned(),
        meta: Some(br#"{ "m":1.0 }"#.as_slice().into()),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        ..bare
    };
    let rest = r#""user":"ann","meta":{ "m":1.0 },"labels":{"k":"v"}}"#;
    assert_eq!(text(&full, DataForm::Binary), format!(r#"{head}:"binary",{rest}"#));
}

#[test]
fn a_session_goes_on_only_when_its_backend_says_until_when() {
    let read = |body: &str| RefreshAnswer::from_json(body.as_bytes(), LabelLimits::default());
    let body = r#"{"result":{"expired":false,"expire_at":17,"info":{"i":1},"b64info":"eA==",
        "meta":{ "m":2 },"labels":{"k":"v"},"caps":[],"unheard_of":1},"error":null}"#;
    let renewed = Renewed {
        expire_at: 17,
        meta: Some(br#"{ "m":2 }"#.as_slice().into()),
        labels: Some([("k".to_owned(), "v".to_owned())].into()),
    };
    assert_eq!(read(body).unwrap(), RefreshAnswer::GoesOn(Box::new(renewed)));
    for ended in [
        "{}",
        r#"{"result":{}}"#,
        r#"{"result":null}"#,
        r#"{"result":{"expire_at":0}}"#,
        r#"{"result":{"expired":true,"expire_at":17}}"#,
        r#"{"result":{"expire_at":17},"error":{"code":1}}"#,
        r#"{"result":{"expire_at":17},"disconnect":{"code":1}}"#,
    ] {
        assert_eq!(read(ended).unwrap(), RefreshAnswer::Ended, "{ended}");
    }
    let broken = r#"{"result":{"expire_at":17,"b64info":"?"}}"#;
    assert_eq!(read(broken).unwrap(), RefreshAnswer::Broken);
    for senseless in ["", "[]", r#"{"result":[]}"#, r#"{"result":{"expire_at":"soon"}}"#] {
        assert!(read(senseless).is_err(), "{senseless}");
    }
    let labels =
        format!(r#"{{"result":{{"expire_at":17,"labels":{{"k":"{}"}}}}}}"#, "v".repeat(300));
    assert!(matches!(read(&labels), Err(AnswerError::Labels(_))));
}

/// The fields of a message: numbers as text.
fn fields(message: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let (mut fields, mut reader) = (Vec::new(), Reader(message));
    while let Some(field) = reader.field().unwrap() {
        fields.push((field.number, field.bytes().unwrap().to_vec()));
    }
    fields
}

#[test]
fn questions_in_protobuf_have_the_public_numbers() {
    let expected = |more: &[(u32, &[u8])]| {
        let transport: (u32, &[u8]) = (2, more[0].1);
        [&[(1, CLIENT.as_bytes()), transport], &more[1..]]
            .concat()
            .into_iter()
            .map(|(number, bytes)| (number, bytes.to_vec()))
            .collect::<Vec<_>>()
    };
    let connect = question(&[0xff, 0]);
    let rest: [(u32, &[u8]); 8] = [
        (2, b"websocket"),
        (3, b"protobuf"),
        (4, b"json"),
        (10, &[0xff, 0]),
        (12, b"app"),
        (13, b"1.2"),
        (14, b"a"),
        (14, b"b"),
    ];
    assert_eq!(fields(&connect.protobuf(DataForm::Json)), expected(&rest));
    let refresh = RefreshQuestion {
        client: connect.client,
        transport: "sse",
        encoding: Encoding::Json,
        user: "ann".to_owned(),
        meta: Some(b"{}".as_slice().into()),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        carried: Carried::default(),
    };
    let rest: [(u32, &[u8]); 6] = [
        (2, b"sse"),
        (3, b"json"),
        (4, b"binary"),
        (10, b"ann"),
        (11, b"{}"),
        (12, b"\x0a\x01k\x12\x01v"),
    ];
    assert_eq!(fields(&refresh.protobuf(DataForm::Binary)), expected(&rest));
}

/// A message of fields that are bytes, or numbers.
fn message(fields: &[(u32, Result<&[u8], u64>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, value) in fields {
        match value {
            Ok(bytes) => {
                protobuf::write_message(&mut out, *number, |out| out.extend_from_slice(bytes));
            }
            Err(value) => protobuf::write_present_number(&mut out, *number, *value),
        }
    }
    out
}

#[test]
fn an_answer_in_protobuf_means_the_same_as_in_json() {
    let read = |message: &[u8], encoding| {
        ConnectAnswer::from_protobuf(message, encoding, LabelLimits::default())
    };
    let result = message(&[
        (1, Ok(b"ann")),
        (2, Err(17)),
        (3, Ok(b"info")),
        (4, Ok(b"eA==")),
        (5, Ok(br#"{"d": 1}"#)),
        (7, Ok(b"channel")),
        (9, Ok(br#"{ "m":2 }"#)),
        (11, Ok(b"\x0a\x01k\x12\x01v")),
        (1001, Err(3)),
        (5000, Err(7)),
    ]);
    let accepted = Accepted {
        user: "ann".to_owned(),
        expire_at: Some(17),
        data: Some(br#"{"d": 1}"#.as_slice().into()),
        meta: Some(br#"{ "m":2 }"#.as_slice().into()),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        sessions_max: Some(3),
    };
    let answer = message(&[(1, Ok(&result))]);
    let accepted = ConnectAnswer::Accepted(Box::new(accepted));
    assert_eq!(read(&answer, Encoding::Json).unwrap(), accepted);
    assert_eq!(read(b"", Encoding::Json).unwrap(), ConnectAnswer::Nobody);
    let nobody = ConnectAnswer::Accepted(Box::default());
    assert_eq!(read(&message(&[(1, Ok(b""))]), Encoding::Json).unwrap(), nobody);
    let error = message(&[(1, Err(4)), (2, Ok(b"m")), (3, Err(1))]);
    let disconnect = message(&[(1, Err(4000)), (2, Ok(b"r")), (3, Err(1))]);
    let told = ErrorCode { code: 4, message: "m".into(), temporary: true };
    let left = Disconnect { code: 4000, reason: "r".into() };
    let all = message(&[(1, Ok(&result)), (2, Ok(&error)), (3, Ok(&disconnect))]);
    assert_eq!(read(&all, Encoding::Json).unwrap(), ConnectAnswer::Disconnect(left));
    let some = message(&[(1, Ok(&result)), (2, Ok(&error))]);
    assert_eq!(read(&some, Encoding::Json).unwrap(), ConnectAnswer::Error(told));
    for (result, why) in [
        (message(&[(5, Ok(&[0xff]))]), "data is not JSON"),
        (message(&[(6, Ok(b"?"))]), "b64data is not Base64"),
        (message(&[(4, Ok(b"?"))]), "b64info is not Base64"),
        (message(&[(9, Ok(b"{"))]), "meta is not JSON"),
        (message(&[(1, Err(1))]), "not the Protobuf"),
        (vec![0xff], "not the Protobuf"),
    ] {
        let answer = message(&[(1, Ok(&result))]);
        let error = read(&answer, Encoding::Json).expect_err(why).to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    let any = message(&[(1, Ok(&message(&[(5, Ok(&[0xff, 0]))])))]);
    assert!(
        read(&any, Encoding::Protobuf).is_ok(),
        "a client that reads Protobuf is told any bytes"
    );
}

#[test]
fn a_refresh_in_protobuf_means_the_same_as_in_json() {
    let read = |message: &[u8]| RefreshAnswer::from_protobuf(message, LabelLimits::default());
    let result = message(&[
        (2, Err(17)),
        (3, Ok(b"info")),
        (5, Ok(b"{}")),
        (1001, Ok(b"\x0a\x01k\x12\x01v")),
    ]);
    let renewed = Renewed {
        expire_at: 17,
        meta: Some(b"{}".as_slice().into()),
        labels: Some([("k".to_owned(), "v".to_owned())].into()),
    };
    let goes_on = RefreshAnswer::GoesOn(Box::new(renewed));
    assert_eq!(read(&message(&[(1, Ok(&result))])).unwrap(), goes_on);
    let over = message(&[(1, Err(1)), (2, Err(17))]);
    for ended in [
        vec![],
        message(&[(1, Ok(b""))]),
        message(&[(1, Ok(&over))]),
        message(&[(1, Ok(&result)), (2, Ok(b""))]),
        message(&[(1, Ok(&result)), (3, Ok(b""))]),
    ] {
        assert_eq!(read(&ended).unwrap(), RefreshAnswer::Ended, "{ended:?}");
    }
    let broken = message(&[(2, Err(17)), (4, Ok(b"?"))]);
    assert_eq!(read(&message(&[(1, Ok(&broken))])).unwrap(), RefreshAnswer::Broken);
}
