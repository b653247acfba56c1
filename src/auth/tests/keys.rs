//! Public keys: which signatures they accept, and which never.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding};
use base64::engine::general_purpose::STANDARD as BASE64;

use super::*;

/// A key pair, and what signs with it.
enum Pair {
    Rsa(RsaKeyPair),
    Elliptic(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Pair {
    fn rsa(size: KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).unwrap())
    }

    fn elliptic(algorithm: &str) -> Self {
        Self::Elliptic(
            EcdsaKeyPair::generate(match algorithm {
                "ES256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                "ES384" => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                _ => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            })
            .unwrap(),
        )
    }

    fn edwards() -> Self {
        Self::Edwards(Ed25519KeyPair::generate().unwrap())
    }

    fn pem(&self) -> String {
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

    fn token(&self, header: &Value, claims: &Value) -> String {
        let algorithm = header["alg"].as_str().unwrap();
        let encode = |json: &Value| BASE64URL.encode(json.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", BASE64URL.encode(signature))
    }
}

fn by(keys: Vec<PublicKey>) -> Verifier {
    Verifier::new(&TokenOptions { public_keys: keys, ..TokenOptions::default() })
}

const RSA: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const ELLIPTIC: [&str; 3] = ["ES256", "ES384", "ES512"];

#[test]
fn every_algorithm_of_a_key_is_accepted() {
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
