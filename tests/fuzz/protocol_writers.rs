//! The client protocol written by others: `serde_json` for strings, `prost` for messages, and
//! messages that are nearly right.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::Message;
use prost::encoding::encode_varint;
use rollcall::protocol::{Command, ConnectRequest, Request};

use crate::input::Input;
use crate::schema;

/// `{}`
#[derive(serde::Serialize)]
struct Empty {}

/// A command as a client would write it in JSON.
pub(crate) fn json(command: &Command<'_>) -> String {
    let string = |text: &str| serde_json::to_string(text).expect("any text");
    let channel =
        |name: &str, channel: &str| format!(r#","{name}":{{"channel":{}}}"#, string(channel));
    let data = |data: &[u8], comma: &str| match str::from_utf8(data).expect("JSON is text") {
        "" => String::new(),
        raw => format!(r#"{comma}"data": {raw}"#),
    };
    let request = match &command.request {
        Request::Connect(request) => {
            let ConnectRequest { token, name, version, data: raw, channels, headers } = request;
            let subs: BTreeMap<_, _> = channels.iter().map(|channel| (channel, Empty {})).collect();
            let [subs, headers] = [serde_json::to_string(&subs), serde_json::to_string(headers)];
            let (subs, headers) = (subs.expect("texts"), headers.expect("texts"));
            let data = data(raw.as_deref().unwrap_or_default(), ",");
            let (token, name, version) = (string(token), string(name), string(version));
            let maps = format!(r#""subs":{subs},"headers":{headers}"#);
            let texts = format!(r#""token":{token},"name":{name},"version":{version}"#);
            format!(r#","connect":{{{texts},{maps}{data}}}"#)
        }
        Request::Pong => String::new(),
        Request::Refresh { token } => format!(r#","refresh":{{"token":{}}}"#, string(token)),
        Request::Send { data: raw } => format!(r#","send":{{{}}}"#, data(raw, "")),
        Request::Rpc { method, data: raw } => {
            format!(r#","rpc":{{"method":{}{}}}"#, string(method), data(raw, ","))
        }
        Request::Subscribe(text) => channel("subscribe", text),
        Request::Unsubscribe(text) => channel("unsubscribe", text),
        Request::Publish(text) => channel("publish", text),
        Request::Presence(text) => channel("presence", text),
        Request::PresenceStats(text) => channel("presence_stats", text),
        Request::History(text) => channel("history", text),
        Request::SubRefresh(text) => channel("sub_refresh", text),
        Request::Unknown if command.id == 0 => r#","send":{},"rpc":{}"#.to_owned(),
        Request::Unknown => r#","unheard_of":{}"#.to_owned(),
    };
    format!(r#"{{"id":{}{request}}}"#, command.id)
}

/// A command as `prost` writes it, with its length.
pub(crate) fn protobuf(command: &Command<'_>) -> Vec<u8> {
    let mut message = schema::Command { id: command.id, ..Default::default() };
    let channel = |text: &Cow<'_, str>| {
        Some(schema::ChannelRequest { first: text.clone().into_owned(), offset: 3 })
    };
    match &command.request {
        Request::Connect(request) => {
            message.connect = Some(schema::ConnectRequest {
                token: request.token.clone(),
                data: request.data.as_deref().unwrap_or_default().to_vec(),
                name: request.name.clone(),
                version: request.version.clone(),
                flag: -1,
                subs: request
                    .channels
                    .iter()
                    .map(|name| (name.clone(), schema::Empty {}))
                    .collect(),
                headers: request.headers.clone().into_iter().collect(),
            });
        }
        Request::Pong => {}
        Request::Refresh { token } => message.refresh = channel(token),
        Request::Send { data } => {
            message.send = Some(schema::DataRequest { data: data.to_vec(), method: String::new() });
        }
        Request::Rpc { method, data } => {
            let method = method.clone().into_owned();
            message.rpc = Some(schema::DataRequest { data: data.to_vec(), method });
        }
        Request::Subscribe(text) => message.subscribe = channel(text),
        Request::Unsubscribe(text) => message.unsubscribe = channel(text),
        Request::Publish(text) => message.publish = channel(text),
        Request::Presence(text) => message.presence = channel(text),
        Request::PresenceStats(text) => message.presence_stats = channel(text),
        Request::History(text) => message.history = channel(text),
        Request::SubRefresh(text) => message.sub_refresh = channel(text),
        Request::Unknown if command.id == 0 => {
            message.send = Some(schema::DataRequest::default());
            message.rpc = Some(schema::DataRequest::default());
        }
        Request::Unknown => message.ping = Some(schema::Empty {}),
    }
    message.encode_length_delimited_to_vec()
}

/// Commands with their lengths, most of them well-formed.
pub(crate) fn compose(input: &mut Input<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    while !input.is_empty() {
        let mut command = Vec::new();
        if input.flag() {
            encode_varint(8, &mut command);
            encode_varint(small_or_any(input), &mut command);
        }
        for _ in 0..input.below(4) {
            let number = input.pick(&[4, 13, 12, 14, 5, 6, 7, 8, 9, 10, 11, 15, 1, 16, 1000]);
            let body = if number == 4 { compose_connect(input) } else { compose_body(input) };
            push_field(input, &mut command, number, &body);
        }
        push_delimited(input, &mut message, &command);
    }
    message
}

/// A connect request, most of it well-formed.
pub(crate) fn compose_connect(input: &mut Input<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..input.below(8) {
        let number = input.pick(&[1, 2, 3, 4, 5, 6, 7, 8]);
        if number == 7 {
            encode_varint(7 << 3, &mut body);
            encode_varint(input.number(), &mut body);
        } else {
            let text = input.text();
            push_field(input, &mut body, number, text.as_bytes());
        }
    }
    body
}

/// An emulation request, most of it well-formed.
pub(crate) fn compose_emulation(input: &mut Input<'_>) -> Vec<u8> {
    const SESSION: &str = "2222ABcd-2222-2222-2222-222222222222";
    let mut body = Vec::new();
    for number in [1, 2, 3, input.pick(&[1, 2, 3, 4])] {
        let content = match (number, input.below(3)) {
            (2, 0) => SESSION.into(),
            (3, _) => compose(&mut Input::new(input.text().as_bytes())),
            _ => input.text().into(),
        };
        push_field(input, &mut body, number, &content);
    }
    body
}

fn compose_body(input: &mut Input<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..input.below(4) {
        let number = input.pick(&[1, 2, 3, 1, 7]);
        let len = usize::from(input.byte());
        let content = input.bytes(len);
        push_field(input, &mut body, number, content);
    }
    body
}

fn small_or_any(input: &mut Input<'_>) -> u64 {
    if input.flag() { u64::from(input.byte()) } else { input.number() }
}

/// A field, nearly always of bytes.
fn push_field(input: &mut Input<'_>, message: &mut Vec<u8>, number: u64, content: &[u8]) {
    let wire_type = match input.below(64) {
        other @ 0..8 => other as u64,
        _ => 2,
    };
    encode_varint(number << 3 | wire_type, message);
    match wire_type {
        0 => encode_varint(input.number(), message),
        1 => message.extend_from_slice(&input.number().to_le_bytes()),
        5 => message.extend_from_slice(&[1, 2, 3, 4]),
        _ => push_delimited(input, message, content),
    }
}

/// Bytes with their length, which seldom lies.
fn push_delimited(input: &mut Input<'_>, message: &mut Vec<u8>, content: &[u8]) {
    let len = content.len() as u64;
    match input.below(64) {
        0 => encode_varint(input.number(), message),
        1 => encode_varint(len + 1, message),
        // Longer than it need be, which is allowed.
        2 if len < 0x80 => message.extend([0x80 | u8::try_from(len).unwrap_or(0), 0x80, 0]),
        _ => encode_varint(len, message),
    }
    message.extend_from_slice(content);
}
