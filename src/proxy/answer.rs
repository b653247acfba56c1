//! What a backend's answers have in common, whatever was asked and in whatever it is written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::limits::LabelFault;
use crate::protocol::codes::{Disconnect, ErrorCode, REASON_BYTES_MAX};
use crate::protocol::protobuf::{DecodeError, Reader};

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
    /// Not the Protobuf it should be.
    #[error("the answer is not the Protobuf it should be: {0}")]
    Protobuf(#[from] DecodeError),
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
            let disconnect: BackendDisconnect = object(disconnect.get().as_bytes())?;
            return disconnect.denied().map(Some);
        }
        let Some(error) = self.error else { return Ok(None) };
        let error: BackendError = object(error.get().as_bytes())?;
        Ok(Some(error.denied()))
    }
}

/// The three members of every answer in Protobuf, in the same order.
#[derive(Default)]
pub(super) struct OuterMessage<'a> {
    pub(super) result: Option<&'a [u8]>,
    error: Option<&'a [u8]>,
    disconnect: Option<&'a [u8]>,
}

impl<'a> OuterMessage<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self, AnswerError> {
        let (mut outer, mut reader) = (Self::default(), Reader(message));
        while let Some(field) = reader.field()? {
            match field.number {
                1 => outer.result = Some(field.bytes()?),
                2 => outer.error = Some(field.bytes()?),
                3 => outer.disconnect = Some(field.bytes()?),
                _ => {}
            }
        }
        Ok(outer)
    }

    /// Whether it is a refusal, for whom it does not matter which.
    pub(super) const fn is_denied(&self) -> bool {
        self.error.is_some() || self.disconnect.is_some()
    }

    /// The refusal, if it is one.
    pub(super) fn denied(&self) -> Result<Option<Denied>, AnswerError> {
        if let Some(disconnect) = self.disconnect {
            return BackendDisconnect::read(disconnect)?.denied().map(Some);
        }
        Ok(self.error.map(BackendError::read).transpose()?.map(BackendError::denied))
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

impl BackendError {
    fn read(message: &[u8]) -> Result<Self, DecodeError> {
        let (mut error, mut reader) = (Self::default(), Reader(message));
        while let Some(field) = reader.field()? {
            match field.number {
                1 => error.code = number(field.varint()?),
                2 => field.text()?.clone_into(&mut error.message),
                3 => error.temporary = field.varint()? != 0,
                _ => {}
            }
        }
        Ok(error)
    }

    fn denied(self) -> Denied {
        let Self { code, message, temporary } = self;
        Denied::Error(ErrorCode { code, message: message.into(), temporary })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BackendDisconnect {
    code: u32,
    reason: String,
}

impl BackendDisconnect {
    fn read(message: &[u8]) -> Result<Self, DecodeError> {
        let (mut disconnect, mut reader) = (Self::default(), Reader(message));
        while let Some(field) = reader.field()? {
            match field.number {
                1 => disconnect.code = number(field.varint()?),
                2 => field.text()?.clone_into(&mut disconnect.reason),
                _ => {}
            }
        }
        Ok(disconnect)
    }

    fn denied(self) -> Result<Denied, AnswerError> {
        Ok(Denied::Disconnect(new_disconnect(self.code, &self.reason)?))
    }
}

/// A number of 32 bits; a longer one is cut, as Protobuf has it.
#[expect(clippy::cast_possible_truncation, reason = "what Protobuf says of uint32")]
pub(super) const fn number(varint: u64) -> u32 {
    varint as u32
}

/// An entry of a map of texts.
pub(super) fn read_pair(entry: &[u8]) -> Result<(String, String), DecodeError> {
    let (mut pair, mut reader) = ((String::new(), String::new()), Reader(entry));
    while let Some(field) = reader.field()? {
        match field.number {
            1 => field.text()?.clone_into(&mut pair.0),
            2 => field.text()?.clone_into(&mut pair.1),
            _ => {}
        }
    }
    Ok(pair)
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
