//! Clients of the newer transports that mean no good, or are dead: each costs a bounded amount for
//! a bounded time, and the others notice nothing.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::harness::{Conn, Server, eventually, request, token};
use crate::socket::{Heard, Socket, frame};
use crate::truth::on_every_body;

const UPGRADE: &str = "GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn counter(server: &Server, name: &str) -> u64 {
    let info = server.call("info", json!({}));
    let items = &info["result"]["nodes"][0]["metrics"]["items"];
    items[format!("rollcall.{name}")].as_u64().unwrap_or_else(|| panic!("no {name}: {items}"))
}

#[test]
fn a_websocket_lives_and_dies_alike_on_every_body() {
    on_every_body(|server| {
        let mut conn = server.connect();
        let (mut socket, reply) = Socket::session(server, "42", json!({}));
        assert_eq!(server.listed("42"), [reply["connect"]["client"].as_str().expect("an id")]);
        for id in 2..50 {
            socket.say(&json!({"id": id, "rpc": {}}));
            assert_eq!(socket.reply()["id"], id);
        }
        conn.call("disconnect", json!({"user": "42"}));
        assert!(crate::harness::listed(&mut conn, "42").is_empty());
        assert!(matches!(socket.hear_end(), Heard::Closed(3503, _)));
        // A dead peer is noticed by its FIN or RST.
        let (socket, _) = Socket::session(server, "fin", json!({}));
        socket.ws.get_ref().shutdown(std::net::Shutdown::Write).expect("half close");
        eventually("the FIN is seen", || server.listed("fin").is_empty().then_some(()));
        let (socket, _) = Socket::session(server, "rst", json!({}));
        let handle = socket.ws.get_ref().try_clone().expect("a second handle");
        drop(socket);
        Conn { reader: std::io::BufReader::new(handle) }.reset();
        eventually("the RST is seen", || server.listed("rst").is_empty().then_some(()));
        // Large messages come in many reads.
        let (mut socket, _) = Socket::session(server, "large", json!({}));
        let data = "x".repeat(60_000);
        socket.say(&json!({"id": 2, "rpc": {"data": data}}));
        assert_eq!(socket.reply()["error"]["code"], 108);
    });
}

#[test]
fn a_handshake_or_first_message_by_the_byte_is_cut_in_time() {
    let server = Server::start(&json!({"client": {"stale_close_delay": "400ms"}}));
    let mut slow = server.connect();
    slow.send(&UPGRADE.as_bytes()[..40]);
    assert_eq!(slow.response().status, 408);
    assert!(slow.is_closed());
    let mut slow = server.connect();
    slow.send(UPGRADE.as_bytes());
    assert_eq!(slow.head().status, 101);
    let connect = json!({"id": 1, "connect": {"token": token("42", json!({}))}}).to_string();
    let bytes = frame(0x81, connect.as_bytes());
    // One byte now and then keeps no connection open.
    let mut sent = 0;
    let cut = eventually("it is cut", || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        sent += 1;
        slow.reader.get_mut().write_all(&bytes[sent - 1..sent]).err().map(|_| sent)
    });
    assert!(cut < bytes.len(), "it was let in");
    assert_eq!(counter(&server, "connects_stale"), 1);
}

#[test]
fn frames_before_the_answer_to_the_handshake_are_refused() {
    let server = Server::start(&json!({}));
    let mut early = server.connect();
    early.send(&[UPGRADE.as_bytes(), &frame(0x81, b"{}")].concat());
    let response = early.response();
    assert_eq!(response.status, 400);
    assert!(response.text().contains("wait for the answer"), "{}", response.text());
    assert!(early.is_closed());
}

#[test]
fn half_messages_cost_no_more_than_the_longest_and_are_forgotten_with_their_client() {
    // One shard: with more, each keeps what its own busiest round took.
    let server = Server::start(&json!({"shards": {"count": 1}}));
    let before = server.rss();
    let half = &frame(0x01, &[b' '; 60_000])[..50_000];
    let mut grown = 0;
    // Again and again: what one round took serves the next.
    for _ in 0..6 {
        let sockets: Vec<_> = (0..100)
            .map(|_| {
                let (mut socket, _) = Socket::session(&server, "half", json!({}));
                socket.raw(half);
                socket
            })
            .collect();
        assert_eq!(server.listed("half").len(), 100);
        drop(sockets);
        eventually("all are gone", || server.listed("half").is_empty().then_some(()));
        grown = server.rss().saturating_sub(before);
    }
    assert!(grown < 100 * 2 * 65_536, "{grown}");
}

#[test]
fn an_emulated_client_that_never_reads_is_cut_at_its_queue_limit_by_a_reset() {
    let server = Server::start(&json!({
        "client": {"queue_max_size": 65536},
        "http_stream": {"enabled": true},
    }));
    let mut stream = server.connect();
    let connect = json!({"id": 1, "connect": {"token": token("42", json!({}))}}).to_string();
    stream.send(&request("POST", "/connection/http_stream", &[], connect.as_bytes()));
    assert_eq!(stream.head().status, 200);
    let line = String::from_utf8(stream.chunk().expect("a reply")).expect("text");
    let reply: Value = serde_json::from_str(&line).expect("JSON");
    let commands = vec![r#"{"id":2,"rpc":{}}"#; 2000].join("\n");
    let body = json!({"session": reply["connect"]["session"], "data": commands}).to_string();
    let mut conn = server.connect();
    eventually("it is cut", || {
        assert_eq!(conn.post("/emulation", &[], body.as_bytes()).status, 204);
        server.listed("42").is_empty().then_some(())
    });
    assert_eq!(counter(&server, "sessions_slow"), 1);
    // A FIN would stand behind bytes it never reads, in memory of the kernel.
    let reset = eventually("it hears of it", || {
        stream.reader.get_ref().take_error().expect("a socket has that option")
    });
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_client_may_have_a_few_calls_in_flight_and_no_more_than_that_waits() {
    let server = Server::start(&json!({}));
    let (mut socket, _) = Socket::session(&server, "42", json!({"sessions": "self"}));
    // Elsewhere too, so that other shards must be asked.
    let _others: Vec<_> = (0..12).map(|_| Socket::session(&server, "42", json!({}))).collect();
    let calls: Vec<_> = (2..502)
        .map(|id| json!({"id": id, "rpc": {"method": "sessions.list"}}).to_string())
        .collect();
    socket.text(&calls.join("\n"));
    let mut answered = 0;
    for _ in 0..500 {
        let reply = socket.reply();
        if reply["error"].is_null() {
            answered += 1;
            let sessions = reply["rpc"]["data"]["sessions"].as_array().expect("a list");
            assert_eq!(sessions.len(), 13);
        } else {
            assert_eq!(reply["error"]["code"], 111, "{reply}");
        }
    }
    assert!(answered >= 8, "{answered}");
    // Later there is room again.
    socket.say(&json!({"id": 600, "rpc": {"method": "sessions.list"}}));
    assert!(socket.reply()["rpc"]["data"]["sessions"].is_array());
}

#[test]
fn clients_that_leave_while_their_connect_is_decided_leave_nothing_behind() {
    let server = Server::start(&json!({"client": {"user_connection_limit": 1000}}));
    for round in 0..200 {
        let mut conn = server.connect();
        conn.send(UPGRADE.as_bytes());
        assert_eq!(conn.head().status, 101);
        let connect = json!({"id": 1, "connect": {"token": token("42", json!({}))}}).to_string();
        conn.send(&frame(0x81, connect.as_bytes()));
        if round % 2 == 0 {
            conn.reset();
        }
    }
    eventually("nobody is left", || server.listed("42").is_empty().then_some(()));
    let info = server.call("info", json!({}));
    assert_eq!(info["result"]["nodes"][0]["num_clients"], 0, "{info}");
}

#[test]
fn ten_thousand_commands_in_one_message_are_answered_in_order() {
    let server = Server::start(&json!({"websocket": {"message_size_limit": 1_000_000}}));
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    let commands: Vec<_> = (2..10_002).map(|id| format!(r#"{{"id":{id},"rpc":{{}}}}"#)).collect();
    socket.text(&commands.join("\n"));
    for id in 2..10_002 {
        assert_eq!(socket.reply()["id"], id);
    }
}

#[test]
fn a_client_that_asks_for_large_lists_again_and_again_is_cut() {
    let server = Server::start(&json!({"shards": {"count": 1}}));
    let _others: Vec<_> = (0..200).map(|_| server.session("42")).collect();
    let (mut socket, _) = Socket::session(&server, "42", json!({"sessions": "self"}));
    let before = server.rss();
    let call = r#"{"id":2,"rpc":{"method":"sessions.list"}}"#;
    socket.text(&vec![call; 1500].join("\n"));
    socket.hear_end();
    assert_eq!(server.listed("42").len(), 200);
    assert_eq!(counter(&server, "sessions_slow"), 1);
    let grown = server.rss().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown}");
}
