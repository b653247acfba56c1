//! The client protocol: what clients ask, what they are told, what codes mean.
//!
//! Used by `connection`, `transport` and `shard`, and for its JSON writers by whoever writes
//! JSON. Knows no socket, no session and no token: a token is text on its way to `auth`.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod codes;
pub mod json;

// How bytes say things.
mod members;
pub mod protobuf;

// What clients say.
mod command;
mod connect;
mod emulation;

// What they are told: with a command before it, and without.
mod push;
mod reply;

pub use command::{Command, Commands, Encoding, MessageError, Request, commands};
pub use connect::ConnectRequest;
pub use emulation::EmulationRequest;
pub use members::{Kind, ParseError};
pub use protobuf::DecodeError;
pub use push::{
    ConnectPush, Dialect, RefreshPush, write_connect_push, write_disconnect_push, write_ping,
    write_refresh_push,
};
pub use reply::{ConnectResult, Push, Reply, write_push, write_reply};

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
