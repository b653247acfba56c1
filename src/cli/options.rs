//! One configuration to the options of each layer: no layer sees the configuration itself.

use std::sync::Arc;
use std::time::Duration;

use super::{proxy, webhook};
use crate::api;
use crate::config::{
    self, CodeTransform, Config, ErrorMode, HttpTransform, UniWebSocket, WebSocket, some,
};
use crate::connection::Options;
use crate::connection::options::{
    Anonymous, Choice, Compression, EmulationEndpoint, Endpoints, HttpRefusal, StreamEndpoint,
    UniWebSocketEndpoint, WebSocketEndpoint,
};
use crate::connection::origin::Origins;
use crate::connection::remote::TrustedProxies;
use crate::control::outside::OutsideOptions;
use crate::control::store::{StatusLimits, StoreOptions};
use crate::engine::accept::ListenOn;
use crate::protocol::Dialect;
use crate::protocol::codes::Disconnect;
use crate::server::{GrpcApiListen, GrpcListen, ServerOptions};
use crate::session::ClosedLimits;
use crate::session::FilterLimits;
use crate::shard::Synthetic;
use crate::shard::admission::{AdmissionOptions, ConnectRates};
use crate::wire::websocket::Limits;

/// What connections depend on.
///
/// # Errors
/// A value whose meaning is wrong although its type is right, as text for a person.
pub(super) fn connection(config: &Config) -> Result<Options, String> {
    let client = &config.client;
    let choice = |allow: bool| if allow { Choice::Allow } else { Choice::Refuse };
    Ok(Options {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node_name: node_name(config),
        endpoints: endpoints(config),
        api: (!config.http_api.disabled).then(|| api(config)),
        grpc_api: config.grpc_api.enabled.then(|| api(config)),
        swagger: config.serves_swagger().then(|| Arc::new(swagger(config))),
        // Whoever starts a server adds it: it may have to read files.
        admin: None,
        admin_external: config.admin.external,
        health_path: config.health.enabled.then(|| config.health.handler_prefix.clone()),
        api_external: config.http_api.external,
        token: config.token_options()?,
        anonymous: Anonymous::from_options(
            choice(client.allow_anonymous_connect_without_token),
            choice(!client.disallow_anonymous_connection_tokens),
        ),
        insecure: client.insecure,
        connect_proxy: choice(proxy::connect(config).is_some()),
        refresh_proxy: proxy::renewals(config),
        shown: proxy::shown(config),
        inquiry_timeout_ms: proxy::inquiry_timeout_ms(config),
        user_id_header: some(&client.user_id_http_header),
        origins: Origins::new(&client.allowed_origins).map_err(|error| error.to_string())?,
        trusted_proxies: TrustedProxies::new(&client.trusted_proxies)
            .map_err(|error| error.to_string())?,
        own_sessions: api::OwnSessionsShown {
            remote_addr: client.sessions.show_remote_addr,
            user_agent: client.sessions.show_user_agent,
        },
        ping_interval_ms: millis(client.ping_interval),
        pong_timeout_ms: millis(client.pong_timeout),
        stale_close_ms: millis(client.stale_close_delay),
        expired_close_delay_ms: millis(client.expired_close_delay),
        queue_bytes_max: client.queue_max_size,
        closed: ClosedLimits {
            sessions_max: config.closed_sessions.limit,
            age_ms_max: millis(config.closed_sessions.max_age),
        },
        watches_max: config.watch.limit,
        watch_bytes_max: config.watch.queue_max_size,
        webhook: webhook::wanted(config),
        connect_time: client.connect_include_server_time,
        dialect: if client.protocol_v1_by_default { Dialect::V1 } else { Dialect::V2 },
        disconnect_rate: config.disconnect.rate,
        user_status: statuses(config),
        user_sessions_max: client.user_connection_limit,
        limit_by_token: choice(client.user_connection_limit_by_token),
        when_full: client.user_connection_limit_policy,
        dangers: config::dangers(config),
        uni_disconnects: uni_disconnects(config),
    })
}

/// How the server API is read, over HTTP and gRPC.
pub(super) fn api(config: &Config) -> api::Options {
    api::Options {
        prefix: config.http_api.handler_prefix.clone(),
        key: config.http_api.key.expose().to_owned(),
        insecure: config.http_api.insecure,
        error_mode_transport: config.http_api.error_mode == ErrorMode::Transport,
        body_bytes_max: config.http_api.max_request_body_size,
        user_status: statuses(config),
        label_filter: FilterLimits {
            depth_max: config.label_filter.max_depth,
            nodes_max: config.label_filter.max_nodes,
        },
        queries: api::QueryLimits {
            expression: api::ExpressionLimits {
                bytes_max: config.queries.max_expression_size,
                steps_max: config.queries.max_expression_steps,
            },
            page_max: config.queries.max_page_size,
            commands_max: config.http_api.max_commands,
        },
        labels: config.label_limits(),
    }
}

/// Whether there are statuses of users.
const fn statuses(config: &Config) -> api::Statuses {
    if config.user_status.enabled { api::Statuses::Kept } else { api::Statuses::NotKept }
}

/// The page that describes the server API.
fn swagger(config: &Config) -> api::Swagger {
    api::Swagger::new(&config.swagger.handler_prefix, &config.http_api.handler_prefix)
}

/// The ways clients connect.
fn endpoints(config: &Config) -> Endpoints {
    let stream = |path: &str, body_bytes_max, http_refusals| StreamEndpoint {
        path: path.to_owned(),
        body_bytes_max,
        http_refusals,
    };
    let Config { http_stream, sse, emulation, uni_http_stream, uni_sse, .. } = config;
    Endpoints {
        websocket: (!config.websocket.disabled).then(|| websocket(&config.websocket)),
        http_stream: http_stream
            .enabled
            .then(|| stream(&http_stream.handler_prefix, http_stream.max_request_body_size, None)),
        sse: sse.enabled.then(|| stream(&sse.handler_prefix, sse.max_request_body_size, None)),
        emulation: (http_stream.enabled || sse.enabled).then(|| EmulationEndpoint {
            path: emulation.handler_prefix.clone(),
            body_bytes_max: emulation.max_request_body_size,
        }),
        uni_websocket: config.uni_websocket.enabled.then(|| uni_websocket(&config.uni_websocket)),
        uni_http_stream: uni_http_stream.enabled.then(|| {
            let refusals = &uni_http_stream.connect_code_to_http_response;
            let refusals = refusals.enabled.then(|| http_refusals(&refusals.transforms));
            stream(&uni_http_stream.handler_prefix, uni_http_stream.max_request_body_size, refusals)
        }),
        uni_sse: uni_sse.enabled.then(|| {
            let refusals = &uni_sse.connect_code_to_http_response;
            let refusals = refusals.enabled.then(|| http_refusals(&refusals.transforms));
            stream(&uni_sse.handler_prefix, uni_sse.max_request_body_size, refusals)
        }),
    }
}

fn websocket(websocket: &WebSocket) -> WebSocketEndpoint {
    WebSocketEndpoint {
        path: websocket.handler_prefix.clone(),
        limits: limits(websocket.message_size_limit, websocket.decompressed_message_size_limit),
        compression: websocket.compression.then_some(Compression {
            level: websocket.compression_level,
            bytes_min: websocket.compression_min_size,
        }),
    }
}

fn uni_websocket(websocket: &UniWebSocket) -> UniWebSocketEndpoint {
    let unless = |disabled: bool| if disabled { Choice::Refuse } else { Choice::Allow };
    UniWebSocketEndpoint {
        socket: WebSocketEndpoint {
            path: websocket.handler_prefix.clone(),
            limits: limits(websocket.message_size_limit, websocket.decompressed_message_size_limit),
            compression: websocket.compression.then_some(Compression {
                level: websocket.compression_level,
                bytes_min: websocket.compression_min_size,
            }),
        },
        disconnect_push: unless(websocket.disable_disconnect_push),
        closing_handshake: unless(websocket.disable_closing_handshake),
    }
}

/// Ten times the length of a message once it is inflated, when nothing is said about it, as in
/// Centrifugo.
const fn limits(message_bytes_max: usize, inflated_bytes_max: usize) -> Limits {
    let inflated_bytes_max = match inflated_bytes_max {
        0 => message_bytes_max.saturating_mul(10),
        said => said,
    };
    Limits { message_bytes_max, inflated_bytes_max }
}

/// How the node is laid out.
///
/// # Errors
/// As of [`connection`].
pub(super) fn server(
    config: &Config,
    listen: Vec<ListenOn>,
    uni_grpc: Option<GrpcListen>,
    grpc_api: Option<GrpcApiListen>,
) -> Result<ServerOptions, String> {
    let shards = &config.shards;
    Ok(ServerOptions {
        shards: shards.count,
        pin_to_cores: shards.pin_to_cores,
        driver: shards.driver,
        parking: shards.parking,
        ring_entries: shards.ring_entries,
        query_timeout_ms: millis(shards.query_timeout),
        shutdown_timeout: config.shutdown.timeout,
        listen,
        uni_grpc,
        grpc_api,
        admission: AdmissionOptions {
            sessions_max: config.client.connection_limit,
            connects_per_second_max: config.client.connection_rate_limit,
            counts_users: config.client.user_connection_limit > 0
                || config.client.user_connection_limit_by_token,
            rates: ConnectRates {
                per_user: config.client.connect_rate_limit.per_user,
                per_address: config.client.connect_rate_limit.per_address,
                interval_ms: millis(config.client.connect_rate_limit.interval),
            },
        },
        store: StoreOptions {
            path: (&config.storage.path).into(),
            blocked: config.user_block.storage_type,
            revoked: config.token_revoke.storage_type,
            invalidated: config.user_tokens_invalidate.storage_type,
            statuses: config.user_status.storage_type,
            statuses_limits: StatusLimits {
                kept_s: config.user_status.expire_interval.as_secs(),
                users_max: config.user_status.limit,
            },
            // What is wrong with it has been said when it was loaded.
            shared: config.shared_store().ok().flatten(),
        },
        outside: OutsideOptions {
            connect: proxy::connect(config),
            refresh: proxy::refresh(config),
        },
        webhook: webhook::options(config, node_name(config))?,
        synthetic: Synthetic {
            sessions: config.test.synthetic_sessions,
            labelled: config.test.synthetic_labels,
        },
    })
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

fn http_refusals(transforms: &[HttpTransform]) -> Vec<HttpRefusal> {
    let line = |line: &HttpTransform| HttpRefusal {
        code: line.code,
        status: line.to.status_code,
        body: line.to.body.clone(),
    };
    transforms.iter().map(line).collect()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(change: impl FnOnce(&mut Config)) -> Options {
        let mut config = Config::default();
        change(&mut config);
        connection(&config).unwrap()
    }

    /// Tests below the command line use the one, servers the other.
    #[test]
    fn what_connections_depend_on_is_the_same_when_nothing_is_configured() {
        let of = |options: Options| {
            let (node_name, dangers) = (String::new(), Vec::new());
            format!(
                "{:?}",
                Options {
                    endpoints: Endpoints::default(),
                    api: None,
                    node_name,
                    dangers,
                    ..options
                }
            )
        };
        assert_eq!(of(connection(&Config::default()).unwrap()), of(Options::default()));
    }

    #[test]
    fn websocket_is_on_by_itself_and_every_other_way_when_it_is_asked_for() {
        let endpoints = |change: fn(&mut Config)| {
            let on = configured(change).endpoints;
            let emulation = on.emulation.map(|endpoint| endpoint.path);
            let streams = [on.http_stream, on.sse, on.uni_http_stream, on.uni_sse];
            let streams = streams.into_iter().flatten().map(|endpoint| endpoint.path);
            let sockets = [on.websocket, on.uni_websocket.map(|uni| uni.socket)];
            let sockets = sockets.into_iter().flatten().map(|endpoint| endpoint.path);
            sockets.chain(streams).chain(emulation).collect::<Vec<_>>()
        };
        assert_eq!(endpoints(|_| ()), ["/connection/websocket"]);
        let without = |config: &mut Config| config.websocket.disabled = true;
        assert_eq!(endpoints(without), [""; 0]);
        let all = endpoints(|config| {
            config.http_stream.enabled = true;
            config.sse.enabled = true;
            config.uni_websocket.enabled = true;
            config.uni_http_stream.enabled = true;
            config.uni_sse.enabled = true;
        });
        let of = |name: &str| format!("/connection/{name}");
        let expected =
            ["websocket", "uni_websocket", "http_stream", "sse", "uni_http_stream", "uni_sse"];
        let emulation = "/emulation".to_owned();
        assert_eq!(all, expected.map(of).into_iter().chain([emulation]).collect::<Vec<_>>());
        let sse = |config: &mut Config| {
            config.websocket.disabled = true;
            config.sse.enabled = true;
        };
        assert_eq!(endpoints(sse), ["/connection/sse", "/emulation"]);
    }

    #[test]
    fn an_inflated_message_may_be_ten_times_as_long_unless_it_is_said() {
        assert_eq!(limits(10, 0), Limits { message_bytes_max: 10, inflated_bytes_max: 100 });
        assert_eq!(limits(10, 7), Limits { message_bytes_max: 10, inflated_bytes_max: 7 });
    }
}
