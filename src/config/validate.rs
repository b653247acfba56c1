//! What types cannot say: ranges, values that contradict each other, and what is allowed but
//! dangerous.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::duration;
use super::paths;
use super::proxies;
use super::table::Config;
use super::table_pages::Admin;
use super::tokens;
use super::webhook;
use crate::connection::origin::Origins;
use crate::connection::remote::TrustedProxies;
use crate::limits::{LABELS_PER_SESSION_MAX, SHARDS_MAX};

/// A path and what is wrong with its value.
pub(super) type Fault = (&'static str, String);

/// Largest body or message an option may allow: every connection may hold one such at a time.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most sessions a server is filled with: in one shard, too, far fewer than its table holds.
const SYNTHETIC_SESSIONS_MAX: u64 = 100_000_000;

/// Bytes that may wait for a watcher: fewer would cut one that reads well, in its snapshot.
const WATCH_QUEUE_BYTES_MIN: usize = 128 * 1024;

/// Sessions that have ended and are kept by one shard.
const CLOSED_SESSIONS_MAX: usize = 1_000_000;

/// Deepest label filter an option may allow: each node is two of the levels a body may have.
const FILTER_DEPTH_MAX: usize = 24;

/// Largest label filter an option may allow: each session that is looked at answers all of it.
const FILTER_NODES_MAX: usize = 10_000;

/// Longest key or value of a label an option may allow: they are kept for every session.
const LABEL_BYTES_MAX: usize = 4096;
/// Longest expression an option may allow: reading one takes time in proportion.
const EXPRESSION_BYTES_MAX: usize = 64 * 1024;

/// Most steps an option may allow an expression: about a second of a shard's time.
const EXPRESSION_STEPS_MAX: usize = 10_000_000;

/// Most sessions an option may allow on a page: a shard encodes one in a turn.
const PAGE_MAX: usize = 10_000;

/// Commands of a body are numbered by 16 bits.
const COMMANDS_MAX: usize = 10_000;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everything that cannot be meant.
pub(super) fn faults(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    durations(config, &mut faults);
    compressions(config, &mut faults);
    sizes(config, &mut faults);
    bounds(config, &mut faults);
    labels(config, &mut faults);
    questions(config, &mut faults);
    transforms(config, &mut faults);
    proxies::faults(config, &mut faults);
    faults.extend(paths::faults(config));
    faults.extend(webhook::faults(config));
    faults.extend(config.shared_store().err());
    faults.extend(tokens::options(config).err().into_iter().flatten());
    if let Err(error) = Origins::new(&config.client.allowed_origins) {
        faults.push(("client.allowed_origins", format!("does not hold patterns: {error}")));
    }
    if let Err(error) = TrustedProxies::new(&config.client.trusted_proxies) {
        faults.push(("client.trusted_proxies", format!("does not hold networks: {error}")));
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !config.client.user_id_http_header.bytes().all(is_token) {
        let what = "is not the name of a header (RFC 9110 §5.1)".to_owned();
        faults.push(("client.user_id_http_header", what));
    }
    faults
}

/// What is allowed and should be known to whoever starts a server so.
#[must_use]
pub fn dangers(config: &Config) -> Vec<String> {
    let client = &config.client;
    let api_in_use = !config.http_api.disabled;
    let token = &client.token;
    let no_key = token.hmac_secret_key.expose().is_empty()
        && token.rsa_public_key.is_empty()
        && token.ecdsa_public_key.is_empty()
        && token.eddsa_public_key.is_empty()
        && token.jwks_public_endpoint.is_empty();
    let nobody_connects = no_key
        && client.user_id_http_header.is_empty()
        && !config.has_connect_proxy()
        && !client.insecure
        && !client.allow_anonymous_connect_without_token;
    let said = [
        (
            client.insecure,
            "INSECURE client mode enabled (client.insecure), make sure you understand risks",
        ),
        (
            config.http_api.insecure && api_in_use,
            "INSECURE HTTP API mode enabled (http_api.insecure), make sure you understand risks",
        ),
        (
            client.allowed_origins.iter().any(|pattern| pattern == "*"),
            "client.allowed_origins lets every web page connect",
        ),
        (
            client.trusted_proxies.iter().any(|network| network.ends_with("/0")),
            "client.trusted_proxies lets every client say where it comes from",
        ),
        (
            transports(config).all(|is_on| !is_on),
            "no transport is enabled, so no client can connect: unset websocket.disabled, or set \
             another's `enabled`, as in CENTRIFUGO_UNI_HTTP_STREAM=1",
        ),
        (
            nobody_connects,
            "client.token.hmac_secret_key is not set, nor another key: no client can connect",
        ),
        (
            client.insecure_skip_token_signature_verify,
            "INSECURE tokens (client.insecure_skip_token_signature_verify): every token is believed, \
             whoever signed it",
        ),
        (
            token.insecure_skip_jwks_endpoint_safety_check,
            "client.token.insecure_skip_jwks_endpoint_safety_check lets tokens choose where their keys \
             are fetched",
        ),
        (
            config.http_api.key.expose().is_empty() && !config.http_api.insecure && api_in_use,
            "http_api.key is not set: every call of the server API is refused",
        ),
        (
            config.test.synthetic_sessions > 0,
            "test.synthetic_sessions fills this server with sessions that nobody holds: for load \
             tests only",
        ),
    ];
    let said = said.into_iter().chain(dangers_of_admin(&config.admin));
    let said = said.chain(proxies::dangers(config)).chain(webhook::dangers(config));
    said.filter(|(is_so, _)| *is_so).map(|(_, text)| text.to_owned()).collect()
}

fn dangers_of_admin(admin: &Admin) -> [(bool, &'static str); 2] {
    let is_shut = admin.password.expose().is_empty() || admin.secret.expose().is_empty();
    [
        (
            admin.enabled && admin.insecure,
            "INSECURE admin mode enabled (admin.insecure), make sure you understand risks",
        ),
        (
            admin.enabled && !admin.insecure && is_shut,
            "admin.password and admin.secret are not both set: nobody can sign in to the admin page",
        ),
    ]
}

/// The ways clients connect, and whether each is on.
fn transports(config: &Config) -> impl Iterator<Item = bool> {
    let uni = [
        config.uni_websocket.enabled,
        config.uni_http_stream.enabled,
        config.uni_sse.enabled,
        config.uni_grpc.enabled,
    ];
    let both = [!config.websocket.disabled, config.http_stream.enabled, config.sse.enabled];
    both.into_iter().chain(uni)
}

/// What is wrong with a duration that must be one of these.
pub(super) fn duration_fault(
    path: &'static str,
    value: Duration,
    allowed: RangeInclusive<Duration>,
) -> Option<Fault> {
    if allowed.contains(&value) {
        return None;
    }
    let [value, min, max] = [value, *allowed.start(), *allowed.end()].map(duration::show);
    Some((path, format!("is {value}: expected a duration from {min} to {max}")))
}

fn durations(config: &Config, faults: &mut Vec<Fault>) {
    let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
    let client = &config.client;
    let mut check = |path, value: Duration, min: Duration, max: Duration| {
        faults.extend(duration_fault(path, value, min..=max));
    };
    if !client.ping_interval.is_zero() {
        // Clients are told whole seconds.
        check("client.ping_interval", client.ping_interval, second, DAY);
    }
    check("client.pong_timeout", client.pong_timeout, Duration::ZERO, DAY);
    check("client.stale_close_delay", client.stale_close_delay, millisecond, DAY);
    check("client.expired_close_delay", client.expired_close_delay, Duration::ZERO, DAY);
    let age = client.token.jwks_max_age;
    check("client.token.jwks_max_age", age, second, 30 * DAY);
    check("client.connect_rate_limit.interval", client.connect_rate_limit.interval, second, DAY);
    check("user_status.expire_interval", config.user_status.expire_interval, second, 3_650 * DAY);
    let redis = &config.storage.redis;
    check("storage.redis.connect_timeout", redis.connect_timeout, millisecond, 60 * second);
    check("storage.redis.io_timeout", redis.io_timeout, 10 * millisecond, 60 * second);
    check("shutdown.timeout", config.shutdown.timeout, millisecond, DAY);
    check("shards.query_timeout", config.shards.query_timeout, millisecond, 60 * second);
    // The next ping is the time to look for the answer to the last one at the latest.
    if client.ping_interval >= second && client.pong_timeout >= client.ping_interval {
        let [pong, ping] = [client.pong_timeout, client.ping_interval].map(duration::show);
        let what = format!("is {pong}: must be shorter than client.ping_interval ({ping})");
        faults.push(("client.pong_timeout", what));
    }
}

/// All WebSockets of a shard share one compressor.
fn compressions(config: &Config, faults: &mut Vec<Fault>) {
    let (both, uni) = (&config.websocket, &config.uni_websocket);
    let differ = both.compression_level != uni.compression_level
        || both.compression_min_size != uni.compression_min_size;
    let are_on = !both.disabled && both.compression && uni.enabled && uni.compression;
    if are_on && differ {
        let what = "differs from websocket's in level or min_size: both must be the same";
        faults.push(("uni_websocket.compression", what.to_owned()));
    }
}

fn sizes(config: &Config, faults: &mut Vec<Fault>) {
    let (websocket, uni_websocket) = (&config.websocket, &config.uni_websocket);
    let limits = [
        ("http_api.max_request_body_size", config.http_api.max_request_body_size, 1),
        ("websocket.message_size_limit", websocket.message_size_limit, 1),
        ("websocket.decompressed_message_size_limit", websocket.decompressed_message_size_limit, 0),
        ("http_stream.max_request_body_size", config.http_stream.max_request_body_size, 1),
        ("sse.max_request_body_size", config.sse.max_request_body_size, 1),
        ("emulation.max_request_body_size", config.emulation.max_request_body_size, 1),
        ("uni_websocket.message_size_limit", uni_websocket.message_size_limit, 1),
        (
            "uni_websocket.decompressed_message_size_limit",
            uni_websocket.decompressed_message_size_limit,
            0,
        ),
        ("uni_http_stream.max_request_body_size", config.uni_http_stream.max_request_body_size, 1),
        ("uni_sse.max_request_body_size", config.uni_sse.max_request_body_size, 1),
        ("uni_grpc.max_receive_message_size", config.uni_grpc.max_receive_message_size, 0),
        ("client.proxy.max_response_size", config.client.proxy.max_response_size, 1),
        ("grpc_api.max_receive_message_size", config.grpc_api.max_receive_message_size, 0),
    ];
    for (path, value, min) in limits {
        if !(min..=BODY_BYTES_MAX).contains(&value) {
            faults.push((path, format!("must be from {min} to {BODY_BYTES_MAX} bytes")));
        }
    }
    for (path, level) in [
        ("websocket.compression_level", websocket.compression_level),
        ("uni_websocket.compression_level", uni_websocket.compression_level),
    ] {
        if !(1..=9).contains(&level) {
            faults.push((path, format!("is {level}: expected 1, the fastest, to 9")));
        }
    }
}

fn bounds(config: &Config, faults: &mut Vec<Fault>) {
    let shards = &config.shards;
    let checked = [
        (
            "client.queue_max_size",
            config.client.queue_max_size >= 1024,
            "must be at least 1024 bytes: a client that is told nothing is no client".to_owned(),
        ),
        (
            "watch.queue_max_size",
            config.watch.queue_max_size >= WATCH_QUEUE_BYTES_MIN,
            format!("must be at least {WATCH_QUEUE_BYTES_MIN} bytes: two pieces of a snapshot"),
        ),
        (
            "closed_sessions.limit",
            config.closed_sessions.limit <= CLOSED_SESSIONS_MAX,
            format!("must be at most {CLOSED_SESSIONS_MAX}: each is as large as one that lives"),
        ),
        (
            "shards.count",
            shards.count <= SHARDS_MAX,
            format!("must be at most {SHARDS_MAX}, or 0 for one per core"),
        ),
        (
            "shards.ring_entries",
            shards.ring_entries.is_power_of_two() && (16..=32_768).contains(&shards.ring_entries),
            "must be a power of two from 16 to 32768".to_owned(),
        ),
        (
            "storage.redis.prefix",
            !config.storage.redis.prefix.is_empty(),
            "must not be empty: keys without it may be somebody else's".to_owned(),
        ),
        (
            "test.synthetic_sessions",
            config.test.synthetic_sessions <= SYNTHETIC_SESSIONS_MAX,
            format!("must be at most {SYNTHETIC_SESSIONS_MAX}"),
        ),
    ];
    faults.extend(checked.into_iter().filter(|(_, ok, _)| !ok).map(|(path, _, what)| (path, what)));
}

/// How many labels a session may have, how long they may be, and what may be asked of them.
fn labels(config: &Config, faults: &mut Vec<Fault>) {
    let (labels, filter) = (&config.labels, &config.label_filter);
    for (path, value, min, max) in [
        ("labels.max_count", labels.max_count, 0, LABELS_PER_SESSION_MAX),
        ("labels.max_key_size", labels.max_key_size, 1, LABEL_BYTES_MAX),
        ("labels.max_value_size", labels.max_value_size, 1, LABEL_BYTES_MAX),
        ("label_filter.max_depth", filter.max_depth, 1, FILTER_DEPTH_MAX),
        ("label_filter.max_nodes", filter.max_nodes, 1, FILTER_NODES_MAX),
    ] {
        if !(min..=max).contains(&value) {
            faults.push((path, format!("must be from {min} to {max}")));
        }
    }
}

/// What questions of the server API may cost.
fn questions(config: &Config, faults: &mut Vec<Fault>) {
    let queries = &config.queries;
    let limits = [
        ("queries.max_expression_size", queries.max_expression_size, EXPRESSION_BYTES_MAX),
        ("queries.max_expression_steps", queries.max_expression_steps, EXPRESSION_STEPS_MAX),
        ("queries.max_page_size", queries.max_page_size, PAGE_MAX),
        ("http_api.max_commands", config.http_api.max_commands, COMMANDS_MAX),
    ];
    for (path, value, max) in limits {
        if !(1..=max).contains(&value) {
            faults.push((path, format!("must be from 1 to {max}")));
        }
    }
}

fn transforms(config: &Config, faults: &mut Vec<Fault>) {
    for line in &config.client.connect_code_to_unidirectional_disconnect.transforms {
        let code = line.to.code;
        if !(3000..=4999).contains(&code) {
            let what = format!("turns {} into {code}: disconnects are 3000 to 4999", line.code);
            faults.push(("client.connect_code_to_unidirectional_disconnect.transforms", what));
        }
    }
    for (name, lines) in [
        (
            "uni_http_stream.connect_code_to_http_response.transforms",
            &config.uni_http_stream.connect_code_to_http_response.transforms,
        ),
        (
            "uni_sse.connect_code_to_http_response.transforms",
            &config.uni_sse.connect_code_to_http_response.transforms,
        ),
    ] {
        for line in lines {
            let status = line.to.status_code;
            if !(200..=599).contains(&status) {
                let what = format!("turns {} into {status}: a status is 200 to 599", line.code);
                faults.push((name, what));
            }
        }
    }
}
