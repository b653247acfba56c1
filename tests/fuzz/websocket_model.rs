//! WebSocket as a reader that has all the bytes would read it (RFC 6455, RFC 7692): nothing shared
//! with `wire` but its names for what is wrong.

use flate2::{Decompress, FlushDecompress, Status};
use rollcall::wire::http1::{Framing, Version};
use rollcall::wire::websocket::{DeflateAnswer, FrameError, HandshakeError, Kind, Limits};

use crate::http1_model::Head;

/// Everything frames say.
#[derive(PartialEq, Eq, Default, Debug)]
pub(crate) struct Heard {
    pub(crate) said: Vec<Said>,
    pub(crate) error: Option<FrameError>,
    /// Something has begun and not ended.
    pub(crate) is_amid: bool,
}

/// One thing they say.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

/// Reads all frames.
pub(crate) fn hear(bytes: &[u8], deflate: Option<DeflateAnswer>, limits: &Limits) -> Heard {
    let mut reader = Reader { rest: bytes, deflate, limits, message: None, said: Vec::new() };
    let end = reader.read();
    let is_amid = match end {
        Ok(()) => reader.message.is_some(),
        Err(End::Cut) => true,
        Err(End::Closed | End::Refused(_)) => false,
    };
    let error = match end {
        Err(End::Refused(error)) => Some(error),
        Ok(()) | Err(End::Cut | End::Closed) => None,
    };
    Heard { said: reader.said, error, is_amid }
}

/// Why reading ends before the bytes do.
enum End {
    Cut,
    Closed,
    Refused(FrameError),
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        Self::Refused(error)
    }
}

/// How much of a frame of data there is, and whether its message ends with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Cut,
    Whole,
    Last,
}

struct Message {
    kind: Kind,
    is_deflated: bool,
    bytes: Vec<u8>,
}

struct Reader<'b> {
    rest: &'b [u8],
    deflate: Option<DeflateAnswer>,
    limits: &'b Limits,
    message: Option<Message>,
    said: Vec<Said>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), End> {
        while !self.rest.is_empty() {
            self.frame()?;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, End> {
        self.rest.split_off_first().copied().ok_or(End::Cut)
    }

    fn big_endian(&mut self, len: usize) -> Result<u64, End> {
        let bytes = self.rest.split_off(..len).ok_or(End::Cut)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn frame(&mut self) -> Result<(), End> {
        let first = self.byte()?;
        let (is_final, rsv1, opcode) = (first & 0x80 != 0, first & 0x40 != 0, first & 0x0f);
        let is_control = opcode >= 8;
        if first & 0x30 != 0 {
            return Err(FrameError::ReservedBit.into());
        }
        if !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10) {
            return Err(FrameError::Opcode.into());
        }
        if rsv1 && !matches!(opcode, 1 | 2) {
            return Err(FrameError::ReservedBit.into());
        }
        if is_control && !is_final {
            return Err(FrameError::ControlFragmented.into());
        }
        let second = self.byte()?;
        if second < 0x80 {
            return Err(FrameError::NotMasked.into());
        }
        let len = match u64::from(second & 0x7f) {
            126.. if is_control => return Err(FrameError::ControlTooLong.into()),
            126 => Some(self.big_endian(2)?).filter(|len| *len > 125),
            127 => Some(self.big_endian(8)?).filter(|len| *len > 0xffff),
            len => Some(len),
        };
        let len = len.ok_or(FrameError::LengthNotMinimal)?;
        if len >= 1 << 63 {
            return Err(FrameError::LengthTopBit.into());
        }
        let mask = self.rest.split_off(..4).ok_or(End::Cut)?;
        if is_control {
            let payload = self.payload(len, mask);
            let is_whole = payload.len() as u64 == len;
            return if is_whole { self.control(opcode, payload) } else { Err(End::Cut) };
        }
        self.start(first)?;
        let held = self.message.as_ref().map_or(0, |message| message.bytes.len()) as u64;
        if held + len > self.limits.message_bytes_max as u64 {
            return Err(FrameError::MessageTooLong.into());
        }
        let payload = self.payload(len, mask);
        let part = match payload.len() as u64 == len {
            false => Part::Cut,
            true if is_final => Part::Last,
            true => Part::Whole,
        };
        self.data(&payload, part)
    }

    /// What there is of a payload, without its mask.
    fn payload(&mut self, len: u64, mask: &[u8]) -> Vec<u8> {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(self.rest.len());
        let bytes = self.rest.split_off(..len).unwrap_or_default();
        bytes.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect()
    }

    fn start(&mut self, first: u8) -> Result<(), End> {
        let is_deflated = first & 0x40 != 0;
        let kind = match (first & 0x0f, &self.message) {
            (0, None) => return Err(FrameError::NothingToContinue.into()),
            (0, Some(_)) => return Ok(()),
            (_, Some(_)) => return Err(FrameError::MessageInMessage.into()),
            (1, None) => Kind::Text,
            (_, None) => Kind::Binary,
        };
        if is_deflated && self.deflate.is_none() {
            return Err(FrameError::ReservedBit.into());
        }
        self.message = Some(Message { kind, is_deflated, bytes: Vec::new() });
        Ok(())
    }

    fn data(&mut self, payload: &[u8], part: Part) -> Result<(), End> {
        let message = self.message.as_mut().expect("one has started");
        message.bytes.extend_from_slice(payload);
        if message.kind == Kind::Text && !message.is_deflated {
            match str::from_utf8(&message.bytes) {
                Err(error) if error.error_len().is_some() || part == Part::Last => {
                    return Err(FrameError::TextNotUtf8.into());
                }
                Ok(_) | Err(_) => {}
            }
        }
        if part == Part::Cut {
            return Err(End::Cut);
        }
        let Some(message) = self.message.take_if(|_| part == Part::Last) else { return Ok(()) };
        let bytes = if message.is_deflated {
            inflate(&message.bytes, self.limits.inflated_bytes_max)?
        } else {
            message.bytes
        };
        if message.kind == Kind::Text && str::from_utf8(&bytes).is_err() {
            return Err(FrameError::TextNotUtf8.into());
        }
        self.said.push(Said::Message(message.kind, bytes));
        Ok(())
    }

    fn control(&mut self, opcode: u8, payload: Vec<u8>) -> Result<(), End> {
        match opcode {
            9 => self.said.push(Said::Ping(payload)),
            10 => self.said.push(Said::Pong(payload)),
            _ => {
                self.said.push(close(&payload)?);
                return Err(End::Closed);
            }
        }
        Ok(())
    }
}

fn close(payload: &[u8]) -> Result<Said, FrameError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(Said::Close(1005, String::new()))
        } else {
            Err(FrameError::CloseCodeCut)
        };
    };
    let code = u16::from_be_bytes(*code);
    if !(1000..5000).contains(&code) || matches!(code, 1004..=1006 | 1015..=2999) {
        return Err(FrameError::CloseCode);
    }
    let reason = str::from_utf8(reason).map_err(|_bytes| FrameError::CloseReasonNotUtf8)?;
    Ok(Said::Close(code, reason.to_owned()))
}

/// Inflates a message, fed with one byte at a time so that what is wrong is seen where it stands.
fn inflate(compressed: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
    let mut inflated = Vec::new();
    let mut rest = compressed;
    while !rest.is_empty() {
        // The empty block the sender left away, and a final one to see whether it ends there.
        let whole = [rest, &[0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]].concat();
        let (part, taken) = inflate_stream(&whole, max - inflated.len())?;
        inflated.extend_from_slice(&part);
        match taken {
            taken if taken == whole.len() => break,
            taken if taken <= rest.len() && taken > 0 => rest = &rest[taken..],
            _ => return Err(FrameError::Deflate),
        }
    }
    Ok(inflated)
}

/// One stream up to its end, and how many bytes it was.
fn inflate_stream(bytes: &[u8], max: usize) -> Result<(Vec<u8>, usize), FrameError> {
    let mut stream = Decompress::new(false);
    let mut inflated = Vec::new();
    let mut taken = 0;
    loop {
        let piece = &bytes[taken..bytes.len().min(taken + 1)];
        let mut part = Vec::with_capacity(1 << 16);
        let status = stream.decompress_vec(piece, &mut part, FlushDecompress::None);
        inflated.extend_from_slice(&part);
        if inflated.len() > max {
            return Err(FrameError::InflatedTooLong);
        }
        let before = taken;
        taken = usize::try_from(stream.total_in()).expect("what there is fits");
        match status {
            Ok(Status::StreamEnd) => return Ok((inflated, taken)),
            Ok(_) if taken > before || !part.is_empty() => {}
            Ok(_) | Err(_) => return Err(FrameError::Deflate),
        }
    }
}

/// The key of a handshake that may be completed.
pub(crate) fn key(head: &Head<'_>) -> Result<String, HandshakeError> {
    let names = |header: &str, token: &str| {
        let elements = texts(head, header).into_iter();
        elements
            .flat_map(|value| value.split(','))
            .any(|element| trim(element).eq_ignore_ascii_case(token))
    };
    if head.method != "GET" {
        return Err(HandshakeError::Method);
    }
    if head.version == Version::Http10 {
        return Err(HandshakeError::Http10);
    }
    if !names("upgrade", "websocket") {
        return Err(HandshakeError::Upgrade);
    }
    if !names("connection", "upgrade") {
        return Err(HandshakeError::Connection);
    }
    if !matches!(head.framing, Framing::Empty | Framing::Length(0)) {
        return Err(HandshakeError::Body);
    }
    let versions = values(head, "sec-websocket-version");
    if versions.first() != Some(&&b"13"[..]) {
        return Err(HandshakeError::Version);
    }
    match texts(head, "sec-websocket-key").as_slice() {
        [key] if is_key(key) => Ok((*key).to_owned()),
        _ => Err(HandshakeError::Key),
    }
}

/// 22 characters of base64 and two of padding: 16 bytes and four bits nobody looks at.
fn is_key(key: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.bytes().all(is_base64))
}

/// The first protocol offered that is known.
pub(crate) fn protocol<'k>(head: &Head<'_>, known: &[&'k str]) -> Option<&'k str> {
    let offered = texts(head, "sec-websocket-protocol").join(",");
    offered.split(',').find_map(|offer| known.iter().find(|known| **known == trim(offer))).copied()
}

/// The extensions of the answer.
pub(crate) fn extension_answer(head: &Head<'_>) -> Option<String> {
    let offers = texts(head, "sec-websocket-extensions").join(",");
    let accepted = offers.split(',').find_map(|offer| {
        let parts: Vec<&str> = offer.split(';').map(trim).collect();
        let (name, parameters) = parts.split_first()?;
        let good = parameters.iter().map(|text| parameter(text)).collect::<Option<Vec<_>>>()?;
        let repeats = (1..good.len()).any(|at| good[..at].contains(&good[at]));
        (*name == "permessage-deflate" && !repeats).then_some(good)
    })?;
    let window = if accepted.contains(&"server_max_window_bits") {
        "; server_max_window_bits=15"
    } else {
        ""
    };
    let takeovers = "server_no_context_takeover; client_no_context_takeover";
    Some(format!("permessage-deflate; {takeovers}{window}"))
}

/// The name of a parameter that can be kept.
fn parameter(text: &str) -> Option<&str> {
    let (name, value) = match text.split_once('=') {
        None => (text, None),
        Some((name, value)) => (trim(name), Some(trim(value))),
    };
    let value = match value {
        Some(quoted) if quoted.starts_with('"') => {
            let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            Some(inner?)
        }
        value => value,
    };
    let windows = ["8", "9", "10", "11", "12", "13", "14", "15"];
    let is_good = match (name, value) {
        ("server_no_context_takeover" | "client_no_context_takeover", value) => value.is_none(),
        ("client_max_window_bits", value) => value.is_none_or(|bits| windows.contains(&bits)),
        ("server_max_window_bits", value) => value == Some("15"),
        _ => false,
    };
    is_good.then_some(name)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn values<'b>(head: &Head<'b>, name: &str) -> Vec<&'b [u8]> {
    let named = head.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    named.map(|(_, value)| *value).collect()
}

fn texts<'b>(head: &Head<'b>, name: &str) -> Vec<&'b str> {
    values(head, name).into_iter().filter_map(|value| str::from_utf8(value).ok()).collect()
}
