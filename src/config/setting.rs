//! The kinds of values an option can have: read from text and from files, shown as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;

use super::duration;
use crate::api::webhook::EventKind;
use crate::connection::options::WhenFull;
use crate::control::store::Storage;
use crate::engine::boot::{DriverChoice, ParkingChoice};

/// A value as somebody wrote it.
pub(super) enum Raw {
    /// In the environment or on the command line.
    Text(String),
    /// In a file.
    Json(Value),
}

/// What kind of value an option holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A duration in Go's notation.
    Duration,
    /// A list of texts.
    List,
    /// One of a few words.
    Word,
    /// A list of objects.
    Objects,
}

/// A type an option can have.
pub(super) trait Setting: Sized {
    /// For docs, flags and the choice of what may be shown.
    const KIND: Kind;

    /// From the environment or the command line, or what was expected.
    fn from_text(text: &str) -> Result<Self, String>;

    /// From a file, or what was expected. Text in a file is good enough where text in the
    /// environment is: templates quote everything.
    fn from_json(value: &Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        Self::from_text(&text)
    }

    /// As JSON.
    fn show(&self) -> String;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Self::from_text(text),
            Raw::Json(value) => Self::from_json(value),
        }
    }
}

impl Setting for bool {
    const KIND: Kind = Kind::Bool;

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err("true or false".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! integers {
    ($($type:ty: $expected:literal),+ $(,)?) => {$(
        impl Setting for $type {
            const KIND: Kind = Kind::Integer;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_malformed| $expected.to_owned())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

integers! {
    i64: "a whole number",
    u16: "a whole number from 0 to 65535",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number that is not negative",
    usize: "a whole number that is not negative",
}

/// A port that may be absent: empty text, as Centrifugo's option of type string.
impl Setting for Option<u16> {
    const KIND: Kind = Kind::Integer;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { u16::from_text(text).map(Some) }
    }

    fn show(&self) -> String {
        self.map_or_else(|| "null".to_owned(), |port| port.to_string())
    }
}

fn text_of(value: &Value) -> Result<String, String> {
    let expected = || "text (put it in quotes)".to_owned();
    value.as_str().map(ToOwned::to_owned).ok_or_else(expected)
}

impl Setting for String {
    const KIND: Kind = Kind::Text;

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    /// No number becomes text by itself: a file format may have eaten its leading zeros.
    fn from_json(value: &Value) -> Result<Self, String> {
        text_of(value)
    }

    fn show(&self) -> String {
        Value::from(self.as_str()).to_string()
    }
}

/// Text that no log, error or debug output shows.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever signs or verifies with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "unset" } else { "(not shown)" })
    }
}

impl Setting for Secret {
    const KIND: Kind = Kind::Secret;

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        text_of(value).map(Self)
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

impl Setting for Duration {
    const KIND: Kind = Kind::Duration;

    fn from_text(text: &str) -> Result<Self, String> {
        duration::parse(text).ok_or_else(|| {
            "a duration that is not negative, such as 25s, 1m30s or 500ms".to_owned()
        })
    }

    fn show(&self) -> String {
        Value::from(duration::show(*self)).to_string()
    }
}

impl Setting for Vec<String> {
    const KIND: Kind = Kind::List;

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.split_whitespace().map(ToOwned::to_owned).collect())
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let expected = |_not_text| "a list of texts".to_owned();
        match value {
            Value::String(text) => Self::from_text(text),
            Value::Array(items) => {
                items.iter().map(text_of).collect::<Result<Self, String>>().map_err(expected)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                Err(expected(String::new()))
            }
        }
    }

    fn show(&self) -> String {
        Value::from(self.as_slice()).to_string()
    }
}

/// What a webhook tells of, by name.
impl Setting for Vec<EventKind> {
    const KIND: Kind = Kind::List;

    fn from_text(text: &str) -> Result<Self, String> {
        kinds(text.split_whitespace())
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        kinds(Vec::<String>::from_json(value)?.iter().map(String::as_str))
    }

    fn show(&self) -> String {
        Value::from_iter(self.iter().map(|kind| kind.name())).to_string()
    }
}

fn kinds<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<EventKind>, String> {
    let known = names.map(EventKind::named).collect::<Option<_>>();
    known.ok_or_else(|| {
        let [a, b, c] = EventKind::ALL.map(EventKind::name);
        format!("a list of \"{a}\", \"{b}\", \"{c}\"")
    })
}

/// One line of `client.connect_code_to_unidirectional_disconnect.transforms`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeTransform {
    /// The error code of a refused connect.
    pub code: u32,
    /// What unidirectional clients are told instead.
    pub to: CodeTarget,
}

/// A disconnect of the operator's choice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeTarget {
    /// Disconnect code.
    pub code: u32,
    /// Its reason.
    #[serde(default)]
    pub reason: String,
}

/// One line of `uni_http_stream.connect_code_to_http_response.transforms`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTransform {
    /// The error or disconnect code of a refused connect.
    pub code: u32,
    /// The answer instead of a stream.
    pub to: HttpTarget,
}

/// A plain HTTP answer of the operator's choice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTarget {
    /// HTTP status.
    pub status_code: u16,
    /// Body; empty means the text of the code.
    #[serde(default)]
    pub body: String,
}

/// A text that somebody has set: empty is none.
#[must_use]
pub fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Values taken from claims.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct ClaimPicks(pub Vec<ClaimPick>);

/// A value taken from claims.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimPick {
    /// The key it gets.
    pub key: String,
    /// Where it stands: keys and places in lists joined by dots.
    pub value: String,
}

impl Setting for ClaimPicks {
    const KIND: Kind = Kind::Objects;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if let Ok(map) = serde_json::from_str::<BTreeMap<String, String>>(text) {
            let pick = |(key, value)| ClaimPick { key, value };
            return Ok(Self(map.into_iter().map(pick).collect()));
        }
        serde_json::from_str(text).map(Self).map_err(|why| {
            format!(
                "an object such as {{\"region\": \"geo.region\"}}, or a list such as \
                 [{{\"key\": \"region\", \"value\": \"geo.region\"}}] ({why})"
            )
        })
    }

    fn show(&self) -> String {
        serde_json::to_string(self).expect("texts are JSON")
    }
}

/// One line of `status_to_code_transforms`: exactly one of the two is said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusTransform {
    /// The HTTP status of a backend's answer.
    pub status_code: u16,
    /// The error that clients are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_error: Option<ErrorTarget>,
    /// The disconnect that clients are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_disconnect: Option<CodeTarget>,
}

/// An error of the operator's choice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorTarget {
    /// Error code.
    pub code: u32,
    /// Its text.
    #[serde(default)]
    pub message: String,
    /// Whether the same may succeed later.
    #[serde(default)]
    pub temporary: bool,
}

/// Headers by name. Their values may be keys: nothing shows them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// Names and values, for whoever sends them.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// An object; JSON text in the environment.
impl Setting for Headers {
    const KIND: Kind = Kind::Secret;

    fn from_text(text: &str) -> Result<Self, String> {
        let expected = r#"names and values, such as {"X-Key": "k"}"#;
        serde_json::from_str(text).map(Self).map_err(|_why| expected.to_owned())
    }

    fn show(&self) -> String {
        serde_json::to_string(&self.0).expect("texts are JSON")
    }
}

/// Lists of objects: JSON text in the environment.
macro_rules! objects {
    ($($type:ty: $expected:literal),+ $(,)?) => {$(
        impl Setting for Vec<$type> {
            const KIND: Kind = Kind::Objects;

            fn from_text(text: &str) -> Result<Self, String> {
                serde_json::from_str(text).map_err(|why| format!("{} ({why})", $expected))
            }

            fn show(&self) -> String {
                serde_json::to_string(self).expect("text and numbers are JSON")
            }
        }
    )+};
}

objects! {
    CodeTransform: r#"a list such as [{"code": 109, "to": {"code": 3005, "reason": "expired"}}]"#,
    StatusTransform: r#"a list such as [{"status_code": 404, "to_error": {"code": 404, "message": "gone"}}]"#,
    HttpTransform: r#"a list such as [{"code": 109, "to": {"status_code": 401, "body": "no"}}]"#,
}

/// Where the errors of an API call are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorMode {
    /// In the body of an answer with status 200.
    Body,
    /// By the status of the answer.
    Transport,
}

macro_rules! words {
    ($($type:ty { $($word:literal => $value:expr),+ $(,)? })+) => {$(
        impl Setting for $type {
            const KIND: Kind = Kind::Word;

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(concat!("one of", $(" \"", $word, "\""),+).to_owned()),
                }
            }

            /// The first word that means this value.
            fn show(&self) -> String {
                let words = [$(($word, $value)),+];
                let word = words.iter().find(|(_, value)| value == self);
                Value::from(word.expect("every value has a word").0).to_string()
            }
        }
    )+};
}

words! {
    ErrorMode { "" => Self::Body, "transport" => Self::Transport }
    LevelFilter {
        "none" => Self::OFF, "trace" => Self::TRACE, "debug" => Self::DEBUG, "info" => Self::INFO,
        "warn" => Self::WARN, "error" => Self::ERROR, "fatal" => Self::ERROR,
    }
    DriverChoice {
        "auto" => Self::Auto, "io_uring" => Self::IoUring,
        "io_uring_plain" => Self::IoUringPlain, "epoll" => Self::Epoll,
    }
    WhenFull { "reject" => Self::Reject, "evict_oldest" => Self::EvictOldest }
    Storage {
        "embedded" => Self::Embedded,
        "memory" => Self::Memory,
        "redis" => Self::Redis,
    }
    ParkingChoice { "poll_set" => Self::PollSet, "task" => Self::Task }
}
