//! From a user to their newest session: a hash table of slots, in parts that resize one at a time.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;

use crate::ids::UserHash;

/// Parts of the index. All parts of a shard grow at about the same time, but a resize moves one:
/// ten thousand entries when one shard holds ten million users, where a single table would move
/// them all at once. A part is 32 bytes, and frees its heap when its last user goes.
const PARTS: usize = 1024;

/// A part below this many places is not worth shrinking.
const SHRINK_FROM: usize = 14;

/// Hashes user ids under the process's secret key, so that nobody can make ids that collide.
///
/// All shards share one: the directory is keyed by these hashes.
#[derive(Clone, Debug)]
pub struct UserHasher {
    state: ahash::RandomState,
    /// Which bits of a hash are kept: tests make collisions with it.
    #[cfg(test)]
    kept: u64,
}

impl UserHasher {
    /// A hasher from four secret random words.
    #[must_use]
    pub const fn new(seeds: [u64; 4]) -> Self {
        let [a, b, c, d] = seeds;
        Self {
            state: ahash::RandomState::with_seeds(a, b, c, d),
            #[cfg(test)]
            kept: u64::MAX,
        }
    }

    /// The hash of a user id.
    #[must_use]
    pub fn hash(&self, user: &str) -> UserHash {
        self.hash_bytes(user.as_bytes())
    }

    pub(super) fn hash_bytes(&self, user: &[u8]) -> UserHash {
        let mut hasher = self.state.build_hasher();
        hasher.write(user);
        let hash = hasher.finish();
        #[cfg(test)]
        let hash = hash & self.kept;
        UserHash(hash)
    }

    /// The keyed state itself, for other tables of strings that clients choose.
    pub(super) const fn state(&self) -> &ahash::RandomState {
        &self.state
    }

    /// A hasher whose hashes are few: users collide.
    #[cfg(test)]
    pub(super) const fn colliding(seeds: [u64; 4], kept: u64) -> Self {
        Self { kept, ..Self::new(seeds) }
    }
}

/// The newest session of each user of this shard. Knows slots and hashes only: what a slot's user
/// is, the caller says.
#[derive(Debug)]
pub(super) struct ByUser {
    parts: Box<[HashTable<u32>]>,
}

impl ByUser {
    pub(super) fn new() -> Self {
        Self { parts: (0..PARTS).map(|_| HashTable::new()).collect() }
    }

    /// The slot with this hash that `is` the one looked for.
    pub(super) fn find(&self, hash: UserHash, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts[part(hash)].find(hash.0, |slot| is(*slot)).copied()
    }

    /// Adds a user that is not there yet. `hash_of` tells the hash of a slot's user.
    pub(super) fn insert(&mut self, hash: UserHash, slot: u32, hash_of: impl Fn(u32) -> UserHash) {
        self.parts[part(hash)].insert_unique(hash.0, slot, |slot| hash_of(*slot).0);
    }

    /// Another session is the user's newest now.
    pub(super) fn replace(&mut self, hash: UserHash, old: u32, new: u32) {
        let slot = self.parts[part(hash)].find_mut(hash.0, |slot| *slot == old);
        *slot.expect("a user's newest session is in the index") = new;
    }

    /// Forgets a user. `hash_of` tells the hash of a slot's user.
    pub(super) fn remove(&mut self, hash: UserHash, slot: u32, hash_of: impl Fn(u32) -> UserHash) {
        let part = &mut self.parts[part(hash)];
        let entry = part.find_entry(hash.0, |found| *found == slot);
        entry.expect("a user's newest session is in the index").remove();
        if part.is_empty() {
            *part = HashTable::new();
        } else if part.capacity() >= SHRINK_FROM && part.len() < part.capacity() / 8 {
            part.shrink_to(part.len() * 2, |slot| hash_of(*slot).0);
        }
    }

    /// How many users there are. Adds up the parts.
    pub(super) fn users(&self) -> usize {
        self.parts.iter().map(HashTable::len).sum()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(HashTable::allocation_size).sum();
        parts + size_of_val::<[_]>(&self.parts)
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.parts.iter().flatten().copied()
    }
}

/// The middle bits choose the part: the table itself places an entry by the low bits of its hash
/// and tells entries apart by the top seven.
const fn part(hash: UserHash) -> usize {
    (hash.0 >> 40) as usize % PARTS
}
