//! ⑤ Conditions to the sessions that may meet them, by set operations on the indexes.
//!
//! Each session is in a set or not by what it has itself, so sets combine exactly as conditions
//! do. A complement stays one for as long as it can: `region eq eu and not plan eq free` never
//! writes down all who do not have the plan.

use std::borrow::Cow;

use roaring::RoaringBitmap;

use super::filter::{Comparison, Filter, Node, Test};
use super::index::Index;
use super::slots::SlotSet;
use super::table::Table;
use super::view::{Session, Transport};

/// What sessions are searched for; everything given must hold.
#[derive(Clone, Copy, Default, Debug)]
pub struct Conditions<'a> {
    /// A condition on labels.
    pub filter: Option<&'a Filter>,
    /// How their bytes travel.
    pub transport: Option<Transport>,
    /// The client's `name`; the empty text means those without one.
    pub app_name: Option<&'a str>,
    /// The client's `version`; the empty text means those without one.
    pub app_version: Option<&'a str>,
}

/// The slots of sessions that may meet conditions.
#[derive(Clone, PartialEq, Debug)]
pub enum Candidates {
    /// These do, and no others.
    Exactly(RoaringBitmap),
    /// No others do; each of these must be asked ([`Conditions::admit`]).
    AtMost(RoaringBitmap),
    /// Every session must be asked.
    Unknown,
}

/// Values of one label that are tried one by one for comparisons that have no order of their own
/// (`ew`, `ct`, numbers): a fraction of a millisecond. A label with more values does not help.
const VALUES_TRIED_MAX: usize = if cfg!(test) { 8 } else { 4096 };

/// Sessions of values with few sessions each that are put together into one set, a few milliseconds.
/// Beyond it every session is asked instead, which can be interrupted.
const GATHERED_MAX: usize = if cfg!(test) { 200 } else { 128 * 1024 };

impl Conditions<'_> {
    /// Whether this session meets them.
    #[must_use]
    pub fn admit(&self, session: &Session<'_>) -> bool {
        self.transport.is_none_or(|transport| transport == session.transport())
            && self.app_name.is_none_or(|name| name == session.app_name())
            && self.app_version.is_none_or(|version| version == session.app_version())
            && self.filter.is_none_or(|filter| filter.matches(|key| session.label(key)))
    }
}

impl Table {
    /// The sessions that may meet these conditions, in time proportional to how many the indexed
    /// ones among the conditions leave. Without any condition that an index can answer, unknown.
    #[must_use]
    pub fn candidates(&self, conditions: &Conditions<'_>) -> Candidates {
        let index = self.index();
        let Conditions { filter, transport, app_name, app_version } = *conditions;
        let by_transport = transport
            .map(|transport| Found::exactly(Set::Of(Cow::Borrowed(index.of_transport(transport)))));
        let by_app = match (app_name, app_version) {
            (None, None) => None,
            (Some(name), Some(version)) => Some(Found::of(index.apps.slots(name, version))),
            (Some(name), None) => Some(Found::any(index.apps.seconds(name).map(|(_, of)| of))),
            (None, Some(version)) => Some(Found::any(index.apps.with_second(version))),
        };
        let by_filter = filter.map(|filter| find(index, filter.root()));
        let all_of = [by_transport, by_app, by_filter].into_iter().flatten();
        match all_of.reduce(Found::and) {
            Some(found) => found.resolve(index),
            None => Candidates::Unknown,
        }
    }
}

/// What is known of the sessions that meet one condition, those in `unindexed` left aside.
enum Found<'t> {
    Exactly(Set<'t>),
    /// All of them, and maybe others.
    AtMost(Set<'t>),
    Unknown,
}

/// Sessions, or all but these.
enum Set<'t> {
    Of(Cow<'t, SlotSet>),
    AllBut(Cow<'t, SlotSet>),
}

/// Recursion no deeper than a filter's limit.
fn find<'t>(index: &'t Index, node: &Node) -> Found<'t> {
    match node {
        Node::Compare(comparison) => compare(index, comparison),
        Node::All(nodes) => reduce(index, nodes, Found::and),
        Node::Any(nodes) => reduce(index, nodes, Found::or),
        Node::Not(node) => find(index, node).not(),
    }
}

fn reduce<'t>(
    index: &'t Index,
    nodes: &[Node],
    combine: fn(Found<'t>, Found<'t>) -> Found<'t>,
) -> Found<'t> {
    let found = nodes.iter().map(|node| find(index, node));
    found.reduce(combine).expect("a filter combines at least one node")
}

fn compare<'t>(index: &'t Index, Comparison { key, test }: &Comparison) -> Found<'t> {
    let labels = &index.labels;
    let listed = |values: &[Box<str>]| {
        let with_value = Found::any(values.iter().filter_map(|value| labels.slots(key, value)));
        // A session without the label answers as if it were empty.
        let has_empty = values.first().is_some_and(|value| value.is_empty());
        if has_empty { with_value.or(with_key(index, key).not()) } else { with_value }
    };
    match test {
        Test::Is(value) => Found::of(labels.slots(key, value)),
        Test::IsNot(value) => Found::of(labels.slots(key, value)).not(),
        Test::In(values) => listed(values),
        Test::NotIn(values) => listed(values).not(),
        Test::Exists => with_key(index, key),
        Test::Missing => with_key(index, key).not(),
        Test::StartsWith(start) => {
            let from = labels.seconds_from(key, start);
            Found::any(from.take_while(|(value, _)| value.starts_with(&**start)).map(|(_, of)| of))
        }
        Test::EndsWith(_) | Test::Contains(_) | Test::Number(..) => {
            if labels.seconds_len(key) > VALUES_TRIED_MAX {
                return Found::Unknown;
            }
            let passing = labels.seconds(key).filter(|(value, _)| test.holds(Some(value)));
            Found::any(passing.map(|(_, of)| of))
        }
    }
}

fn with_key<'t>(index: &'t Index, key: &str) -> Found<'t> {
    Found::any(index.labels.seconds(key).map(|(_, of)| of))
}

impl<'t> Found<'t> {
    fn of(slots: Option<&'t SlotSet>) -> Self {
        let slots = slots.map_or_else(|| Cow::Owned(SlotSet::new()), Cow::Borrowed);
        Self::exactly(Set::Of(slots))
    }

    /// The sessions in any of these.
    fn any<'s>(sets: impl Iterator<Item = &'s SlotSet>) -> Self {
        match SlotSet::gather(sets, GATHERED_MAX) {
            Some(slots) => Self::exactly(Set::Of(Cow::Owned(slots))),
            None => Self::Unknown,
        }
    }

    const fn exactly(set: Set<'t>) -> Self {
        Self::Exactly(set)
    }

    fn not(self) -> Self {
        match self {
            Self::Exactly(Set::Of(slots)) => Self::Exactly(Set::AllBut(slots)),
            Self::Exactly(Set::AllBut(slots)) => Self::Exactly(Set::Of(slots)),
            // Who is not known to be in may be out.
            Self::AtMost(_) | Self::Unknown => Self::Unknown,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exactly(a), Self::Exactly(b)) => Self::Exactly(a.and(b)),
            (Self::Unknown, Self::Unknown) => Self::Unknown,
            (Self::Unknown, Self::Exactly(a) | Self::AtMost(a))
            | (Self::Exactly(a) | Self::AtMost(a), Self::Unknown) => Self::AtMost(a),
            (Self::Exactly(a) | Self::AtMost(a), Self::Exactly(b) | Self::AtMost(b)) => {
                Self::AtMost(a.and(b))
            }
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exactly(a), Self::Exactly(b)) => Self::Exactly(a.or(b)),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Exactly(a) | Self::AtMost(a), Self::Exactly(b) | Self::AtMost(b)) => {
                Self::AtMost(a.or(b))
            }
        }
    }

    fn resolve(self, index: &Index) -> Candidates {
        let (set, is_exact) = match self {
            Self::Exactly(set) => (set, index.unindexed.is_empty()),
            Self::AtMost(set) => (set, false),
            Self::Unknown => return Candidates::Unknown,
        };
        let slots = match set {
            Set::Of(slots) => slots.into_owned(),
            Set::AllBut(slots) => index.all().without(&slots),
        };
        if is_exact {
            return Candidates::Exactly(slots.into_bitmap());
        }
        Candidates::AtMost(SlotSet::any([&slots, &index.unindexed].into_iter()).into_bitmap())
    }
}

impl Set<'_> {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Of(a), Self::Of(b)) => Self::Of(Cow::Owned(a.and(&b))),
            (Self::Of(a), Self::AllBut(b)) | (Self::AllBut(b), Self::Of(a)) => {
                Self::Of(Cow::Owned(a.without(&b)))
            }
            (Self::AllBut(a), Self::AllBut(b)) => Self::AllBut(Cow::Owned(union(&a, &b))),
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Of(a), Self::Of(b)) => Self::Of(Cow::Owned(union(&a, &b))),
            (Self::Of(a), Self::AllBut(b)) | (Self::AllBut(b), Self::Of(a)) => {
                Self::AllBut(Cow::Owned(b.without(&a)))
            }
            (Self::AllBut(a), Self::AllBut(b)) => Self::AllBut(Cow::Owned(a.and(&b))),
        }
    }
}

fn union(a: &SlotSet, b: &SlotSet) -> SlotSet {
    SlotSet::any([a, b].into_iter())
}
