//! The words of the server API, once: every command with its request and its result, every field
//! with its name, its Protobuf number, its type and a sentence.
//!
//! From these tables come the transcoding between Protobuf and JSON, what reflection tells,
//! `docs/api.proto` and `docs/openapi.json`. A new field is a line here; a new command is a line in
//! [`CALLS`], one in `batch::COMMAND` and one in `batch::REPLY`. Names and numbers are those
//! of Centrifugo's `internal/apiproto/api.proto` where it has them. What is ours in one of its
//! messages has a number from [`OURS`] on; a message of ours counts from 1.

pub(super) mod batch;
mod calls;
mod channels;
pub mod descriptor;
mod field;
mod node;
pub mod published;
mod rules;
mod sessions;
mod streams;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod proto;

pub use calls::{CALLS, Call, ERROR};
pub use field::{Count, Field, Message, Presence, Type};
#[cfg(test)]
pub(super) use sessions::FILTER_NODE;
pub use streams::{STREAMS, Stream};

/// First number of a field of ours in a message of Centrifugo.
pub const OURS: u32 = 1000;

/// The Protobuf package of the API.
pub const PACKAGE: &str = "centrifugal.centrifugo.api";

/// Its service, without the package.
pub const SERVICE: &str = "CentrifugoApi";
