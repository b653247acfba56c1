//! The client's side of WebSocket (RFC 6455), as much as this server may use: whole messages in
//! one frame each, no extension. Sans-IO.

use crate::http::{Head, Malformed, header};

/// Longest payload accepted.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// The mask of every frame sent: a server cannot tell that it never changes.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The key of every handshake, and what it must be answered with (RFC 6455 §1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The opening request; `protocol` is the one offered.
pub(crate) fn upgrade(host: &str, path: &str, protocol: Option<&str>) -> Vec<u8> {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
    );
    if let Some(protocol) = protocol {
        request.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// Whether the server agreed, and to exactly what was offered; `bytes` begin with the head.
pub(crate) fn check_upgraded(
    head: &Head,
    bytes: &[u8],
    protocol: Option<&str>,
) -> Result<(), Malformed> {
    let header = |name| header(&bytes[..head.len], name);
    let is = |name, value: &str| header(name).is_some_and(|is| is.eq_ignore_ascii_case(value));
    if head.status != 101 || !is("upgrade", "websocket") || !is("connection", "upgrade") {
        return Err(Malformed("not upgraded to WebSocket"));
    }
    if header("sec-websocket-accept") != Some(ACCEPT) {
        return Err(Malformed("sec-websocket-accept"));
    }
    if header("sec-websocket-protocol") != protocol {
        return Err(Malformed("another WebSocket protocol than offered"));
    }
    if header("sec-websocket-extensions").is_some() {
        return Err(Malformed("a WebSocket extension nobody offered"));
    }
    Ok(())
}

/// What a frame sent is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Text,
    Binary,
    Close,
    Pong,
}

/// Writes a whole masked frame.
pub(crate) fn write(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    out.push(match kind {
        Kind::Text => 0x81,
        Kind::Binary => 0x82,
        Kind::Close => 0x88,
        Kind::Pong => 0x8A,
    });
    match u8::try_from(payload.len()) {
        Ok(len @ ..126) => out.push(0x80 | len),
        Ok(_) | Err(_) => {
            let len = u16::try_from(payload.len()).expect("nothing sent here is that long");
            out.push(0x80 | 126);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// A frame of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frame<'b> {
    /// Text or binary.
    Message(&'b [u8]),
    Ping(&'b [u8]),
    Pong,
    /// The last one; code 1005 stands for none (RFC 6455 §7.1.5).
    Close {
        code: u16,
        reason: &'b str,
    },
}

/// Frames wherever they are cut. Costs no heap between frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frames {
    cut: Vec<u8>,
}

impl Frames {
    pub(crate) const fn new() -> Self {
        Self { cut: Vec::new() }
    }

    /// Reads on, handing over each whole frame.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        mut frame: impl FnMut(Frame<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let cut = std::mem::take(&mut self.cut);
        let joined = if cut.is_empty() { None } else { Some([&cut, bytes].concat()) };
        let mut rest = joined.as_deref().unwrap_or(bytes);
        while let Some((found, len)) = parse(rest)? {
            frame(found)?;
            rest = &rest[len..];
        }
        self.cut = rest.to_vec();
        Ok(())
    }
}

/// One frame and its length; `None` while it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0xF0 != 0x80 {
        return Err(Malformed("a WebSocket frame in fragments or with reserved bits"));
    }
    let opcode = first & 0x0F;
    if second & 0x80 != 0 {
        return Err(Malformed("a masked WebSocket frame"));
    }
    if opcode >= 8 && *second > 125 {
        return Err(Malformed("a WebSocket control frame too long"));
    }
    let (len, rest) = match (second, rest) {
        (127, _) => return Err(Malformed("a WebSocket frame too long")),
        (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        (126, _) => return Ok(None),
        (len, rest) => (usize::from(*len), rest),
    };
    if len > PAYLOAD_BYTES_MAX {
        return Err(Malformed("a WebSocket frame too long"));
    }
    let Some(payload) = rest.get(..len) else { return Ok(None) };
    let whole = bytes.len() - rest.len() + len;
    let frame = match opcode {
        1 | 2 => Frame::Message(payload),
        8 => parse_close(payload)?,
        9 => Frame::Ping(payload),
        10 => Frame::Pong,
        _ => return Err(Malformed("an unknown WebSocket opcode")),
    };
    Ok(Some((frame, whole)))
}

fn parse_close(payload: &[u8]) -> Result<Frame<'_>, Malformed> {
    match payload {
        [] => Ok(Frame::Close { code: 1005, reason: "" }),
        [_] => Err(Malformed("half a WebSocket close code")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let reason = std::str::from_utf8(reason)
                .map_err(|_not_utf8| Malformed("a WebSocket close reason is not text"))?;
            Ok(Frame::Close { code, reason })
        }
    }
}

#[cfg(test)]
mod tests;
