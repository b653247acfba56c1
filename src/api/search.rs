//! `connections` beyond one user's: conditions, pages, counts and groups.
//!
//! What Centrifugo can ask for is answered in its form. When one of our own keys is used, the reply
//! says more: how many sessions match, the ids in order, where the next page begins.

use simd_json::tape::Value;

use super::answer::Merged;
use super::cursor::Seal;
use super::encode::Object;
use super::error::ApiError;
use super::groups::GroupBy;
use super::narrowing::number;
use super::page::{Place, Sort};
use super::params::{Mistyped, Reading, boolean, integer, known, text};
use super::selector::Selector;

/// A listing of the sessions that a selector means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    pub(super) selector: Selector,
    pub(super) shape: Shape,
    pub(super) group_by: Option<GroupBy>,
    pub(super) state: State,
    seal: Seal,
}

/// Which sessions are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Those that live.
    Open,
    /// Those that have ended and are still remembered.
    Closed,
}

impl State {
    fn read(text: &str) -> Result<Self, ApiError> {
        match text {
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::Closed),
            other => Err(ApiError::bad_request(format_args!(
                "key \"state\": expected \"open\" or \"closed\", got {other:?}"
            ))),
        }
    }
}

/// What a search gives back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// All sessions, in Centrifugo's form.
    Whole,
    /// So many, in order, behind a place.
    Page { sort: Sort, after: Option<Place>, limit: usize },
    /// Only numbers.
    Count,
}

/// Our own keys of a listing, as given.
#[derive(Default)]
pub(super) struct Additions<'i> {
    limit: Option<i64>,
    cursor: Option<&'i str>,
    sort: Option<&'i str>,
    count_only: Option<bool>,
    group_by: Option<&'i str>,
    state: Option<&'i str>,
}

impl<'i> Additions<'i> {
    /// Reads one parameter; false when it is none of them.
    pub(super) fn read(&mut self, key: &str, value: Value<'_, 'i>) -> Result<bool, Mistyped> {
        match known(key, &["limit", "cursor", "sort", "count_only", "group_by", "state"]) {
            key @ "limit" => integer(&mut self.limit, key, value)?,
            key @ "cursor" => text(&mut self.cursor, key, value)?,
            key @ "sort" => text(&mut self.sort, key, value)?,
            key @ "count_only" => boolean(&mut self.count_only, key, value)?,
            key @ "group_by" => text(&mut self.group_by, key, value)?,
            key @ "state" => text(&mut self.state, key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether one is used. Empty texts and 0 are absent, because some clients always send every
    /// key.
    pub(super) fn are_used(&self) -> bool {
        let texts = [self.cursor, self.sort, self.group_by, self.state];
        texts.iter().flatten().any(|text| !text.is_empty())
            || self.limit.is_some_and(|limit| limit != 0)
            || self.count_only == Some(true)
    }

    /// The search for what a selector means, in the form that goes with these keys.
    pub(super) fn search(
        self,
        selector: Selector,
        reading: Reading<'_>,
    ) -> Result<Search, ApiError> {
        let given = |text: Option<&'i str>| text.filter(|text| !text.is_empty());
        let group_by = given(self.group_by).map(GroupBy::read).transpose()?;
        let sort = given(self.sort).map(Sort::read).transpose()?.unwrap_or_default();
        let state = given(self.state).map_or(Ok(State::Open), State::read)?;
        if state == State::Closed && selector.depends_on_time() {
            return Err(ApiError::bad_request(
                "\"older_than\" and \"idle_longer_than\" cannot be asked of sessions that have \
                 ended, use \"connected_before\" and \"connected_after\"",
            ));
        }
        let seal = Seal(reading.hasher.hash(&format!("cursor {sort:?} {state:?} {selector:?}")).0);
        let limit_max = reading.options.queries.page_max;
        let limit = match number("limit", self.limit)? {
            None => limit_max,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| *limit <= limit_max)
                .ok_or_else(|| {
                    ApiError::bad_request(format_args!(
                        "key \"limit\": expected at most {limit_max} (queries.max_page_size), got \
                         {limit}"
                    ))
                })?,
        };
        let after = given(self.cursor).map(|text| seal.read(text)).transpose()?;
        debug_assert!(after.as_ref().is_none_or(|place| sort.fits(place)), "the seal says so");
        let shape = if self.count_only == Some(true) {
            Shape::Count
        } else {
            Shape::Page { sort, after, limit }
        };
        Ok(Search { selector, shape, group_by, state, seal })
    }
}

impl Search {
    /// All sessions that a selector means, in Centrifugo's form.
    pub(super) const fn whole(selector: Selector) -> Self {
        let state = State::Open;
        Self { selector, shape: Shape::Whole, group_by: None, state, seal: Seal(0) }
    }

    /// Writes the result.
    pub(super) fn write(&self, merged: &Merged, out: &mut Vec<u8>) {
        if self.shape == Shape::Whole {
            return merged.write_connections(out);
        }
        let mut result = Object::open(out);
        let rows = merged.detail().and_then(|detail| detail.rows.as_ref());
        result.members("connections", |out| {
            if let Some(rows) = rows {
                rows.write(out);
            }
        });
        result.integer("count", merged.matched());
        if let Some(rows) = rows {
            result.ids("clients", &rows.clients());
            // What was not looked at may stand before it.
            if let Some(next) = rows.next().filter(|_| !merged.is_partial()) {
                result.text("next_cursor", &self.seal.write(next));
            }
        }
        if let Some(groups) = merged.detail().and_then(|detail| detail.groups.as_ref()) {
            groups.write(&mut result);
        }
        merged.write_scan(&mut result);
        result.close();
    }
}
