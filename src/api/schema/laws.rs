//! What must hold for the tables as a whole.

use std::collections::BTreeSet;
use std::path::Path;

use super::batch::{COMMAND, REPLY};
use super::calls::{CALLS, Call};
use super::field::{Count, Message, Presence, Type};
use super::{OURS, STREAMS, published};
use crate::api::Command;

/// Compares a file below `docs/` with what the tables say, and writes it first when asked to.
pub(super) fn same_as_written(path: &str, rendered: &str) {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::vars_os().any(|(name, _)| name == "ROLLCALL_WRITE_DOCS") {
        std::fs::write(&full, rendered).expect("it can be written");
    }
    let written = std::fs::read_to_string(&full).unwrap_or_default();
    assert!(
        written == rendered,
        "{path} is not what src/api/schema says; write it again with `ROLLCALL_WRITE_DOCS=1 cargo \
         test --lib schema`"
    );
}

/// Every message of the tables.
fn all_messages() -> Vec<&'static Message> {
    fn add(message: &'static Message, into: &mut Vec<&'static Message>) {
        if into.iter().any(|known| std::ptr::eq(*known, message)) {
            return;
        }
        into.push(message);
        for field in message.fields {
            if let Type::Message(inner) = field.kind {
                add(inner, into);
            }
        }
    }
    let mut messages = Vec::new();
    for message in CALLS.iter().flat_map(|call| [call.request, call.result]) {
        add(message, &mut messages);
    }
    add(&super::batch::BATCH_REQUEST, &mut messages);
    add(&super::batch::BATCH_RESPONSE, &mut messages);
    messages
}

fn is_sentence(doc: &str) -> bool {
    doc.ends_with('.') && doc.starts_with(|first: char| first.is_uppercase() || first == '`')
}

#[test]
fn every_message_has_its_own_name_and_every_field_its_own_name_and_number() {
    let messages = all_messages();
    let names: BTreeSet<_> = messages.iter().map(|message| message.name).collect();
    assert_eq!(names.len(), messages.len(), "two messages of one name");
    for message in messages {
        assert!(is_sentence(message.doc), "{}: {}", message.name, message.doc);
        let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for field in message.fields {
            let at = format!("{}.{}", message.name, field.name);
            assert!(names.insert(field.name), "{at} is there twice");
            assert!(numbers.insert(field.number), "{at}: its number is there twice");
            assert!(is_sentence(field.doc), "{at}: {}", field.doc);
            // Numbers that Protobuf keeps for itself, and those that need no more than two bytes.
            assert!((1..=2047).contains(&field.number), "{at}: number {}", field.number);
            let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(field.name.chars().all(snake), "{at}");
            let is_packed =
                field.count == Count::Many && !matches!(field.kind, Type::Text | Type::Message(_));
            assert!(!is_packed, "{at}: lists of numbers have two encodings, transcode has none");
            let explicit = field.presence == Presence::Explicit;
            assert!(!explicit || field.count == Count::One, "{at}: lists are there or empty");
        }
    }
}

#[test]
fn no_request_has_a_number_with_a_fraction() {
    fn check(message: &'static Message, seen: &mut Vec<&'static str>) {
        if seen.contains(&message.name) {
            return;
        }
        seen.push(message.name);
        for field in message.fields {
            assert!(!matches!(field.kind, Type::Double), "{}.{}", message.name, field.name);
            if let Type::Message(inner) = field.kind {
                check(inner, seen);
            }
        }
    }
    check(&super::batch::BATCH_REQUEST, &mut Vec::new());
}

#[test]
fn fields_of_ours_stand_behind_all_numbers_of_the_original() {
    for message in all_messages() {
        let ours = message.fields.iter().filter(|field| field.number >= OURS).count();
        let first_ours = message.fields.iter().position(|field| field.number >= OURS);
        let rest = first_ours.map_or(0, |first| message.fields.len() - first);
        assert_eq!(ours, rest, "{}: what is ours comes last", message.name);
    }
}

#[test]
fn every_command_that_is_served_has_its_request_and_its_result() {
    for command in Command::all().iter().filter(|command| command.is_served()) {
        assert!(Call::named(command.name).is_some(), "\"{}\" has no line in CALLS", command.name);
    }
    for call in CALLS {
        let rpc = call.rpc();
        assert_eq!(call.request.name, format!("{rpc}Request"));
        assert_eq!(call.result.name, format!("{rpc}Result"));
        assert!(rpc.eq_ignore_ascii_case(&call.name.replace('_', "")), "{rpc}");
        assert!(is_sentence(call.doc), "{}", call.doc);
    }
}

#[test]
fn every_stream_is_a_command_that_is_one() {
    for stream in STREAMS {
        let command = Command::at_path(stream.name).expect("a command");
        assert!(command.is_stream() && is_sentence(stream.doc), "{}", stream.name);
        assert_eq!(stream.request.name, format!("{}Request", stream.rpc));
        assert_eq!(stream.event.name, format!("{}Event", stream.rpc));
        for (message, example) in
            [(stream.request, stream.example.0), (stream.event, stream.example.1)]
        {
            check_example(message, &serde_json::from_str(example).expect(example));
        }
    }
}

#[test]
fn a_batch_holds_every_call_under_its_name_and_one_number() {
    for call in CALLS {
        let field = |of: &'static Message| {
            let field = of.fields.iter().find(|field| field.name == call.name);
            field.unwrap_or_else(|| panic!("\"{}\" is not in {}", call.name, of.name))
        };
        let (asked, told) = (field(&COMMAND), field(&REPLY));
        assert_eq!(asked.number, told.number, "{}", call.name);
        let is = |kind: Type, message: &'static Message| matches!(kind, Type::Message(inner) if std::ptr::eq(inner, message));
        assert!(is(asked.kind, call.request) && is(told.kind, call.result), "{}", call.name);
        let is_published = published::calls().any(|published| published.name == call.name);
        assert!(is_published, "{}", call.name);
    }
    assert_eq!(COMMAND.fields.len(), CALLS.len());
    assert_eq!(REPLY.fields.len(), CALLS.len() + 1);
}

#[test]
fn examples_name_fields_that_are_published_with_values_of_their_types() {
    for call in published::calls() {
        for (message, example) in [(call.request, call.example.0), (call.result, call.example.1)] {
            let example: serde_json::Value = serde_json::from_str(example).expect(example);
            check_example(message, &example);
        }
    }
}

fn check_example(message: &Message, example: &serde_json::Value) {
    let members = example.as_object().expect("an object");
    for (name, value) in members {
        let field = message.fields.iter().find(|field| field.name == name);
        let field = field.unwrap_or_else(|| panic!("{}.{name} is not published", message.name));
        let values: Vec<_> = match field.count {
            Count::One => vec![value],
            Count::Many => value.as_array().expect("a list").iter().collect(),
            Count::Map => value.as_object().expect("an object").values().collect(),
        };
        for value in values {
            match field.kind {
                Type::Text => assert!(value.is_string(), "{name}"),
                Type::Bool => assert!(value.is_boolean(), "{name}"),
                Type::Uint32 => assert!(value.is_u64(), "{name}"),
                Type::Int64 => assert!(value.is_i64(), "{name}"),
                Type::Double => assert!(value.is_number(), "{name}"),
                Type::Json => {}
                Type::Message(inner) => check_example(inner, value),
            }
        }
    }
    for field in message.fields.iter().filter(|field| field.presence == Presence::Required) {
        assert!(members.contains_key(field.name), "{}.{} is missing", message.name, field.name);
    }
}
