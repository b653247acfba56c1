//! Tokens as text in, verdicts out; the reference signatures were made with Python's `hmac`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::limits::LabelLimits;
use crate::time::Now;

mod keys;
mod picks;
mod rfc8725;

const SECRET: &str = "a secret of the tests";
const NOW_S: i64 = 1_732_000_000;
const NOW: Now = Now { mono_ms: 5, unix_ms: NOW_S.cast_unsigned() * 1000 };
const YEAR_S: i64 = 365 * 24 * 3600;

fn options() -> TokenOptions {
    TokenOptions { hmac_secret: Some(SECRET.into()), ..TokenOptions::default() }
}

/// Any header, any payload, signed by the test secret as `algorithm`.
fn signed(algorithm: Algorithm, header: &str, payload: &[u8]) -> String {
    let message = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, &key).unwrap();
    let signature = signer.try_sign(message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64URL.encode(signature))
}

fn token(claims: &str) -> String {
    signed(Algorithm::HS256, r#"{"alg":"HS256","typ":"JWT"}"#, claims.as_bytes())
}

fn verify(claims: &str) -> Result<Claims, TokenError> {
    Verifier::new(&options()).verify(&token(claims), NOW)
}

fn wrong_claim(claims: &str) -> &'static str {
    match verify(claims) {
        Err(TokenError::Claim { name, .. }) => name,
        other => panic!("{claims}: {other:?}"),
    }
}

#[test]
fn the_token_of_the_founding_page_names_user_42() {
    let page = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiIsImV4cCI6MTYyNzcxMzMzNX0.\
                s3eOhujiyBjc4u21nuHkbcWJll4Um0QqGU3PF-6Mf7Y";
    let read = read_unverified(page).unwrap();
    assert_eq!(read.algorithm, "HS256");
    assert_eq!(read.claims, r#"{"sub":"42","exp":1627713335}"#);
    // Its secret was never published.
    assert_eq!(Verifier::new(&options()).verify(page, NOW), Err(TokenError::Signature));
}

#[test]
fn a_signed_token_is_byte_for_byte_what_another_implementation_signs() {
    let claims = NewClaims {
        user: "42",
        expires_at: Some(1_732_406_400),
        issued_at: Some(1_731_801_600),
        sessions: None,
    };
    assert_eq!(
        sign(SECRET, &claims),
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
         eyJzdWIiOiI0MiIsImV4cCI6MTczMjQwNjQwMCwiaWF0IjoxNzMxODAxNjAwfQ.\
         Rzt2hGi03PVGXncFRQ9jIhHWaWunXaq9_R_Hfy70l1I"
    );
    let anonymous = NewClaims { expires_at: Some(1_732_406_400), ..NewClaims::default() };
    assert_eq!(
        sign("schlüssel", &anonymous),
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3MzI0MDY0MDB9.\
         Wc_w7CDs5OgUbFgTkPswgi839cRw1PWc5GD8OuuQG90"
    );
}

#[test]
fn all_three_hmac_lengths_are_accepted() {
    for foreign in [
        "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiJ9.\
         MXqvmTczjr5yTbOSXCROHr_X2sV2l_YYBkbo4K9fYOFVeG9vFq3exo4D5Nzo7E9k",
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiJ9.\
         nYtO5oxyG3s72c9UAXgeHlzkFI9GkDkmQ54n5vuZ5LpKuPc70PXn5NGqkiTPUnPib4b6503o-DS6XWPh6GBPEg",
        &sign(SECRET, &NewClaims { user: "42", ..NewClaims::default() }),
    ] {
        assert_eq!(Verifier::new(&options()).verify(foreign, NOW).unwrap().user, "42");
    }
}

#[test]
fn every_claim_arrives() {
    let claims = verify(
        r#"{"sub":"42","exp":1732000060,"nbf":1731999999,"iat":1731999990.7,"jti":"t-1",
            "aud":["a","b"],"iss":"i","info":{"a": 1},"meta":{ "k" : [1, 2.50] , "<": null },
            "sessions":"self","connection_limit":3,
            "labels":{"region":"eu","":"\u0061"},"channels":["x"],"subs":{"y":{"info":{}}},"caps":7,"unknown":[[]]}"#,
    )
    .unwrap();
    let expected = Claims {
        user: "42".into(),
        expire_at: Some(NOW_S + 60),
        uid: "t-1".into(),
        issued_at: Some(1_731_999_990),
        info: Some(br#"{"a": 1}"#.as_slice().into()),
        own_sessions: true,
        sessions_max: Some(3),
        meta: Some(br#"{ "k" : [1, 2.50] , "<": null }"#.as_slice().into()),
        labels: [("region", "eu"), ("", "a")].map(|(k, v)| (k.into(), v.into())).into(),
    };
    assert_eq!(claims, expected);
}

#[test]
fn an_empty_token_is_the_anonymous_user_forever() {
    let nobody = Claims {
        user: String::new(),
        expire_at: None,
        uid: String::new(),
        issued_at: None,
        info: None,
        own_sessions: false,
        sessions_max: None,
        meta: None,
        labels: BTreeMap::new(),
    };
    assert_eq!(verify("{}"), Ok(nobody.clone()));
    let nulls = r#"{"sub":null,"exp":null,"nbf":null,"iat":null,"jti":null,"aud":null,
                    "iss":null,"expire_at":null,"b64info":null,"labels":null,"channel":null}"#;
    assert_eq!(verify(nulls), Ok(nobody.clone()));
    assert_eq!(verify(r#"{"channel":"","b64info":""}"#), Ok(nobody));
}

#[test]
fn only_a_user_whose_token_says_self_may_see_its_own_sessions() {
    for (claims, expected) in [
        (r#"{"sub":"1","sessions":"self"}"#, true),
        (r#"{"sub":"1","sessions":"\u0073elf"}"#, true),
        (r#"{"sessions":"self"}"#, false),
        (r#"{"sub":"","sessions":"self"}"#, false),
        (r#"{"sub":"1"}"#, false),
        (r#"{"sub":"1","sessions":"all"}"#, false),
        (r#"{"sub":"1","sessions":"Self"}"#, false),
        (r#"{"sub":"1","sessions":["self"]}"#, false),
        (r#"{"sub":"1","sessions":true}"#, false),
        (r#"{"sub":"1","sessions":{"a":[1]}}"#, false),
        (r#"{"sub":"1","sessions":null}"#, false),
        (r#"{"sub":"1","sessions":"\ud800"}"#, false),
        (r#"{"sub":"1","sessions":"self","sessions":7}"#, false),
    ] {
        assert_eq!(verify(claims).unwrap().own_sessions, expected, "{claims}");
    }
}

#[test]
fn null_meta_and_info_are_kept_as_null() {
    let claims = verify(r#"{"meta":null,"info": null }"#).unwrap();
    assert_eq!(claims.meta.as_deref(), Some(b"null".as_slice()));
    assert_eq!(claims.info.as_deref(), Some(b"null".as_slice()));
}

#[test]
fn the_last_of_a_repeated_claim_counts() {
    let claims = verify(r#"{"sub":"1","meta":{"a":1},"sub":"2","meta":[2]}"#).unwrap();
    assert_eq!(claims.user, "2");
    assert_eq!(claims.meta.as_deref(), Some(b"[2]".as_slice()));
}

#[test]
fn names_of_claims_are_exact_and_may_be_escaped() {
    assert_eq!(verify(r#"{"SUB":"1","\u0073ub":"ü\n\"2"}"#).unwrap().user, "ü\n\"2");
}

#[test]
fn a_token_expires_at_exp_without_leeway() {
    for (exp, good) in [
        ("1732000001", true),
        ("1732000000", false),
        ("1731999999", false),
        ("1732000000.001", true),
        ("\"1732000001\"", true),
        ("\"1.732000001e9\"", true),
        ("1e300", true),
        ("-1", false),
        ("0", false),
    ] {
        let verdict = verify(&format!(r#"{{"exp":{exp}}}"#));
        match verdict {
            Ok(_) => assert!(good, "{exp}"),
            Err(error) => assert!(!good && error == TokenError::Expired, "{exp}: {error}"),
        }
    }
}

#[test]
fn a_token_is_not_valid_until_nbf_has_passed() {
    for (nbf, good) in [("1731999999", true), ("1732000000", false), ("1732000000.5", false)] {
        let verdict = verify(&format!(r#"{{"nbf":{nbf}}}"#));
        match verdict {
            Ok(_) => assert!(good, "{nbf}"),
            Err(error) => assert!(!good && error == TokenError::NotYetValid, "{nbf}: {error}"),
        }
    }
    assert!(TokenError::NotYetValid.fault() == TokenFault::Expired);
}

#[test]
fn a_malformed_date_is_an_invalid_token_and_not_a_missing_one() {
    for name in ["exp", "nbf", "iat"] {
        for date in
            ["\"\"", "\"soon\"", "\" 1\"", "\"0x1\"", "\"1_0\"", "true", "{}", "[1]", "1e999"]
        {
            assert_eq!(wrong_claim(&format!(r#"{{"{name}":{date}}}"#)), name, "{date}");
        }
    }
}

#[test]
fn claims_of_the_wrong_type_are_an_invalid_token() {
    for (claims, name) in [
        (r#"{"sub":42}"#, "sub"),
        (r#"{"sub":["42"]}"#, "sub"),
        (r#"{"sub":"\ud800"}"#, "sub"),
        (r#"{"jti":7}"#, "jti"),
        (r#"{"iss":{}}"#, "iss"),
        (r#"{"aud":7}"#, "aud"),
        (r#"{"aud":["a",7]}"#, "aud"),
        (r#"{"b64info":7}"#, "b64info"),
        (r#"{"channel":7}"#, "channel"),
        (r#"{"labels":[]}"#, "labels"),
        (r#"{"labels":"eu"}"#, "labels"),
        (r#"{"labels":{"a":1}}"#, "labels"),
        (r#"{"labels":{"a":null}}"#, "labels"),
        (r#"{"labels":{"a":{"b":"c"}}}"#, "labels"),
        (r#"{"expire_at":1.5}"#, "expire_at"),
        (r#"{"expire_at":"1732000060"}"#, "expire_at"),
        (r#"{"expire_at":9223372036854775808}"#, "expire_at"),
    ] {
        assert_eq!(wrong_claim(claims), name, "{claims}");
        assert_eq!(verify(claims).unwrap_err().fault(), TokenFault::Invalid);
    }
}

#[test]
fn labels_beyond_their_limits_make_a_token_invalid() {
    let labels = LabelLimits { count_max: 2, key_bytes_max: 3, value_bytes_max: 4 };
    let verifier = Verifier::new(&TokenOptions { labels, ..options() });
    for (claim, error) in [
        (r#"{"a":"1","b":"2"}"#, None),
        (r#"{"a":"1","a":"2","a":"3"}"#, None),
        (r#"{"ké":"vél"}"#, None),
        (r#"{"a":"1","b":"2","c":"3"}"#, Some("3 labels, expected at most 2 (labels.max_count)")),
        (r#"{"kéy":"1"}"#, Some("a key of 4 bytes, expected at most 3 (labels.max_key_size)")),
        (
            r#"{"a":"véél5"}"#,
            Some("a value of 7 bytes, expected at most 4 (labels.max_value_size)"),
        ),
    ] {
        let verdict = verifier.verify(&token(&format!(r#"{{"labels":{claim}}}"#)), NOW);
        let expected = error.map(|error| format!("claim \"labels\": {error}"));
        if let Err(error) = &verdict {
            assert_eq!(error.fault(), TokenFault::Invalid, "{claim}");
        }
        assert_eq!(verdict.err().map(|error| error.to_string()), expected, "{claim}");
    }
}

#[test]
fn expire_at_overrides_exp_and_nothing_outlives_a_year() {
    for (claims, expire_at) in [
        (r#"{"exp":1732000060}"#, Some(NOW_S + 60)),
        (r#"{"exp":1732000060.9}"#, Some(NOW_S + 60)),
        (r#"{"exp":1732000060,"expire_at":1732000030}"#, Some(NOW_S + 30)),
        (r#"{"exp":1732000060,"expire_at":0}"#, None),
        (r#"{"exp":1732000060,"expire_at":-5}"#, None),
        // In the past: accepted here; whoever connects with it is told that it expired.
        (r#"{"expire_at":1731999999}"#, Some(NOW_S - 1)),
        (r#"{"exp":9000000000}"#, Some(NOW_S + YEAR_S)),
        (r#"{"exp":1e300}"#, Some(NOW_S + YEAR_S)),
        (r#"{"expire_at":9223372036854775807}"#, Some(NOW_S + YEAR_S)),
    ] {
        assert_eq!(verify(claims).unwrap().expire_at, expire_at, "{claims}");
    }
    assert_eq!(verify(r#"{"exp":1731999999,"expire_at":0}"#), Err(TokenError::Expired));
}

#[test]
fn binary_info_wins_and_is_our_own_fault_when_it_cannot_be_read() {
    let claims = verify(r#"{"info":{"a":1},"b64info":"AP8="}"#).unwrap();
    assert_eq!(claims.info.as_deref(), Some([0x00, 0xff].as_slice()));
    let error = verify(r#"{"b64info":"AP8"}"#).unwrap_err();
    assert_eq!(error.fault(), TokenFault::Internal);
    // What is wrong with the token itself comes first.
    assert_eq!(verify(r#"{"b64info":"!","exp":1}"#), Err(TokenError::Expired));
}

#[test]
fn audience_and_issuer_are_checked_when_configured() {
    let verifier = Verifier::new(&TokenOptions {
        audience: Expected::Exactly("app".into()),
        issuer: Expected::Exactly("us".into()),
        ..options()
    });
    for (claims, verdict) in [
        (r#"{"aud":"app","iss":"us"}"#, None),
        (r#"{"aud":["web","app"],"iss":"us"}"#, None),
        (r#"{"aud":[],"iss":"us"}"#, Some(TokenError::Audience)),
        (r#"{"aud":"App","iss":"us"}"#, Some(TokenError::Audience)),
        (r#"{"iss":"us","exp":1}"#, Some(TokenError::Audience)),
        (r#"{"aud":"app"}"#, Some(TokenError::Issuer)),
        (r#"{"aud":"app","iss":"us "}"#, Some(TokenError::Issuer)),
        (r#"{"aud":"app","iss":"us","exp":1}"#, Some(TokenError::Expired)),
    ] {
        assert_eq!(verifier.verify(&token(claims), NOW).err(), verdict, "{claims}");
    }
}

#[test]
fn a_subscription_token_does_not_connect() {
    assert_eq!(verify(r#"{"sub":"42","channel":"news","exp":1}"#), Err(TokenError::Channel));
}

#[test]
fn no_algorithm_is_accepted_but_those_of_the_key() {
    let verifier = Verifier::new(&options());
    for alg in ["none", "None", "NONE", "", "hs256", "RS256", "ES256", "EdDSA", "PS512", "HS1"] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        let forged = signed(Algorithm::HS256, &header, b"{}");
        let unsigned = format!("{}.{}.", BASE64URL.encode(&header), BASE64URL.encode("{}"));
        for token in [forged, unsigned] {
            let refused = TokenError::Algorithm { algorithm: alg.into() };
            assert_eq!(verifier.verify(&token, NOW), Err(refused));
        }
    }
    // Right family, wrong length of it.
    let crossed = signed(Algorithm::HS256, r#"{"alg":"HS512"}"#, b"{}");
    assert_eq!(verifier.verify(&crossed, NOW), Err(TokenError::Signature));
}

#[test]
fn a_header_must_be_an_object_with_one_algorithm_and_no_demands() {
    let verifier = Verifier::new(&options());
    for (header, refused) in [
        ("{}", TokenError::Header),
        ("[]", TokenError::Header),
        (r#"["HS256"]"#, TokenError::Header),
        ("\u{feff}{}", TokenError::Header),
        (r#"{"alg":256}"#, TokenError::Header),
        (r#"{"alg":"none","alg":"HS256"}"#, TokenError::Header),
        (r#"{"alg":"HS256"} x"#, TokenError::Header),
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, TokenError::Critical),
    ] {
        let token = signed(Algorithm::HS256, header, b"{}");
        assert_eq!(verifier.verify(&token, NOW), Err(refused), "{header}");
    }
    let generous = signed(Algorithm::HS256, r#"{"typ":7,"alg":"HS256","kid":"k"}"#, b"{}");
    assert!(verifier.verify(&generous, NOW).is_ok());
}

#[test]
fn what_is_not_a_token_is_refused_for_its_shape() {
    let verifier = Verifier::new(&options());
    let good = token("{}");
    for text in ["", ".", "a", "a.b", "a.b.c.d", &format!("{good}."), &format!(".{good}")] {
        assert_eq!(verifier.verify(text, NOW), Err(TokenError::Shape), "{text}");
    }
    assert_eq!(verifier.verify("..", NOW), Err(TokenError::Header));
    for text in ["é.e30.x", "e30=.e30.x", "e30 .e30.x", "e31.e30.x"] {
        let refused = TokenError::Base64 { part: "header" };
        assert_eq!(verifier.verify(text, NOW), Err(refused), "{text}");
    }
    // One signature, one spelling: the same bits with a stray one are refused.
    let (rest, last) = good.split_at(good.len() - 1);
    let strayed = format!("{rest}{}", char::from(last.as_bytes()[0] + 1));
    assert_eq!(verifier.verify(&strayed, NOW), Err(TokenError::Base64 { part: "signature" }));
}

#[test]
fn claims_that_are_not_one_object_are_an_invalid_token() {
    let not_claims: [&[u8]; 9] = [
        b"",
        b"null",
        b"[]",
        b"\"x\"",
        b"{",
        b"{}{}",
        b"{\"sub\":}",
        b"{\"a\":01}",
        b"{\"sub\":\"\xff\"}",
    ];
    for payload in not_claims {
        let token = signed(Algorithm::HS256, r#"{"alg":"HS256"}"#, payload);
        let refused = Verifier::new(&options()).verify(&token, NOW);
        assert_eq!(refused, Err(TokenError::ClaimsSyntax), "{}", payload.escape_ascii());
    }
}

#[test]
fn nesting_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let claims = verify(&format!(r#"{{"sub":"42","meta":{deep},"other":{deep}}}"#)).unwrap();
    assert_eq!(claims.meta.as_deref(), Some(deep.as_bytes()));
    assert_eq!(wrong_claim(&format!(r#"{{"aud":{deep}}}"#)), "aud");
    assert_eq!(verify(&"[".repeat(500_000)), Err(TokenError::ClaimsSyntax));
}

#[test]
fn without_a_secret_every_token_is_invalid() {
    for hmac_secret in [None, Some(String::new())] {
        let verifier = Verifier::new(&TokenOptions { hmac_secret, ..options() });
        let error = verifier.verify(&token("{}"), NOW).unwrap_err();
        assert_eq!(error, TokenError::NoKey);
        assert_eq!(error.fault(), TokenFault::Invalid);
    }
}

#[test]
fn a_refused_token_leaves_nothing_behind_for_the_next_one() {
    let verifier = Verifier::new(&options());
    let good = token(r#"{"sub":"42"}"#);
    for bad in ["", "a.b.c", &token(r#"{"sub":7}"#), &token(r#"{"sub":"a much longer user"}"#)] {
        drop(verifier.verify(bad, NOW));
        assert_eq!(verifier.verify(&good, NOW).unwrap().user, "42");
    }
}

#[test]
fn secrets_are_not_debugged() {
    let shown = format!("{:?} {:?}", options(), Verifier::new(&options()));
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(shown.contains("Hs512"), "{shown}");
}

proptest! {
    /// Whatever a person writes into a token comes out of it.
    #[test]
    fn a_signed_token_verifies_to_what_was_signed(user in ".*", ttl in 1..YEAR_S) {
        let claims =
            NewClaims { user: &user, expires_at: Some(NOW_S + ttl), issued_at: Some(NOW_S), sessions: None };
        let read = Verifier::new(&options()).verify(&sign(SECRET, &claims), NOW).unwrap();
        prop_assert_eq!(read.user, user);
        prop_assert_eq!(read.expire_at, Some(NOW_S + ttl));
        prop_assert_eq!(read.issued_at, Some(NOW_S));
    }

    /// No change of any byte survives, and no error text gives the token away.
    #[test]
    fn a_tampered_token_is_never_accepted(at in any::<prop::sample::Index>(), byte in 0x20..0x7f_u8) {
        let good = token(r#"{"sub":"a-rather-long-user-id","exp":1732000060}"#);
        let mut tampered = good.clone().into_bytes();
        let at = at.index(tampered.len());
        prop_assume!(tampered[at] != byte);
        tampered[at] = byte;
        let tampered = String::from_utf8(tampered).unwrap();
        let error = Verifier::new(&options()).verify(&tampered, NOW).unwrap_err();
        prop_assert_eq!(error.fault(), TokenFault::Invalid);
        for part in good.split('.').chain(["a-rather-long-user-id", SECRET]) {
            prop_assert!(!error.to_string().contains(part));
        }
    }

    /// Any bytes as claims: no panic, and `meta` only ever as it was written.
    #[test]
    fn any_payload_is_a_verdict(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let token = signed(Algorithm::HS256, r#"{"alg":"HS256"}"#, &payload);
        drop(Verifier::new(&options()).verify(&token, NOW));
    }

    #[test]
    fn meta_is_kept_byte_for_byte(meta in json_text()) {
        let claims = verify(&format!(r#"{{"meta": {meta} ,"sub":"42"}}"#)).unwrap();
        prop_assert_eq!(claims.meta.as_deref(), Some(meta.as_bytes()));
    }
}

/// JSON texts with nesting and odd strings, spaced in two ways.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            (".*", inner).prop_map(|(name, value)| json!({ name: value })),
        ]
    });
    (tree, any::<bool>()).prop_map(|(value, pretty)| {
        if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() }
    })
}
