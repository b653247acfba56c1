//! The password in the body of a login: a form as browsers and scripts send it, or JSON.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

use crate::wire::http1::query_value;

/// Largest body of a login in bytes; a larger one is refused with 413.
pub const LOGIN_BYTES_MAX: usize = 64 * 1024;

#[derive(Deserialize)]
struct Login {
    password: String,
}

/// What stands under `password`. Without a content type that says otherwise it is a form, as curl
/// sends one.
pub(super) fn password<'b>(content_type: Option<&str>, body: &'b [u8]) -> Option<Cow<'b, str>> {
    let content_type = content_type.unwrap_or_default();
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let kind = kind.trim();
    if kind.eq_ignore_ascii_case("application/json") {
        let login: Login = serde_json::from_slice(body).ok()?;
        Some(Cow::Owned(login.password))
    } else if kind.eq_ignore_ascii_case("multipart/form-data") {
        let value = in_parts(boundary(parameters)?, body)?;
        str::from_utf8(value).ok().map(Cow::Borrowed)
    } else {
        query_value(str::from_utf8(body).ok()?, "password")
    }
}

/// The value of `boundary` (RFC 2046 §5.1.1).
fn boundary(parameters: &str) -> Option<&str> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_boundary = name.trim().eq_ignore_ascii_case("boundary");
        is_boundary.then(|| value.trim().trim_matches('"')).filter(|value| !value.is_empty())
    })
}

/// The value of the part named `password` (RFC 7578 §4.2).
fn in_parts<'b>(boundary: &str, body: &'b [u8]) -> Option<&'b [u8]> {
    let delimiter = format!("\r\n--{boundary}");
    // The first has no line before it.
    let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..])?;
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = memmem::find(part, delimiter.as_bytes())?;
        let head_end = memmem::find(&part[..end], b"\r\n\r\n")?;
        let head = str::from_utf8(&part[..head_end]).ok()?;
        if head.lines().any(names_password) {
            return Some(&part[head_end + 4..end]);
        }
        rest = &part[end + delimiter.len()..];
    }
    None
}

/// Whether a line is `Content-Disposition: form-data; name="password"`.
fn names_password(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else { return false };
    name.eq_ignore_ascii_case("content-disposition")
        && value
            .split(';')
            .any(|parameter| matches!(parameter.trim(), "name=\"password\"" | "name=password"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=\"x y\"";

    #[track_caller]
    fn check(content_type: Option<&str>, body: &str, expected: Option<&str>) {
        let found = password(content_type, body.as_bytes());
        assert_eq!(found.as_deref(), expected, "{content_type:?} {body:?}");
    }

    #[test]
    fn a_password_is_found_in_each_kind_of_body() {
        for content_type in [None, Some(FORM), Some("text/plain")] {
            check(content_type, "password=a+b%2B&x=1", Some("a b+"));
            check(content_type, "x=1&password=", Some(""));
        }
        check(Some("application/json"), r#"{"x":1,"password":"a\"b"}"#, Some("a\"b"));
        check(Some("Application/JSON; charset=utf-8"), r#"{"password":"é"}"#, Some("é"));
        let parts = "--x y\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--x y\r\n\
                     content-disposition: form-data; name=\"password\"\r\nX: y\r\n\r\na\r\n\r\nb\
                     \r\n--x y--\r\n";
        check(Some(PARTS), parts, Some("a\r\n\r\nb"));
    }

    #[test]
    fn what_holds_none_is_refused() {
        check(None, "", None);
        check(Some(FORM), "passwort=1", None);
        for body in ["", "{}", r#"{"password":1}"#, r#"{"password":"a""#, "password=a"] {
            check(Some("application/json"), body, None);
        }
        let part = "--x y\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\na";
        for body in
            ["", "--x y--", "--x y\r\n", part, "--z\r\n\r\n", "--x y\r\nA: b\r\n\r\n1\r\n--x y--"]
        {
            check(Some(PARTS), body, None);
        }
        check(Some("multipart/form-data"), &format!("{part}\r\n--x y--"), None);
        check(Some("multipart/form-data; boundary="), &format!("{part}\r\n--"), None);
    }
}
