//! Request bodies: simd-json over one reused copy, and the cut between concatenated objects.

use std::fmt;

use simd_json::tape::Value;
use simd_json::{Buffers, ErrorType, INPUT_PADDING, Tape, fill_tape_padded};

/// Levels of nesting of a body; a deeper one is malformed.
pub const BODY_DEPTH_MAX: usize = 64;

/// A body larger than this leaves no buffers behind.
const SCRATCH_KEPT_BYTES: usize = 64 * 1024;

/// Buffers for reading bodies, reused from one to the next: nothing in them outlives one call.
pub struct Scratch {
    /// The body, which the parser unescapes in place, and its padding.
    text: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Scratch {
    fn default() -> Self {
        let buffers = Buffers::with_max_depth(0, BODY_DEPTH_MAX);
        Self { text: Vec::new(), buffers, tape: Tape(Vec::new()) }
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("text_bytes", &self.text.capacity()).finish_non_exhaustive()
    }
}

impl Scratch {
    /// Parses one JSON text and gives its value to `read`.
    pub(super) fn parse<R>(
        &mut self,
        json: &[u8],
        read: impl FnOnce(Value<'_, '_>) -> R,
    ) -> Result<R, Malformed> {
        self.text.clear();
        self.text.extend_from_slice(json);
        self.text.resize(json.len() + INPUT_PADDING, b' ');
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let filled = fill_tape_padded(&mut self.text, json.len(), &mut self.buffers, &mut tape);
        let result = match filled {
            Ok(()) => Ok(read(tape.as_value())),
            Err(error) => Err(Malformed::from(&error)),
        };
        self.tape = tape.reset();
        result
    }

    /// Gives the memory of an unusually large body back.
    pub(super) fn shed(&mut self) {
        if self.text.capacity() > SCRATCH_KEPT_BYTES + INPUT_PADDING {
            *self = Self::default();
        }
    }
}

/// Why a text is not JSON, or not JSON we read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("malformed JSON")]
    Somewhere,
    #[error("malformed JSON near byte {0}")]
    Near(usize),
    #[error("not valid UTF-8")]
    Utf8,
    #[error("a number that is malformed or does not fit 64 bits, near byte {0}")]
    Number(usize),
    #[error("nested more than {BODY_DEPTH_MAX} levels deep")]
    TooDeep,
    #[error("the body ends in the middle of it")]
    Unfinished,
    #[error("expected an object that starts with '{{'")]
    NoObject,
}

impl From<&simd_json::Error> for Malformed {
    fn from(error: &simd_json::Error) -> Self {
        match (error.error(), error.index()) {
            (ErrorType::InvalidUtf8, _) => Self::Utf8,
            (ErrorType::InvalidNumber | ErrorType::Overflow, at) => Self::Number(at),
            (ErrorType::DepthLimitExceeded, _) => Self::TooDeep,
            (ErrorType::Eof | ErrorType::UnterminatedString, _) => Self::Unfinished,
            (_, 0) => Self::Somewhere,
            (_, at) => Self::Near(at),
        }
    }
}

/// Cuts a body into its concatenated objects; between them may stand white space or nothing.
///
/// Only strings and brackets are looked at: each piece is still to be parsed, and a piece is
/// exactly one JSON object if parsing it succeeds.
#[derive(Debug)]
pub(super) struct Objects<'b> {
    rest: &'b [u8],
}

impl<'b> Objects<'b> {
    pub(super) const fn of(body: &'b [u8]) -> Self {
        Self { rest: body }
    }
}

impl<'b> Iterator for Objects<'b> {
    type Item = Result<&'b [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let start = self.rest.iter().position(|byte| !blank(byte))?;
        let object = &self.rest[start..];
        self.rest = &[];
        if object[0] != b'{' {
            return Some(Err(Malformed::NoObject));
        }
        let Some(len) = object_len(object) else { return Some(Err(Malformed::Unfinished)) };
        let (object, rest) = object.split_at(len);
        self.rest = rest;
        Some(Ok(object))
    }
}

/// Length up to the bracket that closes the first one.
fn object_len(json: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => at += string_len(&json[at..])? - 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Length of the string that starts here, with both its quotes.
fn string_len(json: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}
