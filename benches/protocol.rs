//! What the client protocol costs per connect: the request read, the first push written.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use rollcall::ids::{ClientId, SessionId};
use rollcall::protocol::{ConnectPush, ConnectRequest, Dialect, json, write_connect_push};

const PAGE: &[u8] = br#"{"token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiIsImV4cCI6MTYyNzcxMzMzNX0.s3eOhujiyBjc4u21nuHkbcWJll4Um0QqGU3PF-6Mf7Y", "name": "terminal"}"#;
const META: &[u8] =
    br#"{"plan": "pro", "device": "pixel-9", "roles": ["admin", "support"], "note": "a<b"}"#;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(40)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let push = ConnectPush {
        client: ClientId([0x11; 16]),
        session: SessionId([0x22; 16]),
        version: "0.1.0",
        data: None,
        expires: true,
        ttl: 604_800,
        ping_s: 25,
        time_ms: None,
    };
    let mut out = Vec::with_capacity(1024);
    let mut group = criterion.benchmark_group("protocol");
    group.throughput(Throughput::Elements(1));
    group.bench_function("parse the page's connect request", |bencher| {
        bencher.iter(|| ConnectRequest::parse(black_box(PAGE)));
    });
    for (name, dialect) in [("v2", Dialect::V2), ("v1", Dialect::V1)] {
        group.bench_function(format!("write a connect push, {name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_connect_push(&mut out, dialect, black_box(&push));
            });
        });
    }
    group.bench_function("write raw meta, 83 B", |bencher| {
        bencher.iter(|| {
            out.clear();
            json::write_raw(&mut out, black_box(META));
        });
    });
    group.finish();
    criterion.final_summary();
}
