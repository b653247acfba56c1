//! Connections whose body is on the control thread: messages are their bytes, and a place without
//! a descriptor is their socket.

use std::collections::HashMap;

use super::drive::Drive;
use super::parking::Parking;
use crate::ids::{ConnId, StreamId};
use crate::messages::{Message, Peer, StreamEnd, StreamOpen};
use crate::shard::Gone;

/// The streams of one shard. Nothing is allocated while there is none.
#[derive(Debug, Default)]
pub(super) struct Remotes {
    bodies: HashMap<ConnId, Body, ahash::RandomState>,
    conns: HashMap<StreamId, ConnId, ahash::RandomState>,
    /// Last words that found no room, in order.
    unsaid: Vec<(StreamId, StreamEnd)>,
}

/// The other end of a connection without a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Body {
    /// The control thread holds it.
    Stream(StreamId),
    /// Nobody does any more, and the shard is about to hear of it.
    Gone,
}

impl Remotes {
    /// Whether the control thread has been told everything.
    pub(super) const fn have_said_all(&self) -> bool {
        self.unsaid.is_empty()
    }

    pub(super) fn body(&self, conn: ConnId) -> Option<Body> {
        self.bodies.get(&conn).copied()
    }

    fn insert(&mut self, conn: ConnId, stream: StreamId) {
        self.bodies.insert(conn, Body::Stream(stream));
        self.conns.insert(stream, conn);
    }

    /// The control thread forgot this stream. The connection that it was.
    fn take_conn(&mut self, stream: StreamId) -> Option<ConnId> {
        let conn = self.conns.remove(&stream)?;
        self.bodies.insert(conn, Body::Gone);
        Some(conn)
    }

    fn remove(&mut self, conn: ConnId) -> Option<Body> {
        let body = self.bodies.remove(&conn)?;
        if let Body::Stream(stream) = body {
            self.conns.remove(&stream);
        }
        if self.bodies.is_empty() {
            // After a storm the memory goes back.
            self.bodies.shrink_to_fit();
            self.conns.shrink_to_fit();
            self.unsaid.shrink_to_fit();
        }
        Some(body)
    }
}

impl<P: Parking> Drive<P> {
    /// A message that is about a connection of this kind, and not yet about the shard.
    pub(super) fn about_stream(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::StreamOpen(open) => self.stream_opened(*open),
            Message::StreamBacklog { stream, bytes } => {
                if let Some(conn) = self.remotes.conns.get(&stream).copied() {
                    self.guarded(conn, |drive| drive.shard.on_backlog(conn, bytes, drive.now));
                }
            }
            Message::StreamGone { stream } => {
                if let Some(conn) = self.remotes.take_conn(stream) {
                    self.guarded(conn, |drive| {
                        drive.shard.on_closed(conn, Gone::Reset, drive.now);
                    });
                }
            }
            Message::Ask { .. }
            | Message::Answer { .. }
            | Message::Inquire { .. }
            | Message::Dismiss { .. }
            | Message::SessionEvents(_)
            | Message::WebhookFacts(_)
            | Message::Found { .. }
            | Message::Call(_)
            | Message::CallReply(_)
            | Message::Emulate(_)
            | Message::Watch { .. }
            | Message::Event(_)
            | Message::Drain { .. }
            | Message::UserLeft { .. }
            | Message::Drained
            | Message::StreamBytes { .. }
            | Message::StreamEnd { .. } => return Some(message),
        }
        None
    }

    fn stream_opened(&mut self, open: StreamOpen) {
        let (stream, conn, now) = (open.stream, self.sockets.reserve(), self.now);
        self.remotes.insert(conn, stream);
        match self.guarded_shard(|shard| shard.on_stream(conn, open, now)) {
            Some(Ok(())) => {}
            Some(Err(refusal)) => self.forget_stream(conn, StreamEnd::Refused(refusal)),
            None => {
                self.shard.on_panicked(conn, now);
                self.forget_stream(conn, StreamEnd::Cut);
            }
        }
    }

    /// Bytes for a stream. They leave with the batch, or the connection is broken.
    pub(super) fn send_stream(&mut self, conn: ConnId, stream: StreamId, bytes: &[u8]) {
        let message = Message::StreamBytes { stream, bytes: bytes.into() };
        if let Err(message) = self.post(Peer::Control, message) {
            self.shard.on_undeliverable(Peer::Control, message, self.now);
            self.shard.on_closed(conn, Gone::Reset, self.now);
        }
    }

    /// The regular end. The connection is there until the control thread says that everything
    /// has left, or until the shard has waited long enough.
    pub(super) fn finish_stream(&mut self, conn: ConnId) {
        if let Some(Body::Stream(stream)) = self.remotes.body(conn) {
            self.say_last(stream, StreamEnd::Regular);
        }
    }

    /// The connection is no more.
    pub(super) fn forget_stream(&mut self, conn: ConnId, end: StreamEnd) {
        let Some(body) = self.remotes.remove(conn) else { return };
        self.sockets.release(conn);
        if let Body::Stream(stream) = body {
            self.say_last(stream, end);
        }
    }

    /// Says again what found no room.
    pub(super) fn say_unsaid(&mut self) {
        for (stream, end) in std::mem::take(&mut self.remotes.unsaid) {
            self.say_last(stream, end);
        }
    }

    fn say_last(&mut self, stream: StreamId, end: StreamEnd) {
        let message = Message::StreamEnd { stream, end };
        if let Err(Message::StreamEnd { stream, end }) = self.post(Peer::Control, message) {
            self.remotes.unsaid.push((stream, end));
        }
    }
}
