//! A request in Protobuf to the JSON body that says the same.

use serde::de::IgnoredAny;

use crate::api::body::BODY_DEPTH_MAX;
use crate::api::schema::{Count, Field, Message, Presence, Type};
use crate::protocol::json::write_string;
use crate::protocol::protobuf::Reader;
use crate::protocol::{DecodeError, protobuf};

/// Messages in messages; deeper ones are refused. Each is at least one level of JSON, so nothing
/// deeper could be read from the body.
pub const MESSAGE_DEPTH_MAX: usize = BODY_DEPTH_MAX;

/// Known fields of one request, over all its messages; with one more it is refused. A field takes
/// two bytes to send and some thirty to read.
pub const FIELDS_MAX: usize = 100_000;

/// Why bytes are not the request of a call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// They are not the message.
    #[error("malformed {message}: {cause}")]
    Malformed {
        /// Which message.
        message: &'static str,
        /// Where.
        cause: DecodeError,
    },
    /// A field of bytes that should be a JSON text.
    #[error("{message}.{field}: expected a JSON text")]
    Json {
        /// Of which message.
        message: &'static str,
        /// Which field.
        field: &'static str,
    },
    /// A number that the field cannot hold.
    #[error("{message}.{field}: expected a whole number from 0 to 4294967295")]
    Range {
        /// Of which message.
        message: &'static str,
        /// Which field.
        field: &'static str,
    },
    /// Messages in messages.
    #[error("messages nested more than {MESSAGE_DEPTH_MAX} levels deep")]
    TooDeep,
    /// Too many of them.
    #[error("more than {FIELDS_MAX} fields in one request, send them in several")]
    TooManyFields,
}

/// Writes the JSON object that says what a message says. Fields that are not there are left out,
/// empty ones that are there are not.
///
/// # Errors
/// The bytes are not this message, or more of it than can be read.
pub fn body(message: &'static Message, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ReadError> {
    Body { out, fields: 0 }.object(message, &[bytes], 1)
}

struct Body<'o> {
    out: &'o mut Vec<u8>,
    /// How many have been read so far.
    fields: usize,
}

/// A field as it came, and its place among those of its message.
type Found<'b> = (usize, protobuf::Field<'b>);

impl Body<'_> {
    /// `parts` one after another are the message: Protobuf merges what comes twice.
    fn object(
        &mut self,
        message: &'static Message,
        parts: &[&[u8]],
        depth: usize,
    ) -> Result<(), ReadError> {
        if depth > MESSAGE_DEPTH_MAX {
            return Err(ReadError::TooDeep);
        }
        let found = self.find(message, parts)?;
        self.out.push(b'{');
        let before = self.out.len();
        for same in found.chunk_by(|one, next| one.0 == next.0) {
            let field = &message.fields[same[0].0];
            if is_absent(field, same) {
                continue;
            }
            if self.out.len() > before {
                self.out.push(b',');
            }
            write_string(self.out, field.name);
            self.out.push(b':');
            match field.count {
                Count::One => self.value(message, field, same, depth)?,
                Count::Many => {
                    self.joined(b"[]", same, |body, one| body.value(message, field, one, depth))?;
                }
                Count::Map => {
                    self.joined(b"{}", same, |body, one| body.entry(message, field, one, depth))?;
                }
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The known fields of a message, by their places; those of one place in their order.
    fn find<'b>(
        &mut self,
        message: &'static Message,
        parts: &[&'b [u8]],
    ) -> Result<Vec<Found<'b>>, ReadError> {
        let malformed = |cause| ReadError::Malformed { message: message.name, cause };
        let mut found = Vec::new();
        for part in parts {
            let mut reader = Reader(part);
            while let Some(one) = reader.field().map_err(malformed)? {
                let Some(at) = message.place_of(one.number) else { continue };
                self.fields += 1;
                if self.fields > FIELDS_MAX {
                    return Err(ReadError::TooManyFields);
                }
                found.push((at, one));
            }
        }
        found.sort_by_key(|(at, _)| *at);
        Ok(found)
    }

    /// Each of `all` between two brackets.
    fn joined<'b>(
        &mut self,
        brackets: &[u8; 2],
        all: &[Found<'b>],
        mut write: impl FnMut(&mut Self, &[Found<'b>]) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        self.out.push(brackets[0]);
        for (at, one) in all.chunks(1).enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            write(self, one)?;
        }
        self.out.push(brackets[1]);
        Ok(())
    }

    /// `"<key>":<value>`, one entry of a map (protobuf.dev, "Maps").
    fn entry(
        &mut self,
        message: &'static Message,
        field: &Field,
        same: &[Found<'_>],
        depth: usize,
    ) -> Result<(), ReadError> {
        let malformed = |cause| ReadError::Malformed { message: message.name, cause };
        let (mut key, mut values) = ("", Vec::new());
        let mut reader = Reader(same[0].1.bytes().map_err(malformed)?);
        while let Some(one) = reader.field().map_err(malformed)? {
            match one.number {
                1 => key = one.text().map_err(malformed)?,
                2 => values.push((0, one)),
                _ => {}
            }
        }
        write_string(self.out, key);
        self.out.push(b':');
        self.value(message, field, &values, depth)
    }

    /// One value. Of several the last counts, but parts of a message are put together. None is the
    /// empty value.
    fn value(
        &mut self,
        message: &'static Message,
        field: &Field,
        same: &[Found<'_>],
        depth: usize,
    ) -> Result<(), ReadError> {
        let malformed = |cause| ReadError::Malformed { message: message.name, cause };
        let range = ReadError::Range { message: message.name, field: field.name };
        let last = same.last().map(|(_, last)| *last);
        let varint = || last.map_or(Ok(0), protobuf::Field::varint).map_err(malformed);
        match field.kind {
            Type::Text => {
                let text = last.map_or(Ok(""), protobuf::Field::text).map_err(malformed)?;
                write_string(self.out, text);
            }
            Type::Bool => {
                let text = if varint()? == 0 { "false" } else { "true" };
                self.out.extend_from_slice(text.as_bytes());
            }
            Type::Uint32 => {
                let number = u32::try_from(varint()?).map_err(|_too_large| range)?;
                self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            Type::Int64 => {
                let number = varint()?.cast_signed();
                self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            Type::Json => {
                let bytes = last.map_or(Ok(b"null".as_slice()), protobuf::Field::bytes);
                let json = str::from_utf8(bytes.map_err(malformed)?).ok();
                let json = json.filter(|json| serde_json::from_str::<IgnoredAny>(json).is_ok());
                let (message, field) = (message.name, field.name);
                let json = json.ok_or(ReadError::Json { message, field })?;
                self.out.extend_from_slice(json.as_bytes());
            }
            Type::Message(inner) => {
                let parts: Result<Vec<_>, _> = same.iter().map(|(_, part)| part.bytes()).collect();
                self.object(inner, &parts.map_err(malformed)?, depth + 1)?;
            }
            Type::Double => unreachable!("no request has one, which a law of the tables holds"),
        }
        Ok(())
    }
}

/// Whether a single value says nothing: JSON has no empty text to stand for "no JSON", and zero
/// and empty mean what absence means unless the table says otherwise.
fn is_absent(field: &Field, same: &[Found<'_>]) -> bool {
    let Some((_, last)) = same.last() else { return true };
    if field.count != Count::One || field.presence == Presence::Explicit {
        return false;
    }
    match field.kind {
        Type::Message(_) => false,
        Type::Text | Type::Json => last.bytes() == Ok(b"".as_slice()),
        Type::Bool | Type::Uint32 | Type::Int64 | Type::Double => last.varint() == Ok(0),
    }
}
