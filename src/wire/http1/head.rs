//! A whole request head, checked once and then only borrowed.

use std::mem::MaybeUninit;

use super::framing::Message;
use super::token::{trim_ows, trim_ows_start};
use super::{Framing, HEAD_BYTES_MAX, HEADERS_MAX, HeadError, Version, target};

/// A request head. It borrows the bytes it was parsed from and owns nothing.
pub struct Head<'b> {
    /// The method, as sent: methods are case-sensitive.
    pub method: &'b str,
    /// The request target, as sent.
    pub target: &'b str,
    /// The version.
    pub version: Version,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client wants the connection to stay open after the reply.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    path: &'b str,
    query: Option<&'b str>,
    /// The header lines, each `name ":" OWS value OWS CR LF`.
    lines: &'b [u8],
}

const _: () = assert!(size_of::<Head<'_>>() <= 128, "returned and passed about by value");

impl<'b> Head<'b> {
    /// The path, neither decoded nor normalised; `*` for `OPTIONS *`.
    #[must_use]
    pub const fn path(&self) -> &'b str {
        self.path
    }

    /// What follows the first `?`, undecoded (see [`super::query_value`]).
    #[must_use]
    pub const fn query(&self) -> Option<&'b str> {
        self.query
    }

    /// The first header of this name, in any case, without whitespace around its value.
    ///
    /// A value that is not UTF-8 counts as absent: nothing here could use it, while headers
    /// nobody asks for may hold what they like (RFC 9110 §5.5, obs-text). Costs one pass over the
    /// header lines: they are few, and most are never asked for.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'b str> {
        str::from_utf8(self.header_values(name).next()?).ok()
    }

    /// The first header of each of these names, under the same rules, in one pass.
    #[must_use]
    pub fn first_of<const N: usize>(&self, names: [&str; N]) -> [Option<&'b str>; N] {
        let mut found = [None; N];
        for line in Lines(self.lines) {
            for (name, place) in names.iter().zip(&mut found) {
                if place.is_none() {
                    *place = value_under(line, name);
                }
            }
        }
        found.map(|value| str::from_utf8(value?).ok())
    }

    /// Every header of this name, under the same rules: for those whose value is a list, which may
    /// be spread over several lines (RFC 9110 §5.3).
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'b str> {
        self.header_values(name).filter_map(|value| str::from_utf8(value).ok())
    }

    /// Every header of this name, whatever it holds: for those where one that cannot be read must
    /// not count as absent.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        Lines(self.lines).filter_map(move |line| value_under(line, name))
    }
}

/// Header lines, each with its line feed.
struct Lines<'b>(&'b [u8]);

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let feed = memchr::memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at_checked(feed.saturating_add(1))?;
        self.0 = rest;
        Some(line)
    }
}

/// The value of a header line of this name, without white space around it.
fn value_under<'b>(line: &'b [u8], name: &str) -> Option<&'b [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    let [b':', value @ .., b'\r', b'\n'] = value else { return None };
    start.eq_ignore_ascii_case(name.as_bytes()).then(|| trim_ows(value))
}

/// Parses one whole head, exactly as long as [`super::HeadScan::end`] said. Allocates nothing.
///
/// # Errors
/// See [`HeadError`]; each has its status.
pub fn parse_head(bytes: &[u8]) -> Result<Head<'_>, HeadError> {
    if bytes.len() > HEAD_BYTES_MAX {
        return Err(HeadError::TooLong);
    }
    // httparse skips any number of empty lines, with or without a carriage return.
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    match bytes {
        [b'\r', b'\n', ..] => return Err(HeadError::EmptyLines),
        [b'\r', ..] => return Err(HeadError::BareCarriageReturn),
        [b'\n', ..] => return Err(HeadError::BareLineFeed),
        _ => {}
    }
    let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut slots) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(HeadError::NotWhole),
        Err(error) => return Err(explain(error, bytes)),
    }
    let httparse::Request { method: Some(method), path: Some(target), version, headers } = request
    else {
        return Err(HeadError::NotWhole);
    };
    let version = if version == Some(1) { Version::Http11 } else { Version::Http10 };
    let lines = lines(bytes, method, target, headers).ok_or(HeadError::BareLineFeed)?;
    let (path, query) = target::split(method, target).ok_or(HeadError::Target)?;
    let Message { framing, keep_alive, expect_continue } = Message::read(version, headers)?;
    Ok(Head { method, target, version, framing, keep_alive, expect_continue, path, query, lines })
}

/// The header lines, when the head is exactly its words, one space or CR LF between them, and
/// nothing else. httparse also takes a bare line feed for the end of a line, or of the head; it
/// is found here by putting the head together again from what httparse made of it.
fn lines<'b>(
    bytes: &'b [u8],
    method: &str,
    target: &str,
    headers: &[httparse::Header<'_>],
) -> Option<&'b [u8]> {
    let rest = bytes.get(method.len()..)?.strip_prefix(b" ")?;
    let rest = rest.get(target.len()..)?.strip_prefix(b" HTTP/1.")?;
    let lines = rest.get(1..)?.strip_prefix(b"\r\n")?;
    let mut rest = lines;
    for header in headers {
        rest = trim_ows_start(rest.get(header.name.len()..)?.strip_prefix(b":")?);
        rest = trim_ows_start(rest.get(header.value.len()..)?).strip_prefix(b"\r\n")?;
    }
    if rest == b"\r\n" { lines.strip_suffix(b"\r\n") } else { None }
}

/// What httparse's error means for whoever sent the head. Off the fast path.
#[cold]
fn explain(error: httparse::Error, bytes: &[u8]) -> HeadError {
    use httparse::Error;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match error {
        Error::TooManyHeaders => HeadError::TooManyHeaders,
        Error::HeaderValue if holds_bare_cr(bytes) => HeadError::BareCarriageReturn,
        Error::HeaderValue => HeadError::HeaderValue,
        Error::HeaderName if is_folded(bytes) => HeadError::Folded,
        Error::HeaderName => HeadError::HeaderName,
        Error::NewLine if holds_bare_cr(bytes) => HeadError::BareCarriageReturn,
        Error::Version | Error::NewLine | Error::Status => explain_version(line),
        Error::Token => explain_words(line),
    }
}

fn holds_bare_cr(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| matches!(pair, [b'\r', after] if *after != b'\n'))
}

fn is_folded(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| matches!(pair, [b'\n', b' ' | b'\t']))
}

/// The line has a method and a target; its third word is not one of the two versions.
fn explain_version(line: &[u8]) -> HeadError {
    let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match word.strip_suffix(b"\r").unwrap_or(word) {
        b"HTTP/1.0" | b"HTTP/1.1" => HeadError::RequestLine,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            HeadError::Version
        }
        _ => HeadError::RequestLine,
    }
}

/// One of the first two words is malformed.
fn explain_words(line: &[u8]) -> HeadError {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    if method.is_empty() || !method.iter().all(|byte| super::token::is_token(*byte)) {
        return HeadError::Method;
    }
    match (words.next(), words.next()) {
        // `GET /` alone is what HTTP/0.9 was.
        (Some([b'/', ..]), None) => HeadError::Version,
        (Some([_, ..]), Some(_)) => HeadError::Target,
        _ => HeadError::RequestLine,
    }
}
