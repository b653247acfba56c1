//! One shard with the buffers an engine has for it. It never asks another shard.

use std::sync::Arc;

use rollcall::connection::open::Scope;
use rollcall::ids::ConnId;
use rollcall::session::UserHasher;
use rollcall::shard::Shard;
use rollcall::shard::directory::Directory;
use rollcall::shard::effects::Effects;

use super::machine::{NOW, shard};

/// A shard and the buffers.
pub(crate) struct LoneShard {
    pub shard: Shard,
    connections: u32,
    input: Vec<u8>,
    pub effects: Effects,
}

impl LoneShard {
    pub(crate) fn new() -> Self {
        let hasher = UserHasher::new([11, 22, 33, 44]);
        let shard = shard(0, 1, &Arc::new(Directory::new()), &hasher);
        Self { shard, connections: 0, input: Vec::new(), effects: Effects::default() }
    }

    /// A new connection.
    pub(crate) fn open(&mut self) -> ConnId {
        let conn = ConnId { index: self.connections, generation: 0 };
        self.connections += 1;
        self.shard.on_open(conn, Scope::All, NOW);
        conn
    }

    /// A request in, what is sent for it out. What an engine does, but for the system calls.
    pub(crate) fn exchange(&mut self, conn: ConnId, request: &[u8]) -> &[u8] {
        self.effects.clear();
        self.input.clear();
        self.input.extend_from_slice(request);
        self.shard.on_bytes(conn, &mut self.input, NOW);
        self.shard.take_effects(&mut self.effects);
        let (list, bytes) = self.effects.drain();
        debug_assert!(list.len() <= 1, "a reply, and nothing else to do");
        drop(list);
        bytes
    }
}
