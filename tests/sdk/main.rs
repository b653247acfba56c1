//! The official clients and a real browser against the real server: one table of clients, one
//! function per behaviour.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::needless_pass_by_value,
    reason = "one variable asks for every client; behaviours take turns; tests pass literals"
)]

mod admin;
mod api;
mod closing;
mod crate_client;
mod device;
#[expect(dead_code, reason = "shared with tests/it, which needs more of it")]
#[path = "../it/harness.rs"]
mod harness;
mod life;
mod own_sessions;
#[expect(dead_code, reason = "shared with tests/it, which needs more of it")]
#[path = "../it/pair.rs"]
mod pair;
mod proxy;
mod table;
