//! Sessions that have ended can be listed for a while (`connections` with `state: closed`).

use serde_json::{Value, json};

use crate::harness::{Server, eventually, token};

fn closed(server: &Server, mut params: Value) -> Value {
    params["state"] = json!("closed");
    server.call("connections", params)
}

#[test]
fn an_ended_session_is_listed_with_how_it_ended_and_not_among_the_open_ones() {
    let server = Server::start(&json!({}));
    let labels = json!({"region": "eu"});
    let claims = json!({"meta": {"device": "phone"}, "jti": "t-1", "labels": labels});
    let connect = json!({"token": token("42", claims), "name": "ios", "version": "1.2"});
    let ended = server.session_with(connect);
    let lives = server.session("42");
    let _other = server.session("43");
    let as_open = server.call("connections", json!({"user": "42"}));
    let as_open = as_open["result"]["connections"][ended.client()].clone();
    let told = json!({"code": 4001, "reason": "out you go"});
    server.call("disconnect", json!({"client": ended.client(), "disconnect": told}));

    for params in [
        json!({"user": "42"}),
        json!({"label_filter": {"key": "region", "cmp": "eq", "val": "eu"}}),
        json!({"client": ended.client()}),
        json!({"app_name": "ios"}),
        json!({"expression": "meta.device == 'phone'"}),
        json!({}),
    ] {
        let listed = closed(&server, params.clone());
        let connections = listed["result"]["connections"].as_object().expect("a listing");
        assert_eq!(connections.keys().collect::<Vec<_>>(), [&ended.client()], "{params}");
        let mut session = connections[&ended.client()].clone();
        let how = session.as_object_mut().expect("a session").remove("closed").expect("an end");
        assert_eq!(session, as_open, "{params}");
        assert_eq!((&how["code"], &how["reason"]), (&json!(4001), &json!("out you go")));
        let connected_at_ms = session["connected_at_ms"].as_u64().expect("a time");
        let (at_ms, lived) = (how["at_ms"].as_u64(), how["duration_ms"].as_u64());
        assert_eq!(at_ms, lived.map(|lived| connected_at_ms + lived), "{how}");
    }
    assert_eq!(server.listed("42"), [lives.client()]);
    let open = server.call("connections", json!({"user": "42", "state": "open"}));
    assert_eq!(open["result"]["count"], 1, "{open}");

    let client = lives.client();
    drop(lives);
    let how = eventually("the other one has ended too", || {
        let listed = closed(&server, json!({"user": "42"}));
        let session = listed["result"]["connections"].get(&client)?;
        Some(session["closed"].clone())
    });
    assert_eq!((&how["code"], &how["reason"]), (&json!(3000), &json!("connection closed")));
}

#[test]
fn only_as_many_are_remembered_as_the_operator_wants() {
    for (limit, kept) in [(3, 3), (0, 0)] {
        let with = json!({"closed_sessions": {"limit": limit}, "shards": {"count": 1}});
        let server = Server::start(&with);
        let clients: Vec<_> = (0..8).map(|_| server.session("42").client()).collect();
        eventually("all have ended", || server.listed("42").is_empty().then_some(()));
        let asked = json!({"user": "42", "sort": "connected_at"});
        let listed = closed(&server, asked);
        assert_eq!(listed["result"]["count"], kept, "{listed}");
        for client in listed["result"]["clients"].as_array().expect("a list") {
            assert!(clients.iter().any(|known| client == known), "{client} was invented");
        }
    }
}

#[test]
fn what_cannot_be_asked_of_ended_sessions_is_refused() {
    let server = Server::start(&json!({}));
    for (params, why) in [
        (json!({"state": "gone"}), "expected \"open\" or \"closed\", got \"gone\""),
        (json!({"state": "closed", "idle_longer_than": 5}), "cannot be asked of sessions"),
    ] {
        let reply = server.call("connections", params);
        assert_eq!(reply["error"]["code"], 107, "{reply}");
        assert!(reply["error"]["message"].as_str().expect("a text").contains(why), "{reply}");
    }
}
