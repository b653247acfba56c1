//! A response of gRPC: messages as they come, then the status in trailers.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Frame};
use tonic::Status;

use super::streams::{Next, Streams};
use crate::control::api::unwatched;
use crate::control::grpc::InProgress;
use crate::ids::StreamId;
use crate::messages::{StreamEnd, StreamRefusal};

/// The body of a response; by default empty, for a status that stands in the head.
#[derive(Default)]
pub(in crate::control) struct Pushes(Option<Live>);

struct Live {
    stream: StreamId,
    streams: Rc<RefCell<Streams>>,
    is_over: bool,
    _call: InProgress,
}

impl Pushes {
    pub(in crate::control) const fn new(
        stream: StreamId,
        streams: Rc<RefCell<Streams>>,
        call: InProgress,
    ) -> Self {
        Self(Some(Live { stream, streams, is_over: false, _call: call }))
    }
}

impl Body for Pushes {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(live) = self.0.as_mut().filter(|live| !live.is_over) else {
            return Poll::Ready(None);
        };
        let next = live.streams.borrow_mut().poll_next(live.stream, cx);
        let frame = match ready!(next) {
            // The messages have their prefixes already.
            Next::Bytes(bytes) => Frame::data(bytes),
            Next::End(end) => {
                live.is_over = true;
                Frame::trailers(trailers(&end))
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.streams.borrow_mut().left(self.stream);
    }
}

fn trailers(end: &StreamEnd) -> HeaderMap {
    let status = match end {
        StreamEnd::Regular => Status::ok(""),
        StreamEnd::Cut => Status::unavailable("cut: too much waited for this client"),
        StreamEnd::Refused(StreamRefusal::Limited) => {
            Status::unavailable("this node accepts no more connections now: try another, or later")
        }
        StreamEnd::Refused(StreamRefusal::TooOften { retry_after_s }) => {
            Status::resource_exhausted(format!(
                "this address connects too often: try again in {retry_after_s} s"
            ))
        }
        StreamEnd::Refused(StreamRefusal::Malformed(error)) => {
            Status::invalid_argument(format!("malformed ConnectRequest: {error}"))
        }
        StreamEnd::Refused(StreamRefusal::Unwatched(why)) => unwatched(why),
    };
    let mut trailers = HeaderMap::with_capacity(2);
    status.add_header(&mut trailers).expect("our own text is a header");
    trailers
}
