//! What a token costs: verifying one is the larger part of a connect.

use std::hint::black_box;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, Throughput};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};
use rollcall::auth::{NewClaims, TokenOptions, Verifier, sign};
use rollcall::time::Now;

/// As long as the secrets `genconfig` writes.
const SECRET: &str =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef012345";
const NOW: Now = Now { mono_ms: 0, unix_ms: 1_732_000_000_000 };
const WITH_META: &str = r#"{"sub":"user-12345","exp":1732604800,"iat":1732000000,"jti":"8f14e45f-ceea-467f-9575-6a2b3c4d5e6f","meta":{"plan":"pro","device":"pixel-9","roles":["admin","support"]}}"#;

fn verifier() -> Verifier {
    let hmac_secret = Some(SECRET.to_owned());
    Verifier::new(&TokenOptions { hmac_secret, audience: None, issuer: None })
}

/// A token of any header and claims.
fn signed(algorithm: Algorithm, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, &key).expect("an HMAC key");
    let signature = signer.try_sign(message.as_bytes()).expect("HMAC signs any bytes");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(40)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let expires_at = Some(1_732_604_800);
    let claims = NewClaims { user: "42", expires_at, ..NewClaims::default() };
    let page = sign(SECRET, &claims);
    let with_meta = signed(Algorithm::HS256, r#"{"alg":"HS256","typ":"JWT"}"#, WITH_META);
    let long_key = signed(Algorithm::HS512, r#"{"alg":"HS512","typ":"JWT"}"#, WITH_META);
    let forged = format!("{}AAAA", page.strip_suffix(&page[page.len() - 4..]).unwrap_or(&page));

    let verifier = verifier();
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
    group.bench_function("sign HS256, key prepared each time", |bencher| {
        bencher.iter(|| sign(black_box(SECRET), black_box(&claims)));
    });
    group.finish();
    criterion.final_summary();
}
