//! `docs/openapi.json`, written from the tables.

use serde_json::{Map, Value, json};

use super::batch::{BATCH_REQUEST, BATCH_RESPONSE};
use super::calls::Call;
use super::field::{Count, Field, Message, Presence, Type};
use super::published;
use super::streams::{STREAMS, Stream};

#[test]
fn the_openapi_file_says_what_the_tables_say() {
    let mut text = serde_json::to_string_pretty(&render()).expect("it is JSON");
    text.push('\n');
    super::laws::same_as_written("docs/openapi.json", &text);
}

const ABOUT: &str = "Knows, at every moment, who is connected. Every command is a POST with a JSON \
object as its body. A command that is not carried out is told with status 200 and an `error`, or, \
in the error mode `transport`, with the status that belongs to the error and the bare error as the \
body. Fields that are not known are ignored, `null` is an absent field.";

fn render() -> Value {
    let mut paths = Map::new();
    for call in published::calls() {
        paths.insert(format!("/{}", call.name), json!({"post": operation(call)}));
    }
    for stream in STREAMS {
        paths.insert(format!("/{}", stream.name), json!({"post": stream_operation(stream)}));
    }
    paths.insert("/batch".to_owned(), json!({"post": batch()}));
    let mut schemas = Map::new();
    let requests: Vec<_> = published::calls()
        .map(|call| call.request)
        .chain([&BATCH_REQUEST])
        .chain(STREAMS.iter().map(|stream| stream.request))
        .collect();
    let results: Vec<_> = published::calls()
        .map(|call| call.result)
        .chain([&BATCH_RESPONSE])
        .chain(STREAMS.iter().map(|stream| stream.event))
        .collect();
    for message in published::messages() {
        let is_asked = reaches(&requests, message.name);
        let is_told = reaches(&results, message.name);
        assert!(!(is_asked && is_told), "{} is both asked and told", message.name);
        let whose = if is_asked { Whose::Caller } else { Whose::Server };
        schemas.insert(message.name.to_owned(), schema(message, whose));
    }
    for call in published::calls() {
        schemas.insert(format!("{}Response", call.rpc()), response(call));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Rollcall server API",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/api"}],
        "security": [{"ApiKey": []}, {"Authorization": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "Authorization": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "The word `apikey`, a space, and the key.",
                },
            },
            "parameters": {"ErrorMode": {
                "name": "X-Centrifugo-Error-Mode",
                "in": "header",
                "description": "`transport` tells errors by the HTTP status.",
                "schema": {"type": "string", "enum": ["transport"]},
            }},
            "responses": {
                "Unauthorized": {"description": "The key is missing or wrong."},
                "TooLarge": text("The body is longer than `http_api.max_request_body_size`."),
                "ShuttingDown": text("The server is shutting down: ask another, or later."),
            },
        },
    })
}

/// Who writes a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Caller,
    Server,
}

/// Whether one of these messages is this one or consists of it.
fn reaches(from: &[&'static Message], name: &str) -> bool {
    fn walk(message: &'static Message, name: &str, seen: &mut Vec<&'static str>) -> bool {
        if message.name == name {
            return true;
        }
        if seen.contains(&message.name) {
            return false;
        }
        seen.push(message.name);
        message
            .fields
            .iter()
            .any(|field| matches!(field.kind, Type::Message(inner) if walk(inner, name, seen)))
    }
    from.iter().any(|message| walk(message, name, &mut Vec::new()))
}

fn operation(call: &Call) -> Value {
    let (asked, told) = call.example;
    let asked: Value = serde_json::from_str(asked).expect("an example is JSON");
    let told: Value = serde_json::from_str(told).expect("an example is JSON");
    let mut operation = with_statuses(json!({
        "operationId": call.name,
        "summary": call.doc.split_once(". ").map_or(call.doc, |(first, _)| first),
        "description": call.doc,
        "parameters": [{"$ref": "#/components/parameters/ErrorMode"}],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": reference(call.request), "example": asked}},
        },
        "responses": {"200": {
            "description": "The result, or why there is none.",
            "content": {"application/json": {
                "schema": {"$ref": format!("#/components/schemas/{}Response", call.rpc())},
                "example": {"result": told},
            }},
        }},
    }));
    let error = json!({"schema": {"$ref": "#/components/schemas/Error"}});
    for (status, why) in [
        ("400", "The body is malformed, which a text tells; or errors 107 and 108."),
        ("404", "Errors 102 and 104."),
        ("500", "Error 100."),
    ] {
        let mut content = json!({"application/json": error});
        if status == "400" {
            content["text/plain"] = json!({"schema": {"type": "string"}});
        }
        let told = json!({"description": why, "content": content});
        operation["responses"][status] = told;
    }
    operation
}

fn stream_operation(stream: &Stream) -> Value {
    let (asked, told) = stream.example;
    let asked: Value = serde_json::from_str(asked).expect("an example is JSON");
    with_statuses(json!({
        "operationId": stream.name,
        "summary": stream.doc.split_once(": ").map_or(stream.doc, |(first, _)| first),
        "description": format!(
            "{} The stream does not end by itself; each `data:` line is one {}.",
            stream.doc, stream.event.name,
        ),
        "parameters": [{"$ref": "#/components/parameters/ErrorMode"}],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": reference(stream.request), "example": asked}},
        },
        "responses": {
            "200": {
                "description": "Events, or why there are none.",
                "content": {
                    "text/event-stream": {
                        "schema": {"type": "string"},
                        "example": format!("data: {told}\n\n"),
                    },
                    "application/json": {"schema": {
                        "type": "object", "required": ["error"],
                        "properties": {"error": {"$ref": "#/components/schemas/Error"}},
                    }},
                },
            },
            "400": {
                "description": "The body is malformed, which a text tells; or errors 107 and 108.",
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
                    "text/plain": {"schema": {"type": "string"}},
                },
            },
        },
    }))
}

fn batch() -> Value {
    let mut operation = with_statuses(json!({
        "operationId": "batch",
        "summary": "Carries many commands out",
        "description": "Carries many commands out, in order. Errors stand in the replies, whatever \
                        the error mode.",
        "requestBody": {
            "required": true,
            "content": {"application/json": {
                "schema": reference(&BATCH_REQUEST),
                "example": {"commands": [{"connections": {"user": "42"}}, {"info": {}}]},
            }},
        },
        "responses": {"200": {
            "description": "One reply for each command.",
            "content": {"application/json": {"schema": reference(&BATCH_RESPONSE)}},
        }},
    }));
    operation["responses"]["400"] = text("The body is malformed: nothing has been done.");
    operation
}

fn with_statuses(mut operation: Value) -> Value {
    for (status, name) in [("401", "Unauthorized"), ("413", "TooLarge"), ("503", "ShuttingDown")] {
        operation["responses"][status] = json!({"$ref": format!("#/components/responses/{name}")});
    }
    operation
}

fn text(description: &str) -> Value {
    json!({
        "description": description,
        "content": {"text/plain": {"schema": {"type": "string"}}},
    })
}

fn response(call: &Call) -> Value {
    json!({
        "description": format!("Either an error or the result of `{}`.", call.name),
        "oneOf": [
            {
                "type": "object", "required": ["result"],
                "properties": {"result": reference(call.result)},
                "additionalProperties": false,
            },
            {
                "type": "object", "required": ["error"],
                "properties": {"error": {"$ref": "#/components/schemas/Error"}},
                "additionalProperties": false,
            },
        ],
    })
}

fn reference(message: &Message) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", message.name)})
}

fn schema(message: &Message, whose: Whose) -> Value {
    let properties: Map<_, _> = message
        .fields
        .iter()
        .map(|field| (field.name.to_owned(), property(field, whose)))
        .collect();
    let required: Vec<_> = message
        .fields
        .iter()
        .filter(|field| field.presence == Presence::Required)
        .map(|field| field.name)
        .collect();
    let mut schema = json!({
        "type": "object", "description": message.doc, "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(field: &Field, whose: Whose) -> Value {
    let one = match field.kind {
        Type::Text => json!({"type": "string"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Uint32 => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        Type::Int64 => json!({
            "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX,
        }),
        Type::Double => json!({"type": "number", "format": "double"}),
        Type::Json => json!({}),
        Type::Message(message) => reference(message),
    };
    let mut property = match field.count {
        Count::One => one,
        Count::Many => json!({"type": "array", "items": one}),
        Count::Map => json!({"type": "object", "additionalProperties": one}),
    };
    // A caller may write null for what is absent.
    let may_be_null = whose == Whose::Caller && field.presence != Presence::Required;
    if may_be_null && let Some(kind) = property.get("type") {
        property["type"] = json!([kind, "null"]);
    } else if may_be_null && property.get("$ref").is_some() {
        property = json!({"oneOf": [property, {"type": "null"}]});
    }
    property["description"] = json!(field.doc);
    property
}
