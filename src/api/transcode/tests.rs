//! Both directions against messages of `prost-reflect`, which knows the tables from their
//! descriptor alone.

#![expect(clippy::wildcard_enum_match_arm, reason = "the types of another crate")]

use proptest::prelude::*;
use proptest::strategy::Union;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage,
    Value,
};
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::api::schema::batch::{BATCH_REQUEST, BATCH_RESPONSE};
use crate::api::schema::{
    Call, Count, Field, Message, PACKAGE, Presence, STREAMS, Type, descriptor, published,
};

fn pool() -> DescriptorPool {
    let mut set = Vec::new();
    crate::protocol::protobuf::write_bytes(&mut set, 1, &descriptor::file());
    DescriptorPool::decode(set.as_slice()).expect("a set of one whole file")
}

fn descriptor_of(message: &Message) -> MessageDescriptor {
    let name = format!("{PACKAGE}.{}", message.name);
    pool().get_message_by_name(&name).unwrap_or_else(|| panic!("no {name}"))
}

fn call(name: &str) -> &'static Call {
    Call::named(name).expect("it is a call")
}

#[test]
fn the_descriptor_holds_the_service_with_every_method_and_every_field() {
    let pool = pool();
    let service = pool.services().next().expect("one");
    assert_eq!(service.full_name(), "centrifugal.centrifugo.api.CentrifugoApi");
    let methods: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
    let expected = std::iter::once("Batch").chain(published::calls().map(Call::rpc));
    assert_eq!(methods, expected.chain(STREAMS.iter().map(|it| it.rpc)).collect::<Vec<_>>());
    for message in published::messages() {
        let known = descriptor_of(message);
        for field in message.fields.iter() {
            let found = known.get_field(field.number).expect(field.name);
            assert_eq!(found.name(), field.name);
            assert_eq!(found.is_map(), field.count == Count::Map);
            assert_eq!(found.is_list(), field.count == Count::Many);
            let has_presence = field.presence == Presence::Explicit;
            let is_message = matches!(field.kind, Type::Message(_)) && field.count == Count::One;
            assert_eq!(found.supports_presence(), has_presence || is_message, "{}", field.name);
        }
        assert_eq!(known.fields().count(), message.fields.len());
    }
}

/// JSON that says something a message can say, without what absence says too.
fn says(message: &'static Message, depth: u32) -> BoxedStrategy<Json> {
    let fields: Vec<_> = message
        .fields
        .iter()
        .filter(|field| depth > 0 || !matches!(field.kind, Type::Message(_)))
        .map(|field| proptest::option::of(values(field, depth)).prop_map(|it| (field.name, it)))
        .collect();
    let object = |members: Vec<(&str, Option<Json>)>| {
        let there = members.into_iter().filter_map(|(name, it)| Some((name.to_owned(), it?)));
        Json::Object(there.collect())
    };
    fields.prop_map(object).boxed()
}

fn values(field: &'static Field, depth: u32) -> BoxedStrategy<Json> {
    let one = value(field, depth);
    match field.count {
        Count::One if field.presence == Presence::Explicit => one,
        Count::One => one.prop_filter("absent", |it| !is_default(it)).boxed(),
        Count::Many => proptest::collection::vec(one, 1..4).prop_map(Json::Array).boxed(),
        Count::Map => proptest::collection::btree_map(any::<String>(), one, 1..4)
            .prop_map(|map| Json::Object(map.into_iter().collect()))
            .boxed(),
    }
}

fn is_default(json: &Json) -> bool {
    matches!(json, Json::Bool(false))
        || json.as_str() == Some("")
        || json.as_f64().is_some_and(|number| number.to_bits() == 0)
}

fn value(field: &Field, depth: u32) -> BoxedStrategy<Json> {
    match field.kind {
        Type::Text => any::<String>().prop_map(Json::from).boxed(),
        Type::Bool => any::<bool>().prop_map(Json::from).boxed(),
        Type::Uint32 => any::<u32>().prop_map(Json::from).boxed(),
        Type::Int64 => any::<i64>().prop_map(Json::from).boxed(),
        // Whole ones: a text of a number with a fraction may be read as its neighbour.
        Type::Double => any::<i32>().prop_map(|it| Json::from(f64::from(it))).boxed(),
        Type::Json => Union::new([
            any::<String>().prop_map(|text| json!({"a": [text, null, true]})).boxed(),
            Just(json!([1, -2])).boxed(),
        ])
        .boxed(),
        Type::Message(message) => says(message, depth - 1),
    }
}

/// The message of `prost-reflect` that says this.
fn reflected(known: MessageDescriptor, json: &Json) -> DynamicMessage {
    let mut message = DynamicMessage::new(known);
    for (name, json) in json.as_object().expect("an object") {
        let field = message.descriptor().get_field_by_name(name).expect("a field");
        let value = match json {
            Json::Array(list) if field.is_list() => {
                Value::List(list.iter().map(|one| reflected_value(&field, one)).collect())
            }
            Json::Object(map) if field.is_map() => {
                let kind = field.kind();
                let of = kind.as_message().expect("an entry").map_entry_value_field();
                let entry = |(key, one): (&String, &Json)| {
                    (MapKey::String(key.clone()), reflected_value(&of, one))
                };
                Value::Map(map.iter().map(entry).collect())
            }
            one => reflected_value(&field, one),
        };
        message.set_field(&field, value);
    }
    message
}

fn reflected_value(field: &FieldDescriptor, json: &Json) -> Value {
    use prost_reflect::Kind;
    let whole = || json.as_i64().expect("a whole number");
    match field.kind() {
        Kind::String => Value::String(json.as_str().expect("a text").to_owned()),
        Kind::Bool => Value::Bool(json.as_bool().expect("a boolean")),
        Kind::Uint32 => Value::U32(u32::try_from(whole()).expect("32 bits")),
        Kind::Int64 => Value::I64(whole()),
        Kind::Double => Value::F64(json.as_f64().expect("a number")),
        Kind::Bytes => Value::Bytes(json.to_string().into()),
        Kind::Message(known) => Value::Message(reflected(known, json)),
        other => panic!("the tables have no {other:?}"),
    }
}

/// What a message of `prost-reflect` says.
fn said(message: &DynamicMessage) -> Json {
    let fields =
        message.fields().map(|(field, value)| (field.name().to_owned(), said_value(value)));
    Json::Object(fields.collect::<Map<_, _>>())
}

fn said_value(value: &Value) -> Json {
    match value {
        Value::String(text) => json!(text),
        Value::Bool(boolean) => json!(boolean),
        Value::U32(number) => json!(number),
        Value::I64(number) => json!(number),
        Value::F64(number) => json!(number),
        Value::Bytes(json) => serde_json::from_slice(json).expect("JSON"),
        Value::Message(message) => said(message),
        Value::List(list) => list.iter().map(said_value).collect(),
        Value::Map(map) => {
            let key = |key: &MapKey| key.as_str().expect("a text").to_owned();
            Json::Object(map.iter().map(|(at, one)| (key(at), said_value(one))).collect())
        }
        other => panic!("the tables have no {other:?}"),
    }
}

fn any_request() -> impl Strategy<Value = (&'static Message, Json)> {
    let messages = published::calls().map(|call| call.request).chain([&BATCH_REQUEST]);
    Union::new(messages.map(|it| says(it, 5).prop_map(move |json| (it, json)).boxed()))
}

fn any_result() -> impl Strategy<Value = (&'static Call, Json)> {
    Union::new(
        published::calls()
            .map(|call| says(call.result, 5).prop_map(move |json| (call, json)).boxed()),
    )
}

fn read(message: &'static Message, bytes: &[u8]) -> Result<Json, ReadError> {
    let mut out = Vec::new();
    body(message, bytes, &mut out)?;
    Ok(serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out))))
}

/// The response of a call, as `prost-reflect` reads it.
fn decoded(name: &str, bytes: &[u8]) -> Json {
    let name = format!("{PACKAGE}.{name}");
    let known = pool().get_message_by_name(&name).expect("a message");
    said(&DynamicMessage::decode(known, bytes).expect("it can be read"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_request_says_in_json_what_it_says_in_protobuf((message, json) in any_request()) {
        let bytes = reflected(descriptor_of(message), &json).encode_to_vec();
        prop_assert_eq!(read(message, &bytes), Ok(json));
    }

    #[test]
    fn a_result_says_in_protobuf_what_it_says_in_json((call, json) in any_result()) {
        let reply = json!({ "result": json }).to_string();
        let bytes = response(call, &Reply::parse(reply.as_bytes()).unwrap()).unwrap();
        prop_assert_eq!(decoded(&format!("{}Response", call.rpc()), &bytes), json!({"result": json}));
    }

    #[test]
    fn replies_of_a_batch_stay_in_order(json in says(&BATCH_RESPONSE, 5)) {
        let bytes = batch_response(json.to_string().as_bytes()).unwrap();
        prop_assert_eq!(decoded("BatchResponse", &bytes), json);
    }

    #[test]
    fn any_bytes_are_a_request_in_json_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        for message in published::calls().map(|call| call.request).chain([&BATCH_REQUEST]) {
            drop(read(message, &bytes));
        }
    }
}

#[test]
fn what_comes_twice_counts_as_protobuf_says() {
    // The last user, both whitelists, one disconnect put together from two.
    let bytes = b"\x0a\x01a\x22\x01x\x12\x03\x08\xa1\x1f\x22\x01y\x12\x05\x12\x03bye\x0a\x01b";
    let expected = json!({
        "user": "b", "disconnect": {"code": 4001, "reason": "bye"}, "whitelist": ["x", "y"],
    });
    assert_eq!(read(call("disconnect").request, bytes), Ok(expected));
}

#[test]
fn an_empty_user_is_told_from_none_where_it_means_the_anonymous_one() {
    let request = call("disconnect").request;
    assert_eq!(read(request, b"\x0a\0"), Ok(json!({"user": ""})));
    assert_eq!(read(request, b""), Ok(json!({})));
    assert_eq!(read(call("connections").request, b"\x0a\0"), Ok(json!({})));
}

#[test]
fn unknown_fields_are_skipped_on_both_ways() {
    assert_eq!(
        read(call("connections").request, b"\xf8\x7f\x07\x0a\x0242"),
        Ok(json!({"user": "42"}))
    );
    let reply = br#"{"result":{"new":[{}],"nodes":[]},"more":1}"#;
    let bytes = response(call("info"), &Reply::parse(reply).unwrap()).unwrap();
    assert_eq!(decoded("InfoResponse", &bytes), json!({"result": {}}));
}

#[test]
fn what_is_no_request_is_refused_and_named() {
    let disconnect = call("disconnect").request;
    for (message, bytes, error) in [
        (
            disconnect,
            &b"\x0a\x05ab"[..],
            "malformed DisconnectRequest: message ends inside a field",
        ),
        (disconnect, b"\x0a\x01\xff", "malformed DisconnectRequest: field 1 is not UTF-8"),
        (disconnect, b"\x08\x01", "malformed DisconnectRequest: field 1 has the wrong wire type"),
        (disconnect, b"\x12\x02\x08\x80", "malformed Disconnect: message ends inside a field"),
        (
            disconnect,
            b"\x12\x06\x08\xff\xff\xff\xff\x7f",
            "Disconnect.code: expected a whole number from 0 to 4294967295",
        ),
        (call("refresh").request, b"\x2a\x01{", "RefreshRequest.info: expected a JSON text"),
        (
            call("refresh").request,
            b"\x2a\x101,\"user\":\"other\"",
            "RefreshRequest.info: expected a JSON text",
        ),
    ] {
        assert_eq!(read(message, bytes).unwrap_err().to_string(), error);
    }
}

#[test]
fn more_fields_than_can_be_read_are_refused() {
    let whitelist = b"\x22\0";
    let disconnect = call("disconnect").request;
    assert!(read(disconnect, &whitelist.repeat(FIELDS_MAX)).is_ok());
    let refused = read(disconnect, &whitelist.repeat(FIELDS_MAX + 1));
    assert_eq!(refused, Err(ReadError::TooManyFields));
}

#[test]
fn messages_nested_too_deep_are_refused_before_the_stack_ends() {
    let nested = |levels: usize| {
        let mut bytes = Vec::new();
        for _ in 1..levels {
            let inner = std::mem::take(&mut bytes);
            crate::protocol::protobuf::write_message(&mut bytes, 6, |out| out.extend(inner));
        }
        bytes
    };
    let filter = &crate::api::schema::FILTER_NODE;
    assert!(read(filter, &nested(MESSAGE_DEPTH_MAX)).is_ok());
    assert_eq!(read(filter, &nested(MESSAGE_DEPTH_MAX + 1)), Err(ReadError::TooDeep));
    assert_eq!(read(filter, &nested(20_000)), Err(ReadError::TooDeep));
}

#[test]
fn a_reply_that_is_not_of_the_call_is_our_mistake_and_no_panic() {
    for reply in [r#"{"result":{"nodes":1}}"#, r#"{"result":{"nodes":[{"uid":1}]}}"#] {
        let reply = Reply::parse(reply.as_bytes()).unwrap();
        assert!(response(call("info"), &reply).is_err());
    }
    assert!(Reply::parse(b"{").is_err());
    assert!(batch_response(b"[]").is_err());
}

#[test]
fn an_error_is_the_first_field_of_every_response() {
    let reply = Reply::parse(br#"{"error":{"code":107,"message":"bad \"user\""}}"#).unwrap();
    let bytes = failed_response(&reply.error.expect("an error"));
    let expected = json!({"error": {"code": 107, "message": "bad \"user\""}});
    for call in published::calls() {
        assert_eq!(decoded(&format!("{}Response", call.rpc()), &bytes), expected);
    }
}
