//! ⑥ Every way a session ends: what the peer is told, and whether anything still can be told.

use std::borrow::Cow;

use crate::protocol::codes::{self, Disconnect};
use crate::wire::websocket::FrameError;

/// Why a session ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The peer's FIN or RST arrived, or a write failed: nobody listens any more.
    PeerGone,
    /// The server API asked for it, with this code and reason.
    Api {
        /// Disconnect code as the client sees it.
        code: u32,
        /// Reason text as the client sees it.
        reason: Cow<'static, str>,
    },
    /// The client broke the rules of the protocol, or asked for what is not there.
    Client(Disconnect),
    /// The client sent bytes that are no WebSocket frames of a client.
    Frames(FrameError),
    /// The client did not answer a ping.
    NoPong,
    /// The session reached its end: its token's, or the one a backend gave it.
    Expired,
    /// More than `client.queue_max_size` bytes waited for the client.
    Slow,
    /// The server shuts down.
    Shutdown,
}

impl CloseReason {
    /// The last message, when one can still be delivered. A slow client gets none: its queue is
    /// dropped, and this message would only join it. Broken frames are answered by a close frame
    /// of their own.
    #[must_use]
    pub fn last_message(&self) -> Option<Disconnect> {
        match self {
            Self::PeerGone | Self::Slow | Self::Frames(_) => None,
            Self::Api { code, reason } => Some(Disconnect { code: *code, reason: reason.clone() }),
            Self::Client(disconnect) => Some(disconnect.clone()),
            Self::NoPong => Some(codes::NO_PONG),
            Self::Expired => Some(codes::CONNECTION_EXPIRED),
            Self::Shutdown => Some(codes::SHUTDOWN),
        }
    }

    /// The text that belongs to the code, also where the peer never hears it.
    #[must_use]
    pub fn text(&self) -> Cow<'static, str> {
        match self {
            Self::PeerGone => codes::CONNECTION_CLOSED.reason,
            Self::Slow => codes::SLOW.reason,
            Self::Frames(error) => error.to_string().into(),
            Self::Api { .. } | Self::Client(_) | Self::NoPong | Self::Expired | Self::Shutdown => {
                self.last_message().map_or("".into(), |last| last.reason)
            }
        }
    }

    /// The code as it is counted and reported, also where the peer never hears it.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::PeerGone => codes::CONNECTION_CLOSED.code,
            Self::Api { code, .. } => *code,
            Self::Client(disconnect) => disconnect.code,
            Self::Frames(error) => error.close_code().into(),
            Self::NoPong => codes::NO_PONG.code,
            Self::Expired => codes::CONNECTION_EXPIRED.code,
            Self::Slow => codes::SLOW.code,
            Self::Shutdown => codes::SHUTDOWN.code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_hear_it_is_not_told() {
        assert_eq!(CloseReason::PeerGone.last_message(), None);
        assert_eq!(CloseReason::Slow.last_message(), None);
        assert_eq!(CloseReason::Slow.code(), 3008);
    }

    #[test]
    fn what_is_told_carries_the_code_that_is_counted() {
        let api = CloseReason::Api { code: 4001, reason: "bye".into() };
        let client = CloseReason::Client(codes::NOT_AVAILABLE);
        for reason in
            [api, client, CloseReason::NoPong, CloseReason::Expired, CloseReason::Shutdown]
        {
            assert_eq!(reason.last_message().map(|last| last.code), Some(reason.code()));
        }
    }
}
