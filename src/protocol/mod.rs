//! The client protocol: what a connect request says, what pushes look like, what codes mean.
//!
//! Used by `connection`, `transport` and `shard`, and for its JSON writers by whoever writes
//! JSON. Knows no socket, no session and no token: a token is text on its way to `auth`.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod codes;
pub mod json;

mod connect;
mod push;

pub use connect::{ConnectRequest, Kind, ParseError};
pub use push::{ConnectPush, Dialect, write_connect_push, write_disconnect_push, write_ping};

#[cfg(test)]
mod tests;
