//! What a token costs: verifying one is the larger part of a connect.

use std::hint::black_box;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput};
use jsonwebtoken::Algorithm;
use rollcall::auth::{
    KeyFault, NewClaims, PublicKey, TokenOptions, Verifier, ecdsa_public_key, eddsa_public_key,
    rsa_public_key, sign,
};
use rollcall::time::Now;

use harness::timing;
use harness::token::{self, SECRET, signed};

mod harness {
    pub(crate) mod timing;
    pub(crate) mod token;
}

const NOW: Now = Now { mono_ms: 0, unix_ms: 1_732_000_000_000 };
const WITH_META: &str = r#"{"sub":"user-12345","exp":1732604800,"iat":1732000000,"jti":"8f14e45f-ceea-467f-9575-6a2b3c4d5e6f","meta":{"plan":"pro","device":"pixel-9","roles":["admin","support"]}}"#;

fn jwt(criterion: &mut Criterion) {
    let expires_at = Some(1_732_604_800);
    let claims = NewClaims { user: "42", expires_at, ..NewClaims::default() };
    let page = sign(SECRET, &claims);
    let with_meta = signed(Algorithm::HS256, WITH_META);
    let long_key = signed(Algorithm::HS512, WITH_META);
    let forged = format!("{}AAAA", page.strip_suffix(&page[page.len() - 4..]).unwrap_or(&page));

    let verifier = Verifier::new(&token::options());
    let mut group = criterion.benchmark_group("jwt");
    group.throughput(Throughput::Elements(1));
    for (name, token) in [
        ("verify HS256, the page's token", &page),
        ("verify HS256, with jti and meta", &with_meta),
        ("verify HS512, with jti and meta", &long_key),
        ("refuse HS256, wrong signature", &forged),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| verifier.verify(black_box(token), NOW));
        });
    }
    for (name, verifier, token) in public_keys(WITH_META) {
        assert!(verifier.verify(&token, NOW).is_ok(), "{name}");
        group.bench_function(format!("verify {name}, with jti and meta"), |bencher| {
            bencher.iter(|| verifier.verify(black_box(&token), NOW));
        });
    }
    group.bench_function("sign HS256, key prepared each time", |bencher| {
        bencher.iter(|| sign(black_box(SECRET), black_box(&claims)));
    });
    group.finish();
}

/// A verifier of each kind of public key, and a token of these claims for it.
fn public_keys(claims: &str) -> Vec<(&'static str, Verifier, String)> {
    let random = SystemRandom::new();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let elliptic = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let edwards = Ed25519KeyPair::generate().expect("a key");
    let by_rsa = |message: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
        signature
    };
    let by_elliptic =
        |message: &[u8]| elliptic.sign(&random, message).expect("a signature").as_ref().to_vec();
    let der = |key: &dyn AsDer<PublicKeyX509Der<'static>>| key.as_der().expect("a public key");
    let verifier = |keys: Result<Vec<PublicKey>, KeyFault>| {
        let public_keys = keys.expect("a key made above");
        Verifier::new(&TokenOptions { public_keys, ..TokenOptions::default() })
    };
    let pem = |der: &[u8]| {
        let body = STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    };
    let token = |name: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| token::signed_by(name, claims, sign);
    vec![
        (
            "RS256",
            verifier(rsa_public_key(&pem(der(rsa.public_key()).as_ref()))),
            token("RS256", &by_rsa),
        ),
        (
            "ES256",
            verifier(ecdsa_public_key(&pem(der(elliptic.public_key()).as_ref()))),
            token("ES256", &by_elliptic),
        ),
        (
            "EdDSA",
            verifier(eddsa_public_key(&pem(der(edwards.public_key()).as_ref()))),
            token("EdDSA", &|message| edwards.sign(message).as_ref().to_vec()),
        ),
    ]
}

fn main() {
    timing::run(jwt);
}
