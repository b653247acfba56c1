//! An input as decisions: its first bytes choose, what is left is the material.
//!
//! Every fuzz target reads its bytes from the front through this, so that a mutation of one byte
//! changes one decision. An input that is used up chooses zero.

/// What is left of an input.
pub(crate) struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    /// A number less than `end`, which is at most 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Any length up to 65535.
    pub(crate) fn len(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    pub(crate) fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    /// So many bytes, or what there is.
    pub(crate) fn bytes(&mut self, len: usize) -> &'b [u8] {
        self.0.split_off(..len.min(self.0.len())).unwrap_or_default()
    }

    /// A short text.
    pub(crate) fn text(&mut self) -> String {
        let len = usize::from(self.byte());
        String::from_utf8_lossy(self.bytes(len)).into_owned()
    }

    pub(crate) fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn steps(&mut self) -> Steps {
        let count = self.below(16);
        Steps((0..count).map(|_| usize::from(self.byte())).collect())
    }
}

/// How bytes come in pieces: these lengths, over and over. None at all leave them in one piece.
pub(crate) struct Steps(Vec<usize>);

impl Steps {
    pub(crate) const fn whole() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn byte_by_byte() -> Self {
        Self(vec![1])
    }

    /// The pieces; some may be empty.
    pub(crate) fn cut<'b>(&self, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
        if self.0.iter().all(|step| *step == 0) {
            return vec![bytes];
        }
        let mut pieces = Vec::new();
        for step in self.0.iter().cycle() {
            let (piece, rest) = bytes.split_at((*step).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
            if bytes.is_empty() {
                break;
            }
        }
        pieces
    }
}

/// Bytes put together from words, which come near being what is to be read, from anything, and
/// from much of the same.
pub(crate) fn compose(input: &mut Input<'_>, words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !input.is_empty() && bytes.len() < COMPOSED_BYTES_MAX {
        match usize::from(input.byte()) {
            op @ 0..240 => bytes.extend_from_slice(words[op % words.len()].as_bytes()),
            op @ 240..250 => bytes.extend_from_slice(input.bytes(op - 239)),
            250..253 => {
                let len = usize::from(input.byte());
                bytes.extend_from_slice(input.bytes(len));
            }
            _ => {
                let word = input.pick(words);
                let count = input.len() / word.len().max(1);
                bytes.extend_from_slice(word.repeat(count.min(20_000)).as_bytes());
            }
        }
    }
    bytes
}

const COMPOSED_BYTES_MAX: usize = 40_000;
