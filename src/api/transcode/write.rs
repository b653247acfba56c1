//! A reply in JSON, as [`write_reply`](crate::api::write_reply) writes it, to the message that says
//! the same.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::schema::batch::BATCH_RESPONSE;
use crate::api::schema::{Call, Count, ERROR, Field, Message, Type};
use crate::protocol::protobuf::{write_bytes, write_double, write_message, write_number};

/// A reply that is not what the tables say: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("a reply is not what the tables say: {0}")]
pub struct WriteError(#[from] serde_json::Error);

/// A reply to one command.
#[derive(Debug, Deserialize)]
pub struct Reply<'j> {
    /// Why it was not carried out.
    #[serde(borrow)]
    pub error: Option<Failure<'j>>,
    #[serde(borrow)]
    result: Option<&'j RawValue>,
}

/// An error of one command.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Failure<'j> {
    /// Its number.
    pub code: u32,
    /// Its text.
    #[serde(borrow)]
    pub message: Cow<'j, str>,
}

impl<'j> Reply<'j> {
    /// Reads a reply in an envelope.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(json: &'j [u8]) -> Result<Self, WriteError> {
        Ok(serde_json::from_slice(json)?)
    }
}

/// The response of a call that was carried out.
///
/// # Errors
/// The result is not that of the call.
pub fn response(call: &Call, reply: &Reply<'_>) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    let Some(result) = reply.result else { return Ok(out) };
    let mut written = Ok(());
    write_message(&mut out, RESULT_FIELD, |out| written = object(call.result, result.get(), out));
    written.map(|()| out)
}

/// The response of any call that was not.
#[must_use]
pub fn failed_response(failure: &Failure<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(&mut out, ERROR_FIELD, |out| failure.write(out));
    out
}

impl Failure<'_> {
    /// Writes it as an `Error`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let [code, message] = ERROR.fields else { unreachable!("an error has two fields") };
        write_number(out, code.number, u64::from(self.code));
        write_bytes(out, message.number, self.message.as_bytes());
    }
}

/// Where every response has its error.
const ERROR_FIELD: u32 = 1;

/// Where every response has its result.
const RESULT_FIELD: u32 = 2;

/// The response of a batch.
///
/// # Errors
/// The reply is not that of a batch.
pub fn batch_response(json: &[u8]) -> Result<Vec<u8>, WriteError> {
    message(&BATCH_RESPONSE, json)
}

/// Any message that stands alone, such as an event of a stream.
///
/// # Errors
/// The text is not that message.
pub fn message(message: &'static Message, json: &[u8]) -> Result<Vec<u8>, WriteError> {
    let json = str::from_utf8(json).map_err(serde::de::Error::custom).map_err(WriteError)?;
    let mut out = Vec::new();
    object(message, json, &mut out).map(|()| out)
}

fn object(message: &'static Message, json: &str, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Object { message, out }.deserialize(&mut deserializer)?;
    Ok(deserializer.end()?)
}

/// Text, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'j>(#[serde(borrow)] Cow<'j, str>);

/// An object that is a message.
struct Object<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the object {}", self.message.name)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(name)) = map.next_key()? {
            match self.message.fields.iter().find(|field| field.name == name) {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(field) if field.count == Count::One => {
                    map.next_value_seed(One { field, number: field.number, out: self.out })?;
                }
                Some(field) => map.next_value_seed(Several { field, out: self.out })?,
            }
        }
        Ok(())
    }
}

/// One value, under a number: that of its field, or that of a value in an entry of a map.
struct One<'o> {
    field: &'static Field,
    number: u32,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let Self { field, number, out } = self;
        match field.kind {
            Type::Text => write_bytes(out, number, Text::deserialize(json)?.0.as_bytes()),
            Type::Bool => write_number(out, number, u64::from(bool::deserialize(json)?)),
            Type::Uint32 => write_number(out, number, u64::from(u32::deserialize(json)?)),
            Type::Int64 => write_number(out, number, i64::deserialize(json)?.cast_unsigned()),
            Type::Double => write_double(out, number, f64::deserialize(json)?),
            Type::Json => {
                write_bytes(out, number, <&RawValue>::deserialize(json)?.get().as_bytes());
            }
            Type::Message(message) => {
                let mut written = Ok(());
                write_message(out, number, |out| {
                    written = Object { message, out }.deserialize(json);
                });
                return written;
            }
        }
        Ok(())
    }
}

/// The values of a list or a map.
struct Several<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Several<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Several<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list or a map of \"{}\"", self.field.name)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        while list.next_element_seed(Element { field: self.field, out: &mut *self.out })?.is_some()
        {
        }
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { field, out } = self;
        while let Some(Text(key)) = map.next_key()? {
            let mut written = Ok(());
            write_message(out, field.number, |out| {
                write_bytes(out, 1, key.as_bytes());
                written = map.next_value_seed(One { field, number: 2, out });
            });
            written?;
        }
        Ok(())
    }
}

/// One element of a list: unlike a single value it is there also when it is empty.
struct Element<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let Self { field, out } = self;
        if matches!(field.kind, Type::Text) {
            let Text(text) = Text::deserialize(json)?;
            write_message(out, field.number, |out| out.extend_from_slice(text.as_bytes()));
            return Ok(());
        }
        One { field, number: field.number, out }.deserialize(json)
    }
}
