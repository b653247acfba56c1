//! What types cannot say: ranges, paths that must not collide, and what is allowed but dangerous.

use std::time::Duration;

use super::duration;
use super::table::Config;
use crate::connection::origin::Origins;
use crate::limits::SHARDS_MAX;

/// A path and what is wrong with its value.
pub(super) type Fault = (&'static str, String);

/// Largest body an option may allow: every connection may hold one such body at a time.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everything that cannot be meant.
pub(super) fn faults(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    durations(config, &mut faults);
    sizes(config, &mut faults);
    transforms(config, &mut faults);
    paths(config, &mut faults);
    if let Err(error) = Origins::new(&config.client.allowed_origins) {
        faults.push(("client.allowed_origins", format!("does not hold patterns: {error}")));
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
    let nobody_connects = client.token.hmac_secret_key.expose().is_empty()
        && client.user_id_http_header.is_empty()
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
            !config.uni_http_stream.enabled,
            "no transport is enabled, so no client can connect: set uni_http_stream.enabled, or \
             CENTRIFUGO_UNI_HTTP_STREAM=1",
        ),
        (nobody_connects, "client.token.hmac_secret_key is not set: no client can connect"),
        (
            config.http_api.key.expose().is_empty() && !config.http_api.insecure && api_in_use,
            "http_api.key is not set: every call of the server API is refused",
        ),
    ];
    said.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text.to_owned()).collect()
}

fn durations(config: &Config, faults: &mut Vec<Fault>) {
    let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
    let client = &config.client;
    let mut check = |path, value: Duration, min: Duration, max: Duration| {
        if !(min..=max).contains(&value) {
            let [value, min, max] = [value, min, max].map(duration::show);
            faults.push((path, format!("is {value}: expected a duration from {min} to {max}")));
        }
    };
    if !client.ping_interval.is_zero() {
        // Clients are told whole seconds.
        check("client.ping_interval", client.ping_interval, second, DAY);
    }
    check("client.stale_close_delay", client.stale_close_delay, millisecond, DAY);
    check("client.expired_close_delay", client.expired_close_delay, Duration::ZERO, DAY);
    check("shutdown.timeout", config.shutdown.timeout, millisecond, DAY);
    check("shards.query_timeout", config.shards.query_timeout, millisecond, 60 * second);
}

fn sizes(config: &Config, faults: &mut Vec<Fault>) {
    let shards = &config.shards;
    let bytes = |value: usize| (1..=BODY_BYTES_MAX).contains(&value);
    let checked = [
        (
            "http_api.max_request_body_size",
            bytes(config.http_api.max_request_body_size),
            format!("must be from 1 to {BODY_BYTES_MAX} bytes"),
        ),
        (
            "uni_http_stream.max_request_body_size",
            bytes(config.uni_http_stream.max_request_body_size),
            format!("must be from 1 to {BODY_BYTES_MAX} bytes"),
        ),
        (
            "client.queue_max_size",
            config.client.queue_max_size >= 1024,
            "must be at least 1024 bytes: a client that is told nothing is no client".to_owned(),
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
    ];
    faults.extend(checked.into_iter().filter(|(_, ok, _)| !ok).map(|(path, _, what)| (path, what)));
}

fn transforms(config: &Config, faults: &mut Vec<Fault>) {
    for line in &config.client.connect_code_to_unidirectional_disconnect.transforms {
        let code = line.to.code;
        if !(3000..=4999).contains(&code) {
            let what = format!("turns {} into {code}: disconnects are 3000 to 4999", line.code);
            faults.push(("client.connect_code_to_unidirectional_disconnect.transforms", what));
        }
    }
    for line in &config.uni_http_stream.connect_code_to_http_response.transforms {
        let status = line.to.status_code;
        if !(200..=599).contains(&status) {
            let what = format!("turns {} into {status}: a status is 200 to 599", line.code);
            faults.push(("uni_http_stream.connect_code_to_http_response.transforms", what));
        }
    }
}

fn paths(config: &Config, faults: &mut Vec<Fault>) {
    let api = config.http_api.handler_prefix.as_str();
    let health = config.health.handler_prefix.as_str();
    let stream = config.uni_http_stream.handler_prefix.as_str();
    let served: Vec<(&str, &str)> = [
        ("http_api.handler_prefix", api, !config.http_api.disabled),
        ("health.handler_prefix", health, config.health.enabled),
        ("uni_http_stream.handler_prefix", stream, config.uni_http_stream.enabled),
    ]
    .into_iter()
    .filter_map(|(name, path, served)| served.then_some((name, path)))
    .collect();
    for (at, (name, path)) in served.iter().enumerate() {
        let is_path = path.len() > 1 && path.starts_with('/') && !path.ends_with('/');
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
        if !(is_path && is_plain) {
            let what = format!("is `{}`: expected a path such as /a/b", path.escape_debug());
            faults.push((name, what));
        }
        for (other_name, other) in &served[..at] {
            if collide(path, other, api) {
                let what = format!("is `{path}`, which `{other_name}` (`{other}`) serves already");
                faults.push((name, what));
            }
        }
    }
}

/// Equal, or one lies below the API, where commands are.
fn collide(path: &str, other: &str, api: &str) -> bool {
    let is_command = |path: &str, above: &str| {
        above == api && path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
    };
    path == other || is_command(path, other) || is_command(other, path)
}
