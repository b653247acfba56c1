//! The question whether a client may connect, and as whom (server contract, "connect proxy").

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::{self, AnswerError, Denied, Outer, OuterMessage};
use super::carried::Carried;
use super::{DataForm, Question, QuestionError};
use crate::ids::ClientId;
use crate::limits::LabelLimits;
use crate::protocol::Encoding;
use crate::protocol::codes::{Disconnect, ErrorCode};
use crate::protocol::protobuf::{self, Reader};

/// A client that came without a token.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectQuestion {
    /// What its session will be called.
    pub client: ClientId,
    /// Name of its transport.
    pub transport: &'static str,
    /// How its messages are written.
    pub encoding: Encoding,
    /// What it has for the backend, byte for byte: JSON from JSON.
    pub data: Option<Box<[u8]>>,
    /// Name of its application, or empty.
    pub name: String,
    /// Version of its application, or empty.
    pub version: String,
    /// Channels it asks for.
    pub channels: BTreeSet<String>,
    /// What goes along.
    pub carried: Carried,
}

/// What a client says to its backend is a secret of both.
impl fmt::Debug for ConnectQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectQuestion")
            .field("client", &self.client)
            .field("transport", &self.transport)
            .field("name", &self.name)
            .field("version", &self.version)
            .field("carried", &self.carried)
            .finish_non_exhaustive()
    }
}

/// The question in JSON: what is empty is left out.
#[derive(Serialize)]
struct Asked<'q> {
    client: String,
    transport: &'static str,
    protocol: &'static str,
    encoding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'q RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b64data: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'q str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'q str,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    channels: &'q BTreeSet<String>,
}

impl Question for ConnectQuestion {
    type Answer = ConnectAnswer;

    const METHOD: &'static str = "Connect";

    fn carried(&self) -> &Carried {
        &self.carried
    }

    fn json(&self, form: DataForm) -> Result<Vec<u8>, QuestionError> {
        let bytes = self.data.as_deref().filter(|bytes| !bytes.is_empty());
        let (data, b64data) = match (bytes, form) {
            (None, _) => (None, None),
            (Some(bytes), DataForm::Binary) => (None, Some(STANDARD.encode(bytes))),
            (Some(bytes), DataForm::Json) => (Some(serde_json::from_slice(bytes)?), None),
        };
        let asked = Asked {
            client: self.client.to_string(),
            transport: self.transport,
            protocol: super::protocol_name(self.encoding),
            encoding: form.name(),
            data,
            b64data,
            name: &self.name,
            version: &self.version,
            channels: &self.channels,
        };
        Ok(serde_json::to_vec(&asked)?)
    }

    /// Its data is bytes, whatever the form.
    fn protobuf(&self, form: DataForm) -> Vec<u8> {
        let mut out = Vec::new();
        super::write_client(&mut out, (self.client, self.transport), self.encoding, form);
        protobuf::write_bytes(&mut out, 10, self.data.as_deref().unwrap_or_default());
        protobuf::write_bytes(&mut out, 12, self.name.as_bytes());
        protobuf::write_bytes(&mut out, 13, self.version.as_bytes());
        for channel in &self.channels {
            protobuf::write_message(&mut out, 14, |out| out.extend_from_slice(channel.as_bytes()));
        }
        out
    }

    fn read_json(&self, body: &[u8], limits: LabelLimits) -> Result<ConnectAnswer, AnswerError> {
        ConnectAnswer::from_json(body, self.encoding, limits)
    }

    fn read_protobuf(
        &self,
        body: &[u8],
        limits: LabelLimits,
    ) -> Result<ConnectAnswer, AnswerError> {
        ConnectAnswer::from_protobuf(body, self.encoding, limits)
    }
}

/// What a backend says to a connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectAnswer {
    /// The client may come in.
    Accepted(Box<Accepted>),
    /// It does not know the client. Whether it may come in without a name is for the options.
    Nobody,
    /// The client is told this error.
    Error(ErrorCode),
    /// The client is told to leave.
    Disconnect(Disconnect),
}

/// Who a backend says that a client is.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// User id; empty is the anonymous user.
    pub user: String,
    /// When the session ends, Unix seconds.
    pub expire_at: Option<i64>,
    /// For the client: JSON for a client that reads JSON, anything for one that reads Protobuf.
    pub data: Option<Box<[u8]>>,
    /// Raw JSON. For the backend only.
    pub meta: Option<Box<[u8]>>,
    /// Labels by key, within the limits. For the backend only.
    pub labels: BTreeMap<String, String>,
    /// Sessions the user may have; 0 is no limit.
    pub sessions_max: Option<u32>,
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("user", &self.user)
            .field("expire_at", &self.expire_at)
            .finish_non_exhaustive()
    }
}

impl From<Denied> for ConnectAnswer {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Error(error) => Self::Error(error),
            Denied::Disconnect(disconnect) => Self::Disconnect(disconnect),
        }
    }
}

/// The result in JSON. `channels`, `subs` and `caps` are skipped, whatever they hold: there are no
/// channels. `info` needs none of our attention for the same reason.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told<'a> {
    user: Option<String>,
    expire_at: Option<i64>,
    b64info: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    b64data: Option<String>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    labels: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    connection_limit: Option<&'a RawValue>,
}

impl ConnectAnswer {
    /// Reads an answer in JSON, for a client whose messages are written so.
    ///
    /// # Errors
    /// What makes no sense in it.
    pub(super) fn from_json(
        body: &[u8],
        encoding: Encoding,
        limits: LabelLimits,
    ) -> Result<Self, AnswerError> {
        let outer: Outer<'_> = answer::object(body)?;
        if let Some(denied) = outer.denied()? {
            return Ok(denied.into());
        }
        let Some(result) = outer.result else { return Ok(Self::Nobody) };
        let told: Told<'_> = answer::object(result.get().as_bytes())?;
        let _info = answer::base64("b64info", &told.b64info.unwrap_or_default())?;
        let data = match answer::base64("b64data", &told.b64data.unwrap_or_default())? {
            Some(bytes) => Some(bytes),
            None => answer::raw(told.data),
        };
        let accepted = Accepted {
            user: told.user.unwrap_or_default(),
            expire_at: answer::time(told.expire_at),
            data: readable(data, encoding)?,
            meta: answer::raw(told.meta),
            labels: told.labels.unwrap_or_default(),
            sessions_max: told.connection_limit.and_then(|limit| limit.get().parse().ok()),
        };
        limits.check(&accepted.labels)?;
        Ok(Self::Accepted(Box::new(accepted)))
    }

    /// Reads an answer in Protobuf, for a client whose messages are written so.
    ///
    /// # Errors
    /// What makes no sense in it.
    pub(super) fn from_protobuf(
        message: &[u8],
        encoding: Encoding,
        limits: LabelLimits,
    ) -> Result<Self, AnswerError> {
        let outer = OuterMessage::read(message)?;
        if let Some(denied) = outer.denied()? {
            return Ok(denied.into());
        }
        let Some(result) = outer.result else { return Ok(Self::Nobody) };
        let (mut accepted, mut b64data) = (Accepted::default(), None);
        let mut reader = Reader(result);
        while let Some(field) = reader.field()? {
            match field.number {
                1 => field.text()?.clone_into(&mut accepted.user),
                2 => accepted.expire_at = answer::time(Some(field.varint()?.cast_signed())),
                4 => drop(answer::base64("b64info", field.text()?)?),
                5 => accepted.data = Some(field.bytes()?.into()),
                6 => b64data = answer::base64("b64data", field.text()?)?,
                9 => accepted.meta = answer::json_bytes("meta", field.bytes()?)?,
                11 => {
                    let (key, value) = answer::read_pair(field.bytes()?)?;
                    accepted.labels.insert(key, value);
                }
                SESSIONS_MAX => {
                    accepted.sessions_max = Some(answer::number(field.varint()?));
                }
                _ => {}
            }
        }
        let data = b64data.or_else(|| accepted.data.take()).filter(|data| !data.is_empty());
        accepted.data = readable(data, encoding)?;
        limits.check(&accepted.labels)?;
        Ok(Self::Accepted(Box::new(accepted)))
    }
}

/// The number of `connection_limit`, which is ours, beyond those that Centrifugo gives out.
const SESSIONS_MAX: u32 = 1001;

/// What a client that reads JSON is told must be JSON.
fn readable(data: Option<Box<[u8]>>, encoding: Encoding) -> Result<Option<Box<[u8]>>, AnswerError> {
    match (data, encoding) {
        (Some(data), Encoding::Json) => answer::json_bytes("data", &data),
        (data, Encoding::Json | Encoding::Protobuf) => Ok(data),
    }
}
