//! ⑤ Questions in flight: who still owes an answer, until when, and who is waiting for it.

use std::collections::VecDeque;

use crate::api::{Answer, Merged};
use crate::connection::commands::SessionsCall;
use crate::ids::{CallId, ClientId, ConnId, ShardId};
use crate::messages::GatherId;

/// Questions of one shard that may be in flight at once; further ones are answered `partial`
/// from the asking shard alone.
pub(super) const GATHERS_MAX: usize = 65_536;

/// Who waits for the merged answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asker {
    /// A step of a plan.
    Step {
        /// Whose plan.
        caller: Caller,
        /// Which of its steps.
        step: u16,
    },
    /// What must be done before a step of a plan: the control thread stores it, or a fence is put
    /// up on every shard.
    Before {
        /// Whose plan.
        caller: Caller,
        /// Which of its steps.
        step: u16,
    },
    /// A connect that waits for the oldest session of its user to end.
    Connect {
        /// The connection.
        conn: ConnId,
    },
    /// A call of a client about its user's own sessions.
    Call {
        /// The connection.
        conn: ConnId,
        /// The session: by the time of the answer the connection may carry another.
        client: ClientId,
        /// Id of the command.
        id: u32,
        /// What it asked for.
        call: SessionsCall,
    },
}

/// Who gave a plan, and gets its reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Caller {
    /// A request over HTTP.
    Http {
        /// Its connection.
        conn: ConnId,
        /// Its number there.
        seq: u32,
    },
    /// A request that came by the control thread.
    Remote(CallId),
}

/// A question whose last answer is in, or will not come.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Who waits for it.
    pub(super) asker: Asker,
    /// What came together.
    pub(super) merged: Merged,
}

#[derive(Debug)]
struct Gather {
    asker: Asker,
    merged: Merged,
    /// Shards that still owe an answer, as a mask.
    waiting: u64,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    gather: Option<Gather>,
}

/// The gather table of one shard.
#[derive(Debug)]
pub(super) struct Gathers {
    places: Vec<Place>,
    free: Vec<u32>,
    /// Every gather asked and not yet known to be done, oldest first: deadlines are in order
    /// because all have the same length.
    by_deadline: VecDeque<(u64, GatherId)>,
    timeout_ms: u64,
}

impl Gathers {
    /// An empty table; each question waits at most `timeout_ms`.
    #[must_use]
    pub(super) const fn new(timeout_ms: u64) -> Self {
        Self { places: Vec::new(), free: Vec::new(), by_deadline: VecDeque::new(), timeout_ms }
    }

    /// Notes a question that the shards in `waiting` still have to answer.
    ///
    /// # Errors
    /// Gives the merged answer back when [`GATHERS_MAX`] questions are in flight.
    pub(super) fn open(
        &mut self,
        asker: Asker,
        merged: Merged,
        waiting: u64,
        now_ms: u64,
    ) -> Result<GatherId, Merged> {
        debug_assert_ne!(waiting, 0, "nobody to wait for");
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.places.len() == GATHERS_MAX => return Err(merged),
            None => {
                self.places.push(Place::default());
                u32::try_from(self.places.len() - 1).expect("GATHERS_MAX fits u32")
            }
        };
        let place = &mut self.places[index as usize];
        place.gather = Some(Gather { asker, merged, waiting });
        let id = GatherId { index, generation: place.generation };
        self.by_deadline.push_back((now_ms + self.timeout_ms, id));
        Ok(id)
    }

    /// Takes one shard's answer. Returns the whole when it was the last one. An answer that
    /// comes too late, or twice, is ignored.
    pub(super) fn answer(
        &mut self,
        id: GatherId,
        from: ShardId,
        answer: Answer,
    ) -> Option<Gathered> {
        let gather = self.live(id)?;
        if gather.waiting & from.bit() == 0 {
            return None;
        }
        gather.merged.add(answer);
        gather.waiting &= !from.bit();
        (gather.waiting == 0).then(|| self.take(id)).flatten()
    }

    /// Notes that one shard will not answer. Returns the whole when it was the last one.
    pub(super) fn missing(&mut self, id: GatherId, shard: ShardId) -> Option<Gathered> {
        let gather = self.live(id)?;
        gather.merged.missing |= gather.waiting & shard.bit();
        gather.waiting &= !shard.bit();
        (gather.waiting == 0).then(|| self.take(id)).flatten()
    }

    /// Takes the next question whose time is over; what has not come counts as missing.
    pub(super) fn take_overdue(&mut self, now_ms: u64) -> Option<Gathered> {
        while let Some((deadline_ms, id)) = self.by_deadline.front().copied() {
            let live = self.live(id).is_some();
            if live && deadline_ms > now_ms {
                return None;
            }
            self.by_deadline.pop_front();
            if let Some(gather) = self.live(id) {
                gather.merged.missing |= gather.waiting;
                return self.take(id);
            }
        }
        None
    }

    fn live(&mut self, id: GatherId) -> Option<&mut Gather> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        place.gather.as_mut()
    }

    fn take(&mut self, id: GatherId) -> Option<Gathered> {
        let place = self.places.get_mut(id.index as usize)?;
        let Gather { asker, merged, .. } = place.gather.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(Gathered { asker, merged })
    }
}
