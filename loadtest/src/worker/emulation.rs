//! Pongs of sessions whose commands are posted: a few keep-alive connections for all of them,
//! one request in flight on each.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::call::post;
use super::dial::Goodbye;
use super::open::connect;
use super::session::Shared;
use crate::http;
use crate::protocol::{Emulated, emulated_pong};

/// Most connections the pongs of one process share.
const CONNECTIONS_MAX: usize = 4;

/// The way to `/emulation`.
pub(super) struct Emulation {
    address: SocketAddr,
    shared: Rc<Shared>,
    queue: RefCell<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Requests that wait for a connection.
    waiting: VecDeque<Rc<[u8]>>,
    /// Connections that wait for a request.
    idle: Vec<Waker>,
    /// Connections that are up or on their way.
    connections: usize,
}

/// The pongs of one session.
pub(super) struct Pongs {
    emulation: Rc<Emulation>,
    request: Rc<[u8]>,
}

impl Emulation {
    pub(super) fn new(address: SocketAddr, shared: Rc<Shared>) -> Rc<Self> {
        Rc::new(Self { address, shared, queue: RefCell::default() })
    }

    pub(super) fn pongs_of(self: &Rc<Self>, to: &Emulated) -> Pongs {
        let host = self.address.to_string();
        let headers = ["Content-Type: application/json"];
        let request = http::post(&host, "/emulation", &headers, &emulated_pong(to));
        Pongs { emulation: Rc::clone(self), request: request.into() }
    }

    /// Has a request sent as soon as a connection is free.
    fn enqueue(self: &Rc<Self>, request: Rc<[u8]>) {
        let mut queue = self.queue.borrow_mut();
        queue.waiting.push_back(request);
        if let Some(connection) = queue.idle.pop() {
            connection.wake();
        } else if queue.connections < CONNECTIONS_MAX {
            queue.connections += 1;
            monoio::spawn(serve(Rc::clone(self)));
        }
    }

    /// The request that has waited longest, once there is one.
    fn next(&self) -> impl Future<Output = Rc<[u8]>> {
        poll_fn(|context| {
            let mut queue = self.queue.borrow_mut();
            match queue.waiting.pop_front() {
                Some(request) => Poll::Ready(request),
                None => {
                    queue.idle.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    fn wrong(&self, why: String) {
        *self.shared.tally.borrow_mut().pongs_wrong.entry(why).or_default() += 1;
    }
}

impl Pongs {
    /// Answers a ping soon, without waiting.
    pub(super) fn post(&self) {
        self.emulation.enqueue(Rc::clone(&self.request));
    }
}

/// Carries requests on one connection for as long as it lives.
async fn serve(emulation: Rc<Emulation>) {
    let connected = connect(emulation.address, None, Goodbye::Fin).await;
    let mut served = 0_u64;
    let (failure, request) = match connected {
        Err(failure) => (failure, None),
        Ok(mut stream) => loop {
            let request = emulation.next().await;
            match post(&mut stream, request.to_vec()).await {
                Ok((204, _)) => served += 1,
                Ok((status, _)) => emulation.wrong(format!("a pong was answered with {status}")),
                Err(failure) => break (failure, Some(request)),
            }
        },
    };
    emulation.queue.borrow_mut().connections -= 1;
    match request {
        // The server may close a connection that is kept for later: then another one carries it.
        Some(request) if served > 0 => emulation.enqueue(request),
        Some(_) | None => emulation.wrong(format!("a pong could not be posted: {failure}")),
    }
}
