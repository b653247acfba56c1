//! `docs/api.proto`, written from the tables.

use std::fmt::Write;

use super::field::{Count, Field, Message, Presence, Type};
use super::{PACKAGE, SERVICE, STREAMS, Stream, published};

const INTRODUCTION: &str = "\
// The server API of Rollcall over gRPC. Names and numbers are those of Centrifugo's api.proto; what
// is Rollcall's own in its messages has a number from 1000 on.
//
// Fields of type bytes hold JSON texts, as they are.
//
// Written by `ROLLCALL_WRITE_DOCS=1 cargo test --lib schema` from src/api/schema.

syntax = \"proto3\";
";

/// Columns of a line of the file.
const COLUMNS: usize = 100;

#[test]
fn the_protobuf_file_says_what_the_tables_say() {
    super::laws::same_as_written("docs/api.proto", &render());
}

fn render() -> String {
    let mut text = INTRODUCTION.to_owned();
    let out = &mut text;
    writeln!(out, "\npackage {PACKAGE};\n\nservice {SERVICE} {{").expect("memory");
    comment(out, "  ", "Carries many commands out.");
    out.push_str("  rpc Batch(BatchRequest) returns (BatchResponse);\n");
    for call in published::calls() {
        comment(out, "  ", call.doc);
        let (rpc, request) = (call.rpc(), call.request.name);
        writeln!(out, "  rpc {rpc}({request}) returns ({rpc}Response);").expect("memory");
    }
    for stream in STREAMS {
        comment(out, "  ", stream.doc);
        let Stream { rpc, request, event, .. } = stream;
        let (request, event) = (request.name, event.name);
        writeln!(out, "  rpc {rpc}({request}) returns (stream {event});").expect("memory");
    }
    out.push_str("}\n");
    for message in published::messages() {
        render_message(out, message);
    }
    for call in published::calls() {
        let (rpc, result) = (call.rpc(), call.result.name);
        writeln!(
            out,
            "\n// Either an error or the result of `{}`.\nmessage {rpc}Response {{\n  Error error = \
             1;\n  {result} result = 2;\n}}",
            call.name
        )
        .expect("memory");
    }
    text
}

fn render_message(out: &mut String, message: &Message) {
    out.push('\n');
    comment(out, "", message.doc);
    if message.fields.iter().next().is_none() {
        return writeln!(out, "message {} {{}}", message.name).expect("memory");
    }
    writeln!(out, "message {} {{", message.name).expect("memory");
    for field in message.fields.iter() {
        comment(out, "  ", field.doc);
        writeln!(out, "  {} {} = {};", kind(field), field.name, field.number).expect("memory");
    }
    out.push_str("}\n");
}

fn kind(field: &Field) -> String {
    let one = match field.kind {
        Type::Text => "string",
        Type::Bool => "bool",
        Type::Uint32 => "uint32",
        Type::Int64 => "int64",
        Type::Double => "double",
        Type::Json => "bytes",
        Type::Message(message) => message.name,
    };
    match (field.count, field.presence) {
        (Count::Many, _) => format!("repeated {one}"),
        (Count::Map, _) => format!("map<string, {one}>"),
        (Count::One, Presence::Explicit) => format!("optional {one}"),
        (Count::One, Presence::Implicit | Presence::Required) => one.to_owned(),
    }
}

fn comment(out: &mut String, indent: &str, doc: &str) {
    let mut line = String::new();
    for word in doc.split_whitespace() {
        if !line.is_empty() && indent.len() + 3 + line.len() + 1 + word.len() > COLUMNS {
            writeln!(out, "{indent}//{line}").expect("memory");
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{indent}//{line}").expect("memory");
}
