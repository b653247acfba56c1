//! From connecting to leaving: how clients are listed, that they stay, and how they go.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::device::{APP_NAME, APP_VERSION};
use crate::harness::{Server, eventually, unix_s};
use crate::table::on_every_client;

/// What the token says about a session and no client may ever see.
const PRIVATE: &str = "not for the eyes of a client";

#[test]
fn every_client_is_listed_as_what_it_is_and_never_sees_its_meta() {
    on_every_client(&json!({}), |server, device| {
        let issued = unix_s() - 60;
        let uid = format!("uid of {}", device.user());
        let meta = json!({"note": PRIVATE});
        let token = device.token(json!({"jti": uid, "iat": issued, "meta": meta}));
        let client = device.session("one", server, &token);

        let params = json!({"user": device.user()});
        let flat = server.call("user_connections", params.clone());
        let expected = json!({
            "app_name": APP_NAME, "app_version": APP_VERSION,
            "transport": device.client.transport, "protocol": device.client.protocol,
            "token_uid": uid, "token_issued_at": issued, "meta": meta,
        });
        assert_eq!(only(&flat), (client.as_str(), &expected), "{flat}");

        let nested = server.call("connections", params);
        let (listed, session) = only(&nested);
        assert_eq!(listed, client);
        for key in ["app_name", "app_version", "transport", "protocol"] {
            assert_eq!(session[key], expected[key], "{key} of {session}");
        }
        assert_eq!(session["user"], device.user(), "{session}");
        let connected_ms = session["connected_at_ms"].as_i64().expect("a time");
        assert!((unix_s() * 1000 - connected_ms).abs() < 60_000, "{session}");
        let state = json!({"connection_token": {"uid": uid, "issued_at": issued}, "meta": meta});
        assert_eq!(session["state"], state, "{session}");

        assert!(!device.said().contains(PRIVATE), "{}", device.said());
    });
}

/// The one session of a listing.
fn only(listing: &Value) -> (&str, &Value) {
    let connections = listing["result"]["connections"].as_object();
    let connections = connections.unwrap_or_else(|| panic!("no listing: {listing}"));
    assert_eq!(connections.len(), 1, "{listing}");
    let (client, session) = connections.iter().next().expect("one");
    (client, session)
}

/// The SDKs give a server up whose pings stay away, and the server a client whose pongs do: a
/// client that says nothing for several pings has had them all, and all its pongs were taken.
#[test]
fn every_client_survives_several_pings_without_a_word() {
    let config = json!({"client": {"ping_interval": "1s", "pong_timeout": "500ms"}});
    on_every_client(&config, |server, device| {
        let token = device.token(json!({}));
        let client = device.session("one", server, &token);
        device.rests(Duration::from_millis(5500));
        assert_eq!(server.listed(&device.user()), [client]);
    });
}

/// Seconds a token lives that is about to expire.
const SHORT_S: i64 = 3;
/// Seconds the server waits for a new token after that.
const GRACE_S: i64 = 3;

fn short_lived() -> Value {
    let delay = format!("{GRACE_S}s");
    json!({"client": {"expired_close_delay": delay}})
}

/// Long enough for a session to be closed that should have been refreshed.
const EXPIRED: Duration = Duration::from_secs((SHORT_S + GRACE_S + 2).unsigned_abs());

#[test]
fn every_client_refreshes_a_token_that_expires_and_stays() {
    on_every_client(&short_lived(), |server, device| {
        let short = |uid: &str| json!({"exp": unix_s() + SHORT_S, "jti": uid});
        let token = device.token(short("first"));
        let client = device.session("one", server, &token);
        // The answer to a refresh says how long the new token lives: the SDK asks again.
        device.give_token("one", || short("second"));
        device.give_token("one", || json!({"jti": "third"}));
        device.rests(EXPIRED);
        assert_eq!(server.listed(&device.user()), [client]);
    });
}

#[test]
fn a_client_without_a_new_token_is_closed_and_comes_back_with_one() {
    on_every_client(&short_lived(), |server, device| {
        let token = device.token(json!({"exp": unix_s() + SHORT_S}));
        let client = device.session("one", server, &token);
        // The application does not answer.
        device.next("one", "token_wanted");
        let connecting = device.next("one", "connecting");
        assert_eq!(connecting["code"], 3005, "{connecting}");
        assert_eq!(connecting["reason"], "connection expired", "{connecting}");
        // The old token is refused now, with an error that makes the SDK ask for another.
        device.give_token("one", || json!({}));
        let back = device.connected("one");
        assert_ne!(back, client);
        assert_eq!(server.listed(&device.user()), [back]);
    });
}

/// No SDK acts on what a backend says of its end; each has to live with hearing it.
#[test]
fn every_client_lives_on_while_a_backend_moves_its_end() {
    on_every_client(&json!({}), |server, device| {
        let token = device.token(json!({}));
        let client = device.session("one", server, &token);
        for end in [json!({"expire_at": unix_s() + 60}), json!({}), json!({"expired": true})] {
            // It has read what came before this answer.
            assert!(device.rpc("one", "nothing", json!({})).is_err());
            assert_eq!(server.listed(&device.user()), [client.as_str()]);
            let mut params = end;
            params["user"] = device.user().into();
            assert_eq!(
                server.call("refresh", params),
                json!({"result": {"matched": 1, "refreshed": 1}})
            );
        }
        // Some come back with the token they have, others ask for another.
        assert_eq!(device.next("one", "connecting")["code"], 3005);
    });
}

#[test]
fn a_client_that_leaves_is_not_listed_any_more() {
    on_every_client(&json!({}), |server, device| {
        let token = device.token(json!({}));
        let mut clients = HashSet::new();
        for label in ["one", "two"] {
            clients.insert(device.session(label, server, &token));
        }
        let listed = || HashSet::from_iter(server.listed(&device.user()));
        assert_eq!(listed(), clients);
        device.disconnect("two");
        assert_eq!(device.next("two", "disconnected")["code"], 0);
        left(server, &device.user(), 1);
        device.disconnect("one");
        assert_eq!(device.next("one", "disconnected")["code"], 0);
        left(server, &device.user(), 0);
    });
}

fn left(server: &Server, user: &str, count: usize) {
    eventually("the session is gone", || (server.listed(user).len() == count).then_some(()));
}
