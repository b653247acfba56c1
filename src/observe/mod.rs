//! What a shard counts about itself.
//!
//! Used by every layer that has something to count. Never reads a clock, writes a log or knows
//! who looks.

mod counters;
mod latency;

pub use counters::{COUNTERS, Counters};
pub use latency::{Recent, Spread, WINDOW_MS};
