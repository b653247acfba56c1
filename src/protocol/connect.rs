//! A connect request from bytes to values, in either encoding (client protocol,
//! `ConnectRequest`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::value::RawValue;

use super::members::{self, Kind, ParseError};
use super::protobuf::{DecodeError, Reader};

/// What a client says about itself when it connects.
///
/// `flag` is checked for its type and dropped: there is nothing yet that it could ask for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConnectRequest {
    /// The connection token; empty when there is none.
    pub token: String,
    /// Name of the application.
    pub name: String,
    /// Version of the application.
    pub version: String,
    /// For a backend, byte for byte. From JSON it is JSON, `null` included; from Protobuf it may
    /// be anything.
    pub data: Option<Box<[u8]>>,
    /// Channels it would like to be in (`subs`), but one without a name.
    pub channels: BTreeSet<String>,
    /// Headers it says that it has, names as it writes them; empty ones are left out. Nobody has
    /// checked them.
    pub headers: BTreeMap<String, String>,
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("token_len", &self.token.len())
            .field("name", &self.name)
            .field("version", &self.version)
            .field("data_len", &self.data.as_ref().map(|data| data.len()))
            .finish()
    }
}

impl ConnectRequest {
    /// Reads the JSON body of a connect request. What follows the object is ignored, `null` is
    /// `{}`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let text = members::text(body)?;
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        Self::from_json(text)
    }

    pub(super) fn from_json(object: &str) -> Result<Self, ParseError> {
        let mut request = Members::default();
        members::each_member(object, |key, value| {
            if let Some(place) = request.place(key) {
                *place = Some(value);
            }
        })?;
        request.typed()
    }

    /// Reads a connect request from Protobuf. No bytes at all ask for nothing, and may.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse_protobuf(message: &[u8]) -> Result<Self, DecodeError> {
        let mut request = Self::default();
        let mut reader = Reader(message);
        while let Some(field) = reader.field()? {
            match field.number {
                1 => request.token = field.text()?.to_owned(),
                2 => request.data = Some(field.bytes()?.into()),
                // What is no entry of a map is nobody's business but its client's.
                3 => {
                    let entry = read_entry(field.bytes()?).unwrap_or_default();
                    request.channels.extend((!entry.0.is_empty()).then(|| entry.0.to_owned()));
                }
                6 => {
                    let entry = read_entry(field.bytes()?).unwrap_or_default();
                    let value = str::from_utf8(entry.1).unwrap_or_default();
                    request.headers.extend(header(entry.0, value));
                }
                4 => request.name = field.text()?.to_owned(),
                5 => request.version = field.text()?.to_owned(),
                // flag
                7 => drop(field.varint()?),
                _ => {}
            }
        }
        Ok(request)
    }
}

fn header(name: &str, value: &str) -> Option<(String, String)> {
    (!name.is_empty() && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

/// An entry of a map: a text, and bytes that are a text or a message.
fn read_entry(entry: &[u8]) -> Result<(&str, &[u8]), DecodeError> {
    let (mut key, mut value, mut reader) = ("", [].as_slice(), Reader(entry));
    while let Some(field) = reader.field()? {
        match field.number {
            1 => key = field.text()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((key, value))
}

macro_rules! members {
    ($($field:ident)*) => {
        /// The JSON of each known member, not yet typed.
        #[derive(Default)]
        struct Members<'b> {
            $($field: Option<&'b RawValue>,)*
        }

        impl<'b> Members<'b> {
            fn place(&mut self, key: &str) -> Option<&mut Option<&'b RawValue>> {
                $(
                    if key.eq_ignore_ascii_case(stringify!($field)) {
                        return Some(&mut self.$field);
                    }
                )*
                None
            }
        }
    };
}

members! { token data subs name version headers flag }

impl Members<'_> {
    fn typed(self) -> Result<ConnectRequest, ParseError> {
        let channels = values("subs", self.subs, Kind::Object)?;
        let channels = channels.into_keys().filter(|channel| !channel.is_empty()).collect();
        let mut headers = BTreeMap::new();
        for (name, value) in values("headers", self.headers, Kind::String)? {
            let value = members::string("headers", Some(value)).unwrap_or_default();
            headers.extend(header(&name, &value));
        }
        members::integer::<i64>("flag", self.flag, "a 64-bit integer")?;
        Ok(ConnectRequest {
            token: members::string("token", self.token)?.into_owned(),
            name: members::string("name", self.name)?.into_owned(),
            version: members::string("version", self.version)?.into_owned(),
            data: members::opaque("data", self.data)?.map(Box::from),
            channels,
            headers,
        })
    }
}

/// What an object holds, each of this kind or `null`.
fn values<'b>(
    key: &'static str,
    raw: Option<&'b RawValue>,
    expected: Kind,
) -> Result<BTreeMap<String, &'b RawValue>, ParseError> {
    let Some(json) = members::of_kind(key, raw, Kind::Object)? else {
        return Ok(BTreeMap::new());
    };
    let values: BTreeMap<String, &RawValue> =
        serde_json::from_str(json).map_err(|_only_this| ParseError::Surrogate { key })?;
    for got in values.values().filter_map(|value| Kind::of(value.get())) {
        if got != expected && got != Kind::Null {
            return Err(ParseError::Member { key, expected, got });
        }
    }
    Ok(values)
}
