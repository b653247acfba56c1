//! The bidirectional WebSocket as a client sees it, in both encodings (client protocol v2).

use serde_json::{Value, json};
use tungstenite::Message;

use crate::harness::{Server, eventually, token, unix_s};
use crate::socket::{Heard, Socket, frame, protobuf_connect};

const BAD_REQUEST: (u16, &str) = (3501, "bad request");

fn closed((code, reason): (u16, &str)) -> Heard {
    Heard::Closed(code, reason.to_owned())
}

fn connections(server: &Server, user: &str) -> Vec<Value> {
    let reply = server.call("connections", json!({"user": user}));
    let connections = reply["result"]["connections"].as_object().expect("a listing");
    connections.values().cloned().collect()
}

#[test]
fn a_client_connects_is_listed_and_closed_by_the_api() {
    let server = Server::start(&json!({}));
    let claims = json!({"jti": "t1", "meta": {"secret": "of the backend"}});
    let (mut socket, reply) = Socket::session(&server, "42", claims);
    let client = reply["connect"]["client"].as_str().expect("an id").to_owned();
    let version = env!("CARGO_PKG_VERSION");
    let ttl = reply["connect"]["ttl"].as_i64().expect("a ttl");
    assert!((3590..=3600).contains(&ttl), "{ttl}");
    assert_eq!(
        reply,
        json!({"id": 1, "connect": {"client": client, "version": version, "expires": true,
            "ttl": ttl, "ping": 25, "pong": true}})
    );
    assert_eq!(server.listed("42"), [client]);
    let listed = &connections(&server, "42")[0];
    for (key, value) in [
        ("app_name", "test"),
        ("app_version", "1.2"),
        ("transport", "websocket"),
        ("protocol", "json"),
        ("user", "42"),
        ("remote_addr", "127.0.0.1"),
    ] {
        assert_eq!(listed[key], value, "{key}");
    }
    assert_eq!(listed["state"]["connection_token"]["uid"], "t1");
    assert_eq!(listed["state"]["meta"]["secret"], "of the backend");
    server.call("disconnect", json!({"user": "42", "disconnect": {"code": 4100, "reason": "go"}}));
    assert!(server.listed("42").is_empty());
    assert_eq!(socket.hear_end(), closed((4100, "go")));
}

#[test]
fn the_subprotocol_or_the_query_choose_protobuf() {
    let server = Server::start(&json!({}));
    let proto = "Sec-WebSocket-Protocol";
    for (path, headers, echoed, protobuf) in [
        ("websocket", &[][..], None, false),
        ("websocket", &[(proto, "centrifuge-json")], Some("centrifuge-json"), false),
        ("websocket", &[(proto, "centrifuge-protobuf")], Some("centrifuge-protobuf"), true),
        ("websocket?format=protobuf", &[], None, true),
        ("websocket?cf_protocol=protobuf&other=1", &[], None, true),
        (
            "websocket?cf_protocol=protobuf",
            &[(proto, "x, centrifuge-json")],
            Some("centrifuge-json"),
            true,
        ),
    ] {
        // tungstenite insists on a protocol that was offered, as browsers do.
        let mut socket = Socket::open(&server, path, headers);
        let chosen = socket.response.headers().get("sec-websocket-protocol");
        assert_eq!(chosen.map(|value| value.to_str().expect("text")), echoed, "{path}");
        if protobuf {
            let command = protobuf_connect(&token("p", json!({})));
            socket.ws.send(Message::binary(command)).expect("it is sent");
            let Heard::Binary(reply) = socket.hear() else { panic!("no binary reply") };
            assert_eq!(&reply[1..3], [0x08, 0x01], "{path}");
            assert_eq!(connections(&server, "p")[0]["protocol"], "protobuf");
        } else {
            socket.say(&json!({"id": 7, "connect": {"token": token("j", json!({}))}}));
            assert_eq!(socket.reply()["id"], 7);
            assert_eq!(connections(&server, "j")[0]["protocol"], "json");
        }
        drop(socket);
        let gone = || server.listed("p").is_empty() && server.listed("j").is_empty();
        eventually("the session is gone", || gone().then_some(()));
    }
}

#[test]
fn an_empty_subprotocol_header_is_no_subprotocol() {
    let server = Server::start(&json!({}));
    let mut conn = server.connect();
    conn.send(
        b"GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
          Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol:\r\n\r\n",
    );
    let head = conn.head();
    assert_eq!((head.status, head.header("sec-websocket-protocol")), (101, None));
}

#[test]
fn commands_in_one_frame_are_answered_one_by_one() {
    let server = Server::start(&json!({}));
    let mut socket = Socket::open(&server, "websocket", &[]);
    let connect = json!({"id": 1, "connect": {"token": token("42", json!({}))}});
    socket.text(&format!(
        "{connect}\n{}\n{}\n{}\n",
        json!({"id": 2, "rpc": {"method": "none"}}),
        json!({"id": 3, "unsubscribe": {"channel": "c"}}),
        json!({"id": 4, "sub_refresh": {"channel": "c", "token": "t"}}),
    ));
    assert_eq!(socket.reply()["id"], 1);
    let error = |code: u32, message: &str| json!({"code": code, "message": message});
    assert_eq!(socket.reply(), json!({"id": 2, "error": error(108, "not available")}));
    assert_eq!(socket.reply(), json!({"id": 3, "unsubscribe": {}}));
    assert_eq!(socket.reply(), json!({"id": 4, "error": error(103, "permission denied")}));
    for method in ["subscribe", "publish", "presence", "presence_stats", "history"] {
        socket.say(&json!({"id": 5, method: {"channel": "c"}}));
        assert_eq!(socket.reply(), json!({"id": 5, "error": error(108, "not available")}));
    }
    socket.say(&json!({"send": {"data": {}}}));
    assert_eq!(socket.hear_end(), closed((3508, "not available")));
    eventually("the session is gone", || server.listed("42").is_empty().then_some(()));
}

#[test]
fn what_breaks_the_protocol_ends_the_connection() {
    let server = Server::start(&json!({}));
    let connected = |after: &str| {
        let (mut socket, _) = Socket::session(&server, "42", json!({}));
        socket.text(after);
        socket.hear_end()
    };
    for after in [
        "",
        "[]",
        "{\"id\":\"1\"}",
        "{}",
        "{\"id\":2}",
        "{\"id\":2,\"ping\":{}}",
        "{\"id\":2,\"connect\":{}}",
        "{\"id\":2,\"subscribe\":{}}",
        "\n",
    ] {
        assert_eq!(connected(after), closed(BAD_REQUEST), "{after:?}");
    }
    for first in ["{}", "{\"id\":1,\"rpc\":{}}", "{\"connect\":{}}", "x", ""] {
        let mut socket = Socket::open(&server, "websocket", &[]);
        socket.text(first);
        assert_eq!(socket.hear_end(), closed(BAD_REQUEST), "{first:?}");
    }
    eventually("all are gone", || server.listed("42").is_empty().then_some(()));
}

#[test]
fn a_refused_connect_says_why_in_the_way_of_its_kind() {
    let server = Server::start(&json!({}));
    let connect = |connect: Value| {
        let mut socket = Socket::open(&server, "websocket", &[]);
        socket.say(&json!({"id": 1, "connect": connect}));
        socket
    };
    for (request, code) in
        [(json!({}), BAD_REQUEST), (json!({"token": "garbage"}), (3500, "invalid token"))]
    {
        assert_eq!(connect(request).hear_end(), closed(code));
    }
    let expired = token("42", json!({"exp": unix_s() - 5}));
    let mut socket = connect(json!({"token": expired}));
    let error = json!({"code": 109, "message": "token expired"});
    assert_eq!(socket.reply(), json!({"id": 1, "error": error}));
    // Nothing more is read, and no close frame hides the error.
    socket.say(&json!({"id": 2, "connect": {"token": token("42", json!({}))}}));
    assert!(socket.is_quiet());
    assert!(server.listed("42").is_empty());
}

#[test]
fn frames_that_are_none_are_refused_with_their_code() {
    let server = Server::start(&json!({"websocket": {"message_size_limit": 1000}}));
    let too_long = frame(0x81, &[b' '; 1001]);
    for (bytes, code) in [
        (&[0x81, 0x01, b'x'][..], 1002),
        (&frame(0xc1, b"x"), 1002),
        (&frame(0x83, b"x"), 1002),
        (&frame(0x80, b"x"), 1002),
        (&[frame(0x01, b"x"), frame(0x81, b"y")].concat(), 1002),
        (&frame(0x09, b"x"), 1002),
        (&frame(0x89, &[0; 126]), 1002),
        (&[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 1002),
        (&[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 1009),
        (&frame(0x81, b"\xff"), 1007),
        (&[frame(0x01, b"\xe2"), frame(0x89, b"p"), frame(0x80, b"\x28\xa1")].concat(), 1007),
        (&too_long, 1009),
        (&[frame(0x01, &[b' '; 600]), frame(0x80, &[b' '; 600])].concat(), 1009),
    ] {
        for connected in [false, true] {
            let mut socket = if connected {
                Socket::session(&server, "42", json!({})).0
            } else {
                Socket::open(&server, "websocket", &[])
            };
            socket.raw(bytes);
            let Heard::Closed(got, _) = socket.hear_end() else { panic!("cut: {bytes:?}") };
            assert_eq!(got, code, "{bytes:?}");
        }
        eventually("the session is gone", || server.listed("42").is_empty().then_some(()));
    }
}

#[test]
fn a_client_may_ping_fragment_and_leave_as_the_rfc_allows() {
    let server = Server::start(&json!({}));
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    socket.raw(&frame(0x01, b"{\"id\":2,"));
    socket.raw(&frame(0x89, b"are you there"));
    assert!(matches!(socket.ws.read(), Ok(Message::Pong(payload)) if payload == "are you there"));
    for byte in b"\"rpc\":{}}" {
        socket.raw(&frame(0x00, &[*byte]));
    }
    assert!(socket.is_quiet());
    socket.raw(&frame(0x80, b""));
    assert_eq!(socket.reply()["error"]["code"], 108);
    socket.raw(&frame(0x8a, b"a pong nobody asked for"));
    socket.raw(&frame(0x88, &[0x03, 0xe9]));
    assert_eq!(socket.hear_end(), Heard::Closed(1001, String::new()));
    eventually("the session is gone", || server.listed("42").is_empty().then_some(()));
}

#[test]
fn a_handshake_that_is_none_is_told_what_is_wrong() {
    let config = json!({"client": {"allowed_origins": ["https://good.example"]}});
    let server = Server::start(&config);
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut headers = upgrade.to_vec();
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
        headers
    };
    for (method, headers, status, told) in [
        ("GET", vec![], 400, "Upgrade: websocket"),
        ("POST", upgrade.to_vec(), 405, "GET"),
        ("GET", with("Sec-WebSocket-Version", "8"), 426, "13"),
        ("GET", with("Sec-WebSocket-Key", "short"), 400, "sec-websocket-key"),
        ("GET", with("Origin", "https://bad.example"), 403, "client.allowed_origins"),
    ] {
        let mut conn = server.connect();
        let response = conn.request(method, "/connection/websocket", &headers, b"");
        assert_eq!(response.status, status, "{}", response.text());
        assert!(response.text().contains(told), "{}", response.text());
        assert!(status == 403 || response.header("sec-websocket-version") == Some("13"));
    }
    let origin = [("Origin", "https://GOOD.example")];
    assert!(Socket::try_open(&server, "websocket", &origin).is_ok());
    assert!(Socket::try_open(&server, "websocket/", &[]).is_err());
}

#[test]
fn messages_are_compressed_where_both_sides_want_it() {
    let with = |websocket: Value| Server::start(&json!({"websocket": websocket}));
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")];
    let headers = |server: &Server| {
        let mut conn = server.connect();
        conn.send(
            format!(
                "GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Version: 13\r\n{}: {}\r\n\r\n",
                offer[0].0, offer[0].1
            )
            .as_bytes(),
        );
        let head = conn.head();
        assert_eq!(head.status, 101);
        (conn, head.header("sec-websocket-extensions").map(str::to_owned))
    };
    let (_, declined) = headers(&with(json!({})));
    assert_eq!(declined, None);
    let server = with(json!({"compression": true, "message_size_limit": 1000}));
    let (mut conn, agreed) = headers(&server);
    let agreed = agreed.expect("compression is agreed on");
    assert!(agreed.contains("server_no_context_takeover; client_no_context_takeover"), "{agreed}");
    // `{"id":1,"rpc":{}}` is no connect: the answer is a close frame, which is never compressed.
    let deflated = deflate(b"{\"id\":1,\"rpc\":{}}");
    conn.send(&frame(0xc1, &deflated));
    let mut close = [0; 4];
    std::io::Read::read_exact(&mut conn.reader, &mut close).expect("a close frame");
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 3501));
    // A few bytes that would become many are never inflated beyond the ceiling.
    let (mut conn, _) = headers(&server);
    conn.send(&frame(0xc1, &deflate(&vec![b' '; 500_000])));
    std::io::Read::read_exact(&mut conn.reader, &mut close).expect("a close frame");
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1009));
    // What is sent is compressed: a reply with the reserved bit, a byte and the length.
    let (mut conn, _) = headers(&server);
    let connect = json!({"id": 1, "connect": {"token": token("42", json!({}))}}).to_string();
    conn.send(&frame(0xc1, &deflate(connect.as_bytes())));
    let mut first = [0; 1];
    std::io::Read::read_exact(&mut conn.reader, &mut first).expect("a reply");
    assert_eq!(first[0], 0xc1);
}

fn deflate(message: &[u8]) -> Vec<u8> {
    use flate2::{Compress, Compression, FlushCompress};
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut compress = Compress::new(Compression::fast(), false);
    compress.compress_vec(message, &mut out, FlushCompress::Sync).expect("it compresses");
    out.truncate(out.len() - 4);
    out
}
