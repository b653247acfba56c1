//! Texts that many sessions share, each of them stored once.
//!
//! Clients choose these texts, so a table has a ceiling. Beyond it a session keeps its own copy
//! in its record: what hostile clients cost then is what they send, for as long as they stay.

use hashbrown::HashTable;

/// Distinct user agents at one time in one shard: they name devices, so there are many. What
/// happens beyond: `user_agents_beyond_the_table_stay_with_their_sessions`.
pub(super) const AGENTS_MAX: usize = if cfg!(test) { 512 } else { 16 * 1024 };

/// An interned text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TextId(pub(super) u16);

impl TextId {
    /// No text: a record has its own copy.
    pub(super) const OWN: u16 = u16::MAX;
}

const _: () = assert!(AGENTS_MAX <= TextId::OWN as usize, "every text has a number");

/// All texts that live sessions share.
#[derive(Debug)]
pub(super) struct Interner {
    entries: Vec<Entry>,
    free: Vec<u16>,
    by_text: HashTable<u16>,
    hasher: ahash::RandomState,
    texts_max: usize,
}

#[derive(Debug, Default)]
struct Entry {
    text: Box<str>,
    sessions: u32,
}

impl Interner {
    pub(super) const fn new(hasher: ahash::RandomState, texts_max: usize) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), by_text: HashTable::new(), hasher, texts_max }
    }

    /// Counts one more session of this text. `None`: the table is full.
    pub(super) fn acquire(&mut self, text: &str) -> Option<TextId> {
        let hash = self.hasher.hash_one(text);
        let entries = &mut self.entries;
        let is = |id: &u16| &*entries[usize::from(*id)].text == text;
        if let Some(id) = self.by_text.find(hash, is) {
            entries[usize::from(*id)].sessions += 1;
            return Some(TextId(*id));
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None if entries.len() == self.texts_max => return None,
            None => {
                entries.push(Entry::default());
                u16::try_from(entries.len() - 1).expect("every ceiling fits u16")
            }
        };
        entries[usize::from(id)] = Entry { text: text.into(), sessions: 1 };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |id: &u16| hasher.hash_one(&*entries[usize::from(*id)].text);
        self.by_text.insert_unique(hash, id, hash_of);
        Some(TextId(id))
    }

    /// One session of this text has gone; the last one takes the text with it.
    pub(super) fn release(&mut self, TextId(id): TextId) {
        let entry = &mut self.entries[usize::from(id)];
        entry.sessions -= 1;
        if entry.sessions > 0 {
            return;
        }
        let Entry { text, .. } = std::mem::take(entry);
        let found = self.by_text.find_entry(self.hasher.hash_one(&*text), |found| *found == id);
        found.expect("a text in use is in the index").remove();
        self.free.push(id);
        if self.by_text.is_empty() {
            *self = Self::new(self.hasher.clone(), self.texts_max);
        }
    }

    pub(super) fn text(&self, TextId(id): TextId) -> &str {
        &self.entries[usize::from(id)].text
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let texts: usize = self.entries.iter().map(|entry| entry.text.len()).sum();
        texts
            + self.entries.capacity() * size_of::<Entry>()
            + self.free.capacity() * size_of::<u16>()
            + self.by_text.allocation_size()
    }

    /// Sessions that share an interned text.
    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        self.entries.iter().map(|entry| entry.sessions as usize).sum()
    }
}
