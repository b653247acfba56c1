//! What the client protocol costs per connect: the request read, the first push or reply written.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use rollcall::ids::{ClientId, SessionId};
use rollcall::protocol::{
    ConnectPush, ConnectRequest, ConnectResult, Dialect, Encoding, Push, Reply, commands, json,
    write_connect_push, write_push, write_reply,
};

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
    criterion.final_summary();
}

const RESULT: ConnectResult<'static> = ConnectResult {
    client: ClientId([0x11; 16]),
    version: "0.1.0",
    expires: true,
    ttl: 604_800,
    data: None,
    ping_s: 25,
    pong: true,
    session: None,
    node: "",
    time_ms: None,
};

/// The page's connect request as a command.
fn json_connect() -> Vec<u8> {
    [br#"{"id":1,"connect":"#, PAGE, b"}"].concat()
}

/// The same in Protobuf; both lengths need two bytes.
fn protobuf_connect() -> Vec<u8> {
    let request: serde_json::Value = serde_json::from_slice(PAGE).expect("PAGE is JSON");
    let member = |key: &str| request[key].as_str().expect("PAGE has it").as_bytes().to_vec();
    let delimited = |head: &[u8], body: &[u8]| {
        let len = u8::try_from(body.len()).expect("less than 256");
        let prefix: &[u8] = if len < 0x80 { &[len] } else { &[len | 0x80, 1] };
        [head, prefix, body].concat()
    };
    let connect = [delimited(&[0x0a], &member("token")), delimited(&[0x22], &member("name"))];
    delimited(&[], &delimited(&[0x08, 1, 0x22], &connect.concat()))
}
