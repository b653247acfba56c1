//! Watches: a backend is told, from now on, what happens to the sessions it selects.
//!
//! ```text
//!   watcher ─▶ its shard (`streams`) ──Watch──▶ every shard (`watchers`)
//!                    ▲                              │ registers, and from the same turn on:
//!                    ├────────── Piece, Piece, … ───┤ the sessions it has, a piece at a time
//!                    └────────── Event, Event, … ───┘ and whatever happens to them
//! ```
//!
//! Registering and looking at the table is one turn of a shard, and a ring keeps its order: so
//! nothing is missed between the snapshot and what comes after it. Where something would be (a
//! full ring, a watcher that does not read) the watch ends with an event that says so. A shard
//! sends the next piece of its snapshot when the watcher has taken the last one; what happens in
//! the meantime waits for nobody.

mod streams;
#[cfg(test)]
mod tests;
mod watchers;

pub(super) use self::streams::Watching;

use super::Shard;
use crate::api::watch::Resync;
use crate::ids::{ConnId, ShardId};
use crate::messages::{Message, Peer, WatchId, WatchMessage};
use crate::time::Now;

/// Both sides of the watches of one shard.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// Those whose watcher is connected here.
    own: Own,
    /// Those that want to hear of sessions here.
    watchers: watchers::Watchers,
    /// What found no room: at most two for each watch and shard, said again from the tick.
    untold: Vec<(ShardId, WatchId, WatchMessage)>,
}

/// The watches whose watcher is connected to this shard, by their place.
#[derive(Debug, Default)]
struct Own {
    places: Vec<Option<(WatchId, ConnId)>>,
    free: Vec<u32>,
    /// Watches so far: each has a generation of its own, so that late messages find nobody.
    opened: u32,
}

impl Own {
    const fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn open(&mut self, conn: ConnId) -> WatchId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("far fewer than descriptors")
        });
        self.opened = self.opened.wrapping_add(1);
        let id = WatchId { index, generation: self.opened };
        self.places[index as usize] = Some((id, conn));
        id
    }

    fn conn(&self, id: WatchId) -> Option<ConnId> {
        let (at, conn) = (*self.places.get(id.index as usize)?)?;
        (at == id).then_some(conn)
    }

    fn close(&mut self, id: WatchId) {
        debug_assert!(self.conn(id).is_some(), "a watch is closed once");
        self.places[id.index as usize] = None;
        self.free.push(id.index);
        if self.len() == 0 {
            (self.places, self.free) = (Vec::new(), Vec::new());
        }
    }
}

impl Shard {
    /// A message about a watch came from another shard.
    pub(super) fn on_watch_message(
        &mut self,
        from: ShardId,
        watch: WatchId,
        about: WatchMessage,
        now: Now,
    ) {
        match about {
            WatchMessage::Begin(selector) => self.watch_here((from, watch), selector, now),
            WatchMessage::More => self.send_piece((from, watch), now),
            WatchMessage::End => _ = self.watches.watchers.remove((from, watch)),
            WatchMessage::Piece { .. } | WatchMessage::Event(_) | WatchMessage::Gap => {
                self.on_watched((from, watch), about, now);
            }
        }
    }

    /// A message about a watch found no room.
    pub(super) fn on_watch_undeliverable(
        &mut self,
        to: ShardId,
        watch: WatchId,
        about: WatchMessage,
        now: Now,
    ) {
        match about {
            WatchMessage::Begin(_) => {
                if let Some(conn) = self.watches.own.conn(watch) {
                    self.cut_watch(conn, Resync::Overflow, now);
                }
            }
            WatchMessage::Piece { .. } | WatchMessage::Event(_) => {
                // What comes later would hide that this is missing.
                if self.watches.watchers.remove((to, watch)) {
                    self.watches.untold.push((to, watch, WatchMessage::Gap));
                }
            }
            WatchMessage::More | WatchMessage::End | WatchMessage::Gap => {
                self.watches.untold.push((to, watch, about));
            }
        }
    }

    fn tell_shard(&mut self, to: ShardId, watch: WatchId, about: WatchMessage) {
        self.effects.message(Peer::Shard(to), Message::Watch { watch, about });
    }

    /// What is due of watches. Returns whether all of it was done.
    pub(super) fn continue_watches(&mut self, now: Now) -> bool {
        for (to, watch, about) in std::mem::take(&mut self.watches.untold) {
            self.tell_shard(to, watch, about);
        }
        self.continue_own_snapshots(now)
    }
}

#[cfg(test)]
impl Watches {
    fn is_idle(&self) -> bool {
        self.own.len() == 0 && self.watchers.are_none() && self.untold.is_empty()
    }
}
