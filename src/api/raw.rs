//! The text of one parameter as it was sent: what is kept byte for byte is not read by the parser
//! of the rest, which keeps no text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Where the parameters of a command stand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    /// They are this text.
    Params(&'a [u8]),
    /// Under `params` of this line.
    Line(&'a [u8]),
    /// In the nth of the `commands` of this batch, under the command's name.
    Item(&'a [u8], usize),
}

impl<'a> Raw<'a> {
    /// The text of one parameter of a command; the last of a name counts, in any case.
    pub(super) fn param(self, command: &str, name: &str) -> serde_json::Result<Option<&'a str>> {
        let params = match self {
            Self::Params(params) => Some(std::str::from_utf8(params).unwrap_or_default()),
            Self::Line(line) => member(std::str::from_utf8(line).unwrap_or_default(), "params")?,
            Self::Item(batch, at) => {
                let batch = std::str::from_utf8(batch).unwrap_or_default();
                let commands = member(batch, "commands")?.unwrap_or("[]");
                let commands: Vec<&'a RawValue> = serde_json::from_str(commands)?;
                commands.get(at).map_or(Ok(None), |item| member(item.get(), command))?
            }
        };
        params.map_or(Ok(None), |params| member(params, name))
    }
}

/// The text of the last member of this name.
fn member<'a>(object: &'a str, name: &str) -> serde_json::Result<Option<&'a str>> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    let last = Last(name).deserialize(&mut deserializer)?;
    Ok(last.map(RawValue::get))
}

struct Last<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Last<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Last<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut last = None;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if key.eq_ignore_ascii_case(self.0) {
                last = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(last)
    }
}
