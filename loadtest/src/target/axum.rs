//! `loadtest/peers/axum`: our Rust program on tokio, axum and `DashMap`.

use super::kind::{Launch, Program, Wanted};
use super::ours;
use crate::transport::Transport;

pub(super) const PROGRAM: Program = Program {
    file: "rollcall-peer-axum",
    built_by: "cargo build --release --manifest-path loadtest/peers/axum/Cargo.toml \
               --target-dir target",
};

pub(super) const fn knows(transport: Transport) -> bool {
    matches!(transport, Transport::Websocket)
}

pub(super) fn launch(wanted: &Wanted<'_>) -> Launch {
    ours::launch(wanted)
}
