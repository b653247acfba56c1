//! What the headers say about the message itself: where its body ends, whether the connection
//! stays, what the client expects first.

use super::token::list;
use super::{HeadError, Version};

/// Where the body of a request ends (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is none.
    Empty,
    /// After this many bytes.
    Length(usize),
    /// After the last chunk.
    Chunked,
}

/// What was read from the headers.
pub(super) struct Message {
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expect_continue: bool,
}

impl Message {
    /// Reads the headers that concern the message itself; all others are left alone.
    pub(super) fn read(
        version: Version,
        headers: &[httparse::Header<'_>],
    ) -> Result<Self, HeadError> {
        let mut length = None;
        let mut coding = Coding::default();
        let mut host = false;
        let mut expect_continue = false;
        let mut connection = Connection::default();
        for httparse::Header { name, value } in headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            // The length first: most headers are none of these and cost one comparison.
            match name.len() {
                4 if is("host") => {
                    if host {
                        return Err(HeadError::HostRepeated);
                    }
                    check_host(value)?;
                    host = true;
                }
                6 if is("expect") => expect_continue |= expects_continue(version, value)?,
                10 if is("connection") => connection.read(value),
                14 if is("content-length") => {
                    if length.is_some() {
                        return Err(HeadError::ContentLengthRepeated);
                    }
                    length = Some(content_length(value).ok_or(HeadError::ContentLength)?);
                }
                17 if is("transfer-encoding") => {
                    if version == Version::Http10 {
                        return Err(HeadError::CodingInHttp10);
                    }
                    coding.read(value)?;
                }
                _ => {}
            }
        }
        if !host && version == Version::Http11 {
            return Err(HeadError::HostMissing);
        }
        let framing = match (length, coding.chunked) {
            (Some(_), true) => return Err(HeadError::LengthAndCoding),
            (Some(length), false) => Framing::Length(length),
            (None, true) => Framing::Chunked,
            (None, false) => Framing::Empty,
        };
        Ok(Self { framing, keep_alive: connection.stays(version), expect_continue })
    }
}

/// The options of all Connection headers that matter here (RFC 9112 §9.3).
#[derive(Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
}

impl Connection {
    fn read(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    const fn stays(&self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }
}

/// The codings of all Transfer-Encoding headers.
#[derive(Default)]
struct Coding {
    chunked: bool,
}

impl Coding {
    /// `chunked` alone is taken. Everything else is either unknown here or leaves the end of the
    /// body open to interpretation (RFC 9112 §6.1, §7).
    fn read(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for coding in list(value) {
            if self.chunked || coding.is_empty() {
                return Err(HeadError::CodingOrder);
            }
            if !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::CodingUnknown);
            }
            self.chunked = true;
        }
        Ok(())
    }
}

/// One decimal number (RFC 9110 §8.6): digits only, no sign, no list, and it fits.
pub(super) fn content_length(value: &[u8]) -> Option<usize> {
    let (first, rest) = value.split_first()?;
    rest.iter()
        .try_fold(digit(*first)?, |length, byte| length.checked_mul(10)?.checked_add(digit(*byte)?))
}

fn digit(byte: u8) -> Option<usize> {
    char::from(byte).to_digit(10).and_then(|digit| usize::try_from(digit).ok())
}

/// HTTP/1.0 has no expectations: what such a client sends is ignored (RFC 9110 §10.1.1).
fn expects_continue(version: Version, value: &[u8]) -> Result<bool, HeadError> {
    match version {
        Version::Http10 => Ok(false),
        Version::Http11 if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Version::Http11 => Err(HeadError::Expectation),
    }
}

/// The characters of `uri-host [ ":" port ]` (RFC 9110 §7.2). Which host it is does not matter
/// here; that two recipients read the same one does. It may be empty.
fn check_host(value: &[u8]) -> Result<(), HeadError> {
    if value.iter().all(|byte| is_in_host(*byte)) { Ok(()) } else { Err(HeadError::Host) }
}

const fn is_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'['
                | b']'
        )
}
