//! `loadtest/peers/centrifuge`: our Go program on the library Centrifugo is made of.

use super::kind::{Launch, Program, Wanted};
use super::ours;
use crate::transport::Transport;

pub(super) const PROGRAM: Program = Program {
    file: "rollcall-peer-centrifuge",
    built_by: "go build -C loadtest/peers/centrifuge -o \"$PWD/target/release/\"",
};

pub(super) const fn knows(transport: Transport) -> bool {
    matches!(transport, Transport::Websocket | Transport::WebsocketProtobuf)
}

pub(super) fn launch(wanted: &Wanted<'_>) -> Launch {
    ours::launch(wanted)
}
