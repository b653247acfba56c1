//! The client's side of HTTP/2 (RFC 9113) as far as it takes to hold many gRPC streams that the
//! server writes to, one request message each. Sans-IO.
//!
//! Response headers are not decoded: that a stream is accepted shows in its first message, that
//! it is over shows in a flag.

use crate::http::Malformed;

/// Streams of one connection: what gRPC servers commonly allow.
pub(crate) const STREAMS_MAX: usize = 100;

/// The method every stream calls.
const PATH: &str = "/centrifugal.centrifugo.unistream.CentrifugoUniStream/Consume";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Largest payload a peer may send unasked (RFC 9113 §4.2).
const PAYLOAD_BYTES_MAX: usize = 16_384;

/// Longest gRPC message accepted.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// What may be sent before the server has given more (RFC 9113 §6.9.2): every request of a
/// connection fits, so that nothing here ever waits.
const WINDOW_BYTES: usize = 65_535;

/// The largest window (RFC 9113 §6.9.1): no run receives that much, so it is given once.
const WINDOW_BYTES_MAX: u32 = 0x7FFF_FFFF;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Flags; `ACK` and `END_STREAM` share a bit.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// What came on one stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said<'b> {
    /// A gRPC message.
    Message(&'b [u8]),
    /// The stream is over, with what was seen of it.
    Ended(String),
}

/// A connection and its streams, numbered from 0 in the order they were asked for.
pub(crate) struct Connection {
    /// The header block of every request.
    headers: Vec<u8>,
    /// What must be sent.
    out: Vec<u8>,
    /// A frame of which the end has not come.
    cut: Vec<u8>,
    /// Per stream a message of which the end has not come.
    streams: Vec<Vec<u8>>,
    /// Bytes of requests that may still be sent.
    window: usize,
}

impl Connection {
    pub(crate) fn new(host: &str) -> Self {
        let mut out = PREFACE.to_vec();
        // ENABLE_PUSH = 0, INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2).
        let mut settings = vec![0, 2, 0, 0, 0, 0, 0, 4];
        settings.extend_from_slice(&WINDOW_BYTES_MAX.to_be_bytes());
        put_frame(&mut out, SETTINGS, 0, 0, &settings);
        let window = u32::try_from(WINDOW_BYTES).expect("16 bits");
        let more = (WINDOW_BYTES_MAX - window).to_be_bytes();
        put_frame(&mut out, WINDOW_UPDATE, 0, 0, &more);
        let headers = header_block(host);
        Self { headers, out, cut: Vec::new(), streams: Vec::new(), window: WINDOW_BYTES }
    }

    /// Opens the next stream with this request message.
    pub(crate) fn request(&mut self, message: &[u8]) {
        assert!(self.streams.len() < STREAMS_MAX, "the caller opens no more");
        let mut body = vec![0];
        body.extend_from_slice(&len_u32(message).to_be_bytes());
        body.extend_from_slice(message);
        let left = self.window.checked_sub(body.len());
        self.window = left.expect("all requests of a connection fit its first window");
        let id = u32::try_from(2 * self.streams.len() + 1).expect("few streams");
        put_frame(&mut self.out, HEADERS, END_HEADERS, id, &self.headers);
        put_frame(&mut self.out, DATA, END_STREAM, id, &body);
        self.streams.push(Vec::new());
    }

    /// The bytes to send now; empty if there are none.
    pub(crate) fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Reads on, handing over what came on which stream.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        mut said: impl FnMut(usize, Said<'_>),
    ) -> Result<(), Malformed> {
        let cut = std::mem::take(&mut self.cut);
        let joined = if cut.is_empty() { None } else { Some([&cut, bytes].concat()) };
        let mut rest = joined.as_deref().unwrap_or(bytes);
        while let Some((frame, len)) = parse(rest)? {
            self.on_frame(frame, &mut said)?;
            rest = &rest[len..];
        }
        self.cut = rest.to_vec();
        Ok(())
    }

    fn on_frame(
        &mut self,
        frame: Frame<'_>,
        said: &mut impl FnMut(usize, Said<'_>),
    ) -> Result<(), Malformed> {
        let Frame { kind, flags, id, payload } = frame;
        match kind {
            SETTINGS if flags & ACK == 0 => put_frame(&mut self.out, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => put_frame(&mut self.out, PING, ACK, 0, payload),
            GOAWAY if payload.get(4..8) != Some(&[0; 4]) => {
                return Err(Malformed("HTTP/2 refused by the server (GOAWAY)"));
            }
            RST_STREAM => {
                let code = payload.try_into().map(u32::from_be_bytes).unwrap_or_default();
                let why = format!("stream reset with HTTP/2 error {code}");
                said(self.index(id)?, Said::Ended(why));
            }
            HEADERS | DATA => {
                let index = self.index(id)?;
                if kind == DATA {
                    let data = unpad(flags, payload)?;
                    self.on_data(index, data, &mut |message| said(index, Said::Message(message)))?;
                }
                if flags & END_STREAM != 0 {
                    said(index, Said::Ended("stream ended by the server".to_owned()));
                }
            }
            // Acknowledgements, windows and what else RFC 9113 §4.1 wants ignored.
            _ => {}
        }
        Ok(())
    }

    fn index(&self, id: u32) -> Result<usize, Malformed> {
        let index = usize::try_from(id / 2).ok().filter(|index| *index < self.streams.len());
        index.filter(|_| id % 2 == 1).ok_or(Malformed("an HTTP/2 stream nobody opened"))
    }

    /// Messages with a flag and their length in front (gRPC over HTTP/2, "Length-Prefixed-Message").
    fn on_data(
        &mut self,
        index: usize,
        data: &[u8],
        message: &mut impl FnMut(&[u8]),
    ) -> Result<(), Malformed> {
        let cut = &mut self.streams[index];
        let joined = if cut.is_empty() { None } else { Some([&cut[..], data].concat()) };
        let mut rest = joined.as_deref().unwrap_or(data);
        while let [compressed, a, b, c, d, after @ ..] = rest {
            let len = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
            if *compressed != 0 || len > MESSAGE_BYTES_MAX {
                return Err(Malformed("a gRPC message compressed or too long"));
            }
            let Some((whole, next)) = after.split_at_checked(len) else { break };
            message(whole);
            rest = next;
        }
        *cut = rest.to_vec();
        Ok(())
    }
}

/// A frame as it stands on the wire (RFC 9113 §4.1).
#[derive(Clone, Copy)]
struct Frame<'b> {
    kind: u8,
    flags: u8,
    id: u32,
    payload: &'b [u8],
}

/// One frame and its length; `None` while it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
    let [a, b, c, kind, flags, d, e, f, g, rest @ ..] = bytes else { return Ok(None) };
    let len = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
    if len > PAYLOAD_BYTES_MAX {
        return Err(Malformed("an HTTP/2 frame too long"));
    }
    let Some(payload) = rest.get(..len) else { return Ok(None) };
    // The first bit is reserved and ignored.
    let id = u32::from_be_bytes([*d, *e, *f, *g]) & WINDOW_BYTES_MAX;
    Ok(Some((Frame { kind: *kind, flags: *flags, id, payload }, 9 + len)))
}

/// The data of a frame that may be padded (RFC 9113 §6.1).
fn unpad(flags: u8, payload: &[u8]) -> Result<&[u8], Malformed> {
    if flags & PADDED == 0 {
        return Ok(payload);
    }
    let unpadded = payload.split_first().and_then(|(padding, rest)| {
        let len = rest.len().checked_sub(usize::from(*padding))?;
        rest.get(..len)
    });
    unpadded.ok_or(Malformed("padding of an HTTP/2 frame"))
}

fn put_frame(out: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    out.extend_from_slice(&len_u32(payload).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(payload);
}

fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("nothing sent here is that long")
}

/// The request's headers, none of them entered into a table (RFC 7541 §6.1, §6.2.2, Appendix A).
fn header_block(host: &str) -> Vec<u8> {
    // `:method POST` and `:scheme http`.
    let mut block = vec![0x83, 0x86];
    // Names of the static table: `:path`, `:authority`, `content-type` (15 + 16).
    for (name, value) in [(&[0x04][..], PATH), (&[0x01], host), (&[0x0F, 0x10], "application/grpc")]
    {
        block.extend_from_slice(name);
        put_text(&mut block, value);
    }
    block.push(0);
    put_text(&mut block, "te");
    put_text(&mut block, "trailers");
    block
}

fn put_text(block: &mut Vec<u8>, text: &str) {
    let len = u8::try_from(text.len()).ok().filter(|len| *len < 127);
    block.push(len.expect("paths and addresses are short"));
    block.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
