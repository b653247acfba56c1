//! A shard without an engine: what happens to it is told by hand.

use std::sync::Arc;

use rollcall::ids::ShardId;
use rollcall::session::{IdKeys, UserHasher};
use rollcall::shard::admission::{Admission, AdmissionOptions};
use rollcall::shard::directory::Directory;
use rollcall::shard::{Setup, Shard, Synthetic};
use rollcall::time::Now;

/// Time stands still: nothing here depends on it.
pub(crate) const NOW: Now = Now { mono_ms: 1_000, unix_ms: 1_732_000_000_000 };

/// The `index`th of `shards` shards. All of them must be given the same directory and hasher.
pub(crate) fn shard(
    index: usize,
    shards: usize,
    directory: &Arc<Directory>,
    hasher: &UserHasher,
) -> Shard {
    let setup = Setup {
        id: ShardId::new(index),
        shards,
        options: super::node::options(),
        directory: Arc::clone(directory),
        admission: Arc::new(Admission::new(AdmissionOptions::default(), shards)),
        rules: Arc::default(),
        hasher: hasher.clone(),
        keys: IdKeys::new(*b"0123456789abcdefghijklmnopqrstuv"),
        seed: [7; 32],
        node_uid: "db8bc772-2654-4283-851a-f29b888ace74".to_owned(),
        query_timeout_ms: 1_000,
        watched: false,
        started: NOW,
        synthetic: Synthetic::default(),
    };
    Shard::new(setup, NOW)
}
