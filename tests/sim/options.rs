//! What the operator of a simulated node chose.

use rollcall::api;
use rollcall::auth::TokenOptions;
use rollcall::connection::Options;
use rollcall::connection::options::{Anonymous, StreamEndpoint};
use rollcall::connection::origin::Origins;
use rollcall::protocol::Dialect;

pub(crate) const SECRET: &str = "a secret of the simulation";
pub(crate) const KEY: &str = "an api key of the simulation";

pub(crate) fn options(user_sessions_max: u32) -> Options {
    Options {
        version: "sim".to_owned(),
        node_name: "sim".to_owned(),
        uni_http_stream: Some(StreamEndpoint {
            path: "/connection/uni_http_stream".to_owned(),
            body_bytes_max: 65_536,
            http_refusals: None,
        }),
        api: Some(api::Options {
            prefix: "/api".to_owned(),
            key: KEY.to_owned(),
            insecure: false,
            error_mode_transport: false,
            body_bytes_max: 65_536,
        }),
        health_path: None,
        api_external: false,
        token: TokenOptions { hmac_secret: Some(SECRET.to_owned()), audience: None, issuer: None },
        anonymous: Anonymous::ByToken,
        insecure: false,
        user_id_header: None,
        origins: Origins::new(&[]).expect("no pattern"),
        ping_interval_ms: 25_000,
        stale_close_ms: 10_000,
        expired_close_delay_ms: 1_000,
        queue_bytes_max: 65_536,
        connect_time: false,
        dialect: Dialect::V2,
        user_sessions_max,
        uni_disconnects: Vec::new(),
    }
}
