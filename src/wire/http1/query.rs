//! One value of a query string.

use std::borrow::Cow;

/// The value of the first `name=value` whose decoded name is `name`; empty when it has no `=`.
/// `%XX` and `+` are decoded in both. As in Go, a pair with a malformed escape does not count;
/// neither does one that is not UTF-8 once decoded. Allocates only when there is something to
/// decode.
#[must_use]
pub fn query_value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key)? == name { decode(value) } else { None }
    })
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr2(b'%', b'+', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        let (byte, after) = match rest {
            [] => break,
            [b'+', after @ ..] => (b' ', after),
            [b'%', high, low, after @ ..] => (hex(*high)? << 4 | hex(*low)?, after),
            [b'%', ..] => return None,
            [byte, after @ ..] => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, value: Option<&str>) {
        assert_eq!(query_value(query, "api_key").as_deref(), value, "{query}");
    }

    #[test]
    fn a_value_is_found_and_decoded() {
        check("api_key=1", Some("1"));
        check("a=b&api_key=1&api_key=2", Some("1"));
        check("api%5Fkey=%61+b%2b", Some("a b+"));
        check("api_key=a=b", Some("a=b"));
        check("api_key=%C3%A9", Some("é"));
        check("api_key", Some(""));
        check("&&api_key=&", Some(""));
    }

    #[test]
    fn what_is_absent_or_malformed_is_not_found() {
        for query in
            ["", "a=api_key", "api_key2=1", "API_KEY=1", "api_key=%", "api_key=%2", "api_key=%ff"]
        {
            check(query, None);
        }
        check("api_key=%zz&%=1&api_key=2", Some("2"));
        check("api_key=%+1", None);
    }

    #[test]
    fn nothing_is_allocated_when_nothing_is_escaped() {
        assert!(matches!(query_value("a=b", "a"), Some(Cow::Borrowed("b"))));
    }
}
