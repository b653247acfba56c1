//! App names and versions, each pair stored once however many sessions share it.
//!
//! Clients choose these texts, so the table has a ceiling. Beyond it a session keeps its own copy
//! in its record: what hostile clients cost then is what they send, for as long as they stay.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;

/// Distinct pairs at one time in one shard. A fleet has a few hundred versions in the field; the
/// test `a_million_different_apps_cost_no_more_than_their_sessions` shows what happens beyond.
pub(super) const APPS_MAX: usize = 4096;

/// An interned pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct AppId(pub(super) u16);

impl AppId {
    /// No pair: a record has its own copy.
    pub(super) const OWN: u16 = u16::MAX;
}

const _: () = assert!(APPS_MAX <= AppId::OWN as usize, "every pair has a number");

/// All pairs that live sessions share.
#[derive(Debug)]
pub(super) struct Apps {
    entries: Vec<App>,
    free: Vec<u16>,
    by_text: HashTable<u16>,
    hasher: ahash::RandomState,
}

#[derive(Debug, Default)]
struct App {
    /// Name, then version.
    text: Box<str>,
    name_bytes: usize,
    sessions: u32,
}

impl App {
    fn texts(&self) -> (&str, &str) {
        self.text.split_at(self.name_bytes)
    }
}

impl Apps {
    pub(super) const fn new(hasher: ahash::RandomState) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), by_text: HashTable::new(), hasher }
    }

    /// Counts one more session of this pair. `None`: the table is full.
    pub(super) fn acquire(&mut self, name: &str, version: &str) -> Option<AppId> {
        let hash = hash(&self.hasher, name, version);
        let entries = &mut self.entries;
        let is = |id: &u16| entries[usize::from(*id)].texts() == (name, version);
        if let Some(id) = self.by_text.find(hash, is) {
            entries[usize::from(*id)].sessions += 1;
            return Some(AppId(*id));
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None if entries.len() == APPS_MAX => return None,
            None => {
                entries.push(App::default());
                u16::try_from(entries.len() - 1).expect("APPS_MAX fits u16")
            }
        };
        let text = [name, version].concat().into_boxed_str();
        entries[usize::from(id)] = App { text, name_bytes: name.len(), sessions: 1 };
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_text.insert_unique(hash, id, |id| {
            let (name, version) = entries[usize::from(*id)].texts();
            self::hash(hasher, name, version)
        });
        Some(AppId(id))
    }

    /// One session of this pair has gone; the last one takes the text with it.
    pub(super) fn release(&mut self, AppId(id): AppId) {
        let app = &mut self.entries[usize::from(id)];
        app.sessions -= 1;
        if app.sessions > 0 {
            return;
        }
        let app = std::mem::take(app);
        let (name, version) = app.texts();
        let entry =
            self.by_text.find_entry(hash(&self.hasher, name, version), |found| *found == id);
        entry.expect("a pair in use is in the index").remove();
        self.free.push(id);
        if self.by_text.is_empty() {
            *self = Self::new(self.hasher.clone());
        }
    }

    /// Name and version.
    pub(super) fn texts(&self, AppId(id): AppId) -> (&str, &str) {
        self.entries[usize::from(id)].texts()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let texts: usize = self.entries.iter().map(|app| app.text.len()).sum();
        texts
            + self.entries.capacity() * size_of::<App>()
            + self.free.capacity() * size_of::<u16>()
            + self.by_text.allocation_size()
    }

    /// Sessions that share an interned pair.
    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        self.entries.iter().map(|app| app.sessions as usize).sum()
    }
}

fn hash(hasher: &ahash::RandomState, name: &str, version: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(name.as_bytes());
    hasher.write(version.as_bytes());
    hasher.finish()
}
