//! `Watch`: what happens to sessions, as a stream of messages.

use serde_json::{Value, json};
use tonic::Code;

use super::client::{Api, Client, Events};
use super::server;
use crate::harness::token;

fn event(events: &mut Events<'_>) -> Value {
    events.next().expect("no status yet").expect("an event")
}

fn watch<'a>(api: &'a Api, request: &Value) -> (Events<'a>, Vec<String>) {
    let mut events = api.stream("Watch", request).expect("a stream");
    let mut clients = Vec::new();
    loop {
        let event = event(&mut events);
        match event["type"].as_str() {
            Some("snapshot") => {
                clients.extend(event["connections"].as_object().expect("a map").keys().cloned());
            }
            Some("ready") => return (events, clients),
            _ => panic!("in a snapshot: {event}"),
        }
    }
}

#[test]
fn a_watcher_hears_over_grpc_what_it_would_hear_over_http() {
    let (server, address) = server(&json!({}));
    let api = Api::new(Client::to(address));
    let there = server.session("42");
    let (mut events, clients) = watch(&api, &json!({"user": "42"}));
    assert_eq!(clients, [there.client()]);

    let comes = server.session_with(json!({"token": token("42", json!({})), "name": "late"}));
    let opened = event(&mut events);
    assert_eq!((&opened["type"], &opened["client"]), (&json!("opened"), &json!(comes.client())));
    assert_eq!(opened["connection"]["app_name"], "late");

    server.call("disconnect", json!({"client": there.client()}));
    let closed = event(&mut events);
    assert_eq!((&closed["type"], &closed["code"]), (&json!("closed"), &json!(3503)));
    assert_eq!((&closed["client"], &closed["user"]), (&json!(there.client()), &json!("42")));
}

#[test]
fn a_watch_is_of_those_who_connected_in_its_time() {
    let (server, address) = server(&json!({}));
    let there = server.session("42");
    let reply = server.call("connections", json!({"user": "42"}));
    let at = &reply["result"]["connections"][there.client()]["connected_at_ms"];
    let at = at.as_i64().expect("a time");
    let api = Api::new(Client::to(address));
    for (key, value, count) in [
        ("connected_before", at, 0),
        ("connected_before", at + 1, 1),
        ("connected_after", at, 1),
        ("connected_after", at + 1, 0),
    ] {
        let request = json!({"user": "42", key: value});
        let mut events = api.stream("Watch", &request).expect("a stream");
        let ready = loop {
            let event = event(&mut events);
            if event["type"] == "ready" {
                break event;
            }
        };
        assert_eq!(ready["count"].as_i64().unwrap_or(0), count, "{request}: {ready}");
    }
}

#[test]
fn a_watch_that_cannot_be_is_refused_by_its_status() {
    let (server, address) = server(&json!({"grpc_api": {"key": "k"}, "watch": {"limit": 0}}));
    let refusal = |client: Client, request: Value| {
        let api = Api::new(client);
        match api.stream("Watch", &request) {
            Err(status) => status,
            Ok(mut events) => events.next().expect_err("no event"),
        }
    };
    let client = || Client::to(address).with("authorization", "apikey k");
    let status = refusal(Client::to(address), json!({"user": "42"}));
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = refusal(client(), json!({}));
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("nobody is selected"), "{status}");
    let status = refusal(client(), json!({"user": "42"}));
    assert!(status.message().contains("watch.limit"), "{status}");
    assert_eq!(status.code(), Code::InvalidArgument);
    drop(server);
}

#[test]
fn a_watch_ends_with_its_watcher_and_with_its_server() {
    let (mut server, address) = server(&json!({"watch": {"limit": 1}, "shards": {"count": 1}}));
    let api = Api::new(Client::to(address));
    drop(watch(&api, &json!({"user": "42"})));
    // There is room for one: the other must have gone.
    let (mut events, _) = crate::harness::eventually("the first watch is gone", || {
        let mut events = api.stream("Watch", &json!({"user": "42"})).expect("a stream");
        events.next().ok()?.map(|ready| (events, ready))
    });
    server.signal("TERM");
    let resync = json!({"type": "resync", "reason": "the server shuts down"});
    let told = event(&mut events);
    assert_eq!((&told["type"], &told["reason"]), (&resync["type"], &resync["reason"]));
    assert_eq!(events.next().expect("a regular end"), None);
    assert_eq!(server.wait(), Some(0));
}
