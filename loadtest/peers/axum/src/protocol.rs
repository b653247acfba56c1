//! As much of Centrifugo's client protocol (v2, JSON) as keeps a session alive: connect, pings
//! and pongs.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A ping of the server, and its answer.
pub(crate) const PING: &str = "{}";

/// A command of the client; one without an id is a pong.
#[derive(Deserialize)]
pub(crate) struct Command<'m> {
    #[serde(default)]
    pub(crate) id: u32,
    #[serde(borrow)]
    pub(crate) connect: Option<Connect<'m>>,
}

#[derive(Deserialize)]
pub(crate) struct Connect<'m> {
    #[serde(default)]
    pub(crate) token: &'m str,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
}

#[derive(Serialize)]
pub(crate) struct Reply {
    pub(crate) id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connect: Option<Connected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Refusal>,
}

#[derive(Serialize)]
pub(crate) struct Connected {
    pub(crate) client: Uuid,
    pub(crate) version: &'static str,
    /// Seconds between pings.
    pub(crate) ping: u64,
    /// Whether pings must be answered.
    pub(crate) pong: bool,
}

#[derive(Serialize)]
pub(crate) struct Refusal {
    pub(crate) code: u32,
    pub(crate) message: &'static str,
}

/// Why a connection is closed: code and reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Disconnect(pub(crate) u16, pub(crate) &'static str);

impl Disconnect {
    pub(crate) const SHUTDOWN: Self = Self(3001, "shutdown");
    pub(crate) const EXPIRED: Self = Self(3005, "connection expired");
    pub(crate) const NO_PONG: Self = Self(3012, "no pong");
    pub(crate) const INVALID_TOKEN: Self = Self(3500, "invalid token");
    pub(crate) const BAD_REQUEST: Self = Self(3501, "bad request");
    pub(crate) const STALE: Self = Self(3502, "stale");
}
