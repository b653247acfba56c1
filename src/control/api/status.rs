//! What callers are told by a status.

use hyper::body::Bytes;
use tonic::{Code, Status};

use super::calls::Unanswered;
use crate::api::transcode::{Failure, WriteError};
use crate::api::{ErrorKind, Refusal};
use crate::protocol::protobuf::{write_bytes, write_message, write_number};
use crate::wire::http1::Status as HttpStatus;

/// The type of the details (`google.protobuf.Any`).
const ERROR_URL: &str = "type.googleapis.com/centrifugal.centrifugo.api.Error";

/// The error of a command (Centrifugo `internal/apiproto/errors.go`), with itself in the details.
pub(super) fn failed(failure: &Failure<'_>) -> Status {
    let code = match ErrorKind::of_code(failure.code) {
        Some(ErrorKind::UnknownChannel | ErrorKind::NotFound) => Code::NotFound,
        Some(ErrorKind::BadRequest | ErrorKind::NotAvailable) => Code::InvalidArgument,
        Some(ErrorKind::Internal) | None => Code::Internal,
    };
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

/// A call without a reply.
pub(super) fn unanswered(why: Unanswered) -> Status {
    match why {
        Unanswered::TooMany => Status::unavailable("too many calls wait: try again, or later"),
        Unanswered::Busy => Status::unavailable("a part of the server is busy: try again"),
        Unanswered::Refused(Refusal { status: HttpStatus(503), body }) => {
            Status::unavailable(body.trim_end())
        }
        Unanswered::Refused(Refusal { body, .. }) => Status::invalid_argument(body.trim_end()),
    }
}

/// A reply that is none: our mistake.
pub(super) fn unreadable(error: &WriteError) -> Status {
    tracing::error!(%error, "a reply could not be written for gRPC");
    Status::internal("internal server error")
}
