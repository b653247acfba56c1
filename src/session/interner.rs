//! Texts that many sessions share, each pair of them stored once.
//!
//! Clients choose these texts, so a table has a ceiling. Beyond it a session keeps its own copy
//! in its record: what hostile clients cost then is what they send, for as long as they stay.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;

/// Distinct app names with version at one time in one shard. A fleet has a few hundred in the
/// field; the test `a_million_different_apps_cost_no_more_than_their_sessions` shows what happens
/// beyond.
pub(super) const APPS_MAX: usize = 4096;

/// Distinct user agents at one time in one shard: they name devices, so there are more of them.
/// What happens beyond is the same (`user_agents_beyond_the_table_stay_with_their_sessions`).
pub(super) const AGENTS_MAX: usize = if cfg!(test) { 512 } else { 16 * 1024 };

/// An interned pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TextId(pub(super) u16);

impl TextId {
    /// No pair: a record has its own copy.
    pub(super) const OWN: u16 = u16::MAX;
}

const _: () = assert!(APPS_MAX <= TextId::OWN as usize, "every pair has a number");
const _: () = assert!(AGENTS_MAX <= TextId::OWN as usize, "every pair has a number");

/// All pairs that live sessions share. A text alone is a pair whose second is empty.
#[derive(Debug)]
pub(super) struct Interner {
    entries: Vec<Entry>,
    free: Vec<u16>,
    by_text: HashTable<u16>,
    hasher: ahash::RandomState,
    pairs_max: usize,
}

#[derive(Debug, Default)]
struct Entry {
    /// The first, then the second.
    text: Box<str>,
    first_bytes: usize,
    sessions: u32,
}

impl Entry {
    fn texts(&self) -> (&str, &str) {
        self.text.split_at(self.first_bytes)
    }
}

impl Interner {
    pub(super) const fn new(hasher: ahash::RandomState, pairs_max: usize) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), by_text: HashTable::new(), hasher, pairs_max }
    }

    /// Counts one more session of this pair. `None`: the table is full.
    pub(super) fn acquire(&mut self, first: &str, second: &str) -> Option<TextId> {
        let hash = hash(&self.hasher, first, second);
        let entries = &mut self.entries;
        let is = |id: &u16| entries[usize::from(*id)].texts() == (first, second);
        if let Some(id) = self.by_text.find(hash, is) {
            entries[usize::from(*id)].sessions += 1;
            return Some(TextId(*id));
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None if entries.len() == self.pairs_max => return None,
            None => {
                entries.push(Entry::default());
                u16::try_from(entries.len() - 1).expect("every ceiling fits u16")
            }
        };
        let text = [first, second].concat().into_boxed_str();
        entries[usize::from(id)] = Entry { text, first_bytes: first.len(), sessions: 1 };
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_text.insert_unique(hash, id, |id| {
            let (first, second) = entries[usize::from(*id)].texts();
            self::hash(hasher, first, second)
        });
        Some(TextId(id))
    }

    /// One session of this pair has gone; the last one takes the text with it.
    pub(super) fn release(&mut self, TextId(id): TextId) {
        let entry = &mut self.entries[usize::from(id)];
        entry.sessions -= 1;
        if entry.sessions > 0 {
            return;
        }
        let entry = std::mem::take(entry);
        let (first, second) = entry.texts();
        let found =
            self.by_text.find_entry(hash(&self.hasher, first, second), |found| *found == id);
        found.expect("a pair in use is in the index").remove();
        self.free.push(id);
        if self.by_text.is_empty() {
            *self = Self::new(self.hasher.clone(), self.pairs_max);
        }
    }

    /// The first and the second.
    pub(super) fn texts(&self, TextId(id): TextId) -> (&str, &str) {
        self.entries[usize::from(id)].texts()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let texts: usize = self.entries.iter().map(|entry| entry.text.len()).sum();
        texts
            + self.entries.capacity() * size_of::<Entry>()
            + self.free.capacity() * size_of::<u16>()
            + self.by_text.allocation_size()
    }

    /// Sessions that share an interned pair.
    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        self.entries.iter().map(|entry| entry.sessions as usize).sum()
    }
}

fn hash(hasher: &ahash::RandomState, first: &str, second: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(first.as_bytes());
    hasher.write(second.as_bytes());
    hasher.finish()
}
