//! The question whether a session whose time is over may go on (server contract, "refresh proxy").

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::{self, AnswerError, Denied, Outer, OuterMessage};
use super::carried::Carried;
use super::{DataForm, Question, QuestionError};
use crate::ids::ClientId;
use crate::limits::LabelLimits;
use crate::protocol::Encoding;
use crate::protocol::protobuf::{self, Reader};

/// A session whose time is over.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshQuestion {
    /// Its public id.
    pub client: ClientId,
    /// Name of its transport.
    pub transport: &'static str,
    /// How its messages are written.
    pub encoding: Encoding,
    /// Its user; empty is the anonymous one.
    pub user: String,
    /// What a backend attached to it, when that is shown.
    pub meta: Option<Box<[u8]>>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What goes along.
    pub carried: Carried,
}

/// What a backend knows of a session is its own.
impl fmt::Debug for RefreshQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshQuestion")
            .field("client", &self.client)
            .field("user", &self.user)
            .field("carried", &self.carried)
            .finish_non_exhaustive()
    }
}

/// The question in JSON: what is empty is left out, but the user.
#[derive(Serialize)]
struct Asked<'q> {
    client: String,
    transport: &'static str,
    protocol: &'static str,
    encoding: &'static str,
    user: &'q str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'q RawValue>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'q BTreeMap<String, String>,
}

impl Question for RefreshQuestion {
    type Answer = RefreshAnswer;

    const METHOD: &'static str = "Refresh";

    fn carried(&self) -> &Carried {
        &self.carried
    }

    fn json(&self, form: DataForm) -> Result<Vec<u8>, QuestionError> {
        let asked = Asked {
            client: self.client.to_string(),
            transport: self.transport,
            protocol: super::protocol_name(self.encoding),
            encoding: form.name(),
            user: &self.user,
            meta: self.meta.as_deref().map(serde_json::from_slice).transpose()?,
            labels: &self.labels,
        };
        Ok(serde_json::to_vec(&asked)?)
    }

    fn protobuf(&self, form: DataForm) -> Vec<u8> {
        let mut out = Vec::new();
        super::write_client(&mut out, (self.client, self.transport), self.encoding, form);
        protobuf::write_bytes(&mut out, 10, self.user.as_bytes());
        protobuf::write_bytes(&mut out, 11, self.meta.as_deref().unwrap_or_default());
        for (key, value) in &self.labels {
            protobuf::write_message(&mut out, 12, |out| {
                protobuf::write_bytes(out, 1, key.as_bytes());
                protobuf::write_bytes(out, 2, value.as_bytes());
            });
        }
        out
    }

    fn read_json(&self, body: &[u8], limits: LabelLimits) -> Result<RefreshAnswer, AnswerError> {
        RefreshAnswer::from_json(body, limits)
    }

    fn read_protobuf(
        &self,
        body: &[u8],
        limits: LabelLimits,
    ) -> Result<RefreshAnswer, AnswerError> {
        RefreshAnswer::from_protobuf(body, limits)
    }
}

/// What a backend says to a session whose time is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefreshAnswer {
    /// It goes on.
    GoesOn(Box<Renewed>),
    /// It does not.
    Ended,
    /// It cannot, because what it would go on with is broken.
    Broken,
}

/// What a session goes on with.
#[derive(Clone, PartialEq, Eq)]
pub struct Renewed {
    /// When it ends, Unix seconds.
    pub expire_at: i64,
    /// What is attached to it from now on, when that changes.
    pub meta: Option<Box<[u8]>>,
    /// Its labels from now on, within the limits, when they change.
    pub labels: Option<BTreeMap<String, String>>,
}

impl fmt::Debug for Renewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").field("expire_at", &self.expire_at).finish_non_exhaustive()
    }
}

/// Whoever is refused does not go on, whatever the words.
impl From<Denied> for RefreshAnswer {
    fn from(_denied: Denied) -> Self {
        Self::Ended
    }
}

/// The result in JSON. Without channels `info` is nobody's, and `caps` are for nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told<'a> {
    expired: Option<bool>,
    expire_at: Option<i64>,
    b64info: Option<String>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    labels: Option<BTreeMap<String, String>>,
}

impl RefreshAnswer {
    /// Reads an answer in JSON. One without a result ends the session, and so does one that does not
    /// say until when it goes on.
    ///
    /// # Errors
    /// What makes no sense in it.
    pub(super) fn from_json(body: &[u8], limits: LabelLimits) -> Result<Self, AnswerError> {
        let outer: Outer<'_> = answer::object(body)?;
        let (false, Some(result)) = (outer.is_denied(), outer.result) else {
            return Ok(Self::Ended);
        };
        let told: Told<'_> = answer::object(result.get().as_bytes())?;
        if answer::base64("b64info", &told.b64info.unwrap_or_default()).is_err() {
            return Ok(Self::Broken);
        }
        let (meta, is_over) = (answer::raw(told.meta), told.expired == Some(true));
        Self::until(answer::time(told.expire_at).filter(|_| !is_over), meta, told.labels, limits)
    }

    /// Reads an answer in Protobuf, in the same way.
    ///
    /// # Errors
    /// What makes no sense in it.
    pub(super) fn from_protobuf(message: &[u8], limits: LabelLimits) -> Result<Self, AnswerError> {
        let outer = OuterMessage::read(message)?;
        let (false, Some(result)) = (outer.is_denied(), outer.result) else {
            return Ok(Self::Ended);
        };
        let (mut expire_at, mut is_over) = (None, false);
        let (mut meta, mut labels) = (None, None::<BTreeMap<String, String>>);
        let mut reader = Reader(result);
        while let Some(field) = reader.field()? {
            match field.number {
                1 => is_over = field.varint()? != 0,
                2 => expire_at = answer::time(Some(field.varint()?.cast_signed())),
                4 if answer::base64("b64info", field.text()?).is_err() => return Ok(Self::Broken),
                5 => meta = answer::json_bytes("meta", field.bytes()?)?,
                LABELS => {
                    let (key, value) = answer::read_pair(field.bytes()?)?;
                    labels.get_or_insert_default().insert(key, value);
                }
                _ => {}
            }
        }
        Self::until(expire_at.filter(|_| !is_over), meta, labels, limits)
    }

    fn until(
        expire_at: Option<i64>,
        meta: Option<Box<[u8]>>,
        labels: Option<BTreeMap<String, String>>,
        limits: LabelLimits,
    ) -> Result<Self, AnswerError> {
        let Some(expire_at) = expire_at else { return Ok(Self::Ended) };
        labels.as_ref().map_or(Ok(()), |labels| limits.check(labels))?;
        Ok(Self::GoesOn(Box::new(Renewed { expire_at, meta, labels })))
    }
}

/// The number of `labels`, which are ours, beyond those that Centrifugo gives out.
const LABELS: u32 = 1001;
