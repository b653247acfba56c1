//! ⑤ The hint shared by all shards: which shards hold a user. It may say too much, never too
//! little.
//!
//! Keyed by the 64-bit hash of the user id alone. Two users with one hash share an entry, which
//! then says too much; a shard clears its bit only when none of its own users has that hash.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use papaya::{Compute, HashMap, Operation, ResizeMode};
use seize::Collector;

use crate::ids::{ShardId, UserHash};

/// Parts of the map. A resize moves one part and stalls only the shards that touch it: at ten
/// million users a part holds about 40 thousand entries.
const PARTS: usize = 256;

/// The shards that hold each user, as a mask of [`ShardId::bit`]s.
///
/// Lock-free reads and writes from every shard. A bit belongs to one shard, which alone sets and
/// clears it, so that no two shards ever disagree about one.
pub struct Directory {
    parts: Box<[HashMap<u64, u64, BuildHasherDefault<AlreadyHashed>>]>,
}

/// Takes a key of 64 bits for its own hash: hashing a hash again would only cost time.
///
/// # Panics
/// When it is given anything but a `u64`.
#[derive(Clone, Default, Debug)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("users", &self.users()).finish_non_exhaustive()
    }
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        // One for all parts: each would hold 17 KiB, and entries that it has not freed yet.
        let collector = Arc::new(Collector::new());
        let part = || {
            // Incremental resizing (the default) made lookups 15 to 30 times slower.
            HashMap::builder()
                .hasher(BuildHasherDefault::default())
                .resize_mode(ResizeMode::Blocking)
                .shared_collector(Arc::clone(&collector))
                .build()
        };
        Self { parts: (0..PARTS).map(|_| part()).collect() }
    }

    /// The shards that may hold this user: a superset of those that do.
    #[must_use]
    pub fn shards(&self, user: UserHash) -> u64 {
        self.part(user).pin().get(&user.0).copied().unwrap_or(0)
    }

    /// Says that `shard` holds this user. Must be called before the session is acknowledged.
    pub fn add(&self, user: UserHash, shard: ShardId) {
        self.part(user).pin().update_or_insert(user.0, |mask| mask | shard.bit(), shard.bit());
    }

    /// Says that `shard` holds no user with this hash any more.
    pub fn remove(&self, user: UserHash, shard: ShardId) {
        let part = self.part(user).pin();
        let outcome =
            part.compute(user.0, |entry| match entry.map(|(_, mask)| mask & !shard.bit()) {
                None => Operation::Abort(()),
                Some(0) => Operation::Remove,
                Some(rest) => Operation::Insert(rest),
            });
        debug_assert!(
            !matches!(outcome, Compute::Aborted(())),
            "a bit is set before it is cleared"
        );
    }

    /// Distinct users on this node (users whose hashes are equal count once).
    #[must_use]
    pub fn users(&self) -> usize {
        self.parts.iter().map(HashMap::len).sum()
    }

    fn part(&self, user: UserHash) -> &HashMap<u64, u64, BuildHasherDefault<AlreadyHashed>> {
        // Middle bits choose the part: inside it papaya indexes by the low ones and tags its
        // entries with the top seven.
        &self.parts[(user.0 >> 40) as usize % PARTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserHash = UserHash(0xABCD_EF01_2345_6789);

    #[test]
    fn a_shard_clears_only_its_own_bit() {
        let directory = Directory::new();
        directory.add(USER, ShardId::new(0));
        directory.add(USER, ShardId::new(5));
        assert_eq!(directory.shards(USER), 0b10_0001);
        directory.remove(USER, ShardId::new(0));
        assert_eq!(directory.shards(USER), 0b10_0000);
        directory.remove(USER, ShardId::new(5));
        assert_eq!((directory.shards(USER), directory.users()), (0, 0));
    }

    #[test]
    fn shards_that_set_and_clear_at_once_never_lose_a_bit() {
        let directory = Directory::new();
        let users: Vec<UserHash> =
            (0..64u64).map(|n| UserHash(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
        let set_and_clear = &|shard: ShardId| {
            for user in users.iter().cycle().take(500 * users.len()) {
                directory.add(*user, shard);
                assert_ne!(directory.shards(*user) & shard.bit(), 0);
                directory.remove(*user, shard);
                assert_eq!(directory.shards(*user) & shard.bit(), 0);
            }
        };
        std::thread::scope(|scope| {
            for shard in (0..4).map(ShardId::new) {
                scope.spawn(move || set_and_clear(shard));
            }
        });
        assert_eq!(directory.users(), 0);
    }
}
