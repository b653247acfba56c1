//! Parameters read as Go reads them: keys in any case, the last duplicate wins, unknown keys are
//! ignored, `null` is absent. A wrong type is named: which key, what it got, what was expected.

use compact_str::CompactString;
use simd_json::ValueType;
use simd_json::prelude::{TypedScalarValue, TypedValue, ValueAsScalar, ValueIntoString};
use simd_json::tape::Value;
use simd_json::tape::object::Iter;

use super::error::ApiError;
use super::raw::Raw;
use super::route::Options;
use crate::auth::{RULE_ID_BYTES_MAX, Until};
use crate::session::UserHasher;

/// What reading parameters depends on beside their text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    /// What the operator chose.
    pub(super) options: &'a Options,
    /// The node's way to hash users.
    pub(super) hasher: &'a UserHasher,
    /// Where the parameters stand in the body.
    pub(super) raw: Raw<'a>,
}

/// A value of a type that cannot be read.
#[derive(PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}expected {expected}, got {got}")]
pub(super) struct Mistyped {
    place: Place,
    expected: &'static str,
    got: &'static str,
}

/// Where a value stands, as a text's beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Place {
    /// The whole body.
    #[error("the body: ")]
    Body,
    /// One command of several; the text has its number in front.
    #[error("")]
    Command,
    /// An element of the array under this key.
    #[error("an element of \"{0}\": ")]
    Element(&'static str),
    /// The value under this key.
    #[error("key \"{0}\": ")]
    Key(&'static str),
}

/// Why parameters do not become a question.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// A wrong type: each route says it in its own way.
    Mistyped(Mistyped),
    /// Readable, and not something that can be asked.
    Refused(ApiError),
}

impl From<Mistyped> for Fault {
    fn from(mistyped: Mistyped) -> Self {
        Self::Mistyped(mistyped)
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl Mistyped {
    /// Where the value stands.
    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// What was expected and what is there, without the place.
    pub(super) fn types(&self) -> String {
        format!("expected {}, got {}", self.expected, self.got)
    }
}

impl Place {
    pub(super) fn mistyped(self, expected: &'static str, value: Value<'_, '_>) -> Mistyped {
        Mistyped { place: self, expected, got: kind(value) }
    }
}

fn kind(value: Value<'_, '_>) -> &'static str {
    match value.value_type() {
        ValueType::Null => "null",
        ValueType::Bool => "a boolean",
        ValueType::String => "a string",
        ValueType::Array => "an array",
        ValueType::Object => "an object",
        ValueType::F64 => "a number with a fraction or an exponent",
        ValueType::I64 | ValueType::I128 if value.as_i64().is_some_and(|n| n < 0) => {
            "a negative number"
        }
        ValueType::I64 | ValueType::I128 | ValueType::U64 | ValueType::U128 => "a number",
        ValueType::Extended(_) | ValueType::Custom(_) => "something else",
    }
}

/// Members of an object; of `null`, none.
pub(super) fn members<'t, 'i>(
    value: Value<'t, 'i>,
    place: Place,
) -> Result<impl Iterator<Item = (&'i str, Value<'t, 'i>)>, Mistyped> {
    let members: Option<Iter<'t, 'i>> = match value.as_object() {
        Some(object) => Some(object.iter()),
        None if value.is_null() => None,
        None => return Err(place.mistyped("an object", value)),
    };
    Ok(members.into_iter().flatten())
}

/// The name among `names` that this key means; the empty name when it means none.
pub(super) fn known(key: &str, names: &[&'static str]) -> &'static str {
    names.iter().find(|name| name.eq_ignore_ascii_case(key)).copied().unwrap_or_default()
}

/// Reads a string.
pub(super) fn text<'i>(
    into: &mut Option<&'i str>,
    name: &'static str,
    value: Value<'_, 'i>,
) -> Result<(), Mistyped> {
    if !value.is_null() {
        let text = value.into_string();
        *into = Some(text.ok_or_else(|| Place::Key(name).mistyped("a string", value))?);
    }
    Ok(())
}

/// Reads an unsigned number of 32 bits.
pub(super) fn number(
    into: &mut Option<u32>,
    name: &'static str,
    value: Value<'_, '_>,
) -> Result<(), Mistyped> {
    const EXPECTED: &str = "a whole number from 0 to 4294967295";
    if !value.is_null() {
        let number = value.as_u32();
        *into = Some(number.ok_or_else(|| Place::Key(name).mistyped(EXPECTED, value))?);
    }
    Ok(())
}

/// Reads a signed number of 64 bits.
pub(super) fn integer(
    into: &mut Option<i64>,
    name: &'static str,
    value: Value<'_, '_>,
) -> Result<(), Mistyped> {
    const EXPECTED: &str = "a whole number of 64 bits";
    if !value.is_null() {
        let integer = value.as_i64();
        *into = Some(integer.ok_or_else(|| Place::Key(name).mistyped(EXPECTED, value))?);
    }
    Ok(())
}

/// Reads `{"user"}` as it is said.
pub(super) fn any_user<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Option<&'t str>, Fault> {
    let mut user = None;
    for (key, value) in params {
        if known(key, &["user"]) == "user" {
            text(&mut user, "user", value)?;
        }
    }
    Ok(user)
}

/// Reads `{"user"}`, which must be named.
pub(super) fn one_user<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<CompactString, Fault> {
    Ok(required("user", any_user(params)?)?)
}

/// A user or a token that must be named.
pub(super) fn required(name: &'static str, text: Option<&str>) -> Result<CompactString, ApiError> {
    match text {
        None | Some("") => Err(ApiError::bad_request(format_args!(
            "key \"{name}\" is missing or empty, expected a string"
        ))),
        Some(text) if text.len() > RULE_ID_BYTES_MAX => {
            let bytes = text.len();
            Err(ApiError::bad_request(format_args!(
                "key \"{name}\": expected at most {RULE_ID_BYTES_MAX} bytes, got {bytes}"
            )))
        }
        Some(text) => Ok(text.into()),
    }
}

/// When something ends: absent and 0 are never.
pub(super) fn until(expire_at: Option<i64>) -> Result<Until, ApiError> {
    match expire_at {
        None | Some(0) => Ok(Until::FOREVER),
        Some(unix_s @ 1..) => Ok(Until::at(unix_s)),
        Some(_) => Err(ApiError::bad_request(
            "key \"expire_at\": expected Unix seconds, or 0 for no end, got a negative number",
        )),
    }
}

/// Reads a boolean.
pub(super) fn boolean(
    into: &mut Option<bool>,
    name: &'static str,
    value: Value<'_, '_>,
) -> Result<(), Mistyped> {
    if !value.is_null() {
        let boolean = value.as_bool();
        *into = Some(boolean.ok_or_else(|| Place::Key(name).mistyped("true or false", value))?);
    }
    Ok(())
}

/// Reads an array; its elements are read by whoever knows them.
pub(super) fn array<'t, 'i>(
    into: &mut Option<Value<'t, 'i>>,
    name: &'static str,
    value: Value<'t, 'i>,
) -> Result<(), Mistyped> {
    if value.is_null() {
        return Ok(());
    }
    if value.as_array().is_none() {
        return Err(Place::Key(name).mistyped("an array", value));
    }
    *into = Some(value);
    Ok(())
}

/// Elements of an array that [`array`] has read.
pub(super) fn elements<'t, 'i>(
    array: Option<Value<'t, 'i>>,
) -> impl Iterator<Item = Value<'t, 'i>> {
    array.and_then(|value| value.as_array()).into_iter().flat_map(|array| array.iter())
}
