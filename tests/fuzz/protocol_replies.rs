//! What clients are told: another reader of each encoding finds in it what was to be said.

use prost::Message;
use rollcall::ids::{ClientId, SessionId};
use rollcall::protocol::codes::Disconnect;
use rollcall::protocol::{
    ConnectPush, ConnectResult, Dialect, Encoding, Push, RefreshPush, Reply, write_connect_push,
    write_push, write_reply,
};
use serde_json::{Value, json};

use crate::input::Input;
use crate::schema;

/// Facts a reply is made of.
struct Facts {
    number: u32,
    time_ms: u64,
    flags: u8,
    text: String,
    node: String,
    data: Vec<u8>,
    id: [u8; 16],
}

/// Replies and pushes with these facts, in both encodings.
pub(crate) fn replies(input: &mut Input<'_>) {
    let facts = Facts {
        number: (input.number() >> 32) as u32,
        time_ms: input.number() >> 1,
        flags: input.byte(),
        text: input.text(),
        node: input.text(),
        data: serde_json::to_vec(&json!({ "a": input.text(), "b": [null, 1] })).expect("JSON"),
        id: std::array::from_fn(|_| input.byte()),
    };
    let id = facts.number.max(1);
    check_error(id, &facts);
    check_connect(id, &facts);
    check_small(id, &facts);
    check_pushes(&facts);
}

/// The only message of these bytes, and the JSON of the same.
fn written(write: impl Fn(&mut Vec<u8>, Encoding)) -> (schema::Reply, Value) {
    let (mut protobuf, mut text) = (Vec::new(), Vec::new());
    write(&mut protobuf, Encoding::Protobuf);
    write(&mut text, Encoding::Json);
    let mut rest = &protobuf[..];
    let reply = schema::Reply::decode_length_delimited(&mut rest).expect("a message");
    assert!(rest.is_empty() && !text.contains(&b'\n') && !text.contains(&b'\r'));
    (reply, serde_json::from_slice(&text).expect("JSON"))
}

fn check_error(id: u32, facts: &Facts) {
    let (code, message, temporary) = (facts.number, facts.text.as_str(), facts.flags & 1 != 0);
    let error = Reply::Error { code, message, temporary };
    let (protobuf, json) = written(|out, encoding| write_reply(out, encoding, id, &error));
    let theirs = schema::Error { code, message: message.to_owned(), temporary };
    assert_eq!(protobuf, schema::Reply { id, error: Some(theirs), ..Default::default() });
    let mut expected = json!({"code": code, "message": message});
    if temporary {
        expected["temporary"] = true.into();
    }
    assert_eq!(json, json!({"id": id, "error": expected}));
}

fn check_connect(id: u32, facts: &Facts) {
    let session = (facts.flags & 2 != 0).then_some(SessionId(facts.id));
    let result = ConnectResult {
        client: ClientId(facts.id),
        version: &facts.text,
        expires: facts.flags & 1 != 0,
        ttl: facts.number,
        data: (facts.flags & 4 != 0).then_some(&facts.data),
        ping_s: u32::from(facts.flags),
        pong: facts.flags & 8 != 0,
        session,
        node: &facts.node,
        time_ms: Some(facts.time_ms),
    };
    let (protobuf, json) =
        written(|out, encoding| write_reply(out, encoding, id, &Reply::Connect(result)));
    let theirs = schema::ConnectResult {
        client: result.client.to_string(),
        version: facts.text.clone(),
        expires: result.expires,
        ttl: result.ttl,
        data: result.data.unwrap_or_default().to_vec(),
        ping: result.ping_s,
        pong: result.pong,
        session: session.map(|session| session.to_string()).unwrap_or_default(),
        node: facts.node.clone(),
        time: facts.time_ms.cast_signed(),
    };
    let said = &json["connect"];
    assert_eq!(said["client"], theirs.client);
    assert_eq!(said["version"], facts.text);
    assert_eq!(said["ttl"].as_u64().unwrap_or(0), u64::from(result.ttl));
    assert_eq!(said["ping"].as_u64().unwrap_or(0), u64::from(result.ping_s));
    assert_eq!(said["time"].as_u64().unwrap_or(0), facts.time_ms);
    assert_eq!(said["pong"].as_bool().unwrap_or(false), result.pong);
    assert_eq!(said["expires"].as_bool().unwrap_or(false), result.expires);
    assert_eq!(said["session"].as_str().unwrap_or(""), theirs.session);
    assert_eq!(said["node"].as_str().unwrap_or(""), facts.node);
    let data = result.data.map_or(Value::Null, |data| serde_json::from_slice(data).expect("JSON"));
    assert_eq!(said["data"], data);
    assert_eq!(protobuf, schema::Reply { id, connect: Some(theirs), ..Default::default() });
}

fn check_small(id: u32, facts: &Facts) {
    let reply = schema::Reply { id, ..Default::default() };
    let rpc = Reply::Rpc { data: &facts.data };
    let (protobuf, json) = written(|out, encoding| write_reply(out, encoding, id, &rpc));
    let theirs = Some(schema::RpcResult { data: facts.data.clone() });
    assert_eq!(protobuf, schema::Reply { rpc: theirs, ..reply.clone() });
    let data: Value = serde_json::from_slice(&facts.data).expect("JSON");
    assert_eq!(json, json!({"id": id, "rpc": {"data": data}}));

    let ttl = (facts.flags & 1 != 0).then_some(facts.number);
    let refresh = Reply::Refresh { ttl };
    let (protobuf, json) = written(|out, encoding| write_reply(out, encoding, id, &refresh));
    let theirs = schema::RefreshResult { expires: ttl.is_some(), ttl: ttl.unwrap_or(0) };
    assert_eq!(protobuf, schema::Reply { refresh: Some(theirs), ..reply.clone() });
    assert_eq!(json["refresh"]["expires"].as_bool().unwrap_or(false), ttl.is_some());

    let (protobuf, json) =
        written(|out, encoding| write_reply(out, encoding, id, &Reply::Unsubscribe));
    assert_eq!(protobuf, schema::Reply { unsubscribe: Some(schema::Empty {}), ..reply });
    assert_eq!(json, json!({"id": id, "unsubscribe": {}}));
}

fn check_pushes(facts: &Facts) {
    let disconnect = Disconnect { code: facts.number, reason: facts.text.clone().into() };
    let (protobuf, json) =
        written(|out, encoding| write_push(out, encoding, &Push::Disconnect(&disconnect)));
    let push = protobuf.push.expect("a push");
    let theirs = schema::Disconnect { code: facts.number, reason: facts.text.clone() };
    assert_eq!(push.disconnect, Some(theirs));
    let said = &json["push"]["disconnect"];
    assert_eq!(said["code"], facts.number);
    assert_eq!(said["reason"].as_str().unwrap_or(""), facts.text);

    let ttl = (facts.flags & 1 != 0).then_some(facts.number);
    let refresh = Push::Refresh(RefreshPush { ttl });
    let (protobuf, _) = written(|out, encoding| write_push(out, encoding, &refresh));
    let theirs = schema::RefreshPush { expires: ttl.is_some(), ttl: ttl.unwrap_or(0) };
    assert_eq!(protobuf.push.and_then(|push| push.refresh), Some(theirs));

    let connect = ConnectPush {
        client: ClientId(facts.id),
        session: SessionId(facts.id),
        version: &facts.text,
        data: Some(&facts.data),
        expires: ttl.is_some(),
        ttl: facts.number,
        ping_s: u32::from(facts.flags),
        time_ms: Some(facts.time_ms),
    };
    let mut out = Vec::new();
    write_connect_push(&mut out, Dialect::Protobuf, &connect);
    let theirs = schema::ConnectPush {
        client: connect.client.to_string(),
        version: facts.text.clone(),
        data: facts.data.clone(),
        expires: connect.expires,
        ttl: connect.ttl,
        ping: connect.ping_s,
        session: connect.session.to_string(),
        time: facts.time_ms.cast_signed(),
    };
    let push = schema::Push::decode(&out[..]).expect("a push");
    assert_eq!(push.connect, Some(theirs));
}
