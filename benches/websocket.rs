//! The WebSocket core on the path of one small message: read, written, deflated, inflated, opened.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use rollcall::wire::http1::parse_head;
use rollcall::wire::websocket::{
    Decoder, DeflateAnswer, Deflater, Event, Handshake, Kind, Scratch, write_handshake_response,
    write_message,
};

use harness::limits::LIMITS;
use harness::timing;
use harness::websocket::{HEAD, masked};

mod harness {
    pub(crate) mod limits;
    pub(crate) mod timing;
    pub(crate) mod websocket;
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

fn main() {
    timing::run(websocket);
}
