//! Messages a shard compresses (RFC 7692 §7.2.1), each by itself: no client has a context.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::write::{COMPRESSED, first_byte, write_frame, write_message};
use super::{Kind, SHARED_BYTES_KEPT_MAX};

/// The slowest and smallest level; the fastest is 1.
pub const DEFLATE_LEVEL_MAX: u32 = 9;

/// The compressor of one shard, 380 KB, shared by its connections. What it writes depends on no
/// connection, so a message for many is compressed once and its frame is sent to each of those
/// with which compression was agreed on.
#[derive(Debug)]
pub struct Deflater {
    compress: Compress,
    bytes_min: usize,
    plain: Vec<u8>,
}

/// The empty block a message ends with, which is left away.
const FLUSH_END: &[u8] = &[0, 0, 0xff, 0xff];

impl Deflater {
    /// Compresses messages of `bytes_min` bytes or more at `level`, 1 to [`DEFLATE_LEVEL_MAX`];
    /// what is outside is taken for the nearest.
    #[must_use]
    pub fn new(level: u32, bytes_min: usize) -> Self {
        let level = Compression::new(level.clamp(1, DEFLATE_LEVEL_MAX));
        Self { compress: Compress::new(level, false), bytes_min, plain: Vec::new() }
    }

    /// Appends what `content` appends to an empty buffer as one message, like
    /// [`super::write_message`]: compressed, or plain when that is not longer.
    pub fn write_message(
        &mut self,
        out: &mut Vec<u8>,
        kind: Kind,
        content: impl FnOnce(&mut Vec<u8>),
    ) {
        self.plain.clear();
        content(&mut self.plain);
        let start = out.len();
        if self.plain.len() < self.bytes_min || !self.write_compressed(out, kind) {
            out.truncate(start);
            write_message(out, kind, |out| out.extend_from_slice(&self.plain));
        }
        if self.plain.capacity() > SHARED_BYTES_KEPT_MAX {
            self.plain = Vec::new();
        }
    }

    /// Whether the frame it appends is whole and shorter than a plain one.
    fn write_compressed(&mut self, out: &mut Vec<u8>, kind: Kind) -> bool {
        let mut is_shorter = false;
        write_frame(out, first_byte(kind) | COMPRESSED, |out| {
            let start = out.len();
            // What does not fit is of no use, and is found out below.
            out.reserve(self.plain.len().saturating_add(FLUSH_END.len()));
            self.compress.reset();
            let status = self.compress.compress_vec(&self.plain, out, FlushCompress::Sync);
            let has_flushed = out.len() < out.capacity() && matches!(status, Ok(Status::Ok));
            let content_len = out.len().saturating_sub(start).saturating_sub(FLUSH_END.len());
            is_shorter = has_flushed && out.ends_with(FLUSH_END) && content_len < self.plain.len();
            out.truncate(start.saturating_add(content_len));
        });
        is_shorter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(deflater: &mut Deflater, message: &[u8]) -> Vec<u8> {
        let mut out = b"earlier".to_vec();
        deflater.write_message(&mut out, Kind::Text, |out| out.extend_from_slice(message));
        out.split_off(b"earlier".len())
    }

    #[test]
    fn a_message_is_compressed_only_if_that_is_worth_it() {
        let mut deflater = Deflater::new(1, 64);
        let long = [b'x'; 64];
        let compressed = write(&mut deflater, &long);
        assert_eq!(compressed[0], 0xc1);
        assert!(compressed.len() < 16);
        assert_eq!(write(&mut deflater, &long), compressed, "each message stands by itself");
        assert_eq!(write(&mut deflater, &long[1..]), [&[0x81, 63], &long[1..]].concat());
        let noise: Vec<u8> = (0..100_u8).collect();
        assert_eq!(write(&mut deflater, &noise), [&[0x81, 100], &noise[..]].concat());
        assert_eq!(write(&mut Deflater::new(9, 0), b""), [0x81, 0]);
    }

    #[test]
    fn what_one_large_message_took_is_given_back() {
        let mut deflater = Deflater::new(6, 0);
        write(&mut deflater, &vec![b'x'; SHARED_BYTES_KEPT_MAX * 4]);
        assert!(deflater.plain.capacity() <= SHARED_BYTES_KEPT_MAX);
    }
}
