//! The client's side, for tests: frames it sends, and what becomes of them.

use super::mask::unmask;
use super::*;

/// The mask of every frame that is written out in a test.
pub(super) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(super) const LIMITS: Limits = Limits { message_bytes_max: 1000, inflated_bytes_max: 3000 };

/// A masked frame that starts with the byte `first`.
pub(super) fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&u64::try_from(len).unwrap().to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    unmask(&mut bytes[start..], mask);
    bytes
}

/// An [`Event`] that was kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

impl From<Event<'_>> for Said {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message { kind: Kind::Text, payload } => {
                Self::Text(String::from_utf8(payload.to_vec()).expect("a text is UTF-8"))
            }
            Event::Message { kind: Kind::Binary, payload } => Self::Binary(payload.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

/// Everything a decoder says of some bytes, and whether it refuses them.
pub(super) type Heard = (Vec<Said>, Option<FrameError>);

/// What was agreed on: compression, or none.
pub(super) fn deflate() -> Option<DeflateAnswer> {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let answer = DeflateAnswer::negotiate(&crate::wire::http1::parse_head(head).unwrap());
    assert!(answer.is_some());
    answer
}

/// Shows `bytes` to `decoder` in pieces of the lengths in `steps`, and then the rest.
pub(super) fn hear_on(decoder: &mut Decoder, bytes: &[u8], steps: &[usize]) -> Heard {
    let (mut scratch, mut heard) = (Scratch::default(), Vec::new());
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    for step in steps.iter().copied().chain([usize::MAX]) {
        let step = step.min(rest.len());
        let mut piece = rest.split_off_mut(..step).unwrap();
        loop {
            match decoder.next(&mut piece, &LIMITS, &mut scratch) {
                Ok(Some(event)) => heard.push(event.into()),
                Ok(None) => break,
                Err(error) => {
                    let again = decoder.next(&mut piece, &LIMITS, &mut scratch);
                    assert_eq!(again, Err(error), "it says the same again");
                    assert!(!decoder.is_amid());
                    return (heard, Some(error));
                }
            }
        }
        assert!(piece.is_empty(), "nothing is left over");
    }
    (heard, None)
}

pub(super) fn hear(bytes: &[u8], steps: &[usize]) -> Heard {
    hear_on(&mut Decoder::new(deflate()), bytes, steps)
}
