//! Every cell of the table of comparisons (`docs/labels.md`), and what is refused.

use super::{Filter, FilterFields, FilterLimits, WrongField};

/// A node as a test writes it.
#[derive(Clone, Default)]
struct Written {
    op: &'static str,
    key: &'static str,
    cmp: &'static str,
    val: &'static str,
    vals: Vec<&'static str>,
    nodes: Vec<Self>,
}

fn fields(node: Written) -> Result<FilterFields<'static, Written>, WrongField> {
    let Written { op, key, cmp, val, vals, nodes } = node;
    Ok(FilterFields { op, key, cmp, val, vals, nodes })
}

fn read(node: Written) -> Result<Filter, String> {
    let limits = FilterLimits { depth_max: 4, nodes_max: 10 };
    Filter::read(node, limits, fields).map_err(|error| error.to_string())
}

/// `key cmp val`, or `key cmp [val,val]`; a key or val of `''` is empty.
fn leaf(text: &'static str) -> Written {
    let mut words = text.splitn(3, ' ').map(|word| if word == "''" { "" } else { word });
    let mut next = || words.next().unwrap_or_default();
    let (key, cmp, val) = (next(), next(), next());
    match val.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(list) => {
            let vals = list.split(',').map(|val| if val == "''" { "" } else { val }).collect();
            Written { key, cmp, vals, ..Written::default() }
        }
        None => Written { key, cmp, val, ..Written::default() },
    }
}

fn combined<const N: usize>(op: &'static str, nodes: [Written; N]) -> Written {
    Written { op, nodes: nodes.into(), ..Written::default() }
}

/// Whether a session with these labels meets it.
fn check(node: &Written, labels: &[(&str, &str)]) -> bool {
    let filter = read(node.clone()).expect("a filter that makes sense");
    filter.matches(|key| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| *value))
}

#[test]
fn every_comparison_holds_for_what_it_should_and_answers_for_a_missing_label() {
    // The value of label `k` that passes, one that does not, and the answer without the label.
    for (comparison, passing, failing, missing) in [
        ("k eq a", "a", "b", false),
        ("k neq a", "b", "a", true),
        ("k in [a,b]", "b", "c", false),
        ("k in [a,'']", "", "c", true),
        ("k nin [a,b]", "c", "b", true),
        ("k nin [a,'']", "c", "", false),
        ("k sw ab", "abc", "cab", false),
        ("k ew ab", "cab", "abc", false),
        ("k ct ab", "cabc", "acb", false),
        ("k gt 1.5", "1.50001", "1.5", false),
        ("k gte 1.5", "1.50", "1.4999", false),
        ("k lt 1.5", "-2", "1.5", false),
        ("k lte 1.5", "+1.5", "1.51", false),
    ] {
        let node = leaf(comparison);
        assert!(check(&node, &[("k", passing)]), "{comparison}: {passing:?}");
        assert!(!check(&node, &[("k", failing)]), "{comparison}: {failing:?}");
        assert_eq!(check(&node, &[("other", passing)]), missing, "{comparison}: missing");
    }
    for (comparison, empty, missing) in [("k ex", true, false), ("k nex", false, true)] {
        assert_eq!(check(&leaf(comparison), &[("k", "")]), empty, "{comparison}");
        assert_eq!(check(&leaf(comparison), &[("other", "")]), missing, "{comparison}");
    }
    assert!(check(&leaf("'' ex"), &[("", "the label without a name")]));
}

#[test]
fn numbers_are_compared_exactly_and_what_is_no_number_is_never_met() {
    for (smaller, larger) in [
        ("9", "10"),
        ("-10", "-9"),
        ("-0.1", "0"),
        ("0.09", "0.1"),
        ("1.9999999999999999999", "2"),
        (
            "99999999999999999999999999999999999999999999",
            "100000000000000000000000000000000000000000000",
        ),
        ("0.0000000000000000001", "0.0000000000000000002"),
    ] {
        for (value, comparison, holds) in [
            (smaller, "lt", true),
            (smaller, "lte", true),
            (smaller, "gt", false),
            (smaller, "gte", false),
        ] {
            let node = Written { key: "k", cmp: comparison, val: larger, ..Written::default() };
            assert_eq!(check(&node, &[("k", value)]), holds, "{value} {comparison} {larger}");
        }
        let node = Written { key: "k", cmp: "gt", val: smaller, ..Written::default() };
        assert!(check(&node, &[("k", larger)]), "{larger} gt {smaller}");
    }
    for (one, same) in [("1", "1.000"), ("+5", "005"), ("-0", "0.0"), ("-007.50", "-7.5")] {
        for comparison in ["gte", "lte"] {
            let node = Written { key: "k", cmp: comparison, val: same, ..Written::default() };
            assert!(check(&node, &[("k", one)]), "{one} {comparison} {same}");
        }
    }
    let long: &'static str = Box::leak("1".repeat(201).into_boxed_str());
    for none in [
        "",
        "+",
        "-",
        ".",
        "1.",
        ".5",
        "-.5",
        "1e3",
        "3.0.0",
        "1,5",
        " 1",
        "1 ",
        "0x1",
        "++1",
        "٣",
        "NaN",
        "0.00000000000000000001",
        long,
    ] {
        for comparison in ["gt", "gte", "lt", "lte"] {
            let of = |val| Written { key: "k", cmp: comparison, val, ..Written::default() };
            assert!(!check(&of("0"), &[("k", none)]), "{none:?} {comparison} 0");
            assert!(none.is_empty() || !check(&of(none), &[("k", "0")]), "0 {comparison} {none:?}");
        }
    }
    let longest = format!("{:0>200}", 7);
    assert!(check(&leaf("k gt 6"), &[("k", &longest)]), "200 bytes are a number");
}

#[test]
fn conditions_combine() {
    let (a, b) = (leaf("a eq 1"), leaf("b eq 1"));
    let labels = |a: &'static str, b: &'static str| [("a", a), ("b", b)];
    for (op, expected) in [("and", [false, false, false, true]), ("or", [false, true, true, true])]
    {
        let node = combined(op, [a.clone(), b.clone()]);
        let got = [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
            .map(|(first, second)| check(&node, &labels(first, second)));
        assert_eq!(got, expected, "{op}");
        let negated = combined("not", [node]);
        assert_eq!(check(&negated, &labels("0", "0")), !expected[0], "not {op}");
    }
    for op in ["and", "or"] {
        assert!(check(&combined(op, [a.clone()]), &labels("1", "0")), "{op} of one");
    }
    assert!(check(&combined("not", [leaf("k eq a")]), &[]), "not turns a missing label too");
}

#[test]
fn what_makes_no_sense_is_refused_at_its_place() {
    let with_nodes = Written { nodes: vec![leaf("a ex")], ..leaf("a eq 1") };
    let with_key = Written { key: "k", ..combined("and", [leaf("a ex")]) };
    let with_both = Written { val: "1", ..leaf("a in [1]") };
    let deep = combined("not", [combined("not", [combined("not", [leaf("a ex")])])]);
    let wide = Written { op: "or", nodes: vec![leaf("a ex"); 9], ..Written::default() };
    assert!(read(deep.clone()).is_ok() && read(wide.clone()).is_ok(), "at the limits");
    let deeper = combined("not", [deep]);
    let wider = combined("and", [wide]);
    let expected = "eq, neq, in, nin, ex, nex, sw, ew, ct, gt, gte, lt, lte";
    for (node, error) in [
        (leaf(""), format!(".cmp: expected one of {expected}, got \"\"")),
        (leaf("k EQ 1"), format!(".cmp: expected one of {expected}, got \"EQ\"")),
        (leaf("k eq"), ".val: \"eq\" needs a text that is not empty".into()),
        (leaf("k gte"), ".val: \"gte\" needs a text that is not empty".into()),
        (leaf("'' eq 1"), ".key: \"eq\" needs the name of a label".into()),
        (leaf("'' nin [1]"), ".key: \"nin\" needs the name of a label".into()),
        (leaf("k in"), ".vals: \"in\" needs a list of at least one text".into()),
        (leaf("k in 1"), ".val: \"in\" takes none, only \"vals\"".into()),
        (with_both, ".val: \"in\" takes none, only \"vals\"".into()),
        (leaf("k sw [1]"), ".vals: \"sw\" takes none, only \"val\"".into()),
        (leaf("k ex 1"), ".val: \"ex\" takes none, only \"key\"".into()),
        (leaf("k nex [1]"), ".vals: \"nex\" takes none, only \"key\"".into()),
        (with_nodes, ".nodes: a comparison combines nothing, set \"op\" to combine".into()),
        (
            with_key,
            ".key: \"and\" combines what is in \"nodes\" and compares nothing itself".into(),
        ),
        (combined("and", []), ".nodes: \"and\" needs at least one node".into()),
        (combined("or", []), ".nodes: \"or\" needs at least one node".into()),
        (combined("not", []), ".nodes: \"not\" needs at least one node".into()),
        (
            combined("not", [leaf("a ex"), leaf("b ex")]),
            ".nodes: \"not\" needs exactly one node, got 2".into(),
        ),
        (
            combined("xor", [leaf("a ex")]),
            ".op: expected \"and\", \"or\", \"not\" or none at all, got \"xor\"".into(),
        ),
        (
            combined("and", [leaf("a ex"), combined("not", [leaf("k eq")])]),
            ".nodes[1].nodes[0].val: \"eq\" needs a text that is not empty".into(),
        ),
        (
            deeper,
            ".nodes[0].nodes[0].nodes[0].nodes[0]: more than 4 nodes in each other \
             (label_filter.max_depth)"
                .into(),
        ),
        (
            wider,
            ".nodes[0].nodes[8]: more than 10 nodes in one filter (label_filter.max_nodes)".into(),
        ),
    ] {
        assert_eq!(read(node).map(|_| ()), Err(error));
    }
}

#[test]
fn nothing_beyond_a_limit_is_looked_at() {
    let limits = FilterLimits { depth_max: 100, nodes_max: 3 };
    let mut seen = 0;
    let result = Filter::read((), limits, |()| {
        seen += 1;
        Ok(FilterFields { op: "or", key: "", cmp: "", val: "", vals: vec![], nodes: vec![(); 5] })
    });
    assert_eq!((result.is_err(), seen), (true, 3));
}
