//! Why a request head is refused: what was wrong and what would be right.

use super::{HEAD_BYTES_MAX, HEADERS_MAX, Status};

/// A head that is refused. The text is for whoever sent it; after any of these the connection
/// must close, because nobody can say where the next request begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeadError {
    /// Longer than [`HEAD_BYTES_MAX`].
    #[error(
        "the request head is longer than {} bytes: send fewer or shorter headers",
        HEAD_BYTES_MAX
    )]
    TooLong,
    /// More than [`HEADERS_MAX`] header lines.
    #[error("the request has more than {} headers: send fewer", HEADERS_MAX)]
    TooManyHeaders,
    /// More than one empty line in front.
    #[error("more than one empty line precedes the request line: send none")]
    EmptyLines,
    /// The bytes are not one whole head.
    #[error("the request head is not whole: it ends with an empty line")]
    NotWhole,
    /// A line feed without its carriage return.
    #[error("a line of the request head ends in a bare line feed: end every line with CR LF")]
    BareLineFeed,
    /// A carriage return without its line feed.
    #[error(
        "a carriage return stands inside a line of the request head: use it only before a line feed"
    )]
    BareCarriageReturn,
    /// The first word is no method. TLS on a port without TLS ends here too.
    #[error(
        "the request does not start with a method: send plain HTTP/1.1, as in `POST /api HTTP/1.1`"
    )]
    Method,
    /// No request line: words missing, or too many spaces.
    #[error(
        "the request line is malformed: it is a method, a target and a version with one space between, as in `POST /api HTTP/1.1`"
    )]
    RequestLine,
    /// A target that is neither a path nor an http URL.
    #[error(
        "the request target is malformed: it is a path that starts with `/`, in ASCII, percent-encoded, without a fragment"
    )]
    Target,
    /// Another version.
    #[error("this version of HTTP is not spoken here: use HTTP/1.1")]
    Version,
    /// A header continued on the next line (obs-fold).
    #[error("a header is folded over several lines: put it on one line")]
    Folded,
    /// A header's name is no token, or whitespace or nothing stands before its colon.
    #[error(
        "the name of a header is malformed: it is letters, digits and hyphens, directly followed by a colon"
    )]
    HeaderName,
    /// A control character in a header's value.
    #[error("the value of a header holds a control character: remove or encode it")]
    HeaderValue,
    /// HTTP/1.1 without Host.
    #[error("the request has no host header: HTTP/1.1 needs exactly one")]
    HostMissing,
    /// Two Host lines.
    #[error("the request has several host headers: send exactly one")]
    HostRepeated,
    /// Host is no host.
    #[error("the host header is malformed: it is a name or address and perhaps a port")]
    Host,
    /// Content-Length is no number.
    #[error("the content-length header is malformed: it is one decimal number, digits only")]
    ContentLength,
    /// Two Content-Length lines, equal or not.
    #[error("the request has several content-length headers: send exactly one")]
    ContentLengthRepeated,
    /// Both framings at once.
    #[error("the request has both content-length and transfer-encoding: send one of them")]
    LengthAndCoding,
    /// A transfer coding other than chunked.
    #[error("the transfer-encoding is not known here: use `chunked` alone")]
    CodingUnknown,
    /// Chunked is repeated, followed by something, or missing from an empty list.
    #[error("the transfer-encoding is malformed: `chunked` stands once and last")]
    CodingOrder,
    /// Transfer-Encoding with HTTP/1.0.
    #[error("transfer-encoding does not exist in HTTP/1.0: send content-length, or use HTTP/1.1")]
    CodingInHttp10,
    /// An expectation other than 100-continue.
    #[error("the expectation cannot be met: only `100-continue` is known here")]
    Expectation,
}

impl HeadError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::TooLong | Self::TooManyHeaders => Status(431),
            Self::Version => Status(505),
            Self::CodingUnknown => Status(501),
            Self::Expectation => Status(417),
            Self::EmptyLines
            | Self::NotWhole
            | Self::BareLineFeed
            | Self::BareCarriageReturn
            | Self::Method
            | Self::RequestLine
            | Self::Target
            | Self::Folded
            | Self::HeaderName
            | Self::HeaderValue
            | Self::HostMissing
            | Self::HostRepeated
            | Self::Host
            | Self::ContentLength
            | Self::ContentLengthRepeated
            | Self::LengthAndCoding
            | Self::CodingOrder
            | Self::CodingInHttp10 => Status(400),
        }
    }
}
