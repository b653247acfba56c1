//! One HTTP/2 connection, from its first byte to its last stream.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::request::is_grpc;
use super::{CUT, Count, InProgress, Service};

/// Between two pings of HTTP/2, and how long an answer may take (as Centrifugo). They find peers
/// that vanished without a word.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(25), Duration::from_secs(5));

/// Streams of one connection at once; the client holds back what is beyond. Far above the 100 of
/// many servers, because a stream lasts as long as a session: one proxy may carry many clients.
const STREAMS_PER_CONNECTION_MAX: u32 = 65_536;

/// What a client may send of one request, and of all of a connection, before it is read.
const WINDOW_BYTES: (u32, u32) = (64 * 1024, 1024 * 1024);

/// Bytes that HTTP/2 holds of one stream for a client that reads slowly.
const SEND_BYTES_MAX: usize = 32 * 1024;

/// How long a connection may stay without a call once it has made one.
const IDLE: Duration = Duration::from_secs(75);

/// How long a client that was told to leave may take.
const LEAVING: Duration = Duration::from_secs(2);

/// Serves one connection until it ends; from `stopping` on it takes no new calls.
pub(super) async fn serve<S: Service>(
    socket: TcpStream,
    peer: IpAddr,
    service: Rc<S>,
    mut stopping: watch::Receiver<bool>,
) {
    let count = Rc::<Count>::default();
    let mut patience = service.request_timeout();
    let service = {
        let count = Rc::clone(&count);
        // Boxed: what reading a request takes is given back before its stream begins to live.
        service_fn(move |request: Request<Incoming>| {
            let call = InProgress::new(Rc::clone(&count));
            let answer = answer(Rc::clone(&service), peer, call, request);
            Box::pin(async { Ok::<_, Infallible>(answer.await) })
        })
    };
    let mut connection = pin!(builder().serve_connection(TokioIo::new(socket), service));
    let mut is_leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a gRPC connection broke");
                }
                return;
            }
            _ = stopping.wait_for(|is_stopping| *is_stopping), if !is_leaving => {
                connection.as_mut().graceful_shutdown();
                // Its streams end when their shards say so, and the process waits no longer.
                (is_leaving, patience) = (true, Duration::MAX);
            }
            () = tokio::time::sleep(patience) => {
                if !count.was_idle() {
                    patience = IDLE;
                } else if is_leaving {
                    return;
                } else {
                    connection.as_mut().graceful_shutdown();
                    (is_leaving, patience) = (true, LEAVING);
                }
            }
        }
    }
}

/// Answers a request, or says in plain HTTP that it does not speak gRPC.
async fn answer<S: Service>(
    service: Rc<S>,
    peer: IpAddr,
    call: InProgress,
    request: Request<Incoming>,
) -> Response<S::Body> {
    if let Err(status) = is_grpc(&request) {
        let mut response = Response::new(S::Body::default());
        *response.status_mut() = status;
        return response;
    }
    service.answer(peer, call, request).await
}

fn builder() -> http2::Builder<OnThisThread> {
    let mut builder = http2::Builder::new(OnThisThread);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_stream_window_size(WINDOW_BYTES.0)
        .initial_connection_window_size(WINDOW_BYTES.1)
        .max_send_buf_size(SEND_BYTES_MAX)
        .auto_date_header(false);
    builder
}

/// Runs the tasks of streams, each of which can be ended from within by [`CUT`].
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, stream: F) {
        let cut = Rc::new(OnceCell::new());
        let task = tokio::task::spawn_local(CUT.scope(Rc::clone(&cut), stream));
        cut.set(task.abort_handle()).expect("set once");
    }
}
