//! Rollcall knows, at every moment, who is connected.
//!
//! The modules stand here in reading order; `docs/architecture.md` has the picture, the walk from a
//! socket to a session and back, and the table of who may import whom. Two ideas carry the house:
//!
//! - **A shard is a machine** ([`shard`]): it is told what happened and says what must be done. It
//!   decides everything and touches nothing: no runtime, socket, clock, log or environment exists
//!   below the line that needs the feature `server`.
//! - **The engine is its body** (`engine`): it knows the runtime, moves bytes, decides nothing.
//!
//! What must always be true, and is tested as such:
//!
//! 1. An acknowledged connect is listed, on every shard.
//! 2. An acknowledged disconnect is never listed again, and its stream ends.
//! 3. A dead peer (FIN, RST) is unlisted without waiting for a ping.
//! 4. One session is in exactly one shard, under exactly one user, once.
//! 5. The directory may say too much, never too little; a bit belongs to one shard.
//! 6. Every table is empty when no client is connected, and the memory comes back.
//! 7. `meta` never reaches a client.
//! 8. Nothing is unbounded.
#![forbid(unsafe_code)]

// Words everybody uses.
pub mod ids;
pub mod limits;
pub mod time;

// Cores that know nothing of each other.
pub mod auth;
pub mod mesh;
pub mod observe;
pub mod protocol;
pub mod session;
pub mod wire;

// What they add up to, from a push to a shard.
pub mod transport;

pub mod proxy;

pub mod api;

pub mod admin;

pub mod connection;

pub mod messages;

pub mod shard;

// The world outside: runtimes, sockets, clocks, files.
#[cfg(feature = "server")]
pub mod engine;

#[cfg(feature = "server")]
pub mod control;

#[cfg(feature = "server")]
pub mod server;

#[cfg(feature = "server")]
pub mod config;

#[cfg(feature = "server")]
pub mod cli;
