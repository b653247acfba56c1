//! The HTTP client for everything that this node asks of others: connections are kept and used
//! again, an answer is read up to a limit, and what is asked ends when nobody waits for it any more.

use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::tls::{TlsError, TlsOptions};

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);

/// How long a server may leave bytes without a word that they have come. Who vanishes would hold up
/// whoever shares a connection to it.
const VANISHED: Duration = Duration::from_secs(10);

/// Connections that nobody uses, for each server.
const IDLE_MAX: usize = 64;

/// A client, with the TLS it speaks.
#[derive(Clone, Debug)]
pub(in crate::control) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    answer_bytes_max: usize,
}

/// What a server said.
#[derive(Debug)]
pub(in crate::control) struct HttpAnswer {
    pub(in crate::control) status: StatusCode,
    pub(in crate::control) headers: HeaderMap,
    pub(in crate::control) body: Bytes,
    /// What came behind the body.
    pub(in crate::control) trailers: HeaderMap,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::control) enum Version {
    /// 1.1: one question at a time over each connection.
    One,
    /// 2, also without TLS: all questions over one connection.
    Two,
}

/// Why there is no answer. Tells nothing of what was asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::control) enum HttpError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl HttpClient {
    /// A client that reads answers of at most so many bytes. Without `tls` it speaks clear text
    /// alone.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn new(
        version: Version,
        tls: Option<&TlsOptions>,
        answer_bytes_max: usize,
    ) -> Result<Self, TlsError> {
        // No root is needed where no certificate is ever looked at.
        let config = tls.map_or_else(TlsOptions::without_roots, TlsOptions::client_config)?;
        let mut builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        if let Some(name) = tls.map(TlsOptions::server_name).transpose()?.flatten() {
            builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_tcp_user_timeout(Some(VANISHED));
        let connector = match version {
            Version::One => builder.enable_http1().wrap_connector(connector),
            Version::Two => builder.enable_http2().wrap_connector(connector),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .http2_only(version == Version::Two)
            .build(connector);
        Ok(Self { client, answer_bytes_max })
    }

    /// Asks, and reads the whole answer. Waits without end: whoever asks has a deadline.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(in crate::control) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<HttpAnswer, HttpError> {
        let response = self.client.request(request).await.map_err(|error| {
            let why = causes(&error);
            if error.is_connect() { HttpError::Unreachable(why) } else { HttpError::Broken(why) }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.answer_bytes_max).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLong(self.answer_bytes_max)
            } else {
                HttpError::Broken(causes(&*error))
            }
        })?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let (status, headers) = (head.status, head.headers);
        Ok(HttpAnswer { status, headers, body: body.to_bytes(), trailers })
    }
}

/// What libraries say of an error, its causes included.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
