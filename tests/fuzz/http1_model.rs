//! HTTP/1.1 as a reader that has all the bytes would read it: the grammar spelled out, nothing
//! shared with `wire`. `None` and `Err` are refusals; which one, a model does not say.

use rollcall::wire::http1::{
    EXTENSION_BYTES_MAX, Framing, HEAD_BYTES_MAX, HEADERS_MAX, TRAILER_BYTES_MAX, Version,
};

/// Where a head ends.
pub(crate) fn head_end(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let start = if window.starts_with(b"\r\n") { 2 } else { 0 };
    let rest = &window[start..];
    let is_start = |byte: &u8| is_token_byte(*byte) || matches!(byte, b'\r' | b'\n');
    if rest.starts_with(b"\r\n") || rest.first().is_some_and(|byte| !is_start(byte)) {
        return Err(());
    }
    let blank = rest.windows(4).position(|four| four == b"\r\n\r\n");
    let end = blank.map(|at| start + at + 4);
    let looked_at = &window[..end.unwrap_or(window.len())];
    let has_bare_feed = (0..looked_at.len())
        .any(|at| looked_at[at] == b'\n' && (at == 0 || looked_at[at - 1] != b'\r'));
    match end {
        _ if has_bare_feed => Err(()),
        None if bytes.len() >= HEAD_BYTES_MAX => Err(()),
        end => Ok(end),
    }
}

/// What a whole head says.
#[derive(Debug)]
pub(crate) struct Head<'b> {
    pub(crate) method: &'b str,
    pub(crate) target: &'b str,
    pub(crate) path: &'b str,
    pub(crate) query: Option<&'b str>,
    pub(crate) version: Version,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expect_continue: bool,
    pub(crate) headers: Vec<(&'b str, &'b [u8])>,
}

/// Reads a head that ends with its blank line.
pub(crate) fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let mut lines = split(bytes.strip_suffix(b"\r\n\r\n")?, b"\r\n").into_iter();
    let words = str::from_utf8(lines.next()?).ok()?.split(' ').collect::<Vec<_>>();
    let [method, target, version] = words.as_slice() else { return None };
    let version = match *version {
        "HTTP/1.1" => Version::Http11,
        "HTTP/1.0" => Version::Http10,
        _ => return None,
    };
    let (path, query) = parts_of(method, target)?;
    let headers = lines.map(header).collect::<Option<Vec<_>>>()?;
    if !is_token(method) || headers.len() > HEADERS_MAX {
        return None;
    }
    let (framing, keep_alive, expect_continue) = message(version, &headers)?;
    Some(Head {
        method,
        target,
        path,
        query,
        version,
        framing,
        keep_alive,
        expect_continue,
        headers,
    })
}

fn split<'b>(mut bytes: &'b [u8], by: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = bytes.windows(by.len()).position(|window| window == by) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + by.len()..];
    }
    parts.push(bytes);
    parts
}

fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = str::from_utf8(&line[..colon]).ok().filter(|name| is_token(name))?;
    let value = &line[colon + 1..];
    let is_text = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..);
    value.iter().all(is_text).then(|| (name, trim(value)))
}

fn trim(text: &[u8]) -> &[u8] {
    let is_other = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let Some(start) = text.iter().position(is_other) else { return b"" };
    &text[start..=text.iter().rposition(is_other).unwrap_or(start)]
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
}

fn parts_of<'b>(method: &str, target: &'b str) -> Option<(&'b str, Option<&'b str>)> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return None;
    }
    if target == "*" && method == "OPTIONS" {
        return Some(("*", None));
    }
    let lower = target.to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme));
    let path_and_query = match scheme {
        _ if target.starts_with('/') => target,
        None => return None,
        Some(scheme) => {
            let host = target[scheme.len()..].split(['/', '?']).next().filter(|h| !h.is_empty())?;
            &target[scheme.len() + host.len()..]
        }
    };
    let (path, query) = match path_and_query.find('?') {
        Some(at) => (&path_and_query[..at], Some(&path_and_query[at + 1..])),
        None => (path_and_query, None),
    };
    Some((if path.is_empty() { "/" } else { path }, query))
}

fn message(version: Version, headers: &[(&str, &[u8])]) -> Option<(Framing, bool, bool)> {
    let is_http11 = version == Version::Http11;
    let all = |name: &str| {
        let named = headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    let list = |name: &str| {
        let values = all(name);
        let elements = values.iter().flat_map(|value| split(value, b",")).map(trim);
        elements.map(<[u8]>::to_ascii_lowercase).collect::<Vec<_>>()
    };
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    match all("host").as_slice() {
        [] if !is_http11 => {}
        [host] if host.iter().all(is_host) => {}
        _ => return None,
    }
    let length = match all("content-length").as_slice() {
        [] => None,
        [digits] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            Some(str::from_utf8(digits).ok()?.parse::<usize>().ok()?)
        }
        _ => return None,
    };
    let codings = list("transfer-encoding");
    let is_chunked = match codings.as_slice() {
        [] => false,
        [coding] if is_http11 && coding == b"chunked" && length.is_none() => true,
        _ => return None,
    };
    let expects = all("expect");
    if is_http11 && expects.iter().any(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
        return None;
    }
    let options = list("connection");
    let has = |option: &[u8]| options.iter().any(|other| other == option);
    let keep_alive = !has(b"close") && (is_http11 || has(b"keep-alive"));
    let framing = match (length, is_chunked) {
        (Some(length), _) => Framing::Length(length),
        (None, true) => Framing::Chunked,
        (None, false) => Framing::Empty,
    };
    Some((framing, keep_alive, is_http11 && !expects.is_empty()))
}

/// What a chunked body is.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Body {
    NotWhole,
    /// The body and what follows it.
    Whole(Vec<u8>, Vec<u8>),
    TooLarge,
    Malformed,
}

/// Reads a chunked body of at most `max` bytes.
pub(crate) fn body(bytes: &[u8], max: usize) -> Body {
    let mut reader = BodyReader { rest: bytes, extension_bytes: 0, trailer_bytes: 0 };
    let mut body = Vec::new();
    match reader.read(&mut body, max) {
        Ok(()) => Body::Whole(body, reader.rest.to_vec()),
        Err(end) => end,
    }
}

struct BodyReader<'b> {
    rest: &'b [u8],
    extension_bytes: usize,
    trailer_bytes: usize,
}

impl BodyReader<'_> {
    fn read(&mut self, body: &mut Vec<u8>, max: usize) -> Result<(), Body> {
        loop {
            let size = self.size(max - body.len())?;
            if size == 0 {
                return self.trailers();
            }
            for _ in 0..size {
                body.push(self.byte()?);
            }
            self.expect(b"\r\n")?;
        }
    }

    fn byte(&mut self) -> Result<u8, Body> {
        self.rest.split_off_first().copied().ok_or(Body::NotWhole)
    }

    fn expect(&mut self, bytes: &[u8]) -> Result<(), Body> {
        bytes.iter().try_for_each(|expected| {
            if self.byte()? == *expected { Ok(()) } else { Err(Body::Malformed) }
        })
    }

    fn size(&mut self, max: usize) -> Result<usize, Body> {
        let mut digits = String::new();
        let end = loop {
            let byte = self.byte()?;
            if !byte.is_ascii_hexdigit() {
                break byte;
            }
            digits.push(char::from(byte));
            if digits.len() > 16 {
                return Err(Body::Malformed);
            }
        };
        if digits.is_empty() || !matches!(end, b'\r' | b';') {
            return Err(Body::Malformed);
        }
        let size = u64::from_str_radix(&digits, 16).expect("16 hex digits are 64 bits");
        let size = usize::try_from(size).ok().filter(|size| *size <= max).ok_or(Body::TooLarge)?;
        if end == b';' {
            loop {
                let byte = self.byte()?;
                if byte == b'\r' {
                    break;
                }
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_MAX || is_control(byte) {
                    return Err(Body::Malformed);
                }
            }
        }
        self.expect(b"\n")?;
        Ok(size)
    }

    fn trailers(&mut self) -> Result<(), Body> {
        loop {
            let mut byte = self.byte()?;
            if byte == b'\r' {
                return self.expect(b"\n");
            }
            let (mut name_len, mut is_value) = (0, false);
            while !(is_value && byte == b'\r') {
                self.trailer_bytes += 1;
                let is_good = match byte {
                    b':' if !is_value => name_len > 0,
                    _ if is_value => !is_control(byte),
                    _ => is_token_byte(byte),
                };
                if self.trailer_bytes > TRAILER_BYTES_MAX || !is_good {
                    return Err(Body::Malformed);
                }
                is_value |= byte == b':';
                name_len += 1;
                byte = self.byte()?;
            }
            self.expect(b"\n")?;
        }
    }
}

const fn is_control(byte: u8) -> bool {
    byte != b'\t' && (byte < 0x20 || byte == 0x7f)
}
