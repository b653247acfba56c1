//! What a token costs: verifying one is the larger part of a connect.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use jsonwebtoken::Algorithm;
use rollcall::auth::{NewClaims, Verifier, sign};
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
    group.bench_function("sign HS256, key prepared each time", |bencher| {
        bencher.iter(|| sign(black_box(SECRET), black_box(&claims)));
    });
    group.finish();
}

fn main() {
    timing::run(jwt);
}
