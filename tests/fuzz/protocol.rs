//! The client protocol: commands, connect requests and emulation in both encodings, each against a
//! reader that was written apart, and written again by other encoders.

use rollcall::protocol::{
    Command, ConnectRequest, EmulationRequest, Encoding, MessageError, Request, commands,
};

use crate::input::{Input, compose};
use crate::protocol_model::{self as model, Unsure};
use crate::protocol_writers as writers;

pub(crate) const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "\"",
    ":",
    ",",
    "\n",
    "{\"id\":1,\"connect\":{",
    "\"token\":\"T\"",
    "\"name\":\"js\",\"version\":\"1\"",
    "\"data\":{\"a\":[1.50,null]}",
    "\"subs\":{\"c\":{},\"d\":null}",
    "\"headers\":{\"x\":\"y\"}",
    "\"flag\":-1",
    "}}",
    "{\"id\":2,\"rpc\":{\"method\":\"m\",\"data\":",
    "{\"send\":{\"data\":[]}}",
    "{\"id\":3,\"refresh\":{\"token\":\"t\"}}",
    "\"subscribe\":{\"channel\":\"c\"}",
    "\"Unsubscribe\":{\"CHANNEL\":\"c\"}",
    "\"publish\":{\"channel\":\"\"}",
    "\"presence\":{}",
    "\"presence_stats\":null",
    "\"history\":{\"channel\":\"h\"}",
    "\"sub_refresh\":{}",
    "\"ping\":{}",
    "\"id\":4294967295",
    "\"ID\":",
    "null",
    "true",
    "0",
    "-1.5e3",
    "[",
    "]",
    "\\u0061",
    "\\ud83d",
    "\\ude00",
    "\\\"",
    "\"x\":1",
    "{}",
    " ",
    "\r",
    "\t",
    "é\u{2028}",
    "{\"id\":5,\"rpc\":{\"data\":",
    "{\"session\":\"22222222-2222-2222-2222-222222222222\",\"node\":\"n\",\"data\":\"",
];

fn json_text(input: &mut Input<'_>) -> Vec<u8> {
    if input.flag() { compose(input, JSON_WORDS) } else { input.rest().to_vec() }
}

/// Commands in JSON: what the model reads, and the same again from another writer of JSON and from
/// Protobuf.
pub(crate) fn commands_json(input: &mut Input<'_>) {
    let message = json_text(input);
    let read = read_all(Encoding::Json, &message);
    if let Ok(expected) = model::commands_json(&message) {
        compare(&read, &expected);
    }
    for command in read.iter().flatten() {
        check_sizes(command, message.len());
        if let Request::Rpc { data, .. } | Request::Send { data } = &command.request {
            check_json(data);
        }
        let again = writers::json(command);
        assert_eq!(only(Encoding::Json, again.as_bytes()), *command, "{again}");
        check_protobuf(command);
    }
}

/// Commands in Protobuf: what the model reads, and the same again from another writer.
pub(crate) fn commands_protobuf(input: &mut Input<'_>) {
    let message = if input.flag() { writers::compose(input) } else { input.rest().to_vec() };
    let read = read_all(Encoding::Protobuf, &message);
    compare(&read, &model::commands_protobuf(&message));
    for command in read.iter().flatten() {
        check_sizes(command, message.len());
        check_protobuf(command);
    }
}

fn read_all(encoding: Encoding, message: &[u8]) -> Vec<Result<Command<'_>, MessageError>> {
    let mut iterator = commands(encoding, message);
    let read: Vec<_> = iterator.by_ref().collect();
    assert!(iterator.next().is_none(), "nothing comes after the end");
    let errors = read.iter().filter(|command| command.is_err()).count();
    assert!(errors == 0 || (errors == 1 && read.last().is_some_and(Result::is_err)));
    assert!(!read.is_empty() && read.len() <= message.len().max(1), "no more than linear");
    // What was not read yet is a message of its own. Once is enough: it is one too.
    let mut first = commands(encoding, message);
    drop(first.next());
    if !first.rest().is_empty() {
        let mut rest = commands(encoding, first.rest());
        for read in &read[1..] {
            match (read, rest.next()) {
                (Ok(read), Some(Ok(again))) => assert_eq!(*read, again),
                (Err(_), Some(Err(_))) => {}
                (read, again) => panic!("{read:?}, again {again:?}"),
            }
        }
        assert!(rest.next().is_none());
    }
    read
}

fn compare(read: &[Result<Command<'_>, MessageError>], expected: &[Result<Command<'_>, ()>]) {
    assert_eq!(read.len(), expected.len(), "{read:?} {expected:?}");
    for (read, expected) in read.iter().zip(expected) {
        match (read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected),
            (Err(error), Err(())) => check_error(error),
            (read, expected) => panic!("{read:?}, expected {expected:?}"),
        }
    }
}

fn only(encoding: Encoding, message: &[u8]) -> Command<'_> {
    let mut read = read_all(encoding, message);
    let command = read.remove(0);
    assert!(read.is_empty());
    command.unwrap_or_else(|error| panic!("{error}: {}", message.escape_ascii()))
}

/// Written by `prost` and read by us it is the same, but for an empty `data`, which Protobuf has
/// no word for.
fn check_protobuf(command: &Command<'_>) {
    let mut expected = command.clone();
    if let Request::Connect(request) = &mut expected.request {
        request.data = request.data.take().filter(|data| !data.is_empty());
    }
    let again = writers::protobuf(command);
    assert_eq!(only(Encoding::Protobuf, &again), expected, "{}", again.escape_ascii());
}

/// Nothing that was read is longer than what it was read from.
fn check_sizes(command: &Command<'_>, message_len: usize) {
    assert!(
        command.id != 0
            || matches!(command.request, Request::Pong | Request::Send { .. } | Request::Unknown)
    );
    let len = match &command.request {
        Request::Connect(request) => connect_len(request),
        Request::Rpc { method, data } => method.len() + data.len(),
        Request::Send { data } => data.len(),
        Request::Refresh { token: text }
        | Request::Subscribe(text)
        | Request::Unsubscribe(text)
        | Request::Publish(text)
        | Request::Presence(text)
        | Request::PresenceStats(text)
        | Request::History(text)
        | Request::SubRefresh(text) => text.len(),
        Request::Pong | Request::Unknown => 0,
    };
    assert!(len <= message_len, "no more than linear");
}

fn connect_len(request: &ConnectRequest) -> usize {
    let data_len = request.data.as_ref().map_or(0, |data| data.len());
    request.token.len() + request.name.len() + request.version.len() + data_len
}

/// What is passed on is JSON another reader takes, not too deep for one that recurses.
fn check_json(data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let text = str::from_utf8(data).expect("text");
    let json = crate::json::only(text).expect("no deeper than the limit");
    assert!(json.depth() <= 128 && json.raw == text);
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok());
}

fn check_error(error: &impl std::fmt::Display) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 200, "{text}");
}

/// A connect request in either encoding.
pub(crate) fn connect(input: &mut Input<'_>) {
    if input.flag() {
        let body = if input.flag() { writers::compose_connect(input) } else { input.rest().into() };
        let read = ConnectRequest::parse_protobuf(&body);
        assert_eq!(read.map_err(drop), model::connect_protobuf(&body));
        return;
    }
    let body = json_text(input);
    let read = ConnectRequest::parse(&body);
    match &read {
        Ok(request) => {
            assert!(connect_len(request) <= body.len());
            request.data.iter().for_each(|data| check_json(data));
        }
        Err(error) => check_error(error),
    }
    if let Ok(expected) = model::connect_json(&body) {
        assert_eq!(read.map_err(drop), expected);
    }
}

/// An emulation request in either encoding; what it carries is read as commands.
pub(crate) fn emulation(input: &mut Input<'_>) {
    let (encoding, body) = if input.flag() {
        let text = input.flag().then(|| writers::compose_emulation(input));
        (Encoding::Protobuf, text.unwrap_or_else(|| input.rest().to_vec()))
    } else {
        (Encoding::Json, json_text(input))
    };
    let read = EmulationRequest::parse(encoding, &body);
    let expected = match encoding {
        Encoding::Json => model::emulation_json(&body),
        Encoding::Protobuf => Ok(model::emulation_protobuf(&body)),
    };
    match (&read, expected) {
        (Ok(request), Ok(Ok(expected))) => {
            let node_and_data = (request.node.to_string(), request.data.to_vec());
            assert_eq!((request.session.map(|id| id.0), node_and_data), expected);
        }
        (Err(_), Ok(Err(()))) | (_, Err(Unsure)) => {}
        (Ok(_), Ok(Err(()))) => panic!("read, expected an error"),
        (Err(error), Ok(Ok(_))) => panic!("{error}"),
    }
    match read {
        Ok(request) => {
            assert!(request.node.len() + request.data.len() <= body.len());
            drop(read_all(encoding, &request.data));
        }
        Err(error) => check_error(&error),
    }
}
