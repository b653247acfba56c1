//! A connect request from bytes to values, with an error a person can act on (client protocol,
//! `ConnectRequest`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json;
use crate::limits::CLIENT_JSON_DEPTH_MAX;

/// What a client says about itself when it connects.
///
/// `subs`, `headers` and `flag` are checked for their type and dropped: there is nothing yet
/// that they could ask for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConnectRequest {
    /// The connection token; empty when there is none.
    pub token: String,
    /// Name of the application.
    pub name: String,
    /// Version of the application.
    pub version: String,
    /// Raw JSON for a backend, byte for byte, `null` included.
    pub data: Option<Box<[u8]>>,
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

/// Why a body is no connect request. The text repeats nothing of the body.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Nothing but space.
    #[error("empty body: expected a JSON object such as {{\"token\": \"<JWT>\"}}")]
    Empty,
    /// Not text.
    #[error("invalid UTF-8 after byte {valid}")]
    Encoding {
        /// How many bytes are good.
        valid: usize,
    },
    /// Not JSON.
    #[error("malformed JSON: {0}")]
    Syntax(serde_json::Error),
    /// JSON, but no object.
    #[error("expected a JSON object, got {0}")]
    NotAnObject(Kind),
    /// A member of the wrong type.
    #[error("\"{key}\": expected {expected}, got {got}")]
    Type {
        /// The member.
        key: &'static str,
        /// What would be right.
        expected: Kind,
        /// What is there.
        got: Kind,
    },
    /// A member is an object as it should be, but something in it has the wrong type.
    #[error("\"{key}\": expected an object whose every value is {expected}, one is {got}")]
    Member {
        /// The member.
        key: &'static str,
        /// What would be right.
        expected: Kind,
        /// What is there.
        got: Kind,
    },
    /// An escape that stands for half a character.
    #[error("\"{key}\": half a surrogate pair in a string")]
    Surrogate {
        /// The member.
        key: &'static str,
    },
    /// A number that is no 64-bit integer.
    #[error("\"{key}\": expected a 64-bit integer")]
    Integer {
        /// The member.
        key: &'static str,
    },
    /// Brackets in brackets beyond the limit.
    #[error("\"{key}\": nested deeper than {CLIENT_JSON_DEPTH_MAX} levels")]
    TooDeep {
        /// The member.
        key: &'static str,
    },
}

/// The types of JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// Any number.
    Number,
    /// Text in quotes.
    String,
    /// A list.
    Array,
    /// Keys and values.
    Object,
}

impl Kind {
    /// The type a JSON text has if it is one; `None` when nothing begins like this.
    fn of(json: &str) -> Option<Self> {
        Some(match json.as_bytes().first()? {
            b'n' => Self::Null,
            b't' | b'f' => Self::Boolean,
            b'-' | b'0'..=b'9' => Self::Number,
            b'"' => Self::String,
            b'[' => Self::Array,
            b'{' => Self::Object,
            _ => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

impl ConnectRequest {
    /// Reads the body of a connect request.
    ///
    /// As Go reads it: keys in any case, the last of a repeated key counts, unknown keys are
    /// skipped, `null` is absent (a body of `null` is `{}`), what follows the object is ignored.
    /// Unlike Go, text that is not UTF-8 is refused and not repaired.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let text = str::from_utf8(body)
            .map_err(|error| ParseError::Encoding { valid: error.valid_up_to() })?
            .trim_start_matches([' ', '\t', '\n', '\r']);
        match Kind::of(text) {
            None if text.is_empty() => return Err(ParseError::Empty),
            // Null too: it must be read to its end to be known from `nil`.
            None | Some(Kind::Object | Kind::Null) => {}
            Some(other) => return Err(ParseError::NotAnObject(other)),
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members: Option<Members<'_>> =
            Option::deserialize(&mut deserializer).map_err(ParseError::Syntax)?;
        members.unwrap_or_default().typed()
    }
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

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a connect request")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                Members::read(map)
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A key, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Key<'b>(#[serde(borrow)] Cow<'b, str>);

impl<'b> Members<'b> {
    fn read<M: MapAccess<'b>>(mut map: M) -> Result<Self, M::Error> {
        let mut members = Self::default();
        while let Some(Key(key)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            if let Some(place) = members.place(&key) {
                *place = Some(value);
            }
        }
        Ok(members)
    }

    fn typed(self) -> Result<ConnectRequest, ParseError> {
        members_of("subs", self.subs, Kind::Object)?;
        members_of("headers", self.headers, Kind::String)?;
        integer("flag", self.flag)?;
        Ok(ConnectRequest {
            token: string("token", self.token)?,
            name: string("name", self.name)?,
            version: string("version", self.version)?,
            data: bounded("data", self.data)?,
        })
    }
}

/// The JSON when it is of this kind, `None` when it is absent or `null`.
fn of_kind<'b>(
    key: &'static str,
    raw: Option<&'b RawValue>,
    expected: Kind,
) -> Result<Option<&'b str>, ParseError> {
    let Some(json) = raw.map(RawValue::get) else { return Ok(None) };
    match Kind::of(json) {
        None | Some(Kind::Null) => Ok(None),
        Some(got) if got == expected => Ok(Some(json)),
        Some(got) => Err(ParseError::Type { key, expected, got }),
    }
}

fn string(key: &'static str, raw: Option<&RawValue>) -> Result<String, ParseError> {
    let Some(json) = of_kind(key, raw, Kind::String)? else { return Ok(String::new()) };
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        // Checked already, byte by byte, when it was skipped over.
        Some(plain) if !plain.contains('\\') => Ok(plain.to_owned()),
        _ => serde_json::from_str(json).map_err(|_only_this| ParseError::Surrogate { key }),
    }
}

fn integer(key: &'static str, raw: Option<&RawValue>) -> Result<(), ParseError> {
    match of_kind(key, raw, Kind::Number)?.map(str::parse::<i64>) {
        Some(Err(_)) => Err(ParseError::Integer { key }),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn members_of(key: &'static str, raw: Option<&RawValue>, expected: Kind) -> Result<(), ParseError> {
    let Some(json) = of_kind(key, raw, Kind::Object)? else { return Ok(()) };
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(json).map_err(|_only_this| ParseError::Surrogate { key })?;
    for got in members.values().filter_map(|value| Kind::of(value.get())) {
        if got != expected && got != Kind::Null {
            return Err(ParseError::Member { key, expected, got });
        }
    }
    Ok(())
}

fn bounded(key: &'static str, raw: Option<&RawValue>) -> Result<Option<Box<[u8]>>, ParseError> {
    let Some(json) = raw.map(|raw| raw.get().as_bytes()) else { return Ok(None) };
    if json::nests_deeper_than(json, CLIENT_JSON_DEPTH_MAX) {
        return Err(ParseError::TooDeep { key });
    }
    Ok(Some(json.into()))
}
