//! A backend is told what happens to sessions (`POST /api/watch`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Conn, KEY, Response, Server, request, token};
use crate::socket::Socket;

/// A watch and what it has heard so far.
struct Watch {
    conn: Conn,
    head: Response,
}

impl Watch {
    fn open(server: &Server, params: &Value) -> Self {
        let mut conn = server.connect();
        let body = params.to_string();
        conn.send(&request("POST", "/api/watch", &[("X-API-Key", KEY)], body.as_bytes()));
        let head = conn.head();
        Self { conn, head }
    }

    /// The next event; `None` at the regular end.
    fn event(&mut self) -> Option<Value> {
        loop {
            let chunk = String::from_utf8(self.conn.chunk()?).expect("text");
            if let Some(json) = chunk.strip_prefix("data: ") {
                return Some(serde_json::from_str(json.trim_end()).expect("JSON"));
            }
            assert!(chunk == "\r\n" || chunk == ":\n\n", "neither event nor heartbeat: {chunk:?}");
        }
    }

    /// Reads the snapshot to its end; the clients in it.
    fn snapshot(&mut self) -> BTreeSet<String> {
        let mut clients = BTreeSet::new();
        loop {
            let event = self.event().expect("an event");
            match event["type"].as_str() {
                Some("snapshot") => {
                    let connections = event["connections"].as_object().expect("a map");
                    clients.extend(connections.keys().cloned());
                }
                Some("ready") => {
                    assert_eq!(event["count"], clients.len());
                    return clients;
                }
                _ => panic!("in a snapshot: {event}"),
            }
        }
    }
}

#[test]
fn a_watcher_hears_of_those_who_connected_in_its_time() {
    let server = Server::start(&json!({}));
    let there = server.session("42");
    let reply = server.call("connections", json!({"user": "42"}));
    let at = &reply["result"]["connections"][there.client()]["connected_at_ms"];
    let at = at.as_i64().expect("a time");
    let soon = at + 1_000 * 3_600;
    for (params, sees) in [
        (json!({"user": "42", "connected_before": at}), false),
        (json!({"user": "42", "connected_before": at + 1}), true),
        (json!({"user": "42", "connected_after": at, "connected_before": soon}), true),
        (json!({"user": "42", "connected_after": at + 1, "connected_before": at + 1}), false),
    ] {
        let mut watch = Watch::open(&server, &params);
        assert_eq!(watch.snapshot().contains(&there.client()), sees, "{params}");
    }
    let mut before = Watch::open(&server, &json!({"user": "42", "connected_before": at + 1}));
    let mut after = Watch::open(&server, &json!({"user": "42", "connected_after": soon}));
    assert_eq!((before.snapshot().len(), after.snapshot().len()), (1, 0));
    server.call("disconnect", json!({"client": there.client()}));
    assert_eq!(before.event().expect("an event")["type"], "closed");
}

#[test]
fn a_watcher_hears_that_a_client_went_on_with_another_token() {
    let server = Server::start(&json!({}));
    let (mut socket, _) = Socket::session(&server, "42", json!({"jti": "first"}));
    let all = &mut Watch::open(&server, &json!({"user": "42"}));
    let first = json!({"user": "42", "expression": "token_uid == 'first'"});
    let first = &mut Watch::open(&server, &first);
    assert_eq!((all.snapshot().len(), first.snapshot().len()), (1, 1));
    for (uid, kind) in [("second", "left"), ("first", "changed")] {
        let another = json!({"jti": uid});
        socket.say(&json!({"id": 2, "refresh": {"token": token("42", another)}}));
        assert_eq!(socket.reply()["id"], 2);
        let event = all.event().expect("an event");
        assert_eq!(event["type"], "changed", "{event}");
        assert_eq!(event["connection"]["state"]["connection_token"]["uid"], uid, "{event}");
        assert_eq!(first.event().expect("an event")["type"], kind);
    }
}

#[test]
fn a_watcher_hears_who_is_there_and_then_who_comes_and_goes_wherever_that_is() {
    let server = Server::start(&json!({}));
    let there: Vec<_> = (0..8).map(|_| server.session("42")).collect();
    let _stranger = server.session("43");
    let mut watch = Watch::open(&server, &json!({"user": "42"}));
    assert_eq!(watch.head.status, 200);
    assert_eq!(watch.head.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(watch.snapshot(), there.iter().map(|session| session.client()).collect());

    let meta = json!({"device": "phone"});
    let token = token("42", json!({"meta": meta}));
    let comes = server.session_with(json!({"token": token, "name": "late"}));
    let _other = server.session("43");
    let opened = watch.event().expect("an event");
    assert_eq!(opened["type"], "opened");
    assert_eq!(opened["client"], comes.client());
    let listed = server.call("connections", json!({"user": "42"}));
    assert_eq!(opened["connection"], listed["result"]["connections"][comes.client()]);
    assert_eq!(opened["connection"]["state"]["meta"], meta);

    let client = comes.client();
    drop(comes);
    let closed = watch.event().expect("an event");
    let duration = closed["duration_ms"].as_u64();
    assert!(duration.is_some(), "{closed}");
    assert_eq!(
        closed,
        json!({
            "type": "closed", "client": client, "user": "42", "code": 3000,
            "reason": "connection closed", "duration_ms": duration,
        })
    );
    let told = json!({"user": "42", "disconnect": {"code": 4001, "reason": "out you go"}});
    server.call("disconnect", told);
    let mut gone = BTreeSet::new();
    for _ in &there {
        let closed = watch.event().expect("an event");
        assert_eq!(
            (&closed["type"], &closed["code"], &closed["reason"]),
            (&json!("closed"), &json!(4001), &json!("out you go"))
        );
        gone.insert(closed["client"].as_str().expect("an id").to_owned());
    }
    assert_eq!(gone, there.iter().map(|session| session.client()).collect());
}

#[test]
fn a_watch_by_labels_hears_who_comes_into_the_filter_changes_in_it_and_leaves_it() {
    let server = Server::start(&json!({"shards": {"count": 2}}));
    let session = |plan| {
        let token = token("42", json!({"labels": {"plan": plan}}));
        server.session_with(json!({"token": token}))
    };
    let (first, second) = (session("pro"), session("free"));
    let filter = json!({"key": "plan", "cmp": "eq", "val": "pro"});
    let mut watch = Watch::open(&server, &json!({"all_users": true, "label_filter": filter}));
    assert_eq!(watch.snapshot(), BTreeSet::from([first.client()]));
    for (session, command, change, heard) in [
        (&second, "update_labels", json!({"set": {"plan": "pro"}}), Some("changed")),
        (&second, "update_labels", json!({"set": {"plan": "pro"}}), None),
        (&second, "update_labels", json!({"set": {"region": "eu"}}), Some("changed")),
        (&first, "update_meta", json!({"meta": [1]}), Some("changed")),
        (&first, "update_labels", json!({"unset": ["plan"]}), Some("left")),
        (&first, "update_labels", json!({"set": {"region": "eu"}}), None),
        (&first, "update_meta", json!({"meta": [2]}), None),
        (&second, "update_labels", json!({"set": {"plan": "free"}}), Some("left")),
        (&first, "update_labels", json!({"set": {"plan": "pro"}}), Some("changed")),
    ] {
        let mut params = change.clone();
        params["client"] = json!(session.client());
        let reply = server.call(command, params);
        assert_eq!(reply["result"]["matched"], 1, "{change}: {reply}");
        let Some(heard) = heard else { continue };
        let event = watch.event().expect("an event");
        let mut expected = json!({"type": heard, "client": session.client()});
        if heard == "changed" {
            let listed = server.call("connections", json!({"user": "42"}));
            expected["connection"] = listed["result"]["connections"][session.client()].clone();
        }
        assert_eq!(event, expected, "{change}");
    }
    // The second has left: nobody hears of its end.
    server.call("disconnect", json!({"client": second.client()}));
    server.call("disconnect", json!({"client": first.client()}));
    let closed = watch.event().expect("an event");
    assert_eq!((&closed["type"], &closed["client"]), (&json!("closed"), &json!(first.client())));
}

#[test]
fn a_watcher_that_does_not_read_is_told_to_begin_again() {
    let server = Server::start(&json!({"watch": {"queue_max_size": 131_072}}));
    let mut watch = Watch::open(&server, &json!({"user": "42"}));
    watch.snapshot();
    // More than the kernel takes for a socket that nobody reads.
    let meta = "m".repeat(40_000);
    let token = token("42", json!({"meta": meta}));
    for _ in 0..300 {
        drop(server.session_with(json!({"token": token})));
    }
    let mut last = Value::Null;
    let mut events = 0;
    while let Some(event) = watch.event() {
        (last, events) = (event, events + 1);
    }
    let expected = json!({"type": "resync", "reason": "the watcher reads too slowly"});
    assert_eq!(last, expected);
    assert!(events < 600, "nothing was left out: the limit did not hold");
    assert!(watch.conn.is_closed());
    // And the next one sees what there is.
    assert_eq!(Watch::open(&server, &json!({"user": "42"})).snapshot(), BTreeSet::new());
}

#[test]
fn a_server_that_leaves_says_so_to_watchers() {
    let mut server = Server::start(&json!({}));
    let mut watch = Watch::open(&server, &json!({"user": "42"}));
    watch.snapshot();
    server.signal("TERM");
    let resync = json!({"type": "resync", "reason": "the server shuts down"});
    assert_eq!((watch.event(), watch.event()), (Some(resync), None));
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_request_that_cannot_be_watched_is_answered_and_the_connection_goes_on() {
    let server = Server::start(&json!({"watch": {"limit": 0}}));
    let mut conn = server.connect();
    let key = [("X-API-Key", KEY)];
    for (body, status, text) in [
        ("{}", 200, r#"{"error":{"code":107,"message":"bad request: nobody is selected"#),
        (
            r#"{"client":"x"}"#,
            200,
            r#"{"error":{"code":107,"message":"bad request: key \"client\""#,
        ),
        (r#"{"user":"42"}"#, 200, r#"{"error":{"code":108,"message":"not available: 0 watches"#),
        (r#"{"user":42}"#, 400, "Bad Request: key \"user\": expected a string, got a number"),
        ("", 400, "Bad Request: the body is empty"),
        ("[", 400, "Bad Request: "),
    ] {
        let response = conn.post("/api/watch", &key, body.as_bytes());
        assert_eq!(response.status, status, "{body}: {}", response.text());
        assert!(response.text().starts_with(text), "{body}: {}", response.text());
    }
    assert_eq!(conn.post("/api/watch", &[], b"{}").status, 401);
    assert_eq!(server.connect().request("GET", "/api/watch", &key, b"").status, 405);
    let in_batch = server.call("batch", json!({"commands": [{"watch": {"user": "42"}}]}));
    let message = in_batch["replies"][0]["error"]["message"].as_str().expect("an error");
    assert!(message.contains("has a path of its own"), "{message}");
}

#[test]
fn a_watcher_of_everybody_hears_of_those_that_pass_its_filter() {
    let server = Server::start(&json!({}));
    let session = |user: &str, region: &str| {
        let claims = json!({"labels": {"region": region}});
        server.session_with(json!({"token": token(user, claims), "name": "test"}))
    };
    let there: Vec<_> = (0..40).map(|n| session(&format!("user-{n}"), "eu")).collect();
    let _elsewhere: Vec<_> = (0..40).map(|n| session(&format!("user-{n}"), "us")).collect();
    let region = json!({"key": "region", "cmp": "eq", "val": "eu"});
    let params = [
        json!({"all_users": true, "label_filter": region}),
        json!({"all_users": true, "expression": "labels.region == 'eu'"}),
    ];
    let expected: BTreeSet<_> = there.iter().map(|session| session.client()).collect();
    let mut watches: Vec<_> = params.iter().map(|params| Watch::open(&server, params)).collect();
    for watch in &mut watches {
        assert_eq!(watch.snapshot(), expected);
    }
    let _us = session("late", "us");
    let eu = session("late", "eu");
    for watch in &mut watches {
        let opened = watch.event().expect("an event");
        assert_eq!((&opened["type"], &opened["client"]), (&json!("opened"), &json!(eu.client())));
    }
    let mut everybody = Watch::open(&server, &json!({"all_users": true}));
    assert_eq!(everybody.snapshot().len(), 82);
}
