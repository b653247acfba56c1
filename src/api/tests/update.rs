//! `update_meta` and `update_labels`: who is changed, into what, and what is refused.

use std::collections::BTreeMap;

use super::{PLAIN, World};
use crate::session::Opening;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Two sessions of user 42 on different shards, and one of user 7.
fn world() -> World {
    let labels = labels(&[("plan", "free"), ("region", "eu")]);
    let session = Opening { labels: &labels, meta: Some(b"{\"a\":1}"), ..PLAIN };
    World::new().opens(0, &session).opens(1, &session).opens(1, &Opening { user: "7", ..PLAIN })
}

/// Labels and `meta` of each session, as `connections` shows them.
fn shown(world: &mut World, user: &str) -> Vec<String> {
    let reply = world.call("/api/connections", &format!(r#"{{"user":"{user}"}}"#));
    let part = |connection: &str, start: &str| {
        let from = connection.find(start).map(|at| &connection[at + start.len()..]);
        from.map(|rest| rest[..=rest.find('}').expect("an object")].to_owned())
    };
    let connections = reply.split("\"transport\"").skip(1);
    connections
        .map(|connection| {
            let meta = part(connection, "\"meta\":").unwrap_or_default();
            format!("{meta} {}", part(connection, "\"labels\":").unwrap_or_default())
        })
        .collect()
}

fn updated(matched: u32, updated: u32) -> String {
    format!(r#"200 {{"result":{{"matched":{matched},"updated":{updated}}}}}"#)
}

#[test]
fn labels_are_set_and_taken_away_where_they_are_selected_and_nowhere_else() {
    let mut world = world();
    let before = r#"{"a":1} {"plan":"free","region":"eu"}"#;
    for (params, reply, first, second) in [
        (r#""user":"42","set":{"plan":"free"}"#, updated(2, 0), before, before),
        (
            r#""user":"42","set":{"plan":"pro","new":"<1>"},"unset":["region","none"]"#,
            updated(2, 2),
            r#"{"a":1} {"new":"<1>","plan":"pro"}"#,
            r#"{"a":1} {"new":"<1>","plan":"pro"}"#,
        ),
        (
            r#""client":"<1>","unset":["plan","new"]"#,
            updated(1, 1),
            r#"{"a":1} {"new":"<1>","plan":"pro"}"#,
            r#"{"a":1} "#,
        ),
        (
            r#""session":"(0)","set":{"plan":"x"},"unset":["plan"]"#,
            updated(1, 1),
            r#"{"a":1} {"new":"<1>","plan":"x"}"#,
            r#"{"a":1} "#,
        ),
    ] {
        assert_eq!(world.call("/api/update_labels", &format!("{{{params}}}")), reply, "{params}");
        let shown: Vec<_> = shown(&mut world, "42")
            .iter()
            .map(|shown| shown.replace("\\u003c1\\u003e", "<1>"))
            .collect();
        assert_eq!(shown, [first, second], "{params}");
    }
    assert_eq!(shown(&mut world, "7"), [" "]);
}

#[test]
fn every_selector_selects_and_a_rehearsal_changes_nobody() {
    let mut world = world();
    for (command, params, receipt) in [
        (
            "labels",
            r#""all_users":true,"set":{"a":"1"},"dry_run":true,"return_clients":true"#,
            r#""matched":3,"updated":0,"clients":["<0>","<1>","<2>"],"scanned":3"#,
        ),
        (
            "meta",
            r#""user":"42","meta":1,"dry_run":true,"return_clients":false"#,
            r#""matched":2,"updated":0"#,
        ),
        (
            "labels",
            r#""all_users":true,"label_filter":{"key":"a","cmp":"ex"},"set":{"b":"2"}"#,
            r#""matched":0,"updated":0"#,
        ),
        (
            "labels",
            r#""all_users":true,"label_filter":{"key":"plan","cmp":"eq","val":"free"},
                "whitelist":["<0>"],"set":{"a":"1"},"return_clients":true"#,
            r#""matched":1,"updated":1,"clients":["<1>"]"#,
        ),
        (
            "meta",
            r#""users":["42","7"],"label_filter":{"key":"a","cmp":"ex"},"meta":{"a":2}"#,
            r#""matched":1,"updated":1"#,
        ),
        (
            "labels",
            r#""all_users":true,"expression":"has(meta.a) && meta.a == 2","unset":["plan"]"#,
            r#""matched":1,"updated":1,"scanned":3"#,
        ),
    ] {
        let reply = world.call(&format!("/api/update_{command}"), &format!("{{{params}}}"));
        assert_eq!(reply, format!(r#"200 {{"result":{{{receipt}}}}}"#), "{params}");
    }
    let untouched = r#"{"a":1} {"plan":"free","region":"eu"}"#;
    assert_eq!(shown(&mut world, "42"), [untouched, r#"{"a":2} {"a":"1","region":"eu"}"#]);
    assert_eq!(shown(&mut world, "7"), [" "]);
}

#[test]
fn meta_is_replaced_byte_for_byte_on_every_route_and_taken_away() {
    let number = "123456789012345678.90";
    let shown_meta = format!(r#"{{"n":{number}}}"#);
    let meta = format!(r#"{{ "n" : {number} }}"#);
    for (path, body, reply) in [
        (
            "/api/update_meta",
            format!(r#"{{"META":1,"user":"42","meta":{meta}}}"#),
            r#"{"result":{"matched":2,"updated":2}}"#.to_owned(),
        ),
        (
            "/api",
            format!(r#"{{"method":"update_meta","params":{{"user":"42","meta":{meta}}}}}"#),
            r#"{"result":{"matched":2,"updated":2}}"#.to_owned(),
        ),
        (
            "/api",
            format!(
                r#"{{"method":"info","params":{{}}}}
                   {{"params":{{"user":"42","meta":{meta}}},"method":"UPDATE_META"}}"#
            ),
            r#"{"result":{"matched":2,"updated":2}}"#.to_owned(),
        ),
        (
            "/api/batch",
            format!(
                r#"{{"commands":[{{"info":{{}}}},{{"update_meta":{{"user":"42","meta":{meta}}}}}]}}"#
            ),
            r#"{"update_meta":{"matched":2,"updated":2}}]}"#.to_owned(),
        ),
    ] {
        let mut world = world();
        let told = world.call(path, &body);
        assert!(told.ends_with(&reply), "{path}: {told}");
        let rest = r#"{"plan":"free","region":"eu"}"#;
        let expected = format!("{shown_meta} {rest}");
        assert_eq!(shown(&mut world, "42"), [expected.clone(), expected], "{path}");
        for gone in [r#"{"user":"42"}"#, r#"{"user":"42","meta":null}"#] {
            let changed = u32::from(gone.len() < 14) * 2;
            assert_eq!(world.call("/api/update_meta", gone), updated(2, changed));
            assert_eq!(shown(&mut world, "42"), [format!(" {rest}"), format!(" {rest}")]);
        }
    }
}

#[test]
fn what_cannot_be_meant_is_refused_and_changes_nobody() {
    let refused =
        |why: &str| format!(r#"200 {{"error":{{"code":107,"message":"bad request: {why}"#);
    let long_key = "k".repeat(65);
    for (path, body, why) in [
        ("labels", r#"{"set":{"a":"1"}}"#.to_owned(), "nobody is selected"),
        ("meta", r#"{"meta":{}}"#.to_owned(), "nobody is selected"),
        (
            "labels",
            r#"{"transport":"sse","set":{"a":"1"}}"#.to_owned(),
            "nobody is selected, only conditions are given",
        ),
        ("labels", r#"{"user":"42"}"#.to_owned(), "nothing changes, expected labels in"),
        ("labels", r#"{"user":"42","set":{},"unset":[]}"#.to_owned(), "nothing changes"),
        (
            "labels",
            format!(r#"{{"user":"42","set":{{"{long_key}":"1"}}}}"#),
            r#"key \"set\": a key of 65 bytes, expected at most 64 (labels.max_key_size)"#,
        ),
    ] {
        let mut world = world();
        let reply = world.call(&format!("/api/update_{path}"), &body);
        assert!(reply.starts_with(&refused(why)), "{path} {body}: {reply}");
    }
    for (body, why) in [
        (r#"{"user":"42","set":["a"]}"#, r#"key "set": expected an object, got an array"#),
        (
            r#"{"user":"42","set":{"a":1}}"#,
            r#"an element of "set": expected a string, got a number"#,
        ),
        (r#"{"user":"42","unset":"a"}"#, r#"key "unset": expected an array, got a string"#),
        (
            r#"{"user":"42","unset":[1]}"#,
            r#"an element of "unset": expected a string, got a number"#,
        ),
    ] {
        let reply = world().call("/api/update_labels", body);
        assert_eq!(reply, format!("400 Bad Request: {why}\n"), "{body}");
    }
}

#[test]
fn a_session_that_would_have_too_many_labels_stays_as_it_is_and_the_result_says_so() {
    let full: Vec<_> = (0..15).map(|n| (format!("key{n:02}"), "1".to_owned())).collect();
    let full = full.into_iter().collect();
    let mut world = World::new().opens(0, &Opening { labels: &full, ..PLAIN }).opens(1, &PLAIN);
    let reply = world.call("/api/update_labels", r#"{"user":"42","set":{"a":"1","b":"2"}}"#);
    assert_eq!(reply, r#"200 {"result":{"matched":2,"updated":1,"refused":1}}"#);
    let labels: Vec<_> = world.tables.iter().flat_map(|table| table.iter()).collect();
    let counts: Vec<_> = labels.iter().map(|session| session.labels().count()).collect();
    assert_eq!(counts, [15, 2]);
}

#[test]
fn a_meta_that_is_too_long_is_refused() {
    for (bytes, is_kept) in [(65_536, true), (65_537, false)] {
        let meta = "m".repeat(bytes - 2);
        let reply = world().call("/api/update_meta", &format!(r#"{{"user":"7","meta":"{meta}"}}"#));
        let text = format!("key \\\"meta\\\": expected at most 65536 bytes, got {bytes}");
        assert_eq!((reply == updated(1, 1), reply.contains(&text)), (is_kept, !is_kept));
    }
}

#[test]
fn an_update_that_a_shard_did_not_answer_is_no_success() {
    for (path, params) in [("update_labels", r#""set":{"a":"1"}"#), ("update_meta", r#""meta":1"#)]
    {
        let mut world = world();
        world.silent = 0b10;
        let reply = world.call(&format!("/api/{path}"), &format!(r#"{{"user":"42",{params}}}"#));
        assert!(reply.starts_with(r#"200 {"error":{"code":100,"#), "{reply}");
    }
}
