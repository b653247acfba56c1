//! What becomes of claims by configuration: the user, members of `meta`, labels, whom a token is
//! from and for.

use regex::Regex;

use super::*;

fn picks(picks: &[(&str, &str)]) -> Vec<Pick> {
    let pick = |(key, from): &(&str, &str)| Pick {
        key: (*key).to_owned(),
        from: ClaimPath::new(from).unwrap(),
    };
    picks.iter().map(pick).collect()
}

#[test]
fn meta_and_labels_are_taken_from_anywhere_in_the_claims() {
    let verifier = Verifier::new(&TokenOptions {
        meta_picks: picks(&[
            ("roles", "realm_access.roles"),
            ("plan", "plan"),
            ("gone", "no.where"),
        ]),
        label_picks: picks(&[
            ("region", "geo.region"),
            ("first", "realm_access.roles.0"),
            ("age", "age"),
            ("vip", "https://example\\.com/vip"),
            ("none", "nothing"),
            ("beyond", "realm_access.roles.7"),
        ]),
        ..options()
    });
    let claims = r#"{"sub":"42","plan":{"name":"pro","seats":1.50},"age":30,"nothing":null,
        "geo":{"region":"e\u0075"},"realm_access":{"roles":["admin","user"]},
        "https://example.com/vip":true,"meta":{"own":1,"plan":"free"},"labels":{"region":"us","own":"x"}}"#;
    let claims = verifier.verify(&token(claims), NOW).unwrap();
    assert_eq!(
        str::from_utf8(&claims.meta.unwrap()).unwrap(),
        r#"{"own":1,"plan":{"name":"pro","seats":1.50},"roles":["admin","user"]}"#
    );
    let labels =
        [("age", "30"), ("first", "admin"), ("own", "x"), ("region", "eu"), ("vip", "true")];
    assert_eq!(claims.labels, labels.map(|(k, v)| (k.into(), v.into())).into());
}

#[test]
fn meta_that_is_no_object_can_take_no_member() {
    let options = TokenOptions { meta_picks: picks(&[("plan", "plan")]), ..options() };
    let verify = |claims: &str| Verifier::new(&options).verify(&token(claims), NOW);
    let meta = |claims: &str| verify(claims).unwrap().meta.map(|meta| meta.to_vec());
    assert_eq!(meta(r#"{"plan":1}"#).as_deref(), Some(br#"{"plan":1}"#.as_slice()));
    assert_eq!(meta(r#"{"plan":1,"meta":null}"#).as_deref(), Some(br#"{"plan":1}"#.as_slice()));
    assert_eq!(meta(r#"{"meta":[1]}"#).as_deref(), Some(b"[1]".as_slice()));
    assert!(matches!(
        verify(r#"{"plan":1,"meta":[1]}"#),
        Err(TokenError::Claim { name: "meta", .. })
    ));
}

#[test]
fn labels_that_are_taken_count_among_the_others() {
    let labels = LabelLimits { count_max: 1, ..LabelLimits::default() };
    let label_picks = picks(&[("region", "region")]);
    let options = TokenOptions { labels, label_picks, ..options() };
    let claims = r#"{"region":"eu","labels":{"a":"b"}}"#;
    let refused = Verifier::new(&options).verify(&token(claims), NOW);
    assert!(matches!(refused, Err(TokenError::Labels(_))), "{refused:?}");
}

#[test]
fn paths_that_would_mean_more_elsewhere_are_refused() {
    for (path, char) in [("a.#", '#'), ("a.*", '*'), ("a?", '?'), ("@this", '@'), ("a|b", '|')] {
        assert_eq!(ClaimPath::new(path), Err(PathFault::Unsupported(path.to_owned(), char)));
    }
    for path in ["", ".", "a.", ".a", "a..b"] {
        assert_eq!(ClaimPath::new(path), Err(PathFault::Empty(path.to_owned())));
    }
}

#[test]
fn another_claim_names_the_user() {
    let options = TokenOptions { user_claim: Some("email".to_owned()), ..options() };
    let verify = |claims: &str| Verifier::new(&options).verify(&token(claims), NOW);
    let user = |claims: &str| verify(claims).unwrap().user;
    assert_eq!(user(r#"{"sub":"42","email":"a@b"}"#), "a@b");
    assert_eq!(user(r#"{"sub":"42"}"#), "");
    assert_eq!(verify(r#"{"sub":"42","email":7}"#), Err(TokenError::User("email".to_owned())));
}

#[test]
fn a_pattern_decides_whom_a_token_is_from_and_for() {
    let matching = |pattern: &str| Expected::Matching(Regex::new(pattern).unwrap());
    let verifier = Verifier::new(&TokenOptions {
        audience: matching("^app-(one|two)$"),
        issuer: matching("idp"),
        ..options()
    });
    let verify = |claims: &str| verifier.verify(&token(claims), NOW).map(|claims| claims.user);
    let good = Ok(String::new());
    assert_eq!(verify(r#"{"aud":"app-one","iss":"https://idp/x"}"#), good);
    assert_eq!(verify(r#"{"aud":["x","app-two"],"iss":"idp"}"#), good);
    for audience in [r#""app-three""#, r#"["app-one2"]"#, "[]", "null"] {
        let refused = verify(&format!(r#"{{"aud":{audience},"iss":"idp"}}"#));
        assert_eq!(refused, Err(TokenError::Audience), "{audience}");
    }
    assert_eq!(verify(r#"{"aud":"app-one","iss":"other"}"#), Err(TokenError::Issuer));
    assert_eq!(verify(r#"{"aud":"app-one"}"#), Err(TokenError::Issuer));
}

#[test]
fn a_secret_on_its_way_out_counts_until_its_end() {
    let with_previous = |until_s| {
        let hmac_previous = Some(PreviousSecret { secret: "old".to_owned(), until_s });
        Verifier::new(&TokenOptions { hmac_previous, ..options() })
    };
    let claims = NewClaims { user: "42", ..NewClaims::default() };
    let old = sign("old", &claims);
    for (until_s, counts) in [(None, true), (Some(NOW_S + 1), true), (Some(NOW_S), false)] {
        let verifier = with_previous(until_s);
        assert_eq!(verifier.verify(&old, NOW).is_ok(), counts, "{until_s:?}");
        assert!(verifier.verify(&sign(SECRET, &claims), NOW).is_ok());
        assert_eq!(verifier.verify(&sign("other", &claims), NOW), Err(TokenError::Signature));
    }
}

#[test]
fn signatures_are_ignored_only_when_that_is_asked_for() {
    let signatures = Signatures::Ignored;
    let believing = Verifier::new(&TokenOptions { signatures, ..TokenOptions::default() });
    let forged = sign("whatever", &NewClaims { user: "42", ..NewClaims::default() });
    assert_eq!(believing.verify(&forged, NOW).unwrap().user, "42");
    let expired = NewClaims { expires_at: Some(NOW_S), ..NewClaims::default() };
    assert_eq!(believing.verify(&sign("x", &expired), NOW), Err(TokenError::Expired));
}
