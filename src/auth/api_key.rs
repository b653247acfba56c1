//! The key of the server API: where it may stand in a request, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;

/// The configured key. An empty one admits nobody.
pub struct ApiKey {
    key: Box<str>,
}

impl ApiKey {
    /// The key callers must show.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { key: key.into() }
    }

    /// Whether a caller that sent these may use the API: the value of `X-API-Key`, the value of
    /// `Authorization`, and the `api_key` of the query, each decoded.
    ///
    /// A non-empty `X-API-Key` hides `Authorization`, right or wrong; the query is the last
    /// resort after either (Centrifugo v6, server API authentication).
    #[must_use]
    pub fn admits(
        &self,
        x_api_key: Option<&str>,
        authorization: Option<&str>,
        query_api_key: Option<&str>,
    ) -> bool {
        let by_header = match x_api_key.filter(|key| !key.is_empty()) {
            Some(key) => Some(key),
            None => authorization.and_then(key_of_authorization),
        };
        by_header.is_some_and(|key| self.is(key)) || query_api_key.is_some_and(|key| self.is(key))
    }

    /// Tells only the length apart by time, which is that of every generated key.
    fn is(&self, shown: &str) -> bool {
        !self.key.is_empty() && bool::from(self.key.as_bytes().ct_eq(shown.as_bytes()))
    }
}

/// The key in `apikey <KEY>`, the scheme in any case.
fn key_of_authorization(value: &str) -> Option<&str> {
    let mut words = value.split_ascii_whitespace();
    let (scheme, key) = (words.next()?, words.next()?);
    (words.next().is_none() && scheme.eq_ignore_ascii_case("apikey")).then_some(key)
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.key.is_empty() { "ApiKey(none)" } else { "ApiKey(set)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_taken_from_each_of_its_three_places() {
        let key = ApiKey::new("secret-key");
        assert!(key.admits(Some("secret-key"), None, None));
        assert!(key.admits(None, Some("apikey secret-key"), None));
        assert!(key.admits(None, Some("  ApiKey \t secret-key "), None));
        assert!(key.admits(None, None, Some("secret-key")));
        assert!(!key.admits(None, None, None));
    }

    #[test]
    fn a_shown_x_api_key_hides_authorization_but_not_the_query() {
        let key = ApiKey::new("secret-key");
        assert!(!key.admits(Some("wrong"), Some("apikey secret-key"), None));
        assert!(key.admits(Some(""), Some("apikey secret-key"), None));
        assert!(key.admits(Some("wrong"), None, Some("secret-key")));
        assert!(key.admits(None, Some("apikey wrong"), Some("secret-key")));
    }

    #[test]
    fn what_is_not_exactly_the_key_is_refused() {
        let key = ApiKey::new("secret-key");
        for wrong in ["", "secret-ke", "secret-key2", "SECRET-KEY", "apikey secret-key"] {
            assert!(!key.admits(Some(wrong), None, None), "{wrong}");
            assert!(!key.admits(None, None, Some(wrong)), "{wrong}");
        }
        for wrong in ["secret-key", "Bearer secret-key", "apikey", "apikey secret-key more"] {
            assert!(!key.admits(None, Some(wrong), None), "{wrong}");
        }
    }

    #[test]
    fn an_empty_key_admits_nobody() {
        let key = ApiKey::new("");
        assert!(!key.admits(Some(""), Some("apikey "), Some("")));
        assert!(!key.admits(Some("x"), Some("apikey x"), Some("x")));
    }

    #[test]
    fn the_key_is_not_debugged() {
        assert_eq!(format!("{:?}", ApiKey::new("secret-key")), "ApiKey(set)");
        assert_eq!(format!("{:?}", ApiKey::new("")), "ApiKey(none)");
    }
}
