//! Configuration files: JSON, YAML and TOML become one tree, the tree becomes single values.

use std::fmt;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::load::LoadError;

/// A file as it was read. Holds secrets, and therefore has no debug output.
#[derive(Clone)]
pub struct ConfigFile {
    /// Where it is, as the user said.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl ConfigFile {
    /// Reads it; `None` when there is no such file.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn read(path: &str) -> Result<Option<Self>, LoadError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(Self { path: path.to_owned(), text })),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(LoadError::Unreadable { path: path.to_owned(), why: why.to_string() }),
        }
    }
}

/// The formats a file can have; its name's extension tells which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `.json`
    Json,
    /// `.yaml`, `.yml`
    Yaml,
    /// `.toml`
    Toml,
}

impl Format {
    /// The format of a file of this name.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let extension = Path::new(path).extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }

    /// The tree in this text, or what is wrong with it. The parsers' own reports quote the line,
    /// which may hold a secret: only the place is told.
    pub(super) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Json => serde_json::from_str(text).map(|Unique(tree)| tree).map_err(|why| {
                // Only what `Unique` says itself names a key; the rest may quote a value.
                let what = if why.is_data() {
                    "an object in which each key stands once,"
                } else {
                    "valid JSON"
                };
                format!("not {what} at line {}, column {}", why.line(), why.column())
            }),
            Self::Yaml if text.trim().is_empty() => Ok(Value::Null),
            Self::Yaml => serde_saphyr::from_str(text).map_err(|why| match why.location() {
                Some(at) => format!("not valid YAML at line {}, column {}", at.line(), at.column()),
                None => "not valid YAML".to_owned(),
            }),
            Self::Toml => toml::from_str(text).map_err(|why| {
                let start = why.span().map_or(0, |span| span.start);
                let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
                format!("not valid TOML at line {line}")
            }),
        }
    }
}

/// A JSON tree in which no object has a key twice: of two sections of one name the first would
/// be lost without a word.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some((key, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.insert(key, value).is_some() {
                return Err(de::Error::custom("a key twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

/// A value in a file.
pub(super) struct Leaf<'t> {
    /// Its name as written, sections and key joined by dots.
    pub(super) written: String,
    /// The same in lower case: names are compared without regard to it.
    pub(super) name: String,
    pub(super) value: &'t Value,
}

/// Takes a tree apart. An object is a section as long as `is_section` says so of its name, else
/// it is a value. Nothing and `null` are no values.
pub(super) fn leaves<'t>(tree: &'t Value, is_section: &dyn Fn(&str) -> bool) -> Vec<Leaf<'t>> {
    let mut found = Vec::new();
    let mut open: Vec<(String, &Value)> = vec![(String::new(), tree)];
    while let Some((written, value)) = open.pop() {
        let name = written.to_ascii_lowercase();
        match value {
            Value::Null => {}
            Value::Object(section) if name.is_empty() || is_section(&name) => {
                let below = section.iter().rev().map(|(key, value)| {
                    let dot = if written.is_empty() { "" } else { "." };
                    (format!("{written}{dot}{key}"), value)
                });
                open.extend(below);
            }
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => found.push(Leaf { written, name, value }),
        }
    }
    found
}
