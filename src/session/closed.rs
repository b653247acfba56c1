//! ⑥ Sessions that have ended, for a while: so many of a shard, none longer than an age.
//!
//! They stand in a table of their own, as they were when they ended, so that everything that can
//! be asked about sessions can be asked about them. An ended session keeps its ids: its record
//! has the slot it had where others have their connection.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::by_user::UserHasher;
use super::id::IdKeys;
use super::table::{Opening, Table};
use super::view::Session;
use crate::ids::{ConnId, SessionSlot, ShardId};

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The disconnect code, 3000 when its client left by itself.
    pub code: u32,
    /// The text of the code.
    pub reason: Cow<'static, str>,
}

/// How many ended sessions are kept, and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClosedLimits {
    /// Sessions of one shard; one more pushes the oldest out. 0: none.
    pub sessions_max: usize,
    /// Milliseconds until one is forgotten.
    pub age_ms_max: u64,
}

impl Default for ClosedLimits {
    /// A thousand, for an hour.
    fn default() -> Self {
        Self { sessions_max: 1_000, age_ms_max: 3_600_000 }
    }
}

/// The sessions of one shard that ended last.
#[derive(Debug)]
pub struct ClosedSessions {
    limits: ClosedLimits,
    table: Table,
    /// Their places, oldest end first.
    ring: VecDeque<SessionSlot>,
}

impl ClosedSessions {
    /// None yet. `keys` and `hasher` are those of the table they come from.
    #[must_use]
    pub fn new(limits: ClosedLimits, shard: ShardId, keys: IdKeys, hasher: UserHasher) -> Self {
        Self { limits, table: Table::of_ended(shard, keys, hasher), ring: VecDeque::new() }
    }

    /// Keeps a session as it is now, when it ends.
    pub fn remember(&mut self, session: &Session<'_>, ended: Ended) {
        let ClosedLimits { sessions_max, .. } = self.limits;
        if sessions_max == 0 {
            return;
        }
        self.forget_older(ended.at_ms);
        if self.ring.len() == sessions_max {
            self.forget_oldest();
        }
        let uid = session.token_uid();
        let labels = session.labels().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let opening = Opening {
            user: session.user(),
            app_name: session.app_name(),
            app_version: session.app_version(),
            transport: session.transport(),
            protocol: session.protocol(),
            token_uid: &uid,
            token_issued_at: session.token_issued_at(),
            remote_addr: session.remote_addr(),
            user_agent: session.user_agent(),
            meta: session.meta(),
            labels: &labels.collect(),
            connected_at_ms: session.connected_at_ms(),
            conn: ConnId { index: session.slot().0, generation: 0 },
        };
        // A table that is full keeps what it has.
        if let Ok(opened) = self.table.open(&opening, session.salt()) {
            self.table.note_end(opened.slot, ended);
            self.ring.push_back(opened.slot);
        }
    }

    /// Forgets those that ended too long before now.
    pub fn forget_older(&mut self, now_ms: u64) {
        let age_ms_max = self.limits.age_ms_max;
        let is_old = |ended: &Ended| now_ms.saturating_sub(ended.at_ms) >= age_ms_max;
        while self.ring.front().is_some_and(|oldest| self.table.end_of(*oldest).is_some_and(is_old))
        {
            self.forget_oldest();
        }
    }

    /// The sessions, to be read like those that live.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    fn forget_oldest(&mut self) {
        if let Some(slot) = self.ring.pop_front() {
            let _closed = self.table.close(slot);
        }
        if self.ring.is_empty() {
            self.ring = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use super::*;
    use crate::ids::ClientId;
    use crate::session::{Protocol, Transport};

    fn opening<'a>(user: &'a str, meta: &'a [u8]) -> Opening<'a> {
        static LABELS: LazyLock<BTreeMap<String, String>> =
            LazyLock::new(|| BTreeMap::from([("region".to_owned(), "eu".to_owned())]));
        Opening {
            user,
            app_name: "app",
            app_version: "1",
            transport: Transport::WebSocket,
            protocol: Protocol::Json,
            token_uid: "token",
            token_issued_at: Some(17),
            remote_addr: None,
            user_agent: "agent",
            meta: Some(meta),
            labels: &LABELS,
            connected_at_ms: 1_000,
            conn: ConnId { index: 9, generation: 1 },
        }
    }

    fn tables(limits: ClosedLimits) -> (Table, ClosedSessions) {
        let (keys, hasher) = (IdKeys::new([3; 32]), UserHasher::new([1, 2, 3, 4]));
        let shard = ShardId::new(1);
        let closed = ClosedSessions::new(limits, shard, keys.clone(), hasher.clone());
        (Table::new(shard, keys, hasher), closed)
    }

    fn end(live: &mut Table, closed: &mut ClosedSessions, slot: SessionSlot, at_ms: u64) {
        let ended = Ended { at_ms, code: 3503, reason: "force disconnect".into() };
        closed.remember(&live.view(slot), ended);
        let _closed = live.close(slot);
    }

    #[test]
    fn a_session_whose_id_was_promised_has_it_from_its_beginning_to_its_end() {
        let promise = Table::promise(77);
        let promised = tables(ClosedLimits::default()).0.promised_client(promise);
        let (live, client) = told_of_as_it_was(promise);
        assert_eq!(client, promised);
        assert_eq!(live.heap_bytes().index, told_of_as_it_was(77).0.heap_bytes().index);
    }

    #[test]
    fn an_ended_session_is_told_of_as_it_was_under_its_own_ids() {
        let _gone = told_of_as_it_was(77);
    }

    /// What is left of a table when the session with this salt has ended, and its id.
    fn told_of_as_it_was(salt: u64) -> (Table, ClientId) {
        let (mut live, mut closed) = tables(ClosedLimits::default());
        let _first = live.open(&opening("other", b"{}"), 1).expect("room");
        let opened = live.open(&opening("42", b"{\"a\":1}"), salt).expect("room");
        assert_eq!(live.by_client(opened.client).map(|session| session.slot()), Some(opened.slot));
        end(&mut live, &mut closed, opened.slot, 5_000);
        let hash = UserHasher::new([1, 2, 3, 4]).hash("42");
        let found: Vec<_> = closed.table().by_user("42", hash).collect();
        let [session] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((session.client(), session.session()), (opened.client, opened.session));
        for found in
            [closed.table().by_client(opened.client), closed.table().by_session(opened.session)]
        {
            assert_eq!(found.map(|found| found.slot()), Some(session.slot()));
        }
        assert!(live.by_client(opened.client).is_none());
        assert_eq!((session.meta(), session.app_name()), (Some(&b"{\"a\":1}"[..]), "app"));
        assert_eq!((&*session.token_uid(), session.token_issued_at()), ("token", Some(17)));
        assert!(session.labels().eq([("region", "eu")]));
        let ended = session.ended().expect("it has ended");
        assert_eq!((ended.at_ms, ended.code), (5_000, 3503));
        assert!(live.iter().all(|session| session.ended().is_none()));
        (live, opened.client)
    }

    #[test]
    fn only_the_youngest_are_kept_and_none_beyond_its_age() {
        let limits = ClosedLimits { sessions_max: 3, age_ms_max: 100 };
        let (mut live, mut closed) = tables(limits);
        for n in 0..5 {
            let opened = live.open(&opening(&n.to_string(), b"{}"), n).expect("room");
            end(&mut live, &mut closed, opened.slot, 1_000 + n * 10);
        }
        let users = |closed: &ClosedSessions| {
            let mut users: Vec<_> =
                closed.table().iter().map(|session| session.user().to_owned()).collect();
            users.sort();
            users
        };
        assert_eq!(users(&closed), ["2", "3", "4"]);
        closed.forget_older(1_129);
        assert_eq!(users(&closed), ["3", "4"]);
        closed.forget_older(1_140);
        assert_eq!(users(&closed), [""; 0]);
        assert_eq!(closed.table().heap_bytes(), tables(limits).1.table().heap_bytes());
        assert_eq!(closed.ring.capacity(), 0);
    }

    #[test]
    fn nothing_is_kept_when_nothing_is_to_be() {
        let (mut live, mut closed) = tables(ClosedLimits { sessions_max: 0, age_ms_max: 100 });
        let opened = live.open(&opening("42", b"{}"), 1).expect("room");
        end(&mut live, &mut closed, opened.slot, 1_000);
        assert!(closed.table().is_empty());
    }
}
