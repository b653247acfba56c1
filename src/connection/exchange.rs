//! Requests and replies of one HTTP/1.1 connection: what has been read of the next request,
//! which replies are still owed and in which order.
//!
//! ```text
//!            head whole, body not yet        body whole
//!   Head ───────────────────────────▶ Body ─────────────▶ handled ──▶ Head
//!     │   chunked: Chunked until its last chunk  ▲
//!     └──────────────────────────────────────────┘
//! ```

use std::collections::VecDeque;
use std::net::IpAddr;

use smallvec::SmallVec;

use crate::api::{LISTINGS_BYTES_MAX, Merged, Outcome, Plan};
use crate::connection::open::BodyLimit;
use crate::wire::http1::{ChunkedBody, HeadScan, Version};

/// Requests of one connection that may wait for other shards at once. The next one is not read
/// before an earlier one is answered: the kernel's receive buffer fills and the client waits.
pub const PIPELINE_MAX: usize = 64;

/// What one connection that is not (yet) a session is in the middle of.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set and cleared alone")]
#[derive(Debug, Default)]
pub struct Exchange {
    /// Bytes read and not consumed yet; empty on an idle keep-alive connection.
    pub pending: Vec<u8>,
    /// How far the next request has come.
    pub reading: Reading,
    /// Replies owed, oldest first.
    pub owed: VecDeque<Owed>,
    /// Number of the next request.
    pub next_seq: u32,
    /// Reading has stopped until some of what it waits for has happened.
    pub paused: bool,
    /// The request in hand must not overtake older replies that are still owed.
    pub behind: bool,
    /// Too many reply bytes wait for a client that does not read them.
    pub backlogged: bool,
    /// Bytes of a further request came with the one in hand.
    pub more: bool,
    /// The peer has sent its FIN, or asked to close: nothing is read after the replies owed.
    pub last: bool,
    /// The peer has sent its FIN: there is nothing more to read.
    pub finished: bool,
    /// The other end of the connection, when the engine knows it.
    pub peer: Option<IpAddr>,
    /// When the request being read must be whole, on the monotonic clock; 0 between requests.
    pub deadline_ms: u64,
    /// When the connection last did something, on the monotonic clock.
    pub active_ms: u64,
}

/// How far the next request has come.
#[derive(Debug)]
pub enum Reading {
    /// Its head is not whole.
    Head(HeadScan),
    /// Its head is whole, its body of known length is not.
    Body {
        /// Length of the head.
        head_bytes: usize,
        /// Length of the body.
        body_bytes: usize,
    },
    /// Its head is whole, its chunked body is not.
    Chunked(Box<Chunked>),
}

impl Default for Reading {
    fn default() -> Self {
        Self::Head(HeadScan::default())
    }
}

/// A request with a chunked body on its way.
#[derive(Debug)]
pub struct Chunked {
    /// The whole head, as read.
    pub head: Vec<u8>,
    /// How long the body may become.
    pub limit: BodyLimit,
    /// The decoder's state.
    pub decoder: ChunkedBody,
    /// Decoded bytes in front, raw bytes after them.
    pub body: Vec<u8>,
}

/// A reply that is owed: it leaves when all its answers are in and it is the oldest.
#[derive(Debug)]
pub struct Owed {
    /// Number of the request it answers.
    pub seq: u32,
    /// What was asked, and what has come of it.
    pub underway: Underway,
    /// Whether the connection stays open after it.
    pub keep_alive: bool,
    /// Version of the request.
    pub version: Version,
}

/// A plan that is being carried out.
#[derive(Debug)]
pub struct Underway {
    /// What was asked, and how the reply is laid out.
    pub plan: Plan,
    /// Outcome of each step of the plan, in order; shorter than the plan while a step must be done
    /// before the next may be put.
    pub outcomes: SmallVec<[Option<Outcome>; 1]>,
    /// When the request was whole, in microseconds of the engine's clock.
    pub since_us: u64,
    /// Steps that have been put and have no outcome.
    open: usize,
    /// Bytes of the listings among the outcomes.
    listing_bytes: usize,
    /// Whether it rests: its next step is put in the next turn, whatever is answered meanwhile.
    pub is_resting: bool,
}

impl Underway {
    /// A plan of which nothing has been put, of a request that was whole then.
    #[must_use]
    pub const fn new(plan: Plan, since_us: u64) -> Self {
        let outcomes = SmallVec::new_const();
        Self { plan, outcomes, since_us, open: 0, listing_bytes: 0, is_resting: false }
    }

    /// Notes that the next step has been put, with its outcome if there is one already.
    pub fn push(&mut self, outcome: Option<Outcome>) {
        self.open += usize::from(outcome.is_none());
        let outcome = outcome.map(|outcome| self.limited(outcome));
        self.outcomes.push(outcome);
    }

    /// Keeps the reply below [`LISTINGS_BYTES_MAX`]: the listings that come last are refused.
    fn limited(&mut self, mut outcome: Outcome) -> Outcome {
        if let Outcome::Answered(merged) = &mut outcome {
            let bytes = self.listing_bytes + merged.listing_bytes();
            if bytes > LISTINGS_BYTES_MAX {
                merged.refuse_listing();
            } else {
                self.listing_bytes = bytes;
            }
        }
        outcome
    }

    /// Whether steps have not been put, and what they waited for has been done.
    #[must_use]
    pub fn can_put_more(&self) -> bool {
        !self.is_resting && !self.has_put_all() && self.outcomes.last().is_none_or(Option::is_some)
    }

    fn has_put_all(&self) -> bool {
        self.outcomes.len() == self.plan.steps.len()
    }

    /// Notes the answer to one step.
    pub fn resolve(&mut self, step: u16, merged: Merged) {
        let outcome = self.limited(Outcome::Answered(merged));
        let before = self.outcomes[usize::from(step)].replace(outcome);
        debug_assert!(before.is_none(), "a step is answered once");
        self.open -= 1;
    }

    /// Whether every step has its outcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.has_put_all() && self.open == 0
    }
}

impl Exchange {
    /// Whether a request has begun to come and is not whole.
    #[must_use]
    pub fn is_half_read(&self) -> bool {
        !self.pending.is_empty() || !matches!(self.reading, Reading::Head(_))
    }

    /// Whether the next request has to wait: for an older reply, or for room.
    #[must_use]
    pub fn must_wait(&self) -> bool {
        self.backlogged || self.owed.len() >= PIPELINE_MAX || self.behind && !self.owed.is_empty()
    }

    /// Whether reading has stopped and can go on. Half of the replies owed must have left first,
    /// so that it does not stop again after every request.
    #[must_use]
    pub fn can_resume(&self) -> bool {
        self.paused && self.owed.len() <= PIPELINE_MAX / 2 && !self.must_wait()
    }

    /// Takes the reply owed for request `seq` out of the line, with its place.
    pub fn take_owed(&mut self, seq: u32) -> Option<(usize, Owed)> {
        let first = self.owed.front()?.seq;
        let place = seq.wrapping_sub(first) as usize;
        self.owed.remove(place).map(|owed| (place, owed))
    }

    /// The reply owed for request `seq`, when it is still owed.
    pub fn owed_mut(&mut self, seq: u32) -> Option<&mut Owed> {
        let first = self.owed.front()?.seq;
        self.owed.get_mut(seq.wrapping_sub(first) as usize)
    }
}
