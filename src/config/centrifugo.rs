//! What Centrifugo can be told and Rollcall does not do (yet): known names, so that an existing
//! configuration loads with one warning instead of a hundred.

use serde_json::Value;

/// Names of options in all versions. Each stands for itself and everything below it
/// (`admin.password`, `admin_password`).
const NAMES: &[&str] = &[
    "admin.api_key",
    "admin.oidc",
    "admin.web_proxy_address",
    "admin_web_proxy_address",
    "allow_history_for_",
    "allow_presence_for_",
    "allow_publish_for_",
    "allow_subscribe_for_",
    "allow_user_limited_channels",
    "allowed_delta_types",
    "broker",
    "channel",
    "client.channel_limit",
    "client.channel_position_check_delay",
    "client.channel_position_max_time_lag",
    "client.concurrency",
    "client.expired_sub_close_delay",
    "client.history_max_publication_limit",
    "client.presence_update_interval",
    "client.proxy.connect.grpc.compression",
    "client.proxy.refresh.grpc.compression",
    "client.recovery_max_publication_limit",
    "client.subscribe_to_user_personal_channel",
    "client.subscription_token",
    "client.token.jwks",
    "client_channel_limit",
    "client_channel_position_check_delay",
    "client_concurrency",
    "client_expired_sub_close_delay",
    "client_history_max_publication_limit",
    "client_presence_update_interval",
    "client_recovery_max_publication_limit",
    "consumers",
    "debug",
    "engine",
    "force_",
    "global_",
    "gomaxprocs",
    "graphite",
    "grpc_api.jwks",
    "grpc_api.tls",
    "grpc_api_tls",
    "history_",
    "http3",
    "http_server.h2c_external",
    "http_server.http3",
    "http_server.internal_tls",
    "http_server.tls",
    "init",
    "join_leave",
    "map_broker",
    "namespaces",
    "nats_",
    "node.info_metrics_aggregate_interval",
    "node_info_metrics_aggregate_interval",
    "opentelemetry",
    "presence",
    "prometheus",
    "proxy_",
    "publish",
    "redis_",
    "rpc",
    "separate_subscription_token_config",
    "shutdown_termination_delay",
    "sockjs",
    "subscription_token_",
    "tarantool_",
    "tls",
    "token_revoke.redis",
    "uni_grpc.tls",
    "uni_grpc_tls",
    "uni_http_stream.join_push_messages",
    "uni_sse.join_push_messages",
    "uni_websocket.join_push_messages",
    "uni_websocket.read_buffer_size",
    "uni_websocket.use_write_buffer_pool",
    "uni_websocket.write_buffer_size",
    "uni_websocket.write_timeout",
    "uni_websocket_ping_interval",
    "uni_websocket_read_buffer_size",
    "uni_websocket_use_write_buffer_pool",
    "uni_websocket_write_buffer_size",
    "uni_websocket_write_timeout",
    "usage_stats",
    "user_block.redis",
    "user_personal_",
    "user_status.redis",
    "user_subscribe_to_personal",
    "user_tokens_invalidate.redis",
    "websocket.read_buffer_size",
    "websocket.use_write_buffer_pool",
    "websocket.write_buffer_size",
    "websocket.write_timeout",
    "websocket_read_buffer_size",
    "websocket_use_write_buffer_pool",
    "websocket_write_buffer_size",
    "websocket_write_timeout",
    "webtransport",
];

/// Sections and, in v3, switches that must not be ignored when they are on: clients would talk in
/// clear text to a server that was told to encrypt.
const TLS: [&str; 11] = [
    "grpc_api.tls",
    "http_server.internal_tls",
    "http_server.tls",
    "http_server.tls_autocert",
    "tls",
    "tls_autocert",
    "token_revoke.redis.tls",
    "uni_grpc.tls",
    "user_block.redis.tls",
    "user_status.redis.tls",
    "user_tokens_invalidate.redis.tls",
];

/// Flags of Centrifugo that take no value and that Rollcall ignores with a warning.
pub const FLAGS_WITHOUT_VALUE: &[&str] = &[
    "broker.enabled",
    "debug",
    "debug.enabled",
    "grpc_api_tls",
    "grpc_api_tls_disable",
    "init.enabled",
    "presence_manager.enabled",
    "prometheus",
    "prometheus.enabled",
    "sockjs",
    "tls",
    "tls_external",
];

/// Flags of Centrifugo that take a value and that Rollcall ignores with a warning.
pub const FLAGS_WITH_VALUE: &[&str] = &[
    "broker",
    "broker.type",
    "e",
    "engine",
    "engine.type",
    "grpc_api_tls_cert",
    "grpc_api_tls_key",
    "map_broker.type",
    "nats_url",
    "presence_manager.type",
    "redis_address",
    "tarantool_address",
    "tls_cert",
    "tls_key",
];

/// What is to be said about a name that is no option of Rollcall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Foreign {
    /// Centrifugo knows it.
    Known,
    /// Nobody knows it.
    Unknown,
}

/// Looks up a name of a file (dots between sections), in lower case.
pub(super) fn in_file(name: &str) -> Foreign {
    look_up(|known| covers(known, name))
}

/// Looks up the name of a variable without its prefix, in lower case: it has no dots.
pub(super) fn in_environment(name: &str) -> Foreign {
    look_up(|known| covers(&known.replace('.', "_"), name))
}

/// Whether an option that Rollcall does not have asks for TLS.
pub(super) fn asks_for_tls(name: &str, value: &Value) -> bool {
    let name = name.replace('.', "_");
    let on = |value: &Value| *value == Value::Bool(true);
    TLS.iter().map(|known| known.replace('.', "_")).any(|known| match name.strip_prefix(&known) {
        Some("") => on(value) || value.get("enabled").is_some_and(on),
        Some("_enabled") => on(value),
        _ => false,
    })
}

/// Whether names above lie below this section.
pub(super) fn is_section(name: &str) -> bool {
    NAMES.iter().any(|known| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn look_up(covers: impl Fn(&str) -> bool) -> Foreign {
    if NAMES.iter().any(|known| covers(known)) { Foreign::Known } else { Foreign::Unknown }
}

/// Whether a name is this one or lies below it.
fn covers(known: &str, name: &str) -> bool {
    let Some(rest) = name.strip_prefix(known) else { return false };
    rest.is_empty() || rest.starts_with(['.', '_']) || known.ends_with('_')
}
