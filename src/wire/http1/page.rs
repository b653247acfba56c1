//! Files of a page that never change while the process lives, and what a browser is told about them.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Head, Status};

/// One file.
#[derive(Debug)]
pub struct File {
    content_type: &'static str,
    body: Cow<'static, [u8]>,
    etag: String,
}

/// What stands at one path.
#[derive(Clone, Copy, Debug)]
pub enum Place<'p> {
    /// A file.
    File(&'p File),
    /// The files are below: the address to go to.
    Moved(&'p str),
}

/// What is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown<'p> {
    /// 200; 304 when the caller has it already; 301 to the page; 405 for what is not reading.
    pub status: Status,
    /// Of the body, when there is one.
    pub content_type: Option<&'static str>,
    /// All other headers.
    pub headers: [(&'static str, &'p str); 5],
    /// Empty but for 200.
    pub body: &'p [u8],
}

/// A page may load what stands beside it and call its own server, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

impl File {
    /// A file with this content.
    #[must_use]
    pub fn new(content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let body = body.into();
        // Of the content alone: every node of this version and configuration says the same.
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, &body)));
        Self { content_type, body, etag }
    }

    /// Its content.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether the caller says that it has this very file (RFC 9110 §13.1.2).
    fn is_known(&self, head: &Head<'_>) -> bool {
        head.header("if-none-match").is_some_and(|known| {
            known
                .split(',')
                .map(str::trim)
                .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == self.etag)
        })
    }
}

impl<'p> Place<'p> {
    /// The answer to a request with this head.
    #[must_use]
    pub fn shown(self, head: &Head<'_>) -> Shown<'p> {
        // A browser keeps it and asks each time whether it is still the same.
        let headers = |own| {
            [
                own,
                ("Cache-Control", "no-cache"),
                ("Content-Security-Policy", POLICY),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
            ]
        };
        let empty = |status, own| Shown {
            status: Status(status),
            content_type: None,
            headers: headers(own),
            body: &[],
        };
        if !matches!(head.method, "GET" | "HEAD") {
            return empty(405, ("Allow", "GET, HEAD"));
        }
        match self {
            Self::Moved(folder) => empty(301, ("Location", folder)),
            Self::File(file) if file.is_known(head) => empty(304, ("ETag", &file.etag)),
            Self::File(file) => Shown {
                status: Status(200),
                content_type: Some(file.content_type),
                headers: headers(("ETag", &file.etag)),
                body: &file.body,
            },
        }
    }
}
