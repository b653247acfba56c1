//! Who must be listed, who may be and who must not, while sessions come and go. Sans-IO: events and
//! instants in, wrong answers out.
//!
//! ```text
//!         connect begun      reply read        close begun       grace over
//! ────────────┼──────────────────┼──────────────────┼──────────────────┼────────────► time
//!  never      │   may, under an  │       must       │       may        │    must not
//!             │   unknown id     │                  │                  │
//! ```
//! An answer is true of some instant between its question's sending and its own reading. So a
//! session must be in it only if it was connected at the sending and not yet closing at the
//! reading, and must not be in it only if its grace was over at the sending.

use std::collections::{HashMap, VecDeque};

use rollcall::ids::ClientId;
use serde::{Deserialize, Serialize};

use crate::question::Wrong;

/// How long an ended session is remembered, so that it can be named when it is listed again.
const MEMORY_NS: u64 = 60_000_000_000;

/// What is known of the sessions of users `0..`, all instants by one monotonic clock.
pub(crate) struct Ledger {
    /// How long an ended session may still be listed.
    grace_ns: u64,
    users: Vec<User>,
    /// Who each session known by its id belongs to, ended ones included while remembered.
    owners: HashMap<ClientId, u32>,
    /// Ended sessions, oldest first.
    ended: VecDeque<(u64, ClientId)>,
    /// Ids listed for a user while one of the user's connects had not been answered: the answer
    /// must bring this id.
    unclaimed: HashMap<ClientId, u32>,
    judged: Judged,
}

#[derive(Clone, Default)]
struct User {
    sessions: Vec<Known>,
    /// Connects begun and not answered.
    connecting: u32,
    /// Connects that failed: nobody knows whether the server let them in.
    failed: u32,
}

#[derive(Clone, Copy)]
struct Known {
    client: ClientId,
    connected_ns: u64,
    closing_ns: Option<u64>,
}

/// How sharply answers could be judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// Sessions that had to be in an answer.
    pub(crate) certain: u64,
    /// Sessions that were coming or going, and might have been in it or not.
    pub(crate) doubtful: u64,
}

impl Ledger {
    pub(crate) fn new(users: u32, grace_ns: u64) -> Self {
        Self {
            grace_ns,
            users: vec![User::default(); users as usize],
            owners: HashMap::new(),
            ended: VecDeque::new(),
            unclaimed: HashMap::new(),
            judged: Judged::default(),
        }
    }

    /// A connect of this user begins.
    pub(crate) fn connecting(&mut self, user: u32) {
        self.user(user).connecting += 1;
    }

    /// It was answered with this id; what that says about earlier answers.
    pub(crate) fn connected(&mut self, user: u32, client: ClientId, now: u64) -> Option<Wrong> {
        let owner = &mut self.users[user as usize];
        owner.connecting -= 1;
        owner.sessions.push(Known { client, connected_ns: now, closing_ns: None });
        if self.owners.insert(client, user).is_some() {
            return Some(Wrong::SameId);
        }
        match self.unclaimed.remove(&client) {
            Some(listed_for) if listed_for != user => Some(Wrong::Foreign),
            Some(_) | None => None,
        }
    }

    /// It failed.
    pub(crate) fn failed(&mut self, user: u32) {
        let user = self.user(user);
        user.connecting -= 1;
        user.failed += 1;
    }

    /// A session is about to be closed, or has been found closed.
    pub(crate) fn closing(&mut self, user: u32, client: ClientId, now: u64) {
        let mut sessions = self.user(user).sessions.iter_mut();
        let known = sessions.find(|known| known.client == client && known.closing_ns.is_none());
        if let Some(known) = known {
            known.closing_ns = Some(now);
            self.ended.push_back((now, client));
        }
    }

    /// Judges the ids, in ascending order, that an answer lists for a user. It was asked for at
    /// `asked_ns` and has just been read.
    pub(crate) fn judge(&mut self, user: u32, asked_ns: u64, listed: &[ClientId]) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let owner = &self.users[user as usize];
        let mut unknown_allowed = owner.connecting + owner.failed;
        for known in &owner.sessions {
            let is_listed = listed.binary_search(&known.client).is_ok();
            match (known.closing_ns, is_listed) {
                (None, false) if known.connected_ns <= asked_ns => wrong.push(Wrong::Missing),
                (Some(at), true) if at + self.grace_ns <= asked_ns => wrong.push(Wrong::Lingering),
                _ => {}
            }
            match known.closing_ns {
                None if known.connected_ns <= asked_ns => self.judged.certain += 1,
                Some(at) if at + self.grace_ns <= asked_ns => {}
                None | Some(_) => self.judged.doubtful += 1,
            }
        }
        self.judged.doubtful += u64::from(unknown_allowed);
        for client in listed {
            match self.owners.get(client) {
                Some(owner) if *owner == user => {}
                Some(_) => wrong.push(Wrong::Foreign),
                None if unknown_allowed > 0 => {
                    unknown_allowed -= 1;
                    let listed_for = self.unclaimed.insert(*client, user).unwrap_or(user);
                    if listed_for != user {
                        wrong.push(Wrong::Foreign);
                    }
                }
                None => wrong.push(Wrong::Unknown),
            }
        }
        wrong
    }

    /// Ids that were listed while a connect was not answered, and no answer ever brought; asked
    /// when all connects are over.
    pub(crate) fn unclaimed(&self) -> Vec<Wrong> {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        for user in self.unclaimed.values() {
            *counts.entry(*user).or_default() += 1;
        }
        let beyond = |(user, count): (u32, u32)| {
            // A connect may have failed after the server had let it in.
            count.saturating_sub(self.users[user as usize].failed) as usize
        };
        vec![Wrong::Unknown; counts.into_iter().map(beyond).sum()]
    }

    /// Forgets sessions that ended long ago.
    pub(crate) fn forget(&mut self, now: u64) {
        let keep_ns = self.grace_ns.max(MEMORY_NS);
        while let Some((at, client)) = self.ended.front().copied()
            && at + keep_ns <= now
        {
            self.ended.pop_front();
            if let Some(user) = self.owners.remove(&client) {
                self.user(user).sessions.retain(|known| known.client != client);
            }
        }
    }

    pub(crate) const fn judged(&self) -> Judged {
        self.judged
    }

    fn user(&mut self, user: u32) -> &mut User {
        &mut self.users[user as usize]
    }
}

#[cfg(test)]
mod tests;
