//! How threads talk: a bounded ring for every ordered pair of them, and one doorbell for each.
//!
//! ```text
//!   endpoint 0                                   endpoint 1
//!   send(1, m) ──▶ waiting ──▶ ring 0 → 1 ──────▶ receive() = (0, m)
//!                  (only while the ring is full)
//!   flush() ─────────────────── rings ──────────▶ doorbell 1, if 1 sleeps
//!   doorbell 0, if 0 sleeps ◀── rings ─────────── a turn of receive() that made room for what
//!                                                 waits at 0
//! ```
//! Used by `engine/drive.rs` and `control/endpoint.rs`, each with its own runtime, and set up by
//! `server.rs`. Never blocks, spins, locks or polls, and knows nothing about the messages.
//!
//! What it promises, each with its test:
//! - messages of one pair arrive in order, none twice, none lost while both ends live;
//! - nobody sleeps while a message is there for it, nor while a message of its own waits for
//!   room that exists (checked in every interleaving by `modelled.rs`);
//! - a chatty peer delays the others by one turn each, `TURN_MESSAGES` messages;
//! - a ring and its overflow are bounded: what does not fit is refused and given back.

mod doorbell;
mod endpoint;
mod lane;
#[cfg(test)]
#[expect(unreachable_pub, reason = "the copy of the mesh that the model checker runs")]
mod modelled;
mod sync;
#[cfg(test)]
mod tests;

pub use endpoint::{Endpoint, Full, mesh};
