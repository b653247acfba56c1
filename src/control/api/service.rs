//! From an HTTP/2 request to a response: which service, which method, may the caller.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response};
use tokio::sync::watch;
use tonic::Status;

use super::body::{self, Frames};
use super::calls::{Calls, ask};
use super::health::{self, Health};
use super::{Errors, Reflection, reflection, status};
use crate::api;
use crate::api::Rpc;
use crate::api::schema::{PACKAGE, SERVICE};
use crate::api::transcode::Failure;
use crate::auth::ApiKey;
use crate::control::grpc::{CUT, InProgress, Reader, Service};
use crate::control::unigrpc::{Pushes, StreamCall, Streams, user_agent};
use crate::messages::StreamKind;
use crate::transport::grpc::{self, Message};

/// The services of one listener.
pub(super) struct Api {
    pub(super) calls: Rc<RefCell<Calls>>,
    pub(super) streams: Rc<RefCell<Streams>>,
    pub(super) reader: Reader,
    /// When callers must show one.
    pub(super) key: Option<ApiKey>,
    pub(super) errors: Errors,
    pub(super) reflection: Reflection,
    /// How long a shard may take.
    pub(super) answer_timeout: Duration,
    pub(super) health: watch::Receiver<Health>,
}

impl Service for Api {
    type Body = Frames;

    fn request_timeout(&self) -> Duration {
        self.reader.timeout
    }

    async fn answer(
        self: Rc<Self>,
        peer: IpAddr,
        call: InProgress,
        request: Request<Incoming>,
    ) -> Response<Frames> {
        let answered = self.dispatch(call, peer, request).await;
        answered.unwrap_or_else(|status| {
            let mut response = status.into_http();
            response.headers_mut().insert("grpc-accept-encoding", ENCODINGS);
            response
        })
    }
}

/// How requests may be compressed.
const ENCODINGS: hyper::header::HeaderValue =
    hyper::header::HeaderValue::from_static("identity,gzip");

impl Api {
    async fn dispatch(
        &self,
        call: InProgress,
        peer: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Frames>, Status> {
        let (head, incoming) = request.into_parts();
        let path = head.uri.path().to_owned();
        let unknown = || Status::unimplemented(format!("unknown method {path}"));
        let (service, method) = path[1..].split_once('/').ok_or_else(unknown)?;
        match (service, method) {
            (health::SERVICE, "Check") => {
                let request = self.read(&head, incoming).await?;
                let health = *self.health.borrow();
                Ok(body::one(call, &health::check(health, &request)?))
            }
            (health::SERVICE, "Watch") => {
                let request = self.read(&head, incoming).await?;
                Ok(health::watch(call, self.health.clone(), &request))
            }
            (reflection::V1 | reflection::V1_ALPHA, "ServerReflectionInfo")
                if self.reflection == Reflection::Served =>
            {
                Ok(reflection::serve(call, incoming, self.reader.message_bytes_max))
            }
            (service, api::watch::METHOD) if is_ours(service) => {
                self.watch(call, peer, &head, incoming).await
            }
            (service, method) if is_ours(service) => {
                let rpc = api::rpc(method).ok_or_else(unknown)?;
                let called = self.call(&rpc, &head, incoming);
                let over = || Status::deadline_exceeded("the caller's time is over");
                let response = match timeout(&head.headers)? {
                    None => called.await?,
                    // A timer would let through what is quick.
                    Some(Duration::ZERO) => return Err(over()),
                    Some(time) => {
                        tokio::time::timeout(time, called).await.map_err(|_elapsed| over())??
                    }
                };
                Ok(body::one(call, &response))
            }
            _ => Err(unknown()),
        }
    }

    /// A watch: a shard answers it by a stream of its own.
    async fn watch(
        &self,
        call: InProgress,
        peer: IpAddr,
        head: &Parts,
        incoming: Incoming,
    ) -> Result<Response<Frames>, Status> {
        self.admit(&head.headers)?;
        let request = self.read(head, incoming).await?;
        let request = api::watch::body_of(&request)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let opened = self.streams.borrow_mut().open(StreamCall {
            kind: StreamKind::Watch,
            request: request.into(),
            remote_addr: peer,
            user_agent: user_agent(&head.headers),
            metadata: Vec::new(),
            cut: CUT.with(|cut| cut.get().cloned()).expect("set before the task runs"),
        });
        let stream = opened.ok_or_else(|| Status::resource_exhausted("too many streams"))?;
        Ok(body::pushes(Pushes::new(stream, Rc::clone(&self.streams), call)))
    }

    /// Whether a caller may call at all.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Status> {
        if !self.admits(headers) {
            return Err(Status::unauthenticated("unauthenticated"));
        }
        if *self.health.borrow() == Health::NotServing {
            return Err(Status::unavailable("the server is shutting down"));
        }
        Ok(())
    }

    /// One call of the API to its response.
    async fn call(&self, rpc: &Rpc, head: &Parts, incoming: Incoming) -> Result<Vec<u8>, Status> {
        self.admit(&head.headers)?;
        let request = self.read(head, incoming).await?;
        let errors = match head.headers.get("x-centrifugo-error-mode") {
            Some(mode) if mode == "transport" => Errors::ByStatus,
            Some(_) | None => self.errors,
        };
        if let Rpc::Refused(error) = rpc {
            let code = error.kind().code();
            return told(errors, &Failure { code, message: error.message().into() });
        }
        let (route, body) =
            rpc.read(&request).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let asked = tokio::time::timeout(self.answer_timeout, ask(&self.calls, route, body));
        let reply = asked
            .await
            .map_err(|_elapsed| Status::deadline_exceeded("the server did not answer in time"))?
            .map_err(status::unanswered)?;
        match rpc.write(&reply).map_err(|error| status::unreadable(&error))? {
            Ok(response) => Ok(response),
            Err(failure) => told(errors, &failure),
        }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(key) = &self.key else { return true };
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        key.admits(None, shown, None)
    }

    /// The one message of a request, inflated.
    async fn read(&self, head: &Parts, incoming: Incoming) -> Result<Vec<u8>, Status> {
        let bytes = self.reader.read(incoming).await?;
        let message = grpc::message_of(&bytes)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        match message {
            Message::Plain(message) => Ok(message.to_vec()),
            Message::Compressed(message) => {
                if head.headers.get("grpc-encoding").is_none_or(|encoding| encoding != "gzip") {
                    return Err(Status::unimplemented(
                        "the message is compressed in a way that is not known: use gzip or none",
                    ));
                }
                grpc::inflate(message, self.reader.message_bytes_max).map_err(|error| match error {
                    grpc::InflateError::TooLong => self.reader.too_long(),
                    grpc::InflateError::Malformed => Status::invalid_argument(error.to_string()),
                })
            }
        }
    }
}

fn is_ours(service: &str) -> bool {
    service.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('.')) == Some(SERVICE)
}

/// The error of a command, in the way that was asked for.
fn told(errors: Errors, failure: &Failure<'_>) -> Result<Vec<u8>, Status> {
    match errors {
        Errors::InMessage => Ok(api::transcode::failed_response(failure)),
        Errors::ByStatus => Err(status::failed(failure)),
    }
}

/// How long the caller waits, when it says so (gRPC over HTTP/2, "Timeout").
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let malformed = || Status::invalid_argument("malformed grpc-timeout");
    let text = value.to_str().map_err(|_not_text| malformed())?;
    let (digits, unit) = text.split_at(text.len().saturating_sub(1));
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(malformed());
    }
    let number: u64 = digits.parse().map_err(|_not_a_number| malformed())?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return Err(malformed()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(
                hyper::header::HeaderName::from_static("grpc-timeout"),
                hyper::header::HeaderValue::from_static(text),
            )]);
            timeout(&headers).map_err(|status| status.code())
        };
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("5u", Duration::from_micros(5)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(of(text), Ok(Some(expected)), "{text}");
        }
        for text in ["", "S", "1", "1s", "123456789S", "-1S", "+1S", "1.5S", " 1S"] {
            assert_eq!(of(text), Err(tonic::Code::InvalidArgument), "{text}");
        }
        assert!(matches!(timeout(&HeaderMap::new()), Ok(None)));
    }

    #[test]
    fn the_service_has_its_full_name_and_no_other() {
        assert!(is_ours("centrifugal.centrifugo.api.CentrifugoApi"));
        for other in ["CentrifugoApi", "centrifugal.centrifugo.apiCentrifugoApi", ""] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
