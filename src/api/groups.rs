//! How many sessions have which value (`group_by`).

use std::collections::BTreeMap;

use compact_str::CompactString;

use super::encode::Object;
use super::error::ApiError;
use crate::session::Session;

/// Values in one reply. Sessions of further ones are counted under none of them, and the reply says
/// so.
pub const GROUPS_MAX: usize = 1_000;

/// What stands before the key of a label.
const LABEL: &str = "label:";

/// What sessions are grouped by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum GroupBy {
    Transport,
    Protocol,
    AppName,
    AppVersion,
    /// The label with this key; sessions without it are in the group of the empty text.
    Label(CompactString),
}

impl GroupBy {
    pub(super) fn read(text: &str) -> Result<Self, ApiError> {
        Ok(match text {
            "transport" => Self::Transport,
            "protocol" => Self::Protocol,
            "app_name" => Self::AppName,
            "app_version" => Self::AppVersion,
            _ if text.len() > LABEL.len() && text.starts_with(LABEL) => {
                Self::Label(text[LABEL.len()..].into())
            }
            _ => {
                return Err(ApiError::bad_request(format_args!(
                    "key \"group_by\": expected transport, protocol, app_name, app_version or \
                     label:<key>, got {text:?}"
                )));
            }
        })
    }

    fn value<'s>(&self, session: &Session<'s>) -> &'s str {
        match self {
            Self::Transport => session.transport().name(),
            Self::Protocol => session.protocol().name(),
            Self::AppName => session.app_name(),
            Self::AppVersion => session.app_version(),
            Self::Label(key) => session.label(key).unwrap_or_default(),
        }
    }
}

/// Values and how many sessions have them.
#[derive(PartialEq, Eq, Default, Debug)]
pub(super) struct Groups {
    counts: BTreeMap<CompactString, u64>,
    is_truncated: bool,
}

impl Groups {
    pub(super) fn count(&mut self, by: &GroupBy, session: &Session<'_>) {
        self.put(by.value(session), 1);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.is_truncated |= other.is_truncated;
        for (value, sessions) in other.counts {
            self.put(&value, sessions);
        }
    }

    fn put(&mut self, value: &str, sessions: u64) {
        if let Some(count) = self.counts.get_mut(value) {
            *count += sessions;
        } else if self.counts.len() < GROUPS_MAX {
            self.counts.insert(value.into(), sessions);
        } else {
            self.is_truncated = true;
        }
    }

    /// Writes `"groups":{"<value>":n}`.
    pub(super) fn write(&self, object: &mut Object<'_>) {
        let mut groups = object.object("groups");
        for (value, sessions) in &self.counts {
            groups.member(value, *sessions);
        }
        groups.close();
        if self.is_truncated {
            object.raw("groups_truncated", b"true");
        }
    }
}
