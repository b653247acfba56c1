//! One direction of one pair: the ring, the queue of what waits for room in it, and the word by
//! which the receiver lets the sender know that there is room again.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::doorbell::Doorbell;
use super::endpoint::Full;
use super::sync::{AtomicBool, Consumer, Ordering, Producer, fence, ring};

/// Capacity an empty queue keeps; beyond it the memory is given back.
const WAITING_KEPT: usize = 64;

/// The sender's end.
#[derive(Debug)]
pub(super) struct Outgoing<M> {
    ring: Producer<M>,
    /// Accepted, in order, behind everything in the ring.
    waiting: VecDeque<M>,
    waiting_max: usize,
    /// Whether something waits. Written on this side alone: were it the receiver's to clear, it
    /// could take what waits now for what waited before, and never look again.
    is_waiting: Arc<CachePadded<AtomicBool>>,
    /// The receiver's.
    bell: Arc<CachePadded<Doorbell>>,
    /// Whether the endpoint has this lane on its list for the next flush.
    pub(super) touched: bool,
}

/// The receiver's end.
#[derive(Debug)]
pub(super) struct Incoming<M> {
    /// Which endpoint sends here.
    pub(super) from: usize,
    ring: Consumer<M>,
    /// Whether something waits at the sender.
    is_waiting: Arc<CachePadded<AtomicBool>>,
    /// The sender's.
    bell: Arc<CachePadded<Doorbell>>,
    /// Whether something was taken since the last [`Self::settle`].
    made_room: bool,
}

/// A lane between two endpoints, given both doorbells.
pub(super) fn lane<M>(
    from: (usize, &Arc<CachePadded<Doorbell>>),
    to: &Arc<CachePadded<Doorbell>>,
    slots: usize,
    waiting_max: usize,
) -> (Outgoing<M>, Incoming<M>) {
    let (producer, consumer) = ring(slots);
    let is_waiting = Arc::new(CachePadded::new(AtomicBool::new(false)));
    let outgoing = Outgoing {
        ring: producer,
        waiting: VecDeque::new(),
        waiting_max,
        is_waiting: Arc::clone(&is_waiting),
        bell: Arc::clone(to),
        touched: false,
    };
    let (from, bell) = (from.0, Arc::clone(from.1));
    (outgoing, Incoming { from, ring: consumer, is_waiting, bell, made_room: false })
}

impl<M> Outgoing<M> {
    /// Messages that wait for room in the ring.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The receiver's doorbell.
    pub(super) fn bell(&self) -> &Doorbell {
        &self.bell
    }

    /// Puts a message into the ring, or behind what waits for room in it.
    pub(super) fn send(&mut self, message: M) -> Result<(), Full<M>> {
        if self.ring.is_abandoned() {
            return Err(Full(message));
        }
        if self.waiting.is_empty() {
            // Asked first, so that the message need not be handed back, which would be a copy.
            if !self.ring.is_full() {
                self.push(message);
                return Ok(());
            }
            // The receiver can work while the rest of the batch is still coming.
            self.bell.ring();
        } else if self.waiting.len() == self.waiting_max {
            self.fill();
        }
        if self.waiting.len() >= self.waiting_max {
            return Err(Full(message));
        }
        self.waiting.push_back(message);
        Ok(())
    }

    /// Moves what waits into the ring. If something still waits after that, the receiver will
    /// ring when it has made room. A receiver that is gone will not: then nothing waits. Returns
    /// whether fewer wait than before.
    pub(super) fn advance(&mut self) -> bool {
        let waiting = self.waiting.len();
        if waiting == 0 {
            return false;
        }
        if self.ring.is_abandoned() {
            self.waiting = VecDeque::new();
            return true;
        }
        self.fill();
        if !self.waiting.is_empty() {
            self.is_waiting.store(true, Ordering::Relaxed);
            // Pairs with the fence in `Incoming::settle`: either the receiver sees the flag, or
            // the room it made is seen here.
            fence(Ordering::SeqCst);
            self.fill();
        }
        self.waiting.len() < waiting
    }

    /// Whether [`Self::advance`] would change anything for what waits.
    pub(super) fn can_advance(&self) -> bool {
        !self.ring.is_full() || self.ring.is_abandoned()
    }

    /// Into a ring that is not full.
    fn push(&mut self, message: M) {
        let pushed = self.ring.push(message);
        debug_assert!(pushed.is_ok(), "only this side fills the ring");
    }

    fn fill(&mut self) {
        while !self.ring.is_full()
            && let Some(message) = self.waiting.pop_front()
        {
            self.push(message);
        }
        if self.waiting.is_empty() {
            // Relaxed: a receiver that still sees the flag rings once for nothing.
            self.is_waiting.store(false, Ordering::Relaxed);
            if self.waiting.capacity() > WAITING_KEPT {
                self.waiting = VecDeque::new();
            }
        }
    }
}

impl<M> Incoming<M> {
    /// Whether nothing is there.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The next message. [`Self::settle`] must follow after the last of a batch.
    pub(super) fn take(&mut self) -> Option<M> {
        let message = self.ring.pop().ok()?;
        self.made_room = true;
        Some(message)
    }

    /// Rings the sender if it waits for the room made since the last call.
    pub(super) fn settle(&mut self) {
        if !std::mem::take(&mut self.made_room) {
            return;
        }
        // Between the pops and the look at the flag; pairs with the fence in
        // `Outgoing::advance`. Relaxed: the flag carries nothing but itself, the rings publish
        // their own indices.
        fence(Ordering::SeqCst);
        if self.is_waiting.load(Ordering::Relaxed) {
            self.bell.ring();
        }
    }
}
