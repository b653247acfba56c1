//! Frames of a server: unmasked, whole, written straight into an output buffer. They say nothing
//! about who receives them, so one frame can be sent to many.

use super::{CLOSE_REASON_BYTES_MAX, CONTROL_BYTES_MAX, Kind};

const FINAL: u8 = 0x80;
/// RSV1, which says that a message is compressed.
pub(super) const COMPRESSED: u8 = 0x40;
const CLOSE: u8 = FINAL | 0x8;
const PING: u8 = FINAL | 0x9;
const PONG: u8 = FINAL | 0xa;

/// Appends what `content` appends as one message in one frame; an empty one if it appends nothing.
/// `content` must only append. More than 125 bytes are moved once, to make room for their length.
pub fn write_message(out: &mut Vec<u8>, kind: Kind, content: impl FnOnce(&mut Vec<u8>)) {
    write_frame(out, first_byte(kind), content);
}

/// Appends a ping, which the peer answers with a pong of the same payload. Of more than
/// [`CONTROL_BYTES_MAX`] bytes the first are sent.
pub fn write_ping(out: &mut Vec<u8>, payload: &[u8]) {
    write_control(out, PING, payload);
}

/// Appends a pong, under the same rule.
pub fn write_pong(out: &mut Vec<u8>, payload: &[u8]) {
    write_control(out, PONG, payload);
}

/// Appends a close frame. `code` is sent as it is, except that [`super::NO_CLOSE_CODE`] sends
/// none: so the code of [`super::Event::Close`] can be echoed. A reason of more than
/// [`CLOSE_REASON_BYTES_MAX`] bytes is cut between two characters.
pub fn write_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    if code == super::NO_CLOSE_CODE {
        return write_control(out, CLOSE, &[]);
    }
    let reason_len = reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX);
    write_frame(out, CLOSE, |out| {
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(reason.as_bytes().get(..reason_len).unwrap_or_default());
    });
}

fn write_control(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    debug_assert!(payload.len() <= CONTROL_BYTES_MAX, "a control frame has at most 125 bytes");
    let payload = payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload);
    write_frame(out, first, |out| out.extend_from_slice(payload));
}

/// The first byte of a frame that is a whole message.
pub(super) const fn first_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Text => FINAL | 0x1,
        Kind::Binary => FINAL | 0x2,
    }
}

/// Room left for the length: one byte fits most pushes, and is then filled in without moving what
/// follows.
const LENGTH_USUAL: u8 = 0;

/// Appends a frame that starts with the byte `first`.
pub(super) fn write_frame(out: &mut Vec<u8>, first: u8, content: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[first, LENGTH_USUAL]);
    let start = out.len();
    content(out);
    debug_assert!(out.len() >= start, "content only appends");
    let len = out.len().saturating_sub(start);
    let short_at = start.saturating_sub(1);
    let short = match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..=125), _) => len,
        (_, Ok(len)) => {
            out.splice(start..start, len.to_be_bytes());
            126
        }
        // A length of memory always fits 64 bits.
        (_, Err(_)) => {
            out.splice(start..start, u64::try_from(len).unwrap_or(u64::MAX).to_be_bytes());
            127
        }
    };
    if let Some(byte) = out.get_mut(short_at) {
        *byte = short;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>), head: &[u8], payload: &[u8]) {
        let mut out = b"earlier".to_vec();
        write(&mut out);
        assert_eq!(out, [b"earlier", head, payload].concat());
    }

    #[test]
    fn a_frame_has_the_shortest_length_that_fits() {
        for (len, head) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xffff, &[0x81, 126, 0xff, 0xff]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let payload = vec![b'x'; len];
            let content = |out: &mut Vec<u8>| out.extend_from_slice(&payload);
            check(|out| write_message(out, Kind::Text, content), head, &payload);
        }
        check(|out| write_message(out, Kind::Binary, |out| out.push(0)), &[0x82, 1], &[0]);
    }

    #[test]
    fn control_frames_are_written_as_the_peer_can_read_them() {
        check(|out| write_ping(out, b""), &[0x89, 0], b"");
        check(|out| write_pong(out, b"abc"), &[0x8a, 3], b"abc");
        check(|out| write_close(out, 3005, "force"), &[0x88, 7, 0x0b, 0xbd], b"force");
        check(|out| write_close(out, 1000, ""), &[0x88, 2, 0x03, 0xe8], b"");
        check(|out| write_close(out, 1005, "unsaid"), &[0x88, 0], b"");
    }

    #[test]
    fn a_long_close_reason_is_cut_between_characters() {
        let reason = format!("{}é and more", "x".repeat(122));
        check(|out| write_close(out, 1000, &reason), &[0x88, 124, 0x03, 0xe8], &[b'x'; 122]);
        let reason = format!("{}é and more", "x".repeat(121));
        let kept = reason.get(..123).unwrap().as_bytes();
        check(|out| write_close(out, 1000, &reason), &[0x88, 125, 0x03, 0xe8], kept);
    }
}
