//! The key sets of identity providers that every shard verifies with: the control thread puts them
//! there, shards read.

use std::fmt;
use std::sync::Arc;

use papaya::HashMap;

use super::key_set::KeySet;

/// Key sets by the endpoint they came from. Cloning shares it; reading takes no lock.
#[derive(Clone, Default)]
pub struct KeyRing {
    sets: Arc<HashMap<Box<str>, Arc<KeySet>>>,
}

impl KeyRing {
    /// The keys of this endpoint, as they were last heard of.
    #[must_use]
    pub fn get(&self, endpoint: &str) -> Option<Arc<KeySet>> {
        self.sets.pin().get(endpoint).cloned()
    }

    /// Whether this endpoint has a key of this id, as far as is known.
    #[must_use]
    pub fn has(&self, endpoint: &str, id: &str) -> bool {
        self.get(endpoint).is_some_and(|set| set.named(id).next().is_some())
    }

    /// From now on these are the keys of this endpoint.
    pub fn put(&self, endpoint: &str, set: KeySet) {
        self.sets.pin().insert(endpoint.into(), Arc::new(set));
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.sets.pin().keys()).finish()
    }
}
