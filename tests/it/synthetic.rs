//! A server filled with sessions that no client holds (`test.synthetic_sessions`).

use serde_json::json;

use crate::harness::Server;

/// A thousand sessions on two shards: 100, 50, 33, … by Zipf's law.
fn server() -> Server {
    Server::start(&json!({
        "shards": {"count": 2}, "test": {"synthetic_sessions": 1000},
    }))
}

fn listed(server: &Server, user: &str) -> usize {
    let answer = server.call("user_connections", json!({"user": user}));
    answer["result"]["connections"].as_object().expect("a listing").len()
}

fn sessions(server: &Server) -> u64 {
    let info = server.call("info", json!({}));
    info["result"]["nodes"][0]["num_clients"].as_u64().expect("a number")
}

#[test]
fn every_synthetic_session_is_listed_with_all_that_a_session_has() {
    let server = server();
    assert_eq!(sessions(&server), 1000);
    let counts = ["s000000001", "s000000002", "s000000003", "s000000101", "s999999999"]
        .map(|user| listed(&server, user));
    assert_eq!(counts, [100, 50, 33, 1, 0]);
    let answer = server.call("connections", json!({"user": "s000000001"}));
    for session in answer["result"]["connections"].as_object().expect("a listing").values() {
        assert_eq!(session["user"], "s000000001");
        assert_eq!(session["transport"], "websocket");
        for member in ["app_name", "app_version", "state", "remote_addr", "user_agent"] {
            assert!(session.get(member).is_some(), "{member} of {session}");
        }
    }
}

#[test]
fn synthetic_sessions_have_labels_when_that_is_asked_for() {
    let server = Server::start(&json!({
        "shards": {"count": 2}, "test": {"synthetic_sessions": 1000, "synthetic_labels": true},
    }));
    let answer = server.call("connections", json!({"user": "s000000001"}));
    let sessions = answer["result"]["connections"].as_object().expect("a listing");
    let labels: Vec<_> = sessions.values().map(|session| session["labels"].clone()).collect();
    let has = |key: &str, value: &str| labels.iter().filter(|of| of[key] == value).count();
    assert_eq!(has("device", "d0000000"), 100);
    assert_eq!(["free", "pro", "team"].map(|plan| has("plan", plan)), [34, 33, 33]);
    assert_eq!(has("region", "region-0"), 15);
    assert_eq!(labels[0].as_object().map(serde_json::Map::len), Some(3));
}

#[test]
fn synthetic_sessions_can_be_closed_and_refreshed_although_nobody_hears_of_it() {
    let server = server();
    let user = "s000000002";
    let refreshed = |sessions| json!({"result": {"matched": sessions, "refreshed": sessions}});
    assert_eq!(
        server.call("refresh", json!({"user": user, "expire_at": 4_000_000_000_u32})),
        refreshed(50)
    );
    assert_eq!(listed(&server, user), 50);
    assert_eq!(
        server.call("disconnect", json!({"user": user})),
        json!({"result": {"matched": 50, "closed": 50}})
    );
    assert_eq!((listed(&server, user), sessions(&server)), (0, 950));
    assert_eq!(
        server.call("refresh", json!({"user": "s000000003", "expired": true})),
        refreshed(33)
    );
    assert_eq!((listed(&server, "s000000003"), sessions(&server)), (0, 917));
}
