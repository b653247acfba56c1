//! What a client has not taken yet: exists only while bytes wait.

use hyper::body::Bytes;

/// Bytes given to HTTP/2 at once. They no longer count as waiting.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// Bytes of whole messages, in order.
#[derive(Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    taken: usize,
}

impl Waiting {
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(super) fn push(&mut self, bytes: Box<[u8]>) {
        if self.bytes.is_empty() {
            self.bytes = Vec::from(bytes);
            return;
        }
        if self.taken > self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(&bytes);
    }

    /// The next bytes to send.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let len = self.len().min(FRAME_BYTES_MAX);
        if len == 0 {
            return None;
        }
        if len == self.bytes.len() {
            return Some(Bytes::from(std::mem::take(&mut self.bytes)));
        }
        let bytes = Bytes::copy_from_slice(&self.bytes[self.taken..self.taken + len]);
        self.taken += len;
        if self.len() == 0 {
            *self = Self::default();
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_they_came_and_in_pieces_of_one_frame() {
        let mut waiting = Waiting::default();
        let (mut expected, mut left) = (Vec::new(), Vec::new());
        for round in 0u8..40 {
            let bytes = vec![round; usize::from(round) * 997 + 1];
            expected.extend_from_slice(&bytes);
            waiting.push(bytes.into());
            if round % 3 == 0 {
                let taken = waiting.take().expect("something waits");
                assert!(taken.len() <= FRAME_BYTES_MAX);
                left.extend_from_slice(&taken);
            }
            assert_eq!(waiting.len(), expected.len() - left.len());
        }
        while let Some(taken) = waiting.take() {
            left.extend_from_slice(&taken);
        }
        assert!(left == expected, "something was lost or turned round");
        assert_eq!(waiting.bytes.capacity(), 0);
    }
}
