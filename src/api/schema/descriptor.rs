//! What reflection tells: the tables as a `FileDescriptorProto` (protobuf.dev, `descriptor.proto`).

use super::calls::ERROR;
use super::field::{Count, Field, Message, Presence, Type};
use super::{PACKAGE, SERVICE, STREAMS, published};
use crate::protocol::protobuf::{write_bytes, write_message, write_number, write_present_number};

/// Name of the file in descriptors.
pub const FILE: &str = "api.proto";

/// The file, in Protobuf.
#[must_use]
pub fn file() -> Vec<u8> {
    let mut out = Vec::new();
    write_bytes(&mut out, 1, FILE.as_bytes());
    write_bytes(&mut out, 2, PACKAGE.as_bytes());
    for message in published::messages() {
        write_message(&mut out, 4, |out| write_descriptor(out, message));
    }
    for call in published::calls() {
        write_message(&mut out, 4, |out| {
            write_bytes(out, 1, format!("{}Response", call.rpc()).as_bytes());
            for (name, number, message) in [("error", 1, &ERROR), ("result", 2, call.result)] {
                write_message(out, 2, |out| {
                    write_field(out, name, number, Label::Optional, Type::Message(message));
                });
            }
        });
    }
    write_message(&mut out, 6, |out| {
        write_bytes(out, 1, SERVICE.as_bytes());
        write_method(out, "Batch", "BatchRequest", &ResponseOf::Call("Batch"));
        for call in published::calls() {
            write_method(out, call.rpc(), call.request.name, &ResponseOf::Call(call.rpc()));
        }
        for stream in STREAMS {
            let events = ResponseOf::Stream(stream.event);
            write_method(out, stream.rpc, stream.request.name, &events);
        }
    });
    write_bytes(&mut out, 12, b"proto3");
    out
}

/// What a method gives back.
enum ResponseOf {
    Call(&'static str),
    Stream(&'static Message),
}

fn write_method(out: &mut Vec<u8>, rpc: &str, request: &str, response: &ResponseOf) {
    let (response, streams) = match response {
        ResponseOf::Call(rpc) => (format!("{rpc}Response"), 0),
        ResponseOf::Stream(event) => (event.name.to_owned(), 1),
    };
    write_message(out, 2, |out| {
        write_bytes(out, 1, rpc.as_bytes());
        write_bytes(out, 2, full_name(request).as_bytes());
        write_bytes(out, 3, full_name(&response).as_bytes());
        write_number(out, 6, streams);
    });
}

fn full_name(message: &str) -> String {
    format!(".{PACKAGE}.{message}")
}

/// `FieldDescriptorProto.Label`
#[derive(Clone, Copy)]
enum Label {
    Optional = 1,
    Repeated = 3,
}

fn write_descriptor(out: &mut Vec<u8>, message: &Message) {
    write_bytes(out, 1, message.name.as_bytes());
    let mut explicit = 0;
    for field in message.fields.iter() {
        write_message(out, 2, |out| {
            let label = if field.count == Count::One { Label::Optional } else { Label::Repeated };
            if field.count == Count::Map {
                let entry = format!("{}.{}", message.name, entry_name(field));
                write_field_of(out, field.name, field.number, label, MESSAGE_TYPE, Some(&entry));
            } else {
                write_field(out, field.name, field.number, label, field.kind);
            }
            if field.presence == Presence::Explicit {
                write_present_number(out, 9, explicit);
                write_number(out, 17, 1);
                explicit += 1;
            }
        });
    }
    for field in message.fields.iter().filter(|field| field.count == Count::Map) {
        write_message(out, 3, |out| {
            write_bytes(out, 1, entry_name(field).as_bytes());
            for (name, number, kind) in [("key", 1, Type::Text), ("value", 2, field.kind)] {
                write_message(out, 2, |out| write_field(out, name, number, Label::Optional, kind));
            }
            write_message(out, 7, |out| write_number(out, 7, 1));
        });
    }
    // What tells that an optional field is there is a oneof of that field alone.
    for field in message.fields.iter().filter(|field| field.presence == Presence::Explicit) {
        write_message(out, 8, |out| write_bytes(out, 1, format!("_{}", field.name).as_bytes()));
    }
}

fn write_field(out: &mut Vec<u8>, name: &str, number: u32, label: Label, kind: Type) {
    let (kind, message) = match kind {
        Type::Double => (1, None),
        Type::Int64 => (3, None),
        Type::Bool => (8, None),
        Type::Text => (9, None),
        Type::Message(message) => (MESSAGE_TYPE, Some(message.name)),
        Type::Json => (12, None),
        Type::Uint32 => (13, None),
    };
    write_field_of(out, name, number, label, kind, message);
}

/// `FieldDescriptorProto.Type` of a message.
const MESSAGE_TYPE: u64 = 11;

fn write_field_of(
    out: &mut Vec<u8>,
    name: &str,
    number: u32,
    label: Label,
    kind: u64,
    message: Option<&str>,
) {
    write_bytes(out, 1, name.as_bytes());
    write_number(out, 3, number.into());
    write_number(out, 4, label as u64);
    write_number(out, 5, kind);
    if let Some(message) = message {
        write_bytes(out, 6, full_name(message).as_bytes());
    }
    let mut json_name = camel_case(name);
    json_name[..1].make_ascii_lowercase();
    write_bytes(out, 10, json_name.as_bytes());
}

fn entry_name(field: &Field) -> String {
    format!("{}Entry", camel_case(field.name))
}

/// `app_name` is `AppName`.
fn camel_case(name: &str) -> String {
    let mut words = String::with_capacity(name.len());
    for word in name.split('_') {
        let (first, rest) = word.split_at(word.len().min(1));
        words.push_str(&first.to_ascii_uppercase());
        words.push_str(rest);
    }
    words
}
