//! The side of a watch where the sessions are: who wants to hear of them, and what they hear.

use std::collections::{HashMap, VecDeque};

use smallvec::SmallVec;

use super::super::Shard;
use crate::api::watch::{self, Told, Wanted};
use crate::api::{Budget, Looking, Progress, Selector, Subject};
use crate::connection::close::CloseReason;
use crate::ids::{SessionSlot, ShardId, UserHash};
use crate::messages::{WatchId, WatchMessage};
use crate::session::Table;
use crate::time::Now;

/// Steps of one piece of a snapshot, where writing down many sessions takes longer than looking at
/// them.
const PIECE_STEPS: usize = 2_000;

/// A watch as the shards know it: whose it is, and its name there.
pub(super) type Key = (ShardId, WatchId);

/// Everybody who wants to hear of this shard's sessions.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    all: HashMap<Key, Watcher>,
    /// Those that watch one user.
    by_user: HashMap<UserHash, SmallVec<[Key; 1]>>,
    /// The others are asked about every session.
    general: Vec<Key>,
    /// Snapshots whose next piece this shard's own watchers wait for.
    own_due: VecDeque<Key>,
}

#[derive(Debug)]
struct Watcher {
    wanted: Wanted,
    /// The rest of its snapshot; none when it is whole.
    snapshot: Option<Looking>,
}

impl Watchers {
    pub(super) fn are_none(&self) -> bool {
        self.all.is_empty()
    }

    /// A watcher of this very shard wants the next piece of its snapshot.
    pub(super) fn due(&mut self, this: ShardId, watch: WatchId) {
        self.own_due.push_back((this, watch));
    }

    fn add(&mut self, key: Key, wanted: Wanted, snapshot: Looking) {
        match wanted.subject() {
            Subject::User(hash) => self.by_user.entry(hash).or_default().push(key),
            Subject::Users(_)
            | Subject::Client(_)
            | Subject::Session(_)
            | Subject::Every
            | Subject::Here
            | Subject::Nobody => {
                self.general.push(key);
            }
        }
        self.all.insert(key, Watcher { wanted, snapshot: Some(snapshot) });
    }

    /// Returns whether it was there.
    #[must_use]
    pub(super) fn remove(&mut self, key: Key) -> bool {
        let Some(watcher) = self.all.remove(&key) else { return false };
        match watcher.wanted.subject() {
            Subject::User(hash) => {
                if let Some(keys) = self.by_user.get_mut(&hash) {
                    keys.retain(|other| *other != key);
                    if keys.is_empty() {
                        self.by_user.remove(&hash);
                    }
                }
            }
            Subject::Users(_)
            | Subject::Client(_)
            | Subject::Session(_)
            | Subject::Every
            | Subject::Here
            | Subject::Nobody => {
                self.general.retain(|other| *other != key);
            }
        }
        if self.all.is_empty() {
            *self = Self::default();
        }
        true
    }
}

impl Shard {
    /// Somebody wants to hear of this shard's sessions, and hears at once of the first of them.
    pub(super) fn watch_here(&mut self, key: Key, selector: Box<Selector>, now: Now) {
        let wanted = Wanted::new(selector);
        let snapshot = wanted.look(&self.table, &mut Budget::new(PIECE_STEPS));
        self.watches.watchers.add(key, wanted, snapshot);
        self.send_piece(key, now);
    }

    /// One piece for one of this shard's own watchers. Returns whether no other is due.
    pub(super) fn continue_own_snapshots(&mut self, now: Now) -> bool {
        if let Some(key) = self.watches.watchers.own_due.pop_front() {
            self.send_piece(key, now);
        }
        self.watches.watchers.own_due.is_empty()
    }

    /// The next piece of a snapshot that is not whole yet.
    pub(super) fn send_piece(&mut self, key: Key, now: Now) {
        let Some(watcher) = self.watches.watchers.all.get_mut(&key) else { return };
        let Some(looking) = &mut watcher.snapshot else { return };
        let budget = &mut Budget::new(PIECE_STEPS);
        let (piece, progress) = watcher.wanted.piece(looking, &self.table, budget);
        if progress == Progress::Done {
            watcher.snapshot = None;
        }
        let is_last = watcher.snapshot.is_none();
        let (sessions, event) = piece.into_event();
        self.tell_watch(key, WatchMessage::Piece { event, sessions, is_last }, now);
    }

    /// A session was opened, or is another now.
    pub(in crate::shard) fn tell_watchers(&mut self, slot: SessionSlot, what: Told, now: Now) {
        if self.watches.watchers.are_none() {
            return;
        }
        let keys = self.watchers_of(slot);
        if !keys.is_empty() {
            let event = watch::told(what, &self.table.view(slot));
            self.tell_watches(&keys, event, now);
        }
    }

    /// Changes a session by `change`, which returns whether anything of it is another, and tells
    /// those who meant it before or mean it now. Returns the same.
    pub(in crate::shard) fn change_told(
        &mut self,
        slot: SessionSlot,
        now: Now,
        change: impl FnOnce(&mut Table) -> bool,
    ) -> bool {
        if self.watches.watchers.are_none() {
            return change(&mut self.table);
        }
        let mut before = self.watchers_of(slot);
        if !change(&mut self.table) {
            return false;
        }
        let after = self.watchers_of(slot);
        before.retain(|key| !after.contains(key));
        if !after.is_empty() {
            let event = watch::told(Told::Changed, &self.table.view(slot));
            self.tell_watches(&after, event, now);
        }
        if !before.is_empty() {
            let event = watch::left(&self.table.view(slot));
            self.tell_watches(&before, event, now);
        }
        true
    }

    /// A session is about to be unlisted.
    pub(in crate::shard) fn tell_watchers_closed(
        &mut self,
        slot: SessionSlot,
        (reason, lived_ms): (&CloseReason, u64),
        now: Now,
    ) {
        if self.watches.watchers.are_none() {
            return;
        }
        let keys = self.watchers_of(slot);
        if !keys.is_empty() {
            let session = self.table.view(slot);
            let event = watch::closed(&session, reason.code(), &reason.text(), lived_ms);
            self.tell_watches(&keys, event, now);
        }
    }

    fn watchers_of(&self, slot: SessionSlot) -> SmallVec<[Key; 4]> {
        let session = self.table.view(slot);
        let watchers = &self.watches.watchers;
        let of_user = watchers.by_user.get(&self.hasher.hash(session.user()));
        let keys = of_user.into_iter().flatten().chain(&watchers.general);
        keys.filter(|key| watchers.all[*key].wanted.means(&session)).copied().collect()
    }

    fn tell_watches(&mut self, keys: &[Key], event: Box<[u8]>, now: Now) {
        let Some((last, others)) = keys.split_last() else { return };
        for key in others {
            self.tell_watch(*key, WatchMessage::Event(event.clone()), now);
        }
        self.tell_watch(*last, WatchMessage::Event(event), now);
    }

    fn tell_watch(&mut self, key: Key, about: WatchMessage, now: Now) {
        let (of, watch) = key;
        if of == self.id {
            self.on_watched(key, about, now);
        } else {
            self.tell_shard(of, watch, about);
        }
    }
}
