//! What the operator of a simulated node chose.

use rollcall::api;
use rollcall::auth::TokenOptions;
use rollcall::connection::Options;
use rollcall::connection::options::{
    Choice, EmulationEndpoint, Endpoints, StreamEndpoint, UniWebSocketEndpoint, WebSocketEndpoint,
    WhenFull,
};
use rollcall::limits::LabelLimits;
use rollcall::session::FilterLimits;
use rollcall::wire::websocket::Limits;

pub(crate) const SECRET: &str = "a secret of the simulation";
pub(crate) const KEY: &str = "an api key of the simulation";

/// Longest message a client may send.
const MESSAGE_BYTES_MAX: usize = 65_536;

/// Grace after a session's expiry.
pub(crate) const EXPIRED_CLOSE_DELAY_MS: u64 = 1_000;

/// What differs from world to world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    /// Sessions one user may have; 0 is no limit.
    pub(crate) user_sessions_max: u32,
    /// What becomes of one more.
    pub(crate) when_full: WhenFull,
    /// Between pings; 0 is none.
    pub(crate) ping_interval_ms: u64,
    /// To answer a ping; 0 waits for no answer.
    pub(crate) pong_timeout_ms: u64,
    /// To say something worth hearing.
    pub(crate) stale_close_ms: u64,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            user_sessions_max: 0,
            when_full: WhenFull::Reject,
            ping_interval_ms: 25_000,
            pong_timeout_ms: 8_000,
            stale_close_ms: 10_000,
        }
    }
}

pub(crate) fn options(choices: Choices) -> Options {
    Options {
        version: "sim".to_owned(),
        node_name: "sim".to_owned(),
        endpoints: Endpoints {
            websocket: Some(socket("/connection/websocket")),
            http_stream: Some(stream("/connection/http_stream")),
            sse: Some(stream("/connection/sse")),
            emulation: Some(EmulationEndpoint {
                path: "/emulation".to_owned(),
                body_bytes_max: MESSAGE_BYTES_MAX,
            }),
            uni_websocket: Some(UniWebSocketEndpoint {
                socket: socket("/connection/uni_websocket"),
                disconnect_push: Choice::Allow,
                closing_handshake: Choice::Allow,
            }),
            uni_http_stream: Some(stream("/connection/uni_http_stream")),
            uni_sse: None,
        },
        api: Some(api::Options {
            prefix: "/api".to_owned(),
            key: KEY.to_owned(),
            insecure: false,
            error_mode_transport: false,
            body_bytes_max: MESSAGE_BYTES_MAX,
            user_status: api::Statuses::NotKept,
            label_filter: FilterLimits::default(),
            queries: Default::default(),
            labels: LabelLimits::default(),
        }),
        token: TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..TokenOptions::default() },
        ping_interval_ms: choices.ping_interval_ms,
        pong_timeout_ms: choices.pong_timeout_ms,
        stale_close_ms: choices.stale_close_ms,
        expired_close_delay_ms: EXPIRED_CLOSE_DELAY_MS,
        queue_bytes_max: 65_536,
        user_sessions_max: choices.user_sessions_max,
        when_full: choices.when_full,
        ..Options::default()
    }
}

fn socket(path: &str) -> WebSocketEndpoint {
    WebSocketEndpoint {
        path: path.to_owned(),
        limits: Limits {
            message_bytes_max: MESSAGE_BYTES_MAX,
            inflated_bytes_max: MESSAGE_BYTES_MAX,
        },
        compression: None,
    }
}

fn stream(path: &str) -> StreamEndpoint {
    StreamEndpoint { path: path.to_owned(), body_bytes_max: MESSAGE_BYTES_MAX, http_refusals: None }
}
