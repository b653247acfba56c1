//! What the outside is told: the calls that are served and every message they need, once.

use super::batch::{BATCH_REQUEST, BATCH_RESPONSE};
use super::calls::{CALLS, Call, ERROR};
use super::field::{Message, Type};
use super::streams::STREAMS;
use crate::api::Command;

/// The calls that the server carries out.
pub fn calls() -> impl Iterator<Item = &'static Call> {
    CALLS.iter().filter(|call| Command::at_path(call.name).is_some_and(Command::is_served))
}

/// Every message that served calls and the batch consist of, each before those it needs. The
/// responses around results are not among them.
#[must_use]
pub fn messages() -> Vec<&'static Message> {
    let mut messages = Vec::new();
    for call in calls() {
        add(call.request, &mut messages);
        add(call.result, &mut messages);
    }
    for stream in STREAMS {
        add(stream.request, &mut messages);
        add(stream.event, &mut messages);
    }
    for message in [&BATCH_REQUEST, &BATCH_RESPONSE, &ERROR] {
        add(message, &mut messages);
    }
    messages
}

fn add(message: &'static Message, messages: &mut Vec<&'static Message>) {
    if messages.iter().any(|known| known.name == message.name) {
        return;
    }
    messages.push(message);
    for field in message.fields.iter() {
        if let Type::Message(inner) = field.kind {
            add(inner, messages);
        }
    }
}
