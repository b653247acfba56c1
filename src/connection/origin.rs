//! Which web origins may connect (`client.allowed_origins`, matched as Centrifugo does).

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A compiled list of origin patterns.
///
/// A pattern is a glob in which `*` also spans dots and slashes. Both sides are compared in
/// lower case: Centrifugo lower-cases only the origin, so that its patterns with capitals never
/// match.
#[derive(Clone, Debug)]
pub struct Origins {
    any: bool,
    patterns: GlobSet,
}

/// A pattern of `client.allowed_origins` that is not a glob.
#[derive(Debug, thiserror::Error)]
#[error("client.allowed_origins: `{pattern}` is not a valid pattern: {cause}")]
pub struct BadPattern {
    pattern: String,
    cause: String,
}

/// What the origin of a request means for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OriginCheck<'h> {
    /// No `Origin` header: not a browser, nothing to add.
    Absent,
    /// Allowed: echo it.
    Allowed(&'h str),
    /// Not allowed: serve without the headers, so that the browser keeps the answer from the
    /// page.
    Refused,
}

impl Origins {
    /// Only requests without an `Origin` pass.
    #[must_use]
    pub const fn none() -> Self {
        Self { any: false, patterns: GlobSet::empty() }
    }

    /// Compiles the list. Empty: only requests without an `Origin` pass. Sole `*`: all pass.
    ///
    /// # Errors
    /// The first pattern that is not a glob, with the reason.
    pub fn new(patterns: &[String]) -> Result<Self, BadPattern> {
        let bad = |pattern: &String, cause: globset::Error| BadPattern {
            pattern: pattern.clone(),
            cause: cause.kind().to_string(),
        };
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(&pattern.to_ascii_lowercase())
                .literal_separator(false)
                .backslash_escape(true)
                .build()
                .map_err(|cause| bad(pattern, cause))?;
            set.add(glob);
        }
        let any = patterns.iter().any(|pattern| pattern == "*");
        let empty = String::new();
        let patterns =
            set.build().map_err(|cause| bad(patterns.first().unwrap_or(&empty), cause))?;
        Ok(Self { any, patterns })
    }

    /// What this `Origin` header means.
    #[must_use]
    pub fn check<'h>(&self, origin: Option<&'h str>) -> OriginCheck<'h> {
        match origin {
            None | Some("") => OriginCheck::Absent,
            Some(origin) if self.any => OriginCheck::Allowed(origin),
            Some(origin) if self.patterns.is_match(origin.to_ascii_lowercase()) => {
                OriginCheck::Allowed(origin)
            }
            Some(_) => OriginCheck::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(patterns: &[&str], origin: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let origins = Origins::new(&patterns).expect("valid patterns");
        matches!(origins.check(Some(origin)), OriginCheck::Allowed(_))
    }

    #[test]
    fn a_pattern_spans_dots_and_slashes_and_ignores_case() {
        assert!(!allows(&[], "https://example.com"));
        assert!(allows(&["*"], "https://example.com"));
        assert!(allows(&["https://example.com"], "https://example.com"));
        assert!(allows(&["https://example.com"], "https://Example.com"));
        assert!(allows(&["https://Example.com"], "https://example.com"));
        assert!(allows(&["https://*.example.com"], "https://a.b.example.com"));
        assert!(!allows(&["https://*.example.com"], "https://example.com"));
        assert!(!allows(&["https://*.example.com"], "http://a.example.com"));
        assert!(allows(&["file://*"], "file:///a/b"));
        assert!(allows(&["null"], "null"));
        assert!(allows(&["https://a.com", "https://{b,c}.com"], "https://c.com"));
    }

    #[test]
    fn no_origin_is_not_a_browser() {
        let origins = Origins::new(&[]).expect("empty list");
        assert_eq!(origins.check(None), OriginCheck::Absent);
    }

    #[test]
    fn a_broken_pattern_is_named() {
        let error = Origins::new(&["https://[".to_owned()]).expect_err("not a glob");
        assert!(error.to_string().contains("https://["), "{error}");
    }
}
