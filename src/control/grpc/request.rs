//! A request as far as every method of every service reads it the same way.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use tonic::Status;

use crate::transport::grpc::PREFIX_BYTES;

/// Bytes of all requests of one service that are being read. Beyond it a call is refused with
/// `RESOURCE_EXHAUSTED`: one connection can carry very many of them.
const READING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads the requests of one service.
pub(in crate::control) struct Reader {
    /// Bytes of the longest message a client may send.
    pub(in crate::control) message_bytes_max: usize,
    /// How long a client may take to send it.
    pub(in crate::control) timeout: Duration,
    /// Bytes of requests that are being read.
    reading: Cell<usize>,
}

impl Reader {
    pub(in crate::control) const fn new(message_bytes_max: usize, timeout: Duration) -> Self {
        Self { message_bytes_max, timeout, reading: Cell::new(0) }
    }

    /// The whole body of a request of one message.
    pub(in crate::control) async fn read(&self, body: Incoming) -> Result<Vec<u8>, Status> {
        let read = tokio::time::timeout(self.timeout, self.read_on(body));
        read.await.map_err(|_elapsed| {
            Status::deadline_exceeded("the request did not become whole in time")
        })?
    }

    async fn read_on(&self, mut body: Incoming) -> Result<Vec<u8>, Status> {
        let (mut read, mut bytes) = (Reading { all: &self.reading, bytes: 0 }, Vec::new());
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|error| Status::cancelled(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > PREFIX_BYTES + self.message_bytes_max {
                return Err(self.too_long());
            }
            read.count(data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }

    /// What a client is told whose message is too long.
    pub(in crate::control) fn too_long(&self) -> Status {
        Status::resource_exhausted(format!("message longer than {} bytes", self.message_bytes_max))
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
pub(super) fn is_grpc(request: &Request<Incoming>) -> Result<(), StatusCode> {
    let content_type = request.headers().get(CONTENT_TYPE);
    if request.method() != Method::POST {
        Err(StatusCode::METHOD_NOT_ALLOWED)
    } else if content_type.is_none_or(|it| !it.as_bytes().starts_with(b"application/grpc")) {
        Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    } else {
        Ok(())
    }
}
