//! The body of a request to `/emulation`: commands of a client whose replies leave on a stream
//! (client protocol v2, `EmulationRequest`).

use std::borrow::Cow;

use super::command::{Encoding, MessageError};
use super::members;
use super::protobuf::Reader;
use crate::ids::SessionId;

/// Whose commands, and which.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct EmulationRequest<'b> {
    /// The session; `None` when it is none this server can have given out. Whoever knows it may
    /// speak for it.
    pub session: Option<SessionId>,
    /// The node the session lives on, as its connect reply named it.
    pub node: Cow<'b, str>,
    /// For [`super::commands`], in the encoding of the body. What is wrong with it is the affair
    /// of the session, not of this request.
    pub data: Cow<'b, [u8]>,
}

impl<'b> EmulationRequest<'b> {
    /// Reads a body. In JSON `data` is a string; its commands are text in text.
    ///
    /// # Errors
    /// What is wrong with it: status 400.
    pub fn parse(encoding: Encoding, body: &'b [u8]) -> Result<Self, MessageError> {
        match encoding {
            Encoding::Json => Self::parse_json(body),
            Encoding::Protobuf => Self::parse_protobuf(body),
        }
    }

    fn parse_json(body: &'b [u8]) -> Result<Self, MessageError> {
        let text = members::text(body)?;
        if text.is_empty() {
            return Err(MessageError::Empty);
        }
        let (mut session, mut node, mut data) = (None, None, None);
        members::each_member(text, |key, value| {
            if key.eq_ignore_ascii_case("session") {
                session = Some(value);
            } else if key.eq_ignore_ascii_case("node") {
                node = Some(value);
            } else if key.eq_ignore_ascii_case("data") {
                data = Some(value);
            }
        })?;
        Ok(Self {
            session: SessionId::parse(&members::string("session", session)?),
            node: members::string("node", node)?,
            data: match members::string("data", data)? {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
        })
    }

    fn parse_protobuf(body: &'b [u8]) -> Result<Self, MessageError> {
        let mut request = Self::default();
        let mut reader = Reader(body);
        while let Some(field) = reader.field()? {
            match field.number {
                1 => request.node = Cow::Borrowed(field.text()?),
                2 => request.session = SessionId::parse(field.text()?),
                3 => request.data = Cow::Borrowed(field.bytes()?),
                _ => {}
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (Option<SessionId>, String, Vec<u8>);

    fn parse(encoding: Encoding, body: &[u8]) -> Result<Read, String> {
        let request = EmulationRequest::parse(encoding, body).map_err(|error| error.to_string())?;
        Ok((request.session, request.node.into_owned(), request.data.into_owned()))
    }

    const SESSION: &str = "22222222-2222-2222-2222-222222222222";

    const KNOWN: Option<SessionId> = Some(SessionId([0x22; 16]));

    fn read(session: Option<SessionId>, node: &str, data: &[u8]) -> Result<Read, String> {
        Ok((session, node.into(), data.into()))
    }

    #[test]
    fn a_json_body_carries_commands_as_a_string() {
        for (body, expected) in [
            (
                format!(r#"{{"session":"{SESSION}","node":"n1","data":"{{\"id\":2}}\n{{}}"}}"#),
                read(KNOWN, "n1", b"{\"id\":2}\n{}"),
            ),
            (format!(r#"{{"Session":"{SESSION}","data":"{{}}"}}"#), read(KNOWN, "", b"{}")),
            (r#"{"session":"x","node":null,"other":[]}"#.into(), read(None, "", b"")),
            ("null".into(), read(None, "", b"")),
            (" ".into(), Err("nothing where a command was expected".into())),
            ("[]".into(), Err("expected a JSON object, got an array".into())),
            (r#"{"data":{}}"#.into(), Err(r#""data": expected a string, got an object"#.into())),
            (r#"{"node":1}"#.into(), Err(r#""node": expected a string, got a number"#.into())),
        ] {
            assert_eq!(parse(Encoding::Json, body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_protobuf_body_carries_commands_as_they_are() {
        let mut body = b"\x0a\x02n1\x12\x24".to_vec();
        body.extend_from_slice(SESSION.as_bytes());
        body.extend_from_slice(b"\x1a\x02\x00\xff\x22\x01z");
        assert_eq!(parse(Encoding::Protobuf, &body), read(KNOWN, "n1", b"\0\xff"));
        assert_eq!(parse(Encoding::Protobuf, b""), read(None, "", b""));
        assert_eq!(parse(Encoding::Protobuf, b"\x12\x01x"), read(None, "", b""));
        let error = Err("message ends inside a field".into());
        assert_eq!(parse(Encoding::Protobuf, b"\x0a\x02n"), error);
    }
}
