//! Replies: a whole one, or a stream of chunks. Everything is written straight into the
//! connection's output buffer.

use super::token::is_token;
use super::{Status, Version};

/// The head of a reply whose body is known.
pub struct Response<'a> {
    /// The status, 200 to 999. Anything else would break the framing and is written as 500.
    pub status: Status,
    /// Value of Content-Type; `None` for an empty body.
    pub content_type: Option<&'a str>,
    /// Whether the connection stays open afterwards.
    pub keep_alive: bool,
    /// Version of the request, which is also that of the reply, as in Go.
    pub version: Version,
    /// Value of Date, from [`super::DateLine::at`].
    pub date: &'a str,
    /// More headers, as name and value. One that could not be a single header line (a line break
    /// in it, a name that is no token) is left out. None about framing, and about the connection
    /// only what an answer 426 must say (RFC 9110 §15.5.22).
    pub extra: &'a [(&'a str, &'a str)],
}

/// The head of a reply that goes on for as long as the connection.
pub struct StreamHead<'a> {
    /// Value of Content-Type.
    pub content_type: &'a str,
    /// Whether the connection stays open after the stream. An HTTP/1.0 stream ends with it
    /// whatever is said here.
    pub keep_alive: bool,
    /// Version of the request: HTTP/1.1 streams are chunked, HTTP/1.0 streams are not.
    pub version: Version,
    /// Value of Date, from [`super::DateLine::at`].
    pub date: &'a str,
    /// More headers, under the same rule as in [`Response::extra`].
    pub extra: &'a [(&'a str, &'a str)],
}

/// Room for a head of the usual headers.
const HEAD_BYTES_USUAL: usize = 256;

/// Appends a whole reply to any method but HEAD. A status without a body (204, 304; RFC 9110 §6.4.1) is written without
/// one. A text/plain refusal says `nosniff`, as Go's `http.Error` does.
pub fn write_response(out: &mut Vec<u8>, response: &Response<'_>, body: &[u8]) {
    if write_response_head(out, response, body) {
        out.extend_from_slice(body);
    }
}

/// Appends the head of a reply with this body and leaves the body out, as a HEAD request wants it
/// (RFC 9110 §9.3.2). Returns whether the reply to another method would have had a body.
pub fn write_response_head(out: &mut Vec<u8>, response: &Response<'_>, body: &[u8]) -> bool {
    out.reserve(body.len().saturating_add(HEAD_BYTES_USUAL));
    let status = final_status(response.status);
    write_status_line(out, response.version, status);
    write_field(out, "Date", response.date);
    let has_body = !matches!(status.0, 204 | 304);
    if has_body {
        if let Some(content_type) = response.content_type {
            write_field(out, "Content-Type", content_type);
            if status.0 >= 400 && content_type.starts_with("text/plain") {
                out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
            }
        }
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match (response.keep_alive, response.version) {
        (true, Version::Http11) => {}
        (true, Version::Http10) => out.extend_from_slice(KEEP_ALIVE),
        (false, _) => out.extend_from_slice(CLOSE),
    }
    write_extra(out, response.extra);
    has_body
}

/// Appends the head of a stream (client protocol, "HTTP streaming"). An HTTP/1.0 stream ends when
/// the connection does, and says so.
pub fn write_stream_head(out: &mut Vec<u8>, head: &StreamHead<'_>) {
    out.reserve(HEAD_BYTES_USUAL.saturating_mul(2));
    write_status_line(out, head.version, Status(200));
    write_field(out, "Date", head.date);
    write_field(out, "Content-Type", head.content_type);
    match head.version {
        Version::Http11 => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            out.extend_from_slice(if head.keep_alive { KEEP_ALIVE } else { CLOSE });
        }
        Version::Http10 => out.extend_from_slice(CLOSE),
    }
    write_extra(out, head.extra);
}

const KEEP_ALIVE: &[u8] = b"Connection: keep-alive\r\n";
const CLOSE: &[u8] = b"Connection: close\r\n";

/// Room left for a chunk's size: two digits fit every push but the longest, and the size is then
/// filled in without moving what follows.
const SIZE_USUAL: &[u8] = b"00";

/// Appends what `content` appends as one chunk, or bare on an HTTP/1.0 stream. `content` must
/// only append. When it appends nothing, nothing is written: an empty chunk would end the stream.
pub fn write_chunk(out: &mut Vec<u8>, version: Version, content: impl FnOnce(&mut Vec<u8>)) {
    if version == Version::Http10 {
        return content(out);
    }
    let start = out.len();
    out.extend_from_slice(SIZE_USUAL);
    let size_end = out.len();
    out.extend_from_slice(b"\r\n");
    let content_start = out.len();
    content(out);
    debug_assert!(out.len() >= content_start, "content only appends");
    let size = out.len().saturating_sub(content_start);
    if size == 0 {
        out.truncate(start);
        return;
    }
    out.extend_from_slice(b"\r\n");
    let mut digits = [0; HEX_DIGITS_MAX];
    out.splice(start..size_end, hex(size, &mut digits).iter().copied());
}

/// Appends what ends a stream: the last chunk, or nothing on an HTTP/1.0 stream.
pub fn write_last_chunk(out: &mut Vec<u8>, version: Version) {
    if version == Version::Http11 {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

const HEX_DIGITS_MAX: usize = 16;

/// The lower-case hex digits of `number`.
fn hex(number: usize, digits: &mut [u8; HEX_DIGITS_MAX]) -> &[u8] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = number;
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = HEX.get(rest & 15).copied().unwrap_or_default();
        start = start.saturating_sub(1);
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

fn write_status_line(out: &mut Vec<u8>, version: Version, status: Status) {
    out.extend_from_slice(match version {
        Version::Http11 => b"HTTP/1.1 ",
        Version::Http10 => b"HTTP/1.0 ",
    });
    out.extend_from_slice(itoa::Buffer::new().format(status.0).as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.reason().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A status that ends an exchange: an interim one (1xx) would leave the client waiting.
const fn final_status(status: Status) -> Status {
    match status.0 {
        200..=999 => status,
        _ => Status(500),
    }
}

/// The extra headers and the blank line.
fn write_extra(out: &mut Vec<u8>, extra: &[(&str, &str)]) {
    for (name, value) in extra {
        write_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// One header line, or nothing when it would not stay one: a line break from a request or a
/// configuration must not start a header, or a reply, of its own (response splitting).
fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    let is_name = !name.is_empty() && name.bytes().all(is_token);
    if !is_name || memchr::memchr3(b'\r', b'\n', 0, value.as_bytes()).is_some() {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[track_caller]
    fn check(response: &Response<'_>, body: &str, written: &str) {
        let mut out = b"earlier".to_vec();
        write_response(&mut out, response, body.as_bytes());
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.strip_prefix("earlier").unwrap().replace("\r\n", "|"), written);
    }

    const fn response<'a>(status: u16, content_type: Option<&'a str>) -> Response<'a> {
        let (version, date) = (Version::Http11, DATE);
        Response {
            status: Status(status),
            content_type,
            keep_alive: true,
            version,
            date,
            extra: &[],
        }
    }

    #[test]
    fn a_reply_is_written_as_the_client_can_read_it() {
        let date = format!("Date: {DATE}|");
        check(
            &response(200, Some("application/json")),
            "{}",
            &format!(
                "HTTP/1.1 200 OK|{date}Content-Type: application/json|Content-Length: 2||{{}}"
            ),
        );
        check(
            &Response { keep_alive: false, ..response(400, Some("text/plain; charset=utf-8")) },
            "no",
            &format!(
                "HTTP/1.1 400 Bad Request|{date}Content-Type: text/plain; charset=utf-8|X-Content-Type-Options: nosniff|Content-Length: 2|Connection: close||no"
            ),
        );
        check(
            &Response { version: Version::Http10, ..response(405, None) },
            "",
            &format!(
                "HTTP/1.0 405 Method Not Allowed|{date}Content-Length: 0|Connection: keep-alive||"
            ),
        );
        check(
            &Response { extra: &[("A", "b")], ..response(204, Some("text/plain")) },
            "never",
            &format!("HTTP/1.1 204 No Content|{date}A: b||"),
        );
        check(&response(499, None), "", &format!("HTTP/1.1 499 |{date}Content-Length: 0||"));
        for odd in [0, 101, 199, 1000] {
            let written = format!("HTTP/1.1 500 Internal Server Error|{date}Content-Length: 0||");
            check(&response(odd, None), "", &written);
        }
    }

    #[test]
    fn a_header_that_would_not_stay_one_line_is_left_out() {
        let extra: &[(&str, &str)] = &[
            ("A", "b\r\nSet-Cookie: c"),
            ("A", "b\nc"),
            ("A", "b\rc"),
            ("A", "b\0c"),
            ("A\r\nB", "c"),
            ("A: b", "c"),
            ("", "c"),
            ("Kept", "b: c"),
        ];
        check(
            &Response { extra, ..response(200, Some("a\r\nB: c")) },
            "",
            &format!("HTTP/1.1 200 OK|Date: {DATE}|Content-Length: 0|Kept: b: c||"),
        );
    }

    #[test]
    fn a_stream_is_chunked_or_ends_with_its_connection() {
        let line = "x".repeat(0x1234);
        let stream = |version, keep_alive| {
            let mut out = Vec::new();
            let (content_type, extra) = ("text/plain", &[("Expire", "0")]);
            let head = StreamHead { content_type, keep_alive, version, date: DATE, extra };
            write_stream_head(&mut out, &head);
            write_chunk(&mut out, version, |out| out.extend_from_slice(b"{}\n"));
            write_chunk(&mut out, version, |_| {});
            write_chunk(&mut out, version, |out| out.extend_from_slice(&[b'y'; 0x2a]));
            write_chunk(&mut out, version, |out| out.extend_from_slice(line.as_bytes()));
            write_last_chunk(&mut out, version);
            String::from_utf8(out).unwrap().replace("\r\n", "|")
        };
        let (head, y) = (format!("Date: {DATE}|Content-Type: text/plain|"), "y".repeat(0x2a));
        for (keep_alive, connection) in [(true, "keep-alive"), (false, "close")] {
            assert_eq!(
                stream(Version::Http11, keep_alive),
                format!(
                    "HTTP/1.1 200 OK|{head}Transfer-Encoding: chunked|Connection: {connection}|Expire: 0||3|{{}}\n|2a|{y}|1234|{line}|0||"
                )
            );
            assert_eq!(
                stream(Version::Http10, keep_alive),
                format!("HTTP/1.0 200 OK|{head}Connection: close|Expire: 0||{{}}\n{y}{line}")
            );
        }
    }
}
