//! One page of a listing: so many sessions in an order that is total, from a place on.
//!
//! Sessions stand by a key that never changes while they live and then by their client id, so that
//! each has one place, whoever comes and goes. Each shard picks its own first ones; the asking shard
//! merges them.

use std::cmp::Ordering;

use compact_str::CompactString;

use super::answer::LISTINGS_BYTES_MAX;
use super::connections;
use super::error::ApiError;
use crate::ids::{ClientId, SessionSlot};
use crate::session::{Session, Table};

/// What sessions are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SortBy {
    ConnectedAt,
    User,
}

/// How a page is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sort {
    by: SortBy,
    direction: Direction,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Ascending,
    Descending,
}

impl Default for Sort {
    fn default() -> Self {
        Self { by: SortBy::ConnectedAt, direction: Direction::Ascending }
    }
}

impl Sort {
    pub(super) fn read(text: &str) -> Result<Self, ApiError> {
        let (name, direction) = match text.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (text, Direction::Ascending),
        };
        let by = match name {
            "connected_at" => SortBy::ConnectedAt,
            "user" => SortBy::User,
            _ => {
                return Err(ApiError::bad_request(format_args!(
                    "key \"sort\": expected connected_at or user, with a - before it for the last \
                     ones first, got {text:?}"
                )));
            }
        };
        Ok(Self { by, direction })
    }

    fn place_of(self, session: &Session<'_>) -> Place {
        let key = match self.by {
            SortBy::ConnectedAt => Key::ConnectedAt(session.connected_at_ms()),
            SortBy::User => Key::User(session.user().into()),
        };
        Place { key, client: session.client() }
    }

    /// Whether this order is what a place was made for.
    pub(super) const fn fits(self, place: &Place) -> bool {
        matches!(
            (self.by, &place.key),
            (SortBy::ConnectedAt, Key::ConnectedAt(_)) | (SortBy::User, Key::User(_))
        )
    }

    fn compare(self, a: &Place, b: &Place) -> Ordering {
        match self.direction {
            Direction::Ascending => a.cmp(b),
            Direction::Descending => b.cmp(a),
        }
    }
}

/// What a session is sorted by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    ConnectedAt(u64),
    User(CompactString),
}

/// The place of a session in an order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) client: ClientId,
}

/// The first sessions of one shard, while it looks for them.
#[derive(Debug)]
pub(super) struct Picked {
    sort: Sort,
    after: Option<Place>,
    limit: usize,
    picked: Vec<(Place, SessionSlot)>,
    /// Once there are enough: those behind this place are of no interest.
    worst: Option<Place>,
    has_more: bool,
}

impl Picked {
    pub(super) const fn new(sort: Sort, after: Option<Place>, limit: usize) -> Self {
        Self { sort, after, limit, picked: Vec::new(), worst: None, has_more: false }
    }

    pub(super) fn look_at(&mut self, session: &Session<'_>) {
        let (sort, place) = (self.sort, self.sort.place_of(session));
        if self.after.as_ref().is_some_and(|after| sort.compare(&place, after).is_le()) {
            return;
        }
        if self.worst.as_ref().is_some_and(|worst| sort.compare(&place, worst).is_gt()) {
            self.has_more = true;
            return;
        }
        self.picked.push((place, session.slot()));
        // Twice as many, so that cutting back costs a constant for each.
        if self.picked.len() >= self.limit * 2 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.picked.len() <= self.limit {
            return;
        }
        let sort = self.sort;
        self.picked.select_nth_unstable_by(self.limit - 1, |a, b| sort.compare(&a.0, &b.0));
        self.picked.truncate(self.limit);
        self.worst = self.picked.last().map(|(place, _)| place.clone());
        self.has_more = true;
    }

    /// The sessions found, encoded; `None` when they take more than [`LISTINGS_BYTES_MAX`]. One that
    /// has gone since it was found keeps its place and has nothing to show.
    pub(super) fn rows(mut self, table: &Table) -> Option<Rows> {
        self.cut();
        let mut rows = Vec::with_capacity(self.picked.len());
        let mut bytes = 0;
        for (place, slot) in self.picked {
            let mut json = Vec::new();
            if let Some(session) = table.get(slot).filter(|one| one.client() == place.client) {
                connections::write_entry(&session, &mut json);
            }
            bytes += json.len();
            if bytes > LISTINGS_BYTES_MAX {
                return None;
            }
            rows.push(Row { place, json: json.into() });
        }
        let Self { sort, limit, has_more, .. } = self;
        let mut rows = Rows { sort, limit, rows, has_more };
        rows.order();
        Some(rows)
    }
}

#[derive(PartialEq, Eq, Debug)]
struct Row {
    place: Place,
    /// `"<client>":{…}`; empty when the session has gone.
    json: Box<[u8]>,
}

/// Sessions in order.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Rows {
    sort: Sort,
    limit: usize,
    rows: Vec<Row>,
    has_more: bool,
}

impl Rows {
    /// Adds another shard's.
    pub(super) fn add(&mut self, other: Self) {
        self.has_more |= other.has_more;
        self.rows.extend(other.rows);
        self.order();
    }

    fn order(&mut self) {
        let sort = self.sort;
        self.rows.sort_unstable_by(|a, b| sort.compare(&a.place, &b.place));
        self.has_more |= self.rows.len() > self.limit;
        self.rows.truncate(self.limit);
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.iter().map(|row| row.json.len()).sum()
    }

    /// The place after which the next page begins, when there is one.
    pub(super) fn next(&self) -> Option<&Place> {
        self.rows.last().filter(|_| self.has_more).map(|row| &row.place)
    }

    /// Client ids in order.
    pub(super) fn clients(&self) -> Vec<ClientId> {
        self.shown().map(|row| row.place.client).collect()
    }

    /// Writes `"<client>":{…}` for each, joined by commas.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (at, row) in self.shown().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&row.json);
        }
    }

    fn shown(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.json.is_empty())
    }
}
