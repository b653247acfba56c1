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

/// Room for the headers and the flush of the shortest message.
const ROOM_BYTES_MIN: usize = 64;

impl Deflater {
    /// Compresses messages of `bytes_min` bytes or more at `level`, 1 to [`DEFLATE_LEVEL_MAX`];
    /// what is outside is taken for the nearest.
    #[must_use]
    pub fn new(level: u32, bytes_min: usize) -> Self {
        let level = Compression::new(level.clamp(1, DEFLATE_LEVEL_MAX));
        Self { compress: Compress::new(level, false), bytes_min, plain: Vec::new() }
    }

    /// Appends what `content` appends to an empty buffer as one message, like
    /// [`super::write_message`].
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

    /// Whether the frame it appends is whole.
    fn write_compressed(&mut self, out: &mut Vec<u8>, kind: Kind) -> bool {
        let mut is_whole = false;
        write_frame(out, first_byte(kind) | COMPRESSED, |out| {
            // No level makes a message more than an eighth longer. If one did, it would be found
            // out below and sent plain, which is always allowed (RFC 7692 §6).
            let len = self.plain.len();
            out.reserve(len.saturating_add(len / 8).saturating_add(ROOM_BYTES_MIN));
            self.compress.reset();
            let status = self.compress.compress_vec(&self.plain, out, FlushCompress::Sync);
            let has_room = out.len() < out.capacity();
            is_whole = matches!(status, Ok(Status::Ok)) && has_room && out.ends_with(FLUSH_END);
            if is_whole {
                out.truncate(out.len().saturating_sub(FLUSH_END.len()));
            }
        });
        is_whole
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
    fn messages_from_the_threshold_on_are_compressed_each_by_itself() {
        let mut deflater = Deflater::new(1, 64);
        let long = [b'x'; 64];
        let compressed = write(&mut deflater, &long);
        assert_eq!(compressed[0], 0xc1);
        assert!(compressed.len() < 16);
        assert_eq!(write(&mut deflater, &long), compressed, "each message stands by itself");
        assert_eq!(write(&mut deflater, &long[1..]), [&[0x81, 63], &long[1..]].concat());
        assert_eq!(write(&mut Deflater::new(9, 0), b""), [0xc1, 1, 0]);
    }

    #[test]
    fn what_cannot_be_compressed_becomes_little_longer() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let noise: Vec<u8> = (0..200_000).map(|_| next()).collect();
        for level in 1..=DEFLATE_LEVEL_MAX {
            for len in [1, 10, 1000, 65_536, noise.len()] {
                let frame = write(&mut Deflater::new(level, 0), &noise[..len]);
                assert_eq!(frame[0], 0xc1, "level {level}, {len} bytes");
                assert!(frame.len() < len + len / 8 + 16, "level {level}, {len} bytes");
            }
        }
    }

    #[test]
    fn what_one_large_message_took_is_given_back() {
        let mut deflater = Deflater::new(6, 0);
        write(&mut deflater, &vec![b'x'; SHARED_BYTES_KEPT_MAX * 4]);
        assert!(deflater.plain.capacity() <= SHARED_BYTES_KEPT_MAX);
    }
}
