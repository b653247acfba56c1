//! How each transport dresses what a client is told: one file per transport.
//!
//! Used by `connection` and `shard`. Knows bytes and the client protocol; never a session, a
//! socket or a clock.

mod body;
mod events;
pub mod grpc;
mod http_stream;
mod sse;
mod websocket;

use crate::protocol::codes::Disconnect;
use crate::protocol::{self, ConnectPush, Dialect, Encoding, Push, RefreshPush, Reply};
use crate::wire::websocket::Deflater;

pub use body::Body;
pub use events::Events;
pub use websocket::Frames;

/// How the messages of one client travel: fixed when it opens, three bytes for as long as it
/// lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// Replies and pushes in WebSocket messages.
    WebSocket(Encoding, Frames),
    /// Replies and pushes in an endless HTTP response; commands come by other requests.
    HttpStream(Encoding, Body),
    /// The same as Server-Sent Events, in JSON.
    Sse(Body),
    /// Pushes only, in WebSocket messages.
    UniWebSocket(Dialect, Frames),
    /// Pushes only, one per line of an endless HTTP response.
    UniHttpStream(Dialect, Body),
    /// Pushes only, as Server-Sent Events.
    UniSse(Dialect, Body),
    /// Pushes only, in Protobuf, in messages of a gRPC stream.
    UniGrpc,
}

const _: () = assert!(size_of::<Wire>() == 3, "ten million copies");

/// Where messages are written: behind what is there, compressed where it was agreed on.
#[derive(Debug)]
pub struct Out<'a> {
    /// Behind what it holds already.
    pub bytes: &'a mut Vec<u8>,
    /// The shard's compressor, when some endpoint compresses.
    pub deflater: Option<&'a mut Deflater>,
}

/// What answers a ping of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PongBy {
    /// A command without an id.
    Command,
    /// A pong frame.
    Frame,
    /// Nothing: the client can say nothing.
    Nothing,
}

impl Wire {
    /// What clients of this kind write commands in; `None` when they write none.
    #[must_use]
    pub const fn encoding(self) -> Option<Encoding> {
        match self {
            Self::WebSocket(encoding, _) | Self::HttpStream(encoding, _) => Some(encoding),
            Self::Sse(_) => Some(Encoding::Json),
            Self::UniWebSocket(..) | Self::UniHttpStream(..) | Self::UniSse(..) | Self::UniGrpc => {
                None
            }
        }
    }

    /// How what a backend has for its client is written.
    #[must_use]
    pub const fn data_encoding(self) -> Encoding {
        match self {
            Self::WebSocket(encoding, _) | Self::HttpStream(encoding, _) => encoding,
            Self::UniGrpc => Encoding::Protobuf,
            Self::Sse(_) | Self::UniWebSocket(..) | Self::UniHttpStream(..) | Self::UniSse(..) => {
                Encoding::Json
            }
        }
    }

    /// Whether commands come by requests of their own (`/emulation`).
    #[must_use]
    pub const fn is_emulated(self) -> bool {
        matches!(self, Self::HttpStream(..) | Self::Sse(_))
    }

    /// The frames it travels in; `None` when it is no WebSocket.
    #[must_use]
    pub const fn frames(self) -> Option<Frames> {
        match self {
            Self::WebSocket(_, frames) | Self::UniWebSocket(_, frames) => Some(frames),
            Self::HttpStream(..)
            | Self::Sse(_)
            | Self::UniHttpStream(..)
            | Self::UniSse(..)
            | Self::UniGrpc => None,
        }
    }

    /// The HTTP response it travels in; `None` when it is none.
    #[must_use]
    pub const fn body(self) -> Option<Body> {
        match self {
            Self::HttpStream(_, body)
            | Self::Sse(body)
            | Self::UniHttpStream(_, body)
            | Self::UniSse(_, body) => Some(body),
            Self::WebSocket(..) | Self::UniWebSocket(..) | Self::UniGrpc => None,
        }
    }

    /// What answers its pings.
    #[must_use]
    pub const fn pong_by(self) -> PongBy {
        match self {
            Self::WebSocket(_, frames) if frames.ping_by_frame() => PongBy::Frame,
            Self::WebSocket(..) | Self::HttpStream(..) | Self::Sse(_) => PongBy::Command,
            Self::UniWebSocket(..) => PongBy::Frame,
            Self::UniHttpStream(..) | Self::UniSse(..) | Self::UniGrpc => PongBy::Nothing,
        }
    }

    /// The client sends bytes where it has nothing to say: its connection can carry no further
    /// request.
    pub const fn spoil(&mut self) {
        match self {
            Self::HttpStream(_, body)
            | Self::Sse(body)
            | Self::UniHttpStream(_, body)
            | Self::UniSse(_, body) => body.spoil(),
            Self::WebSocket(..) | Self::UniWebSocket(..) | Self::UniGrpc => {}
        }
    }

    /// The head of the response, for transports that are one.
    pub fn head(self, out: &mut Out<'_>, date: &str, extra: &[(&str, &str)]) {
        match self {
            Self::HttpStream(Encoding::Json, body) | Self::UniHttpStream(_, body) => {
                body.head(out.bytes, http_stream::JSON_TYPE, date, extra);
            }
            Self::HttpStream(Encoding::Protobuf, body) => {
                body.head(out.bytes, http_stream::PROTOBUF_TYPE, date, extra);
            }
            Self::Sse(body) | Self::UniSse(_, body) => sse::head(out.bytes, body, date, extra),
            Self::WebSocket(..) | Self::UniWebSocket(..) | Self::UniGrpc => {}
        }
    }

    /// The first thing an accepted client of a unidirectional transport hears.
    pub fn connect(self, out: &mut Out<'_>, push: &ConnectPush<'_>) {
        let dialect = self.dialect();
        self.message(out, |out| protocol::write_connect_push(out, dialect, push));
    }

    /// The reply to a command of a bidirectional client.
    pub fn reply(self, out: &mut Out<'_>, id: u32, reply: &Reply<'_>) {
        let Some(encoding) = self.encoding() else {
            debug_assert!(false, "a unidirectional client has no commands: {self:?}");
            return;
        };
        self.message(out, |out| protocol::write_reply(out, encoding, id, reply));
    }

    /// A ping.
    pub fn ping(self, out: &mut Out<'_>) {
        match self {
            Self::WebSocket(_, frames) if frames.ping_by_frame() => websocket::ping(out.bytes),
            Self::WebSocket(encoding, _) | Self::HttpStream(encoding, _) => {
                self.message(out, |out| protocol::write_push(out, encoding, &Push::Ping));
            }
            Self::Sse(_) => self.message(out, |out| {
                protocol::write_push(out, Encoding::Json, &Push::Ping);
            }),
            // Both: the message for the page, the frame because it is answered.
            Self::UniWebSocket(dialect, _) => {
                self.message(out, |out| match dialect {
                    Dialect::V1 => {}
                    Dialect::V2 | Dialect::Protobuf => protocol::write_ping(out, dialect),
                });
                websocket::ping(out.bytes);
            }
            Self::UniSse(Dialect::V1, body) => sse::ping_v1(out.bytes, body),
            Self::UniHttpStream(..) | Self::UniSse(..) | Self::UniGrpc => {
                let dialect = self.dialect();
                self.message(out, |out| protocol::write_ping(out, dialect));
            }
        }
    }

    /// A backend changed when the session ends.
    pub fn refresh(self, out: &mut Out<'_>, push: RefreshPush) {
        self.message(out, |out| match self.encoding() {
            Some(encoding) => protocol::write_push(out, encoding, &Push::Refresh(push)),
            None => protocol::write_refresh_push(out, self.dialect(), push),
        });
    }

    /// The last words: the disconnect as this transport conveys it, and the regular end.
    pub fn disconnect(self, out: &mut Out<'_>, disconnect: &Disconnect) {
        match self {
            // The close frame says it.
            Self::WebSocket(..) => {}
            Self::UniWebSocket(_, frames) if !frames.disconnect_push() => {}
            Self::HttpStream(encoding, _) => self.push_disconnect(out, encoding, disconnect),
            Self::Sse(_) => self.push_disconnect(out, Encoding::Json, disconnect),
            Self::UniWebSocket(..) | Self::UniHttpStream(..) | Self::UniSse(..) | Self::UniGrpc => {
                let dialect = self.dialect();
                self.message(out, |out| {
                    protocol::write_disconnect_push(out, dialect, disconnect);
                });
            }
        }
        match self.frames() {
            Some(frames) => frames.close(out.bytes, disconnect),
            None => self.end(out),
        }
    }

    /// The regular end without a word.
    pub fn end(self, out: &mut Out<'_>) {
        if let Some(body) = self.body() {
            body.end(out.bytes);
        }
    }

    fn push_disconnect(self, out: &mut Out<'_>, encoding: Encoding, disconnect: &Disconnect) {
        self.message(out, |out| {
            protocol::write_push(out, encoding, &Push::Disconnect(disconnect));
        });
    }

    const fn dialect(self) -> Dialect {
        match self {
            Self::UniWebSocket(dialect, _)
            | Self::UniHttpStream(dialect, _)
            | Self::UniSse(dialect, _) => dialect,
            Self::UniGrpc => Dialect::Protobuf,
            Self::WebSocket(..) | Self::HttpStream(..) | Self::Sse(_) => Dialect::V2,
        }
    }

    /// One message with everything that stands around it.
    fn message(self, out: &mut Out<'_>, content: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Self::WebSocket(encoding, frames) => frames.message(out, encoding, content),
            Self::UniWebSocket(_, frames) => frames.message(out, Encoding::Json, content),
            Self::HttpStream(Encoding::Protobuf, body) => body.write(out.bytes, content),
            Self::HttpStream(Encoding::Json, body) | Self::UniHttpStream(_, body) => {
                http_stream::line(out.bytes, body, content);
            }
            Self::Sse(body) | Self::UniSse(_, body) => sse::event(out.bytes, body, content),
            Self::UniGrpc => grpc::message(out.bytes, content),
        }
    }
}

#[cfg(test)]
mod tests;
