//! What is served where: paths that can be paths, no two of them the same.

use super::table::Config;
use super::validate::Fault;

impl Config {
    /// Whether the page that describes the API is served: only where there is something to call.
    pub fn serves_swagger(&self) -> bool {
        self.swagger.enabled && !self.http_api.disabled
    }
}

/// Every path that may be served.
pub(super) fn all_mut(config: &mut Config) -> [&mut String; 10] {
    [
        &mut config.http_api.handler_prefix,
        &mut config.health.handler_prefix,
        &mut config.swagger.handler_prefix,
        &mut config.websocket.handler_prefix,
        &mut config.http_stream.handler_prefix,
        &mut config.sse.handler_prefix,
        &mut config.emulation.handler_prefix,
        &mut config.uni_websocket.handler_prefix,
        &mut config.uni_http_stream.handler_prefix,
        &mut config.uni_sse.handler_prefix,
    ]
}

/// Malformed paths, and those that something else serves already, among what is served.
pub(super) fn faults(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    let api = config.http_api.handler_prefix.as_str();
    let swagger = config.swagger.handler_prefix.as_str();
    let admin_prefix = config.admin.handler_prefix.trim_end_matches('/');
    // Beside its files: they stand last among all paths.
    let admin = format!("{admin_prefix}/admin");
    let emulated = config.http_stream.enabled || config.sse.enabled;
    let all = [
        ("http_api.handler_prefix", api, !config.http_api.disabled),
        ("health.handler_prefix", &config.health.handler_prefix, config.health.enabled),
        ("swagger.handler_prefix", swagger, config.serves_swagger()),
        ("websocket.handler_prefix", &config.websocket.handler_prefix, !config.websocket.disabled),
        (
            "http_stream.handler_prefix",
            &config.http_stream.handler_prefix,
            config.http_stream.enabled,
        ),
        ("sse.handler_prefix", &config.sse.handler_prefix, config.sse.enabled),
        ("emulation.handler_prefix", &config.emulation.handler_prefix, emulated),
        (
            "uni_websocket.handler_prefix",
            &config.uni_websocket.handler_prefix,
            config.uni_websocket.enabled,
        ),
        (
            "uni_http_stream.handler_prefix",
            &config.uni_http_stream.handler_prefix,
            config.uni_http_stream.enabled,
        ),
        ("uni_sse.handler_prefix", &config.uni_sse.handler_prefix, config.uni_sse.enabled),
        ("admin.handler_prefix", admin_prefix, config.admin.enabled && !admin_prefix.is_empty()),
        ("admin.handler_prefix", &admin, config.admin.enabled),
    ];
    let served: Vec<(&'static str, &str)> = all
        .into_iter()
        .filter_map(|(name, path, is_served)| is_served.then_some((name, path)))
        .collect();
    for (at, &(name, path)) in served.iter().enumerate() {
        let is_path = path.len() > 1 && path.starts_with('/') && !path.ends_with('/');
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
        if !(is_path && is_plain) {
            let what = format!("is `{}`: expected a path such as /a/b", path.escape_debug());
            faults.push((name, what));
        }
        for (other_name, other) in &served[..at] {
            if collide(path, other, &[api, swagger, &admin]) {
                let what = format!("is `{path}`, which `{other_name}` (`{other}`) serves already");
                faults.push((name, what));
            }
        }
    }
    // One thing to put right for each option.
    faults.dedup_by_key(|(name, _)| *name);
    faults
}

/// Equal, or one lies below a folder: the API, where commands are, the page of it, or what the
/// operators' page asks.
fn collide(path: &str, other: &str, folders: &[&str]) -> bool {
    let is_inside = |path: &str, above: &str| {
        folders.contains(&above)
            && path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
    };
    path == other || is_inside(path, other) || is_inside(other, path)
}
