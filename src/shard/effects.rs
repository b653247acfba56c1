//! ④⑥ What a shard asks of the world, in the order in which it must happen.

use std::ops::Range;

use crate::ids::ConnId;
use crate::messages::{Message, Peer};

/// One thing the engine must do. The list is carried out strictly in order, so that a reply
/// never overtakes the table change it reports.
#[derive(Debug)]
pub enum Effect {
    /// Send these bytes of the arena after whatever the connection still has to send.
    Send {
        /// To whom.
        conn: ConnId,
        /// Where the bytes are.
        bytes: Range<usize>,
    },
    /// Look at the connection again, with no bytes first: it had stopped reading and can go on,
    /// or its peer's end may have gone unread.
    Resume {
        /// Which one.
        conn: ConnId,
    },
    /// After everything queued has left: send FIN, and go on reading until the peer closes, so
    /// that the answer is not destroyed by a reset.
    Finish {
        /// Which one.
        conn: ConnId,
    },
    /// Close now and forget what is queued.
    Abort {
        /// Which one.
        conn: ConnId,
    },
    /// Hand a message to another thread.
    Message {
        /// To whom.
        to: Peer,
        /// What.
        message: Message,
    },
    /// Take no new connections any more.
    StopAccepting,
}

/// The ordered list, with one arena for all bytes: nothing is allocated per effect.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
    bytes: Vec<u8>,
}

/// An arena that grew beyond this gives its memory back when it is cleared.
const ARENA_KEPT_BYTES: usize = 256 * 1024;

impl Effects {
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bytes waiting to be sent, over all connections.
    #[must_use]
    pub const fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the list in order, with the arena its ranges point into.
    pub fn drain(&mut self) -> (std::vec::Drain<'_, Effect>, &[u8]) {
        (self.list.drain(..), &self.bytes)
    }

    /// Forgets everything and keeps a reasonable amount of memory for the next batch.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
        if self.bytes.capacity() > ARENA_KEPT_BYTES {
            self.bytes = Vec::new();
        }
    }

    /// Bytes for a connection. Bytes written for the same connection without anything in
    /// between leave in one system call.
    pub(super) fn send(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        match self.list.last_mut() {
            Some(Effect::Send { conn: last, bytes }) if *last == conn && bytes.end == start => {
                bytes.end = end;
            }
            _ if end > start => self.list.push(Effect::Send { conn, bytes: start..end }),
            _ => {}
        }
    }

    pub(super) fn resume(&mut self, conn: ConnId) {
        self.list.push(Effect::Resume { conn });
    }

    pub(super) fn finish(&mut self, conn: ConnId) {
        self.list.push(Effect::Finish { conn });
    }

    pub(super) fn abort(&mut self, conn: ConnId) {
        self.list.push(Effect::Abort { conn });
    }

    pub(super) fn message(&mut self, to: Peer, message: Message) {
        self.list.push(Effect::Message { to, message });
    }

    pub(super) fn stop_accepting(&mut self) {
        self.list.push(Effect::StopAccepting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnId = ConnId { index: 1, generation: 1 };
    const B: ConnId = ConnId { index: 2, generation: 1 };

    fn sends(effects: &mut Effects) -> Vec<(ConnId, String)> {
        let (list, bytes) = effects.drain();
        list.filter_map(|effect| {
            let Effect::Send { conn, bytes: range } = effect else { return None };
            Some((conn, String::from_utf8_lossy(&bytes[range]).into_owned()))
        })
        .collect()
    }

    #[test]
    fn neighbouring_bytes_of_one_connection_leave_together() {
        let mut effects = Effects::default();
        for (conn, text) in [(A, "one "), (A, "two"), (B, "b"), (A, "three")] {
            effects.send(conn, |out| out.extend_from_slice(text.as_bytes()));
        }
        let expected = [(A, "one two"), (B, "b"), (A, "three")];
        assert_eq!(sends(&mut effects), expected.map(|(c, t)| (c, t.to_owned())));
    }

    #[test]
    fn bytes_never_join_across_another_effect_of_the_connection() {
        let mut effects = Effects::default();
        effects.send(A, |out| out.extend_from_slice(b"last"));
        effects.finish(A);
        effects.send(A, |out| out.extend_from_slice(b"after"));
        assert_eq!(sends(&mut effects).len(), 2);
    }

    #[test]
    fn nothing_written_is_nothing_to_do() {
        let mut effects = Effects::default();
        effects.send(A, |_| {});
        assert!(effects.is_empty());
    }
}
