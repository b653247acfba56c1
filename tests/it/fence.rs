//! `fence` of `disconnect`: whoever is sent away does not come back at once.

use serde_json::{Value, json};

use crate::harness::{Conn, Server, Stream, eventually, token};
use crate::socket::{Heard, Socket};

const CLIENTS: usize = 24;

fn connect(user: &str, claims: Value) -> Value {
    json!({"token": token(user, claims)})
}

fn too_many() -> Value {
    json!({"disconnect": {"code": 3013, "reason": "too many requests"}})
}

fn trial() -> Value {
    json!({"labels": {"plan": "trial"}})
}

fn only_trial() -> Value {
    json!({"key": "plan", "cmp": "eq", "val": "trial"})
}

#[test]
fn clients_that_come_back_in_the_moment_they_are_sent_away_find_the_fence() {
    for (claims, params) in [
        (json!({}), json!({"user": "42", "fence": 3600})),
        (json!({}), json!({"users": ["41", "42"], "fence": 3600})),
        (trial(), json!({"all_users": true, "label_filter": only_trial(), "fence": 3600})),
    ] {
        let server = Server::start(&json!({}));
        let connect = &connect("42", claims);
        let address = server.address;
        let sessions: Vec<_> = (0..CLIENTS).map(|_| server.session_with(connect.clone())).collect();
        let other = server.session("43");
        std::thread::scope(|scope| {
            let clients: Vec<_> = sessions
                .into_iter()
                .map(|mut session| {
                    scope.spawn(move || {
                        let told = session.push_after_pings();
                        let mut back = Stream::open(Conn::to(address), connect);
                        assert_eq!(back.conn.head().status, 200);
                        (told, back.push())
                    })
                })
                .collect();
            let receipt = server.call("disconnect", params.clone());
            assert_eq!(receipt["result"]["closed"], CLIENTS, "{params}: {receipt}");
            for client in clients {
                let (told, back) = client.join().expect("a client");
                let told = told.expect("a last push");
                assert_eq!(told["disconnect"]["code"], 3503, "{params}");
                assert_eq!(back, Some(too_many()), "{params}");
            }
        });
        assert_eq!(server.listed("42"), [""; 0]);
        assert_eq!(server.listed("43"), [other.client()]);
        server.session("44");
    }
}

#[test]
fn a_fenced_client_is_told_an_error_that_passes_and_gets_in_when_the_fence_is_over() {
    let server = Server::start(&json!({"websocket": {"disabled": false}}));
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    let ask = json!({"id": 1, "connect": {"token": token("42", json!({}))}});
    server.call("disconnect", json!({"user": "42", "fence": 3600}));
    assert_eq!(socket.hear_end(), Heard::Closed(3503, "force disconnect".to_owned()));
    let mut back = Socket::open(&server, "websocket", &[]);
    back.say(&ask);
    let error = json!({"code": 111, "message": "too many requests", "temporary": true});
    assert_eq!(back.reply()["error"], error);

    let session = server.session("43");
    server.call("disconnect", json!({"user": "43", "fence": 1}));
    drop(session);
    eventually("the fence is over", || {
        let first = server.session_raw(&connect("43", json!({})));
        (first != too_many()).then(|| assert!(!first["connect"].is_null(), "{first}"))
    });
}

#[test]
fn a_session_is_fenced_out_by_its_token_and_others_with_the_same_token_stay() {
    let server = Server::start(&json!({}));
    for (user, selector) in [("42", "client"), ("43", "session")] {
        let with = |uid: &str| connect(user, json!({"jti": format!("{user}: {uid}")}));
        let [mut away, sibling] = [(); 2].map(|()| server.session_with(with("the same")));
        let other = server.session_with(with("another"));
        let id = if selector == "client" { away.client() } else { away.session() };
        let receipt = server.call("disconnect", json!({selector: id, "fence": 3600}));
        assert_eq!(receipt, json!({"result": {"matched": 1, "closed": 1}}));
        assert_eq!(away.push().expect("a last push")["disconnect"]["code"], 3503);
        // More than one for each shard.
        for _ in 0..CLIENTS {
            assert_eq!(server.session_raw(&with("the same")), too_many());
        }
        let mut stay = [sibling.client(), other.client()];
        stay.sort();
        assert_eq!(server.listed(user), stay);
        server.session_with(with("another"));
        server.session(user);
    }
}

#[test]
fn a_session_without_a_token_id_is_not_fenced_and_not_sent_away() {
    let server = Server::start(&json!({}));
    let (without, long) = (server.session("42"), "x".repeat(4_097));
    let with_long = server.session_with(connect("42", json!({"jti": long})));
    for (session, why) in [(&without, "has no id (jti)"), (&with_long, "is too long to be kept")] {
        let client = session.client();
        let reply = server.call("disconnect", json!({"client": client, "fence": 60}));
        assert_eq!(reply["error"]["code"], 107, "{reply}");
        let message = reply["error"]["message"].as_str().expect("a text");
        assert!(message.contains(why), "{message}");
        let plain = json!({"client": client, "fence": 60, "dry_run": true});
        assert_eq!(server.call("disconnect", plain)["result"]["matched"], 1);
        assert!(server.listed("42").contains(&client));
    }
    server.session("42");
}

#[test]
fn a_fence_around_the_token_of_nobody_keeps_nobody_out() {
    let server = Server::start(&json!({}));
    let with = connect("42", json!({"jti": "1"}));
    let session = server.session_with(with.clone());
    let client = session.client();
    for params in [
        json!({"client": client, "user": "43", "fence": 60, "return_clients": true}),
        json!({"session": client, "fence": 60, "return_clients": true}),
    ] {
        let nobody = json!({"result": {"matched": 0, "closed": 0, "clients": []}});
        assert_eq!(server.call("disconnect", params), nobody);
    }
    let back = server.session_with(with);
    let mut both = [client, back.client()];
    both.sort();
    assert_eq!(server.listed("42"), both);
}

#[test]
fn commands_behind_one_that_fences_a_token_see_that_its_session_has_gone() {
    let server = Server::start(&json!({}));
    let sessions: Vec<_> = (0..CLIENTS)
        .map(|number| server.session_with(connect("42", json!({"jti": number.to_string()}))))
        .collect();
    let mut commands: Vec<_> = sessions
        .iter()
        .map(|session| json!({"disconnect": {"client": session.client(), "fence": 60}}))
        .collect();
    commands.push(json!({"user_connections": {"user": "42"}}));
    let replies = server.call("batch", json!({"commands": commands}));
    let replies = replies["replies"].as_array().expect("replies");
    let (listing, orders) = replies.split_last().expect("one for each");
    for order in orders {
        assert_eq!(order, &json!({"disconnect": {"matched": 1, "closed": 1}}));
    }
    assert_eq!(listing, &json!({"user_connections": {"connections": {}}}));
    for number in 0..CLIENTS {
        let back = connect("42", json!({"jti": number.to_string()}));
        assert_eq!(server.session_raw(&back), too_many());
    }
}

#[test]
fn a_rehearsal_and_an_order_without_a_fence_keep_nobody_out() {
    let server = Server::start(&json!({}));
    for params in [
        json!({"user": "42", "fence": 3600, "dry_run": true}),
        json!({"user": "42", "fence": 0}),
        json!({"user": "42"}),
    ] {
        server.call("disconnect", params);
        server.session("42");
    }
}

#[test]
fn commands_behind_a_fenced_disconnect_see_that_all_have_gone() {
    let server = Server::start(&json!({}));
    let _sessions: Vec<_> = (0..CLIENTS).map(|_| server.session("42")).collect();
    let commands = json!({"commands": [
        {"disconnect": {"user": "42", "fence": 3600}},
        {"user_connections": {"user": "42"}},
    ]});
    let replies = server.call("batch", commands);
    assert_eq!(replies["replies"][0]["disconnect"]["closed"], CLIENTS, "{replies}");
    assert_eq!(replies["replies"][1]["user_connections"]["connections"], json!({}), "{replies}");
    assert_eq!(server.session_raw(&connect("42", json!({}))), too_many());
}
