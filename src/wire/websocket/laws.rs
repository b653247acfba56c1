//! Laws of the reader and the writers, tried on random input, and against another implementation;
//! a failure prints the input that breaks it.

use std::io::{self, Cursor, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};
use tungstenite::{Message, WebSocket};

use super::client::{LIMITS, Said, frame, hear};
use super::mask::unmask;
use super::*;

/// Bytes that come near being frames: good ones, ones with a byte changed, and anything.
fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        ".{0,12}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..160),
        Just(b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec()),
        Just(b"\x03\xe8".to_vec()),
        Just("\u{1f600}".as_bytes()[..2].to_vec()),
        Just("\u{1f600}".as_bytes()[2..].to_vec()),
    ];
    let first = prop::sample::select(
        &[0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0xc1, 0xc2, 0x41, 0x88, 0x89, 0x8a][..],
    );
    let good = (first, any::<[u8; 4]>(), payload).prop_map(|(a, b, c)| frame(a, b, &c));
    let changed = (good.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut bytes, at, byte)| {
            let at = at.index(bytes.len().min(10));
            bytes[at] = byte;
            bytes
        },
    );
    let piece = prop_oneof![12 => good, 1 => changed, 1 => vec(any::<u8>(), 0..8)];
    vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// A message, how it is cut into fragments, and the mask.
fn message() -> impl Strategy<Value = (Said, Vec<usize>, [u8; 4])> {
    let said = prop_oneof![
        ".{0,60}".prop_map(Said::Text),
        vec(any::<u8>(), 0..400).prop_map(Said::Binary),
        vec(any::<u8>(), 0..=CONTROL_BYTES_MAX).prop_map(Said::Ping),
        vec(any::<u8>(), 0..=CONTROL_BYTES_MAX).prop_map(Said::Pong),
    ];
    (said, vec(0..50_usize, 0..4), any::<[u8; 4]>())
}

/// The frames of one message; data in fragments.
fn fragments(said: &Said, cuts: &[usize], mask: [u8; 4]) -> Vec<Vec<u8>> {
    let (mut opcode, mut rest) = match said {
        Said::Text(text) => (0x1, text.as_bytes()),
        Said::Binary(bytes) => (0x2, &bytes[..]),
        Said::Ping(payload) => return vec![frame(0x89, mask, payload)],
        Said::Pong(payload) => return vec![frame(0x8a, mask, payload)],
        Said::Close(..) => unreachable!("not among the messages"),
    };
    let mut frames = Vec::new();
    for cut in cuts {
        let (front, back) = rest.split_at((*cut).min(rest.len()));
        frames.push(frame(opcode, mask, front));
        (opcode, rest) = (0, back);
    }
    frames.push(frame(0x80 | opcode, mask, rest));
    frames
}

/// A frame of ours as a client would send it: the same, but masked.
fn masked(written: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let head_len = match written[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let mut bytes = [&written[..head_len], &mask, &written[head_len..]].concat();
    bytes[1] |= 0x80;
    unmask(&mut bytes[head_len + 4..], mask);
    bytes
}

/// A socket whose other side has said everything and listens to anything.
#[derive(Default)]
struct Peer {
    sends: Cursor<Vec<u8>>,
    hears: Vec<u8>,
}

impl Read for Peer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.sends.read(into)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hears.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn to_tungstenite(said: &Said) -> Message {
    match said {
        Said::Text(text) => Message::text(text.as_str()),
        Said::Binary(bytes) => Message::binary(bytes.clone()),
        Said::Ping(payload) => Message::Ping(payload.clone().into()),
        Said::Pong(payload) => Message::Pong(payload.clone().into()),
        Said::Close(code, reason) => Message::Close(Some(CloseFrame {
            code: CloseCode::from(*code),
            reason: reason.as_str().into(),
        })),
    }
}

fn write(out: &mut Vec<u8>, said: &Said) {
    match said {
        Said::Text(text) => {
            write_message(out, Kind::Text, |out| out.extend_from_slice(text.as_bytes()));
        }
        Said::Binary(bytes) => {
            write_message(out, Kind::Binary, |out| out.extend_from_slice(bytes));
        }
        Said::Ping(payload) => write_ping(out, payload),
        Said::Pong(payload) => write_pong(out, payload),
        Said::Close(code, reason) => write_close(out, *code, reason),
    }
}

proptest! {
    #[test]
    fn what_is_heard_does_not_depend_on_how_it_was_split(
        bytes in nearly_frames(),
        steps in vec(0..40_usize, 0..64),
    ) {
        prop_assert_eq!(hear(&bytes, &steps), hear(&bytes, &[]));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        bytes in vec(any::<u8>(), 0..256),
        steps in vec(0..8_usize, 0..32),
    ) {
        let (said, error) = hear(&bytes, &steps);
        prop_assert!(said.len() <= bytes.len() / 6, "a frame has at least six bytes");
        prop_assert!(error.is_none_or(|error| matches!(error.close_code(), 1002 | 1007 | 1009)));
    }

    #[test]
    fn no_compressed_bytes_make_the_decoder_panic(
        payload in prop_oneof![
            vec(any::<u8>(), 0..200),
            vec(prop::sample::select(&[0, 1, 2, 3, 5, 0xff, 0xfe, 0xf2, 0x48][..]), 0..60),
        ],
    ) {
        let (said, error) = hear(&frame(0xc2, [0; 4], &payload), &[]);
        prop_assert!(said.len() == usize::from(error.is_none()));
    }

    #[test]
    fn messages_in_fragments_are_heard_whole(
        messages in vec(message(), 0..6),
        ping in vec(any::<u8>(), 0..20),
        steps in vec(0..100_usize, 0..16),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (said, cuts, mask) in &messages {
            for (at, fragment) in fragments(said, cuts, *mask).into_iter().enumerate() {
                if at > 0 {
                    bytes.push(frame(0x89, *mask, &ping));
                    expected.push(Said::Ping(ping.clone()));
                }
                bytes.push(fragment);
            }
            expected.push(said.clone());
        }
        prop_assert_eq!(hear(&bytes.concat(), &steps), (expected, None));
    }

    #[test]
    fn what_is_compressed_is_heard_as_it_was(
        texts in vec("([a-c]{0,30}|.{0,10}){0,8}", 1..4),
        level in 0..12_u32,
        mask in any::<[u8; 4]>(),
        steps in vec(0..40_usize, 0..8),
    ) {
        let mut deflater = Deflater::new(level, 20);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for text in texts.into_iter().filter(|text| text.len() < LIMITS.message_bytes_max) {
            let mut out = Vec::new();
            deflater.write_message(&mut out, Kind::Text, |out| out.extend_from_slice(text.as_bytes()));
            prop_assert!(out.len() <= text.len() + text.len() / 8 + 12);
            bytes.extend(masked(&out, mask));
            expected.push(Said::Text(text));
        }
        prop_assert_eq!(hear(&bytes, &steps), (expected, None));
    }

    #[test]
    fn what_tungstenite_sends_is_heard(
        messages in vec(message(), 0..6),
        code in prop_oneof![1000..=1003_u16, 3000..=4999_u16],
        reason in ".{0,30}",
        steps in vec(0..100_usize, 0..16),
    ) {
        let mut client = WebSocket::from_raw_socket(Peer::default(), Role::Client, None);
        let mut expected: Vec<Said> = messages.into_iter().map(|(said, ..)| said).collect();
        expected.push(Said::Close(code, reason));
        for said in &expected {
            client.send(to_tungstenite(said)).unwrap();
        }
        prop_assert_eq!(hear(&client.get_ref().hears, &steps), (expected, None));
    }

    #[test]
    fn what_is_written_tungstenite_hears(
        messages in vec(message(), 0..6),
        long in 0..70_000_usize,
        code in prop_oneof![1000..=1003_u16, 3000..=4999_u16],
        reason in ".{0,30}",
    ) {
        let mut expected: Vec<Said> = messages.into_iter().map(|(said, ..)| said).collect();
        expected.push(Said::Binary(vec![7; long]));
        expected.push(Said::Close(code, reason));
        let mut peer = Peer::default();
        for said in &expected {
            write(peer.sends.get_mut(), said);
        }
        let mut client = WebSocket::from_raw_socket(peer, Role::Client, None);
        for said in &expected {
            prop_assert_eq!(client.read().unwrap(), to_tungstenite(said));
        }
    }
}
