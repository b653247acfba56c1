//! What the decoders of one shard share: the place of a message that does not lie whole in the
//! bytes read, and the one decompressor.

use flate2::{Decompress, FlushDecompress, Status};

use super::{FrameError, SHARED_BYTES_KEPT_MAX};

/// One per shard. The decompressor, 48 KB, exists from the first compressed message on; the
/// buffer keeps at most [`SHARED_BYTES_KEPT_MAX`] between messages.
#[derive(Default, Debug)]
pub struct Scratch {
    message: Vec<u8>,
    inflate: Option<Decompress>,
}

/// What a compressor leaves away at the end of a message (RFC 7692 §7.2.1), and an empty final
/// block after it: only with both does the decompressor say whether the message was whole.
const MESSAGE_END: &[u8] = &[0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];

/// Least room given to an inflated message, in bytes.
const INFLATED_BYTES_USUAL: usize = 1024;

impl Scratch {
    /// Gives back what one long message took.
    pub(super) fn trim(&mut self) {
        if self.message.capacity() > SHARED_BYTES_KEPT_MAX {
            self.message = Vec::new();
        }
    }

    /// Holds a message that was gathered.
    pub(super) fn hold(&mut self, message: Vec<u8>) -> &[u8] {
        self.message = message;
        &self.message
    }

    /// Inflates a whole message of at most `inflated_max` bytes (RFC 7692 §7.2.2). However much a
    /// few bytes would become, no more than that is ever made of them.
    pub(super) fn inflate(
        &mut self,
        compressed: &[u8],
        inflated_max: usize,
    ) -> Result<&[u8], FrameError> {
        self.message.clear();
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        let mut inflation = Inflation { inflate, inflated: &mut self.message, inflated_max };
        let mut rest = compressed;
        loop {
            inflation.inflate.reset(false);
            match inflation.feed(rest)? {
                // A final block (RFC 7692 §7.2.3.4). What follows is a stream of its own; the
                // message may also end here.
                Some([]) => break,
                Some(after) if after.len() < rest.len() => rest = after,
                Some(_) => return Err(FrameError::Deflate),
                // An empty payload is no DEFLATE, but can mean one thing only.
                None if compressed.is_empty() => break,
                None => match inflation.feed(MESSAGE_END)? {
                    Some([]) => break,
                    _ => return Err(FrameError::Deflate),
                },
            }
        }
        Ok(&self.message)
    }

    #[cfg(test)]
    pub(super) const fn bytes_kept(&self) -> usize {
        self.message.capacity()
    }
}

struct Inflation<'s> {
    inflate: &'s mut Decompress,
    inflated: &'s mut Vec<u8>,
    inflated_max: usize,
}

impl Inflation<'_> {
    /// Inflates `input`; `Some` of what is left of it once a final block has ended.
    fn feed<'i>(&mut self, mut input: &'i [u8]) -> Result<Option<&'i [u8]>, FrameError> {
        loop {
            self.make_room();
            let before = (self.inflate.total_in(), self.inflated.len());
            let status = self.inflate.decompress_vec(input, self.inflated, FlushDecompress::None);
            // First, also when there is an error: how far one call gets depends on the room, and
            // that on what was read before.
            if self.inflated.len() > self.inflated_max {
                return Err(FrameError::InflatedTooLong);
            }
            let Ok(status) = status else { return Err(FrameError::Deflate) };
            let taken = self.inflate.total_in().saturating_sub(before.0);
            input = usize::try_from(taken).ok().and_then(|at| input.get(at..)).unwrap_or_default();
            let has_room = self.inflated.len() < self.inflated.capacity();
            match status {
                Status::StreamEnd => return Ok(Some(input)),
                Status::Ok | Status::BufError if has_room && input.is_empty() => return Ok(None),
                Status::Ok | Status::BufError => {}
            }
            // With room and input it always goes on; if it did not, this would be an endless loop.
            if has_room && taken == 0 && self.inflated.len() == before.1 {
                return Err(FrameError::Deflate);
            }
        }
    }

    /// Doubles the room when there is none, up to one byte more than a message may have.
    fn make_room(&mut self) {
        let len = self.inflated.len();
        if len == self.inflated.capacity() {
            let more = self.inflated_max.saturating_sub(len).saturating_add(1);
            self.inflated.reserve_exact(more.min(len.max(INFLATED_BYTES_USUAL)));
        }
    }
}
