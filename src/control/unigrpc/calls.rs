//! From an HTTP/2 request to a stream: what is no call of ours is refused, the rest is read and
//! given to a shard.

use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::task::AbortHandle;
use tonic::Status;

use super::body::Pushes;
use super::streams::{Call, Streams};
use crate::ids::StreamId;
use crate::transport::grpc::{FramingError, PREFIX_BYTES, only_message};

/// The one method (`unistream.proto` of Centrifugo).
const METHOD: &str = "/centrifugal.centrifugo.unistream.CentrifugoUniStream/Consume";

/// Bytes of all requests that are being read. Beyond it a call is refused with
/// `RESOURCE_EXHAUSTED`: one connection can carry very many of them.
const READING_BYTES_MAX: usize = 64 * 1024 * 1024;

tokio::task_local! {
    /// How the task that answers a request can be ended.
    pub(super) static CUT: Rc<OnceCell<AbortHandle>>;
}

/// What all calls of the node share.
pub(super) struct Calls {
    pub(super) streams: Rc<RefCell<Streams>>,
    /// Bytes of the longest message a client may send.
    pub(super) message_bytes_max: usize,
    /// How long a client may take to send it.
    pub(super) request_timeout: Duration,
    /// Bytes of requests that are being read.
    reading: Cell<usize>,
}

/// Calls of one connection.
#[derive(Default)]
pub(super) struct Count {
    open: Cell<usize>,
    began: Cell<bool>,
}

impl Count {
    /// Whether there was none since this was last asked.
    pub(super) fn was_idle(&self) -> bool {
        !self.began.replace(false) && self.open.get() == 0
    }
}

/// A call as long as it lasts.
pub(super) struct InProgress(Rc<Count>);

impl InProgress {
    pub(super) fn new(count: Rc<Count>) -> Self {
        count.began.set(true);
        count.open.set(count.open.get() + 1);
        Self(count)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl Calls {
    pub(super) const fn new(
        streams: Rc<RefCell<Streams>>,
        message_bytes_max: usize,
        request_timeout: Duration,
    ) -> Self {
        Self { streams, message_bytes_max, request_timeout, reading: Cell::new(0) }
    }

    /// Answers one request.
    pub(super) async fn answer(
        self: Rc<Self>,
        peer: IpAddr,
        call: InProgress,
        request: Request<Incoming>,
    ) -> Result<Response<Pushes>, Infallible> {
        if let Err(status) = is_grpc(&request) {
            let mut response = Response::new(Pushes::default());
            *response.status_mut() = status;
            return Ok(response);
        }
        let stream = match self.open(peer, request).await {
            Ok(stream) => stream,
            Err(status) => return Ok(status.into_http()),
        };
        let mut response = Response::new(Pushes::new(stream, Rc::clone(&self.streams), call));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Ok(response)
    }

    async fn open(&self, peer: IpAddr, request: Request<Incoming>) -> Result<StreamId, Status> {
        let (head, body) = request.into_parts();
        if head.uri.path() != METHOD {
            return Err(Status::unimplemented(format!("unknown method {}", head.uri.path())));
        }
        let read = tokio::time::timeout(self.request_timeout, self.read(body));
        let bytes = read.await.map_err(|_elapsed| {
            Status::deadline_exceeded("the request did not become whole in time")
        })??;
        let message = only_message(&bytes).map_err(|error| match error {
            FramingError::Compressed => Status::unimplemented(error.to_string()),
            FramingError::NotOne => Status::invalid_argument(error.to_string()),
        })?;
        let call = Call {
            request: message.into(),
            remote_addr: peer,
            user_agent: user_agent(&head.headers),
            cut: CUT.with(|cut| cut.get().cloned()).expect("set before the task runs"),
        };
        let opened = self.streams.borrow_mut().open(call);
        opened.ok_or_else(|| Status::resource_exhausted("too many streams on this node"))
    }

    /// The whole body of a request.
    async fn read(&self, mut body: Incoming) -> Result<Vec<u8>, Status> {
        let (mut read, mut bytes) = (Reading { all: &self.reading, bytes: 0 }, Vec::new());
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|error| Status::cancelled(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > PREFIX_BYTES + self.message_bytes_max {
                let why = format!("message longer than {} bytes", self.message_bytes_max);
                return Err(Status::resource_exhausted(why));
            }
            read.count(data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }
}

/// The part that one request has in the bytes being read.
struct Reading<'a> {
    all: &'a Cell<usize>,
    bytes: usize,
}

impl Reading<'_> {
    fn count(&mut self, bytes: usize) -> Result<(), Status> {
        let all = self.all.get() + bytes;
        if all > READING_BYTES_MAX {
            return Err(Status::resource_exhausted("too many requests are being read"));
        }
        self.all.set(all);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.bytes);
    }
}

/// Whether a request speaks gRPC at all; what plain HTTP says to it when not (gRPC over HTTP/2,
/// "Requests").
fn is_grpc(request: &Request<Incoming>) -> Result<(), StatusCode> {
    let content_type = request.headers().get(CONTENT_TYPE);
    if request.method() != Method::POST {
        Err(StatusCode::METHOD_NOT_ALLOWED)
    } else if content_type.is_none_or(|it| !it.as_bytes().starts_with(b"application/grpc")) {
        Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    } else {
        Ok(())
    }
}

/// As a text; what is none is left out.
fn user_agent(headers: &HeaderMap) -> Box<str> {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default().into()
}
