//! `grpc_api`: the server API over gRPC, for backends, with reflection and the standard health
//! service. What a call asks, a shard plans and answers, as if it had come over HTTP.
//!
//! ```text
//! request ─ key ─ read ─ transcode ─▶ Calls ─ ring ─▶ a shard ─ ring ─▶ Calls ─ transcode ─▶ response
//! ```
//! Used by `control`.

mod body;
mod calls;
mod health;
mod reflection;
mod service;
mod status;

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;

use self::service::Api;
use super::grpc::{self, Reader};
use super::unigrpc::Streams;
use crate::auth::ApiKey;

pub(in crate::control) use self::calls::Calls;
pub(in crate::control) use self::status::unwatched;

/// What serving the API over gRPC needs.
pub struct GrpcApi {
    /// Listens already, and does not block.
    pub listener: TcpListener,
    /// What was chosen.
    pub options: Options,
}

/// What can be chosen about the API over gRPC.
pub struct Options {
    /// What a caller must show; empty asks for nothing.
    pub key: String,
    /// How errors of commands are told when the caller does not say.
    pub errors: Errors,
    /// Whether callers may ask which methods and messages there are.
    pub reflection: Reflection,
    /// Bytes of the longest message a caller may send; a longer one is refused with
    /// `RESOURCE_EXHAUSTED`.
    pub message_bytes_max: usize,
    /// How long a caller may take to send its request.
    pub request_timeout: Duration,
    /// How long a shard may take to answer it.
    pub answer_timeout: Duration,
}

/// How the error of a command is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Errors {
    /// In the response, whose status is OK.
    InMessage,
    /// By the status.
    ByStatus,
}

/// Whether callers may ask what there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reflection {
    /// They may; no key is asked for.
    Served,
    /// They may not.
    Off,
}

/// The API with its listener registered with the runtime.
pub(in crate::control) struct Listening {
    listener: tokio::net::TcpListener,
    options: Options,
}

impl GrpcApi {
    /// To be called inside the runtime.
    pub(in crate::control) fn listen(self) -> io::Result<Listening> {
        Ok(Listening { listener: grpc::listener(self.listener)?, options: self.options })
    }
}

impl Listening {
    /// Serves on the current thread. To be called inside its `LocalSet`.
    pub(in crate::control) fn serve(
        self,
        calls: Rc<RefCell<Calls>>,
        streams: Rc<RefCell<Streams>>,
    ) -> Serving {
        let Options { key, errors, reflection, .. } = self.options;
        let (health, told) = watch::channel(health::Health::Serving);
        let api = Api {
            calls,
            streams,
            reader: Reader::new(self.options.message_bytes_max, self.options.request_timeout),
            key: (!key.is_empty()).then(|| ApiKey::new(&key)),
            errors,
            reflection,
            answer_timeout: self.options.answer_timeout,
            health: told,
        };
        Serving { health, serving: grpc::Serving::start(self.listener, Rc::new(api)) }
    }
}

/// The running service.
#[derive(Debug)]
pub(in crate::control) struct Serving {
    health: watch::Sender<health::Health>,
    serving: grpc::Serving,
}

impl Serving {
    /// Tells whoever asks about its health that it is about to go, and refuses new calls.
    pub(in crate::control) fn not_serving(&self) {
        self.health.send_replace(health::Health::NotServing);
    }

    /// Takes no new connections, and tells those there are to go.
    pub(in crate::control) fn stop(&self) {
        self.serving.stop();
    }

    /// Waits until every connection has ended.
    pub(in crate::control) async fn ended(&mut self) {
        self.serving.ended().await;
    }
}
