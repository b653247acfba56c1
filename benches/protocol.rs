//! What the client protocol costs per connect: the request read, the first push or reply written.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use rollcall::ids::{ClientId, SessionId};
use rollcall::protocol::{
    ConnectPush, ConnectRequest, Dialect, Encoding, Push, Reply, commands, json,
    write_connect_push, write_push, write_reply,
};

use harness::commands::{PAGE, RESULT, json_connect, protobuf_connect};
use harness::timing;

mod harness {
    pub(crate) mod commands;
    pub(crate) mod timing;
}

const META: &[u8] =
    br#"{"plan": "pro", "device": "pixel-9", "roles": ["admin", "support"], "note": "a<b"}"#;

fn protocol(criterion: &mut Criterion) {
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
    for (name, encoding, message) in [
        ("JSON", Encoding::Json, json_connect()),
        ("Protobuf", Encoding::Protobuf, protobuf_connect()),
    ] {
        assert!(
            matches!(commands(encoding, &message).next(), Some(Ok(command)) if command.id == 1)
        );
        group.bench_function(format!("parse a connect command, {name}"), |bencher| {
            bencher.iter(|| commands(encoding, black_box(&message)).next());
        });
        group.bench_function(format!("write a connect reply, {name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_reply(&mut out, encoding, 1, black_box(&Reply::Connect(RESULT)));
            });
        });
        group.bench_function(format!("write a ping and parse its pong, {name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_push(&mut out, encoding, black_box(&Push::Ping));
                black_box(commands(encoding, black_box(&out)).next().is_some())
            });
        });
    }
    group.finish();
}

fn main() {
    timing::run(protocol);
}
