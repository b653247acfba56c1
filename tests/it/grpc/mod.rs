//! `uni_grpc` as a gRPC client sees it (client protocol v6, `unistream.proto`).

pub(crate) mod client;
mod limits;

use std::net::SocketAddr;

use prost::Message;
use serde_json::{Value, json};
use tonic::Code;

use self::client::{Client, ConnectRequest, Disconnect, Push, connect};
use crate::harness::{Server, eventually, listed, token, unix_s};

/// A server that speaks gRPC, and where.
fn server(with: Value) -> (Server, SocketAddr) {
    let mut config = json!({"uni_grpc": {"enabled": true, "address": "127.0.0.1", "port": 0}});
    for (key, value) in with.as_object().expect("an object") {
        config[key] = value.clone();
    }
    let server = Server::start(&config);
    let address = *server.addresses.last().expect("the gRPC listener is logged last");
    (server, address)
}

fn disconnect(code: u32, reason: &str) -> Disconnect {
    Disconnect { code, reason: reason.to_owned() }
}

/// Enough API connections to meet every shard, with high probability.
const API_CONNS: usize = 24;

#[test]
fn a_stream_is_a_session_listed_on_every_shard_with_what_it_said() {
    let (server, address) = server(json!({}));
    let client = Client::with(address, |it| it.user_agent("probe/1").expect("a user agent"));
    let before_ms = unix_s() * 1000;
    let request = ConnectRequest {
        token: token("42", json!({"jti": "t-1", "meta": {"secret": true}})),
        data: b"anything".to_vec(),
        name: "terminal".to_owned(),
        version: "1.0".to_owned(),
    };
    let mut pushes = client.consume(request.encode_to_vec()).unwrap();
    let first = pushes.next().unwrap().expect("a connect push").connect.expect("a connect push");
    assert_eq!((first.ping, first.client.len(), first.session.len()), (25, 36, 36));
    assert!(!first.version.is_empty());
    for mut conn in (0..API_CONNS).map(|_| server.connect()) {
        let result = conn.call("connections", json!({"user": "42"}));
        let connections = &result["result"]["connections"];
        assert_eq!(connections.as_object().map(serde_json::Map::len), Some(1), "{result}");
        let session = &connections[&first.client];
        assert_eq!(session["transport"], "uni_grpc", "{result}");
        assert_eq!(session["protocol"], "protobuf");
        assert_eq!(session["app_name"], "terminal");
        assert_eq!(session["app_version"], "1.0");
        assert_eq!(session["user"], "42");
        assert_eq!(session["state"]["connection_token"]["uid"], "t-1");
        assert_eq!(session["state"]["meta"], json!({"secret": true}));
        assert_eq!(session["remote_addr"], "127.0.0.1");
        let user_agent = session["user_agent"].as_str().expect("a user agent");
        assert!(user_agent.starts_with("probe/1 "), "{user_agent}");
        assert!(session["connected_at_ms"].as_i64().expect("a time") >= before_ms);
    }
}

#[test]
fn pings_are_empty_pushes_at_the_interval_the_connect_push_names() {
    let (_server, address) = server(json!({"client": {
        "ping_interval": "1s", "pong_timeout": "0s",
        "token": {"hmac_secret_key": crate::harness::SECRET},
    }}));
    let client = Client::to(address);
    let (mut pushes, first) = client.session("42");
    assert_eq!(first.ping, 1);
    for _ in 0..3 {
        assert_eq!(pushes.next().unwrap(), Some(Push::default()));
    }
}

#[test]
fn a_disconnect_is_a_push_and_the_regular_end() {
    let (server, address) = server(json!({}));
    let client = Client::to(address);
    let (mut pushes, first) = client.session("42");
    let (mut other, _) = client.session("43");
    let params = json!({"user": "42", "disconnect": {"code": 4001, "reason": "bye"}});
    let result = server.call("disconnect", params);
    assert_eq!(result["result"], json!({"matched": 1, "closed": 1}), "{result}");
    assert_eq!(server.listed("42"), [""; 0], "acknowledged, so gone");
    assert_eq!(pushes.last_words(), disconnect(4001, "bye"));
    // By its session id, which only the client knows; the connection goes on meanwhile.
    let (mut pushes, again) = client.session("42");
    assert_ne!(again.client, first.client);
    let params = json!({"user": "42", "session": again.session});
    server.call("disconnect", params);
    assert_eq!(pushes.last_words(), disconnect(3503, "force disconnect"));
    assert_eq!(server.listed("43").len(), 1);
    server.call("disconnect", json!({"user": "43"}));
    assert_eq!(other.last_words().code, 3503);
}

#[test]
fn a_refused_connect_is_told_why_and_ends_regularly() {
    let (server, address) = server(json!({}));
    let client = Client::to(address);
    let refused = |token: &str| {
        let request = ConnectRequest { token: token.to_owned(), ..ConnectRequest::default() };
        client.consume(request.encode_to_vec()).expect("a stream").last_words()
    };
    assert_eq!(refused("garbage"), disconnect(3500, "invalid token"));
    assert_eq!(refused(""), disconnect(3501, "bad request"));
    let expired = token("42", json!({"exp": unix_s() - 10}));
    assert_eq!(refused(&expired), disconnect(3005, "connection expired"));
    // No field at all is an empty message, not a malformed one.
    let nothing = client.consume(Vec::new()).expect("a stream").last_words();
    assert_eq!(nothing, disconnect(3501, "bad request"));
    assert_eq!(server.listed("42"), [""; 0]);
}

#[test]
fn an_expiring_session_is_cut_with_its_code() {
    let (_server, address) = server(json!({"client": {
        "expired_close_delay": "0s", "token": {"hmac_secret_key": crate::harness::SECRET},
    }}));
    let client = Client::to(address);
    let token = token("42", json!({"exp": unix_s() + 2}));
    let request = ConnectRequest { token, ..ConnectRequest::default() };
    let mut pushes = client.consume(request.encode_to_vec()).unwrap();
    assert!(pushes.next().unwrap().expect("a push").connect.is_some());
    assert_eq!(pushes.last_words(), disconnect(3005, "connection expired"));
}

#[test]
fn a_client_that_leaves_is_unlisted_without_traffic() {
    let (server, address) = server(json!({}));
    let client = Client::to(address);
    // By the stream, while the connection goes on.
    let (pushes, _) = client.session("42");
    let (_other, first) = client.session("42");
    assert_eq!(server.listed("42").len(), 2);
    drop(pushes);
    eventually("one of two is unlisted", || {
        (server.listed("42") == [first.client.clone()]).then_some(())
    });
    // By the connection.
    let lost = Client::to(address);
    let (pushes, _) = lost.session("43");
    assert_eq!(server.listed("43").len(), 1);
    drop(pushes);
    drop(lost);
    eventually("unlisted with its connection", || server.listed("43").is_empty().then_some(()));
    // By a call that is given up before it is answered.
    let hasty = Client::to(address);
    for _ in 0..50 {
        drop(hasty.consume(connect("44")).expect("a stream"));
    }
    eventually("nothing is left behind", || server.listed("44").is_empty().then_some(()));
}

#[test]
fn shutdown_is_said_to_streams_and_ends_them() {
    let (mut server, address) = server(json!({}));
    let client = Client::to(address);
    let mut sessions: Vec<_> = (0..40).map(|_| client.session("42").0).collect();
    server.signal("TERM");
    for pushes in &mut sessions {
        assert_eq!(pushes.last_words(), disconnect(3001, "shutdown"));
    }
    assert_eq!(server.wait(), Some(0));
    assert_eq!(client.refusal(connect("42")).code(), Code::Unavailable);
}

#[test]
fn what_is_no_call_of_the_service_is_refused_and_says_why() {
    let (server, address) = server(json!({"uni_grpc": {
        "enabled": true, "address": "127.0.0.1", "port": 0, "max_receive_message_size": 2048,
    }}));
    let client = Client::to(address);
    let status = client.refusal(b"\x0a\x05ab".to_vec());
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "malformed ConnectRequest: message ends inside a field");
    let status = client.refusal(vec![b'x'; 2049]);
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "message longer than 2048 bytes");
    let other = Client::to(address).calling("/a.B/C");
    let status = other.refusal(connect("42"));
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "unknown method /a.B/C"));
    // The connection survived all of that.
    drop(client.session("42"));
    let info = server.call("info", json!({}));
    let items = &info["result"]["nodes"][0]["metrics"]["items"];
    assert_eq!(items["rollcall.requests_malformed"], 1.0, "{info}");
}

#[test]
fn five_hundred_streams_over_few_connections_come_and_go_and_leave_nothing() {
    let (server, address) = server(json!({}));
    let clients: Vec<_> = (0..4).map(|_| Client::to(address)).collect();
    let rounds: Vec<u64> = (0..3)
        .map(|_| {
            let streams: Vec<_> = (0..500).map(|i| clients[i % 4].session("crowd")).collect();
            let ids: std::collections::BTreeSet<_> =
                streams.iter().map(|(_, first)| first.client.clone()).collect();
            assert_eq!(ids.len(), 500);
            let mut conn = server.connect();
            assert_eq!(listed(&mut conn, "crowd").len(), 500);
            drop(streams);
            eventually("all are unlisted", || listed(&mut conn, "crowd").is_empty().then_some(()));
            server.rss()
        })
        .collect();
    let info = server.call("info", json!({}));
    let node = &info["result"]["nodes"][0];
    assert_eq!((&node["num_clients"], &node["num_users"]), (&json!(0), &json!(0)), "{info}");
    let grown = rounds[2].saturating_sub(rounds[1]);
    assert!(grown < 1024 * 1024, "memory does not come back: {rounds:?}");
}
