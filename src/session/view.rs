//! One live session as its readers see it.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

use super::closed::Ended;
use super::record::{Record, Uid};
use super::table::Table;
use crate::ids::{self, ClientId, SessionId, SessionSlot, UUID_TEXT_LEN};

/// How a session's bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// WebSocket.
    WebSocket,
    /// An HTTP stream, with commands beside it.
    HttpStream,
    /// Server-Sent Events, with commands beside them.
    Sse,
    /// A unidirectional WebSocket.
    UniWebSocket,
    /// A unidirectional HTTP stream.
    UniHttpStream,
    /// Unidirectional Server-Sent Events.
    UniSse,
    /// A unidirectional gRPC stream.
    UniGrpc,
}

impl Transport {
    /// Every transport, in the order of the declaration: records store its place.
    pub(super) const ALL: [Self; 7] = [
        Self::WebSocket,
        Self::HttpStream,
        Self::Sse,
        Self::UniWebSocket,
        Self::UniHttpStream,
        Self::UniSse,
        Self::UniGrpc,
    ];

    /// The transport of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name() == name)
    }

    /// Every name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }

    /// Its name in listings (server API, `transport`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::HttpStream => "http_stream",
            Self::Sse => "sse",
            Self::UniWebSocket => "uni_websocket",
            Self::UniHttpStream => "uni_http_stream",
            Self::UniSse => "uni_sse",
            Self::UniGrpc => "uni_grpc",
        }
    }
}

/// How a session's messages are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// JSON texts.
    Json,
    /// Protobuf messages.
    Protobuf,
}

impl Protocol {
    /// Every protocol, in the order of the declaration: records store its place.
    pub(super) const ALL: [Self; 2] = [Self::Json, Self::Protobuf];

    /// Its name in listings (server API, `protocol`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        }
    }
}

// A record has four bits for the transport and one for the protocol.
const _: () = assert!(Transport::ALL.len() <= 16 && Protocol::ALL.len() <= 2);

/// A live session. Reading a field reads the record where it lies.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    table: &'a Table,
    slot: SessionSlot,
    record: Record<'a>,
}

impl<'a> Session<'a> {
    pub(super) const fn new(table: &'a Table, slot: SessionSlot, record: Record<'a>) -> Self {
        Self { table, slot, record }
    }

    /// Its place in the table, for [`Table::close`].
    #[must_use]
    pub const fn slot(&self) -> SessionSlot {
        self.slot
    }

    /// Its public id. Computed: about 40 ns (`cargo bench --bench session_index`, resolve at 1k).
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.table.client_of(self.slot, self.record)
    }

    /// Its private id, a capability. Computed, like the public one.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.table.session_of(self.slot, self.record)
    }

    /// The user; empty when anonymous.
    #[must_use]
    pub fn user(&self) -> &'a str {
        self.record.user_text()
    }

    /// The client's `name` and `version`, or empty.
    #[must_use]
    pub fn app(&self) -> (&'a str, &'a str) {
        self.record.app_texts(&self.table.index().apps)
    }

    /// The client's `name`, or empty.
    #[must_use]
    pub fn app_name(&self) -> &'a str {
        self.app().0
    }

    /// The client's `version`, or empty.
    #[must_use]
    pub fn app_version(&self) -> &'a str {
        self.app().1
    }

    /// How its bytes travel.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.record.transport()
    }

    /// How its messages are encoded.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.record.protocol()
    }

    /// The address it came from, when that is known. An IPv4 address is never in the form of IPv6.
    #[must_use]
    pub fn remote_addr(&self) -> Option<IpAddr> {
        self.record.remote_addr()
    }

    /// The user agent it named, or empty.
    #[must_use]
    pub fn user_agent(&self) -> &'a str {
        self.record.user_agent(self.table.agents())
    }

    /// The `jti` of its token, the last one it brought, or empty.
    #[must_use]
    pub fn token_uid(&self) -> TokenUid<'a> {
        if let Some(token) = self.table.token_of(self.slot, self.record) {
            return TokenUid(Text::Stored(&token.uid));
        }
        TokenUid(match self.record.uid() {
            Uid::None => Text::Stored(""),
            Uid::Text(text) => Text::Stored(text),
            Uid::Uuid(uuid) => Text::Uuid(ids::uuid_text(&uuid)),
        })
    }

    /// The `iat` of its token, the last one it brought, in seconds since the Unix epoch.
    #[must_use]
    pub fn token_issued_at(&self) -> Option<i64> {
        match self.table.token_of(self.slot, self.record) {
            Some(token) => token.issued_at,
            None => self.record.issued_at(),
        }
    }

    /// What the backend attached at the connect, or last. Never for the client.
    #[must_use]
    pub fn meta(&self) -> Option<&'a [u8]> {
        self.table.meta_of(self.slot, self.record)
    }

    /// Its labels, in the order of their keys. For the backend only.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.table.labels_of(self.slot, self.record).texts(&self.table.index().labels)
    }

    /// The value of one of its labels. O(its labels).
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.labels().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The place of its connection ([`crate::ids::ConnId::index`]).
    #[must_use]
    pub fn conn_index(&self) -> u32 {
        self.record.conn_index()
    }

    /// How it ended; `None` while it lives.
    #[must_use]
    pub fn ended(&self) -> Option<&'a Ended> {
        self.table.end_of(self.slot)
    }

    pub(super) fn salt(&self) -> u64 {
        self.record.salt()
    }

    /// When it was opened, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn connected_at_ms(&self) -> u64 {
        self.record.connected_at_ms()
    }

    /// The round trip of its last ping in milliseconds, to 7 %; `None` before the first pong, and on
    /// transports whose clients never answer.
    #[must_use]
    pub fn latency_ms(&self) -> Option<u32> {
        self.record.latency().ms()
    }
}

impl fmt::Debug for Session<'_> {
    /// What is fit for a log: no session id, no `meta`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("slot", &self.slot)
            .field("client", &self.client())
            .field("user", &self.user())
            .finish_non_exhaustive()
    }
}

/// A token's uid, as text: read it as a `str`. Empty when the token had none.
#[derive(Clone, Copy)]
pub struct TokenUid<'a>(Text<'a>);

#[derive(Clone, Copy)]
enum Text<'a> {
    Stored(&'a str),
    /// The record has 16 bytes; the text is made here.
    Uuid([u8; UUID_TEXT_LEN]),
}

impl TokenUid<'_> {
    /// Whether the token had none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Text::Stored(""))
    }

    /// The text when it is a UUID: hexadecimal digits and hyphens.
    #[must_use]
    pub const fn as_uuid(&self) -> Option<&[u8; UUID_TEXT_LEN]> {
        match &self.0 {
            Text::Stored(_) => None,
            Text::Uuid(text) => Some(text),
        }
    }
}

impl Deref for TokenUid<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Text::Stored(text) => text,
            Text::Uuid(text) => std::str::from_utf8(text).expect("hexadecimal digits and hyphens"),
        }
    }
}

impl fmt::Debug for TokenUid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
