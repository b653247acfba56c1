//! Expressions as text, over real sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Asked, EXPRESSION_WORDS_MAX, Expression, ExpressionLimits, Said};
use crate::ids::{ConnId, ShardId};
use crate::session::{IdKeys, Opening, Protocol, Table, Transport, UserHasher};

const RICH: Opening<'static> = Opening {
    user: "42",
    app_name: "ios",
    app_version: "1.2.3",
    transport: Transport::WebSocket,
    protocol: Protocol::Json,
    token_uid: "jti-1",
    token_issued_at: Some(1_690_000_000),
    remote_addr: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
    user_agent: "curl/8",
    meta: Some(br#"{"plan":"pro","n":3,"x":1.5,"roles":["admin","dev"],"deep":{"k":null}}"#),
    labels: &BTreeMap::new(),
    connected_at_ms: 1_700_000_000_123,
    conn: ConnId { index: 0, generation: 0 },
};

const BARE: Opening<'static> = Opening {
    user: "",
    app_name: "",
    app_version: "",
    token_uid: "",
    token_issued_at: None,
    remote_addr: None,
    user_agent: "",
    meta: None,
    ..RICH
};

fn read(source: &str) -> Result<Arc<Expression>, String> {
    read_with(source, ExpressionLimits::default())
}

fn read_with(source: &str, limits: ExpressionLimits) -> Result<Arc<Expression>, String> {
    Expression::read(source, limits).map(Arc::new).map_err(|error| error.to_string())
}

fn ask_with(expression: &Arc<Expression>, opening: &Opening<'_>) -> Said {
    asked(expression, opening).said
}

fn asked(expression: &Arc<Expression>, opening: &Opening<'_>) -> Asked {
    let mut table = Table::new(
        ShardId::new(0),
        IdKeys::new(std::array::from_fn(|at| at.to_le_bytes()[0])),
        UserHasher::new([1, 2, 3, 4]),
    );
    let opened = table.open(opening, 7).expect("it has room");
    expression.begin().ask(&table.view(opened.slot))
}

fn ask(source: &str, opening: &Opening<'_>) -> Said {
    let expression = read(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    ask_with(&expression, opening)
}

#[test]
fn every_variable_has_its_value_and_its_type() {
    for source in [
        r#"user == "42" && app_name == "ios" && app_version == "1.2.3""#,
        r#"transport == "websocket" && protocol == "json""#,
        r#"token_uid == "jti-1" && token_issued_at == 1690000000"#,
        r#"remote_addr == "192.0.2.7" && user_agent.startsWith("curl")"#,
        "connected_at_ms == 1700000000123 && ping_pong_latency_ms == -1",
        "size(client) == 36 && size(session) == 36 && client != session",
        "size(channels) == 0 && size(labels) == 0",
        r#"meta.plan == "pro" && meta.n + 1 == 4 && meta.x == 1.5 && meta.deep.k == null"#,
        r#""admin" in meta.roles && has(meta.plan) && !has(meta.other)"#,
        r#"meta.roles.exists(role, role.endsWith("v"))"#,
        r#"user in ["7", "42"] ? true : false"#,
        r#"user.matches("^4[0-9]$")"#,
    ] {
        assert_eq!(ask(source, &RICH), Said::Yes, "{source}");
    }
    for source in [
        r#"user == "" && app_name == "" && token_uid == "" && token_issued_at == 0"#,
        r#"remote_addr == "" && user_agent == "" && size(meta) == 0 && !has(meta.plan)"#,
    ] {
        assert_eq!(ask(source, &BARE), Said::Yes, "{source}");
    }
}

#[test]
fn labels_are_a_map_of_texts() {
    let labels = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
    let labelled = Opening { labels: &labels, ..RICH };
    for (source, said) in [
        (r#"labels.region == "eu" && labels["region"].startsWith("e")"#, Said::Yes),
        (r#"'region' in labels && labels.exists(key, labels[key] == "us")"#, Said::No),
        ("'tier' in labels", Said::No),
        ("labels.tier == 'gold'", Said::Nothing),
    ] {
        assert_eq!(ask(source, &labelled), said, "{source}");
    }
}

#[test]
fn what_is_false_and_what_says_nothing_are_told_apart() {
    for (source, said) in [
        (r#"user == "43""#, Said::No),
        (r#"user.matches("^5")"#, Said::No),
        ("user", Said::Nothing),
        ("1", Said::Nothing),
        ("meta.missing == 1", Said::Nothing),
        (r#"labels["k"] == "v""#, Said::Nothing),
        ("1 / 0 == 1", Said::Nothing),
        (r#"meta.missing == 1 || user == "42""#, Said::Yes),
        (r#"user < 5"#, Said::Nothing),
    ] {
        assert_eq!(ask(source, &RICH), said, "{source}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    for (source, expected) in [
        ("user ==", "1:8: "),
        ("user == \"42\" &&\n  user = 1", "2:8: "),
        ("", "1:1: "),
        ("user == \"42", "1:9: "),
        ("usr == \"42\"", "1:1: unknown variable \"usr\""),
        ("user == \"a\" ||\n  users == \"b\"", "2:3: unknown variable \"users\""),
        ("lower(user) == \"a\"", "1:1: unknown function \"lower\""),
        ("user.trim() == \"a\"", "1:6: unknown function \"trim\""),
        ("User{name: 1} == 1", "1:1: unknown type \"User\""),
        ("user.matches(app_name)", "1:6: the pattern of matches is expected to be a text"),
        ("user.matches(\"(\")", "1:6: a pattern that cannot be used: unclosed group"),
        ("user.matches(\"(a{1000}){1000}\")", "1:6: a pattern that cannot be used: "),
        ("meta.a.all(x, x.all(y, y == 1))", "expected no macro"),
        ("meta.a.filter(x, x == 1).exists(y, y == 1)", "expected no macro"),
    ] {
        let error = read(source).expect_err(source);
        let start = "bad request: key \"expression\": ";
        assert!(error.starts_with(&format!("{start}{expected}")), "{source}: {error}");
    }
}

#[test]
fn size_nesting_and_number_of_words_have_limits() {
    let limits = ExpressionLimits { bytes_max: 64 * 1024, ..ExpressionLimits::default() };
    let read = |source: &str| read_with(source, limits);
    let deep = |n| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    assert!(read(&deep(30)).is_ok());
    for n in [40, 490, 30_000] {
        assert!(read(&deep(n)).is_err(), "{n}");
    }
    let error = read(&deep(40)).expect_err("it is too deep");
    assert!(error.contains("nested at most 32 deep, got 40"), "{error}");
    // What grows a tree without brackets is bounded by the number of words.
    for (words, start, part, end) in [
        (2, "", "1 + ", "1 == 1"),
        (2, "meta", ".a", ""),
        (4, "", "true ? true : ", "true"),
        (3, "meta", "[0]", ""),
        (4, "meta", ".size()", ""),
    ] {
        let source = |n: usize| format!("{start}{}{end}", part.repeat(n));
        let most = EXPRESSION_WORDS_MAX / words;
        let error = read(&source(most + 1)).expect_err(part);
        assert!(error.contains("at most 1000 names"), "{part}: {error}");
        // Whatever it says, it is said without using up a stack.
        let error = read(&source(most - 4)).expect_err(part);
        let is_told = error.contains("at most 32 steps") || error.contains("recursion limit");
        assert!(is_told, "{part}: {error}");
        // What is just shallow enough runs.
        let most = (1..100).rev().find_map(|n| read(&source(n)).ok()).expect("one is read");
        ask_with(&most, &RICH);
    }
    assert!(read(&format!("{}true", "!".repeat(999))).is_ok(), "every second one goes away");
    // What stands in a text or a comment is no bracket, and what stands behind it is one.
    let many = "(".repeat(40);
    for text in
        [r#""{}\"""#, r#"r"{}" + "\\""#, "'''{}'{}'''", "'{}' // {}'\n", r#"b"{}""#, "'{}\n"]
    {
        let closed = text.replace("{}", &many);
        assert!(super::checks::measure(&closed).is_ok(), "{closed}");
        assert!(super::checks::measure(&format!("{closed}{many}")).is_err(), "{closed}");
    }
    let long = format!("user == \"{}\"", "x".repeat(4_096));
    let error = super::tests::read(&long).expect_err("it is too long");
    assert!(
        error.contains("at most 4096 bytes (queries.max_expression_size), got 4106"),
        "{error}"
    );
}

#[test]
fn a_session_that_would_take_too_many_steps_does_not_match() {
    let items = vec!["1"; 2_000].join(",");
    let meta = format!(r#"{{"a":[{items}]}}"#);
    let many = Opening { meta: Some(meta.as_bytes()), ..RICH };
    let source = "meta.a.all(x, x == 1)";
    assert_eq!(ask(source, &many), Said::Yes);
    let limits = ExpressionLimits { steps_max: 1_000, ..ExpressionLimits::default() };
    let expression = read_with(source, limits).expect("it can be read");
    assert_eq!(ask_with(&expression, &many), Said::Nothing);
    let few = Opening { meta: Some(br#"{"a":[1]}"#), ..RICH };
    assert_eq!(ask_with(&expression, &few), Said::Yes);
}

#[test]
fn meta_that_is_no_object_can_still_be_asked_for() {
    for (meta, source) in [
        ("null", "meta == null"),
        ("[1,2]", "size(meta) == 2 && 2 in meta"),
        ("\"text\"", r#"meta == "text""#),
        ("18446744073709551615", "meta > 1.0e19"),
    ] {
        let opening = Opening { meta: Some(meta.as_bytes()), ..RICH };
        assert_eq!(ask(source, &opening), Said::Yes, "{meta} {source}");
    }
}

#[test]
fn what_takes_too_many_steps_for_every_session_is_refused_with_its_place() {
    let limits = ExpressionLimits { steps_max: 200, ..ExpressionLimits::default() };
    let numbers = vec!["1"; 40].join(",");
    for (source, place) in [
        (format!("[{numbers}].all(x, x == 1 || x == 2)"), "1:83"),
        (
            format!("user == \".all(\" &&\n [1].all(x, x == 1) && [{numbers}].exists(x, x > 2)"),
            "2:106",
        ),
        (format!("[{numbers}, {numbers}, {numbers}, {numbers}] == []"), "1:1"),
        (format!("[{numbers}].existsOne(x, x == 1 || x == 2)"), "1:83"),
        (format!("[{numbers}].// .map(\n\x0B\x0Call(x, x == 1 || x == 2)"), "2:3"),
    ] {
        let error = read_with(&source, limits).expect_err(&source);
        let told = format!(
            "key \"expression\": {place}: expected at most 200 steps for one session \
             (queries.max_expression_steps), got "
        );
        assert!(error.contains(&told), "{source}: {error}");
        assert!(read(&source).is_ok(), "{source}");
    }
}

/// How many times more steps are counted for four times as many items.
fn growth(source: &str) -> f64 {
    let limits = ExpressionLimits { steps_max: usize::MAX, ..ExpressionLimits::default() };
    let expression = read_with(source, limits).expect(source);
    let steps = |items: usize| {
        let items = vec![r#""text""#; items].join(",");
        let meta = format!(r#"{{"a":[{items}]}}"#);
        asked(&expression, &Opening { meta: Some(meta.as_bytes()), ..RICH }).steps
    };
    steps(1_600) as f64 / steps(400) as f64
}

#[test]
fn steps_are_counted_as_an_expression_takes_them() {
    for source in ["user == 'text'", "labels.region == 'eu' || transport == 'sse'"] {
        assert_eq!(growth(source), 1.0, "{source}");
    }
    for source in [
        "meta.a == meta.a",
        "'other' in meta.a",
        "meta.a.exists(x, x == 'other')",
        "meta.a.exists(x, x == user)",
        "meta.a.all(x, x.startsWith(user) || x.matches('^t[a-z]*$'))",
        "size(meta.a.map(x, x + x)) == 3",
        "meta.a.filter(x, x in ['text', 'other']) == []",
        "meta.a.exists_one(x, size(x) == 4)",
    ] {
        let growth = growth(source);
        assert!((3.5..4.5).contains(&growth), "{source}: {growth}");
    }
    for source in [
        "meta.a.all(x, x in meta.a)",
        "meta.a.exists(x, meta.a == meta.a)",
        "size(meta.a.map(x, meta)) == 3",
        "meta.a.all(x, size(meta.a + meta.a) > 1)",
        "meta.a.exists(x, string(meta.a) == x)",
    ] {
        let growth = growth(source);
        assert!((14.0..17.0).contains(&growth), "{source}: {growth}");
    }
}

#[test]
fn what_would_take_too_long_is_not_even_parsed() {
    let items = vec!["1"; 400_000].join(",");
    let meta = format!(r#"{{"a":[{items}]}}"#);
    let asked =
        asked(&read("size(meta) == 1").unwrap(), &Opening { meta: Some(meta.as_bytes()), ..RICH });
    assert_eq!(asked.said, Said::Nothing);
}

#[test]
fn a_large_pattern_takes_more_steps_than_a_small_one() {
    let steps = |pattern: &str| {
        let expression = read(&format!("user_agent.matches('{pattern}')")).expect(pattern);
        asked(&expression, &RICH).steps
    };
    let (small, large) = (steps("^curl/[0-9]+"), steps("(a{20}|b{30}|[x-z]{100}){5}"));
    assert!(small * 4 < large, "{small} {large}");
}
