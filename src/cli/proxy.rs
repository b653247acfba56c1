//! The options of the backends that are asked about clients, in the form the control thread uses.

use std::time::Duration;

use crate::config::{BackendTls, Config, NamedProxy, StatusTransform};
use crate::connection::options::{Choice, RefreshProxy};
use crate::control::outside::{
    BackendOptions, BreakerOptions, KEY_SEARCH_MAX, TlsOptions, WayOptions,
};
use crate::protocol::codes::{Disconnect, ErrorCode};
use crate::proxy::{CarriedNames, DataForm, Denied};

/// What is said of one backend, by whichever names.
struct Said<'c> {
    section: &'static str,
    endpoint: &'c str,
    timeout: Duration,
    shown: CarriedNames,
    is_binary: bool,
    shows_meta: bool,
    transforms: &'c [StatusTransform],
    http: WayOptions,
    grpc: WayOptions,
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
    Some(RefreshProxy {
        shown: said.shown,
        meta: if said.shows_meta { Choice::Allow } else { Choice::Refuse },
        retry_ms: super::options::millis(refresh.retry_interval),
        grace_ms: super::options::millis(refresh.grace),
    })
}

/// What backends are shown of a client's request.
pub(super) fn shown(config: &Config) -> CarriedNames {
    let said = [said_of_connect(config), said_of_refresh(config)].into_iter().flatten();
    said.fold(CarriedNames::default(), |all, said| all.and(&said.shown))
}

/// TLS to a backend, if it is wanted.
pub(super) fn tls(said: &BackendTls) -> Option<TlsOptions> {
    said.enabled.then(|| TlsOptions {
        server_ca_pem: said.server_ca_pem.clone(),
        cert_pem: said.cert_pem.clone(),
        key_pem: said.key_pem.expose().to_owned(),
        server_name: said.server_name.clone(),
        insecure_skip_verify: said.insecure_skip_verify,
    })
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
        is_binary: connect.binary_encoding,
        shows_meta: false,
        transforms: &connect.http.status_to_code_transforms,
        http: way(connect.http.static_headers.expose(), NO_CREDENTIALS, tls(&connect.http.tls)),
        grpc: way(
            connect.grpc.static_metadata.expose(),
            (&connect.grpc.credentials_key, connect.grpc.credentials_value.expose()),
            tls(&connect.grpc.tls),
        ),
    };
    if connect.enabled {
        return Some(said);
    }
    if config.granular_proxy_mode {
        return config.named_connect_proxy().map(|proxy| named(proxy, "connect_proxy_name", said));
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
        is_binary: refresh.binary_encoding,
        shows_meta: refresh.include_connection_meta,
        transforms: &refresh.http.status_to_code_transforms,
        http: way(refresh.http.static_headers.expose(), NO_CREDENTIALS, tls(&refresh.http.tls)),
        grpc: way(
            refresh.grpc.static_metadata.expose(),
            (&refresh.grpc.credentials_key, refresh.grpc.credentials_value.expose()),
            tls(&refresh.grpc.tls),
        ),
    };
    if refresh.enabled {
        return Some(said);
    }
    if config.granular_proxy_mode {
        return config.named_refresh_proxy().map(|proxy| named(proxy, "refresh_proxy_name", said));
    }
    old_names(config, ("proxy_refresh_endpoint", &config.proxy_refresh_endpoint), said)
}

/// What Centrifugo v3 to v5 says of a proxy; the rest as it is said in the new way.
fn old_names<'c>(
    config: &'c Config,
    (section, endpoint): (&'static str, &'c str),
    said: Said<'c>,
) -> Option<Said<'c>> {
    let secret = config.proxy_grpc_credentials_value.expose();
    let credentials = (config.proxy_grpc_credentials_key.as_str(), secret);
    (!endpoint.is_empty()).then(|| Said {
        section,
        endpoint,
        http: way(config.proxy_static_http_headers.expose(), NO_CREDENTIALS, said.http.tls),
        grpc: way(
            std::iter::empty(),
            credentials,
            trusting(&config.proxy_grpc_cert_file).or(said.grpc.tls),
        ),
        shown: CarriedNames::new(&config.proxy_http_headers, &config.proxy_grpc_metadata, &[]),
        is_binary: config.proxy_binary_encoding,
        shows_meta: config.proxy_include_connection_meta,
        ..said
    })
}

/// A backend that is listed by name; the rest as it is said in the new way.
fn named<'c>(proxy: &'c NamedProxy, section: &'static str, said: Said<'c>) -> Said<'c> {
    let added = proxy.static_http_headers.iter();
    let added = added.map(|(name, value)| (name.as_str(), value.as_str()));
    let credentials = (proxy.grpc_credentials_key.as_str(), proxy.grpc_credentials_value.as_str());
    Said {
        section,
        endpoint: &proxy.endpoint,
        timeout: proxy.timeout,
        shown: CarriedNames::new(&proxy.http_headers, &proxy.grpc_metadata, &[]),
        is_binary: proxy.binary_encoding,
        shows_meta: proxy.include_connection_meta,
        http: way(added, NO_CREDENTIALS, said.http.tls),
        grpc: way(
            std::iter::empty(),
            credentials,
            trusting(&proxy.grpc_cert_file).or(said.grpc.tls),
        ),
        ..said
    }
}

/// TLS to whoever shows a certificate that leads to these, if there are any.
fn trusting(certificates: &str) -> Option<TlsOptions> {
    let server_ca_pem = certificates.to_owned();
    (!certificates.is_empty()).then(|| TlsOptions { server_ca_pem, ..TlsOptions::default() })
}

fn way<'c>(
    added: impl Iterator<Item = (&'c str, &'c str)>,
    credentials: (&'c str, &'c str),
    tls: Option<TlsOptions>,
) -> WayOptions {
    let credentials = Some(credentials).filter(|(name, _)| !name.is_empty());
    let added = added.chain(credentials);
    WayOptions { added: added.map(|(name, value)| (name.into(), value.into())).collect(), tls }
}

/// No metadata beside the others.
const NO_CREDENTIALS: (&str, &str) = ("", "");

fn backend(config: &Config, said: Said<'_>) -> BackendOptions {
    let proxies = &config.client.proxy;
    BackendOptions {
        section: said.section,
        endpoint: said.endpoint.to_owned(),
        timeout: said.timeout,
        shown: said.shown,
        form: if said.is_binary { DataForm::Binary } else { DataForm::Json },
        refusals: said.transforms.iter().filter_map(refusal).collect(),
        http: said.http,
        grpc: said.grpc,
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
    let said = [said_of_connect(config), said_of_refresh(config)].into_iter().flatten();
    let longest = said.map(|said| said.timeout).fold(KEY_SEARCH_MAX, Duration::max);
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
