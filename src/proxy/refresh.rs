//! The question whether a session whose time is over may go on (server contract, "refresh proxy").

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::{self, AnswerError, Denied, Outer};
use super::carried::Carried;
use super::{DataForm, QuestionError};
use crate::ids::ClientId;
use crate::limits::LabelLimits;
use crate::protocol::Encoding;

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

impl RefreshQuestion {
    /// The question in JSON.
    ///
    /// # Errors
    /// `meta` is no JSON, which whoever attached it made sure of.
    pub fn json(&self, form: DataForm) -> Result<Vec<u8>, QuestionError> {
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
    pub fn from_json(body: &[u8], limits: LabelLimits) -> Result<Self, AnswerError> {
        let outer: Outer<'_> = answer::object(body)?;
        let (false, Some(result)) = (outer.is_denied(), outer.result) else {
            return Ok(Self::Ended);
        };
        let told: Told<'_> = answer::object(result.get().as_bytes())?;
        if answer::base64("b64info", &told.b64info.unwrap_or_default()).is_err() {
            return Ok(Self::Broken);
        }
        let (Some(expire_at), false) = (answer::time(told.expire_at), told.expired == Some(true))
        else {
            return Ok(Self::Ended);
        };
        told.labels.as_ref().map_or(Ok(()), |labels| limits.check(labels))?;
        let (meta, labels) = (answer::raw(told.meta), told.labels);
        Ok(Self::GoesOn(Box::new(Renewed { expire_at, meta, labels })))
    }
}
