//! Bytes to requests and replies to bytes: the sans-IO cores of the wire protocols.
//!
//! Every rank above may use it. It imports nothing of ours, opens no socket, reads no clock, and
//! trusts no length it was sent: hence the two lints (tests may panic: that is how they fail).
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod http1;
pub mod websocket;
