//! A node as an operator would run it, and what clients and backends send to it: one request to
//! connect, one per question.

use rollcall::api;
use rollcall::connection::Options;
use rollcall::connection::options::{Endpoints, StreamEndpoint, WebSocketEndpoint};
use rollcall::connection::origin::Origins;
use rollcall::limits::LabelLimits;
use rollcall::session::FilterLimits;

use super::credentials::credentials;
use super::limits::LIMITS;
use super::token;

const API_KEY: &str = "7b3ea1a8-8f5d-4f0e-9a64-4a4bd6a8d7a1";

/// The defaults of the configuration, with the stream endpoint on too.
pub(crate) fn options() -> Options {
    Options {
        node_name: "bench".to_owned(),
        endpoints: Endpoints {
            websocket: Some(WebSocketEndpoint {
                path: "/connection/websocket".to_owned(),
                limits: LIMITS,
                compression: None,
            }),
            uni_http_stream: Some(StreamEndpoint {
                path: "/connection/uni_http_stream".to_owned(),
                body_bytes_max: 64 * 1024,
                http_refusals: None,
            }),
            ..Endpoints::default()
        },
        api: Some(api::Options {
            prefix: "/api".to_owned(),
            key: API_KEY.to_owned(),
            insecure: false,
            error_mode_transport: false,
            body_bytes_max: 1024 * 1024,
            user_status: api::Statuses::NotKept,
            label_filter: FilterLimits::default(),
            queries: Default::default(),
            labels: LabelLimits::default(),
        }),
        token: token::options(),
        origins: Origins::new(&["http://localhost:8000".to_owned()]).expect("a pattern"),
        ..Options::default()
    }
}

/// What the nth session's client sends.
pub(crate) fn connect_request(user: &str, n: u64) -> Vec<u8> {
    post("/connection/uni_http_stream", "", &credentials(user, n))
}

/// What a backend sends to learn a user's sessions.
pub(crate) fn query_request(user: &str) -> Vec<u8> {
    api_request(&format!(r#"{{"method": "user_connections", "params": {{"user": "{user}"}}}}"#))
}

/// One request to the server API.
pub(crate) fn api_request(body: &str) -> Vec<u8> {
    post("/api", &format!("Authorization: apikey {API_KEY}\r\n"), body)
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let bytes = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench\r\nAccept: */*\r\n\
         Content-Type: application/json\r\n{headers}Content-Length: {bytes}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}
