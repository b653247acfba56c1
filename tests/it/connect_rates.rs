//! How often an address and a user may connect: `client.connect_rate_limit`.

use serde_json::{Value, json};

use crate::grpc::client::{Client, connect};
use crate::harness::{Response, Server, request, token};
use crate::socket::{Heard, Socket};

const ALLOWED: u32 = 3;

/// Nothing comes back within the time of a test.
fn server(limit: &str, more: Value) -> Server {
    let mut config =
        json!({"client": {"connect_rate_limit": {(limit): ALLOWED, "interval": "24h"}}});
    crate::harness::overlay(&mut config, &more);
    Server::start(&config)
}

fn counted(server: &Server, name: &str) -> u64 {
    let info = server.call("info", json!({}));
    let items = &info["result"]["nodes"][0]["metrics"]["items"];
    items[format!("rollcall.{name}")].as_u64().expect("a counter")
}

/// The answer to a connect that comes from there, as the proxy in front says.
fn from(server: &Server, address: &str, connect: &Value) -> Response {
    let mut conn = server.connect();
    let body = connect.to_string();
    let headers = [("X-Forwarded-For", address)];
    conn.send(&request("POST", "/connection/uni_http_stream", &headers, body.as_bytes()));
    conn.head()
}

#[test]
fn an_address_that_connects_too_often_is_answered_429_and_when_it_may_come_again() {
    let trusted = json!({"client": {"trusted_proxies": ["127.0.0.0/8"]}});
    let server = server("per_address", trusted);
    let connect = json!({"token": token("42", json!({}))});
    for _ in 0..ALLOWED {
        assert_eq!(from(&server, "192.0.2.1", &connect).status, 200);
    }
    let refused = from(&server, "192.0.2.1", &connect);
    assert_eq!(refused.status, 429);
    let after: u64 = refused.header("retry-after").expect("when").parse().expect("seconds");
    assert!((1..=24 * 3_600 / u64::from(ALLOWED)).contains(&after), "{after}");
    // Others are not meant: not another address, nor what is no connect.
    assert_eq!(from(&server, "192.0.2.2", &connect).status, 200);
    assert_eq!(counted(&server, "connects_limited_by_address"), 1);
}

#[test]
fn guessing_tokens_is_connecting_and_every_transport_counts() {
    let more = json!({
        "uni_grpc": {"enabled": true, "address": "127.0.0.1", "port": 0},
        "sse": {"enabled": true},
    });
    let server = server("per_address", more);
    let grpc = Client::to(*server.addresses.last().expect("the gRPC listener is logged last"));
    let wrong = server.session_raw(&json!({"token": "guessed"}));
    assert_eq!(wrong["disconnect"]["code"], 3500);
    let (_socket, _reply) = Socket::session(&server, "42", json!({}));
    let (_pushes, _first) = grpc.session("42");
    let Err(refused) = Socket::try_open(&server, "websocket", &[]) else { panic!("a fourth") };
    let tungstenite::Error::Http(response) = *refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), 429);
    assert!(response.headers().contains_key("retry-after"));
    let status = grpc.refusal(connect("42"));
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("try again in"), "{status}");
    let mut conn = server.connect();
    conn.send(&request(
        "GET",
        "/connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D",
        &[],
        b"",
    ));
    assert_eq!(conn.head().status, 429);
    assert_eq!(counted(&server, "connects_limited_by_address"), 3);
}

#[test]
fn a_user_that_connects_too_often_is_told_to_come_back_later_on_every_shard() {
    let server = server("per_user", json!({}));
    let streams: Vec<_> = (0..ALLOWED).map(|_| server.session("42")).collect();
    for _ in 0..8 {
        let told = server.session_raw(&json!({"token": token("42", json!({}))}));
        assert_eq!(told, json!({"disconnect": {"code": 3013, "reason": "too many requests"}}));
    }
    let mut socket = Socket::open(&server, "websocket", &[]);
    socket.say(&json!({"id": 1, "connect": {"token": token("42", json!({}))}}));
    let Heard::Text(reply) = socket.hear() else { panic!("no reply") };
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    let error = json!({"code": 111, "message": "too many requests", "temporary": true});
    assert_eq!(reply["error"], error);
    assert_eq!(counted(&server, "connects_limited_by_user"), 9);
    // Others are not meant; nor is nobody in particular.
    server.session("43");
    for _ in 0..8 {
        server.session("");
    }
    drop(streams);
}

#[test]
fn who_makes_room_for_itself_has_connected_once() {
    let seats = json!({"client": {
        "user_connection_limit": 1, "user_connection_limit_policy": "evict_oldest",
    }});
    let server = server("per_user", seats);
    let streams: Vec<_> = (0..ALLOWED).map(|_| server.session("42")).collect();
    assert_eq!(server.listed("42"), [streams.last().expect("one").client()]);
    let told = server.session_raw(&json!({"token": token("42", json!({}))}));
    assert_eq!(told["disconnect"]["code"], 3013);
    assert_eq!(server.listed("42").len(), 1, "who is refused sends nobody away");
}
