//! The options of the backends that are asked about clients, in the form the control thread uses.

use std::time::Duration;

use crate::config::{Config, Headers, StatusTransform};
use crate::connection::options::{Choice, RefreshProxy};
use crate::control::outside::{BackendOptions, BreakerOptions, KEY_SEARCH_MAX, TlsOptions};
use crate::protocol::codes::{Disconnect, ErrorCode};
use crate::proxy::{CarriedNames, DataForm, Denied};

/// What is said of one backend, by whichever names.
struct Said<'c> {
    section: &'static str,
    endpoint: &'c str,
    timeout: Duration,
    shown: CarriedNames,
    added: &'c Headers,
    is_binary: bool,
    transforms: &'c [StatusTransform],
    tls: Option<TlsOptions>,
}

/// Who says who a client is that brings no token.
pub(super) fn connect(config: &Config) -> Option<BackendOptions> {
    said_of_connect(config).map(|said| backend(config, said))
}

/// Who says whether a session whose time is over goes on.
pub(super) fn refresh(config: &Config) -> Option<BackendOptions> {
    said_of_refresh(config).map(|said| backend(config, said))
}

/// How sessions go on, when a backend says it.
pub(super) fn renewals(config: &Config) -> Option<RefreshProxy> {
    let said = said_of_refresh(config)?;
    let refresh = &config.client.proxy.refresh;
    let shows_meta = if refresh.enabled {
        refresh.include_connection_meta
    } else {
        config.proxy_include_connection_meta
    };
    Some(RefreshProxy {
        shown: said.shown,
        meta: if shows_meta { Choice::Allow } else { Choice::Refuse },
        retry_ms: super::options::millis(refresh.retry_interval),
        grace_ms: super::options::millis(refresh.grace),
    })
}

/// What backends are shown of a client's request.
pub(super) fn shown(config: &Config) -> CarriedNames {
    let said = [said_of_connect(config), said_of_refresh(config)].into_iter().flatten();
    said.fold(CarriedNames::default(), |all, said| all.and(&said.shown))
}

/// The same options stand in several sections.
macro_rules! tls {
    ($tls:expr) => {
        $tls.enabled.then(|| TlsOptions {
            server_ca_pem: $tls.server_ca_pem.clone(),
            cert_pem: $tls.cert_pem.clone(),
            key_pem: $tls.key_pem.expose().to_owned(),
            server_name: $tls.server_name.clone(),
            insecure_skip_verify: $tls.insecure_skip_verify,
        })
    };
}

fn said_of_connect(config: &Config) -> Option<Said<'_>> {
    let connect = &config.client.proxy.connect;
    let said = Said {
        section: "client.proxy.connect",
        endpoint: &connect.endpoint,
        timeout: connect.timeout,
        shown: CarriedNames::new(
            &connect.http_headers,
            &connect.grpc_metadata,
            &connect.emulated_headers,
        ),
        added: &connect.http.static_headers,
        is_binary: connect.binary_encoding,
        transforms: &connect.http.status_to_code_transforms,
        tls: tls!(&connect.http.tls),
    };
    if connect.enabled {
        return Some(said);
    }
    old_names(config, ("proxy_connect_endpoint", &config.proxy_connect_endpoint), said)
}

fn said_of_refresh(config: &Config) -> Option<Said<'_>> {
    let refresh = &config.client.proxy.refresh;
    let said = Said {
        section: "client.proxy.refresh",
        endpoint: &refresh.endpoint,
        timeout: refresh.timeout,
        shown: CarriedNames::new(
            &refresh.http_headers,
            &refresh.grpc_metadata,
            &refresh.emulated_headers,
        ),
        added: &refresh.http.static_headers,
        is_binary: refresh.binary_encoding,
        transforms: &refresh.http.status_to_code_transforms,
        tls: tls!(&refresh.http.tls),
    };
    if refresh.enabled {
        return Some(said);
    }
    old_names(config, ("proxy_refresh_endpoint", &config.proxy_refresh_endpoint), said)
}

/// What Centrifugo v3 to v5 says of a proxy; the rest as it is said in the new way.
fn old_names<'c>(
    config: &'c Config,
    (section, endpoint): (&'static str, &'c str),
    said: Said<'c>,
) -> Option<Said<'c>> {
    (!endpoint.is_empty()).then(|| Said {
        section,
        endpoint,
        shown: CarriedNames::new(&config.proxy_http_headers, &config.proxy_grpc_metadata, &[]),
        added: &config.proxy_static_http_headers,
        is_binary: config.proxy_binary_encoding,
        ..said
    })
}

fn backend(config: &Config, said: Said<'_>) -> BackendOptions {
    let proxies = &config.client.proxy;
    let added = said.added.expose().map(|(name, value)| (name.to_owned(), value.to_owned()));
    BackendOptions {
        section: said.section,
        endpoint: said.endpoint.to_owned(),
        timeout: said.timeout,
        shown: said.shown,
        added: added.collect(),
        form: if said.is_binary { DataForm::Binary } else { DataForm::Json },
        refusals: said.transforms.iter().filter_map(refusal).collect(),
        tls: said.tls,
        concurrency_max: proxies.max_concurrency,
        waiting_max: proxies.max_waiting,
        answer_bytes_max: proxies.max_response_size,
        breaker: BreakerOptions {
            failures_max: proxies.breaker_failures,
            pause: proxies.breaker_pause,
        },
        labels: config.label_limits(),
    }
}

/// What the way to the control thread and back may take beyond what a backend may take.
const SLACK: Duration = Duration::from_secs(5);

/// How long a shard waits for what the outside says.
pub(super) fn inquiry_timeout_ms(config: &Config) -> u64 {
    let proxies = &config.client.proxy;
    let longest = proxies.connect.timeout.max(proxies.refresh.timeout).max(KEY_SEARCH_MAX);
    super::options::millis(longest + SLACK)
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
