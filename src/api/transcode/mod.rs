//! Protobuf to JSON and back, by the tables of [`schema`](super::schema): a gRPC call becomes the
//! body of `/api/<method>`, and the reply to it a message.
//!
//! ```text
//! request in Protobuf ─ read ─▶ body in JSON ─ plan … write_reply ─▶ reply in JSON ─ write ─▶
//! ```
//! So there is one grammar, one set of texts and one order of fields for both doors. What the
//! server does not know is skipped, whoever says it.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{FIELDS_MAX, MESSAGE_DEPTH_MAX, ReadError, body};
pub use write::{Failure, Reply, WriteError, batch_response, failed_response, message, response};
