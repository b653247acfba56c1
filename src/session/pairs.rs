//! Pairs of texts that many sessions share (a label and its value, an app and its version): each
//! stored once, with the sessions that have it.
//!
//! ```text
//!   by_text: hash ──▶ number            first ──▶ second, in order ──▶ number
//!   entries: number ──▶ first, second, slots
//! ```
//!
//! Clients and backends choose these texts, so a table has a ceiling. Beyond it a session keeps its
//! own copy in its record, and whoever searches must look at that session itself.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashTable;

use super::slots::SlotSet;

/// Distinct app names with version at one time in one shard. A fleet has a few hundred in the
/// field; the test `a_million_different_apps_cost_no_more_than_their_sessions` shows what happens
/// beyond.
pub(super) const APPS_MAX: usize = 4096;

/// Distinct labels with value at one time in one shard: enough for one that names each household
/// of a large service. What happens beyond is the same
/// (`labels_beyond_the_table_stay_with_their_sessions_and_are_found`).
pub(super) const LABELS_MAX: usize = if cfg!(test) { 512 } else { 256 * 1024 };

/// The number of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PairId(pub(super) u32);

/// All pairs that live sessions share.
#[derive(Debug)]
pub(super) struct Pairs {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_text: HashTable<u32>,
    by_first: BTreeMap<Arc<str>, Seconds>,
    hasher: ahash::RandomState,
    pairs_max: usize,
}

/// What stands beside one first, in order.
type Seconds = BTreeMap<Arc<str>, u32>;

#[derive(Debug)]
struct Entry {
    first: Arc<str>,
    second: Arc<str>,
    slots: SlotSet,
}

impl Entry {
    fn hash(&self, hasher: &ahash::RandomState) -> u64 {
        hasher.hash_one((&*self.first, &*self.second))
    }
}

impl Pairs {
    pub(super) const fn new(hasher: ahash::RandomState, pairs_max: usize) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            by_text: HashTable::new(),
            by_first: BTreeMap::new(),
            hasher,
            pairs_max,
        }
    }

    /// The number of this pair, which no session may have yet: give it one, or [`Self::release`]
    /// it. `None`: the table is full.
    pub(super) fn intern(&mut self, first: &str, second: &str) -> Option<PairId> {
        if let Some(id) = self.find(first, second) {
            return Some(id);
        }
        let shared = self.by_first.get_key_value(first).map(|(first, _)| Arc::clone(first));
        let first: Arc<str> = shared.unwrap_or_else(|| first.into());
        let second: Arc<str> = second.into();
        let slots = SlotSet::new();
        let entry = Entry { first: Arc::clone(&first), second: Arc::clone(&second), slots };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None if self.entries.len() == self.pairs_max => return None,
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("every ceiling fits u32")
            }
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |id: &u32| entries[*id as usize].hash(hasher);
        self.by_text.insert_unique(entries[id as usize].hash(hasher), id, hash_of);
        self.by_first.entry(first).or_default().insert(second, id);
        Some(PairId(id))
    }

    /// A session has this pair.
    pub(super) fn add(&mut self, PairId(id): PairId, slot: u32) {
        self.entries[id as usize].slots.insert(slot);
    }

    /// A session has it no more; the last one takes the texts with it.
    pub(super) fn remove(&mut self, id: PairId, slot: u32) {
        self.entries[id.0 as usize].slots.remove(slot);
        self.release(id);
    }

    /// Forgets the pair if no session has it.
    pub(super) fn release(&mut self, PairId(id): PairId) {
        let entry = &self.entries[id as usize];
        if !entry.slots.is_empty() {
            return;
        }
        let found = self.by_text.find_entry(entry.hash(&self.hasher), |found| *found == id);
        found.expect("a pair in use is in the index").remove();
        if self.by_text.is_empty() {
            *self = Self::new(self.hasher.clone(), self.pairs_max);
            return;
        }
        let nothing = Entry { first: "".into(), second: "".into(), slots: SlotSet::new() };
        let Entry { first, second, .. } =
            std::mem::replace(&mut self.entries[id as usize], nothing);
        let seconds = self.by_first.get_mut(&first).expect("a pair in use is in the index");
        seconds.remove(&second);
        if seconds.is_empty() {
            self.by_first.remove(&first);
        }
        self.free.push(id);
    }

    /// The first and the second.
    pub(super) fn texts(&self, PairId(id): PairId) -> (&str, &str) {
        let Entry { first, second, .. } = &self.entries[id as usize];
        (first, second)
    }

    /// The sessions that have exactly this pair.
    pub(super) fn slots(&self, first: &str, second: &str) -> Option<&SlotSet> {
        self.find(first, second).map(|id| &self.entries[id.0 as usize].slots)
    }

    /// How many seconds stand beside this first.
    pub(super) fn seconds_len(&self, first: &str) -> usize {
        self.by_first.get(first).map_or(0, BTreeMap::len)
    }

    /// The seconds beside this first, in order, each with its sessions.
    pub(super) fn seconds(&self, first: &str) -> impl Iterator<Item = (&str, &SlotSet)> {
        self.seconds_from(first, "")
    }

    /// The same from a second on that is this text or follows it.
    pub(super) fn seconds_from(
        &self,
        first: &str,
        start: &str,
    ) -> impl Iterator<Item = (&str, &SlotSet)> {
        let seconds = self.by_first.get(first).into_iter();
        let from = (Bound::Included(start), Bound::Unbounded);
        let seconds = seconds.flat_map(move |seconds| seconds.range::<str, _>(from));
        seconds.map(|(second, id)| (&**second, &self.entries[*id as usize].slots))
    }

    /// The sessions of every pair with this second: O(pairs).
    pub(super) fn with_second(&self, second: &str) -> impl Iterator<Item = &SlotSet> {
        self.entries.iter().filter(move |entry| &*entry.second == second).map(|entry| &entry.slots)
    }

    /// O(pairs).
    pub(super) fn heap_bytes(&self) -> usize {
        let texts = |entry: &Entry| ARC_BYTES + entry.second.len() + entry.slots.heap_bytes();
        let firsts: usize = self.by_first.keys().map(|first| ARC_BYTES + first.len()).sum();
        self.entries.iter().map(texts).sum::<usize>()
            + firsts
            + self.entries.capacity() * size_of::<Entry>()
            + self.free.capacity() * size_of::<u32>()
            + self.by_text.allocation_size()
            + self.by_text.len() * size_of::<(Arc<str>, u32)>()
            + self.by_first.len() * size_of::<(Arc<str>, Seconds)>()
    }

    /// Sessions of all pairs together.
    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        self.entries.iter().map(|entry| entry.slots.len()).sum()
    }

    fn find(&self, first: &str, second: &str) -> Option<PairId> {
        let is = |id: &u32| {
            let entry = &self.entries[*id as usize];
            (&*entry.first, &*entry.second) == (first, second)
        };
        self.by_text.find(self.hasher.hash_one((first, second)), is).map(|id| PairId(*id))
    }
}

/// What a shared text holds beside its bytes: two counts.
const ARC_BYTES: usize = 16;
