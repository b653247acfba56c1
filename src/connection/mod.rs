//! The life of one connection, decided without touching the world: what a request opens, who
//! may connect, how it ends.
//!
//! Used by `shard`, which owns the connections and carries out what is decided here. Never
//! knows a thread, another connection, a socket or a clock.

pub mod close;
pub mod commands;
pub mod connect;
pub mod exchange;
pub mod open;
pub mod opening;
pub mod options;
pub mod origin;
pub mod remote;

pub use exchange::Exchange;
pub use opening::Opening;
pub use options::Options;
