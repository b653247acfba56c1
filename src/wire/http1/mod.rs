//! HTTP/1.1 (RFC 9112), the server's side of it: strict about what it reads, plain in what it
//! writes.
//!
//! A request comes in three steps, each of which takes whatever bytes there are:
//!
//! ```text
//!   bytes ──HeadScan::end──▶ length of the head ──parse_head──▶ Head
//!                                                    │ framing
//!              Empty: nothing · Length(n): the next n bytes · Chunked: ChunkedBody::advance
//! ```
//!
//! Where the RFC lets a recipient be lenient and two recipients could then disagree about where a
//! request ends (request smuggling), this one refuses. Nothing here is normalised: a path is
//! matched as it was sent.

mod body;
mod date;
mod error;
mod framing;
mod head;
mod page;
mod query;
mod scan;
mod target;
mod token;
mod write;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use body::{BodyEnd, BodyError, ChunkedBody};
pub use date::DateLine;
pub use error::HeadError;
pub use framing::Framing;
pub use head::{Head, parse_head};
pub use page::{File, Place, Shown};
pub use query::query_value;
pub use scan::HeadScan;
pub use write::{
    Response, StreamHead, write_chunk, write_last_chunk, write_response, write_response_head,
    write_stream_head,
};

/// Longest request head, in bytes, the blank line and a leading empty line included. Beyond it:
/// 431. Test: `a_head_of_the_longest_length_passes_and_one_byte_more_does_not`.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header lines of one request. Beyond it: 431.
/// Test: `sixty_four_headers_pass_and_one_more_does_not`.
pub const HEADERS_MAX: usize = 64;

/// Most bytes of chunk extensions in one body, all chunks together. Beyond it: 400. They carry
/// nothing for us; an endless one would be an endless request.
/// Test: `extensions_and_trailers_have_a_ceiling`.
pub const EXTENSION_BYTES_MAX: usize = 4 * 1024;

/// Most bytes of trailer lines after a chunked body. Beyond it: 400.
/// Test: `extensions_and_trailers_have_a_ceiling`.
pub const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// The versions that are spoken here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// HTTP/1.0: a connection ends with its response unless the client asks otherwise.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// A status code (RFC 9110 §15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(pub u16);

impl Status {
    /// Its reason phrase; empty for codes nobody here writes by themselves.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self.0 {
            101 => "Switching Protocols",
            200 => "OK",
            204 => "No Content",
            301 => "Moved Permanently",
            304 => "Not Modified",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            409 => "Conflict",
            413 => "Content Too Large",
            417 => "Expectation Failed",
            426 => "Upgrade Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            _ => "",
        }
    }
}
