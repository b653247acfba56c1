//! What every gRPC service of the node stands on: a listener, its connections, the reading of
//! requests. HTTP/2 ends here.
//!
//! Used by `control`. One task for the listener, one for each connection, one for each stream,
//! all on the control thread, so that what they share needs no lock.

mod connection;
mod request;

use std::cell::{Cell, OnceCell};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use hyper::body::{Body, Bytes, Incoming};
use hyper::{Request, Response};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

pub(super) use self::request::Reader;

/// How long accepting rests when descriptors or memory have run out.
const BACK_OFF: Duration = Duration::from_millis(50);

tokio::task_local! {
    /// How the task that answers a request can be ended.
    pub(super) static CUT: Rc<OnceCell<AbortHandle>>;
}

/// What answers the requests of one listener.
pub(super) trait Service: 'static {
    /// What a response consists of; by default of nothing.
    type Body: Body<Data = Bytes, Error = Infallible> + Default + 'static;

    /// How long a connection may take to its first request.
    fn request_timeout(&self) -> Duration;

    /// Answers one request that speaks gRPC; `call` ends with its response.
    fn answer(
        self: Rc<Self>,
        peer: IpAddr,
        call: InProgress,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + 'static;
}

/// Calls of one connection.
#[derive(Default)]
pub(super) struct Count {
    open: Cell<usize>,
    began: Cell<bool>,
}

impl Count {
    /// Whether there was none since this was last asked.
    fn was_idle(&self) -> bool {
        !self.began.replace(false) && self.open.get() == 0
    }
}

/// A call as long as it lasts.
pub(super) struct InProgress(Rc<Count>);

impl InProgress {
    fn new(count: Rc<Count>) -> Self {
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

/// A running service.
#[derive(Debug)]
pub(super) struct Serving {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Serves on the current thread. To be called inside its `LocalSet`.
    pub(super) fn start(listener: tokio::net::TcpListener, service: Rc<impl Service>) -> Self {
        let (stopping, told) = watch::channel(false);
        let task = tokio::task::spawn_local(accept(listener, service, told));
        Self { stopping, task }
    }

    /// Takes no new connections and no new calls.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until every connection has ended.
    pub(super) async fn ended(&mut self) {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "a gRPC listener ended badly");
        }
    }
}

/// A listener, registered with the runtime. To be called inside it.
pub(super) fn listener(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener)
}

/// Accepts until it is time to stop; returns when the last connection has ended.
async fn accept(
    listener: tokio::net::TcpListener,
    service: Rc<impl Service>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|is_stopping| *is_stopping) => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let (service, stopping) = (Rc::clone(&service), stopping.clone());
                let peer = peer.ip().to_canonical();
                connections.spawn_local(connection::serve(socket, peer, service, stopping));
            }
            Err(error) if is_of_one_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "accepting gRPC rests: no descriptors or memory left");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The peer gave up while it waited, or a signal came: the next one.
fn is_of_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
