//! The body of a response: frames as somebody sends them, then the status in trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response};
use tokio::sync::mpsc;
use tonic::Status;

use crate::control::grpc::InProgress;
use crate::control::unigrpc::Pushes;
use crate::transport::grpc::{self, PREFIX_BYTES};

/// Messages of a stream that may wait until the connection takes them.
const FRAMES_MAX: usize = 4;

/// The body of a response; by default empty, for a status that stands in the head.
#[derive(Default)]
pub(super) enum Frames {
    #[default]
    Empty,
    /// What a task of this thread sends.
    Sent(Open),
    /// What a shard sends.
    Pushed(Pushes),
}

pub(super) struct Open {
    frames: mpsc::Receiver<Frame<Bytes>>,
    _call: InProgress,
}

/// Sends the messages of one response, and at last its status.
pub(super) struct Sender(mpsc::Sender<Frame<Bytes>>);

/// The caller reads no more.
#[derive(Debug)]
pub(super) struct Left;

/// A response that consists of what its sender sends.
pub(super) fn stream(call: InProgress) -> (Sender, Response<Frames>) {
    let (sender, frames) = mpsc::channel(FRAMES_MAX);
    (Sender(sender), respond(Frames::Sent(Open { frames, _call: call })))
}

/// A response that consists of what a shard sends.
pub(super) fn pushes(pushes: Pushes) -> Response<Frames> {
    respond(Frames::Pushed(pushes))
}

fn respond(frames: Frames) -> Response<Frames> {
    let mut response = Response::new(frames);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A response of one message.
pub(super) fn one(call: InProgress, message: &[u8]) -> Response<Frames> {
    let (sender, response) = stream(call);
    let frames = [data(message), trailers(&Status::ok(""))];
    for frame in frames {
        sender.0.try_send(frame).expect("there is room for two frames");
    }
    response
}

impl Sender {
    /// Sends one message; waits for room.
    pub(super) async fn send(&self, message: &[u8]) -> Result<(), Left> {
        self.0.send(data(message)).await.map_err(|_closed| Left)
    }

    /// Sends the status.
    pub(super) async fn end(self, status: Status) {
        // When the caller has gone, nobody wants to know.
        let _gone = self.0.send(trailers(&status)).await;
    }

    /// Waits until the caller reads no more.
    pub(super) async fn left(&self) {
        self.0.closed().await;
    }
}

fn data(message: &[u8]) -> Frame<Bytes> {
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    grpc::message(&mut framed, |out| out.extend_from_slice(message));
    Frame::data(framed.into())
}

fn trailers(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::with_capacity(2);
    status.add_header(&mut trailers).expect("our own text is a header");
    Frame::trailers(trailers)
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Sent(open) => open.frames.poll_recv(cx).map(|frame| frame.map(Ok)),
            Self::Pushed(pushes) => Pin::new(pushes).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Sent(_) => false,
            Self::Pushed(pushes) => pushes.is_end_stream(),
        }
    }
}
