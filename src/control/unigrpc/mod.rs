//! `uni_grpc`: clients that hold a gRPC stream, on a port of their own. HTTP/2 and gRPC end here;
//! what a session is, its shard decides.
//!
//! Used by `control`. One task for the listener, one for each connection, one for each stream,
//! all on the control thread, so that what they share needs no lock.

mod body;
mod calls;
mod connection;
mod streams;
mod waiting;

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::calls::Calls;

pub(in crate::control) use self::streams::Streams;

/// How long accepting rests when descriptors or memory have run out.
const BACK_OFF: Duration = Duration::from_millis(50);

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
}

/// The listener, registered with the runtime.
#[derive(Debug)]
pub(in crate::control) struct Listening {
    listener: tokio::net::TcpListener,
    message_bytes_max: usize,
    request_timeout: Duration,
}

impl UniGrpc {
    /// To be called inside the runtime.
    pub(in crate::control) fn listen(self) -> io::Result<Listening> {
        let Self { listener, message_bytes_max, request_timeout } = self;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(Listening { listener, message_bytes_max, request_timeout })
    }
}

/// The running service.
#[derive(Debug)]
pub(in crate::control) struct Serving {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Serves on the current thread. To be called inside its `LocalSet`.
    pub(in crate::control) fn serve(self, streams: Rc<RefCell<Streams>>) -> Serving {
        let Self { listener, message_bytes_max, request_timeout } = self;
        let (stopping, told) = watch::channel(false);
        let calls = Rc::new(Calls::new(streams, message_bytes_max, request_timeout));
        let task = tokio::task::spawn_local(accept(listener, calls, told));
        Serving { stopping, task }
    }
}

impl Serving {
    /// Takes no new connections and no new calls.
    pub(in crate::control) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until every connection has ended.
    pub(in crate::control) async fn ended(&mut self) {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the gRPC listener ended badly");
        }
    }
}

/// Accepts until it is time to stop; returns when the last connection has ended.
async fn accept(
    listener: tokio::net::TcpListener,
    calls: Rc<Calls>,
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
                let (calls, stopping) = (Rc::clone(&calls), stopping.clone());
                let peer = peer.ip().to_canonical();
                connections.spawn_local(connection::serve(socket, peer, calls, stopping));
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
