//! What types cannot say about the options of proxies.

use std::time::Duration;

use super::setting::StatusTransform;
use super::table::Config;
use super::validate::{Fault, duration_fault};

/// Questions that may be put to one backend at once.
const CONCURRENCY_MAX: usize = 10_000;

/// Questions that may wait for one backend.
const WAITING_MAX: usize = 1_000_000;

/// What a close frame leaves for a reason (RFC 6455 §5.5).
const REASON_BYTES_MAX: usize = 123;

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What cannot be meant.
pub(super) fn faults(config: &Config, faults: &mut Vec<Fault>) {
    let proxies = &config.client.proxy;
    let (connect, refresh) = (&proxies.connect, &proxies.refresh);
    for (path, value, allowed) in [
        ("client.proxy.connect.timeout", connect.timeout, MILLISECOND..=MINUTE),
        ("client.proxy.refresh.timeout", refresh.timeout, MILLISECOND..=MINUTE),
        ("client.proxy.breaker_pause", proxies.breaker_pause, MILLISECOND..=60 * MINUTE),
        (
            "client.proxy.refresh.retry_interval",
            refresh.retry_interval,
            100 * MILLISECOND..=24 * 60 * MINUTE,
        ),
        ("client.proxy.refresh.grace", refresh.grace, Duration::ZERO..=365 * 24 * 60 * MINUTE),
    ] {
        faults.extend(duration_fault(path, value, allowed));
    }
    for (path, name, proxy) in [
        ("connect_proxy_name", &config.connect_proxy_name, config.named_connect_proxy()),
        ("refresh_proxy_name", &config.refresh_proxy_name, config.named_refresh_proxy()),
    ] {
        match proxy {
            Some(proxy) => {
                faults.extend(duration_fault("proxies", proxy.timeout, MILLISECOND..=MINUTE));
            }
            None if config.granular_proxy_mode && !name.is_empty() => {
                faults.push((path, format!("is {name:?}: `proxies` holds none of that name")));
            }
            None => {}
        }
    }
    if !(1..=CONCURRENCY_MAX).contains(&proxies.max_concurrency) {
        let what = format!("must be from 1 to {CONCURRENCY_MAX}: each is a connection");
        faults.push(("client.proxy.max_concurrency", what));
    }
    if proxies.max_waiting > WAITING_MAX {
        faults.push(("client.proxy.max_waiting", format!("must be at most {WAITING_MAX}")));
    }
    for (path, lines) in [
        (
            "client.proxy.connect.http.status_to_code_transforms",
            &connect.http.status_to_code_transforms,
        ),
        (
            "client.proxy.refresh.http.status_to_code_transforms",
            &refresh.http.status_to_code_transforms,
        ),
    ] {
        faults.extend(lines.iter().filter_map(|line| Some((path, what_is_wrong(line)?))));
    }
}

/// What is wrong with what a status is turned into.
fn what_is_wrong(line: &StatusTransform) -> Option<String> {
    let what = match (&line.to_error, &line.to_disconnect) {
        (Some(_), None) => return None,
        (None, Some(to)) if !(3000..=4999).contains(&to.code) => {
            format!("into disconnect {}: disconnects are 3000 to 4999", to.code)
        }
        (None, Some(to)) if to.reason.len() > REASON_BYTES_MAX || !to.reason.is_ascii() => {
            format!("into a reason that is no ASCII of at most {REASON_BYTES_MAX} bytes")
        }
        (None, Some(_)) => return None,
        (Some(_), Some(_)) | (None, None) => {
            "into neither or both of to_error and to_disconnect: say one".to_owned()
        }
    };
    Some(format!("turns status {} {what}", line.status_code))
}

/// What is allowed and should be known.
pub(super) fn dangers(config: &Config) -> [(bool, &'static str); 4] {
    let (connect, refresh) = (&config.client.proxy.connect, &config.client.proxy.refresh);
    [
        (
            connect.http.tls.enabled && connect.http.tls.insecure_skip_verify,
            "client.proxy.connect.http.tls.insecure_skip_verify lets whoever answers be the backend",
        ),
        (
            connect.grpc.tls.enabled && connect.grpc.tls.insecure_skip_verify,
            "client.proxy.connect.grpc.tls.insecure_skip_verify lets whoever answers be the backend",
        ),
        (
            refresh.grpc.tls.enabled && refresh.grpc.tls.insecure_skip_verify,
            "client.proxy.refresh.grpc.tls.insecure_skip_verify lets whoever answers be the backend",
        ),
        (
            refresh.http.tls.enabled && refresh.http.tls.insecure_skip_verify,
            "client.proxy.refresh.http.tls.insecure_skip_verify lets whoever answers be the backend",
        ),
    ]
}
