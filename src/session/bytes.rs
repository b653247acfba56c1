//! Runs of bytes with their length in front: how everything of any length is stored.
//!
//! A length is one byte below 255, else 255 and four more. Numbers are little-endian.

use smallvec::SmallVec;

/// A record being written: most fit without an allocation.
pub(super) type Bytes = SmallVec<[u8; 256]>;

/// A first length byte that says that the length is in the next four.
const LONG: u8 = u8::MAX;

pub(super) fn write_run(bytes: &mut Bytes, run: &[u8]) {
    match u8::try_from(run.len()) {
        Ok(short) if short != LONG => bytes.push(short),
        _ => {
            let len = u32::try_from(run.len()).expect("a request is far below 4 GiB");
            bytes.push(LONG);
            bytes.extend_from_slice(&len.to_le_bytes());
        }
    }
    bytes.extend_from_slice(run);
}

/// What is stored of a text.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("written from a str")
}

/// The rest of what is stored.
pub(super) struct Tail<'a>(pub(super) &'a [u8]);

impl<'a> Tail<'a> {
    /// A length and as many bytes.
    pub(super) fn run(&mut self) -> &'a [u8] {
        let [short] = self.array();
        let bytes = if short == LONG { u32::from_le_bytes(self.array()) } else { u32::from(short) };
        let (run, rest) = self.0.split_at(bytes as usize);
        self.0 = rest;
        run
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let (array, rest) = self.0.split_first_chunk().expect("the part was written");
        self.0 = rest;
        *array
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }
}
