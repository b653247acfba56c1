//! As much of HTTP/1.1 as a client of this server needs, strict: what is not exactly as it must
//! be is an error, not a guess. Sans-IO.

use std::borrow::Cow;

/// Longest head accepted.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longest line of a stream accepted.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What was wrong with the bytes of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed: {}", self.0)
    }
}

/// A POST with a body; `headers` are whole lines without their line end.
pub(crate) fn post(host: &str, path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    request.into_bytes()
}

/// A GET of an event stream; `query` is the value of its only parameter.
pub(crate) fn get_events(host: &str, path: &str, parameter: &str, query: &[u8]) -> Vec<u8> {
    let mut request = format!("GET {path}?{parameter}=");
    for byte in query {
        // RFC 3986 §2.3.
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            request.push(char::from(*byte));
        } else {
            request.push_str(&format!("%{byte:02X}"));
        }
    }
    request.push_str(&format!(" HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n"));
    request.into_bytes()
}

/// How a body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// The head of a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Where the body begins.
    pub(crate) len: usize,
}

/// Reads a response head; `None` while it is not whole.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX {
            Err(Malformed("head too long"))
        } else {
            Ok(None)
        };
    };
    let text =
        std::str::from_utf8(&bytes[..end]).map_err(|_not_utf8| Malformed("head is not text"))?;
    let mut lines = text.split("\r\n");
    let status = parse_status(lines.next().unwrap_or_default())?;
    let mut length = None;
    let mut chunked = false;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Malformed("header without a colon"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let parsed = value.parse().ok().filter(|_| digits && length.is_none());
            length = Some(parsed.ok_or(Malformed("content-length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case("chunked") {
                return Err(Malformed("transfer-encoding"));
            }
            chunked = true;
        }
    }
    let framing = match (length, chunked) {
        (Some(length), false) => Framing::Length(length),
        (None, true) => Framing::Chunked,
        // These have no body whatever they say (RFC 9112 §6.3).
        (None, false) if matches!(status, 100..200 | 204) => Framing::Length(0),
        (None, false) => return Err(Malformed("neither content-length nor chunked")),
        (Some(_), true) => return Err(Malformed("both content-length and chunked")),
    };
    Ok(Some(Head { status, framing, len: end + 4 }))
}

/// The value of a header in a head that [`parse_head`] has taken; the first, if it comes twice.
pub(crate) fn header<'b>(head: &'b [u8], name: &str) -> Option<&'b str> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    lines.find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// `HTTP/1.1 200 OK` (RFC 9112 §4).
fn parse_status(line: &str) -> Result<u16, Malformed> {
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or(Malformed("status line"))?;
    let (code, _reason) = rest.split_once(' ').ok_or(Malformed("status line"))?;
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    code.parse().ok().filter(|_| is_code).ok_or(Malformed("status code"))
}

/// A whole response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Response<'b> {
    pub(crate) status: u16,
    pub(crate) body: Cow<'b, [u8]>,
    /// Bytes of the input it took.
    pub(crate) len: usize,
}

/// Reads a whole response; `None` while more must come.
pub(crate) fn parse_response(bytes: &[u8]) -> Result<Option<Response<'_>>, Malformed> {
    let Some(head) = parse_head(bytes)? else { return Ok(None) };
    let rest = &bytes[head.len..];
    match head.framing {
        Framing::Length(length) => {
            let whole = rest.get(..length);
            Ok(whole.map(|body| Response {
                status: head.status,
                body: body.into(),
                len: head.len + length,
            }))
        }
        Framing::Chunked => {
            let mut body = Vec::new();
            let mut chunks = Chunks::new();
            let taken = chunks.advance(rest, |data| body.extend_from_slice(data))?;
            let len = head.len + taken;
            let response = Response { status: head.status, body: body.into(), len };
            Ok(chunks.has_ended().then_some(response))
        }
    }
}

/// The chunked coding (RFC 9112 §7.1), without extensions and trailers, cut anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Chunks(Chunk);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chunk {
    /// In the hexadecimal size: its value and number of digits so far.
    Size(u32, u8),
    /// The size is over, its line feed comes.
    SizeEnd(u32),
    /// In the data: bytes to come.
    Data(u32),
    /// After the data: bytes of its line end seen.
    DataEnd(u8),
    /// After the size 0: bytes of the closing empty line seen.
    LastEnd(u8),
    /// The body is over.
    Ended,
}

impl Chunks {
    pub(crate) const fn new() -> Self {
        Self(Chunk::Size(0, 0))
    }

    /// Whether the closing chunk has been read.
    pub(crate) const fn has_ended(self) -> bool {
        matches!(self.0, Chunk::Ended)
    }

    /// Reads on, handing over data as it comes; how many bytes belonged to this body.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && !self.has_ended() {
            if let Chunk::Data(left) = self.0 {
                let here = (bytes.len() - at).min(left as usize);
                data(&bytes[at..at + here]);
                at += here;
                let left = left - u32::try_from(here).expect("at most `left`");
                self.0 = if left == 0 { Chunk::DataEnd(0) } else { Chunk::Data(left) };
            } else {
                self.0 = self.0.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }
}

impl Chunk {
    fn step(self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            (Self::Size(size, digits), b'\r') if digits > 0 => Self::SizeEnd(size),
            (Self::Size(size, digits), byte) if digits < 7 => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed("chunk size"))?;
                Self::Size(size * 16 + digit, digits + 1)
            }
            (Self::SizeEnd(0), b'\n') => Self::LastEnd(0),
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataEnd(0), b'\r') => Self::DataEnd(1),
            (Self::DataEnd(1), b'\n') => Self::Size(0, 0),
            (Self::LastEnd(0), b'\r') => Self::LastEnd(1),
            (Self::LastEnd(1), b'\n') => Self::Ended,
            _ => return Err(Malformed("chunk framing")),
        })
    }
}

/// The message in a line of an event stream; `None` for the empty lines between events. This
/// server writes one `data` line per event and nothing else.
pub(crate) fn event(line: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    match line {
        // The stream begins with an empty line that ends in CR LF.
        b"" | b"\r" => Ok(None),
        line => match line.strip_prefix(b"data: ") {
            Some(message) => Ok(Some(message)),
            None => Err(Malformed("a line of an event stream")),
        },
    }
}

/// Lines of a chunked stream, wherever they are cut. Costs no heap between lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lines {
    chunks: Chunks,
    cut: Vec<u8>,
}

impl Lines {
    pub(crate) const fn new() -> Self {
        Self { chunks: Chunks::new(), cut: Vec::new() }
    }

    /// Whether the stream ended as it must, with its closing chunk and no half line.
    pub(crate) const fn has_ended(&self) -> bool {
        self.chunks.has_ended() && self.cut.is_empty()
    }

    /// Reads on, handing over each whole line without its line feed.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        mut line: impl FnMut(&[u8]),
    ) -> Result<(), Malformed> {
        let cut = &mut self.cut;
        let taken = self.chunks.advance(bytes, |mut data| {
            while let Some(end) = data.iter().position(|byte| *byte == b'\n') {
                if cut.is_empty() {
                    line(&data[..end]);
                } else {
                    cut.extend_from_slice(&data[..end]);
                    line(cut);
                    *cut = Vec::new();
                }
                data = &data[end + 1..];
            }
            cut.extend_from_slice(data);
        })?;
        if taken < bytes.len() {
            return Err(Malformed("bytes after the end of a stream"));
        }
        if self.cut.len() > LINE_BYTES_MAX { Err(Malformed("line too long")) } else { Ok(()) }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests;
