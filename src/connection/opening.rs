//! ③ A client between its first request and its session: who calls, and what it still waits for.
//!
//! ```text
//!   Silent ──connect──▶ Deciding ──▶ a session
//!     │        │           └───────▶ gone, or Refused
//!     │        └──an error, in a reply──▶ Refused: the client leaves by itself, or is cut
//!     └──nothing in time──▶ gone (3502)
//! ```

use std::net::IpAddr;

use crate::connection::connect::Credentials;
use crate::transport::Wire;

/// A client that is not in yet. On the heap, because it is for a moment only.
#[derive(Debug)]
pub struct Opening {
    /// How it is spoken to.
    pub wire: Wire,
    /// How far it has come.
    pub stage: Stage,
}

/// How far a client has come.
#[derive(Debug)]
pub enum Stage {
    /// It has not asked to connect. Where it comes from, for when it does.
    Silent(Caller),
    /// Its connect waits for the oldest session of its user to end.
    Deciding(Box<Deciding>),
    /// It was told an error and nothing more is read of it.
    Refused,
}

/// A connect that waits, and what came behind it.
#[derive(Debug)]
pub struct Deciding {
    /// What becomes a session.
    pub connecting: Connecting,
    /// Commands that came in the same message, unread.
    pub commands: Vec<u8>,
    /// Frames that came behind that message, unread.
    pub frames: Vec<u8>,
}

/// What a connection's request told about its client.
#[derive(Default, Debug)]
pub struct Caller {
    /// The address it comes from, when it is known.
    pub remote_addr: Option<IpAddr>,
    /// Its `User-Agent`, or empty.
    pub user_agent: Box<str>,
    /// The value of `client.user_id_http_header`, when that option is on and the header came.
    pub header_user: Option<Box<str>>,
    /// Response headers for the page's origin, for responses that are written after a verdict.
    pub cors: Vec<(String, String)>,
}

/// An authenticated connect.
#[derive(Debug)]
pub struct Connecting {
    /// Who it is.
    pub credentials: Credentials,
    /// Client name from the request.
    pub app_name: String,
    /// Client version from the request.
    pub app_version: String,
    /// How it is spoken to.
    pub wire: Wire,
    /// Where it comes from.
    pub caller: Caller,
    /// Id of the connect command; 0 on unidirectional transports, which have no commands.
    pub id: u32,
    /// How often it has tried to make room for itself.
    pub tries: u8,
}
