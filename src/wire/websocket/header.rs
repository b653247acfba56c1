//! The header of one frame (RFC 6455 §5.2): what can be said of it without knowing what came
//! before.

use super::{CONTROL_BYTES_MAX, FrameError, Kind};

/// Longest header of a client's frame: two bytes, eight of length, four of mask.
pub(super) const HEADER_BYTES_MAX: usize = 14;

/// What a frame announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    /// Whether it is the last of its message.
    pub(super) is_final: bool,
    /// RSV1, which stands for the whole message (RFC 7692 §6).
    pub(super) coding: Coding,
    /// Bytes of payload. Not yet compared with any limit.
    pub(super) payload_len: u64,
    pub(super) mask: [u8; 4],
}

/// How a message was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coding {
    Plain,
    Deflated,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opcode {
    Continuation,
    Start(Kind),
    Control(Control),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    Close,
    Ping,
    Pong,
}

const FINAL: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// The header at the front of `bytes` and its length, once it is whole. Anything wrong is said at
/// the first byte that shows it.
pub(super) fn parse_header(bytes: &[u8]) -> Result<Option<(Header, usize)>, FrameError> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    if first & RSV2_RSV3 != 0 {
        return Err(FrameError::ReservedBit);
    }
    let opcode = match first & 0x0f {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Start(Kind::Text),
        0x2 => Opcode::Start(Kind::Binary),
        0x8 => Opcode::Control(Control::Close),
        0x9 => Opcode::Control(Control::Ping),
        0xa => Opcode::Control(Control::Pong),
        _ => return Err(FrameError::Opcode),
    };
    let is_final = first & FINAL != 0;
    let coding = if first & RSV1 == 0 { Coding::Plain } else { Coding::Deflated };
    let is_start = matches!(opcode, Opcode::Start(_));
    if coding == Coding::Deflated && !is_start {
        return Err(FrameError::ReservedBit);
    }
    let is_control = matches!(opcode, Opcode::Control(_));
    if is_control && !is_final {
        return Err(FrameError::ControlFragmented);
    }
    let Some((second, rest)) = rest.split_first() else { return Ok(None) };
    if second & MASKED == 0 {
        return Err(FrameError::NotMasked);
    }
    let short = second & !MASKED;
    if is_control && usize::from(short) > CONTROL_BYTES_MAX {
        return Err(FrameError::ControlTooLong);
    }
    let Some((payload_len, rest)) = read_len(short, rest)? else { return Ok(None) };
    let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
    let header = Header { opcode, is_final, coding, payload_len, mask: *mask };
    Ok(Some((header, bytes.len().saturating_sub(rest.len()))))
}

/// The length of the payload and what follows it.
fn read_len(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, FrameError> {
    match short {
        126 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            match u16::from_be_bytes(*len) {
                ..126 => Err(FrameError::LengthNotMinimal),
                len => Ok(Some((u64::from(len), rest))),
            }
        }
        127 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            match u64::from_be_bytes(*len) {
                ..0x1_0000 => Err(FrameError::LengthNotMinimal),
                0x8000_0000_0000_0000.. => Err(FrameError::LengthTopBit),
                len => Ok(Some((len, rest))),
            }
        }
        short => Ok(Some((u64::from(short), rest))),
    }
}
