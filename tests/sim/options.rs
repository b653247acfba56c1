//! What the operator of a simulated node chose.

use rollcall::api;
use rollcall::auth::TokenOptions;
use rollcall::connection::Options;
use rollcall::connection::options::{Endpoints, StreamEndpoint};

pub(crate) const SECRET: &str = "a secret of the simulation";
pub(crate) const KEY: &str = "an api key of the simulation";

pub(crate) fn options(user_sessions_max: u32) -> Options {
    Options {
        version: "sim".to_owned(),
        node_name: "sim".to_owned(),
        endpoints: Endpoints {
            uni_http_stream: Some(StreamEndpoint {
                path: "/connection/uni_http_stream".to_owned(),
                body_bytes_max: 65_536,
                http_refusals: None,
            }),
            ..Endpoints::default()
        },
        api: Some(api::Options {
            prefix: "/api".to_owned(),
            key: KEY.to_owned(),
            insecure: false,
            error_mode_transport: false,
            body_bytes_max: 65_536,
        }),
        token: TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..TokenOptions::default() },
        expired_close_delay_ms: 1_000,
        queue_bytes_max: 65_536,
        user_sessions_max,
        ..Options::default()
    }
}
