//! The WebSocket core on the path of one small message: read, written, deflated, inflated, opened.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rollcall::wire::http1::parse_head;
use rollcall::wire::websocket::{
    Decoder, DeflateAnswer, Deflater, Event, Handshake, Kind, Limits, Scratch,
    write_handshake_response, write_message,
};

/// What a browser sends.
const HEAD: &[u8] = b"GET /connection/websocket HTTP/1.1\r\n\
    Host: localhost:8000\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Origin: http://localhost:8000\r\n\
    Sec-WebSocket-Version: 13\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

const LIMITS: Limits = Limits { message_bytes_max: 65_536, inflated_bytes_max: 655_360 };
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of ours of at most 65,535 bytes as a client would send it.
fn masked(written: &[u8]) -> Vec<u8> {
    let head_len = if written[1] == 126 { 4 } else { 2 };
    let (head, payload) = written.split_at(head_len);
    let payload = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let mut frame: Vec<u8> = head.iter().chain(&MASK).copied().chain(payload).collect();
    frame[1] |= 0x80;
    frame
}

/// About a kilobyte of JSON as a listing has it.
fn json() -> Vec<u8> {
    let session = |at: usize| {
        format!(
            r#"{{"client":"8a5f1c{at:02}-0f0e-4a64-9a64-4a4bd6a8d7a1","user":"{}","transport":"websocket","protocol":"json"}}"#,
            at * 7919
        )
    };
    let sessions: Vec<String> = (10..18).map(session).collect();
    format!(r#"{{"result":{{"sessions":[{}]}}}}"#, sessions.join(",")).into_bytes()
}

/// Bytes of the messages that end in `bytes`.
fn read(decoder: &mut Decoder, mut bytes: &mut [u8], scratch: &mut Scratch) -> usize {
    let mut len = 0;
    while let Some(event) = decoder.next(&mut bytes, &LIMITS, scratch).expect("frames") {
        if let Event::Message { payload, .. } = event {
            len += payload.len();
        }
    }
    len
}

/// Reads `frame`, one message, over and over.
fn bench_decode(criterion: &mut Criterion, name: &str, frame: &[u8], pieces: usize) {
    let deflate = DeflateAnswer::negotiate(&parse_head(HEAD).expect("a head"));
    let (mut decoder, mut scratch) = (Decoder::new(deflate), Scratch::default());
    criterion.bench_function(name, |bencher| {
        // The copy stands for the read; it is not measured.
        bencher.iter_batched_ref(
            || frame.to_vec(),
            |bytes| {
                let pieces = black_box(bytes).chunks_mut(frame.len().div_ceil(pieces));
                let len: usize = pieces.map(|piece| read(&mut decoder, piece, &mut scratch)).sum();
                assert_ne!(len, 0);
                len
            },
            BatchSize::SmallInput,
        );
    });
}

fn websocket(criterion: &mut Criterion) {
    let mut out = Vec::with_capacity(4096);
    let small = [b'x'; 100];
    write_message(&mut out, Kind::Text, |out| out.extend_from_slice(&small));
    let frame = masked(&out);
    bench_decode(criterion, "websocket/decode_text_100", &frame, 1);
    bench_decode(criterion, "websocket/decode_text_100_cut_in_two", &frame, 2);

    let json = json();
    let mut deflater = Deflater::new(1, 0);
    out.clear();
    deflater.write_message(&mut out, Kind::Text, |out| out.extend_from_slice(&json));
    assert!(out.len() < json.len() / 2, "it is worth it");
    let frame = masked(&out);
    bench_decode(criterion, "websocket/inflate_json_1k", &frame, 1);

    let mut group = criterion.benchmark_group("websocket");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode_text_100", |bencher| {
        bencher.iter(|| {
            out.clear();
            write_message(&mut out, Kind::Text, |out| out.extend_from_slice(black_box(&small)));
            out.len()
        });
    });
    for level in [1, 6] {
        let mut deflater = Deflater::new(level, 0);
        group.bench_function(format!("deflate_json_1k_level_{level}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let content = |out: &mut Vec<u8>| out.extend_from_slice(black_box(&json));
                deflater.write_message(&mut out, Kind::Text, content);
                out.len()
            });
        });
    }
    let head = parse_head(HEAD).expect("a head");
    group.bench_function("handshake_after_the_head", |bencher| {
        bencher.iter(|| {
            out.clear();
            let handshake = Handshake::read(black_box(&head)).expect("a handshake");
            let deflate = DeflateAnswer::negotiate(&head);
            write_handshake_response(&mut out, &handshake, None, deflate);
            out.len()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = websocket
}
criterion_main!(benches);
