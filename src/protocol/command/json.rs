//! Commands in JSON: one per line, members as `members` reads them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Body, Command, Envelope, METHODS, Member, MessageError};
use crate::protocol::ConnectRequest;
use crate::protocol::members::{self, Kind, ParseError};

/// Reads the command on the first line; hands back the other lines.
pub(super) fn next_command(message: &[u8]) -> Result<(Command<'_>, &[u8]), MessageError> {
    let line_len = memchr::memchr(b'\n', message).unwrap_or(message.len());
    let (line, rest) = message.split_at(line_len);
    if line.is_empty() {
        return Err(MessageError::Empty);
    }
    let rest = rest.split_first().map_or(rest, |(_line_break, rest)| rest);
    Ok((shell(members::text(line)?)?.open()?, rest))
}

/// Every request must be an object, also those that will not be looked at.
fn shell(line: &str) -> Result<Envelope<Object<'_>>, ParseError> {
    let mut raw: Envelope<&RawValue> = Envelope::EMPTY;
    let mut id = None;
    members::each_member(line, |key, value| {
        if key.eq_ignore_ascii_case("id") {
            id = Some(value);
        } else if let Some(body) = raw.place(|name, _| key.eq_ignore_ascii_case(name)) {
            *body = Some(value);
        }
    })?;
    let mut shell = Envelope::EMPTY;
    shell.id = members::integer("id", id, "an integer from 0 to 4294967295")?;
    for (((_, key, _), raw), body) in METHODS.iter().zip(raw.bodies).zip(&mut shell.bodies) {
        *body = members::of_kind(key, raw, Kind::Object)?.map(Object);
    }
    Ok(shell)
}

/// The JSON of an object.
#[derive(Clone, Copy)]
struct Object<'m>(&'m str);

impl<'m> Object<'m> {
    fn member(self, name: &str) -> Result<Option<&'m RawValue>, ParseError> {
        let mut found = None;
        members::each_member(self.0, |key, value| {
            if key.eq_ignore_ascii_case(name) {
                found = Some(value);
            }
        })?;
        Ok(found)
    }
}

impl<'m> Body<'m> for Object<'m> {
    fn connect(self) -> Result<ConnectRequest, MessageError> {
        Ok(ConnectRequest::from_json(self.0)?)
    }

    fn text(self, (key, _): Member) -> Result<Cow<'m, str>, MessageError> {
        Ok(members::string(key, self.member(key)?)?)
    }

    fn data(self, (key, _): Member) -> Result<&'m [u8], MessageError> {
        Ok(members::opaque(key, self.member(key)?)?.unwrap_or_default())
    }
}
