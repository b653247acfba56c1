//! The payload of a close frame (RFC 6455 §5.5.1, §7.4).

use super::{CONTROL_BYTES_MAX, Event, FrameError};

/// What [`Event::Close`] has for a code when the frame had none. It never stands in a frame
/// (RFC 6455 §7.4.1).
pub const NO_CLOSE_CODE: u16 = 1005;

/// Longest reason of a close frame, in bytes.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// What a client says with its close frame.
pub(super) fn parse_close(payload: &[u8]) -> Result<Event<'_>, FrameError> {
    let (code, reason) = match payload {
        [] => return Ok(Event::Close { code: NO_CLOSE_CODE, reason: "" }),
        [_] => return Err(FrameError::CloseCodeCut),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !may_be_sent(code) {
        return Err(FrameError::CloseCode);
    }
    match simdutf8::basic::from_utf8(reason) {
        Ok(reason) => Ok(Event::Close { code, reason }),
        Err(_) => Err(FrameError::CloseReasonNotUtf8),
    }
}

/// Codes an endpoint may send: those of RFC 6455 §7.4.1 and of the registry that do not stand for
/// something that happened on its own side (1005, 1006, 1015), and those left to libraries (3000)
/// and applications (4000).
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
