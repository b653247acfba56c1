//! A backend changes when sessions end, and they hear of it (server API `refresh`).

use serde_json::{Value, json};
use tungstenite::Message;

use crate::harness::{Conn, KEY, Server, Stream, request, token, unix_s};
use crate::socket::{Heard, Socket, protobuf_connect};

/// Seconds of the longest end that can be given: what is later becomes this, whatever the clock.
const TTL_S_MAX: u32 = 365 * 24 * 3600;

fn closed() -> Heard {
    Heard::Closed(3005, "connection expired".to_owned())
}

/// Tells all sessions of a user twice: of an end, and that there is none.
fn refresh_twice(server: &Server, user: &str, sessions: usize) {
    let far = unix_s() + 2 * i64::from(TTL_S_MAX);
    for params in [
        json!({"user": user, "expire_at": far, "info": {"shown": "by nothing"}}),
        json!({"user": user}),
    ] {
        assert_eq!(server.call("refresh", params), receipt(sessions));
    }
}

/// What the call says that so many sessions were refreshed.
fn receipt(sessions: usize) -> Value {
    json!({"result": {"matched": sessions, "refreshed": sessions}})
}

/// A stream whose connect has been answered.
fn stream(server: &Server, path: &str, connect: &[u8], headers: &[(&str, &str)]) -> Conn {
    let mut conn = server.connect();
    conn.send(&request("POST", &format!("/connection/{path}"), headers, connect));
    assert_eq!(conn.head().status, 200, "{path}");
    if path.contains("sse") {
        assert_eq!(conn.chunk().as_deref(), Some(&b"\r\n"[..]));
    }
    conn.chunk().expect("the answer to a connect");
    conn
}

#[test]
fn clients_of_every_stream_hear_when_their_session_ends() {
    let server = Server::start(&json!({
        "uni_sse": {"enabled": true}, "sse": {"enabled": true}, "http_stream": {"enabled": true},
    }));
    let soon = format!(r#"{{"refresh":{{"expires":true,"ttl":{TTL_S_MAX}}}}}"#);
    let never = r#"{"refresh":{}}"#;
    for (path, before, after) in [
        ("uni_http_stream", "", "\n"),
        ("uni_sse", "data: ", "\n\n"),
        ("http_stream", "{\"push\":", "}\n"),
        ("sse", "data: {\"push\":", "}\n\n"),
    ] {
        let connect = json!({"token": token(path, json!({}))});
        let command = json!({"id": 1, "connect": connect});
        let body = if path.starts_with("uni") { &connect } else { &command };
        let mut conn = stream(&server, path, body.to_string().as_bytes(), &[]);
        refresh_twice(&server, path, 1);
        for said in [soon.as_str(), never] {
            let chunk = String::from_utf8(conn.chunk().expect("a push")).expect("text");
            assert_eq!(chunk, format!("{before}{said}{after}"), "{path}");
        }
    }
}

#[test]
fn clients_of_protobuf_hear_it_in_protobuf() {
    let server = Server::start(&json!({"http_stream": {"enabled": true}}));
    let soon = b"\x0b\x22\x09\x62\x07\x08\x01\x10\x80\xe7\x84\x0f".to_vec();
    let never = b"\x04\x22\x02\x62\0".to_vec();
    let octets = [("Content-Type", "application/octet-stream")];
    let connect = protobuf_connect(&token("stream", json!({})));
    let mut conn = stream(&server, "http_stream", &connect, &octets);
    refresh_twice(&server, "stream", 1);
    assert_eq!([conn.chunk(), conn.chunk()], [Some(soon.clone()), Some(never.clone())]);

    let mut socket = Socket::open(&server, "websocket?format=protobuf", &[]);
    let connect = protobuf_connect(&token("socket", json!({})));
    socket.ws.send(Message::binary(connect)).expect("it is sent");
    assert!(matches!(socket.hear(), Heard::Binary(_)));
    refresh_twice(&server, "socket", 1);
    assert_eq!([socket.hear(), socket.hear()], [Heard::Binary(soon), Heard::Binary(never)]);
}

#[test]
fn clients_of_websockets_hear_when_their_session_ends() {
    let server = Server::start(&json!({"uni_websocket": {"enabled": true}}));
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    let mut uni = Socket::open(&server, "uni_websocket", &[]);
    uni.say(&json!({"token": token("42", json!({}))}));
    assert!(matches!(uni.hear(), Heard::Text(_)));
    refresh_twice(&server, "42", 2);
    for refresh in [json!({"expires": true, "ttl": TTL_S_MAX}), json!({})] {
        assert_eq!(socket.reply(), json!({"push": {"refresh": refresh}}));
        assert_eq!(uni.reply(), json!({"refresh": refresh}));
    }
}

#[test]
fn an_end_moves_both_ways_and_can_be_taken_away() {
    // Without pings only the end itself has a timer.
    let server = Server::start(&json!({"client": {"expired_close_delay": "500ms",
        "ping_interval": "0s", "pong_timeout": "0s"}}));
    let lives_s = |user: &str, seconds: i64| {
        Socket::session(&server, user, json!({"exp": unix_s() + seconds})).0
    };
    let mut kept = [lives_s("later", 3), lives_s("never", 3)];
    let mut ended = [lives_s("sooner", 3600), lives_s("untouched", 3)];
    for params in [
        json!({"user": "later", "expire_at": unix_s() + 3600}),
        json!({"user": "never"}),
        json!({"user": "sooner", "expire_at": unix_s() + 2}),
    ] {
        assert_eq!(server.call("refresh", params), receipt(1));
    }
    for socket in &mut kept {
        assert!(socket.reply()["push"]["refresh"].is_object());
    }
    for socket in &mut ended {
        assert_eq!(socket.hear_end(), closed());
    }
    assert!(kept.iter_mut().all(Socket::is_quiet));
    assert_eq!(server.listed("later").len() + server.listed("never").len(), 2);
}

/// A session each on as many shards as chance gives, and one of somebody else.
fn sessions(server: &Server) -> (Vec<Stream>, Socket) {
    let of_user = (0..8).map(|_| server.session("42")).collect();
    (of_user, Socket::session(server, "43", json!({})).0)
}

#[test]
fn what_has_ended_is_closed_when_the_call_is_answered_and_nobody_else_is() {
    let server = Server::start(&json!({}));
    let (mut streams, mut other) = sessions(&server);
    let expired = json!({"disconnect": {"code": 3005, "reason": "connection expired"}});
    let mut first = streams.remove(0);
    let mut second = streams.remove(0);
    for (params, stream) in [
        (json!({"client": first.client(), "expired": true}), &mut first),
        (json!({"session": second.session(), "user": "42", "expire_at": 1}), &mut second),
    ] {
        assert_eq!(server.call("refresh", params), receipt(1));
        assert_eq!(stream.push(), Some(expired.clone()));
        assert_eq!(stream.push(), None);
    }
    assert_eq!(server.listed("42").len(), 6);
    let body = json!({"commands": [
        {"refresh": {"user": "42", "expired": true}}, {"connections": {"user": "42"}},
    ]});
    let key = [("X-API-Key", KEY)];
    let reply = server.connect().post("/api/batch", &key, body.to_string().as_bytes());
    let nobody = json!({"replies": [{"refresh": {"matched": 6, "refreshed": 6}},
        {"connections": {"connections": {}}}]});
    assert_eq!(reply.json(), nobody);
    for stream in &mut streams {
        assert_eq!(stream.push(), Some(expired.clone()));
    }
    assert!(other.is_quiet());
    assert_eq!(server.listed("43").len(), 1);
}

#[test]
fn who_is_not_there_is_answered_as_who_is() {
    let server = Server::start(&json!({}));
    let (streams, mut other) = sessions(&server);
    let unknown = "db8bc772-2654-4283-851a-f29b888ace74";
    let client = streams[0].client();
    for params in [
        json!({"user": "nobody", "expired": true}),
        json!({"user": "", "expired": true}),
        json!({"client": unknown, "expired": true}),
        json!({"session": unknown, "expired": true}),
        json!({"user": "43", "client": client, "expired": true}),
        json!({"user": "42", "session": client, "expired": true}),
    ] {
        assert_eq!(server.call("refresh", params.clone()), receipt(0), "{params}");
    }
    assert!(other.is_quiet());
    assert_eq!(server.listed("42").len(), 8);
    let legacy =
        r#"{"id":1,"method":"refresh","params":{}}{"id":2,"method":12,"params":{"user":"x"}}"#;
    let reply = server.connect().post("/api", &[("X-API-Key", KEY)], legacy.as_bytes()).text();
    let lines: Vec<Value> =
        reply.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["error"]["code"], 107);
    assert_eq!(lines[1], json!({"id": 2, "result": {"matched": 0, "refreshed": 0}}));
}
