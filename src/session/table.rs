//! ④⑤⑥ The table of one shard's sessions: opened and closed here, found by user and by id.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;

use super::by_user::{ByUser, UserHasher};
use super::changes::Changes;
use super::closed::Ended;
use super::heap::HeapBytes;
use super::id::{Address, IdKeys};
use super::index::{Index, Indexed};
use super::interner::{AGENTS_MAX, Interner};
use super::labels::{self, LabelRun};
use super::latency::Latency;
use super::pages::Pages;
use super::record::{self, NONE, Record, Shared};
use super::token::{self, Token};
use super::view::{Protocol, Session, Transport};
use crate::ids::{ClientId, ConnId, SessionId, SessionSlot, ShardId, UserHash};

/// All sessions of one shard.
///
/// A session is in it once, under one user. When the last one closes, all its memory goes back but
/// 32 KiB.
pub struct Table {
    kind: Kind,
    shard: ShardId,
    keys: IdKeys,
    hasher: UserHasher,
    pages: Pages,
    by_user: ByUser,
    index: Index,
    changes: Changes,
    agents: Interner,
    /// Where those are whose public id was told before they were opened, by their salt.
    promised: HashMap<u64, u32, ahash::RandomState>,
}

/// In the salt of a session whose public id was told before it had a slot: the id has none.
const PROMISED: u64 = 1 << 63;

/// What sessions a table holds.
enum Kind {
    /// Those that live.
    Live,
    /// Those that have ended, and how each did.
    Ended(HashMap<u32, Ended, ahash::RandomState>),
}

impl fmt::Debug for Table {
    /// How many there are, not who they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("shard", &self.shard)
            .field("sessions", &self.len())
            .finish_non_exhaustive()
    }
}

/// What a new session is made of.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The user; empty when anonymous.
    pub user: &'a str,
    /// The client's `name`, or empty.
    pub app_name: &'a str,
    /// The client's `version`, or empty.
    pub app_version: &'a str,
    /// How its bytes travel.
    pub transport: Transport,
    /// How its messages are encoded.
    pub protocol: Protocol,
    /// The token's `jti`, or empty. A UUID in lower case is stored in 16 bytes.
    pub token_uid: &'a str,
    /// The token's `iat`, in seconds since the Unix epoch.
    pub token_issued_at: Option<i64>,
    /// The address it comes from, when that is known: 4 bytes, or 16 of IPv6.
    pub remote_addr: Option<IpAddr>,
    /// The user agent it names, or empty. Cut at [`USER_AGENT_BYTES_MAX`].
    pub user_agent: &'a str,
    /// What the backend attached: kept byte for byte.
    pub meta: Option<&'a [u8]>,
    /// The labels the backend gave it, by key; at most 255.
    pub labels: &'a BTreeMap<String, String>,
    /// When, in milliseconds since the Unix epoch.
    pub connected_at_ms: u64,
    /// Its connection. Only the place is kept: nobody else has it while the session lives.
    pub conn: ConnId,
}

/// Where a walk over all sessions has come to; the default is its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Walk(u32);

/// How far a walk over the sessions of one user has come; the default is its beginning.
#[derive(Clone, Default, Debug)]
pub struct Trail(Vec<(u32, u64)>);

/// Bytes kept of a user agent; what is longer is cut before the character that does not fit
/// (`a_long_user_agent_is_cut_at_a_character`). Browsers send less than 200.
pub const USER_AGENT_BYTES_MAX: usize = 256;

/// A session was opened.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Its place in the table.
    pub slot: SessionSlot,
    /// Its public id.
    pub client: ClientId,
    /// Its private id, a capability.
    pub session: SessionId,
    /// Whether no session of this shard had the user's hash before: the directory must learn it.
    pub first_of_user: bool,
}

/// A session was closed.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Whether no session of this shard has the user's hash any more: the directory must forget it.
    pub last_of_user: bool,
    /// The user's hash.
    pub hash: UserHash,
}

/// No slot is left: nine hundred million sessions of usual size, or eight million of more than
/// 512 bytes, in one shard. Descriptors and memory run out first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the shard's session table is full")]
pub struct TableFull;

/// Records read ahead of a reader of one user's sessions: more than almost any user has.
const FETCHED_MAX: usize = 8;

impl Table {
    /// An empty table. All shards of a process share `keys` and `hasher`.
    #[must_use]
    pub fn new(shard: ShardId, keys: IdKeys, hasher: UserHasher) -> Self {
        let index = Index::new(hasher.state());
        let changes = Changes::new(hasher.state());
        let agents = Interner::new(hasher.state().clone(), AGENTS_MAX);
        let kind = Kind::Live;
        Self {
            kind,
            shard,
            keys,
            hasher,
            pages: Pages::new(),
            by_user: ByUser::new(),
            index,
            changes,
            agents,
            promised: HashMap::default(),
        }
    }

    /// A salt for a session whose public id must be known before it is opened; costs an entry of a
    /// map while it lives. `random` must be.
    #[must_use]
    pub const fn promise(random: u64) -> u64 {
        random | PROMISED
    }

    /// The public id of the session that will be opened with this promise.
    #[must_use]
    pub fn promised_client(&self, promise: u64) -> ClientId {
        debug_assert_ne!(promise & PROMISED, 0, "no promise");
        self.client_by(SessionSlot(NONE), promise)
    }

    fn client_by(&self, slot: SessionSlot, salt: u64) -> ClientId {
        let slot = if salt & PROMISED == 0 { slot } else { SessionSlot(NONE) };
        self.keys.client(Address { shard: self.shard, slot, salt })
    }

    /// An empty table for sessions that end in another one, with whose `keys` and `hasher`.
    pub(super) fn of_ended(shard: ShardId, keys: IdKeys, hasher: UserHasher) -> Self {
        let kind = Kind::Ended(HashMap::with_hasher(hasher.state().clone()));
        Self { kind, ..Self::new(shard, keys, hasher) }
    }

    /// Notes how a session ended.
    pub(super) fn note_end(&mut self, SessionSlot(slot): SessionSlot, how: Ended) {
        match &mut self.kind {
            Kind::Ended(ends) => drop(ends.insert(slot, how)),
            Kind::Live => unreachable!("what lives has not ended"),
        }
    }

    /// How a session ended, if it has.
    pub(super) fn end_of(&self, SessionSlot(slot): SessionSlot) -> Option<&Ended> {
        match &self.kind {
            Kind::Live => None,
            Kind::Ended(ends) => ends.get(&slot),
        }
    }

    /// Opens a session. `salt` must be random, below 2^63 unless it is a [promise](Self::promise):
    /// it makes the ids of this session its own, whoever had the slot before.
    ///
    /// # Errors
    /// [`TableFull`] when no slot is left; the table is as it was.
    pub fn open(&mut self, opening: &Opening<'_>, salt: u64) -> Result<Opened, TableFull> {
        let hash = self.hasher.hash(opening.user);
        let head = self.head(opening.user, hash);
        let end = opening.user_agent.floor_char_boundary(USER_AGENT_BYTES_MAX);
        let opening = Opening { user_agent: &opening.user_agent[..end], ..*opening };
        let shared = self.share(&opening);
        let labels = labels::encode(opening.labels, &mut self.index.labels);
        let labels = LabelRun(&labels);
        let record = record::write(&opening, shared, labels, salt, head.unwrap_or(NONE));
        let Some(slot) = self.pages.insert(&record) else {
            self.index.release(shared.app, labels);
            self.release_agent(shared);
            return Err(TableFull);
        };
        let Shared { app, .. } = shared;
        self.index.add(slot, Indexed { transport: opening.transport, app, labels });
        let first_of_user = match head {
            Some(head) => {
                record::set_prev(self.pages.record_mut(head), slot);
                self.by_user.replace(hash, head, slot);
                false
            }
            None => {
                let first = !self.has_hash(hash);
                let (pages, hasher) = (&self.pages, &self.hasher);
                self.by_user.insert(hash, slot, |slot| hash_of(pages, hasher, slot));
                first
            }
        };
        let slot = SessionSlot(slot);
        let session = self.keys.session(Address { shard: self.shard, slot, salt });
        if salt & PROMISED != 0 && matches!(self.kind, Kind::Live) {
            self.promised.insert(salt, slot.0);
        }
        let client = self.client_by(slot, salt);
        Ok(Opened { slot, client, session, first_of_user })
    }

    /// Closes a session. O(1), also when its user has a million others.
    ///
    /// # Panics
    /// If the slot is not in use: whoever closes a session holds it.
    pub fn close(&mut self, SessionSlot(slot): SessionSlot) -> Closed {
        let record = Record(self.pages.record(slot));
        let (prev, next, shared) = (record.prev(), record.next(), record.shared());
        let (is_changed, salt) = (record.is_changed(), record.salt());
        self.index.remove(slot, indexed(&self.changes, slot, record));
        let hash = self.hasher.hash_bytes(record.user());
        if next != NONE {
            record::set_prev(self.pages.record_mut(next), prev);
        }
        let mut last_of_user = false;
        if prev != NONE {
            record::set_next(self.pages.record_mut(prev), next);
        } else if next != NONE {
            self.by_user.replace(hash, slot, next);
        } else {
            let (pages, hasher) = (&self.pages, &self.hasher);
            self.by_user.remove(hash, slot, |slot| hash_of(pages, hasher, slot));
            last_of_user = !self.has_hash(hash);
        }
        self.pages.remove(slot);
        if salt & PROMISED != 0 {
            self.promised.remove(&salt);
            self.promised.shrink_to(2 * self.promised.len());
        }
        if is_changed {
            self.changes.forget(slot);
        }
        self.release_agent(shared);
        if let Kind::Ended(ends) = &mut self.kind {
            ends.remove(&slot);
            if ends.is_empty() {
                ends.shrink_to_fit();
            }
        }
        Closed { last_of_user, hash }
    }

    /// Replaces what the backend attached to a session.
    ///
    /// # Panics
    /// If the slot is not in use: whoever changes a session holds it.
    pub fn set_meta(&mut self, SessionSlot(slot): SessionSlot, meta: Option<&[u8]>) {
        record::set_changed(self.pages.record_mut(slot));
        self.changes.set_meta(slot, meta);
    }

    /// Notes the round trip of a session's last ping.
    ///
    /// # Panics
    /// If the slot is not in use: whoever pings a session holds it.
    pub fn set_latency(&mut self, SessionSlot(slot): SessionSlot, ms: u64) {
        record::set_latency(self.pages.record_mut(slot), Latency::of_ms(ms));
    }

    /// Replaces the token of a session: its `jti`, or empty, and its `iat`. Returns whether it had
    /// another one.
    ///
    /// # Panics
    /// If the slot is not in use: whoever changes a session holds it.
    pub fn set_token(&mut self, slot: SessionSlot, uid: &str, issued_at: Option<i64>) -> bool {
        let session = self.view(slot);
        if *session.token_uid() == *uid && session.token_issued_at() == issued_at {
            return false;
        }
        let record = (slot.0, self.pages.record_mut(slot.0));
        token::replace(&mut self.changes, record, uid, issued_at);
        true
    }

    /// Replaces the labels of a session, at most 255.
    ///
    /// # Panics
    /// If the slot is not in use: whoever changes a session holds it.
    pub fn set_labels(
        &mut self,
        SessionSlot(slot): SessionSlot,
        labels: &BTreeMap<String, String>,
    ) {
        let before = indexed(&self.changes, slot, Record(self.pages.record(slot)));
        let stored = self.index.relabel(slot, before, labels);
        record::set_changed(self.pages.record_mut(slot));
        self.changes.set_labels(slot, &stored);
    }

    /// The session in this slot.
    ///
    /// # Panics
    /// If the slot is not in use: a slot is only meaningful while its session lives.
    #[must_use]
    pub fn view(&self, slot: SessionSlot) -> Session<'_> {
        Session::new(self, slot, Record(self.pages.record(slot.0)))
    }

    /// The sessions of a user, newest first. `hash` is the hash of `user`; another user with the
    /// same hash is not mixed in.
    pub fn by_user(&self, user: &str, hash: UserHash) -> impl Iterator<Item = Session<'_>> {
        debug_assert_eq!(hash, self.hasher.hash(user));
        let mut next = self.head(user, hash).unwrap_or(NONE);
        self.fetch(next);
        std::iter::from_fn(move || {
            let slot = (next != NONE).then_some(SessionSlot(next))?;
            let record = Record(self.pages.record(slot.0));
            next = record.next();
            Some(Session::new(self, slot, record))
        })
    }

    /// One stretch of a walk over a user's sessions, newest first, until `visit` breaks off; returns
    /// whether there are more. Between two stretches sessions may come and go, as in [`Self::walk`].
    pub fn walk_user<'t>(
        &'t self,
        (user, hash): (&str, UserHash),
        Trail(trail): &mut Trail,
        mut visit: impl FnMut(Session<'t>) -> ControlFlow<()>,
    ) -> bool {
        // Newcomers stand before all that were there: behind the last one seen that still lives is
        // the first one unseen.
        let mut next = loop {
            let Some((slot, salt)) = trail.last() else {
                break self.head(user, hash).unwrap_or(NONE);
            };
            let seen = self.pages.get(*slot).map(Record).filter(|record| record.salt() == *salt);
            if let Some(record) = seen {
                break record.next();
            }
            trail.pop();
        };
        self.fetch(next);
        while next != NONE {
            let (slot, record) = (next, Record(self.pages.record(next)));
            trail.push((slot, record.salt()));
            next = record.next();
            if visit(Session::new(self, SessionSlot(slot), record)).is_break() {
                return next != NONE;
            }
        }
        false
    }

    /// The session with this public id. Ids of closed sessions, of other shards and invented ones
    /// lead nowhere.
    #[must_use]
    pub fn by_client(&self, id: ClientId) -> Option<Session<'_>> {
        self.at(self.keys.read_client(id)?)
    }

    /// The session with this private id. Ids of closed sessions, of other shards and invented ones
    /// lead nowhere.
    #[must_use]
    pub fn by_session(&self, id: SessionId) -> Option<Session<'_>> {
        self.at(self.keys.read_session(id)?)
    }

    /// Every session, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Session<'_>> {
        self.pages.slots().map(|slot| self.view(SessionSlot(slot)))
    }

    /// The session in this slot, unless it is free.
    #[must_use]
    pub fn get(&self, slot: SessionSlot) -> Option<Session<'_>> {
        let record = Record(self.pages.get(slot.0)?);
        Some(Session::new(self, slot, record))
    }

    /// One stretch of a walk over all sessions: shows one place after the other, with its session
    /// or without, until `visit` breaks off; returns where to go on, or `None` at the end.
    ///
    /// Between two stretches sessions may come and go. One that lives from the beginning of a walk
    /// to its end is shown exactly once, because a session never changes its slot; one that came
    /// or went meanwhile is shown at most once.
    pub fn walk<'t>(
        &'t self,
        from: Walk,
        mut visit: impl FnMut(Option<Session<'t>>) -> ControlFlow<()>,
    ) -> Option<Walk> {
        let next = self.pages.walk(from.0, |slot, record| {
            visit(record.map(|record| Session::new(self, SessionSlot(slot), Record(record))))
        });
        next.map(Walk)
    }

    /// Sessions.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there is no session.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Users who have sessions, told apart by their hash.
    #[must_use]
    pub fn users(&self) -> usize {
        self.by_user.users()
    }

    /// What it holds of the heap. O(pages), which are a hundredth of the sessions.
    #[must_use]
    pub fn heap_bytes(&self) -> HeapBytes {
        HeapBytes {
            records: self.pages.heap_bytes(),
            by_user: self.by_user.heap_bytes(),
            apps: self.index.apps.heap_bytes(),
            agents: self.agents.heap_bytes(),
            labels: self.index.labels.heap_bytes(),
            index: self.index.heap_bytes() + self.promised.capacity() * size_of::<(u64, u32)>(),
            changes: self.changes.heap_bytes(),
        }
    }

    pub(super) fn client_of(&self, slot: SessionSlot, record: Record<'_>) -> ClientId {
        let Address { slot, salt, .. } = self.address(slot, record);
        self.client_by(slot, salt)
    }

    pub(super) fn session_of(&self, slot: SessionSlot, record: Record<'_>) -> SessionId {
        self.keys.session(self.address(slot, record))
    }

    /// What the ids of a session say.
    fn address(&self, slot: SessionSlot, record: Record<'_>) -> Address {
        let slot = match self.kind {
            Kind::Live => slot,
            // Its ids say where it lived.
            Kind::Ended(_) => SessionSlot(record.conn_index()),
        };
        Address { shard: self.shard, slot, salt: record.salt() }
    }

    pub(super) fn meta_of<'a>(
        &'a self,
        SessionSlot(slot): SessionSlot,
        record: Record<'a>,
    ) -> Option<&'a [u8]> {
        let replaced = if record.is_changed() { self.changes.meta(slot) } else { None };
        replaced.unwrap_or_else(|| record.meta())
    }

    /// The token that replaced the one in the record.
    pub(super) fn token_of(
        &self,
        SessionSlot(slot): SessionSlot,
        record: Record<'_>,
    ) -> Option<&Token> {
        if record.is_changed() { self.changes.token(slot) } else { None }
    }

    pub(super) fn labels_of<'a>(
        &'a self,
        SessionSlot(slot): SessionSlot,
        record: Record<'a>,
    ) -> LabelRun<'a> {
        labels_of(&self.changes, slot, record)
    }

    pub(super) const fn index(&self) -> &Index {
        &self.index
    }

    pub(super) const fn agents(&self) -> &Interner {
        &self.agents
    }

    /// The numbers of the texts that a session shares.
    fn share(&mut self, opening: &Opening<'_>) -> Shared {
        let app = self.index.apps.intern(opening.app_name, opening.app_version);
        let agent = match opening.user_agent {
            "" => None,
            agent => self.agents.acquire(agent),
        };
        Shared { app, agent }
    }

    fn release_agent(&mut self, shared: Shared) {
        if let Some(agent) = shared.agent {
            self.agents.release(agent);
        }
    }

    fn at(&self, address: Address) -> Option<Session<'_>> {
        let slot = match &self.kind {
            Kind::Live if address.slot.0 == NONE => SessionSlot(*self.promised.get(&address.salt)?),
            Kind::Live => address.slot,
            // Where it stands now, nobody wrote down: there are few, and seldom is one asked for.
            Kind::Ended(ends) => SessionSlot(*ends.keys().find(|slot| {
                let record = Record(self.pages.record(**slot));
                let is_there = [NONE, record.conn_index()].contains(&address.slot.0);
                is_there && record.salt() == address.salt
            })?),
        };
        let record = Record(self.pages.get(slot.0)?);
        let is_it = address.shard == self.shard && record.salt() == address.salt;
        is_it.then(|| Session::new(self, slot, record))
    }

    /// Brings the first records of a chain into the cache, one load after the other: a reader
    /// computes an id between two records, which is too much work for the processor to look past
    /// and see the next miss coming.
    fn fetch(&self, mut slot: u32) {
        let mut seen = 0;
        for _ in 0..FETCHED_MAX {
            if slot == NONE {
                break;
            }
            let record = self.pages.record(slot);
            // Byte 0 of each cache line, as far as most records go.
            seen ^= record.iter().step_by(64).take(4).fold(0, |all, byte| all ^ byte);
            seen ^= record[record.len() - 1];
            slot = Record(record).next();
        }
        std::hint::black_box(seen);
    }

    /// The user's newest session.
    fn head(&self, user: &str, hash: UserHash) -> Option<u32> {
        let is = |slot| Record(self.pages.record(slot)).user() == user.as_bytes();
        self.by_user.find(hash, is)
    }

    /// Whether some user in the index has this hash. Almost always decided without reading a
    /// record: an entry of another user shares its seven tag bits once in 128.
    fn has_hash(&self, hash: UserHash) -> bool {
        self.by_user.find(hash, |slot| hash_of(&self.pages, &self.hasher, slot) == hash).is_some()
    }
}

fn labels_of<'a>(changes: &'a Changes, slot: u32, record: Record<'a>) -> LabelRun<'a> {
    let replaced = if record.is_changed() { changes.labels(slot) } else { None };
    replaced.unwrap_or_else(|| record.labels())
}

/// What is indexed of a session now.
fn indexed<'a>(changes: &'a Changes, slot: u32, record: Record<'a>) -> Indexed<'a> {
    let labels = labels_of(changes, slot, record);
    Indexed { transport: record.transport(), app: record.shared().app, labels }
}

fn hash_of(pages: &Pages, hasher: &UserHasher, slot: u32) -> UserHash {
    hasher.hash_bytes(Record(pages.record(slot)).user())
}

#[cfg(test)]
impl Table {
    pub(super) const fn parts(&self) -> (&Pages, &ByUser) {
        (&self.pages, &self.by_user)
    }
}
