//! From an HTTP/2 request to a stream: what is no call of ours is refused, the rest is read and
//! given to a shard.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Request, Response};
use tonic::Status;

use super::body::Pushes;
use super::streams::{Call, Streams};
use crate::control::grpc::{CUT, InProgress, Reader, Service};
use crate::ids::StreamId;
use crate::messages::StreamKind;
use crate::proxy::Header;
use crate::transport::grpc::{FramingError, only_message};

/// The one method (`unistream.proto` of Centrifugo).
const METHOD: &str = "/centrifugal.centrifugo.unistream.CentrifugoUniStream/Consume";

/// What all calls of the node share.
pub(super) struct Calls {
    pub(super) streams: Rc<RefCell<Streams>>,
    pub(super) reader: Reader,
    /// Names of the metadata that backends are shown, in lower case.
    pub(super) shown: Vec<String>,
}

impl Service for Calls {
    type Body = Pushes;

    fn request_timeout(&self) -> Duration {
        self.reader.timeout
    }

    async fn answer(
        self: Rc<Self>,
        peer: IpAddr,
        call: InProgress,
        request: Request<Incoming>,
    ) -> Response<Pushes> {
        let stream = match self.open(peer, request).await {
            Ok(stream) => stream,
            Err(status) => return status.into_http(),
        };
        let mut response = Response::new(Pushes::new(stream, Rc::clone(&self.streams), call));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

impl Calls {
    async fn open(&self, peer: IpAddr, request: Request<Incoming>) -> Result<StreamId, Status> {
        let (head, body) = request.into_parts();
        if head.uri.path() != METHOD {
            return Err(Status::unimplemented(format!("unknown method {}", head.uri.path())));
        }
        let bytes = self.reader.read(body).await?;
        let message = only_message(&bytes).map_err(|error| match error {
            FramingError::Compressed => Status::unimplemented(error.to_string()),
            FramingError::NotOne => Status::invalid_argument(error.to_string()),
        })?;
        let call = Call {
            kind: StreamKind::Session,
            request: message.into(),
            remote_addr: peer,
            user_agent: user_agent(&head.headers),
            metadata: self.shown_metadata(&head.headers),
            cut: CUT.with(|cut| cut.get().cloned()).expect("set before the task runs"),
        };
        let opened = self.streams.borrow_mut().open(call);
        opened.ok_or_else(|| Status::resource_exhausted("too many streams on this node"))
    }
}

impl Calls {
    /// What backends are shown of a client's metadata.
    fn shown_metadata(&self, headers: &HeaderMap) -> Vec<Header> {
        let of_name = |name: &'_ String| {
            let values = headers.get_all(name.as_str()).into_iter();
            values.map(|value| (name.as_str().into(), value.as_bytes().into())).collect::<Vec<_>>()
        };
        self.shown.iter().flat_map(of_name).collect()
    }
}

/// As a text; what is none is left out.
pub(in crate::control) fn user_agent(headers: &HeaderMap) -> Box<str> {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default().into()
}
