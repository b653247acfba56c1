//! The request target (RFC 9112 §3.2): which path, which query.

/// Path and query of a target, undecoded. `None` when it is malformed.
///
/// Accepted: origin-form (`/api?x`), absolute-form (`http://host/api?x`, what proxies are sent;
/// scheme and host are set aside, we serve one site) and `*` for OPTIONS.
pub(super) fn split<'b>(method: &str, target: &'b str) -> Option<(&'b str, Option<&'b str>)> {
    let is_target = |byte: u8| matches!(byte, 0x21..=0x7e) && byte != b'#';
    if !target.bytes().all(is_target) {
        return None;
    }
    if target.starts_with('/') {
        return Some(split_query(target));
    }
    if target == "*" && method == "OPTIONS" {
        return Some((target, None));
    }
    let rest = strip_scheme(target)?;
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    // An http URL without a host is invalid (RFC 9110 §4.2.1).
    let rest = rest.get(authority..).filter(|_| authority > 0)?;
    let (path, query) = split_query(rest);
    Some((if path.is_empty() { "/" } else { path }, query))
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

fn strip_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}
