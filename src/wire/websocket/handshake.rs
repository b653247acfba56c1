//! The opening handshake (RFC 6455 §4.2), from a parsed head to the bytes of the response.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::DeflateAnswer;
use crate::wire::http1::{Framing, Head, Status, Version};

/// A handshake that may be completed. Whether it should be (origin, limits, who it is) is for the
/// caller to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// The value of Sec-WebSocket-Accept, in base64.
    accept: [u8; ACCEPT_LEN],
}

/// 20 bytes of SHA-1 in base64.
const ACCEPT_LEN: usize = 28;

/// 16 bytes in base64.
const KEY_LEN: usize = 24;

/// What every server of this protocol adds to the key (§1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Padding is required. What its unused bits hold does not matter to anyone, so any will do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// A handshake that is refused. The text is for whoever sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Another method.
    #[error("a websocket opens with the method GET")]
    Method,
    /// HTTP/1.0.
    #[error("a websocket needs HTTP/1.1")]
    Http10,
    /// No `Upgrade: websocket`: a plain request, or a proxy that does not pass the header on.
    #[error(
        "the request asks for no websocket: send `Upgrade: websocket`; a proxy must pass it on"
    )]
    Upgrade,
    /// `Upgrade` is not among the options of Connection.
    #[error("the connection header does not name the upgrade: send `Connection: Upgrade`")]
    Connection,
    /// Bytes follow the head that would be no frames.
    #[error("the request has a body: a websocket opens without one")]
    Body,
    /// Another version of the protocol, or none.
    #[error("this version of the websocket protocol is not spoken here: use 13")]
    Version,
    /// No key, several, or one that is not 16 bytes.
    #[error("the sec-websocket-key header is malformed: send one, of 16 bytes in base64")]
    Key,
}

impl HandshakeError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Method => Status(405),
            Self::Version => Status(426),
            Self::Http10 | Self::Upgrade | Self::Connection | Self::Body | Self::Key => Status(400),
        }
    }

    /// The headers that belong into the answer: the version that would be right (RFC 6455 §4.4),
    /// and what the status demands.
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Method => &[("Allow", "GET"), ("Sec-WebSocket-Version", "13")],
            Self::Version => &[
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
            ],
            Self::Http10 | Self::Upgrade | Self::Connection | Self::Body | Self::Key => {
                &[("Sec-WebSocket-Version", "13")]
            }
        }
    }
}

impl Handshake {
    /// Reads a request to open a websocket.
    ///
    /// # Errors
    /// See [`HandshakeError`]; each has its status and headers.
    pub fn read(head: &Head<'_>) -> Result<Self, HandshakeError> {
        if head.method != "GET" {
            return Err(HandshakeError::Method);
        }
        if head.version == Version::Http10 {
            return Err(HandshakeError::Http10);
        }
        if !names(head, "upgrade", "websocket") {
            return Err(HandshakeError::Upgrade);
        }
        if !names(head, "connection", "upgrade") {
            return Err(HandshakeError::Connection);
        }
        if !matches!(head.framing, Framing::Empty | Framing::Length(0)) {
            return Err(HandshakeError::Body);
        }
        if head.header("sec-websocket-version") != Some("13") {
            return Err(HandshakeError::Version);
        }
        let mut keys = head.headers("sec-websocket-key");
        match (keys.next(), keys.next()) {
            (Some(key), None) if is_key(key) => Ok(Self { accept: accept(key) }),
            _ => Err(HandshakeError::Key),
        }
    }
}

/// The first subprotocol the client offers that is among `known`, to be named in the response;
/// `None` when it offers none of them, also with an empty header, as some SDKs send it.
#[must_use]
pub fn choose_protocol(head: &Head<'_>, known: &[&'static str]) -> Option<&'static str> {
    let mut offered = head.headers("sec-websocket-protocol").flat_map(list);
    offered.find_map(|offered| known.iter().find(|known| **known == offered).copied())
}

/// Appends the response that completes a handshake, `protocol` and `deflate` as they were agreed
/// on. Frames may follow at once.
pub fn write_handshake_response(
    out: &mut Vec<u8>,
    handshake: &Handshake,
    protocol: Option<&'static str>,
    deflate: Option<DeflateAnswer>,
) {
    out.extend_from_slice(b"HTTP/1.1 101 ");
    out.extend_from_slice(Status(101).reason().as_bytes());
    out.extend_from_slice(b"\r\nUpgrade: websocket\r\nConnection: Upgrade");
    let mut write_field = |name: &[u8], value: &[u8]| {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
    };
    write_field(b"Sec-WebSocket-Accept", &handshake.accept);
    if let Some(protocol) = protocol {
        write_field(b"Sec-WebSocket-Protocol", protocol.as_bytes());
    }
    if let Some(deflate) = deflate {
        write_field(b"Sec-WebSocket-Extensions", deflate.header_value().as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// The elements of a comma-separated list; empty ones included.
fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(|element| element.trim_matches([' ', '\t']))
}

/// Whether the list that is this header has `token` in it, in any case.
fn names(head: &Head<'_>, header: &str, token: &str) -> bool {
    head.headers(header).flat_map(list).any(|element| element.eq_ignore_ascii_case(token))
}

fn is_key(key: &str) -> bool {
    // Room for what 24 characters could be at most.
    let mut bytes = [0; 18];
    key.len() == KEY_LEN && BASE64.decode_slice(key, &mut bytes) == Ok(16)
}

fn accept(key: &str) -> [u8; ACCEPT_LEN] {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_bytes());
    digest.update(GUID);
    let mut accept = [0; ACCEPT_LEN];
    let written = BASE64.encode_slice(digest.finish(), &mut accept);
    debug_assert_eq!(written, Ok(ACCEPT_LEN), "20 bytes are 28 characters");
    accept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::parse_head;

    const GOOD: &str = "GET /ws HTTP/1.1|Host: a|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Version: 13|";

    fn read<T>(head: &str, what: impl FnOnce(&Head<'_>) -> T) -> T {
        let bytes = format!("{head}|").replace('|', "\r\n").into_bytes();
        what(&parse_head(&bytes).unwrap())
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        for (protocol, deflate, more) in [
            (None, None, ""),
            (Some("centrifuge-json"), None, "Sec-WebSocket-Protocol: centrifuge-json|"),
            (
                None,
                super::super::client::deflate(),
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover|",
            ),
        ] {
            let handshake = read(GOOD, Handshake::read).unwrap();
            let mut out = Vec::new();
            write_handshake_response(&mut out, &handshake, protocol, deflate);
            assert_eq!(
                String::from_utf8(out).unwrap().replace("\r\n", "|"),
                format!(
                    "HTTP/1.1 101 Switching Protocols|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=|{more}|"
                )
            );
        }
    }

    #[test]
    fn a_handshake_may_be_worded_in_many_ways() {
        for (from, to) in [
            ("Upgrade: websocket", "upgrade: h2c,\tWebSocket"),
            ("Connection: Upgrade", "connection: keep-alive|Connection: close , upgrade"),
            ("GET /ws", "GET /any?format=protobuf"),
            ("ZQ==", "ZR=="),
            ("Version: 13|", "Version: 13|Content-Length: 0|"),
        ] {
            assert!(read(&GOOD.replace(from, to), Handshake::read).is_ok(), "{to}");
        }
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        use HandshakeError::*;
        for (from, to, error) in [
            ("GET", "POST", Method),
            ("GET", "get", Method),
            ("HTTP/1.1", "HTTP/1.0", Http10),
            ("Upgrade: websocket|", "", Upgrade),
            ("Upgrade: websocket", "Upgrade: websockets", Upgrade),
            ("Connection: Upgrade|", "", Connection),
            ("Connection: Upgrade", "Connection: keep-alive", Connection),
            ("Version: 13|", "Version: 13|Content-Length: 5|", Body),
            ("Version: 13|", "Version: 13|Transfer-Encoding: chunked|", Body),
            ("Sec-WebSocket-Version: 13|", "", Version),
            ("Version: 13", "Version: 8", Version),
            ("Version: 13", "Version: 13, 8", Version),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|", "", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQAA", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!==", Key),
            ("ZQ==|", "ZQ==|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|", Key),
        ] {
            assert_eq!(read(&GOOD.replace(from, to), Handshake::read), Err(error), "{to}");
            let status = error.status().0;
            assert_eq!(error.headers().contains(&("Upgrade", "websocket")), status == 426);
            assert!(error.headers().contains(&("Sec-WebSocket-Version", "13")));
        }
    }

    #[test]
    fn the_clients_first_known_protocol_is_chosen() {
        const KNOWN: &[&str] = &["centrifuge-json", "centrifuge-protobuf"];
        for (headers, chosen) in [
            ("", None),
            ("Sec-WebSocket-Protocol:|", None),
            ("Sec-WebSocket-Protocol: graphql-ws, Centrifuge-JSON|", None),
            ("Sec-WebSocket-Protocol: centrifuge-json|", Some(KNOWN[0])),
            ("Sec-WebSocket-Protocol: x,, centrifuge-protobuf,centrifuge-json|", Some(KNOWN[1])),
            (
                "Sec-WebSocket-Protocol: x|Sec-WebSocket-Protocol: centrifuge-protobuf|",
                Some(KNOWN[1]),
            ),
        ] {
            let head = format!("{GOOD}{headers}");
            assert_eq!(read(&head, |head| choose_protocol(head, KNOWN)), chosen, "{headers}");
        }
    }
}
