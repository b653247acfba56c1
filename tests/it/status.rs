//! Statuses of users: `update_user_status`, `get_user_status`, `delete_user_status`.

use serde_json::{Value, json};

use crate::harness::{Server, eventually, unix_s};
use crate::socket::Socket;

fn kept(more: Value) -> Server {
    let mut config = json!({"user_status": {"enabled": true}});
    crate::harness::overlay(&mut config, &more);
    Server::start(&config)
}

fn statuses(server: &Server, users: &[&str]) -> Vec<Value> {
    let reply = server.call("get_user_status", json!({"users": users}));
    let statuses = reply["result"]["statuses"].as_array();
    statuses.unwrap_or_else(|| panic!("no statuses: {reply}")).clone()
}

fn does(server: &Server, method: &str, params: Value) {
    assert_eq!(server.call(method, params), json!({"result": {}}), "{method}");
}

/// Whether this is a time since the test began, give or take a second of rounding.
fn is_recent(at: &Value, began: i64) -> bool {
    at.as_i64().is_some_and(|at| (began - 1..=unix_s() + 1).contains(&at))
}

#[test]
fn users_are_active_when_said_online_when_here_and_nothing_when_unknown() {
    let began = unix_s();
    let server = kept(json!({}));
    assert_eq!(statuses(&server, &["b", "a"]), [json!({"user": "b"}), json!({"user": "a"})]);
    does(&server, "update_user_status", json!({"users": ["a", "c"], "state": "away"}));
    let session = server.session("b");
    let told = statuses(&server, &["c", "b", "x", "a", "b"]);
    assert_eq!(told.len(), 5);
    for at in [0, 3] {
        assert!(is_recent(&told[at]["active"], began), "{told:?}");
        assert_eq!((&told[at]["state"], &told[at]["online"]), (&json!("away"), &Value::Null));
    }
    for at in [1, 4] {
        assert!(is_recent(&told[at]["online"], began), "{told:?}");
        assert_eq!(told[at].as_object().map(serde_json::Map::len), Some(2));
    }
    assert_eq!(told[2], json!({"user": "x"}));
    // Who has left was last here when they left, also when that has just happened.
    drop(session);
    eventually("it is gone", || server.listed("b").is_empty().then_some(()));
    eventually("it is known when", || {
        is_recent(&statuses(&server, &["b"])[0]["online"], began).then_some(())
    });
    // Being active leaves the state as it is; an empty one takes it away.
    does(&server, "update_user_status", json!({"users": ["a"]}));
    assert_eq!(statuses(&server, &["a"])[0]["state"], "away");
    does(&server, "update_user_status", json!({"users": ["a"], "state": ""}));
    assert_eq!(statuses(&server, &["a"])[0]["state"], Value::Null);
    does(&server, "delete_user_status", json!({"users": ["a", "b", "never there"]}));
    assert_eq!(statuses(&server, &["a", "b"]), [json!({"user": "a"}), json!({"user": "b"})]);
}

#[test]
fn statuses_outlive_a_process_that_is_killed_right_after_it_answered() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = json!({"storage": {"path": dir.path().join("rules.redb")}});
    let mut server = kept(storage.clone());
    does(&server, "update_user_status", json!({"users": ["a"], "state": "busy"}));
    server.child.kill().expect("SIGKILL");
    server.child.wait().expect("it ends");
    let mut server = kept(storage.clone());
    assert_eq!(statuses(&server, &["a"])[0]["state"], "busy");
    // A goodbye writes down who was here.
    let _session = server.session("b");
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let server = kept(storage);
    assert!(statuses(&server, &["b"])[0]["online"].is_i64());
}

#[test]
fn a_status_that_has_not_changed_for_long_is_forgotten() {
    for storage in ["embedded", "memory"] {
        let server = kept(json!({
            "user_status": {"expire_interval": "1s", "storage_type": storage},
        }));
        does(&server, "update_user_status", json!({"users": ["a"], "state": "busy"}));
        eventually("it is forgotten", || {
            (statuses(&server, &["a"]) == [json!({"user": "a"})]).then_some(())
        });
    }
}

#[test]
fn when_statuses_cannot_be_stored_the_caller_and_the_log_say_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = dir.path().join("missing");
    let server = kept(json!({
        "storage": {"path": folder.join("statuses.redb")},
        "user_status": {"storage_type": "embedded"},
    }));
    let update = || server.call("update_user_status", json!({"users": ["a"]}));
    assert_eq!(update()["error"]["code"], 100);
    let line = server.wait_log("could not be stored");
    assert!(line.contains("statuses could not be stored"), "{line}");
    std::fs::create_dir(&folder).expect("a folder");
    assert_eq!(update(), json!({"result": {}}));
}

#[test]
fn no_more_statuses_are_kept_than_there_may_be() {
    for storage in ["embedded", "memory"] {
        let server = kept(json!({"user_status": {"limit": 2, "storage_type": storage}}));
        does(&server, "update_user_status", json!({"users": ["a", "b"]}));
        let error = &server.call("update_user_status", json!({"users": ["a", "c"]}))["error"];
        assert_eq!(error["code"], 108, "{error}");
        assert!(error["message"].to_string().contains("user_status.limit"), "{error}");
        does(&server, "update_user_status", json!({"users": ["a"], "state": "back"}));
        does(&server, "delete_user_status", json!({"users": ["b"]}));
        does(&server, "update_user_status", json!({"users": ["c"]}));
    }
}

#[test]
fn a_client_says_that_its_user_is_active() {
    let began = unix_s();
    let call = |server: &Server, user: &str| {
        let (mut socket, _) = Socket::session(server, user, json!({}));
        let rpc = json!({"method": "update_user_status", "data": {}});
        socket.say(&json!({"id": 7, "rpc": rpc}));
        socket.reply()
    };
    let server = kept(json!({}));
    assert_eq!(call(&server, "a"), json!({"id": 7, "rpc": {"data": {}}}));
    assert!(is_recent(&statuses(&server, &["a"])[0]["active"], began));
    let off = Server::start(&json!({}));
    assert_eq!(call(&off, "a")["error"]["code"], 108);
}

#[test]
fn what_cannot_be_said_of_users_is_refused() {
    let server = kept(json!({}));
    let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    for (method, params, why) in [
        ("get_user_status", json!({}), "key \"users\": expected 1 to 1000 users, got 0"),
        ("get_user_status", json!({"users": many}), "expected 1 to 1000 users, got 1001"),
        ("delete_user_status", json!({"users": [""]}), "key \"users\" is missing or empty"),
        (
            "update_user_status",
            json!({"users": ["a"], "state": "s".repeat(1_025)}),
            "key \"state\": expected at most 1024 bytes",
        ),
    ] {
        let error = &server.call(method, params)["error"];
        let message = error["message"].as_str().expect("a text");
        assert!(error["code"] == 107 && message.contains(why), "{method}: {error}");
    }
    let off = Server::start(&json!({}));
    let error = &off.call("get_user_status", json!({"users": ["a"]}))["error"];
    assert!(error["code"] == 108 && error["message"].to_string().contains("user_status.enabled"));
}
