//! What a shard counts about itself.
//!
//! Used by every layer that has something to count. Never reads a clock, writes a log or knows
//! who looks.

mod counters;

pub use counters::{COUNTERS, Counters};
