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

/// Values of labels that one filter tries one by one, for comparisons that have no order of their
/// own (`ew`, `ct`, numbers): a fraction of a millisecond. What goes beyond does not help.
const VALUES_TRIED_MAX: usize = if cfg!(test) { 8 } else { 4096 };

/// Slots of sets that one filter puts together, a few milliseconds: each of a list, and
/// [`SLOTS_PER_PART`] for each part of a bitmap. Beyond it every session is asked instead, which can
/// be interrupted.
const GATHERED_MAX: usize = if cfg!(test) { 200 } else { 128 * 1024 };

/// Slots of a list that take as long as a part of a bitmap.
const SLOTS_PER_PART: usize = 8;

/// Slots of a list, and values, that take as long as reading a record.
const SLOTS_PER_STEP: usize = 8;

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
    /// ones among the conditions leave. Without any condition that an index can answer, unknown. Also
    /// says how long it took, in readings of a record.
    #[must_use]
    pub fn candidates(&self, conditions: &Conditions<'_>) -> (Candidates, usize) {
        let index = self.index();
        let effort = &mut Effort::default();
        let Conditions { filter, transport, app_name, app_version } = *conditions;
        let by_transport = transport
            .map(|transport| Found::exactly(Set::Of(Cow::Borrowed(index.of_transport(transport)))));
        let by_app = match (app_name, app_version) {
            (None, None) => None,
            (Some(name), Some(version)) => Some(Found::of(index.apps.slots(name, version))),
            (Some(name), None) => {
                Some(Found::any(index.apps.seconds(name).map(|(_, of)| of), effort))
            }
            (None, Some(version)) => Some(Found::any(index.apps.with_second(version), effort)),
        };
        let by_filter = filter.map(|filter| find(index, filter.root(), effort));
        let all_of = [by_transport, by_app, by_filter].into_iter().flatten();
        let candidates = match all_of.reduce(|found, other| found.and(other, effort)) {
            Some(found) => found.resolve(index),
            None => Candidates::Unknown,
        };
        (candidates, effort.steps())
    }
}

/// What a filter has taken so far.
#[derive(Default)]
struct Effort {
    gathered: usize,
    tried: usize,
}

impl Effort {
    /// Whether so many values may be tried.
    fn try_values(&mut self, values: usize) -> bool {
        let tried = self.tried + values;
        let may = tried <= VALUES_TRIED_MAX;
        if may {
            self.tried = tried;
        }
        may
    }

    /// Whether this set may be put together with others. What is too much stays too much.
    fn gather(&mut self, set: &SlotSet) -> bool {
        self.gathered = self.gathered.saturating_add(match set {
            SlotSet::Few(slots) => slots.len(),
            SlotSet::Many { bitmap, .. } => SLOTS_PER_PART * parts(bitmap),
        });
        self.gathered <= GATHERED_MAX
    }

    /// Whether these two may be put together: the smaller list is gone through, or all bitmaps are.
    fn combine(&mut self, a: &Set<'_>, b: &Set<'_>) -> bool {
        let (a, b) = (a.slots(), b.slots());
        match (a, b) {
            (SlotSet::Many { .. }, SlotSet::Many { .. }) => self.gather(a) && self.gather(b),
            (SlotSet::Few(_), _) => self.gather(a),
            (_, SlotSet::Few(_)) => self.gather(b),
        }
    }

    const fn steps(&self) -> usize {
        (self.gathered + self.tried) / SLOTS_PER_STEP
    }
}

/// No fewer than the parts of a bitmap.
fn parts(bitmap: &RoaringBitmap) -> usize {
    bitmap.max().map_or(0, |last| last as usize / 65_536 + 1)
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
fn find<'t>(index: &'t Index, node: &Node, effort: &mut Effort) -> Found<'t> {
    match node {
        Node::Compare(comparison) => compare(index, comparison, effort),
        Node::All(nodes) => reduce(index, nodes, Found::and, effort),
        Node::Any(nodes) => reduce(index, nodes, Found::or, effort),
        Node::Not(node) => find(index, node, effort).not(),
    }
}

fn reduce<'t>(
    index: &'t Index,
    nodes: &[Node],
    combine: fn(Found<'t>, Found<'t>, &mut Effort) -> Found<'t>,
    effort: &mut Effort,
) -> Found<'t> {
    let (first, rest) = nodes.split_first().expect("a filter combines at least one node");
    let first = find(index, first, effort);
    rest.iter().fold(first, |found, node| {
        let other = find(index, node, effort);
        combine(found, other, effort)
    })
}

fn compare<'t>(
    index: &'t Index,
    Comparison { key, test }: &Comparison,
    effort: &mut Effort,
) -> Found<'t> {
    let labels = &index.labels;
    let listed = |values: &[Box<str>], effort: &mut Effort| {
        let sets = values.iter().filter_map(|value| labels.slots(key, value));
        let with_value = Found::any(sets, effort);
        // A session without the label answers as if it were empty.
        if values.first().is_some_and(|value| value.is_empty()) {
            let without_key = with_key(index, key, effort).not();
            return with_value.or(without_key, effort);
        }
        with_value
    };
    match test {
        Test::Is(value) => Found::of(labels.slots(key, value)),
        Test::IsNot(value) => Found::of(labels.slots(key, value)).not(),
        Test::In(values) => listed(values, effort),
        Test::NotIn(values) => listed(values, effort).not(),
        Test::Exists => with_key(index, key, effort),
        Test::Missing => with_key(index, key, effort).not(),
        Test::StartsWith(start) => {
            let from = labels.seconds_from(key, start);
            let with_start = from.take_while(|(value, _)| value.starts_with(&**start));
            Found::any(with_start.map(|(_, of)| of), effort)
        }
        Test::EndsWith(_) | Test::Contains(_) | Test::Number(..) => {
            if !effort.try_values(labels.seconds_len(key)) {
                return Found::Unknown;
            }
            let passing = labels.seconds(key).filter(|(value, _)| test.holds(Some(value)));
            Found::any(passing.map(|(_, of)| of), effort)
        }
    }
}

fn with_key<'t>(index: &'t Index, key: &str, effort: &mut Effort) -> Found<'t> {
    Found::any(index.labels.seconds(key).map(|(_, of)| of), effort)
}

impl<'t> Found<'t> {
    fn of(slots: Option<&'t SlotSet>) -> Self {
        let slots = slots.map_or_else(|| Cow::Owned(SlotSet::new()), Cow::Borrowed);
        Self::exactly(Set::Of(slots))
    }

    /// The sessions in any of these.
    fn any<'s>(sets: impl Iterator<Item = &'s SlotSet>, effort: &mut Effort) -> Self {
        match SlotSet::gather(sets, |set| effort.gather(set)) {
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

    fn and(self, other: Self, effort: &mut Effort) -> Self {
        match (self, other) {
            (Self::Exactly(a) | Self::AtMost(a), Self::Exactly(b) | Self::AtMost(b))
                if !effort.combine(&a, &b) =>
            {
                // The smaller one alone holds all, and maybe others.
                Self::AtMost(if a.is_smaller_than(&b) { a } else { b })
            }
            (Self::Exactly(a), Self::Exactly(b)) => Self::Exactly(a.and(b)),
            (Self::Unknown, Self::Unknown) => Self::Unknown,
            (Self::Unknown, Self::Exactly(a) | Self::AtMost(a))
            | (Self::Exactly(a) | Self::AtMost(a), Self::Unknown) => Self::AtMost(a),
            (Self::Exactly(a) | Self::AtMost(a), Self::Exactly(b) | Self::AtMost(b)) => {
                Self::AtMost(a.and(b))
            }
        }
    }

    fn or(self, other: Self, effort: &mut Effort) -> Self {
        match (self, other) {
            (Self::Exactly(a) | Self::AtMost(a), Self::Exactly(b) | Self::AtMost(b))
                if !effort.gather(a.slots()) || !effort.gather(b.slots()) =>
            {
                Self::Unknown
            }
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
    fn slots(&self) -> &SlotSet {
        match self {
            Self::Of(slots) | Self::AllBut(slots) => slots,
        }
    }

    fn is_smaller_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Of(a), Self::Of(b)) => a.len() <= b.len(),
            (Self::AllBut(a), Self::AllBut(b)) => a.len() >= b.len(),
            (Self::Of(_), Self::AllBut(_)) => true,
            (Self::AllBut(_), Self::Of(_)) => false,
        }
    }

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
