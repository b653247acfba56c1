//! Questions about sets of sessions and orders to them, over several shards.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Server, Stream, eventually, token};

/// A session of this user and app.
fn open(server: &Server, user: &str, app: &str) -> Stream {
    let claims = json!({"meta": {"app": app}});
    server.session_with(json!({"token": token(user, claims), "name": app, "version": "1"}))
}

fn server() -> Server {
    Server::start(&json!({"shards": {"count": 4, "pin_to_cores": false}}))
}

fn ids(result: &Value) -> BTreeSet<String> {
    let connections = result["result"]["connections"].as_object();
    connections.unwrap_or_else(|| panic!("no listing: {result}")).keys().cloned().collect()
}

fn clients<'s>(streams: impl IntoIterator<Item = &'s Stream>) -> BTreeSet<String> {
    streams.into_iter().map(Stream::client).collect()
}

#[test]
fn expressions_and_conditions_find_the_same_sessions_on_every_shard() {
    let server = server();
    let ios: Vec<_> = (0..6).map(|n| open(&server, &format!("u{n}"), "ios")).collect();
    let web: Vec<_> = (0..5).map(|n| open(&server, &format!("u{n}"), "web")).collect();
    for (params, expected) in [
        (json!({"user": "", "expression": "app_name == 'ios'"}), clients(&ios)),
        (
            json!({"expression": "meta.app == 'web' && transport == 'uni_http_stream'"}),
            clients(&web),
        ),
        (json!({"user": "u5", "expression": "meta.app == 'web'"}), BTreeSet::new()),
        (json!({"app_name": "web"}), clients(&web)),
        (json!({"users": ["u1", "u2"], "app_name": "ios"}), clients(&ios[1..3])),
        (json!({"transport": "websocket"}), BTreeSet::new()),
        (json!({"connected_after": 1}), &clients(&ios) | &clients(&web)),
    ] {
        let result = server.call("connections", params.clone());
        assert_eq!(ids(&result), expected, "{params}");
        let is_scan = params["user"] == ""
            || params.get("connected_after").is_some()
            || params["expression"].as_str().is_some_and(|e| e.contains("'web' &&"));
        assert_eq!(result["result"].get("scanned"), is_scan.then_some(&json!(11)), "{params}");
    }
    let error = server.call("connections", json!({"expression": "app_name = 'ios'"}));
    assert_eq!(error["error"]["code"], 107);
    let message = error["error"]["message"].as_str().expect("a text");
    assert!(message.contains("key \"expression\": 1:10: "), "{message}");
}

#[test]
fn pages_of_several_shards_list_everybody_once_while_others_come_and_go() {
    let server = server();
    let stay: Vec<_> = (0..25).map(|n| open(&server, &format!("u{}", n % 3), "stays")).collect();
    for sort in ["connected_at", "-connected_at", "user", "-user"] {
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        let mut others = Vec::new();
        loop {
            others.push(open(&server, "u1", "comes"));
            if others.len() > 3 {
                let gone = others.remove(0);
                let receipt = server.call("disconnect", json!({"client": gone.client()}));
                assert_eq!(receipt, json!({"result": {"matched": 1, "closed": 1}}));
            }
            let params = json!({"sort": sort, "limit": 4, "cursor": cursor});
            let page = server.call("connections", params);
            let in_order = page["result"]["clients"].as_array().expect("ids in order");
            assert_eq!(ids(&page).len(), in_order.len(), "{page}");
            seen.extend(in_order.iter().map(|id| id.as_str().expect("an id").to_owned()));
            match page["result"]["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        for client in clients(&stay) {
            let times = seen.iter().filter(|id| **id == client).count();
            assert_eq!(times, 1, "{sort}: {client}");
        }
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "{sort}: {seen:?}");
    }
}

#[test]
fn counts_and_groups_add_up_over_all_shards() {
    let server = server();
    let _sessions: Vec<_> = ["ios", "ios", "web", "ios", "web", "tv", "ios"]
        .iter()
        .enumerate()
        .map(|(n, app)| open(&server, &format!("u{n}"), app))
        .collect();
    let result = server.call("connections", json!({"group_by": "app_name", "count_only": true}));
    let groups = json!({"ios": 4, "tv": 1, "web": 2});
    let expected = json!({"connections": {}, "count": 7, "groups": groups, "scanned": 7});
    assert_eq!(result, json!({"result": expected}));
}

#[test]
fn an_order_to_everybody_ends_everybody_and_says_whom() {
    let server = server();
    let mut streams: Vec<_> =
        (0..12).map(|n| open(&server, &format!("u{n}"), ["ios", "web"][n % 2])).collect();
    let web = clients(streams.iter().skip(1).step_by(2));
    let named = |result: &Value| -> BTreeSet<String> {
        let clients = result["result"]["clients"].as_array().expect("ids were asked for");
        clients.iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
    };
    let mut params = json!({"all_users": true, "app_name": "web", "return_clients": true,
        "dry_run": true});
    let rehearsal = server.call("disconnect", params.clone());
    assert_eq!(named(&rehearsal), web);
    assert_eq!(
        (&rehearsal["result"]["matched"], &rehearsal["result"]["closed"]),
        (&json!(6), &json!(0))
    );

    params["dry_run"] = json!(false);
    let receipt = server.call("disconnect", params);
    assert_eq!(named(&receipt), web);
    assert_eq!((&receipt["result"]["closed"], receipt["result"].get("scanned")), (&json!(6), None));
    for stream in streams.iter_mut().skip(1).step_by(2) {
        assert_eq!(stream.push_after_pings().expect("a last line")["disconnect"]["code"], 3503);
    }
    let left = server.call("connections", json!({"limit": 100}));
    assert_eq!(ids(&left), clients(streams.iter().step_by(2)));

    let refreshed =
        server.call("refresh", json!({"all_users": true, "expire_at": 4_000_000_000_u32}));
    assert_eq!(refreshed["result"]["refreshed"], 6);
    for stream in streams.iter_mut().step_by(2) {
        assert_eq!(stream.push_after_pings().expect("a push")["refresh"]["expires"], true);
    }
    let receipt = server.call("disconnect", json!({"all_users": true}));
    assert_eq!(receipt, json!({"result": {"matched": 6, "closed": 6, "scanned": 6}}));
    assert_eq!(server.call("info", json!({}))["result"]["nodes"][0]["num_clients"], 0);
}

#[test]
fn many_sessions_end_at_the_configured_pace_and_the_receipt_says_what_is_pending() {
    let server = Server::start(&json!({
        "shards": {"count": 2, "pin_to_cores": false}, "disconnect": {"rate": 4000},
        "test": {"synthetic_sessions": 8000},
    }));
    let held = || {
        let info = server.call("info", json!({}));
        info["result"]["nodes"][0]["num_clients"].as_u64().expect("a number")
    };
    assert_eq!(held(), 8_000);
    let receipt = server.call("disconnect", json!({"all_users": true}));
    let result = &receipt["result"];
    let number = |key: &str| result[key].as_u64().unwrap_or_else(|| panic!("{key}: {receipt}"));
    assert_eq!(number("matched"), 8_000, "{receipt}");
    assert_eq!(number("closed") + number("pending"), 8_000, "{receipt}");
    assert!(number("pending") > 0 && held() <= 8_000 - number("closed"), "{receipt}");
    eventually("all are gone", || (held() == 0).then_some(()));
}

#[test]
fn a_scan_of_many_sessions_is_whole_and_others_are_answered_meanwhile() {
    let server = Server::start(&json!({
        "shards": {"count": 2, "pin_to_cores": false, "query_timeout": "20s"},
        "test": {"synthetic_sessions": 100_000},
    }));
    let (sender, counted) = crossbeam_channel::bounded(1);
    std::thread::scope(|scope| {
        let server = &server;
        scope.spawn(move || {
            let params = json!({"expression": "app_name == 'ios'", "count_only": true});
            sender.send(server.call("connections", params)).expect("somebody waits");
        });
        let mut answered = 0;
        while counted.is_empty() {
            assert_eq!(server.listed("s000000001").len(), 1_000);
            answered += 1;
        }
        assert!(answered > 0);
        let result = counted.recv().expect("it is there");
        let result = &result["result"];
        assert_eq!(
            (&result["scanned"], result.get("partial")),
            (&json!(100_000), None),
            "{result}"
        );
        // The first app and the last.
        assert_eq!(result["count"], 62_500, "{result}");
    });
}
