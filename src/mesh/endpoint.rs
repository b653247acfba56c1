//! One thread's place in the mesh: sends to every other, receives from every other, sleeps on
//! one doorbell.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crossbeam_utils::CachePadded;

use super::doorbell::Doorbell;
use super::lane::{Incoming, Outgoing, lane};
use super::sync::{Ordering, fence};

/// Messages taken from one peer before the next has its turn.
pub(super) const TURN_MESSAGES: usize = 16;

/// The message found no room, or its receiver is gone for good; here it is again.
#[derive(PartialEq, Eq, Debug, thiserror::Error)]
#[error("no room for the message")]
pub struct Full<M>(pub M);

/// One thread's place in the mesh.
///
/// Dropping it (its thread has ended) hands over what still fits, then tells everyone: sends to
/// it are refused from then on, what waited for room in its rings is dropped, and what it sent
/// still arrives.
pub struct Endpoint<M> {
    index: usize,
    bell: Arc<CachePadded<Doorbell>>,
    /// To every peer, in order, this endpoint left out.
    outgoing: Box<[Outgoing<M>]>,
    /// From every peer, in order, this endpoint left out.
    incoming: Box<[Incoming<M>]>,
    /// Lanes the next flush looks at: sent to since the last one, or with messages that wait.
    touched: Vec<usize>,
    /// Whose turn it is, as a place in `incoming`.
    turn: usize,
    /// Messages left in this turn.
    turn_left: usize,
}

/// Builds a mesh of `endpoints` threads: a ring of `ring_slots` messages from each to each
/// other, and up to `overflow_max` more that wait at the sender when it is full.
///
/// Memory: `endpoints × (endpoints - 1) × ring_slots` messages, touched as the rings go round.
///
/// # Panics
/// If `ring_slots` is zero.
#[must_use]
pub fn mesh<M: Send>(endpoints: usize, ring_slots: usize, overflow_max: usize) -> Vec<Endpoint<M>> {
    assert!(ring_slots > 0, "a ring without slots carries nothing");
    let bells: Vec<Arc<CachePadded<Doorbell>>> = (0..endpoints).map(|_| Arc::default()).collect();
    let mut incoming: Vec<Vec<Incoming<M>>> = (0..endpoints).map(|_| Vec::new()).collect();
    let mut outgoing = Vec::with_capacity(endpoints);
    for from in 0..endpoints {
        let mut own = Vec::with_capacity(endpoints.saturating_sub(1));
        for to in (0..endpoints).filter(|to| *to != from) {
            let (sender, receiver) =
                lane((from, &bells[from]), &bells[to], ring_slots, overflow_max);
            own.push(sender);
            incoming[to].push(receiver);
        }
        outgoing.push(own);
    }
    let lanes = outgoing.into_iter().zip(incoming);
    bells
        .into_iter()
        .zip(lanes)
        .enumerate()
        .map(|(index, (bell, (outgoing, incoming)))| Endpoint {
            index,
            bell,
            outgoing: outgoing.into_boxed_slice(),
            incoming: incoming.into_boxed_slice(),
            touched: Vec::new(),
            turn: 0,
            turn_left: TURN_MESSAGES,
        })
        .collect()
}

impl<M> Endpoint<M> {
    /// Its own place in the mesh.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Endpoints of the mesh, this one included.
    #[must_use]
    pub const fn peers(&self) -> usize {
        self.outgoing.len() + 1
    }

    /// Messages accepted by [`Self::send`] that still wait here for room in a ring.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.touched.iter().map(|lane| self.outgoing[*lane].waiting()).sum()
    }

    /// Hands a message over, behind everything sent to this peer before. The peer is woken by
    /// [`Self::flush`], once for all messages of a batch.
    ///
    /// # Errors
    /// Gives the message back when the ring and the overflow queue are full, or when the peer is
    /// gone.
    ///
    /// # Panics
    /// If `to` is this endpoint or not in the mesh.
    pub fn send(&mut self, to: usize, message: M) -> Result<(), Full<M>> {
        assert_ne!(to, self.index, "nobody sends to itself");
        let index = if to < self.index { to } else { to - 1 };
        let lane = &mut self.outgoing[index];
        if !std::mem::replace(&mut lane.touched, true) {
            self.touched.push(index);
        }
        lane.send(message)
    }

    /// Ends a batch: messages that waited for room move on, every peer that was sent something
    /// and sleeps is woken, and so is a sender that waits for the room `receive` has made.
    pub fn flush(&mut self) {
        self.flush_and_see();
    }

    /// Flushes; returns whether something that had waited moved on.
    fn flush_and_see(&mut self) -> bool {
        if let Some(lane) = self.incoming.get_mut(self.turn) {
            lane.settle();
        }
        if self.touched.is_empty() {
            return false;
        }
        let mut moved = false;
        for lane in &self.touched {
            moved |= self.outgoing[*lane].advance();
        }
        Doorbell::ring_all(self.touched.iter().map(|lane| self.outgoing[*lane].bell()));
        let outgoing = &mut self.outgoing;
        self.touched.retain(|lane| {
            let lane = &mut outgoing[*lane];
            lane.touched = lane.waiting() > 0;
            lane.touched
        });
        moved
    }

    /// The next message and who sent it; peers take turns. `None`: nothing is there now.
    ///
    /// [`Self::flush`] or [`Self::poll_ready`] must follow a batch.
    pub fn receive(&mut self) -> Option<(usize, M)> {
        // One look more than there are lanes: the first may have used up its turn.
        for _ in 0..=self.incoming.len() {
            let lane = self.incoming.get_mut(self.turn)?;
            if self.turn_left > 0
                && let Some(message) = lane.take()
            {
                self.turn_left -= 1;
                return Some((lane.from, message));
            }
            lane.settle();
            self.turn = (self.turn + 1) % self.incoming.len();
            self.turn_left = TURN_MESSAGES;
        }
        None
    }

    /// Flushes, then is ready when a message is there, or room for what waits here (then
    /// `receive` may give nothing; it is the time to send again what was refused). Otherwise the
    /// task sleeps until one of both comes. It needs no timer for that, but one task of the
    /// thread must always be polling this: also for what others of its tasks send.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.flush_and_see() || self.has_message() {
            self.bell.stay_awake();
            return Poll::Ready(());
        }
        self.bell.listen(cx.waker());
        // Between the flag and the last look at the rings; pairs with the fence in
        // `Doorbell::ring_all`. Who sends a message comes to it always; who makes room does
        // because `advance` has let it know that something waits.
        fence(Ordering::SeqCst);
        let can_advance = || self.touched.iter().any(|lane| self.outgoing[*lane].can_advance());
        if self.has_message() || can_advance() {
            self.bell.stay_awake();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn has_message(&self) -> bool {
        self.incoming.iter().any(|lane| !lane.is_empty())
    }
}

impl<M> Drop for Endpoint<M> {
    fn drop(&mut self) {
        self.flush();
        // From here on the rings say that nobody reads them any more; whoever waits for room in
        // one must hear it.
        self.incoming = Box::default();
        Doorbell::ring_all(self.outgoing.iter().map(Outgoing::bell));
    }
}

impl<M> fmt::Debug for Endpoint<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("index", &self.index)
            .field("peers", &self.peers())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
