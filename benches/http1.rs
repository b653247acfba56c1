//! The HTTP/1.1 core on the path of one API request: its head, its reply, and one line of a stream.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rollcall::wire::http1::{
    HeadScan, Response, Status, Version, parse_head, write_chunk, write_response,
};

/// What curl sends for the founding page's `user_connections`.
const HEAD: &[u8] = b"POST /api HTTP/1.1\r\n\
    Host: localhost:8000\r\n\
    User-Agent: curl/8.5.0\r\n\
    Accept: */*\r\n\
    Content-Type: application/json\r\n\
    Authorization: apikey 7b3ea1a8-8f5d-4f0e-9a64-4a4bd6a8d7a1\r\n\
    Content-Length: 58\r\n\r\n";

/// A reply of about three sessions.
const BODY: &[u8] = &[b'x'; 463];
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn http1(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http1");
    group.throughput(Throughput::Elements(1));
    group.bench_function("find_head", |bencher| {
        bencher.iter(|| HeadScan::default().end(black_box(HEAD)));
    });
    group.bench_function("parse_head", |bencher| {
        bencher.iter(|| parse_head(black_box(HEAD)).map(|head| (head.framing, head.keep_alive)));
    });
    group.bench_function("find_parse_and_look_up_the_key", |bencher| {
        bencher.iter(|| {
            let bytes = black_box(HEAD);
            let len = HeadScan::default().end(bytes).ok().flatten().unwrap_or(0);
            let head = parse_head(&bytes[..len]).ok();
            head.map(|head| (head.header("x-api-key"), head.header("authorization")))
        });
    });
    let mut out = Vec::with_capacity(4096);
    group.bench_function("write_response_463", |bencher| {
        bencher.iter(|| {
            out.clear();
            let response = Response {
                status: Status(200),
                content_type: Some("application/json"),
                keep_alive: true,
                version: Version::Http11,
                date: black_box(DATE),
                extra: &[],
            };
            write_response(&mut out, &response, black_box(BODY));
            out.len()
        });
    });
    for (name, line) in [("write_chunk_ping", &b"{}\n"[..]), ("write_chunk_170", &[b'x'; 170])] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                write_chunk(&mut out, Version::Http11, |out| {
                    out.extend_from_slice(black_box(line))
                });
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = http1
}
criterion_main!(benches);
