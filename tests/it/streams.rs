//! Event streams and emulated transports as a client sees them, and the unidirectional WebSocket
//! (client protocol v6).

use serde_json::{Value, json};

use crate::harness::{Conn, Response, Server, eventually, request, token, unix_s};
use crate::socket::{Heard, Socket, frame, protobuf_connect};

fn all_on() -> Value {
    json!({
        "uni_sse": {"enabled": true},
        "sse": {"enabled": true},
        "http_stream": {"enabled": true},
        "uni_websocket": {"enabled": true},
    })
}

fn with(more: Value) -> Server {
    let mut config = all_on();
    let (Value::Object(config_map), Value::Object(more)) = (&mut config, more) else {
        panic!("objects")
    };
    config_map.extend(more);
    Server::start(&config)
}

/// A stream that was asked for with `connect`.
fn open(server: &Server, method: &str, path: &str, body: &str) -> (Conn, Response) {
    let mut conn = server.connect();
    let path = format!("/connection/{path}");
    conn.send(&request(method, &path, &[], body.as_bytes()));
    let head = conn.head();
    (conn, head)
}

fn query(path: &str, connect: &Value) -> String {
    let text = connect.to_string();
    let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("{path}?cf_connect={escaped}")
}

/// The next piece of a stream as text; `None` at the end.
fn piece(conn: &mut Conn) -> Option<String> {
    conn.chunk().map(|chunk| String::from_utf8(chunk).expect("text"))
}

/// The data of the next event.
fn event(conn: &mut Conn) -> Option<Value> {
    let piece = piece(conn)?;
    let data = piece.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n"));
    let data = data.unwrap_or_else(|| panic!("no event: {piece:?}"));
    Some(serde_json::from_str(data).expect("JSON"))
}

fn listed(server: &Server, user: &str) -> Vec<(String, String)> {
    let reply = server.call("user_connections", json!({"user": user}));
    let connections = reply["result"]["connections"].as_object().expect("a listing");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    connections.values().map(|info| (text(&info["transport"]), text(&info["protocol"]))).collect()
}

fn entry(transport: &str, protocol: &str) -> Vec<(String, String)> {
    vec![(transport.to_owned(), protocol.to_owned())]
}

#[test]
fn an_event_stream_is_opened_by_get_or_post() {
    let server = with(json!({}));
    let connect = json!({"token": token("42", json!({})), "name": "page"});
    for (method, path, body) in [
        ("GET", query("uni_sse", &connect), String::new()),
        ("POST", "uni_sse".to_owned(), connect.to_string()),
    ] {
        let (mut conn, head) = open(&server, method, &path, &body);
        assert_eq!(head.status, 200);
        for (name, value) in [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "private, no-cache, no-store, must-revalidate, max-age=0"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(head.header(name), Some(value), "{name}");
        }
        assert_eq!(piece(&mut conn).as_deref(), Some("\r\n"));
        let first = event(&mut conn).expect("a first event");
        let keys: Vec<_> = first["connect"].as_object().expect("a push").keys().collect();
        assert_eq!(keys, ["client", "expires", "ping", "session", "ttl", "version"]);
        assert_eq!(listed(&server, "42"), entry("uni_sse", "json"));
        server.call("disconnect", json!({"user": "42"}));
        let last = json!({"disconnect": {"code": 3503, "reason": "force disconnect"}});
        assert_eq!(event(&mut conn), Some(last));
        assert_eq!(piece(&mut conn), None);
        // The connection can carry another request.
        assert_eq!(conn.post("/api/info", &[], b"{}").status, 401);
    }
}

#[test]
fn requests_for_streams_that_make_no_sense_are_told_so() {
    let server = with(json!({}));
    for (method, path, body, status) in [
        ("GET", "uni_sse?cf_connect=%7B", "", 400),
        ("POST", "uni_sse", "{", 400),
        ("PUT", "uni_sse", "{}", 405),
        ("OPTIONS", "uni_sse", "", 405),
        ("OPTIONS", "sse", "", 405),
        ("GET", "sse", "", 400),
        ("GET", "sse?cf_connect=", "", 400),
        ("GET", "http_stream", "", 405),
        ("OPTIONS", "http_stream", "", 204),
        ("GET", "uni_websocket?cf_connect=%7B", "", 400),
    ] {
        let mut conn = server.connect();
        let path = format!("/connection/{path}");
        let upgrade = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let headers = if path.contains("websocket") { &upgrade[..] } else { &[] };
        let response = conn.request(method, &path, headers, body.as_bytes());
        assert_eq!(response.status, status, "{method} {path}: {}", response.text());
    }
    let mut conn = server.connect();
    let large = vec![b' '; 65_537];
    assert_eq!(conn.post("/connection/sse", &[], &large).status, 413);
    for (method, body, status) in [
        ("POST", "", 400),
        ("POST", "[]", 400),
        ("POST", r#"{"node":"x"}"#, 404),
        ("POST", "{}", 204),
        ("GET", "", 405),
        ("OPTIONS", "", 204),
    ] {
        let response = server.connect().request(method, "/emulation", &[], body.as_bytes());
        assert_eq!(response.status, status, "{method} {body}: {}", response.text());
    }
}

#[test]
fn an_anonymous_event_stream_is_refused_with_one_event() {
    let server = with(json!({}));
    let (mut conn, head) = open(&server, "GET", "uni_sse", "");
    assert_eq!(head.status, 200);
    assert_eq!(piece(&mut conn).as_deref(), Some("\r\n"));
    let refused = json!({"disconnect": {"code": 3501, "reason": "bad request"}});
    assert_eq!(event(&mut conn), Some(refused));
    assert_eq!(piece(&mut conn), None);
    let transforms = json!([{"code": 3501, "to": {"status_code": 401, "body": "who are you"}}]);
    let server = with(json!({"uni_sse": {"enabled": true, "connect_code_to_http_response":
        {"enabled": true, "transforms": transforms}}}));
    let response = server.connect().request("GET", "/connection/uni_sse", &[], b"");
    assert_eq!((response.status, response.text().as_str()), (401, "who are you"));
}

#[test]
fn old_clients_of_event_streams_hear_the_old_form() {
    let server = with(json!({"client": {"token": {"hmac_secret_key": crate::harness::SECRET},
        "ping_interval": "1s", "pong_timeout": "500ms"}}));
    let connect = json!({"token": token("42", json!({}))});
    let path = format!("{}&cf_protocol_version=v1", query("uni_sse", &connect));
    let (mut conn, _) = open(&server, "GET", &path, "");
    assert_eq!(piece(&mut conn).as_deref(), Some("\r\n"));
    assert_eq!(event(&mut conn).expect("a push")["type"], 6);
    assert_eq!(piece(&mut conn).as_deref(), Some("event: ping\ndata:\n\n"));
}

/// An emulated session: its stream, its reply to connect.
struct Emulated {
    conn: Conn,
    path: &'static str,
    connect: Value,
}

impl Emulated {
    fn open(server: &Server, path: &'static str, user: &str) -> Self {
        let connect = json!({"token": token(user, json!({})), "name": "page", "version": "7"});
        let command = json!({"id": 1, "connect": connect});
        let (mut conn, head) = if path == "sse" {
            open(server, "GET", &query(path, &command), "")
        } else {
            open(server, "POST", path, &command.to_string())
        };
        assert_eq!(head.status, 200);
        if path == "sse" {
            assert_eq!(piece(&mut conn).as_deref(), Some("\r\n"));
        }
        let mut stream = Self { conn, path, connect: Value::Null };
        let reply = stream.next().expect("a reply");
        assert_eq!(reply["id"], 1, "{reply}");
        stream.connect = reply["connect"].clone();
        stream
    }

    fn next(&mut self) -> Option<Value> {
        if self.path == "sse" {
            return event(&mut self.conn);
        }
        let line = piece(&mut self.conn)?;
        Some(serde_json::from_str(line.strip_suffix('\n').expect("a line")).expect("JSON"))
    }

    fn say(&self, server: &Server, commands: &str) {
        let body = json!({"session": self.connect["session"], "node": self.connect["node"],
            "data": commands});
        let response = server.connect().post("/emulation", &[], body.to_string().as_bytes());
        assert_eq!(response.status, 204, "{}", response.text());
    }
}

#[test]
fn commands_by_requests_of_their_own_are_answered_on_the_stream() {
    let server = with(json!({}));
    for path in ["http_stream", "sse"] {
        let mut stream = Emulated::open(&server, path, path);
        assert_eq!(listed(&server, path), entry(path, "json"));
        let keys: Vec<_> = stream.connect.as_object().expect("a result").keys().collect();
        assert_eq!(
            keys,
            ["client", "expires", "node", "ping", "pong", "session", "ttl", "version"]
        );
        // From every shard: each connection lands somewhere else.
        for id in 2..20 {
            stream.say(&server, &json!({"id": id, "rpc": {}}).to_string());
            let reply = stream.next().expect("a reply");
            assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(id), &json!(108)));
        }
        let others = json!({"session": "db8bc772-2654-4283-851a-f29b888ace74", "data": "{}"});
        let unknown = server.connect().post("/emulation", &[], others.to_string().as_bytes());
        assert_eq!(unknown.status, 204);
        stream.say(&server, "nonsense");
        let push = json!({"push": {"disconnect": {"code": 3501, "reason": "bad request"}}});
        assert_eq!(stream.next(), Some(push));
        assert_eq!(stream.next(), None);
        assert!(listed(&server, path).is_empty());
    }
}

#[test]
fn pongs_of_emulated_clients_come_by_emulation_or_they_are_closed() {
    let server = with(json!({"client": {"token": {"hmac_secret_key": crate::harness::SECRET},
        "ping_interval": "1s", "pong_timeout": "800ms"}}));
    for path in ["http_stream", "sse"] {
        let mut stream = Emulated::open(&server, path, path);
        for _ in 0..2 {
            assert_eq!(stream.next(), Some(json!({})));
            stream.say(&server, "{}");
        }
        assert_eq!(stream.next(), Some(json!({})));
        let push = json!({"push": {"disconnect": {"code": 3012, "reason": "no pong"}}});
        assert_eq!(stream.next(), Some(push));
        assert_eq!(stream.next(), None);
    }
}

#[test]
fn a_stream_in_protobuf_answers_in_whole_messages() {
    let server = with(json!({}));
    let command = protobuf_connect(&token("42", json!({})));
    let mut conn = server.connect();
    let octets = [("Content-Type", "application/octet-stream")];
    conn.send(&request("POST", "/connection/http_stream", &octets, &command));
    assert_eq!(conn.head().status, 200);
    let reply = conn.chunk().expect("a reply");
    assert_eq!(
        (usize::from(reply[0] & 0x7f) + usize::from(reply[1]) * 128, &reply[2..4]),
        (reply.len() - 2, &[0x08, 0x01][..])
    );
    assert_eq!(listed(&server, "42"), entry("http_stream", "protobuf"));
    server.call("disconnect", json!({"user": "42"}));
    let last = conn.chunk().expect("a push");
    assert!(last.ends_with(b"force disconnect"), "{}", last.escape_ascii());
    assert_eq!(conn.chunk(), None);
}

#[test]
fn a_refused_stream_ends_with_a_push_and_an_error_lingers() {
    let server = with(json!({"client": {"token": {"hmac_secret_key": crate::harness::SECRET},
        "stale_close_delay": "500ms"}}));
    for body in ["", "x", "{}", r#"{"id":1,"rpc":{}}"#, r#"{"id":1,"connect":{}}"#] {
        let (mut conn, head) = open(&server, "POST", "http_stream", body);
        assert_eq!(head.status, 200);
        let line = piece(&mut conn).expect("a last line");
        assert!(line.contains(r#"{"push":{"disconnect":{"code":3501"#), "{body}: {line}");
        assert_eq!(piece(&mut conn), None);
    }
    let old = token("42", json!({"exp": unix_s() - 5}));
    let command = json!({"id": 1, "connect": {"token": old}}).to_string();
    let (mut conn, _) = open(&server, "POST", "http_stream", &command);
    assert!(piece(&mut conn).expect("an error").contains(r#""code":109"#));
    assert!(piece(&mut conn).expect("a push").contains(r#""code":3502"#));
    assert_eq!(piece(&mut conn), None);
}

#[test]
fn a_unidirectional_websocket_connects_by_message_or_by_query() {
    let server = with(json!({}));
    let connect = json!({"token": token("42", json!({})), "name": "page"});
    for by_query in [true, false] {
        let path = if by_query { query("uni_websocket", &connect) } else { "uni_websocket".into() };
        let mut socket = Socket::open(&server, &path, &[]);
        if !by_query {
            socket.ws.send(tungstenite::Message::binary(connect.to_string())).expect("sent");
        }
        let Heard::Text(first) = socket.hear() else { panic!("no first push") };
        let first: Value = serde_json::from_str(&first).expect("JSON");
        assert!(first["connect"]["session"].is_string(), "{first}");
        assert_eq!(listed(&server, "42"), entry("uni_websocket", "json"));
        socket.text("what a client says later is thrown away");
        server.call("disconnect", json!({"user": "42"}));
        let push = r#"{"disconnect":{"code":3503,"reason":"force disconnect"}}"#;
        assert_eq!(socket.hear(), Heard::Text(push.to_owned()));
        assert_eq!(socket.hear_end(), Heard::Closed(3503, "force disconnect".to_owned()));
    }
    let mut socket = Socket::open(&server, "uni_websocket", &[]);
    socket.text("[]");
    assert_eq!(socket.hear(), Heard::Closed(3501, "bad request".to_owned()));
    let mut socket = Socket::open(&server, "uni_websocket", &[]);
    socket.text("null");
    let push = r#"{"disconnect":{"code":3501,"reason":"bad request"}}"#;
    assert_eq!(socket.hear(), Heard::Text(push.to_owned()));
    assert_eq!(socket.hear_end(), Heard::Closed(3501, "bad request".to_owned()));
}

#[test]
fn a_unidirectional_websocket_is_pinged_both_ways_and_must_pong() {
    let server = with(json!({"client": {"token": {"hmac_secret_key": crate::harness::SECRET},
        "ping_interval": "1s", "pong_timeout": "500ms"}}));
    let connect = json!({"token": token("42", json!({}))});
    let mut socket = Socket::open(&server, &query("uni_websocket", &connect), &[]);
    socket.hear();
    for _ in 0..3 {
        assert_eq!(socket.hear(), Heard::Text("{}".to_owned()));
        assert_eq!(socket.hear(), Heard::Ping);
    }
    let mut deaf = server.connect();
    deaf.send(
        b"GET /connection/uni_websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
          Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Sec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(deaf.head().status, 101);
    deaf.send(&frame(0x81, json!({"token": token("deaf", json!({}))}).to_string().as_bytes()));
    eventually("it is listed", || (!server.listed("deaf").is_empty()).then_some(()));
    eventually("it is gone", || server.listed("deaf").is_empty().then_some(()));
}

#[test]
fn how_a_unidirectional_websocket_ends_can_be_chosen() {
    for (option, push, close) in
        [("disable_disconnect_push", false, true), ("disable_closing_handshake", true, false)]
    {
        let server = with(json!({"uni_websocket": {"enabled": true, option: true}}));
        let connect = json!({"token": token("42", json!({}))});
        let mut socket = Socket::open(&server, &query("uni_websocket", &connect), &[]);
        socket.hear();
        server.call("disconnect", json!({"user": "42"}));
        if push {
            assert!(matches!(socket.hear(), Heard::Text(_)), "{option}");
        }
        assert_eq!(matches!(socket.hear(), Heard::Closed(..)), close, "{option}");
    }
}
