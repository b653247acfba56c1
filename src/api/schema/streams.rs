//! Every command that is answered by a stream of messages.

use super::field::{Message, bool, int64, message, part, text, uint32};
use super::sessions::{
    ALL_USERS, APP_NAME, APP_VERSION, CLIENT, CONNECTED_AFTER, CONNECTED_BEFORE, CONNECTION_INFO,
    EXPRESSION, FILTER_NODE, KEEP, LABEL_FILTER, SESSION, TRANSPORT, USER,
};

/// A command that is answered by a stream: what it takes, what is told again and again.
#[derive(Debug)]
pub struct Stream {
    /// Its name, as in [`Command`](crate::api::Command).
    pub name: &'static str,
    /// Its name as a gRPC method.
    pub rpc: &'static str,
    /// What it does, in sentences.
    pub doc: &'static str,
    /// Its parameters.
    pub request: &'static Message,
    /// One event.
    pub event: &'static Message,
    /// A request in JSON, and an event that may follow.
    pub example: (&'static str, &'static str),
}

/// All of them.
pub static STREAMS: &[Stream] = &[Stream {
    name: "watch",
    rpc: "Watch",
    doc: "Tells of the sessions selected: those there are, then who comes, goes and changes. \
          Without a gap until an event of type `resync`.",
    request: &WATCH_REQUEST,
    event: &WATCH_EVENT,
    example: (
        r#"{"user":"42"}"#,
        r#"{"type":"closed","client":"f5c3a1de-8f0a-4b7e-9a53-6c1f0e7d2b90","user":"42","code":3000,"reason":"connection closed","duration_ms":5211}"#,
    ),
}];

pub(in crate::api) static WATCH_REQUEST: Message = message(
    "WatchRequest",
    "Which sessions to watch.",
    &[
        text("user", 1, USER).optional(),
        text("client", 2, CLIENT),
        text("session", 3, SESSION),
        part("label_filter", 4, &FILTER_NODE, LABEL_FILTER),
        bool("all_users", 5, ALL_USERS),
        text("expression", 6, EXPRESSION),
        text("users", 7, "Only sessions of these users.").many(),
        text("transport", 8, TRANSPORT),
        text("app_name", 9, APP_NAME),
        text("app_version", 10, APP_VERSION),
        text("whitelist", 11, KEEP).many(),
        int64("connected_before", 12, CONNECTED_BEFORE),
        int64("connected_after", 13, CONNECTED_AFTER),
    ],
);

pub(in crate::api) static WATCH_EVENT: Message = message(
    "WatchEvent",
    "Something to know about the sessions watched.",
    &[
        text("type", 1, "`snapshot`, `ready`, `opened`, `changed`, `left`, `closed` or `resync`.")
            .required(),
        part("connections", 2, &CONNECTION_INFO, "Of a snapshot: sessions by their client ids.")
            .map(),
        int64("count", 3, "Of `ready`: sessions in the snapshot."),
        text("client", 4, "Which session was opened, changed, left or closed."),
        part("connection", 5, &CONNECTION_INFO, "The session that was opened or changed."),
        text("user", 6, "Whose session was closed; absent when anonymous."),
        uint32("code", 7, "With which code it was closed; 3000 when its client left by itself."),
        text("reason", 8, "Why it was closed, or why the watch ends."),
        int64("duration_ms", 9, "Milliseconds it had lived."),
    ],
);
