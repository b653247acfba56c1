//! A page that describes the server API and calls it, and the document it is made from.
//!
//! Everything is inside the binary and of our own: no other host is asked, and the page's policy
//! lets the browser ask none.

use crate::protocol::json;
use crate::wire::http1::{File, Place};

/// Where the page is and what it shows. Built once.
#[derive(Debug)]
pub struct Swagger {
    prefix: String,
    /// The page seen from the prefix, so that it is found behind a proxy that has a path of its own.
    folder: String,
    files: [(&'static str, File); 4],
}

const DOCUMENT: &str = include_str!("../../../docs/openapi.json");
/// Where the document says that the API is.
const URL: &str = "\"url\": \"/api\"";

/// The OpenAPI document of the API at these URLs, which may be relative to the document's own.
#[must_use]
pub fn document(urls: &[&str]) -> Vec<u8> {
    let mut said = Vec::new();
    for (at, url) in urls.iter().enumerate() {
        said.extend_from_slice(if at == 0 { b"\"url\": ".as_slice() } else { b"}, {\"url\": " });
        json::write_string(&mut said, url);
    }
    DOCUMENT.replacen(URL, &String::from_utf8_lossy(&said), 1).into_bytes()
}

impl Swagger {
    /// The page at `prefix`, of the API at `api_prefix`.
    #[must_use]
    pub fn new(prefix: &str, api_prefix: &str) -> Self {
        let last = prefix.rsplit('/').next().unwrap_or_default();
        let html = include_bytes!("page.html").as_slice();
        let script = include_bytes!("page.js").as_slice();
        let style = include_bytes!("page.css").as_slice();
        Self {
            prefix: prefix.to_owned(),
            folder: format!("{last}/"),
            files: [
                ("", File::new("text/html; charset=utf-8", html)),
                ("page.js", File::new("text/javascript", script)),
                ("page.css", File::new("text/css", style)),
                ("openapi.json", File::new("application/json", document(&[api_prefix]))),
            ],
        }
    }

    /// What stands at this path, if anything.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Place<'_>> {
        let below = path.strip_prefix(self.prefix.as_str())?;
        if below.is_empty() {
            return Some(Place::Moved(&self.folder));
        }
        let name = below.strip_prefix('/')?;
        self.files.iter().find(|(known, _)| *known == name).map(|(_, file)| Place::File(file))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn served(api_prefix: &str) -> Value {
        let swagger = Swagger::new("/swagger", api_prefix);
        let Some(Place::File(file)) = swagger.at("/swagger/openapi.json") else {
            panic!("no document");
        };
        serde_json::from_slice(file.body()).expect("it is JSON")
    }

    #[test]
    fn the_document_is_the_published_one_at_the_configured_place() {
        let mut published: Value = serde_json::from_str(DOCUMENT).expect("it is JSON");
        assert_eq!(served("/api"), published);
        published["servers"] = json!([{"url": "/a\"b\\c"}]);
        assert_eq!(served("/a\"b\\c"), published);
    }

    #[test]
    fn paths_match_exactly() {
        let swagger = Swagger::new("/docs/swagger", "/api");
        let at = |path: &str| {
            swagger.at(path).map(|place| match place {
                Place::File(file) => file.body(),
                Place::Moved(to) => to.as_bytes(),
            })
        };
        assert_eq!(at("/docs/swagger"), Some(b"swagger/".as_slice()));
        assert_eq!(at("/docs/swagger/"), Some(include_bytes!("page.html").as_slice()));
        assert_eq!(at("/docs/swagger/page.js"), Some(include_bytes!("page.js").as_slice()));
        for path in ["/", "/docs", "/docs/swagger2", "/docs/swagger//", "/docs/swagger/page.html"] {
            assert_eq!(at(path), None, "{path}");
        }
    }
}
