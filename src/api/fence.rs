//! `fence` of `disconnect`: whoever is sent away is refused for a while, so that a crowd that
//! comes back at once does not. One session is known by its token: which one that is its shard is
//! asked first.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use compact_str::CompactString;

use super::answer::Merged;
use super::error::ApiError;
use super::question::Question;
use super::selector::Selector;
use super::terms::{Mode, Naming, Terms};
use crate::auth::RULE_ID_BYTES_MAX;
use crate::session::Filter;

/// Seconds for which a fence may stand.
const SECONDS: RangeInclusive<i64> = 1..=3_600;

/// Connects that are refused for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fence {
    /// Whose.
    pub whom: Fenced,
    /// For how long, in milliseconds.
    pub stands_ms: u64,
}

/// Who is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fenced {
    /// These users; the empty one is the anonymous user.
    Users(Box<[CompactString]>),
    /// Whoever comes with labels that pass this filter.
    Labels(Filter),
    /// Whoever comes with the token of the one session that is sent away: it is to be asked for.
    ItsToken,
    /// Whoever comes with the token of this id (`jti`).
    Token(CompactString),
}

/// What is known of the token that is to be fenced out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learned {
    /// Its id, which now stands in the fence.
    Token,
    /// Nothing: the answer says why nobody is sent away.
    Nothing,
}

impl Fenced {
    /// Whether a filter of labels fences these out.
    #[must_use]
    pub fn has_labels(filter: &Filter, labels: &BTreeMap<String, String>) -> bool {
        filter.matches(|key| labels.get(key).map(String::as_str))
    }
}

impl Question {
    /// The fence that must stand on every shard before this is put.
    #[must_use]
    pub fn fence(&self) -> Option<&Fence> {
        let Self::Disconnect(params) = self else { return None };
        params.fence.as_deref().filter(|_| params.terms.mode == Mode::ForReal)
    }

    /// Asks for the token that is to be fenced out, while it is not known.
    #[must_use]
    pub fn asks_token(&self) -> Option<Self> {
        let Self::Disconnect(params) = self else { return None };
        self.fence().filter(|fence| fence.whom == Fenced::ItsToken)?;
        let terms = Terms { mode: Mode::Rehearsal, naming: Naming::Token };
        Some(Self::Disconnect(Box::new(params.with_terms(terms))))
    }

    /// Takes the answer to [`Self::asks_token`]. When nobody is to be sent away it is the answer to
    /// all of this, and says why.
    pub fn learn_token(&mut self, answer: &mut Merged) -> Learned {
        let Self::Disconnect(params) = self else { return Learned::Nothing };
        if !answer.is_done() || answer.matched() == 0 {
            return Learned::Nothing;
        }
        let why = match (answer.token_uid(), &mut params.fence) {
            (Some(uid), Some(fence)) if !uid.is_empty() && uid.len() <= RULE_ID_BYTES_MAX => {
                fence.whom = Fenced::Token(uid.clone());
                return Learned::Token;
            }
            (Some(uid), _) if !uid.is_empty() => "is too long to be kept",
            _ => "has no id (jti)",
        };
        answer.fail(ApiError::bad_request(format_args!(
            "key \"fence\": the token of this session {why}: nobody was sent away, expected its \
             \"user\" in place of \"client\" or \"session\", or no \"fence\""
        )));
        Learned::Nothing
    }
}

/// What `fence` asks for; 0 is absent.
pub(super) fn read(
    seconds: Option<i64>,
    selector: &Selector,
) -> Result<Option<Box<Fence>>, ApiError> {
    let Some(seconds) = seconds.filter(|seconds| *seconds != 0) else { return Ok(None) };
    let (min, max) = (SECONDS.start(), SECONDS.end());
    let stands_s = u64::try_from(seconds).ok().filter(|_| SECONDS.contains(&seconds));
    let stands_s = stands_s.ok_or_else(|| {
        ApiError::bad_request(format_args!(
            "key \"fence\": expected from {min} to {max} seconds, got {seconds}"
        ))
    })?;
    let whom = selector.fenced().ok_or_else(|| {
        ApiError::bad_request(
            "key \"fence\": a connect can be known by its user, its labels or its token: expected \"user\" or \"users\" and no other selector, or \"label_filter\" with \
             \"all_users\" and no other, or \"client\" or \"session\" for the token of that session",
        )
    })?;
    Ok(Some(Box::new(Fence { whom, stands_ms: stands_s * 1_000 })))
}
