//! A page that describes the server API and calls it, and the document it is made from.
//!
//! Everything is inside the binary and of our own: no other host is asked, and the page's policy
//! lets the browser ask none.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::protocol::json;
use crate::wire::http1::{Head, Status};

/// Where the page is and what it shows. Built once.
#[derive(Debug)]
pub struct Swagger {
    prefix: String,
    /// The page seen from the prefix, so that it is found behind a proxy that has a path of its own.
    folder: String,
    files: [File; 4],
}

/// What stands at one path.
#[derive(Clone, Copy, Debug)]
pub struct Page<'s>(Place<'s>);

#[derive(Clone, Copy, Debug)]
enum Place<'s> {
    File(&'s File),
    /// The files are below: the address to go to.
    Moved(&'s str),
}

/// A file that never changes while the process lives.
#[derive(Debug)]
struct File {
    name: &'static str,
    content_type: &'static str,
    body: Cow<'static, [u8]>,
    etag: String,
}

/// What is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown<'s> {
    /// 200; 304 when the caller has it already; 301 to the page; 405 for what is not reading.
    pub status: Status,
    /// Of the body, when there is one.
    pub content_type: Option<&'static str>,
    /// All other headers.
    pub headers: [(&'static str, &'s str); 5],
    /// Empty but for 200.
    pub body: &'s [u8],
}

/// The page may load what stands beside it and call the API of its own server, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const DOCUMENT: &str = include_str!("../../../docs/openapi.json");
/// Where the document says that the API is.
const URL: &str = "\"url\": \"/api\"";

impl Swagger {
    /// The page at `prefix`, of the API at `api_prefix`.
    #[must_use]
    pub fn new(prefix: &str, api_prefix: &str) -> Self {
        let mut url = b"\"url\": ".to_vec();
        json::write_string(&mut url, api_prefix);
        let document = DOCUMENT.replacen(URL, &String::from_utf8_lossy(&url), 1);
        let last = prefix.rsplit('/').next().unwrap_or_default();
        Self {
            prefix: prefix.to_owned(),
            folder: format!("{last}/"),
            files: [
                File::new("", "text/html; charset=utf-8", include_bytes!("page.html").as_slice()),
                File::new("page.js", "text/javascript", include_bytes!("page.js").as_slice()),
                File::new("page.css", "text/css", include_bytes!("page.css").as_slice()),
                File::new("openapi.json", "application/json", document.into_bytes()),
            ],
        }
    }

    /// What stands at this path, if anything.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Page<'_>> {
        let below = path.strip_prefix(self.prefix.as_str())?;
        if below.is_empty() {
            return Some(Page(Place::Moved(&self.folder)));
        }
        let name = below.strip_prefix('/')?;
        self.files.iter().find(|file| file.name == name).map(|file| Page(Place::File(file)))
    }
}

impl File {
    fn new(
        name: &'static str,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        let body = body.into();
        // Of the content alone: every node of this version and configuration says the same.
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, &body)));
        Self { name, content_type, body, etag }
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

impl<'s> Page<'s> {
    /// The answer to a request with this head.
    #[must_use]
    pub fn shown(self, head: &Head<'_>) -> Shown<'s> {
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
        match self.0 {
            Place::Moved(folder) => empty(301, ("Location", folder)),
            Place::File(file) if file.is_known(head) => empty(304, ("ETag", &file.etag)),
            Place::File(file) => Shown {
                status: Status(200),
                content_type: Some(file.content_type),
                headers: headers(("ETag", &file.etag)),
                body: &file.body,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(api_prefix: &str) -> Value {
        let swagger = Swagger::new("/swagger", api_prefix);
        let Some(Page(Place::File(file))) = swagger.at("/swagger/openapi.json") else {
            panic!("no document");
        };
        serde_json::from_slice(&file.body).expect("it is JSON")
    }

    #[test]
    fn the_document_is_the_published_one_at_the_configured_place() {
        let mut published: Value = serde_json::from_str(DOCUMENT).expect("it is JSON");
        assert_eq!(document("/api"), published);
        published["servers"] = json!([{"url": "/a\"b\\c"}]);
        assert_eq!(document("/a\"b\\c"), published);
    }

    #[test]
    fn paths_match_exactly() {
        let swagger = Swagger::new("/docs/swagger", "/api");
        let at = |path: &str| {
            swagger.at(path).map(|page| match page.0 {
                Place::File(file) => file.name.to_owned(),
                Place::Moved(to) => format!("-> {to}"),
            })
        };
        assert_eq!(at("/docs/swagger").as_deref(), Some("-> swagger/"));
        assert_eq!(at("/docs/swagger/").as_deref(), Some(""));
        assert_eq!(at("/docs/swagger/page.js").as_deref(), Some("page.js"));
        for path in ["/", "/docs", "/docs/swagger2", "/docs/swagger//", "/docs/swagger/page.html"] {
            assert_eq!(at(path), None, "{path}");
        }
    }
}
