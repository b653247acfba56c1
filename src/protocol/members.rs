//! The members of a JSON object, each checked for its type, with an error a person can act on.
//!
//! As Go reads them: keys in any case, the last of a repeated key counts, unknown keys are skipped,
//! `null` is absent (also in place of the object), what follows the object is ignored. Unlike Go,
//! text that is not UTF-8 is refused and not repaired.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json;
use crate::limits::CLIENT_JSON_DEPTH_MAX;

/// Why JSON is not what a client may say. The text repeats nothing of it.
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
    /// A number that is no integer of the range.
    #[error("\"{key}\": expected {expected}")]
    Integer {
        /// The member.
        key: &'static str,
        /// What would be right.
        expected: &'static str,
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
    pub(super) fn of(json: &str) -> Option<Self> {
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

/// The text of a body, from its first character that is not space.
pub(super) fn text(body: &[u8]) -> Result<&str, ParseError> {
    str::from_utf8(body)
        .map(|text| text.trim_start_matches([' ', '\t', '\n', '\r']))
        .map_err(|error| ParseError::Encoding { valid: error.valid_up_to() })
}

/// Hands out every member of an object, keys unescaped. `null` has none.
pub(super) fn each_member<'b>(
    text: &'b str,
    on_member: impl FnMut(&str, &'b RawValue),
) -> Result<(), ParseError> {
    match Kind::of(text) {
        // Null too: it must be read to its end to be known from `nil`.
        None | Some(Kind::Object | Kind::Null) => {}
        Some(other) => return Err(ParseError::NotAnObject(other)),
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    EachMember(on_member).deserialize(&mut deserializer).map_err(ParseError::Syntax)
}

struct EachMember<F>(F);

/// A key, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Key<'b>(#[serde(borrow)] Cow<'b, str>);

impl<'de, F: FnMut(&str, &'de RawValue)> DeserializeSeed<'de> for EachMember<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for EachMember<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(Key(key)) = map.next_key()? {
            self.0(&key, map.next_value()?);
        }
        Ok(())
    }
}

/// The JSON when it is of this kind, `None` when it is absent or `null`.
pub(super) fn of_kind<'b>(
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

/// A string, borrowed unless it has escapes; empty when there is none.
pub(super) fn string<'b>(
    key: &'static str,
    raw: Option<&'b RawValue>,
) -> Result<Cow<'b, str>, ParseError> {
    let Some(json) = of_kind(key, raw, Kind::String)? else { return Ok(Cow::Borrowed("")) };
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        // Checked already, byte by byte, when it was skipped over.
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|_only_this| ParseError::Surrogate { key }),
    }
}

/// An integer the type can hold, 0 when there is none. `expected` is what an error calls for.
pub(super) fn integer<I: std::str::FromStr + Default>(
    key: &'static str,
    raw: Option<&RawValue>,
    expected: &'static str,
) -> Result<I, ParseError> {
    let Some(digits) = of_kind(key, raw, Kind::Number)? else { return Ok(I::default()) };
    digits.parse().map_err(|_not_one| ParseError::Integer { key, expected })
}

/// JSON of any type, byte for byte, `null` included; `None` when it is absent.
pub(super) fn opaque<'b>(
    key: &'static str,
    raw: Option<&'b RawValue>,
) -> Result<Option<&'b [u8]>, ParseError> {
    let Some(json) = raw.map(|raw| raw.get().as_bytes()) else { return Ok(None) };
    if json::nests_deeper_than(json, CLIENT_JSON_DEPTH_MAX) {
        return Err(ParseError::TooDeep { key });
    }
    Ok(Some(json))
}
