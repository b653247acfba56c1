//! JSON Web Token Best Current Practices (RFC 8725), one recommendation after the other: what it
//! forbids is tried here, in the order of its sections.

use super::keys::{Pair, by, published};
use super::*;
use aws_lc_rs::rsa::KeySize;

const CLAIMS: &str = r#"{"sub":"42"}"#;

/// A secret and a key of each family at once: as much to confuse as there can be.
fn everything() -> (Verifier, Pair, Pair, Pair) {
    let (rsa, elliptic, edwards) =
        (Pair::rsa(KeySize::Rsa2048), Pair::elliptic("ES256"), Pair::edwards());
    let keys = [
        rsa_public_key(&rsa.pem()).unwrap(),
        ecdsa_public_key(&elliptic.pem()).unwrap(),
        eddsa_public_key(&edwards.pem()).unwrap(),
    ];
    let verifier = Verifier::new(&TokenOptions { public_keys: keys.concat(), ..options() });
    (verifier, rsa, elliptic, edwards)
}

fn unsigned(header: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", BASE64URL.encode(header), BASE64URL.encode(CLAIMS))
}

fn refuses(verifier: &Verifier, token: &str, expected: &TokenError) {
    assert_eq!(verifier.verify(token, NOW).as_ref(), Err(expected), "{token}");
}

fn unknown(algorithm: &str) -> TokenError {
    TokenError::Algorithm { algorithm: algorithm.to_owned() }
}

#[test]
fn s3_1_alg_none_is_no_algorithm_however_it_is_spelled_and_whatever_stands_behind_it() {
    let (verifier, ..) = everything();
    for alg in ["none", "None", "nOnE", "NONE", "", " none"] {
        let header = json!({"alg": alg}).to_string();
        for signature in ["", "AA", &BASE64URL.encode([0; 32])] {
            refuses(&verifier, &unsigned(&header, signature), &unknown(alg));
        }
    }
    refuses(&verifier, &unsigned("{}", ""), &TokenError::Header);
    refuses(&verifier, &unsigned(r#"{"alg":null}"#, ""), &TokenError::Header);
    refuses(&verifier, &unsigned(r#"{"alg":["HS256"]}"#, ""), &TokenError::Header);
}

#[test]
fn s3_1_a_public_key_is_never_a_secret_though_a_secret_is_configured_beside_it() {
    let (verifier, rsa, elliptic, edwards) = everything();
    for pair in [&rsa, &elliptic, &edwards] {
        let pem = pair.pem();
        let texts = [
            pem.trim_end().to_owned(),
            pem.replace('\n', "\r\n"),
            pair.jwk(&json!({})).to_string(),
            pem,
        ];
        for secret in texts {
            let confused = sign(&secret, &NewClaims { user: "42", ..NewClaims::default() });
            refuses(&verifier, &confused, &TokenError::Signature);
        }
    }
}

#[test]
fn s3_1_a_key_is_used_with_its_own_algorithms_and_no_token_chooses_another() {
    let (verifier, rsa, elliptic, edwards) = everything();
    for (pair, own) in [(&rsa, "RS256"), (&elliptic, "ES256"), (&edwards, "EdDSA")] {
        let good = pair.token(&json!({"alg": own}), &json!({"sub": "42"}));
        assert_eq!(verifier.verify(&good, NOW).unwrap().user, "42", "{own}");
        let signature = good.rsplit('.').next().unwrap();
        for other in ["HS256", "RS256", "PS256", "ES256", "EdDSA"] {
            if other != own {
                let crossed = unsigned(&json!({"alg": other}).to_string(), signature);
                refuses(&verifier, &crossed, &TokenError::Signature);
            }
        }
    }
}

#[test]
fn s3_1_what_is_not_configured_is_refused_before_anything_is_computed() {
    let verifier = by(eddsa_public_key(&Pair::edwards().pem()).unwrap());
    for alg in ["HS256", "HS384", "HS512", "RS256", "PS384", "ES512", "ES256K", "RS1", "Ed25519"] {
        let token = unsigned(&json!({"alg": alg}).to_string(), "AAAA");
        refuses(&verifier, &token, &unknown(alg));
    }
}

#[test]
fn s3_2_the_order_of_a_curve_and_zero_are_no_parts_of_a_signature() {
    let elliptic = Pair::elliptic("ES256");
    let verifier = by(ecdsa_public_key(&elliptic.pem()).unwrap());
    // n of P-256 (SEC 2 §2.4.2).
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let zero = [0; 32];
    let one = std::array::from_fn(|at| u8::from(at == 31));
    for (r, s) in
        [(zero, zero), (zero, one), (one, zero), (order, one), (one, order), (order, order)]
    {
        let signature = BASE64URL.encode([r, s].concat());
        refuses(&verifier, &unsigned(r#"{"alg":"ES256"}"#, &signature), &TokenError::Signature);
    }
}

#[test]
fn s3_2_a_signature_that_is_cut_or_longer_is_none() {
    let (verifier, rsa, elliptic, edwards) = everything();
    let mut tokens = vec![token(CLAIMS)];
    for (pair, alg) in [(&rsa, "RS256"), (&rsa, "PS256"), (&elliptic, "ES256"), (&edwards, "EdDSA")]
    {
        tokens.push(pair.token(&json!({"alg": alg}), &json!({"sub": "42"})));
    }
    for token in tokens {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64URL.decode(signature).unwrap();
        assert!(verifier.verify(&token, NOW).is_ok());
        let len = signature.len();
        let cuts = [0, 1, len / 2, len - 1].map(|bytes| signature[..bytes].to_vec());
        for bytes in cuts.into_iter().chain([[&signature[..], &[0]].concat()]) {
            let cut = format!("{message}.{}", BASE64URL.encode(bytes));
            refuses(&verifier, &cut, &TokenError::Signature);
        }
    }
}

#[test]
fn s3_3_what_is_nested_or_encrypted_is_refused_whole() {
    let (verifier, ..) = everything();
    let good = token(CLAIMS);
    // A JWE has five parts (RFC 7516 §3.1).
    let header = BASE64URL.encode(r#"{"alg":"RSA-OAEP","enc":"A128GCM"}"#);
    refuses(&verifier, &format!("{header}.AA.AA.AA.AA"), &TokenError::Shape);
    refuses(&verifier, &format!("{good}.AA.AA"), &TokenError::Shape);
    for alg in ["RSA-OAEP", "RSA1_5", "dir", "A128KW", "ECDH-ES", "PBES2-HS256+A128KW"] {
        let token = unsigned(&json!({"alg": alg, "enc": "A128GCM"}).to_string(), "AA");
        let named: String = alg.chars().take(16).collect();
        refuses(&verifier, &token, &unknown(&named));
    }
    // A token in a token is no object of claims, however well the outer one is signed.
    let nested = signed(Algorithm::HS256, r#"{"alg":"HS256","cty":"JWT"}"#, good.as_bytes());
    refuses(&verifier, &nested, &TokenError::ClaimsSyntax);
    let quoted = signed(Algorithm::HS256, r#"{"alg":"HS256"}"#, json!(good).to_string().as_bytes());
    refuses(&verifier, &quoted, &TokenError::ClaimsSyntax);
}

#[test]
fn s3_3_there_is_one_form_of_a_token_and_one_spelling_of_it() {
    let (verifier, ..) = everything();
    let good = token(CLAIMS);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    // The JSON serializations (RFC 7515 §7.2) are not read.
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    let general =
        json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    for json in [flattened.to_string(), general.to_string()] {
        assert!(verifier.verify(&json, NOW).is_err(), "{json}");
    }
    for changed in [
        format!("{header}=.{payload}.{signature}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}="),
    ] {
        assert!(verifier.verify(&changed, NOW).is_err(), "{changed:?}");
    }
}

#[test]
fn s3_4_a_point_that_is_not_on_its_curve_is_no_key() {
    let pair = Pair::elliptic("ES256");
    let good = pair.jwk(&json!({"kid": "good"}));
    let mut keys = vec![good];
    for (x, y) in [
        ("AA", "AA"),
        (&*BASE64URL.encode([1; 32]), &*BASE64URL.encode([1; 32])),
        (&*BASE64URL.encode([0; 32]), &*BASE64URL.encode([0; 32])),
    ] {
        keys.push(pair.jwk(&json!({"kid": "bad", "x": x, "y": y})));
    }
    let set = KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap();
    assert_eq!((set.named("good").count(), set.named("bad").count()), (1, 0));
}

#[test]
fn s3_5_a_key_that_is_empty_or_short_is_no_key() {
    for hmac_secret in [None, Some(String::new())] {
        let verifier = Verifier::new(&TokenOptions { hmac_secret, ..TokenOptions::default() });
        refuses(&verifier, &token(CLAIMS), &TokenError::NoKey);
    }
    // An empty secret beside a key verifies nothing either.
    let edwards = eddsa_public_key(&Pair::edwards().pem()).unwrap();
    let options = TokenOptions {
        hmac_secret: Some(String::new()),
        public_keys: edwards,
        ..TokenOptions::default()
    };
    refuses(&Verifier::new(&options), &token(CLAIMS), &unknown("HS256"));
    // RFC 7518 §3.3. One of 1,024 bits, made by openssl; nobody has its private half.
    let short = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCWooX35a0dSw0u8jBeqn8gQN09\n+VQ5P8LiqJiWkq69TcYN5LriYfVAuqUhogZeoVt1AODga0LavXH3Hj6U5/gROp2z\nP1InTGQG1gBxUAkQEFwLXW+Nd+l8T+ov6moDGfF76ctU25pHpr7B+Pbbmricux7A\n0VvG+jEtuNy0oLliQQIDAQAB\n-----END PUBLIC KEY-----";
    assert_eq!(rsa_public_key(short).err(), Some(KeyFault::RsaBits(1_024)));
}

#[test]
fn s3_6_nothing_is_inflated() {
    let (verifier, ..) = everything();
    // `zip` is a parameter of JWE alone: here the payload is what it is, and that is no JSON.
    let compressed =
        [0xab, 0x56, 0x2a, 0x2e, 0x4d, 0x52, 0xb2, 0x52, 0x32, 0x31, 0x52, 0xaa, 0x05, 0x00];
    let token = signed(Algorithm::HS256, r#"{"alg":"HS256","zip":"DEF"}"#, &compressed);
    refuses(&verifier, &token, &TokenError::ClaimsSyntax);
}

#[test]
fn s3_7_what_is_not_utf_8_is_not_read() {
    let (verifier, ..) = everything();
    let latin = signed(Algorithm::HS256, r#"{"alg":"HS256"}"#, b"{\"sub\":\"M\xfcller\"}");
    refuses(&verifier, &latin, &TokenError::ClaimsSyntax);
    let utf16: Vec<u8> = CLAIMS.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let wide = signed(Algorithm::HS256, r#"{"alg":"HS256"}"#, &utf16);
    refuses(&verifier, &wide, &TokenError::ClaimsSyntax);
    let header = BASE64URL.encode(b"{\"alg\":\"HS256\",\"kid\":\"\xff\"}");
    refuses(&verifier, &format!("{header}.e30.AA"), &TokenError::Header);
}

#[test]
fn s3_8_issuer_and_subject_are_what_they_must_be() {
    let issuer = Expected::Exactly("https://idp.example".into());
    let verifier = Verifier::new(&TokenOptions { issuer, ..options() });
    let verify = |claims: Value| verifier.verify(&token(&claims.to_string()), NOW);
    let good = json!({"iss": "https://idp.example", "sub": "42"});
    assert_eq!(verify(good).unwrap().user, "42");
    for issuer in
        [json!("https://idp.example/"), json!("https://evil.example"), json!(""), Value::Null]
    {
        assert_eq!(
            verify(json!({"iss": issuer, "sub": "42"})),
            Err(TokenError::Issuer),
            "{issuer}"
        );
    }
    for claims in
        [json!({"iss": ["https://idp.example"]}), json!({"sub": 42}), json!({"sub": {"id": "42"}})]
    {
        assert!(matches!(verify(claims.clone()), Err(TokenError::Claim { .. })), "{claims}");
    }
}

#[test]
fn s3_9_a_token_for_somebody_else_is_refused() {
    let audience = Expected::Exactly("rollcall".into());
    let verifier = Verifier::new(&TokenOptions { audience, ..options() });
    let verify = |claims: Value| verifier.verify(&token(&claims.to_string()), NOW).err();
    for audience in [json!("rollcall"), json!(["other", "rollcall"])] {
        assert_eq!(verify(json!({"aud": audience})), None, "{audience}");
    }
    for audience in [json!("other"), json!(["other"]), json!([]), json!("rollcall2"), Value::Null] {
        assert_eq!(verify(json!({"aud": audience})), Some(TokenError::Audience), "{audience}");
    }
}

#[test]
fn s3_10_a_key_id_is_a_name_and_nothing_is_opened_asked_or_run_for_it() {
    let pair = Pair::edwards();
    let verifier = published(&[pair.jwk(&json!({"kid": "k"}))]);
    let injected = [
        "../../etc/passwd",
        "/dev/null",
        "' OR 1=1 --",
        "https://evil.example/key",
        "k\u{0}",
        "K",
        "k ",
        "*",
    ];
    for kid in injected {
        let header = json!({"alg": "EdDSA", "kid": kid});
        let refused = verifier.verify(&pair.token(&header, &json!({"sub": "42"})), NOW);
        // It is asked for where keys always are, and by that name.
        let needed = KeyNeeded { address: "https://idp.example/keys".into(), id: kid.into() };
        assert_eq!(refused, Err(TokenError::KeyNeeded(Box::new(needed))), "{kid}");
    }
    for kid in [json!(7), json!(["k"]), json!({"k": 1})] {
        let token = pair.token(&json!({"alg": "EdDSA", "kid": kid}), &json!({}));
        refuses(&verifier, &token, &TokenError::Header);
    }
}

#[test]
fn s3_10_a_token_brings_neither_a_key_nor_the_address_of_one() {
    let (known, own) = (Pair::elliptic("ES256"), Pair::elliptic("ES256"));
    let configured = by(ecdsa_public_key(&known.pem()).unwrap());
    let fetched = published(&[known.jwk(&json!({"kid": "k"}))]);
    for brought in [
        json!({"jwk": own.jwk(&json!({"kid": "k"}))}),
        json!({"jku": "https://evil.example/keys"}),
        json!({"x5u": "https://evil.example/certificate"}),
        json!({"x5c": [own.pem()]}),
        json!({"x5t": "AA", "x5t#S256": "AA"}),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "k"});
        header.as_object_mut().unwrap().extend(brought.as_object().unwrap().clone());
        let claims = json!({"sub": "42"});
        for verifier in [&configured, &fetched] {
            refuses(verifier, &own.token(&header, &claims), &TokenError::Signature);
            assert!(verifier.verify(&known.token(&header, &claims), NOW).is_ok(), "{header}");
        }
    }
}

#[test]
fn s3_11_an_explicit_type_changes_nothing_because_kinds_differ_in_their_claims() {
    for typ in ["JWT", "jwt", "at+jwt", "application/jwt", ""] {
        let header = json!({"alg": "HS256", "typ": typ}).to_string();
        let token = signed(Algorithm::HS256, &header, CLAIMS.as_bytes());
        assert!(Verifier::new(&options()).verify(&token, NOW).is_ok(), "{typ}");
    }
}

#[test]
fn s3_12_a_token_of_another_kind_does_not_connect() {
    // One for a subscription names a channel.
    assert_eq!(verify(r#"{"sub":"42","channel":"news"}"#), Err(TokenError::Channel));
}

#[test]
fn what_a_token_insists_on_is_refused_and_so_is_what_it_says_twice() {
    let (verifier, ..) = everything();
    for (header, refused) in [
        (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, TokenError::Critical),
        (r#"{"alg":"HS256","crit":[]}"#, TokenError::Critical),
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, TokenError::Critical),
        (r#"{"alg":"none","alg":"HS256"}"#, TokenError::Header),
        (r#"{"alg":"HS256","kid":"a","kid":"b"}"#, TokenError::Header),
    ] {
        let token = signed(Algorithm::HS256, header, CLAIMS.as_bytes());
        refuses(&verifier, &token, &refused);
    }
    // Of claims the last counts (RFC 7519 §4), for whoever reads it: there is one reader.
    assert_eq!(verify(r#"{"sub":"1","sub":"2"}"#).unwrap().user, "2");
    assert_eq!(verify(r#"{"exp":1732000060,"exp":1}"#), Err(TokenError::Expired));
}

#[test]
fn a_secret_on_its_way_out_verifies_until_its_end_and_not_after_it() {
    let until = |until_s| {
        let previous = PreviousSecret { secret: SECRET.into(), until_s };
        let options = TokenOptions {
            hmac_secret: Some("the secret that came after it".into()),
            hmac_previous: Some(previous),
            ..TokenOptions::default()
        };
        Verifier::new(&options).verify(&token(CLAIMS), NOW).err()
    };
    assert_eq!((until(None), until(Some(NOW_S + 1))), (None, None));
    for past in [NOW_S, NOW_S - 1, 0] {
        assert_eq!(until(Some(past)), Some(TokenError::Signature), "{past}");
    }
}
