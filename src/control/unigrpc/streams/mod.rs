//! The streams between shards and response bodies: what each still has to hear.
//!
//! ```text
//!   call ──open──▶ its shard is told ──bytes…──▶ the body takes them ──end──▶ status
//!                                                     └──the client left──▶ its shard is told
//! ```
//! What a shard has to hear stays with its stream until the ring has room: a line of streams for
//! each shard, every stream in it once, and never a queue of messages.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::Bytes;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::waiting::Waiting;
use crate::ids::StreamId;
use crate::messages::{Message, StreamEnd, StreamKind, StreamOpen};
use crate::proxy::Header;

/// Streams of one node. Beyond it a call is refused with `RESOURCE_EXHAUSTED`.
const STREAMS_MAX: usize = 1 << 20;

/// All streams of the node.
pub(in crate::control) struct Streams {
    open: HashMap<StreamId, Stream>,
    /// For each shard: streams that have something to tell it.
    untold: Box<[VecDeque<StreamId>]>,
    /// Wakes whoever holds the mesh.
    news: Rc<Notify>,
    last: u64,
}

struct Stream {
    shard: usize,
    /// Its first message, until there was room for it.
    opening: Option<Box<StreamOpen>>,
    body: Body,
    waiting: Waiting,
    /// Its shard has to hear how much that is.
    is_backlog_untold: bool,
    is_in_line: bool,
    end: Option<StreamEnd>,
    /// Ends the task that sends the body, which may wait for a client that reads nothing.
    cut: AbortHandle,
}

/// Whoever sends a stream to its client.
enum Body {
    /// Is there, and wants to be woken when there was nothing to send.
    Open(Option<Waker>),
    /// Is no more.
    Left,
}

/// A call that becomes a stream.
pub(in crate::control) struct Call {
    pub(in crate::control) kind: StreamKind,
    pub(in crate::control) request: Box<[u8]>,
    pub(in crate::control) remote_addr: IpAddr,
    pub(in crate::control) user_agent: Box<str>,
    pub(in crate::control) metadata: Vec<Header>,
    pub(in crate::control) cut: AbortHandle,
}

/// What a body sends next.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Next {
    Bytes(Bytes),
    End(StreamEnd),
}

impl Streams {
    pub(in crate::control) fn new(shards: usize, news: Rc<Notify>) -> Self {
        let untold = (0..shards).map(|_| VecDeque::new()).collect();
        Self { open: HashMap::new(), untold, news, last: 0 }
    }

    /// A new stream, for the shard whose turn it is. `None`: there are too many.
    pub(in crate::control) fn open(&mut self, call: Call) -> Option<StreamId> {
        if self.open.len() >= STREAMS_MAX {
            return None;
        }
        self.last += 1;
        let id = StreamId(self.last);
        let shard = usize::try_from(id.0 % self.untold.len() as u64).expect("one of the shards");
        let Call { kind, request, remote_addr, user_agent, metadata, cut } = call;
        let open = StreamOpen { stream: id, kind, request, remote_addr, user_agent, metadata };
        let opening = Some(Box::new(open));
        let stream = Stream {
            shard,
            opening,
            body: Body::Open(None),
            waiting: Waiting::default(),
            is_backlog_untold: false,
            is_in_line: false,
            end: None,
            cut,
        };
        self.open.insert(id, stream);
        self.stand_in_line(id);
        Some(id)
    }

    /// What the body has to send; its end as often as it asks, once that has come.
    pub(super) fn poll_next(&mut self, id: StreamId, cx: &Context<'_>) -> Poll<Next> {
        let Some(stream) = self.open.get_mut(&id) else {
            return Poll::Ready(Next::End(StreamEnd::Cut));
        };
        if let Some(bytes) = stream.waiting.take() {
            return Poll::Ready(Next::Bytes(bytes));
        }
        if let Some(end) = &stream.end {
            return Poll::Ready(Next::End(end.clone()));
        }
        stream.body = Body::Open(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// The body is no more: everything has been sent, or the client left.
    pub(super) fn left(&mut self, id: StreamId) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        // Its shard has never heard of it, or has forgotten it.
        if stream.opening.is_some() || !matches!(stream.end, None | Some(StreamEnd::Regular)) {
            return self.forget(id);
        }
        stream.body = Body::Left;
        stream.waiting = Waiting::default();
        self.stand_in_line(id);
    }

    /// A shard sends bytes.
    pub(in crate::control) fn send(&mut self, id: StreamId, bytes: Box<[u8]>) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        let Body::Open(waker) = &mut stream.body else { return };
        // A client that reads had taken everything before more came.
        let is_slow = stream.waiting.len() > 0;
        stream.waiting.push(bytes);
        if let Some(waker) = waker.take() {
            waker.wake();
        }
        if is_slow {
            stream.is_backlog_untold = true;
            self.stand_in_line(id);
        }
    }

    /// A shard ends a stream.
    pub(in crate::control) fn end(&mut self, id: StreamId, end: StreamEnd) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        let is_regular = end == StreamEnd::Regular;
        if end == StreamEnd::Cut {
            stream.waiting = Waiting::default();
            stream.cut.abort();
        }
        stream.end = Some(end);
        match &mut stream.body {
            Body::Open(waker) => {
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
            // The shard wants to hear that everything has left; else it has forgotten the stream.
            Body::Left if is_regular => {}
            Body::Left => self.forget(id),
        }
    }

    /// Tells the shards what they have not heard, as far as there is room: where there is none,
    /// `send` gives the message back.
    pub(in crate::control) fn tell(
        &mut self,
        mut send: impl FnMut(usize, Message) -> Result<(), Message>,
    ) {
        for shard in 0..self.untold.len() {
            while let Some(id) = self.untold[shard].front().copied() {
                let Some(message) = self.take_message(id) else {
                    self.untold[shard].pop_front();
                    continue;
                };
                let is_last = matches!(message, Message::StreamGone { .. });
                match send(shard, message) {
                    Ok(()) if is_last => self.forget(id),
                    Ok(()) => {}
                    Err(message) => {
                        self.put_back(id, message);
                        break;
                    }
                }
            }
            if self.untold[shard].is_empty() {
                self.untold[shard].shrink_to_fit();
            }
        }
    }

    fn stand_in_line(&mut self, id: StreamId) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        if !std::mem::replace(&mut stream.is_in_line, true) {
            self.untold[stream.shard].push_back(id);
            self.news.notify_one();
        }
    }

    /// The next thing the shard of a stream has to hear; without one it leaves the line.
    fn take_message(&mut self, id: StreamId) -> Option<Message> {
        let stream = self.open.get_mut(&id)?;
        let has_backlog = std::mem::take(&mut stream.is_backlog_untold);
        let bytes = stream.waiting.len();
        let message = match (stream.opening.take(), &stream.body) {
            (Some(opening), _) => Some(Message::StreamOpen(opening)),
            (None, Body::Left) => Some(Message::StreamGone { stream: id }),
            (None, Body::Open(_)) if has_backlog && bytes > 0 => {
                Some(Message::StreamBacklog { stream: id, bytes })
            }
            (None, Body::Open(_)) => None,
        };
        stream.is_in_line = message.is_some();
        message
    }

    fn put_back(&mut self, id: StreamId, message: Message) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        if let Message::StreamOpen(opening) = message {
            stream.opening = Some(opening);
        } else {
            stream.is_backlog_untold = true;
        }
    }

    fn forget(&mut self, id: StreamId) {
        self.open.remove(&id);
        if self.open.is_empty() {
            // After a storm the memory goes back.
            self.open.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests;
