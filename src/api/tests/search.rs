//! Listings beyond one user's: conditions, pages, counts and groups.

use std::collections::{BTreeMap, BTreeSet};

use super::{PLAIN, World};
use crate::session::{Opening, Transport};
use serde_json::{Value, json};

/// Five sessions of three users on two shards; `<n>` came at `1_700_000_000_000 + n`.
fn five() -> World {
    let at = |n: u64| 1_700_000_000_000 + n;
    let terminal = Opening { app_name: "terminal", app_version: "1.0", ..PLAIN };
    World::new()
        .opens(0, &Opening { connected_at_ms: at(0), user: "b", ..terminal })
        .opens(1, &Opening { connected_at_ms: at(1), user: "a", ..PLAIN })
        .opens(0, &Opening { connected_at_ms: at(2), user: "c", ..terminal })
        .opens(1, &Opening { connected_at_ms: at(3), meta: Some(br#"{"n":3}"#), ..PLAIN })
        .opens(0, &Opening { connected_at_ms: at(4), transport: Transport::Sse, ..PLAIN })
}

fn result(world: &mut World, params: &Value) -> Value {
    let reply = world.call("/api/connections", &params.to_string());
    let reply: Value = serde_json::from_str(reply.strip_prefix("200 ").unwrap()).unwrap();
    assert_eq!(reply.get("error"), None, "{params}: {reply}");
    reply["result"].clone()
}

/// The sessions listed, as one text of their names, and what else the result says.
fn listed(world: &mut World, params: &Value) -> (String, Value) {
    let mut result = result(world, params);
    let Value::Object(members) = &mut result else { panic!("{result}") };
    let connections = members.remove("connections").expect("it is always there");
    let ids: BTreeSet<_> = connections.as_object().unwrap().keys().cloned().collect();
    if let Some(clients) = members.remove("clients") {
        let clients: Vec<_> =
            clients.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(clients.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(), ids);
        return (clients.concat(), result);
    }
    (ids.into_iter().collect(), result)
}

#[test]
fn what_centrifugo_can_ask_is_answered_in_its_form_and_says_how_many_were_looked_at() {
    for (params, ids, more) in [
        (json!({"expression": "user in ['a', 'b']"}), "<0><1>", json!({"scanned": 5})),
        (
            json!({"user": "42", "expression": "meta.n == 3"}),
            "<3>",
            json!({"expression_errors": 1}),
        ),
        (json!({"user": "", "expression": "transport == 'sse'"}), "<4>", json!({"scanned": 5})),
        (
            json!({"expression": "meta.n == 3"}),
            "<3>",
            json!({"scanned": 5, "expression_errors": 4}),
        ),
        (json!({"expression": "false"}), "", json!({"scanned": 5})),
        (json!({"user": "42"}), "<3><4>", json!({})),
    ] {
        assert_eq!(listed(&mut five(), &params), (ids.to_owned(), more), "{params}");
    }
}

#[test]
fn every_condition_narrows_every_other() {
    let (three, four) = (1_700_000_000_003_u64, 1_700_000_000_004_u64);
    for (params, ids) in [
        (json!({"transport": "sse"}), "<4>"),
        (json!({"transport": "sse", "user": "a"}), ""),
        (json!({"app_name": "terminal"}), "<0><2>"),
        (json!({"app_name": "terminal", "user": "c"}), "<2>"),
        (json!({"app_version": "1.0", "connected_after": 1_700_000_000_001_u64}), "<2>"),
        (json!({"connected_after": three}), "<3><4>"),
        (json!({"connected_before": four, "connected_after": three}), "<3>"),
        (json!({"users": ["a", "c", "a", "nobody"]}), "<1><2>"),
        (json!({"users": ["a", "c"], "user": "c"}), "<2>"),
        (json!({"users": []}), ""),
        (json!({"client": "<1>"}), "<1>"),
        (json!({"session": "(1)", "user": "b"}), ""),
        (json!({"all_users": true, "whitelist": ["<0>", "<4>"]}), "<1><2><3>"),
        (json!({"app_name": "terminal", "expression": "user == 'b'"}), "<0>"),
        (json!({"limit": 100}), "<0><1><2><3><4>"),
        (json!({"older_than": 1}), ""),
    ] {
        let (listed, more) = listed(&mut five(), &params);
        assert_eq!(listed, ids, "{params}");
        assert_eq!(more["count"], ids.matches('<').count(), "{params}");
    }
}

#[test]
fn only_who_is_known_to_be_silent_is_idle() {
    for (silent_ms, ids) in [(None, ""), (Some(5_000), ""), (Some(5_001), "<0><1><2><3><4>")] {
        let mut world = five();
        world.silent_ms = silent_ms;
        assert_eq!(listed(&mut world, &json!({"idle_longer_than": 5})).0, ids, "{silent_ms:?}");
    }
}

#[test]
fn pages_follow_each_other_in_every_order() {
    for (sort, order) in [
        (json!(null), "<0><1><2><3><4>"),
        (json!("connected_at"), "<0><1><2><3><4>"),
        (json!("-connected_at"), "<4><3><2><1><0>"),
    ] {
        for limit in 1..=6 {
            let (mut world, mut cursor, mut all) = (five(), json!(null), String::new());
            loop {
                let params = json!({"limit": limit, "sort": sort, "cursor": cursor});
                let (page, more) = listed(&mut world, &params);
                assert!(page.matches('<').count() <= limit, "{params}");
                assert_eq!(more["count"], 5, "{params}");
                all.push_str(&page);
                cursor = more["next_cursor"].clone();
                if cursor.is_null() {
                    break;
                }
            }
            assert_eq!(all, order, "{sort} {limit}");
        }
    }
    let users = |sort: &str| {
        let result = result(&mut five(), &json!({"sort": sort}));
        let clients = result["clients"].as_array().unwrap().clone();
        let user = |id: &Value| {
            result["connections"][id.as_str().unwrap()]["user"].as_str().unwrap().to_owned()
        };
        clients.iter().map(user).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(users("user"), "42 42 a b c");
    assert_eq!(users("-user"), "c b a 42 42");
}

#[test]
fn a_session_that_stays_is_on_one_page_whoever_comes_and_goes() {
    let mut world = five();
    let (first, more) = listed(&mut world, &json!({"limit": 2}));
    assert_eq!(first, "<0><1>");
    // One that was listed goes, one that comes next goes, and another comes in front.
    for at in [1, 2] {
        world.call("/api/disconnect", &format!(r#"{{"client":"<{at}>"}}"#));
    }
    let mut world = world.opens(1, &Opening { connected_at_ms: 1_600_000_000_000, ..PLAIN });
    let params = json!({"limit": 2, "cursor": more["next_cursor"]});
    let (second, more) = listed(&mut world, &params);
    assert_eq!((second.as_str(), more.get("next_cursor")), ("<3><4>", None));
}

#[test]
fn counts_and_groups_come_with_and_without_sessions() {
    let mut world = five();
    for (params, ids, more) in [
        (json!({"count_only": true}), "", json!({"count": 5, "scanned": 5})),
        (json!({"user": "42", "count_only": true}), "", json!({"count": 2})),
        (
            json!({"group_by": "transport", "count_only": true}),
            "",
            json!({"count": 5, "scanned": 5, "groups": {"sse": 1, "uni_http_stream": 4}}),
        ),
        (
            json!({"group_by": "app_name", "user": "42", "limit": 1}),
            "<3>",
            json!({"count": 2, "groups": {"": 2}, "next_cursor": "…"}),
        ),
        (
            json!({"group_by": "app_version", "app_name": "terminal"}),
            "<0><2>",
            json!({"count": 2, "groups": {"1.0": 2}}),
        ),
        (
            json!({"group_by": "protocol", "count_only": true}),
            "",
            json!({"count": 5, "scanned": 5, "groups": {"json": 5}}),
        ),
    ] {
        let (listed, mut said) = listed(&mut world, &params);
        if said.get("next_cursor").is_some() {
            said["next_cursor"] = json!("…");
        }
        assert_eq!((listed.as_str(), said), (ids, more), "{params}");
    }
}

#[test]
fn label_filters_narrow_and_labels_group_and_no_session_has_to_be_looked_at() {
    let region = |name: &str| BTreeMap::from([("region".to_owned(), name.to_owned())]);
    let (eu, us) = (region("eu"), region("us"));
    let mut world = five()
        .opens(0, &Opening { labels: &eu, ..PLAIN })
        .opens(1, &Opening { labels: &us, user: "a", ..PLAIN });
    let is = |value: &str| json!({"key": "region", "cmp": "eq", "val": value});
    for (params, ids, more) in [
        (json!({"label_filter": is("eu")}), "<5>", json!({})),
        (json!({"user": "a", "label_filter": is("us")}), "<6>", json!({})),
        (json!({"user": "42", "label_filter": is("us"), "expression": ""}), "", json!({})),
        (json!({"label_filter": is("us"), "expression": "user == 'a'"}), "<6>", json!({})),
        (json!({"label_filter": is("us"), "limit": 5}), "<6>", json!({"count": 1})),
        (json!({"transport": "sse", "count_only": true}), "", json!({"count": 1})),
        (
            json!({"group_by": "label:region", "count_only": true}),
            "",
            json!({"count": 7, "scanned": 7, "groups": {"": 5, "eu": 1, "us": 1}}),
        ),
    ] {
        assert_eq!(listed(&mut world, &params), (ids.to_owned(), more), "{params}");
    }
    let filter = json!({"op": "not", "nodes": [{"key": "region", "cmp": "ex"}]});
    let order = json!({"all_users": true, "label_filter": filter}).to_string();
    assert_eq!(world.call("/api/disconnect", &order), r#"200 {"result":{"matched":5,"closed":5}}"#);
}

#[test]
fn groups_have_a_ceiling_and_say_so() {
    let mut world = World::new();
    for n in 0..=super::super::GROUPS_MAX {
        let version = n.to_string();
        world = world.opens(n % 2, &Opening { app_version: &version, ..PLAIN });
    }
    let params = json!({"group_by": "app_version", "count_only": true});
    let (_, said) = listed(&mut world, &params);
    assert_eq!(said["groups"].as_object().unwrap().len(), super::super::GROUPS_MAX);
    assert_eq!((&said["groups_truncated"], &said["count"]), (&json!(true), &json!(1001)));
}

#[test]
fn a_listing_that_cannot_be_meant_is_refused() {
    let mut world = five();
    let cursor = result(&mut world, &json!({"limit": 1}))["next_cursor"].clone();
    for (params, error) in [
        (
            json!({"limit": 1001}),
            "key \"limit\": expected at most 1000 (queries.max_page_size), got",
        ),
        (json!({"limit": -1}), "key \"limit\": expected a number that is not negative"),
        (json!({"sort": "age"}), "key \"sort\": expected connected_at or user"),
        (json!({"group_by": "user"}), "key \"group_by\": expected transport"),
        (json!({"cursor": "x"}), "key \"cursor\": expected the \"next_cursor\" of the same query"),
        (json!({"cursor": cursor, "sort": "-connected_at"}), "key \"cursor\": expected"),
        (json!({"cursor": cursor, "user": "a"}), "key \"cursor\": expected"),
        (json!({"cursor": cursor, "expression": "true"}), "key \"cursor\": expected"),
        (json!({"users": vec!["a"; 1001]}), "key \"users\": expected at most 1000 users"),
        (json!({"connected_after": -5}), "key \"connected_after\": expected a number that is not"),
        (json!({}), "nothing is asked for"),
        (json!({"sort": "", "limit": 0, "count_only": false}), "nothing is asked for"),
    ] {
        let reply = world.call("/api/connections", &params.to_string());
        let reply: Value = serde_json::from_str(reply.strip_prefix("200 ").unwrap()).unwrap();
        let message =
            reply["error"]["message"].as_str().unwrap_or_else(|| panic!("{params}: {reply}"));
        assert_eq!(reply["error"]["code"], 107, "{params}");
        assert!(message.starts_with(&format!("bad request: {error}")), "{params}: {message}");
    }
    // How long a page is may change from one to the next.
    let (page, _) = listed(&mut world, &json!({"cursor": cursor, "limit": 3}));
    assert_eq!(page, "<1><2><3>");
}
