//! The HTTP/1.1 core on the path of one API request: its head, its reply, and one line of a stream.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use rollcall::wire::http1::{HeadScan, Version, parse_head, write_chunk, write_response};

use harness::http::{BODY, HEAD, RESPONSE};
use harness::timing;

mod harness {
    pub(crate) mod http;
    pub(crate) mod timing;
}

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
            write_response(&mut out, black_box(&RESPONSE), black_box(BODY));
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

fn main() {
    timing::run(http1);
}
