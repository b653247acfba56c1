//! `uni_grpc`: clients that hold a gRPC stream, on a port of their own. Their streams end here; what
//! a session is, its shard decides.
//!
//! Used by `control`.

mod body;
mod calls;
mod streams;
mod waiting;

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use self::calls::Calls;
use super::grpc::{self, Reader, Serving};

pub(in crate::control) use self::body::Pushes;
pub(in crate::control) use self::calls::user_agent;
pub(in crate::control) use self::streams::{Call as StreamCall, Streams};

/// What serving gRPC needs.
#[derive(Debug)]
pub struct UniGrpc {
    /// Listens already, and does not block.
    pub listener: TcpListener,
    /// Bytes of the longest message a client may send; a longer one is refused with
    /// `RESOURCE_EXHAUSTED`.
    pub message_bytes_max: usize,
    /// How long a client may take to send its request.
    pub request_timeout: Duration,
    /// Names of the metadata that backends are shown, in lower case.
    pub shown: Vec<String>,
}

/// The listener, registered with the runtime.
#[derive(Debug)]
pub(in crate::control) struct Listening {
    listener: tokio::net::TcpListener,
    message_bytes_max: usize,
    request_timeout: Duration,
    shown: Vec<String>,
}

impl UniGrpc {
    /// To be called inside the runtime.
    pub(in crate::control) fn listen(self) -> io::Result<Listening> {
        let Self { listener, message_bytes_max, request_timeout, shown } = self;
        let listener = grpc::listener(listener)?;
        Ok(Listening { listener, message_bytes_max, request_timeout, shown })
    }
}

impl Listening {
    /// Serves on the current thread. To be called inside its `LocalSet`.
    pub(in crate::control) fn serve(self, streams: Rc<RefCell<Streams>>) -> Serving {
        let Self { listener, message_bytes_max, request_timeout, shown } = self;
        let reader = Reader::new(message_bytes_max, request_timeout);
        Serving::start(listener, Rc::new(Calls { streams, reader, shown }))
    }
}
