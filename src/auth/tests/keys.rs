//! Public keys, configured and published: which signatures they accept, and which never.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding};
use base64::engine::general_purpose::STANDARD as BASE64;
use regex::Regex;

use super::*;
use crate::limits::KEY_ID_BYTES_MAX;

/// A key pair, and what signs with it.
pub(super) enum Pair {
    Rsa(RsaKeyPair),
    Elliptic(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Pair {
    pub(super) fn rsa(size: KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).unwrap())
    }

    pub(super) fn elliptic(algorithm: &str) -> Self {
        Self::Elliptic(
            EcdsaKeyPair::generate(match algorithm {
                "ES256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                "ES384" => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                _ => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            })
            .unwrap(),
        )
    }

    pub(super) fn edwards() -> Self {
        Self::Edwards(Ed25519KeyPair::generate().unwrap())
    }

    pub(super) fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Elliptic(pair) => pair.public_key().as_der().unwrap(),
            Self::Edwards(pair) => pair.public_key().as_der().unwrap(),
        };
        let body = BASE64.encode(der.as_ref());
        let lines: Vec<_> =
            body.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// As a key of a set, with these further members.
    pub(super) fn jwk(&self, more: &Value) -> Value {
        let encode = |bytes: &[u8]| BASE64URL.encode(bytes);
        let mut key = match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                json!({"kty": "RSA", "n": encode(public.modulus().big_endian_without_leading_zero()),
                       "e": encode(public.exponent().big_endian_without_leading_zero())})
            }
            Self::Elliptic(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Self::Edwards(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        };
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    _ => &signature::RSA_PSS_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Elliptic(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let algorithm = header["alg"].as_str().unwrap();
        let encode = |json: &Value| BASE64URL.encode(json.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", BASE64URL.encode(signature))
    }
}

pub(super) fn by(keys: Vec<PublicKey>) -> Verifier {
    Verifier::new(&TokenOptions { public_keys: keys, ..TokenOptions::default() })
}

pub(super) fn published(keys: &[Value]) -> Verifier {
    let address = "https://idp.example/keys";
    let ring = KeyRing::default();
    ring.put(address, KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap());
    let endpoint = Endpoint::new(address, &[], Safety::Checked).unwrap();
    Verifier::new(&TokenOptions {
        jwks: Some(Jwks { endpoint, ring, age_max: AGE_MAX }),
        ..TokenOptions::default()
    })
}

/// Nothing here grows old.
const AGE_MAX: Duration = Duration::MAX;

const RSA: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const ELLIPTIC: [&str; 3] = ["ES256", "ES384", "ES512"];

#[test]
fn every_algorithm_of_a_key_is_accepted_configured_and_published() {
    let rsa = Pair::rsa(KeySize::Rsa2048);
    let mut cases = Vec::new();
    for algorithm in RSA {
        cases.push((algorithm, &rsa, rsa_public_key(&rsa.pem()).unwrap()));
    }
    let elliptic = ELLIPTIC.map(Pair::elliptic);
    for (algorithm, pair) in ELLIPTIC.into_iter().zip(&elliptic) {
        cases.push((algorithm, pair, ecdsa_public_key(&pair.pem()).unwrap()));
    }
    let edwards = Pair::edwards();
    cases.push(("EdDSA", &edwards, eddsa_public_key(&edwards.pem()).unwrap()));
    for (algorithm, pair, keys) in cases {
        let token = pair.token(&json!({"alg": algorithm}), &json!({"sub": "42"}));
        assert_eq!(by(keys).verify(&token, NOW).unwrap().user, "42", "{algorithm}");
        let header = json!({"alg": algorithm, "kid": "k1"});
        let token = pair.token(&header, &json!({"sub": "42"}));
        let verifier = published(&[pair.jwk(&json!({"kid": "k1", "use": "sig"}))]);
        assert_eq!(verifier.verify(&token, NOW).unwrap().user, "42", "{algorithm}");
    }
}

#[test]
fn a_key_accepts_no_algorithm_of_another_family_and_no_signature_of_another_key() {
    let (rsa, other) = (Pair::rsa(KeySize::Rsa2048), Pair::rsa(KeySize::Rsa2048));
    let verifier = by(rsa_public_key(&rsa.pem()).unwrap());
    let claims = json!({"sub": "42"});
    let foreign = other.token(&json!({"alg": "RS256"}), &claims);
    assert_eq!(verifier.verify(&foreign, NOW), Err(TokenError::Signature));
    // The text of a public key as the secret of HS256 (RFC 8725 §2.1).
    let confused = sign(&rsa.pem(), &NewClaims { user: "42", ..NewClaims::default() });
    let unknown = |alg: &str| Err(TokenError::Algorithm { algorithm: alg.to_owned() });
    assert_eq!(verifier.verify(&confused, NOW), unknown("HS256"));
    // A signature of RS256 under the name of PS256, and the other way round.
    for (named, made) in [("PS256", "RS256"), ("RS256", "PS256"), ("RS384", "RS256")] {
        let message = format!(
            "{}.{}",
            BASE64URL.encode(json!({"alg": named}).to_string()),
            BASE64URL.encode(claims.to_string())
        );
        let token =
            format!("{message}.{}", BASE64URL.encode(rsa.signature(made, message.as_bytes())));
        assert_eq!(verifier.verify(&token, NOW), Err(TokenError::Signature), "{named} {made}");
    }
    let elliptic = Pair::elliptic("ES256");
    let verifier = by(ecdsa_public_key(&elliptic.pem()).unwrap());
    let token = Pair::elliptic("ES384").token(&json!({"alg": "ES384"}), &claims);
    assert_eq!(verifier.verify(&token, NOW), unknown("ES384"));
    // Neither r nor s may be zero (RFC 8725 §3.2 and CVE-2022-21449).
    let message = format!("{}.{}", BASE64URL.encode(r#"{"alg":"ES256"}"#), BASE64URL.encode("{}"));
    let zero = format!("{message}.{}", BASE64URL.encode([0; 64]));
    assert_eq!(verifier.verify(&zero, NOW), Err(TokenError::Signature));
}

#[test]
fn a_token_brings_no_key_of_its_own() {
    let (known, own) = (Pair::elliptic("ES256"), Pair::elliptic("ES256"));
    let verifier = by(ecdsa_public_key(&known.pem()).unwrap());
    for brought in ["jwk", "jku", "x5u", "x5c", "kid"] {
        let header = json!({"alg": "ES256", (brought): own.pem()});
        let refused = verifier.verify(&own.token(&header, &json!({"sub": "42"})), NOW);
        assert_eq!(refused, Err(TokenError::Signature), "{brought} (RFC 8725 §3.10)");
        assert!(verifier.verify(&known.token(&header, &json!({})), NOW).is_ok(), "{brought}");
    }
}

#[test]
fn what_is_no_key_of_the_kind_is_refused_with_a_reason() {
    let (rsa, elliptic, edwards) =
        (Pair::rsa(KeySize::Rsa2048).pem(), Pair::elliptic("ES256").pem(), Pair::edwards().pem());
    let of_kind = |expected| Some(KeyFault::Kind { expected });
    for pem in [&elliptic, &edwards] {
        assert_eq!(rsa_public_key(pem).err(), of_kind("an RSA key"));
    }
    for pem in [&rsa, &edwards] {
        let expected = "an elliptic key on P-256, P-384 or P-521";
        assert_eq!(ecdsa_public_key(pem).err(), of_kind(expected));
    }
    for pem in [&rsa, &elliptic] {
        assert_eq!(eddsa_public_key(pem).err(), of_kind("an Ed25519 key"));
    }
    for text in ["secret", "-----BEGIN PUBLIC KEY-----", ""] {
        assert_eq!(rsa_public_key(text).err(), Some(KeyFault::Pem), "{text}");
    }
    // As it stands in an environment variable.
    assert!(rsa_public_key(&rsa.replace('\n', "\\n")).is_ok());
}

#[test]
fn a_key_of_a_set_that_is_not_for_tokens_is_skipped() {
    let pair = Pair::elliptic("ES256");
    let good = json!({"kid": "good"});
    for skipped in [
        json!({}),
        json!({"kid": ""}),
        json!({"kid": "k", "use": "enc"}),
        json!({"kid": "k", "key_ops": ["sign"]}),
        json!({"kid": "k", "alg": "ES384"}),
        json!({"kid": "k", "alg": "none"}),
        json!({"kid": "k", "kty": "oct", "k": "c2VjcmV0"}),
        json!({"kid": "k", "kty": "RSA"}),
        json!({"kid": "k", "crv": "P-384"}),
        json!({"kid": "k", "x": "AA"}),
        json!({"kid": 7}),
    ] {
        let keys = json!({"keys": [pair.jwk(&skipped), pair.jwk(&good), 7, null]}).to_string();
        let set = KeySet::parse(keys.as_bytes()).unwrap();
        assert_eq!((set.named("k").count(), set.named("good").count()), (0, 1), "{skipped}");
        let alone = json!({"keys": [pair.jwk(&skipped)]}).to_string();
        assert_eq!(KeySet::parse(alone.as_bytes()).err(), Some(KeySetFault::Empty), "{skipped}");
    }
    let short = json!({"keys": [{"kty": "RSA", "kid": "k", "e": "AQAB", "n": BASE64URL.encode([0xff; 128])}]});
    assert_eq!(KeySet::parse(short.to_string().as_bytes()).err(), Some(KeySetFault::Empty));
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
        assert_eq!(KeySet::parse(text.as_bytes()).err(), Some(KeySetFault::Syntax), "{text}");
    }
    let many = json!({"keys": vec![pair.jwk(&good); KEYS_MAX + 1]}).to_string();
    assert_eq!(KeySet::parse(many.as_bytes()).err(), Some(KeySetFault::TooMany(KEYS_MAX + 1)));
}

#[test]
fn a_published_key_is_found_by_its_id_alone() {
    let (one, two) = (Pair::elliptic("ES256"), Pair::elliptic("ES256"));
    let verifier = published(&[one.jwk(&json!({"kid": "1"})), two.jwk(&json!({"kid": "2"}))]);
    let claims = json!({"sub": "42"});
    let token = |pair: &Pair, header: &Value| pair.token(header, &claims);
    assert!(verifier.verify(&token(&two, &json!({"alg": "ES256", "kid": "2"})), NOW).is_ok());
    assert_eq!(
        verifier.verify(&token(&two, &json!({"alg": "ES256", "kid": "1"})), NOW),
        Err(TokenError::Signature)
    );
    let nameless = verifier.verify(&token(&one, &json!({"alg": "ES256"})), NOW);
    assert_eq!(nameless, Err(TokenError::NoKeyId));
    let unknown = verifier.verify(&token(&one, &json!({"alg": "ES256", "kid": "3"})), NOW);
    let needed = KeyNeeded { address: "https://idp.example/keys".into(), id: "3".into() };
    assert_eq!(unknown, Err(TokenError::KeyNeeded(Box::new(needed))));
    for (bytes, is_asked_for) in [(KEY_ID_BYTES_MAX, true), (KEY_ID_BYTES_MAX + 1, false)] {
        let header = json!({"alg": "ES256", "kid": "k".repeat(bytes)});
        let fault = verifier.verify(&token(&one, &header), NOW).expect_err("nobody has it");
        assert_eq!(fault != TokenError::LongKeyId, is_asked_for, "{bytes} bytes: {fault}");
    }
    // A token brings no key and names no address of one (RFC 8725 §3.10).
    let own = json!({"alg": "ES256", "kid": "1", "jwk": two.jwk(&json!({})), "jku": "https://evil.example"});
    assert_eq!(verifier.verify(&token(&two, &own), NOW), Err(TokenError::Signature));
}

#[test]
fn claims_fill_the_address_of_their_keys_and_cannot_choose_another() {
    let issuer = Regex::new("^https://idp.example/(?P<realm>one|two)$").unwrap();
    let endpoint = |address: &str| Endpoint::new(address, &[&issuer], Safety::Checked);
    let ring = KeyRing::default();
    let pair = Pair::edwards();
    let set = json!({"keys": [pair.jwk(&json!({"kid": "k"}))]}).to_string();
    ring.put("https://idp.example/one/keys", KeySet::parse(set.as_bytes()).unwrap());
    let endpoint_of_realm = endpoint("https://idp.example/{{realm}}/keys").unwrap();
    let jwks = Jwks { endpoint: endpoint_of_realm, ring, age_max: AGE_MAX };
    let verifier = Verifier::new(&TokenOptions {
        jwks: Some(jwks),
        issuer: Expected::Matching(issuer.clone()),
        ..TokenOptions::default()
    });
    let verify = |issuer: &str| {
        let header = json!({"alg": "EdDSA", "kid": "k"});
        verifier.verify(&pair.token(&header, &json!({"sub": "42", "iss": issuer})), NOW)
    };
    assert_eq!(verify("https://idp.example/one").unwrap().user, "42");
    let needed = KeyNeeded { address: "https://idp.example/two/keys".into(), id: "k".into() };
    assert_eq!(verify("https://idp.example/two"), Err(TokenError::KeyNeeded(Box::new(needed))));
    for stranger in ["https://idp.example/three", "https://idp.example/one/..", ""] {
        assert_eq!(verify(stranger), Err(TokenError::Issuer), "{stranger}");
    }
    for (address, fault) in [
        ("idp.example", EndpointFault::Scheme),
        ("https://a/{{realm", EndpointFault::Unclosed),
        ("https:///keys", EndpointFault::Host),
        ("https://me:secret@a/keys", EndpointFault::Host),
        ("https://a/ke ys", EndpointFault::Host),
        ("https://a/{{tenant}}", EndpointFault::NoGroup("tenant".to_owned())),
    ] {
        assert_eq!(endpoint(address).err(), Some(fault), "{address}");
    }
}

#[test]
fn a_group_that_takes_more_than_words_fills_no_address() {
    let new = |pattern: &str, safety| {
        let pattern = Regex::new(pattern).unwrap();
        Endpoint::new("https://a/{{t}}/keys", &[&pattern], safety).err()
    };
    let open = Some(EndpointFault::Open("t".to_owned()));
    for pattern in
        ["(?P<t>.*)", "(?P<t>[a-z]+)", "(?P<t>one|t.o)", "(?P<t>a?)", "(?P<t>(a|b))", "(?P<t>)"]
    {
        assert_eq!(new(pattern, Safety::Checked), open, "{pattern}");
        assert_eq!(new(pattern, Safety::Skipped), None, "{pattern}");
    }
    for pattern in ["(?P<t>one|two)", "^x/(?P<t>one)$", "((?P<t>one|two)/)+", "(?<t>a-b|c_d)"] {
        assert_eq!(new(pattern, Safety::Checked), None, "{pattern}");
    }
    // Whichever of two patterns captures may fill the place.
    let (choice, any) = (Regex::new("(?P<t>one)?").unwrap(), Regex::new("(?P<t>.*)").unwrap());
    for patterns in [[&choice, &any], [&any, &choice]] {
        let endpoint = Endpoint::new("https://a/{{t}}/keys", &patterns, Safety::Checked);
        assert_eq!(endpoint.err(), open, "{patterns:?}");
    }
    // What an open group takes still is one segment of a path.
    let pattern = Regex::new("^(?P<t>.*)$").unwrap();
    let endpoint = Endpoint::new("https://a/{{t}}/keys", &[&pattern], Safety::Skipped).unwrap();
    let filled = |issuer| endpoint.filled(&[pattern.captures(issuer).unwrap()]);
    assert_eq!(filled("tenant-1").as_deref(), Some("https://a/tenant-1/keys"));
    for issuer in ["..", ".", "", "a/b", "a%2fb", "a?b", "a#b", "a@b", "x\\y"] {
        assert_eq!(filled(issuer), None, "{issuer}");
    }
}
