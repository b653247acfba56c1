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
use crate::ids::InquiryId;
use crate::protocol::ConnectRequest;
use crate::proxy::Carried;
use crate::transport::Wire;

/// A client that is not in yet. On the heap, because it is for a moment only.
#[derive(Debug)]
pub struct Opening {
    /// How it is spoken to.
    pub wire: Wire,
    /// How far it has come.
    pub stage: Stage,
}

impl Opening {
    /// Whether no more is read of the client until its connect is decided. Who waits for a seat
    /// waits for a moment only; the outside may take long, and who leaves should be seen.
    #[must_use]
    pub const fn holds_all_it_may(&self) -> bool {
        match &self.stage {
            Stage::Deciding(deciding) => match deciding.waiting {
                Waiting::Seat(_) => true,
                Waiting::Finding(..) => deciding.held.is_full(),
            },
            Stage::Silent(_) | Stage::Refused => false,
        }
    }
}

/// How far a client has come.
#[derive(Debug)]
pub enum Stage {
    /// It has not asked to connect. Where it comes from, for when it does.
    Silent(Caller),
    /// Its connect waits for something.
    Deciding(Box<Deciding>),
    /// It was told an error and nothing more is read of it.
    Refused,
}

/// A connect that waits, and what came behind it.
#[derive(Debug)]
pub struct Deciding {
    /// What it waits for.
    pub waiting: Waiting,
    /// What the client has said since.
    pub held: Held,
}

/// What a connect waits for.
#[derive(Debug)]
pub enum Waiting {
    /// The oldest session of its user to end.
    Seat(Connecting),
    /// The control thread to say what the outside knows of it.
    Finding(InquiryId, Applying),
}

/// What a client has said behind its connect, unread, in order. When it is full no more is read of
/// the client, and the rest waits with the kernel.
#[derive(Default, Debug)]
pub struct Held {
    /// Commands: the rest of the message that had the connect, then each message since.
    messages: Vec<Box<[u8]>>,
    /// Bytes in them.
    bytes: usize,
    /// Frames that came when it was full.
    pub frames: Vec<u8>,
}

/// Bytes of messages behind a connect that waits
/// (`a_client_that_talks_behind_its_connect_is_held_up_at_a_limit`).
const HELD_BYTES_MAX: usize = 16 * 1024;

/// Messages behind a connect that waits.
const HELD_MESSAGES_MAX: usize = 64;

impl Held {
    /// Keeps a message of commands behind those there are.
    pub fn push(&mut self, message: &[u8]) {
        self.bytes += message.len();
        self.messages.push(message.into());
    }

    /// Whether no more may be kept.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.bytes >= HELD_BYTES_MAX || self.messages.len() >= HELD_MESSAGES_MAX
    }

    /// The messages, oldest first.
    pub fn take_messages(&mut self) -> Vec<Box<[u8]>> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }
}

/// A connect whose client is not known yet.
#[derive(Debug)]
pub struct Applying {
    /// What it asks.
    pub request: ConnectRequest,
    /// Where it comes from.
    pub caller: Caller,
    /// Id of the connect command; 0 on unidirectional transports, which have no commands.
    pub id: u32,
    /// Of the id that its backend has been told, if it was one that was asked.
    pub promise: Option<u64>,
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
    /// What its backend is shown of its request, and may see.
    pub carried: Carried,
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
    /// Of the id that its backend has been told.
    pub promise: Option<u64>,
    /// How often it has tried to make room for itself.
    pub tries: u8,
}

impl Connecting {
    /// A connect that has not tried to come in yet.
    #[must_use]
    pub fn new(
        credentials: Credentials,
        request: ConnectRequest,
        (wire, caller, id): (Wire, Caller, u32),
        promise: Option<u64>,
    ) -> Self {
        let ConnectRequest { name: app_name, version: app_version, .. } = request;
        Self { credentials, app_name, app_version, wire, caller, id, promise, tries: 0 }
    }
}
