//! ③ What a backend is asked about a client that connects, and what its answer means.
//!
//! Used by `connection`, which decides by the answer, and by `control`, which puts the question.
//! Never knows how the two reach each other: no HTTP, no socket, no clock.

mod connect;

pub use self::connect::{Accepted, ConnectAnswer, ConnectQuestion};
