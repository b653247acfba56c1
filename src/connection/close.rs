//! ⑥ Every way a session ends: what the peer is told, and whether anything still can be told.

use std::borrow::Cow;

use crate::protocol::codes::{self, Disconnect};

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
    /// The session's token reached its end.
    Expired,
    /// More than `client.queue_max_size` bytes waited for the client.
    Slow,
    /// The server shuts down.
    Shutdown,
}

impl CloseReason {
    /// The last message, when one can still be delivered. A slow client gets none: its queue is
    /// dropped, and this message would only join it.
    #[must_use]
    pub fn last_message(&self) -> Option<Disconnect> {
        match self {
            Self::PeerGone | Self::Slow => None,
            Self::Api { code, reason } => Some(Disconnect { code: *code, reason: reason.clone() }),
            Self::Expired => Some(codes::CONNECTION_EXPIRED),
            Self::Shutdown => Some(codes::SHUTDOWN),
        }
    }

    /// The code as it is counted and reported, also where the peer never hears it.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::PeerGone => 3000,
            Self::Api { code, .. } => *code,
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
        for reason in [api, CloseReason::Expired, CloseReason::Shutdown] {
            assert_eq!(reason.last_message().map(|last| last.code), Some(reason.code()));
        }
    }
}
