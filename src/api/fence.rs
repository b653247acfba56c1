//! `fence` of `disconnect`: whoever is sent away is refused for a while, so that a crowd that
//! comes back at once does not.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use compact_str::CompactString;

use super::error::ApiError;
use super::selector::Selector;
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
}

impl Fenced {
    /// Whether a filter of labels fences these out.
    #[must_use]
    pub fn has_labels(filter: &Filter, labels: &BTreeMap<String, String>) -> bool {
        filter.matches(|key| labels.get(key).map(String::as_str))
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
            "key \"fence\": a connect can be known by its user or its labels alone: expected \
             \"user\" or \"users\" and no other selector, or \"label_filter\" with \"all_users\" \
             and no other",
        )
    })?;
    Ok(Some(Box::new(Fence { whom, stands_ms: stands_s * 1_000 })))
}
