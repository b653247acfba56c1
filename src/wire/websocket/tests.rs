//! Frames as bytes: what is read from them and why they are refused.

use flate2::{Compress, Compression, FlushCompress};

use super::client::{LIMITS, MASK, Said, deflate, frame, hear, hear_on};
use super::*;

/// Frames with the usual mask, one after the other.
fn frames(frames: &[(u8, &[u8])]) -> Vec<u8> {
    frames.iter().flat_map(|(first, payload)| frame(*first, MASK, payload)).collect()
}

fn text(text: &str) -> Said {
    Said::Text(text.to_owned())
}

/// In one piece, and byte by byte.
#[track_caller]
fn check(bytes: &[u8], said: &[Said], error: Option<FrameError>) {
    let expected = (said.to_vec(), error);
    assert_eq!(hear(bytes, &[]), expected, "{}", bytes.escape_ascii());
    assert_eq!(hear(bytes, &vec![1; bytes.len()]), expected, "{}", bytes.escape_ascii());
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    check(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[text("Hello")], None);
    check(b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[Said::Pong(b"Hello".into())], None);
    check(&frames(&[(0x01, b"Hel"), (0x80, b"lo")]), &[text("Hello")], None);
    // RFC 7692 §7.2.3: a block, fragments of it, no compression, a final block, two blocks.
    let compressed = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    check(&frames(&[(0xc1, compressed)]), &[text("Hello")], None);
    check(&frames(&[(0x41, &compressed[..3]), (0x80, &compressed[3..])]), &[text("Hello")], None);
    for payload in [
        &b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"[..],
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ] {
        check(&frames(&[(0xc1, payload)]), &[text("Hello")], None);
    }
    // An empty message, as it should be and as it may come.
    check(
        &frames(&[(0xc1, b"\0"), (0xc1, b"\x02\0"), (0xc1, b"")]),
        &[text(""), text(""), text("")],
        None,
    );
}

#[test]
fn frames_that_break_the_rules_are_refused() {
    use FrameError::*;
    let masked = |head: &[u8]| [head, &MASK, &[0; 200]].concat();
    for (bytes, error) in [
        (masked(&[0x91, 0x80]), ReservedBit),
        (masked(&[0xa1, 0x80]), ReservedBit),
        (masked(&[0xc9, 0x80]), ReservedBit),
        (masked(&[0xc8, 0x80]), ReservedBit),
        (masked(&[0xc0, 0x80]), ReservedBit),
        (masked(&[0x83, 0x80]), Opcode),
        (masked(&[0x87, 0x80]), Opcode),
        (masked(&[0x8b, 0x80]), Opcode),
        (masked(&[0x8f, 0x80]), Opcode),
        (masked(&[0x81, 0x05]), NotMasked),
        (masked(&[0x89, 0x00]), NotMasked),
        (masked(&[0x81, 0xfe, 0, 125]), LengthNotMinimal),
        (masked(&[0x81, 0xfe, 0, 0]), LengthNotMinimal),
        (masked(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), LengthNotMinimal),
        (masked(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]), LengthTopBit),
        (masked(&[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), LengthTopBit),
        (masked(&[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), MessageTooLong),
        (masked(&[0x09, 0x80]), ControlFragmented),
        (masked(&[0x08, 0x80]), ControlFragmented),
        (masked(&[0x0a, 0x80]), ControlFragmented),
        (masked(&[0x89, 0xfe, 0, 126]), ControlTooLong),
        (masked(&[0x88, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]), ControlTooLong),
        (masked(&[0x80, 0x80]), NothingToContinue),
        (masked(&[0x00, 0x80]), NothingToContinue),
        (frames(&[(0x01, b"a"), (0x81, b"b")]), MessageInMessage),
        (frames(&[(0x02, b""), (0x02, b"")]), MessageInMessage),
        (frames(&[(0x88, b"\x03")]), CloseCodeCut),
        (frames(&[(0x88, b"\x03\xe8\xff")]), CloseReasonNotUtf8),
        (frames(&[(0x81, b"\xc0\xaf")]), TextNotUtf8),
        (frames(&[(0x81, b"\xf0\x9f\x98")]), TextNotUtf8),
        (frames(&[(0x01, b"\xf0\x9f"), (0x80, b"\x98")]), TextNotUtf8),
        (frames(&[(0x01, b"\xf0\x9f"), (0x00, b"a")]), TextNotUtf8),
        (frames(&[(0x01, b"\xed\xa0\x80")]), TextNotUtf8),
        (frames(&[(0xc1, b"\xff")]), Deflate),
        (frames(&[(0xc2, b"\xf2\x48\xcd")]), Deflate),
        (frames(&[(0xc1, b"\x02\x80\x00\x00\x00")]), Deflate),
        (frames(&[(0xc1, b"\x00\x01\x00\xfe\xff\xff\x00")]), TextNotUtf8),
    ] {
        check(&bytes, &[], Some(error));
        assert!(error.close_reason().len() <= CLOSE_REASON_BYTES_MAX, "{error}");
        assert!(matches!(error.close_code(), 1002 | 1007 | 1009), "{error}");
    }
    let not_agreed = hear_on(&mut Decoder::new(None), &frames(&[(0xc1, b"\0")]), &[]);
    assert_eq!(not_agreed, (vec![], Some(ReservedBit)));
}

#[test]
fn a_text_that_cannot_become_utf8_is_refused_before_it_ends() {
    let cut = &frame(0x81, MASK, b"ab\xffmore that never comes")[..9];
    check(cut, &[], Some(FrameError::TextNotUtf8));
    let halves = frames(&[(0x01, "\u{3ba}".as_bytes().split_at(1).0), (0x00, b"\xba\xff")]);
    check(&halves, &[], Some(FrameError::TextNotUtf8));
}

#[test]
fn only_codes_that_may_be_sent_are_taken_from_a_close_frame() {
    for code in 0..=u16::MAX {
        let bytes = frame(0x88, MASK, &code.to_be_bytes());
        let may = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let (said, error) = hear(&bytes, &[]);
        if may {
            assert_eq!((said, error), (vec![Said::Close(code, String::new())], None));
        } else {
            assert_eq!((said, error), (vec![], Some(FrameError::CloseCode)));
        }
    }
}

#[test]
fn nothing_is_heard_after_a_close_frame() {
    let said = Said::Close(1001, "bye é".to_owned());
    let close = [&1001_u16.to_be_bytes(), "bye é".as_bytes()].concat();
    check(&frames(&[(0x88, &close), (0x81, b"late"), (0xff, b"")]), &[said], None);
    let said = Said::Close(NO_CLOSE_CODE, String::new());
    check(&frames(&[(0x01, b"half"), (0x88, b""), (0x80, b"")]), &[said], None);
}

#[test]
fn control_frames_stand_between_fragments() {
    let ping = vec![b'p'; CONTROL_BYTES_MAX];
    let bytes = frames(&[
        (0x01, "é".as_bytes().split_at(1).0),
        (0x89, &ping),
        (0x00, b""),
        (0x8a, b""),
        (0x80, "é".as_bytes().split_at(1).1),
        (0x82, b"\xff"),
    ]);
    let said = [Said::Ping(ping), Said::Pong(vec![]), text("é"), Said::Binary(vec![0xff])];
    check(&bytes, &said, None);
}

#[test]
fn a_message_of_the_longest_length_passes() {
    let (longest, longer) = ("x".repeat(1000), "x".repeat(1001));
    check(&frame(0x81, MASK, longest.as_bytes()), &[text(&longest)], None);
    check(&frame(0x81, MASK, longer.as_bytes())[..8], &[], Some(FrameError::MessageTooLong));
    let (front, back) = longest.as_bytes().split_at(400);
    check(&frames(&[(0x01, front), (0x80, back)]), &[text(&longest)], None);
    let whole = frames(&[(0x01, front), (0x00, back), (0x80, b"x")]);
    check(&whole[..whole.len() - 1], &[], Some(FrameError::MessageTooLong));
    assert_eq!(FrameError::MessageTooLong.close_reason(), "");
}

fn compress(message: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(message.len() + 64);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(message, &mut compressed, FlushCompress::Sync).unwrap();
    compressed.truncate(compressed.len() - 4);
    compressed
}

#[test]
fn an_inflated_message_has_a_ceiling_of_its_own() {
    let longest = "x".repeat(3000);
    check(&frame(0xc1, MASK, &compress(longest.as_bytes())), &[text(&longest)], None);
    for len in [3001, 4096, 900_000] {
        let bomb = frame(0xc1, MASK, &compress(&vec![b'x'; len]));
        assert!(bomb.len() < 1000);
        check(&bomb, &[], Some(FrameError::InflatedTooLong));
    }
}

/// One byte of the message below is too many already, and what follows it is malformed. How much
/// room an earlier message of another connection left behind must not decide which of the two is
/// said.
#[test]
fn what_was_read_before_does_not_change_what_is_said() {
    let limits = Limits { inflated_bytes_max: 0, ..LIMITS };
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        let mut decoder = Decoder::new(deflate());
        let mut bytes = frame(0xc1, MASK, b"\x13\x87\x62\x79\x65");
        let event = decoder.next(&mut &mut bytes[..], &limits, &mut scratch);
        assert_eq!(event, Err(FrameError::InflatedTooLong));

        let mut before = frames(&[(0x02, &[7; 100]), (0x80, b"")]);
        let mut bytes = &mut before[..];
        let event = Decoder::new(None).next(&mut bytes, &limits, &mut scratch);
        assert!(matches!(event, Ok(Some(Event::Message { .. }))));
    }
}

#[test]
fn what_one_large_message_took_is_given_back() {
    let limits = Limits { message_bytes_max: 1 << 20, inflated_bytes_max: 1 << 20 };
    let (mut decoder, mut scratch) = (Decoder::new(deflate()), Scratch::default());
    let large = vec![b'x'; 1 << 20];
    for first in [0xc1, 0x81] {
        let payload = if first == 0xc1 { compress(&large) } else { large.clone() };
        let mut bytes = frame(first, MASK, &payload);
        let (mut front, mut back) = bytes.split_at_mut(7);
        assert_eq!(decoder.next(&mut front, &limits, &mut scratch), Ok(None));
        assert!(decoder.is_amid());
        let event = decoder.next(&mut back, &limits, &mut scratch);
        assert_eq!(event, Ok(Some(Event::Message { kind: Kind::Text, payload: &large })));
        assert_eq!(decoder.next(&mut back, &limits, &mut scratch), Ok(None));
        assert!(!decoder.is_amid());
        assert!(scratch.bytes_kept() <= SHARED_BYTES_KEPT_MAX);
    }
}

#[test]
fn an_announced_length_reserves_nothing() {
    let limits = Limits { message_bytes_max: usize::MAX, ..LIMITS };
    let mut decoder = Decoder::new(None);
    let mut bytes = [&[0x82, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0][..], &MASK, b"x"].concat();
    let mut scratch = Scratch::default();
    let next = decoder.next(&mut &mut bytes[..], &limits, &mut scratch);
    assert_eq!(next, Ok(None));
    assert!(decoder.is_amid());
}
