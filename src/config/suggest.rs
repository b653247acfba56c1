//! "Did you mean": the known name somebody probably wanted to write.

/// The nearest of the candidates, if it is near enough to be worth a sentence.
pub(super) fn nearest<'c>(written: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['.', '-'], "_");
    let wanted = plain(written);
    // A third of the letters may differ, and never all of a short name.
    let distance_max = (wanted.chars().count() / 3).min(4);
    let by_letters = candidates
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &plain(name)), *name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name);
    // The last part alone: a key put into the wrong section or into none.
    by_letters.or_else(|| {
        let ends_so = |name: &&str| name.rsplit_once('.').is_some_and(|(_, key)| key == wanted);
        let mut found = candidates.iter().copied().filter(ends_so);
        let only = found.next()?;
        found.next().is_none().then_some(only)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: Option<&str>) {
        let names =
            ["client.token.hmac_secret_key", "client.ping_interval", "http_api.key", "api_key"];
        assert_eq!(nearest(written, &names), expected, "{written}");
    }

    #[test]
    fn a_slip_of_the_finger_is_understood_and_nonsense_is_not() {
        check("client.token.hmac_secret_kye", Some("client.token.hmac_secret_key"));
        check("client_ping_interval", Some("client.ping_interval"));
        check("api_kee", Some("api_key"));
        check("hmac_secret_key", Some("client.token.hmac_secret_key"));
        check("ping_interval", Some("client.ping_interval"));
        check("frobnicate", None);
        check("x", None);
    }
}
