//! What a backend's answers have in common, whatever was asked and in whatever it is written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::limits::LabelFault;
use crate::protocol::codes::{Disconnect, ErrorCode, REASON_BYTES_MAX};

/// Why an answer makes no sense. The client is refused for now.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Not the JSON it should be. What is there instead may be a secret.
    #[error("the answer is not the JSON it should be: {what} at line {line} column {column}")]
    Json {
        /// What is wrong.
        what: &'static str,
        /// Where, in the answer or in its `result`.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// Not Base64 where it should be.
    #[error("{member} is not Base64 (RFC 4648 §4)")]
    Base64 {
        /// The member.
        member: &'static str,
    },
    /// JSON is promised, and it is none.
    #[error("{member} is not JSON")]
    NoJson {
        /// The member.
        member: &'static str,
    },
    /// Too many labels, or too long ones.
    #[error("{0}")]
    Labels(#[from] LabelFault),
    /// A code that no client takes for a disconnect.
    #[error("disconnect code {code}: expected 3000 to 4999, of which 4000 to 4999 are yours")]
    DisconnectCode {
        /// What it is.
        code: u32,
    },
}

impl From<serde_json::Error> for AnswerError {
    fn from(error: serde_json::Error) -> Self {
        let what = match error.classify() {
            Category::Io | Category::Syntax => "malformed",
            Category::Eof => "cut short",
            Category::Data => "a member of the wrong type",
        };
        Self::Json { what, line: error.line(), column: error.column() }
    }
}

/// Reads an object. What is derived would take a list for one, with every member at its default.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, AnswerError> {
    match json.trim_ascii_start().first() {
        Some(b'{') | None => Ok(serde_json::from_slice(json)?),
        Some(_) => Err(AnswerError::Json { what: "no object", line: 1, column: 1 }),
    }
}

/// The three members of every answer. A disconnect counts before an error, an error before a
/// result.
#[derive(Deserialize)]
pub(super) struct Outer<'a> {
    #[serde(borrow)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    disconnect: Option<&'a RawValue>,
}

/// How a backend refuses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denied {
    /// The client is told this error.
    Error(ErrorCode),
    /// The client is told to leave.
    Disconnect(Disconnect),
}

impl Outer<'_> {
    /// Whether it is a refusal, for whom it does not matter which.
    pub(super) const fn is_denied(&self) -> bool {
        self.error.is_some() || self.disconnect.is_some()
    }

    /// The refusal, if it is one.
    pub(super) fn denied(&self) -> Result<Option<Denied>, AnswerError> {
        if let Some(disconnect) = self.disconnect {
            let BackendDisconnect { code, reason } = object(disconnect.get().as_bytes())?;
            return Ok(Some(Denied::Disconnect(new_disconnect(code, &reason)?)));
        }
        let Some(error) = self.error else { return Ok(None) };
        let BackendError { code, message, temporary } = object(error.get().as_bytes())?;
        Ok(Some(Denied::Error(ErrorCode { code, message: message.into(), temporary })))
    }
}

/// A disconnect of a backend's choice, its reason cut to what a close frame can carry.
fn new_disconnect(code: u32, reason: &str) -> Result<Disconnect, AnswerError> {
    if !(3000..=4999).contains(&code) {
        return Err(AnswerError::DisconnectCode { code });
    }
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    Ok(Disconnect { code, reason: reason.to_owned().into() })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BackendError {
    code: u32,
    message: String,
    temporary: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BackendDisconnect {
    code: u32,
    reason: String,
}

/// Bytes in Base64; empty text is none.
pub(super) fn base64(member: &'static str, text: &str) -> Result<Option<Box<[u8]>>, AnswerError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = STANDARD.decode(text).map_err(|_position| AnswerError::Base64 { member })?;
    Ok(Some(bytes.into()))
}

/// A time that is said, in Unix seconds; 0 is none.
pub(super) fn time(expire_at: Option<i64>) -> Option<i64> {
    expire_at.filter(|at| *at != 0)
}

/// Raw JSON as it stands; `null` is none.
pub(super) fn raw(json: Option<&RawValue>) -> Option<Box<[u8]>> {
    let json = json?.get();
    (json != "null").then(|| json.as_bytes().into())
}

/// Bytes that must be JSON.
pub(super) fn json_bytes(
    member: &'static str,
    bytes: &[u8],
) -> Result<Option<Box<[u8]>>, AnswerError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let json: &RawValue =
        serde_json::from_slice(bytes).map_err(|_not_json| AnswerError::NoJson { member })?;
    Ok(raw(Some(json)))
}
