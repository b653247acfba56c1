//! Searching by index against asking every session: the same sessions, whatever comes and goes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Plain, empty_bytes, hasher, table_with};
use crate::ids::SessionSlot;
use crate::session::pairs::{APPS_MAX, LABELS_MAX};
use crate::session::{
    Candidates, Conditions, Filter, FilterFields, FilterLimits, Session, Table, Transport,
};

/// A filter as a test makes it up.
#[derive(Clone, Debug)]
enum Written {
    Leaf { key: String, cmp: &'static str, vals: Vec<String> },
    Branch { op: &'static str, nodes: Vec<Self> },
}

impl Written {
    fn filter(&self) -> Filter {
        let limits = FilterLimits { depth_max: 8, nodes_max: 1_000 };
        Filter::read(self, limits, |node: &Self| Ok(node.fields()))
            .unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    fn fields(&self) -> FilterFields<'_, &Self> {
        let none = FilterFields { op: "", key: "", cmp: "", val: "", vals: vec![], nodes: vec![] };
        match self {
            Self::Branch { op, nodes } => {
                FilterFields { op, nodes: nodes.iter().collect(), ..none }
            }
            Self::Leaf { key, cmp, .. } if cmp.ends_with("ex") => FilterFields { key, cmp, ..none },
            Self::Leaf { key, cmp, vals } if cmp.ends_with("in") => {
                FilterFields { key, cmp, vals: vals.iter().map(|val| &**val).collect(), ..none }
            }
            Self::Leaf { key, cmp, vals } => {
                let val = vals.iter().find(|val| !val.is_empty()).map_or("1", |val| val);
                FilterFields { key, cmp, val, ..none }
            }
        }
    }
}

const COMPARISONS: [&str; 13] =
    ["eq", "neq", "in", "nin", "ex", "nex", "sw", "ew", "ct", "gt", "gte", "lt", "lte"];

fn written() -> impl Strategy<Value = Written> {
    let value = prop_oneof![Just(String::new()), "[0-2]{1,2}", Just("1.5".to_owned())];
    let vals = proptest::collection::vec(value, 1..4);
    let leaf = ("[a-d]", proptest::sample::select(&COMPARISONS), vals)
        .prop_map(|(key, cmp, vals)| Written::Leaf { key, cmp, vals });
    leaf.prop_recursive(4, 16, 3, |node| {
        let of = |op, count| {
            proptest::collection::vec(node.clone(), count)
                .prop_map(move |nodes| Written::Branch { op, nodes })
        };
        prop_oneof![of("and", 1..4), of("or", 1..4), of("not", 1..2)]
    })
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = prop_oneof![Just(String::new()), "[0-2]{1,2}", "[0-9]{1,2}(\\.[05])?"];
    proptest::collection::btree_map("[a-d]", value, 0..4)
}

/// What a test does with a table.
#[derive(Clone, Debug)]
enum Op {
    Open { labels: BTreeMap<String, String>, app: (String, String), transport: Transport },
    Close(usize),
    Label(usize, BTreeMap<String, String>),
}

fn op() -> impl Strategy<Value = Op> {
    let app = ("[x-z]?", "[1-3]?");
    let transport = proptest::sample::select(&Transport::ALL[..3]);
    let open = (labels(), app, transport).prop_map(|(labels, app, transport)| Op::Open {
        labels,
        app,
        transport,
    });
    let label = (any::<usize>(), labels()).prop_map(|(nth, labels)| Op::Label(nth, labels));
    prop_oneof![3 => open, 2 => any::<usize>().prop_map(Op::Close), 1 => label]
}

/// Those that asking every session finds.
fn scanned(table: &Table, conditions: &Conditions<'_>) -> BTreeSet<u32> {
    let met = table.iter().filter(|session| conditions.admit(session));
    met.map(|session| session.slot().0).collect()
}

/// Checks that the index finds the same; says whether it could.
fn check(table: &Table, conditions: &Conditions<'_>) -> Answered {
    let expected = scanned(table, conditions);
    match table.candidates(conditions).0 {
        Candidates::Exactly(slots) => {
            assert_eq!(slots.iter().collect::<BTreeSet<_>>(), expected, "{conditions:?}");
            Answered::Exactly
        }
        Candidates::AtMost(slots) => {
            let admitted = slots.iter().filter(|slot| {
                let session: Session<'_> = table.view(SessionSlot(*slot));
                conditions.admit(&session)
            });
            assert_eq!(admitted.collect::<BTreeSet<_>>(), expected, "{conditions:?}");
            Answered::AtMost(slots.len())
        }
        Candidates::Unknown => Answered::Unknown,
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Answered {
    Exactly,
    AtMost(u64),
    Unknown,
}

fn of(filter: &Filter) -> Conditions<'_> {
    Conditions { filter: Some(filter), ..Conditions::default() }
}

fn leaf(key: &str, cmp: &'static str, val: &str) -> Written {
    Written::Leaf { key: key.to_owned(), cmp, vals: vec![val.to_owned()] }
}

fn branch<const N: usize>(op: &'static str, nodes: [Written; N]) -> Written {
    Written::Branch { op, nodes: nodes.into() }
}

fn with_labels(labels: &[(&str, String)]) -> Plain {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Plain { labels, ..Plain::of("42") }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_index_finds_what_asking_every_session_finds(
        ops in proptest::collection::vec(op(), 1..160),
        filters in proptest::collection::vec(written(), 1..12),
        app in ("[x-z]?", "[1-3]?"),
    ) {
        let mut table = table_with(hasher());
        let mut open = Vec::new();
        let filters: Vec<Filter> = filters.iter().map(Written::filter).collect();
        for (salt, op) in (0..).zip(ops) {
            match op {
                Op::Open { labels, app: (name, version), transport } => {
                    let plain = Plain { labels, name, version, transport, ..Plain::of("42") };
                    open.push(table.open(&plain.opening(), salt).unwrap().slot);
                }
                Op::Close(nth) if !open.is_empty() => {
                    table.close(open.swap_remove(nth % open.len()));
                }
                Op::Label(nth, labels) if !open.is_empty() => {
                    table.set_labels(open[nth % open.len()], &labels);
                }
                Op::Close(_) | Op::Label(..) => {}
            }
        }
        for filter in &filters {
            check(&table, &of(filter));
            for transport in [None, Some(Transport::WebSocket)] {
                for (app_name, app_version) in [
                    (None, None),
                    (Some(&*app.0), None),
                    (None, Some(&*app.1)),
                    (Some(&*app.0), Some(&*app.1)),
                ] {
                    let filter = Some(filter);
                    check(&table, &Conditions { filter, transport, app_name, app_version });
                    check(&table, &Conditions { filter: None, transport, app_name, app_version });
                }
            }
        }
        for slot in open {
            table.close(slot);
        }
        prop_assert_eq!(table.heap_bytes(), empty_bytes());
    }
}

#[test]
fn every_comparison_of_a_label_with_few_values_is_answered_by_the_index() {
    let mut table = table_with(hasher());
    for n in 0..500_u64 {
        let plain = with_labels(&[("region", (n % 5).to_string()), ("n", n.to_string())]);
        let plain = if n % 7 == 0 { Plain::of("42") } else { plain };
        table.open(&plain.opening(), n).unwrap();
    }
    for cmp in COMPARISONS {
        let filter = leaf("region", cmp, "3").filter();
        assert_eq!(check(&table, &of(&filter)), Answered::Exactly, "{cmp}");
    }
    // Of the 500 values of `n` some are named, all others are not tried.
    for (cmp, answered) in [
        ("eq", Answered::Exactly),
        ("neq", Answered::Exactly),
        ("in", Answered::Exactly),
        ("sw", Answered::Exactly),
        ("ct", Answered::Unknown),
        ("gt", Answered::Unknown),
        // More sessions than are gathered.
        ("ex", Answered::Unknown),
    ] {
        let filter = leaf("n", cmp, "3").filter();
        assert_eq!(check(&table, &of(&filter)), answered, "{cmp}");
    }
    assert_eq!(check(&table, &Conditions::default()), Answered::Unknown);
}

#[test]
fn what_no_index_answers_is_narrowed_by_what_stands_beside_it() {
    let mut table = table_with(hasher());
    for n in 0..300_u64 {
        let plain = with_labels(&[("region", (n % 10).to_string()), ("n", n.to_string())]);
        table.open(&plain.opening(), n).unwrap();
    }
    let (unknown, region) = (leaf("n", "ct", "7"), leaf("region", "eq", "3"));
    for (node, answered) in [
        (branch("and", [unknown.clone(), region.clone()]), Answered::AtMost(30)),
        (branch("and", [region.clone(), unknown.clone()]), Answered::AtMost(30)),
        (branch("or", [unknown.clone(), region.clone()]), Answered::Unknown),
        (branch("not", [unknown.clone()]), Answered::Unknown),
        (branch("not", [branch("and", [unknown.clone(), region.clone()])]), Answered::Unknown),
        (branch("and", [region.clone(), branch("not", [region]), unknown]), Answered::AtMost(0)),
    ] {
        assert_eq!(check(&table, &of(&node.filter())), answered, "{node:?}");
    }
}

#[test]
fn labels_beyond_the_table_stay_with_their_sessions_and_are_found() {
    let mut table = table_with(hasher());
    let sessions = LABELS_MAX + 300;
    let mut slots = Vec::new();
    for n in 0..sessions {
        let plain = with_labels(&[("n", n.to_string()), ("plan", "free".to_owned())]);
        let slot = table.open(&plain.opening(), n as u64).unwrap().slot;
        slots.push((plain, slot));
    }
    for (plain, slot) in &slots {
        plain.check(&table.view(*slot));
    }
    // The first is in the table, the last in its record alone: asked, with the others like it.
    let unindexed = (sessions - LABELS_MAX + 1) as u64;
    for n in [0, sessions - 1] {
        let filter = leaf("n", "eq", &n.to_string()).filter();
        let in_table = u64::from(n == 0);
        assert_eq!(check(&table, &of(&filter)), Answered::AtMost(unindexed + in_table), "{n}");
        let others = branch("not", [leaf("n", "eq", &n.to_string())]).filter();
        assert_eq!(check(&table, &of(&others)), Answered::AtMost(sessions as u64 - in_table));
    }
    let plan = leaf("plan", "eq", "free").filter();
    assert_eq!(check(&table, &of(&plan)), Answered::AtMost(sessions as u64));
    let full = table.heap_bytes();
    assert!(full.labels < LABELS_MAX * 400, "{full:?}");
    // Labels that no session has any more make room for others.
    for (_, slot) in &slots[..10] {
        table.set_labels(*slot, &BTreeMap::from([("plan".to_owned(), "free".to_owned())]));
    }
    let (last, slot) = slots.last().unwrap();
    table.set_labels(*slot, &last.labels);
    last.check(&table.view(*slot));
    assert_eq!(check(&table, &of(&leaf("n", "eq", "0").filter())), Answered::AtMost(unindexed - 1));
    // Once those beyond have gone, the index says all again.
    for (_, slot) in slots.drain(LABELS_MAX / 2..) {
        table.close(slot);
    }
    assert_eq!(check(&table, &of(&plan)), Answered::Exactly);
    for (_, slot) in slots {
        table.close(slot);
    }
    assert_eq!(table.heap_bytes(), empty_bytes());
}

#[test]
fn apps_beyond_the_table_are_found_too() {
    let mut table = table_with(hasher());
    for n in 0..APPS_MAX + 10 {
        let name = format!("app{n}");
        table.open(&Plain { name, ..Plain::of("42") }.opening(), n as u64).unwrap();
    }
    for n in [0, APPS_MAX + 9] {
        let name = format!("app{n}");
        let conditions = Conditions { app_name: Some(&name), ..Conditions::default() };
        let in_table = u64::from(n == 0);
        assert_eq!(check(&table, &conditions), Answered::AtMost(10 + in_table), "{n}");
    }
}

#[test]
fn a_table_that_refuses_a_session_keeps_none_of_its_labels() {
    let mut table = table_with(hasher());
    let large = Plain { meta: Some(vec![1; 600]), ..with_labels(&[("plan", "free".into())]) };
    let mut slots = Vec::new();
    while let Ok(opened) = table.open(&large.opening(), slots.len() as u64) {
        slots.push(opened.slot);
    }
    let stranger = Plain {
        meta: large.meta.clone(),
        ..with_labels(&[("plan", "free".into()), ("new", "1".into()), ("other", "2".into())])
    };
    assert!(table.open(&stranger.opening(), 0).is_err());
    let pairs = |key| table.index().labels.seconds_len(key);
    assert_eq!(["plan", "new", "other"].map(pairs), [1, 0, 0]);
    for slot in slots {
        table.close(slot);
    }
    assert_eq!(table.heap_bytes(), empty_bytes());
}
