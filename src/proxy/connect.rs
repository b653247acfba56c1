//! The question whether a client may connect, and as whom (server contract, "connect proxy").

use std::collections::BTreeMap;
use std::fmt;

use crate::protocol::codes::{Disconnect, ErrorCode};

/// A client that came without a token.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectQuestion {
    /// Name of its transport.
    pub transport: &'static str,
    /// Name of the encoding of its messages.
    pub protocol: &'static str,
    /// What it has for the backend, byte for byte: JSON from JSON.
    pub data: Option<Box<[u8]>>,
    /// Name of its application, or empty.
    pub name: String,
    /// Version of its application, or empty.
    pub version: String,
}

/// What a client says to its backend is a secret of both.
impl fmt::Debug for ConnectQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectQuestion")
            .field("transport", &self.transport)
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What a backend says to a connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectAnswer {
    /// The client may come in.
    Accepted(Box<Accepted>),
    /// It does not know the client. Whether it may come in without a name is for the options.
    Nobody,
    /// The client is told this error.
    Error(ErrorCode),
    /// The client is told to leave.
    Disconnect(Disconnect),
}

/// Who a backend says that a client is.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// User id; empty is the anonymous user.
    pub user: String,
    /// When the session ends, Unix seconds.
    pub expire_at: Option<i64>,
    /// For the client: JSON for a client that reads JSON, anything for one that reads Protobuf.
    pub data: Option<Box<[u8]>>,
    /// Raw JSON. For the backend only.
    pub meta: Option<Box<[u8]>>,
    /// Labels by key. For the backend only.
    pub labels: BTreeMap<String, String>,
    /// Sessions the user may have; 0 is no limit.
    pub sessions_max: Option<u32>,
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("user", &self.user)
            .field("expire_at", &self.expire_at)
            .finish_non_exhaustive()
    }
}
