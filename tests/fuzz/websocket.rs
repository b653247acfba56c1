//! WebSocket: what frames say, and what a handshake agrees on, each against a reader that has all
//! the bytes.

use flate2::{Compress, Compression, FlushCompress};
use rollcall::wire::http1::parse_head;
use rollcall::wire::websocket::{
    Decoder, DeflateAnswer, Event, FrameError, Handshake, Kind, Limits, Scratch, choose_protocol,
    write_handshake_response,
};
use tungstenite::handshake::derive_accept_key;

use crate::http1_model;
use crate::input::{Input, Steps, compose};
use crate::websocket_model::{self as model, Heard, Said};

/// The decoder: the same events, refusal and state of mind however the frames came.
pub(crate) fn decoder(input: &mut Input<'_>) {
    let steps = input.steps();
    let deflate = input.flag().then_some(DeflateAnswer::AGREED);
    let limits =
        Limits { message_bytes_max: input.len() / 16, inflated_bytes_max: input.len() / 8 };
    let bytes = if input.flag() { frames(input, deflate) } else { input.rest().to_vec() };
    let heard = hear(&bytes, &steps, deflate, &limits);
    assert_eq!(heard, hear(&bytes, &Steps::whole(), deflate, &limits));
    assert_eq!(heard, hear(&bytes, &Steps::byte_by_byte(), deflate, &limits));
    assert_eq!(heard, model::hear(&bytes, deflate, &limits));
}

fn hear(bytes: &[u8], steps: &Steps, deflate: Option<DeflateAnswer>, limits: &Limits) -> Heard {
    let (mut decoder, mut scratch) = (Decoder::new(deflate), Scratch::default());
    let mut heard = Heard::default();
    for piece in steps.cut(bytes) {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            match decoder.next(&mut rest, limits, &mut scratch) {
                Ok(None) => break,
                Ok(Some(event)) => heard.said.push(keep(event, deflate, limits)),
                Err(error) => {
                    assert_eq!(decoder.next(&mut rest, limits, &mut scratch), Err(error));
                    check_error(error);
                    heard.error = Some(error);
                    break;
                }
            }
        }
        if heard.error.is_some() {
            break;
        }
        assert!(rest.is_empty(), "nothing is left over");
    }
    heard.is_amid = decoder.is_amid();
    heard
}

fn keep(event: Event<'_>, deflate: Option<DeflateAnswer>, limits: &Limits) -> Said {
    match event {
        Event::Message { kind, payload } => {
            let max = limits.message_bytes_max;
            let max = if deflate.is_some() { max.max(limits.inflated_bytes_max) } else { max };
            assert!(payload.len() <= max, "no message is longer than the limit");
            assert!(kind == Kind::Binary || str::from_utf8(payload).is_ok(), "a text is UTF-8");
            Said::Message(kind, payload.to_vec())
        }
        Event::Ping(payload) => Said::Ping(payload.to_vec()),
        Event::Pong(payload) => Said::Pong(payload.to_vec()),
        Event::Close { code, reason } => Said::Close(code, reason.to_owned()),
    }
}

fn check_error(error: FrameError) {
    assert!(matches!(error.close_code(), 1002 | 1007 | 1009));
    assert!(error.close_reason().len() <= 123, "it fits a close frame");
}

/// Frames one after the other: most of them good, some with odd lengths, masks or bits.
fn frames(input: &mut Input<'_>, deflate: Option<DeflateAnswer>) -> Vec<u8> {
    const FIRST: &[u8] = &[
        0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8a, 0xc1, 0xc2, 0x41, 0x42, 0x08, 0x09,
        0x83, 0x91, 0xa1, 0xc0, 0xc9, 0x8b,
    ];
    let mut bytes = Vec::new();
    while !input.is_empty() && bytes.len() < 40_000 {
        let first = match input.below(32) {
            at @ 0..21 => FIRST[at],
            21..30 => FIRST[input.below(9)],
            _ => input.byte(),
        };
        let payload = payload(input, first, deflate);
        let form = input.byte();
        let mask = [input.byte(), input.byte(), input.byte(), input.byte()];
        push_frame(&mut bytes, first, form, mask, &payload);
    }
    bytes
}

fn payload(input: &mut Input<'_>, first: u8, deflate: Option<DeflateAnswer>) -> Vec<u8> {
    let len = usize::from(input.byte());
    let plain = match input.below(6) {
        0 => input.bytes(len).to_vec(),
        1 => input.pick(&["", "{}", "é", "\u{1f600}", "Hello"]).repeat(len).into_bytes(),
        // Half a character, and the other half.
        2 => "\u{1f600}".as_bytes()[..len % 4].to_vec(),
        3 => "\u{1f600}".as_bytes()[len % 4..].to_vec(),
        4 => vec![b'x'; len * 64],
        _ => [&input.pick(&[1000_u16, 1005, 3000, 4999, 999, 1015]).to_be_bytes()[..], b"bye"]
            .concat(),
    };
    if first & 0x40 == 0 || deflate.is_none() || input.below(4) == 0 {
        return plain;
    }
    compressed(input, &plain)
}

/// A message as a client with compression sends it, or nearly.
fn compressed(input: &mut Input<'_>, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + plain.len() / 8 + 64);
    let level = Compression::new(u32::from(input.byte() % 10));
    let flush = input.pick(&[FlushCompress::Sync, FlushCompress::Finish, FlushCompress::Full]);
    let compressed = Compress::new(level, false).compress_vec(plain, &mut out, flush);
    compressed.expect("a fresh compressor compresses");
    if flush != FlushCompress::Finish {
        out.truncate(out.len() - 4);
    }
    match input.below(8) {
        // A final block ends with a byte of its own (RFC 7692 §7.2.3.4); one more is one too many.
        0 | 1 => out.push(0),
        2 => {
            let at = usize::from(input.byte()) % out.len().max(1);
            if let Some(byte) = out.get_mut(at) {
                *byte = input.byte();
            }
        }
        3 => out.truncate(usize::from(input.byte())),
        _ => {}
    }
    out
}

/// `form` chooses between the shortest length, a longer form, a lie, and no mask.
fn push_frame(bytes: &mut Vec<u8>, first: u8, form: u8, mask: [u8; 4], payload: &[u8]) {
    let len = payload.len();
    let announced = if form >= 250 { len + usize::from(form) } else { len };
    bytes.push(first);
    let masked = if form == 249 { 0 } else { 0x80 };
    match (announced, form) {
        (_, 248) => {
            bytes.push(masked | 127);
            bytes.extend_from_slice(&(announced as u64 | 1 << 63).to_be_bytes());
        }
        (0x1_0000.., _) | (_, 240..245) => {
            bytes.push(masked | 127);
            bytes.extend_from_slice(&(announced as u64).to_be_bytes());
        }
        (126.., _) | (_, 245..248) => {
            bytes.push(masked | 126);
            bytes.extend_from_slice(&u16::try_from(announced).unwrap_or(u16::MAX).to_be_bytes());
        }
        (0..126, _) => bytes.push(masked | u8::try_from(announced).expect("less than 126")),
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

const HANDSHAKE_WORDS: &[&str] = &[
    "Upgrade: websocket\r\n",
    "Connection: Upgrade\r\n",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "Sec-WebSocket-Version: 13\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    "Sec-WebSocket-Protocol: centrifuge-json, centrifuge-protobuf\r\n",
    "Host: a\r\n",
    "sec-websocket-extensions:",
    "sec-websocket-protocol:",
    "sec-websocket-key:",
    "upgrade:",
    "connection: keep-alive, UPGRADE\r\n",
    "permessage-deflate",
    "; server_max_window_bits=15",
    "; server_max_window_bits=\"9\"",
    "; client_max_window_bits=10",
    "; server_no_context_takeover",
    "; client_no_context_takeover",
    "=\"15\"",
    ";",
    ",",
    " ",
    "=",
    "\"",
    "\r\n",
    "centrifuge-protobuf",
    "h2c, WebSocket",
    "AAAAAAAAAAAAAAAAAAAAAB==",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "13",
];

const PROTOCOLS: &[&str] = &["centrifuge-json", "centrifuge-protobuf"];

/// A handshake: refused for the reason the model gives, or answered as another implementation
/// answers the key.
pub(crate) fn handshake(input: &mut Input<'_>) {
    let mut bytes = input
        .pick(&["GET /ws HTTP/1.1\r\n", "GET /ws HTTP/1.0\r\n", "POST / HTTP/1.1\r\n"])
        .as_bytes()
        .to_vec();
    let usual = input.byte();
    for (bit, word) in HANDSHAKE_WORDS[..8].iter().enumerate() {
        if usual >> bit & 1 == 0 {
            bytes.extend_from_slice(word.as_bytes());
        }
    }
    bytes.extend(compose(input, HANDSHAKE_WORDS));
    bytes.extend_from_slice(b"\r\n\r\n");
    // A whole line before the blank one, and not two.
    let bytes = match bytes.strip_suffix(b"\r\n\r\n\r\n") {
        Some(bytes) => [bytes, b"\r\n\r\n"].concat(),
        None => bytes,
    };
    let Ok(head) = parse_head(&bytes) else { return };
    let expected = http1_model::head(&bytes).expect("both or none");
    let deflate = DeflateAnswer::negotiate(&head);
    let offers = model::extension_answer(&expected);
    assert_eq!(deflate.is_some(), offers.is_some());
    let protocol = choose_protocol(&head, PROTOCOLS);
    assert_eq!(protocol, model::protocol(&expected, PROTOCOLS));
    match (Handshake::read(&head), model::key(&expected)) {
        (Err(error), Err(reason)) => assert_eq!(error, reason),
        (Ok(handshake), Ok(key)) => {
            let mut out = Vec::new();
            write_handshake_response(&mut out, &handshake, protocol, deflate);
            check_response(&out, &key, protocol, offers.as_deref());
        }
        (got, expected) => panic!("{got:?}, expected {expected:?}"),
    }
}

fn check_response(out: &[u8], key: &str, protocol: Option<&str>, extensions: Option<&str>) {
    let mut slots = [httparse::EMPTY_HEADER; 8];
    let mut response = httparse::Response::new(&mut slots);
    assert_eq!(response.parse(out), Ok(httparse::Status::Complete(out.len())));
    assert_eq!(response.code, Some(101));
    let header = |name: &str| {
        let mut named = response.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        let value = named.next().map(|header| str::from_utf8(header.value).expect("ASCII"));
        assert!(named.next().is_none(), "{name} stands once");
        value
    };
    assert_eq!(header("upgrade"), Some("websocket"));
    assert_eq!(header("connection"), Some("Upgrade"));
    assert_eq!(header("sec-websocket-accept"), Some(&*derive_accept_key(key.as_bytes())));
    assert_eq!(header("sec-websocket-protocol"), protocol);
    assert_eq!(header("sec-websocket-extensions"), extensions);
}
