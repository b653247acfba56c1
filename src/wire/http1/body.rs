//! A chunked request body (RFC 9112 §7.1), decoded where it lies.

use super::token::is_token;
use super::{EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

/// A chunked body on its way.
///
/// ```text
///   Vec before advance   [ decoded so far │ new raw bytes                          ]
///   Vec after, not done  [ decoded so far and more ]
///   Vec after, done      [ the whole body │ left over │ bytes of the next request  ]
///                        0        decoded_len   consumed_len
/// ```
/// Chunk extensions and trailers are checked and thrown away.
#[derive(Debug)]
pub struct ChunkedBody {
    state: State,
    decoded: usize,
    decoded_max: usize,
    extension_bytes: usize,
    trailer_bytes: usize,
}

/// ```text
///        ┌──────────────────────────────────────────────────────────┐
///        ▼           ;──▶ Extension ──┐\r                           │\n
///   ▶ Size ──┤                        ▼                             │
///            \r ───────────────▶ SizeFeed ──\n──▶ Data ──\r──▶ DataFeed
///                                   │ size 0
///                                   ▼
///     Name ◀──────────────────── Trailer ──\r──▶ LastFeed ──\n──▶ End
///      └:──▶ Value ─\r─▶ ValueFeed ─\n─▲
/// ```
/// and from everywhere to `Refused`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Size { digits: u8, size: u64 },
    Extension { size: usize },
    SizeFeed { size: usize },
    Data { left: usize },
    DataFeed,
    Trailer,
    Name,
    Value,
    ValueFeed,
    LastFeed,
    End { consumed: usize },
    Refused(BodyError),
}

/// Most hex digits of a chunk's size, leading zeros included: what fits 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

const START: State = State::Size { digits: 0, size: 0 };

/// Where a body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyEnd {
    /// The body is this many bytes at the front of the buffer.
    pub decoded_len: usize,
    /// The raw bytes after the body begin here.
    pub consumed_len: usize,
}

/// A body that is refused; the connection must close, for nobody knows where it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BodyError {
    /// Larger than the endpoint reads.
    #[error("the request body is larger than this endpoint accepts")]
    TooLarge,
    /// Not a chunked body.
    #[error("the chunked body is malformed: {0}")]
    Malformed(&'static str),
}

impl ChunkedBody {
    /// A body of at most `decoded_max` bytes once decoded.
    #[must_use]
    pub const fn new(decoded_max: usize) -> Self {
        Self { state: START, decoded: 0, decoded_max, extension_bytes: 0, trailer_bytes: 0 }
    }

    /// Decodes the raw bytes that were appended to `bytes` since the last call. `Some` once the
    /// body is whole, and again if asked again. The work is linear in the raw bytes, however they
    /// were split.
    ///
    /// # Errors
    /// As soon as a chunk announces more than the body may hold, or at the first byte that is
    /// malformed. `bytes` is then of no further use. Asked again, it says the same again.
    pub fn advance(&mut self, bytes: &mut Vec<u8>) -> Result<Option<BodyEnd>, BodyError> {
        debug_assert!(bytes.len() >= self.decoded, "the decoded bytes are still in front");
        let mut at = self.decoded;
        loop {
            if let State::Refused(error) = self.state {
                return Err(error);
            }
            if let State::End { consumed } = self.state {
                return Ok(Some(BodyEnd { decoded_len: self.decoded, consumed_len: consumed }));
            }
            let Some(byte) = bytes.get(at).copied() else { break };
            if let State::Data { left } = self.state
                && left > 0
            {
                let end = at.saturating_add(left).min(bytes.len());
                let taken = end.saturating_sub(at);
                bytes.copy_within(at..end, self.decoded);
                self.decoded = self.decoded.saturating_add(taken);
                self.state = State::Data { left: left.saturating_sub(taken) };
                at = end;
                continue;
            }
            at = at.saturating_add(1);
            self.state = self.after(byte, at).unwrap_or_else(State::Refused);
        }
        bytes.truncate(self.decoded);
        Ok(None)
    }

    /// The state after one byte that is not data; the byte after it is at `next`.
    fn after(&mut self, byte: u8, next: usize) -> Result<State, BodyError> {
        match (self.state, byte) {
            (State::Size { digits, size }, _) => self.after_size(digits, size, byte),
            (State::Extension { size }, b'\r') => Ok(State::SizeFeed { size }),
            (State::Extension { .. }, _) => {
                self.extension_bytes = self.extension_bytes.saturating_add(1);
                if self.extension_bytes > EXTENSION_BYTES_MAX {
                    return malformed("its chunk extensions are too long: leave them out");
                }
                text(byte, self.state)
            }
            (State::SizeFeed { size: 0 }, b'\n') => Ok(State::Trailer),
            (State::SizeFeed { size }, b'\n') => Ok(State::Data { left: size }),
            (State::Data { .. }, b'\r') => Ok(State::DataFeed),
            (State::Data { .. }, _) => malformed("a chunk is longer than its size says"),
            (State::DataFeed, b'\n') => Ok(START),
            (State::Trailer, b'\r') => Ok(State::LastFeed),
            (State::LastFeed, b'\n') | (State::End { .. }, _) => Ok(State::End { consumed: next }),
            (State::Refused(error), _) => Err(error),
            (State::ValueFeed, b'\n') => Ok(State::Trailer),
            (State::Value, b'\r') => Ok(State::ValueFeed),
            (State::Trailer | State::Name | State::Value, _) => self.after_trailer(byte),
            (State::SizeFeed { .. } | State::DataFeed | State::LastFeed | State::ValueFeed, _) => {
                malformed("a carriage return stands alone: end every line with CR LF")
            }
        }
    }

    fn after_size(&self, digits: u8, size: u64, byte: u8) -> Result<State, BodyError> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits == SIZE_DIGITS_MAX {
                return malformed("a chunk size has more than 16 digits");
            }
            let size = size.wrapping_shl(4) | u64::from(digit);
            return Ok(State::Size { digits: digits.saturating_add(1), size });
        }
        if digits == 0 || !matches!(byte, b'\r' | b';') {
            return malformed("a chunk size is hex digits, directly followed by CR LF");
        }
        // `decoded` never exceeds `decoded_max`: this is where it is seen to.
        let left = self.decoded_max.saturating_sub(self.decoded);
        let size = usize::try_from(size).ok().filter(|size| *size <= left);
        let size = size.ok_or(BodyError::TooLarge)?;
        Ok(if byte == b';' { State::Extension { size } } else { State::SizeFeed { size } })
    }

    /// A trailer is a header line: what merely looks like a next request is none.
    fn after_trailer(&mut self, byte: u8) -> Result<State, BodyError> {
        self.trailer_bytes = self.trailer_bytes.saturating_add(1);
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return malformed("its trailers are too long: leave them out");
        }
        match (self.state, byte) {
            (State::Value, _) => text(byte, State::Value),
            (State::Name, b':') => Ok(State::Value),
            _ if is_token(byte) => Ok(State::Name),
            _ => malformed("a trailer is no header line"),
        }
    }
}

fn malformed(why: &'static str) -> Result<State, BodyError> {
    Err(BodyError::Malformed(why))
}

/// Stays in `state` unless the byte is a control character.
fn text(byte: u8, state: State) -> Result<State, BodyError> {
    match byte {
        b'\t' | 0x20..=0x7e | 0x80.. => Ok(state),
        _ => malformed("a control character stands in a chunk extension or trailer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `raw` of at most eleven bytes; the result is the body and what is left over.
    fn decode(raw: &str) -> Result<Option<(String, String)>, BodyError> {
        let mut bytes = raw.as_bytes().to_vec();
        let end = ChunkedBody::new(11).advance(&mut bytes)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok(end.map(|end| (text(&bytes[..end.decoded_len]), text(&bytes[end.consumed_len..]))))
    }

    #[test]
    fn a_chunked_body_is_decoded_and_what_follows_is_left() {
        for (raw, body, after) in [
            ("0\r\n\r\n", "", ""),
            ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /", "hello world", "GET /"),
            ("00000000B\r\nhello world\r\n000\r\n\r\n", "hello world", ""),
            ("b;a=b;c=\"d e\"\r\nhello world\r\n0;last\r\n\r\n", "hello world", ""),
            ("1\r\n\n\r\n0\r\nX: 1\r\nY:\r\n\r\n\r\n", "\n", "\r\n"),
        ] {
            assert_eq!(decode(raw), Ok(Some((body.into(), after.into()))), "{raw:?}");
        }
        assert_eq!(decode("5\r\nhello\r\n0\r\n"), Ok(None));
    }

    #[test]
    fn a_malformed_chunked_body_is_refused() {
        for raw in [
            "\r\n",
            ";a\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\t;a\r\n",
            "+5\r\n",
            "-5\r\n",
            "0x5\r\n",
            "5h\r\n",
            "5\n",
            "5\rX",
            "5\r\r\n",
            "5,5\r\n",
            "00000000000000005\r\n",
            "\u{663}\r\n",
            "5;a\n",
            "5;a\rb\r\n",
            "5;a\0\r\n",
            "5;a\nX\r\nhello\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n",
            "5\r\nhello\rX",
            "5\r\nhello0\r\n",
            "5\r\nhello\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rX",
            "0\n\n",
            "0\r\nX: 1\n\r\n",
            "0\r\nX: 1\rY: 2\r\n",
            "0\r\n: 1\r\n",
            "0\r\nX : 1\r\n",
            "0\r\n X: 1\r\n",
            "0\r\nX: 1\r\n folded\r\n",
            "0\r\nX\r\n",
            "0\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
            "0\r\nX: \0\r\n",
        ] {
            assert!(matches!(decode(raw), Err(BodyError::Malformed(_))), "{raw:?}");
        }
    }

    #[test]
    fn a_chunk_is_refused_when_it_announces_more_than_the_body_may_hold() {
        for raw in ["c\r\n", "5\r\nhello\r\n7\r", "ffffffffffffffff\r", "8000000000000000;"] {
            assert_eq!(decode(raw), Err(BodyError::TooLarge), "{raw:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_have_a_ceiling() {
        let chunk = format!("1;{}\r\nx\r\n", "a".repeat(EXTENSION_BYTES_MAX / 2));
        assert_eq!(decode(&chunk.repeat(2)), Ok(None));
        assert!(matches!(decode(&(chunk.repeat(2) + "0;a")), Err(BodyError::Malformed(_))));
        let trailer = |len| format!("0\r\nX:{}\r\n\r\n", "a".repeat(len));
        assert!(decode(&trailer(TRAILER_BYTES_MAX - 2)).is_ok());
        assert!(matches!(decode(&trailer(TRAILER_BYTES_MAX - 1)), Err(BodyError::Malformed(_))));
    }

    #[test]
    fn a_refused_body_stays_refused() {
        let (mut body, mut bytes) = (ChunkedBody::new(11), b"2\r\nhix".to_vec());
        let refused = body.advance(&mut bytes);
        assert!(refused.is_err());
        bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        assert_eq!(body.advance(&mut bytes), refused);
    }
}
