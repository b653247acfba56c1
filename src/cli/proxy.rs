//! The options of the backends that are asked about clients, in the form the control thread uses.

use std::time::Duration;

use crate::config::{Config, ConnectProxyTls, StatusTransform};
use crate::control::outside::{BackendOptions, BreakerOptions, KEY_SEARCH_MAX, TlsOptions};
use crate::protocol::codes::{Disconnect, ErrorCode};
use crate::proxy::{CarriedNames, DataForm, Denied};

/// Who says who a client is that brings no token.
pub(super) fn connect(config: &Config) -> Option<BackendOptions> {
    let proxies = &config.client.proxy;
    let connect = &proxies.connect;
    let is_old = !connect.enabled && !config.proxy_connect_endpoint.is_empty();
    if !connect.enabled && !is_old {
        return None;
    }
    let (endpoint, static_headers, is_binary) = if is_old {
        let headers = &config.proxy_static_http_headers;
        (&config.proxy_connect_endpoint, headers, config.proxy_binary_encoding)
    } else {
        (&connect.endpoint, &connect.http.static_headers, connect.binary_encoding)
    };
    let added = static_headers.expose().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some(BackendOptions {
        section: if is_old { "proxy_connect_endpoint" } else { "client.proxy.connect" },
        endpoint: endpoint.clone(),
        timeout: connect.timeout,
        shown: shown(config),
        added: added.collect(),
        form: if is_binary { DataForm::Binary } else { DataForm::Json },
        refusals: connect.http.status_to_code_transforms.iter().filter_map(refusal).collect(),
        tls: tls(&connect.http.tls),
        concurrency_max: proxies.max_concurrency,
        waiting_max: proxies.max_waiting,
        answer_bytes_max: proxies.max_response_size,
        breaker: BreakerOptions {
            failures_max: proxies.breaker_failures,
            pause: proxies.breaker_pause,
        },
        labels: config.label_limits(),
    })
}

/// What it is shown of a client's request.
pub(super) fn shown(config: &Config) -> CarriedNames {
    let connect = &config.client.proxy.connect;
    if connect.enabled {
        CarriedNames::new(&connect.http_headers, &connect.grpc_metadata, &connect.emulated_headers)
    } else if config.proxy_connect_endpoint.is_empty() {
        CarriedNames::default()
    } else {
        CarriedNames::new(&config.proxy_http_headers, &config.proxy_grpc_metadata, &[])
    }
}

/// What the way to the control thread and back may take beyond what a backend may take.
const SLACK: Duration = Duration::from_secs(5);

/// How long a shard waits for what the outside says.
pub(super) fn inquiry_timeout_ms(config: &Config) -> u64 {
    super::options::millis(config.client.proxy.connect.timeout.max(KEY_SEARCH_MAX) + SLACK)
}

/// A line says exactly one thing; the configuration was checked first.
fn refusal(line: &StatusTransform) -> Option<(u16, Denied)> {
    let denied = match (&line.to_error, &line.to_disconnect) {
        (Some(error), _) => Denied::Error(ErrorCode {
            code: error.code,
            message: error.message.clone().into(),
            temporary: error.temporary,
        }),
        (None, Some(disconnect)) => {
            let (code, reason) = (disconnect.code, disconnect.reason.clone().into());
            Denied::Disconnect(Disconnect { code, reason })
        }
        (None, None) => return None,
    };
    Some((line.status_code, denied))
}

fn tls(tls: &ConnectProxyTls) -> Option<TlsOptions> {
    tls.enabled.then(|| TlsOptions {
        server_ca_pem: tls.server_ca_pem.clone(),
        cert_pem: tls.cert_pem.clone(),
        key_pem: tls.key_pem.expose().to_owned(),
        server_name: tls.server_name.clone(),
        insecure_skip_verify: tls.insecure_skip_verify,
    })
}
