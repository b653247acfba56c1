//! What an operator can choose about connections, in the form the machine uses it.

use std::sync::Arc;

use crate::admin::Admin;
use crate::api;
use crate::api::webhook;
use crate::auth::TokenOptions;
use crate::connection::origin::Origins;
use crate::connection::remote::TrustedProxies;
use crate::protocol::Dialect;
use crate::protocol::codes::Disconnect;
use crate::proxy::CarriedNames;
use crate::session::ClosedLimits;
use crate::wire::websocket::Limits;

/// Everything the life of a connection depends on. Built once by the configuration, shared by
/// all shards, never changed.
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of an operator")]
#[derive(Clone, Debug)]
pub struct Options {
    /// What the connect push says in `version`; never empty, some clients insist.
    pub version: String,
    /// Name of this node, for `info`.
    pub node_name: String,
    /// The ways clients connect, each when it is on.
    pub endpoints: Endpoints,
    /// The server API, when it is on.
    pub api: Option<api::Options>,
    /// The server API as the control thread brings it, when it is on.
    pub grpc_api: Option<api::Options>,
    /// The page that describes the server API, when it is on.
    pub swagger: Option<Arc<api::Swagger>>,
    /// The operators' page, when it is on.
    pub admin: Option<Arc<Admin>>,
    /// Whether it also answers on the external listener when there is an internal one.
    pub admin_external: bool,
    /// Path of the health endpoint, when it is on.
    pub health_path: Option<String>,
    /// Whether the API also answers on the external listener when there is an internal one.
    pub api_external: bool,
    /// How tokens are verified.
    pub token: TokenOptions,
    /// Who may connect without a user.
    pub anonymous: Anonymous,
    /// `client.insecure`: no token is needed, no token expires. Tokens are still verified.
    pub insecure: bool,
    /// Whether a backend is asked who a client is that brings no token.
    pub connect_proxy: Choice,
    /// How sessions go on when their time is over, when a backend says so: then their clients are
    /// not asked for other tokens.
    pub refresh_proxy: Option<RefreshProxy>,
    /// What backends are shown of a client's request, whichever it is.
    pub shown: CarriedNames,
    /// Milliseconds that a shard waits for what the control thread asks of the outside: more than
    /// the control thread does.
    pub inquiry_timeout_ms: u64,
    /// Name of the header a trusted proxy puts the user id in (`client.user_id_http_header`).
    pub user_id_header: Option<String>,
    /// Which origins a browser may connect from.
    pub origins: Origins,
    /// Whose word is taken for where a client comes from.
    pub trusted_proxies: TrustedProxies,
    /// What users see of their own sessions beside what is always shown.
    pub own_sessions: api::OwnSessionsShown,
    /// Milliseconds between pings; 0 turns pings off.
    pub ping_interval_ms: u64,
    /// Milliseconds a client may take to answer a ping before it is closed with 3012; 0 waits for
    /// no answer. Shorter than the interval.
    pub pong_timeout_ms: u64,
    /// Milliseconds a connection may take until its first whole request.
    pub stale_close_ms: u64,
    /// Milliseconds of grace after a session's expiry.
    pub expired_close_delay_ms: u64,
    /// Bytes that may wait for a slow client before it is cut with 3008.
    pub queue_bytes_max: usize,
    /// Ended sessions that are kept.
    pub closed: ClosedLimits,
    /// Watches that may be open on each shard.
    pub watches_max: usize,
    /// Bytes that may wait for a slow watcher before its watch is cut.
    pub watch_bytes_max: usize,
    /// What the webhook is told of sessions, when there is one.
    pub webhook: Option<webhook::Wanted>,
    /// Whether the connect push carries the server's time.
    pub connect_time: bool,
    /// Which push form a client gets that does not ask for one.
    pub dialect: Dialect,
    /// Sessions per second of this node that one order ends when it means many; 0 ends them at
    /// once.
    pub disconnect_rate: u32,
    /// Whether there are statuses of users.
    pub user_status: api::Statuses,
    /// Sessions one user may have on this node, when their token does not say; 0 is no limit.
    pub user_sessions_max: u32,
    /// Whether tokens are asked how many sessions their user may have.
    pub limit_by_token: Choice,
    /// What becomes of one session more.
    pub when_full: WhenFull,
    /// What the configuration allows and whoever runs the node should know, in sentences.
    pub dangers: Vec<String>,
    /// Overrides of how a refusal is told on unidirectional transports, by code.
    pub uni_disconnects: Vec<(u32, Disconnect)>,
}

/// A backend that says whether sessions whose time is over may go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefreshProxy {
    /// What it is shown of a client's first request: kept with the session.
    pub shown: CarriedNames,
    /// Whether it is shown `meta`.
    pub meta: Choice,
    /// Milliseconds until it is asked again about a session that it could not be asked about.
    pub retry_ms: u64,
    /// Milliseconds that a session may go on while it cannot be asked; 0 is no limit.
    pub grace_ms: u64,
}

impl Default for Options {
    /// What the configuration says when it says nothing, but that no token can be verified yet.
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node_name: String::new(),
            endpoints: Endpoints::default(),
            api: None,
            grpc_api: None,
            swagger: None,
            admin: None,
            admin_external: false,
            health_path: None,
            api_external: false,
            token: TokenOptions::default(),
            anonymous: Anonymous::ByToken,
            insecure: false,
            connect_proxy: Choice::Refuse,
            refresh_proxy: None,
            shown: CarriedNames::default(),
            inquiry_timeout_ms: 7_000,
            user_id_header: None,
            origins: Origins::none(),
            trusted_proxies: TrustedProxies::default(),
            own_sessions: api::OwnSessionsShown::default(),
            ping_interval_ms: 25_000,
            pong_timeout_ms: 8_000,
            stale_close_ms: 10_000,
            expired_close_delay_ms: 25_000,
            queue_bytes_max: 1024 * 1024,
            closed: ClosedLimits::default(),
            watches_max: 1_000,
            watch_bytes_max: 1024 * 1024,
            webhook: None,
            connect_time: false,
            dialect: Dialect::V2,
            disconnect_rate: 2_000,
            user_status: api::Statuses::NotKept,
            user_sessions_max: 0,
            limit_by_token: Choice::Refuse,
            when_full: WhenFull::Reject,
            dangers: Vec::new(),
            uni_disconnects: Vec::new(),
        }
    }
}

/// The ways clients connect. Nothing is on by itself.
#[derive(Clone, Default, Debug)]
pub struct Endpoints {
    /// Bidirectional WebSocket.
    pub websocket: Option<WebSocketEndpoint>,
    /// Bidirectional over an HTTP stream, commands through [`Self::emulation`].
    pub http_stream: Option<StreamEndpoint>,
    /// Bidirectional over Server-Sent Events, commands through [`Self::emulation`].
    pub sse: Option<StreamEndpoint>,
    /// Where clients of `http_stream` and `sse` send their commands.
    pub emulation: Option<EmulationEndpoint>,
    /// Unidirectional WebSocket.
    pub uni_websocket: Option<UniWebSocketEndpoint>,
    /// Unidirectional HTTP stream.
    pub uni_http_stream: Option<StreamEndpoint>,
    /// Unidirectional Server-Sent Events.
    pub uni_sse: Option<StreamEndpoint>,
}

/// One streaming endpoint.
#[derive(Clone, Debug)]
pub struct StreamEndpoint {
    /// Exact path.
    pub path: String,
    /// Largest request body in bytes; one more is refused with 413.
    pub body_bytes_max: usize,
    /// When set, refusals are plain HTTP answers (`connect_code_to_http_response`).
    pub http_refusals: Option<Vec<HttpRefusal>>,
}

/// The endpoint that takes commands for streams.
#[derive(Clone, Debug)]
pub struct EmulationEndpoint {
    /// Exact path.
    pub path: String,
    /// Largest request body in bytes; one more is refused with 413.
    pub body_bytes_max: usize,
}

/// A WebSocket endpoint.
#[derive(Clone, Debug)]
pub struct WebSocketEndpoint {
    /// Exact path.
    pub path: String,
    /// How long a client's messages may be; beyond it: 1009.
    pub limits: Limits,
    /// When set, permessage-deflate is agreed on with clients that offer it.
    pub compression: Option<Compression>,
}

/// How what is sent is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compression {
    /// 1, the fastest, to 9.
    pub level: u32,
    /// Messages of fewer bytes are sent as they are.
    pub bytes_min: usize,
}

/// The unidirectional WebSocket endpoint.
#[derive(Clone, Debug)]
pub struct UniWebSocketEndpoint {
    /// What it has in common with the other.
    pub socket: WebSocketEndpoint,
    /// Whether a disconnect is told as a push before the close frame.
    pub disconnect_push: Choice,
    /// Whether the last thing sent is a close frame; else the connection just ends.
    pub closing_handshake: Choice,
}

/// One line of `connect_code_to_http_response`.
#[derive(Clone, Debug)]
pub struct HttpRefusal {
    /// The error or disconnect code, as decided (not translated for unidirectional transports).
    pub code: u32,
    /// Status to answer with.
    pub status: u16,
    /// Body; empty means the text of the code.
    pub body: String,
}

/// Who may connect without a user id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anonymous {
    /// Only with a token that names no user.
    ByToken,
    /// Not even with a token (`client.disallow_anonymous_connection_tokens`).
    Never,
    /// Also without any token (`client.allow_anonymous_connect_without_token`).
    WithoutToken,
    /// Without a token, but a token must name a user: both options above set.
    WithoutTokenOnly,
}

impl Anonymous {
    /// From the two options of the configuration.
    #[must_use]
    pub const fn from_options(without_token: Choice, by_token: Choice) -> Self {
        match (without_token, by_token) {
            (Choice::Allow, Choice::Allow) => Self::WithoutToken,
            (Choice::Allow, Choice::Refuse) => Self::WithoutTokenOnly,
            (Choice::Refuse, Choice::Allow) => Self::ByToken,
            (Choice::Refuse, Choice::Refuse) => Self::Never,
        }
    }

    pub(super) const fn by_token(self) -> bool {
        matches!(self, Self::ByToken | Self::WithoutToken)
    }

    pub(super) const fn without_token(self) -> bool {
        matches!(self, Self::WithoutToken | Self::WithoutTokenOnly)
    }
}

/// What becomes of a connect whose user has as many sessions as allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// It is refused (3504).
    Reject,
    /// The user's oldest session ends (3504) and it comes in.
    EvictOldest,
}

/// Yes or no, said in words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// It is allowed.
    Allow,
    /// It is refused.
    Refuse,
}
