//! What callers are told by a status.

use hyper::body::Bytes;
use tonic::{Code, Status};

use super::calls::Unanswered;
use crate::api::transcode::{Failure, WriteError};
use crate::api::watch::Unread;
use crate::api::{ErrorKind, Refusal};
use crate::protocol::protobuf::{write_bytes, write_message, write_number};
use crate::wire::http1::Status as HttpStatus;

/// The type of the details (`google.protobuf.Any`).
const ERROR_URL: &str = "type.googleapis.com/centrifugal.centrifugo.api.Error";

/// The error of a command (Centrifugo `internal/apiproto/errors.go`), with itself in the details.
pub(super) fn failed(failure: &Failure<'_>) -> Status {
    let code = ErrorKind::of_code(failure.code).map_or(Code::Internal, code_of);
    let mut details = Vec::new();
    // google.rpc.Status
    write_number(&mut details, 1, code as u64);
    write_bytes(&mut details, 2, failure.message.as_bytes());
    write_message(&mut details, 3, |any| {
        write_bytes(any, 1, ERROR_URL.as_bytes());
        write_message(any, 2, |error| failure.write(error));
    });
    Status::with_details(code, failure.message.clone(), Bytes::from(details))
}

fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::UnknownChannel | ErrorKind::NotFound => Code::NotFound,
        ErrorKind::BadRequest | ErrorKind::NotAvailable => Code::InvalidArgument,
        ErrorKind::Internal => Code::Internal,
    }
}

/// A watch that did not begin.
pub(in crate::control) fn unwatched(why: &Unread) -> Status {
    match why {
        Unread::Error(error) => Status::new(code_of(error.kind()), error.message()),
        Unread::Refused(refusal) => refused(refusal),
    }
}

/// A request that is none, or comes too late.
fn refused(Refusal { status, body }: &Refusal) -> Status {
    match status {
        HttpStatus(503) => Status::unavailable(body.trim_end()),
        HttpStatus(_) => Status::invalid_argument(body.trim_end()),
    }
}

/// A call without a reply.
pub(super) fn unanswered(why: Unanswered) -> Status {
    match why {
        Unanswered::TooMany => Status::unavailable("too many calls wait: try again, or later"),
        Unanswered::Busy => Status::unavailable("a part of the server is busy: try again"),
        Unanswered::Refused(refusal) => refused(&refusal),
    }
}

/// A reply that is none: our mistake.
pub(super) fn unreadable(error: &WriteError) -> Status {
    tracing::error!(%error, "a reply could not be written for gRPC");
    Status::internal("internal server error")
}
