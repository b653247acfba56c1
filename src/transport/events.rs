//! Events for a backend that watches sessions: Server-Sent Events (WHATWG HTML §9.2) with JSON, or
//! messages of a gRPC stream.

use super::{Body, grpc, sse};
use crate::protocol::Encoding;

/// How the events of a watch travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Events {
    /// As Server-Sent Events in this response.
    Sse(Body),
    /// As messages of a gRPC stream.
    Grpc,
}

impl Events {
    /// What events are written in.
    #[must_use]
    pub const fn encoding(self) -> Encoding {
        match self {
            Self::Sse(_) => Encoding::Json,
            Self::Grpc => Encoding::Protobuf,
        }
    }

    /// The head of the response, for those that are one.
    pub fn head(self, out: &mut Vec<u8>, date: &str, extra: &[(&str, &str)]) {
        if let Self::Sse(body) = self {
            sse::head(out, body, date, extra);
        }
    }

    /// One event: a JSON text without line breaks, or a message.
    pub fn event(self, out: &mut Vec<u8>, event: &[u8]) {
        match self {
            Self::Sse(body) => sse::event(out, body, |out| out.extend_from_slice(event)),
            Self::Grpc => grpc::message(out, |out| out.extend_from_slice(event)),
        }
    }

    /// Nothing but a sign of life. HTTP/2 has its own.
    pub fn heartbeat(self, out: &mut Vec<u8>) {
        if let Self::Sse(body) = self {
            body.write(out, |out| out.extend_from_slice(b":\n\n"));
        }
    }

    /// The regular end.
    pub fn end(self, out: &mut Vec<u8>) {
        if let Self::Sse(body) = self {
            body.end(out);
        }
    }

    /// The watcher sends what is out of step: its connection can carry no further request.
    pub const fn spoil(&mut self) {
        if let Self::Sse(body) = self {
            body.spoil();
        }
    }
}
