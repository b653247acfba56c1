//! ③ What waits for the outside: put to the control thread by a message, until its answer comes or
//! the time is over. The shard goes on meanwhile.

use std::collections::{HashMap, VecDeque};

use crate::ids::{ClientId, ConnId, InquiryId};

/// Inquiries of one shard that may wait at once. Whoever comes then is refused for now
/// (`more_connects_than_may_wait_are_refused_for_now`).
pub(super) const INQUIRIES_MAX: usize = if cfg!(test) { 4 } else { 16_384 };

/// Of those, sessions whose time is over: the others are for who wants to come in
/// (`sessions_whose_time_is_over_leave_room_for_who_wants_to_come_in`).
pub(super) const SESSIONS_MAX: usize = INQUIRIES_MAX / 2;

/// Who waits for what the outside says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inquirer {
    /// A connect.
    Connect {
        /// Its connection.
        conn: ConnId,
    },
    /// A session whose time is over.
    Session {
        /// Its connection.
        conn: ConnId,
        /// Which one it is, for another may have the connection.
        client: ClientId,
    },
    /// Nobody: something is found out for those who come later.
    Nobody,
}

/// The inquiries of one shard.
#[derive(Debug)]
pub(super) struct Inquiries {
    waiting: HashMap<InquiryId, Inquirer, ahash::RandomState>,
    /// Every inquiry made and not yet known to be over, oldest first: deadlines are in order
    /// because all wait equally long.
    by_deadline: VecDeque<(u64, InquiryId)>,
    last: u64,
    timeout_ms: u64,
    /// Whether one is made for nobody.
    any_for_nobody: bool,
    /// How many are made for sessions.
    for_sessions: usize,
}

impl Inquiries {
    /// No inquiry; each waits at most `timeout_ms`.
    pub(super) fn new(timeout_ms: u64) -> Self {
        let (waiting, by_deadline) = (HashMap::default(), VecDeque::new());
        Self { waiting, by_deadline, last: 0, timeout_ms, any_for_nobody: false, for_sessions: 0 }
    }

    /// Notes who waits, unless [`INQUIRIES_MAX`] do. For nobody there is one at a time
    /// (`a_session_whose_next_key_is_not_known_stays_and_the_key_is_fetched_once`).
    pub(super) fn open(&mut self, inquirer: Inquirer, now_ms: u64) -> Option<InquiryId> {
        let has_room = match inquirer {
            Inquirer::Connect { .. } => true,
            Inquirer::Session { .. } => self.for_sessions < SESSIONS_MAX,
            Inquirer::Nobody => !self.any_for_nobody,
        };
        if self.waiting.len() >= INQUIRIES_MAX || !has_room {
            return None;
        }
        match inquirer {
            Inquirer::Connect { .. } => {}
            Inquirer::Session { .. } => self.for_sessions += 1,
            Inquirer::Nobody => self.any_for_nobody = true,
        }
        self.last += 1;
        let id = InquiryId(self.last);
        self.waiting.insert(id, inquirer);
        self.by_deadline.push_back((now_ms + self.timeout_ms, id));
        Some(id)
    }

    /// Who waited for this, if anybody still did. Nobody does any more.
    pub(super) fn close(&mut self, id: InquiryId) -> Option<Inquirer> {
        let inquirer = self.waiting.remove(&id)?;
        match inquirer {
            Inquirer::Connect { .. } => {}
            Inquirer::Session { .. } => self.for_sessions -= 1,
            Inquirer::Nobody => self.any_for_nobody = false,
        }
        self.forget_closed();
        Some(inquirer)
    }

    /// The next one that has waited too long.
    pub(super) fn take_overdue(&mut self, now_ms: u64) -> Option<(InquiryId, Inquirer)> {
        let (deadline_ms, id) = self.by_deadline.front().copied()?;
        if deadline_ms > now_ms {
            return None;
        }
        let inquirer = self.close(id).expect("those that are over have been forgotten");
        Some((id, inquirer))
    }

    /// Whether nobody waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.by_deadline.is_empty()
    }

    /// Keeps one that waits in front, and gives the memory back after a storm.
    fn forget_closed(&mut self) {
        while self.by_deadline.front().is_some_and(|(_, id)| !self.waiting.contains_key(id)) {
            self.by_deadline.pop_front();
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to_fit();
            self.by_deadline = VecDeque::new();
        }
    }
}
