//! Users look after their own sessions without any backend (client RPC `sessions.*`).

use serde_json::{Value, json};

use crate::harness::{Server, eventually};
use crate::socket::{Heard, Socket};

fn own(server: &Server, user: &str) -> (Socket, String) {
    let claims = json!({"sessions": "self", "jti": "t", "meta": {"secret": 1}});
    let (socket, reply) = Socket::session(server, user, claims);
    (socket, reply["connect"]["client"].as_str().expect("an id").to_owned())
}

fn call(socket: &mut Socket, method: &str, data: Value) -> Value {
    socket.say(&json!({"id": 9, "rpc": {"method": format!("sessions.{method}"), "data": data}}));
    let reply = socket.reply();
    assert_eq!(reply["id"], 9, "{reply}");
    reply
}

#[test]
fn a_user_lists_own_sessions_wherever_they_are() {
    let server = Server::start(&json!({}));
    let (mut socket, me) = own(&server, "42");
    let others: Vec<_> = (0..6).map(|_| own(&server, "42")).collect();
    let _stranger = own(&server, "43");
    let reply = call(&mut socket, "list", json!({}));
    let sessions = reply["rpc"]["data"]["sessions"].as_array().expect("a list");
    assert_eq!(sessions.len(), 7);
    for session in sessions {
        let client = session["client"].as_str().expect("an id");
        assert_eq!(session["current"].as_bool().unwrap_or(false), client == me);
        assert!(client == me || others.iter().any(|(_, other)| other == client));
        let keys: Vec<_> = session.as_object().expect("an object").keys().collect();
        let mut expected = vec!["app_name", "app_version", "client", "connected_at_ms"];
        if client == me {
            expected.push("current");
        }
        expected.extend(["protocol", "transport"]);
        assert_eq!(keys, expected, "meta, token and address are not for the user");
    }
}

#[test]
fn the_configuration_decides_whether_users_see_addresses() {
    let shown = json!({"show_remote_addr": true, "show_user_agent": true});
    let server = Server::start(&json!({
        "client": {"sessions": shown, "trusted_proxies": ["127.0.0.0/8"]},
    }));
    let headers = [("User-Agent", "Browser/1"), ("X-Forwarded-For", "192.0.2.7")];
    let mut socket = Socket::open(&server, "websocket", &headers);
    let token = crate::harness::token("42", json!({"sessions": "self"}));
    socket.say(&json!({"id": 1, "connect": {"token": token}}));
    socket.reply();
    let reply = call(&mut socket, "list", json!({}));
    let session = &reply["rpc"]["data"]["sessions"][0];
    assert_eq!(
        (&session["remote_addr"], &session["user_agent"]),
        (&json!("192.0.2.7"), &json!("Browser/1"))
    );
    let listing = server.call("connections", json!({"user": "42"}));
    let connections = listing["result"]["connections"].as_object().expect("a listing");
    let seen = connections.values().next().expect("a session");
    assert_eq!(
        (&seen["remote_addr"], &seen["user_agent"]),
        (&json!("192.0.2.7"), &json!("Browser/1"))
    );
}

#[test]
fn a_user_closes_one_own_session_or_all_others() {
    let server = Server::start(&json!({}));
    let (mut socket, me) = own(&server, "42");
    let (mut other, its) = own(&server, "42");
    let (mut stranger, theirs) = own(&server, "43");
    // A stranger's session is not found among one's own, and lives on.
    assert_eq!(call(&mut socket, "close", json!({"client": theirs}))["rpc"], json!({"data": {}}));
    assert_eq!(server.listed("43"), [theirs]);
    assert_eq!(call(&mut socket, "close", json!({"client": its}))["rpc"], json!({"data": {}}));
    assert_eq!(other.hear_end(), Heard::Closed(3503, "force disconnect".to_owned()));
    assert_eq!(server.listed("42"), std::slice::from_ref(&me));
    let mut others: Vec<_> = (0..5).map(|_| own(&server, "42").0).collect();
    assert_eq!(call(&mut socket, "close_others", json!(null))["rpc"], json!({"data": {}}));
    for other in &mut others {
        assert_eq!(other.hear_end(), Heard::Closed(3503, "force disconnect".to_owned()));
    }
    assert_eq!(server.listed("42"), std::slice::from_ref(&me));
    assert_eq!(
        call(&mut stranger, "list", json!({}))["rpc"]["data"]["sessions"][0]["current"],
        true
    );
    // Also oneself: then the answer is the close.
    socket.say(&json!({"id": 9, "rpc": {"method": "sessions.close", "data": {"client": me}}}));
    assert_eq!(socket.hear_end(), Heard::Closed(3503, "force disconnect".to_owned()));
    eventually("nobody is left", || server.listed("42").is_empty().then_some(()));
}

#[test]
fn without_the_claim_nobody_sees_or_closes_anything() {
    let server = Server::start(&json!({"client": {"allow_anonymous_connect_without_token": true}}));
    let denied = json!({"code": 103, "message": "permission denied"});
    for claims in [json!({}), json!({"sessions": "all"}), json!({"sessions": true})] {
        let (mut socket, _) = Socket::session(&server, "42", claims);
        for method in ["list", "close", "close_others"] {
            assert_eq!(call(&mut socket, method, json!({}))["error"], denied);
        }
    }
    // Who is nobody in particular has no sessions of their own, whatever the token says.
    let (mut nobody, _) = Socket::session(&server, "", json!({"sessions": "self"}));
    assert_eq!(call(&mut nobody, "list", json!({}))["error"], denied);
    let (mut socket, _) = own(&server, "42");
    assert_eq!(call(&mut socket, "open", json!({}))["error"]["code"], 104);
    assert_eq!(call(&mut socket, "close", json!({"client": "x"}))["error"]["code"], 107);
}
