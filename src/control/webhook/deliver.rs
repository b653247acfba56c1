//! One request to the backend, until it is taken.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::watch;
use tokio::time::Instant;

use super::WebhookOptions;
use super::signature::Signer;
use crate::api::WebhookFacts;
use crate::control::endpoint::unix_ms;
use crate::control::outside::{BackendError, Complaints, HttpClient, Version, client, endpoint};

/// The section of the configuration that says it.
const SECTION: &str = "session_webhook";

/// Bytes of the longest answer; nobody reads it.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Who sends.
pub(super) struct Deliverer {
    endpoint: Uri,
    client: HttpClient,
    signer: Signer,
    added: HeaderMap,
    timeout: Duration,
    retry_min: Duration,
    retry_max: Duration,
    complaints: Complaints,
}

/// What is sent.
pub(super) struct Delivery {
    /// Its name: the same for each try.
    pub(super) id: String,
    pub(super) body: Bytes,
    /// Events in it, and the number of the last.
    pub(super) events: u64,
    pub(super) last: u64,
    /// What stood among them in the file and is no event.
    pub(super) damaged: u64,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Taken,
    /// The backend takes no request as large as this one of more than one event.
    TooLarge,
}

impl Deliverer {
    /// # Errors
    /// Nothing can be sent there.
    pub(super) fn new(options: &WebhookOptions) -> Result<Self, BackendError> {
        let endpoint = endpoint(SECTION, &options.endpoint)?;
        let client =
            client(Version::One, (SECTION, &endpoint), options.tls.as_ref(), ANSWER_BYTES_MAX)?;
        let mut added = HeaderMap::new();
        for (name, value) in &options.added {
            let header = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value);
            let (Ok(name), Ok(value)) = (header, value) else {
                return Err(BackendError::Header { section: SECTION, name: name.clone() });
            };
            added.append(name, value);
        }
        let (timeout, retry_min, retry_max) =
            (options.timeout, options.retry_min, options.retry_max);
        let signer = options.signer.clone();
        let complaints = Complaints::default();
        Ok(Self { endpoint, client, signer, added, timeout, retry_min, retry_max, complaints })
    }

    /// Sends it, again and again until the backend answers with a status of success, or that fewer
    /// events should come at once.
    pub(super) async fn deliver(
        &self,
        delivery: &Delivery,
        facts: &watch::Sender<WebhookFacts>,
    ) -> Outcome {
        let mut failures = 0;
        loop {
            let why = match self.send(delivery).await {
                Ok(status) if status.is_success() => break,
                Ok(StatusCode::PAYLOAD_TOO_LARGE) if delivery.events > 1 => {
                    facts.send_modify(|facts| facts.failures += 1);
                    return Outcome::TooLarge;
                }
                Ok(StatusCode::PAYLOAD_TOO_LARGE) => {
                    format!("status 413 for the one event of request {}", delivery.id)
                }
                Ok(status) => format!("status {status}"),
                Err(why) => why,
            };
            failures += 1;
            facts.send_modify(|facts| facts.failures += 1);
            if self.complaints.is_due(Instant::now()).is_some() {
                let WebhookFacts { waiting, .. } = *facts.borrow();
                tracing::warn!(
                    failures,
                    waiting,
                    why,
                    "the webhook is not taken: events wait and are sent again"
                );
            }
            tokio::time::sleep(self.pause(failures)).await;
        }
        if failures > 0 {
            tracing::info!(failures, "the webhook is taken again");
        }
        Outcome::Taken
    }

    /// Sends it once; or why there is no answer.
    async fn send(&self, delivery: &Delivery) -> Result<StatusCode, String> {
        let asked = self.client.ask(self.request(delivery));
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(answer)) => Ok(answer.status),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("no answer in time".to_owned()),
        }
    }

    fn request(&self, delivery: &Delivery) -> Request<Full<Bytes>> {
        let timestamp_s = i64::try_from(unix_ms() / 1000).unwrap_or(i64::MAX);
        let signature = self.signer.header(&delivery.id, timestamp_s, &delivery.body);
        let mut request = Request::new(Full::new(delivery.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.added);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("Rollcall/", env!("CARGO_PKG_VERSION"))),
        );
        let ours = [
            ("webhook-id", delivery.id.clone()),
            ("webhook-timestamp", timestamp_s.to_string()),
            ("webhook-signature", signature),
        ];
        for (name, value) in ours {
            let value = HeaderValue::from_str(&value).expect("digits, letters and Base64");
            headers.insert(HeaderName::from_static(name), value);
        }
        request
    }

    /// How long to wait after so many failures in a row: twice as long each time, and between a
    /// half and all of that, so that many nodes do not come back at once.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = self.retry_min.saturating_mul(2_u32.saturating_pow(failures - 1));
        let most = doubled.min(self.retry_max);
        // Without random bytes it is the longest.
        let share = SysRng.try_next_u32().unwrap_or(u32::MAX);
        most.mul_f64(0.5 + 0.5 * f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::tests::options;
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_no_two_the_same() {
        let deliverer = Deliverer::new(&options("http://a/b")).unwrap();
        let millis = |failures| deliverer.pause(failures).as_millis();
        for (failures, least, most) in [(1, 50, 100), (2, 100, 200), (9, 500, 1_000)] {
            assert!((least..=most).contains(&millis(failures)));
        }
        assert!((500..=1_000).contains(&millis(u32::MAX)));
        let first = deliverer.pause(9);
        assert!((0..100).any(|_| deliverer.pause(9) != first));
    }

    #[test]
    fn what_cannot_be_sent_is_said_before_anything_is() {
        for endpoint in ["", "backend/path", "ftp://backend/", "http://user:pw@backend/"] {
            let error = Deliverer::new(&options(endpoint)).err().map(|error| error.to_string());
            let expected = "session_webhook.endpoint is no URL such as http://backend:3000/path";
            assert_eq!(error.as_deref(), Some(expected), "{endpoint}");
        }
        let added = vec![("no name".to_owned(), "secret value".to_owned())];
        let error = Deliverer::new(&WebhookOptions { added, ..options("http://a/") }).err();
        let error = error.map(|error| error.to_string()).unwrap();
        assert!(error.contains("`no name`") && !error.contains("secret value"), "{error}");
    }

    #[test]
    fn who_finds_a_request_too_large_is_sent_fewer_events() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let deliverer = Deliverer::new(&options(&url)).unwrap();
            let body = Bytes::from_static(b"{}");
            let delivery =
                Delivery { id: "q-1-2".to_owned(), body, events: 2, last: 2, damaged: 0 };
            let refuse = async {
                let (mut peer, _) = listener.accept().await.unwrap();
                let read = peer.read(&mut [0; 4_096]).await.unwrap();
                assert!(read > 0);
                peer.write_all(b"HTTP/1.1 413 .\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                peer
            };
            let (told, facts) = watch::channel(WebhookFacts::default());
            let (outcome, _peer) = tokio::join!(deliverer.deliver(&delivery, &told), refuse);
            assert_eq!(facts.borrow().failures, 1);
            outcome
        });
        assert_eq!(outcome, Outcome::TooLarge);
    }
}
