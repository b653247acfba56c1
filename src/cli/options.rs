//! One configuration to the options of each layer: no layer sees the configuration itself.

use std::time::Duration;

use crate::api;
use crate::auth::TokenOptions;
use crate::config::{CodeTransform, Config, ErrorMode, HttpTransform};
use crate::connection::Options;
use crate::connection::options::{Anonymous, Choice, Endpoints, HttpRefusal, StreamEndpoint};
use crate::connection::origin::Origins;
use crate::engine::accept::ListenOn;
use crate::protocol::Dialect;
use crate::protocol::codes::Disconnect;
use crate::server::ServerOptions;
use crate::shard::admission::AdmissionOptions;

/// What connections depend on.
///
/// # Errors
/// A value whose meaning is wrong although its type is right, as text for a person.
pub(super) fn connection(config: &Config) -> Result<Options, String> {
    let client = &config.client;
    let choice = |allow: bool| if allow { Choice::Allow } else { Choice::Refuse };
    let stream = &config.uni_http_stream;
    Ok(Options {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node_name: node_name(config),
        endpoints: Endpoints {
            uni_http_stream: stream.enabled.then(|| StreamEndpoint {
                path: stream.handler_prefix.clone(),
                body_bytes_max: stream.max_request_body_size,
                http_refusals: http_refusals(config),
            }),
            ..Endpoints::default()
        },
        api: (!config.http_api.disabled).then(|| api::Options {
            prefix: config.http_api.handler_prefix.clone(),
            key: config.http_api.key.expose().to_owned(),
            insecure: config.http_api.insecure,
            error_mode_transport: config.http_api.error_mode == ErrorMode::Transport,
            body_bytes_max: config.http_api.max_request_body_size,
        }),
        health_path: config.health.enabled.then(|| config.health.handler_prefix.clone()),
        api_external: config.http_api.external,
        token: token(config),
        anonymous: Anonymous::from_options(
            choice(client.allow_anonymous_connect_without_token),
            choice(!client.disallow_anonymous_connection_tokens),
        ),
        insecure: client.insecure,
        user_id_header: some(&client.user_id_http_header),
        origins: Origins::new(&client.allowed_origins).map_err(|error| error.to_string())?,
        ping_interval_ms: millis(client.ping_interval),
        stale_close_ms: millis(client.stale_close_delay),
        expired_close_delay_ms: millis(client.expired_close_delay),
        queue_bytes_max: client.queue_max_size,
        connect_time: client.connect_include_server_time,
        dialect: if client.protocol_v1_by_default { Dialect::V1 } else { Dialect::V2 },
        user_sessions_max: client.user_connection_limit,
        uni_disconnects: uni_disconnects(config),
        ..Options::default()
    })
}

/// How tokens are verified.
pub(super) fn token(config: &Config) -> TokenOptions {
    let token = &config.client.token;
    TokenOptions {
        hmac_secret: some(token.hmac_secret_key.expose()),
        audience: some(&token.audience),
        issuer: some(&token.issuer),
    }
}

/// How the node is laid out.
pub(super) fn server(config: &Config, listen: Vec<ListenOn>) -> ServerOptions {
    let shards = &config.shards;
    ServerOptions {
        shards: shards.count,
        pin_to_cores: shards.pin_to_cores,
        driver: shards.driver,
        parking: shards.parking,
        ring_entries: shards.ring_entries,
        query_timeout_ms: millis(shards.query_timeout),
        shutdown_timeout: config.shutdown.timeout,
        listen,
        admission: AdmissionOptions {
            sessions_max: config.client.connection_limit,
            connects_per_second_max: config.client.connection_rate_limit,
        },
    }
}

/// `node.name`, else host name and port, as Centrifugo names a node.
fn node_name(config: &Config) -> String {
    if !config.node.name.is_empty() {
        return config.node.name.clone();
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}_{}", config.http_server.port)
}

fn uni_disconnects(config: &Config) -> Vec<(u32, Disconnect)> {
    let table = &config.client.connect_code_to_unidirectional_disconnect;
    let line = |line: &CodeTransform| {
        (line.code, Disconnect { code: line.to.code, reason: line.to.reason.clone().into() })
    };
    if table.enabled { table.transforms.iter().map(line).collect() } else { Vec::new() }
}

fn http_refusals(config: &Config) -> Option<Vec<HttpRefusal>> {
    let table = &config.uni_http_stream.connect_code_to_http_response;
    let line = |line: &HttpTransform| HttpRefusal {
        code: line.code,
        status: line.to.status_code,
        body: line.to.body.clone(),
    };
    table.enabled.then(|| table.transforms.iter().map(line).collect())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
