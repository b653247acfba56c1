//! What slow peers have not taken yet: exists only while bytes wait.

use std::collections::HashMap;

use crate::ids::ConnId;

/// Bytes that wait for a socket to take them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// FIN follows the last byte.
    pub(super) finish: bool,
}

impl Outbox {
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) const fn advance(&mut self, sent: usize) {
        self.sent += sent;
    }
}

/// The outboxes of a shard, by connection.
pub(super) type Outboxes = HashMap<ConnId, Outbox, ahash::RandomState>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_they_came() {
        let mut outbox = Outbox::default();
        let mut left = Vec::new();
        for round in 0u8..50 {
            outbox.push(&[round; 7]);
            let take = outbox.waiting().len().min(5);
            left.extend_from_slice(&outbox.waiting()[..take]);
            outbox.advance(take);
        }
        left.extend_from_slice(outbox.waiting());
        let expected: Vec<u8> = (0u8..50).flat_map(|round| [round; 7]).collect();
        assert_eq!(left, expected);
    }
}
