//! WebSocket frames written and read by hand (RFC 6455 §5.2): the codec under test never judges
//! itself.

/// Opcodes (RFC 6455 §11.8).
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A frame of the server.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// Whether a frame ends its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Last,
    More,
}

/// A frame of a client.
pub(crate) fn masked(opcode: u8, part: Part, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let first = if part == Part::Last { opcode | FIN } else { opcode };
    let mut frame = vec![first];
    match u16::try_from(payload.len()).expect("the simulation says nothing that long") {
        short @ 0..=125 => frame.push(MASKED | short.to_be_bytes()[1]),
        long => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&long.to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Frames that no client may send, each with the code it is told for it.
pub(crate) fn broken(which: usize) -> (Vec<u8>, u32) {
    let mask = [1, 2, 3, 4];
    match which % 5 {
        0 => (vec![FIN | TEXT, 2, b'{', b'}'], 1002),
        1 => (masked(3, Part::Last, b"reserved", mask), 1002),
        2 => (masked(CONTINUATION, Part::Last, b"of nothing", mask), 1002),
        3 => (masked(TEXT, Part::Last, b"\xff\xfe", mask), 1007),
        _ => (vec![FIN | TEXT, MASKED | 127, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4], 1009),
    }
}

/// Takes the next whole frame off what a client got.
pub(crate) fn next(received: &mut Vec<u8>) -> Option<Frame> {
    let [first, second, rest @ ..] = received.as_slice() else { return None };
    assert_eq!(first & 0x70, 0, "nothing was agreed on that a reserved bit could mean");
    assert_ne!(first & FIN, 0, "the server sends whole messages");
    assert_eq!(second & MASKED, 0, "a server masks nothing");
    let (header_len, len) = match (second, rest) {
        (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        (126, _) => return None,
        (127, _) => panic!("the server says nothing that long"),
        (short, _) => (2, usize::from(*short)),
    };
    if received.len() < header_len + len {
        return None;
    }
    let opcode = first & 0x0f;
    let payload = received.drain(..header_len + len).skip(header_len).collect();
    Some(Frame { opcode, payload })
}
