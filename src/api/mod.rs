//! ⑤ The server API: what a backend may ask about sessions, and order.
//!
//! ```text
//! head ─ route ─ admit ─┐                       own slice   ┐
//! body ─ plan ──────────┴─▶ Plan ─▶ Question ─▶ answer ─────┼─▶ Merged ─▶ write_reply ─▶ bytes
//!                            │                  each shard  ┘
//!                            └─▶ ApiError: decided without asking anybody
//! ```
//!
//! A request becomes a [`Plan`]: its body is understood as a whole before anything runs, so a
//! mistake in a later command can never lose the answer of an earlier one. Every [`Question`] of
//! the plan is answered by each shard that may know something with JSON already encoded, so that
//! merging is joining bytes. There is one file per command; a new one is a file, a line in
//! `commands`, a variant of [`Question`], and its words in [`schema`].
//!
//! Used by `shard`, which carries plans out, by `messages`, which carries questions and answers,
//! and by `connection`, which finds the route. Never knows a shard, a ring, a socket or a clock.
//!
//! # Order inside one body
//!
//! All questions of a body are put at once, in order, and a `disconnect` followed by a listing
//! still sees its own effect. On the asking shard both run inline, one after the other. On another
//! shard they arrive in the order they were put, because a ring between two shards is first in,
//! first out. The directory is read when the listing is put: it may name too many shards, never
//! too few, so a shard that still holds sessions is asked, and asked after the disconnect. A
//! disconnect that found no room in a ring is answered with an error, not with success.
//!
//! What the control thread must store first ([`Question::is_stored_first`]) takes its time, and so
//! the questions behind it in the same body are put when it is done.

mod answer;
mod batch;
mod block_user;
mod body;
mod channels;
mod commands;
mod connections;
mod cursor;
mod detail;
mod disconnect;
mod encode;
mod error;
mod expression;
mod fence;
mod groups;
mod health;
mod info;
mod invalidate_user_tokens;
mod label_filter;
mod legacy;
mod looking;
mod narrowing;
mod node_stats;
mod own_sessions;
mod page;
mod params;
mod plan;
mod question;
mod raw;
mod refresh;
mod reply;
mod revoke_token;
mod route;
mod rpc;
mod scan;
pub mod schema;
mod search;
mod selector;
mod swagger;
mod terms;
pub mod transcode;
mod unblock_user;
mod update;
mod update_labels;
mod update_meta;
mod user_block;
mod user_connections;
mod user_status;
pub mod watch;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use answer::{Answer, LISTINGS_BYTES_MAX, Merged, Outcome, answer};
pub use body::{BODY_DEPTH_MAX, Scratch};
pub use channels::NoChannels;
pub use commands::Command;
pub use disconnect::DisconnectParams;
pub use error::{ApiError, ErrorKind};
pub use expression::{EXPRESSION_NESTING_MAX, EXPRESSION_WORDS_MAX, ExpressionLimits};
pub use fence::{Fence, Fenced, Learned};
pub use groups::GROUPS_MAX;
pub use info::{NodeFacts, RuleFacts, WebhookFacts};
pub use looking::{Budget, Looking, Progress};
pub use narrowing::Sight;
pub use node_stats::{Carrier, ProcessUse, ShardStats};
pub use own_sessions::{OwnSessions, OwnSessionsShown};
pub use plan::{Plan, Step, plan, plan_call};
pub use question::{Question, Subject};
pub use refresh::{Expiry, Lifetime, RefreshParams, TTL_S_MAX};
pub use reply::{ReplyHead, write_reply};
pub use route::{Options, QueryLimits, Refusal, Route, admit, route};
pub use rpc::{Rpc, rpc};
pub use scan::{Scan, Target};
pub use search::{Search, State};
pub use selector::{Selector, USERS_MAX, User};
pub use swagger::{Swagger, document};
pub use terms::{Mode, Naming, RECEIPT_CLIENTS_MAX, Receipt, Terms};
pub use update::{Applied, Change, LabelChange, UpdateParams};
pub use user_status::{STATE_BYTES_MAX, STATUS_USERS_MAX, StatusOrder, Statuses, UserStatus};
