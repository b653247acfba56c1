//! `websocket` and `uni_websocket`: each message in a frame of its own; a disconnect is the close
//! frame (client protocol, "WebSocket").

use super::Out;
use crate::protocol::Encoding;
use crate::protocol::codes::Disconnect;
use crate::wire::websocket::{self, DeflateAnswer, Kind};

/// What was agreed on for one client's frames.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Frames(u8);

const DEFLATED: u8 = 1;
const PING_BY_FRAME: u8 = 2;
const NO_DISCONNECT_PUSH: u8 = 4;
const NO_CLOSE_FRAME: u8 = 8;

impl Frames {
    /// Messages may be compressed, both ways, if there is an answer.
    #[must_use]
    pub const fn with_deflate(self, answer: Option<DeflateAnswer>) -> Self {
        if answer.is_some() { Self(self.0 | DEFLATED) } else { self }
    }

    /// Pings are ping frames, which browsers answer without the page, and no messages
    /// (`cf_ws_frame_ping_pong`).
    #[must_use]
    pub const fn with_ping_by_frame(self) -> Self {
        Self(self.0 | PING_BY_FRAME)
    }

    /// A disconnect is no push, only a close frame (`uni_websocket.disable_disconnect_push`).
    #[must_use]
    pub const fn without_disconnect_push(self) -> Self {
        Self(self.0 | NO_DISCONNECT_PUSH)
    }

    /// The connection ends without a close frame (`uni_websocket.disable_closing_handshake`).
    #[must_use]
    pub const fn without_close_frame(self) -> Self {
        Self(self.0 | NO_CLOSE_FRAME)
    }

    /// For the decoder of this client's frames.
    #[must_use]
    pub const fn deflate(self) -> Option<DeflateAnswer> {
        if self.0 & DEFLATED != 0 { Some(DeflateAnswer::AGREED) } else { None }
    }

    pub(super) const fn ping_by_frame(self) -> bool {
        self.0 & PING_BY_FRAME != 0
    }

    pub(super) const fn disconnect_push(self) -> bool {
        self.0 & NO_DISCONNECT_PUSH == 0
    }

    pub(super) fn message(
        self,
        out: &mut Out<'_>,
        encoding: Encoding,
        content: impl FnOnce(&mut Vec<u8>),
    ) {
        let kind = match encoding {
            Encoding::Json => Kind::Text,
            Encoding::Protobuf => Kind::Binary,
        };
        match &mut out.deflater {
            Some(deflater) if self.0 & DEFLATED != 0 => {
                deflater.write_message(out.bytes, kind, content);
            }
            _ => websocket::write_message(out.bytes, kind, content),
        }
    }

    pub(super) fn close(self, out: &mut Vec<u8>, disconnect: &Disconnect) {
        if self.0 & NO_CLOSE_FRAME != 0 {
            return;
        }
        // A code that no close frame can carry is still a goodbye.
        let code = u16::try_from(disconnect.code).unwrap_or(CLOSE_CODE_UNSAYABLE);
        websocket::write_close(out, code, &disconnect.reason);
    }
}

/// "Internal error" (RFC 6455 §7.4.1).
const CLOSE_CODE_UNSAYABLE: u16 = 1011;

pub(super) fn ping(out: &mut Vec<u8>) {
    websocket::write_ping(out, &[]);
}
