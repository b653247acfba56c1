//! What several nodes share, in Redis: rules and statuses.
//!
//! ```text
//!   control ──job──▶ writer ──one script: the rule and its announcement──▶ Redis
//!      ▲  ▲                                                                  │
//!      │  └──── done ──── writer                          stream of changes  │
//!      └── news ── follower ◀────────────────────────────────────────────────┘
//! ```
//!
//! Every node, the one that was asked included, puts a rule into memory when it reads it from the
//! stream: so all have the same order, and the last rule about a user is the same everywhere. The
//! asker waits until that has happened. A change that was missed (Redis was away, the stream has
//! been cut) is found by its number, and everything is read again.
//!
//! Two threads, because one connection waits for changes. Both are given up on after
//! `io_timeout`, and neither is ever waited for by the control thread.

mod follow;
mod link;
mod rules;
mod statuses;
mod writer;

pub(super) use follow::{Follower, News};
pub use link::{SharedAddress, SharedOptions};
pub(super) use rules::Position;
pub(super) use writer::SharedWriter;
