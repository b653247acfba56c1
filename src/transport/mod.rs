//! How each transport dresses a push: one file per transport.
//!
//! Used by `connection` and `shard`. Knows bytes and the client protocol; never a session, a
//! socket or a clock.

pub mod http_stream;
