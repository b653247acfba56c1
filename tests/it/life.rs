//! The life of a bidirectional connection: pings and pongs, silence, tokens that end, limits,
//! clients that do not read.

use serde_json::{Value, json};

use crate::harness::{Server, eventually, token, unix_s};
use crate::socket::{Heard, Socket, frame};

fn closed(code: u16, reason: &str) -> Heard {
    Heard::Closed(code, reason.to_owned())
}

/// Pings that come soon.
fn quick_pings() -> Value {
    json!({"client": {"ping_interval": "1s", "pong_timeout": "500ms"}})
}

#[test]
fn a_client_that_answers_pings_stays_and_one_that_does_not_is_closed() {
    let server = Server::start(&quick_pings());
    let (mut answers, reply) = Socket::session(&server, "42", json!({}));
    assert_eq!(reply["connect"]["pong"], true);
    let (mut silent, _) = Socket::session(&server, "42", json!({}));
    let mut pings = 0;
    while pings < 4 {
        assert_eq!(answers.hear(), Heard::Text("{}".to_owned()));
        answers.text("{}");
        pings += 1;
    }
    assert_eq!(silent.hear(), Heard::Text("{}".to_owned()));
    assert_eq!(silent.hear_end(), closed(3012, "no pong"));
    let listed = server.call("connections", json!({"user": "42"}));
    let infos = listed["result"]["connections"].as_object().expect("a listing");
    let latencies: Vec<_> = infos.values().map(|info| &info["ping_pong_latency_ms"]).collect();
    assert!(matches!(latencies[..], [ms] if ms.as_u64() > Some(0)), "{listed}");
    // One pong per ping: another is out of step.
    answers.hear();
    answers.text("{}\n{}");
    assert_eq!(answers.hear_end(), closed(3501, "bad request"));
}

#[test]
fn traffic_that_is_no_pong_does_not_count_as_one() {
    let server = Server::start(&quick_pings());
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    assert_eq!(socket.hear(), Heard::Text("{}".to_owned()));
    socket.say(&json!({"id": 2, "rpc": {}}));
    socket.raw(&frame(0x8a, b""));
    assert_eq!(socket.hear_end(), closed(3012, "no pong"));
}

#[test]
fn pings_may_be_frames_that_the_client_answers_by_itself() {
    let server = Server::start(&quick_pings());
    let mut socket = Socket::open(&server, "websocket?cf_ws_frame_ping_pong=true", &[]);
    socket.say(&json!({"id": 1, "connect": {"token": token("42", json!({}))}}));
    let reply = socket.reply();
    assert_eq!(
        (&reply["connect"]["ping"], &reply["connect"]["pong"]),
        (&Value::Null, &Value::Null)
    );
    for _ in 0..3 {
        // tungstenite sends its pong with the next read.
        assert_eq!(socket.hear(), Heard::Ping);
    }
    assert_eq!(server.listed("42").len(), 1);
    let cut = socket.ws.get_ref().try_clone().expect("a second handle");
    let mut deaf = crate::harness::Conn { reader: std::io::BufReader::new(cut) };
    // From here on nobody answers: what comes is read as bytes.
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut deaf.reader, &mut rest).expect("the end");
    assert!(rest.windows(7).any(|bytes| bytes == b"no pong"), "{}", rest.escape_ascii());
    assert!(server.listed("42").is_empty());
}

#[test]
fn pings_and_pongs_can_be_off() {
    let server = Server::start(&json!({"client": {"ping_interval": "0s", "pong_timeout": "0s"}}));
    let (_socket, reply) = Socket::session(&server, "42", json!({}));
    assert_eq!(
        (&reply["connect"]["ping"], &reply["connect"]["pong"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn who_does_not_connect_in_time_is_closed_as_stale() {
    let server = Server::start(&json!({
        "client": {"stale_close_delay": "300ms"},
        "uni_websocket": {"enabled": true},
    }));
    let mut silent = Socket::open(&server, "websocket", &[]);
    let mut half = Socket::open(&server, "websocket", &[]);
    half.raw(&frame(0x01, b"{\"id\":1,"));
    let mut uni = Socket::open(&server, "uni_websocket", &[]);
    assert_eq!(silent.hear_end(), closed(3502, "stale"));
    assert_eq!(half.hear_end(), closed(3502, "stale"));
    let push = r#"{"disconnect":{"code":3502,"reason":"stale"}}"#;
    assert_eq!(uni.hear(), Heard::Text(push.to_owned()));
    assert_eq!(uni.hear_end(), closed(3502, "stale"));
}

#[test]
fn a_client_refreshes_its_token_and_stays() {
    let server = Server::start(&json!({"client": {"expired_close_delay": "500ms"}}));
    let (mut socket, reply) = Socket::session(&server, "42", json!({"exp": unix_s() + 2}));
    assert!(reply["connect"]["ttl"].as_i64().is_some_and(|ttl| ttl <= 2));
    socket.say(&json!({"id": 2, "refresh": {"token": token("42", json!({}))}}));
    let reply = socket.reply();
    let ttl = reply["refresh"]["ttl"].as_i64().expect("a ttl");
    assert!((3590..=3600).contains(&ttl), "{reply}");
    // A token without an end takes the end away, also of the timer.
    socket.say(&json!({"id": 3, "refresh": {"token": token("42", json!({"exp": null}))}}));
    assert_eq!(socket.reply(), json!({"id": 3, "refresh": {}}));
    let (mut other, _) = Socket::session(&server, "other", json!({"exp": unix_s() + 2}));
    assert_eq!(other.hear_end(), closed(3005, "connection expired"));
    assert_eq!(server.listed("42").len(), 1);
}

#[test]
fn a_refresh_with_a_wrong_token_ends_the_session() {
    let server = Server::start(&json!({}));
    for (bad, code, reason) in [
        (String::new(), 3501, "bad request"),
        ("garbage".to_owned(), 3500, "invalid token"),
        (token("somebody else", json!({})), 3500, "invalid token"),
        (token("42", json!({"exp": unix_s() - 1})), 3005, "connection expired"),
    ] {
        let (mut socket, _) = Socket::session(&server, "42", json!({}));
        socket.say(&json!({"id": 2, "refresh": {"token": bad}}));
        assert_eq!(socket.hear_end(), closed(code, reason));
    }
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    let ended = token("42", json!({"expire_at": 1}));
    socket.say(&json!({"id": 2, "refresh": {"token": ended}}));
    assert_eq!(socket.reply()["error"]["code"], 110);
    eventually("one is left", || (server.listed("42").len() == 1).then_some(()));
}

#[test]
fn a_client_that_asks_and_never_reads_is_cut_at_its_queue_limit() {
    let server = Server::start(&json!({"client": {"queue_max_size": 65536}}));
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    let before = server.rss();
    // Replies fill the kernel's buffers first, then the queue; then the connection is gone.
    let commands = vec![r#"{"id":2,"rpc":{}}"#; 3000].join("\n");
    let message = frame(0x81, commands.as_bytes());
    use std::io::Write as _;
    let stream = socket.ws.get_mut();
    stream.set_write_timeout(Some(crate::harness::PATIENCE)).expect("a timeout");
    while stream.write_all(&message).is_ok() {}
    eventually("it is cut", || server.listed("42").is_empty().then_some(()));
    let info = server.call("info", json!({}));
    let items = &info["result"]["nodes"][0]["metrics"]["items"];
    assert_eq!(items["rollcall.sessions_slow"], 1, "{items}");
    let grown = server.rss().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for one client");
}

#[test]
fn the_limit_of_sessions_of_one_user_holds_for_websockets_and_what_came_behind_waits() {
    let server = Server::start(&json!({"client": {"user_connection_limit": 2}}));
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut socket = Socket::open(&server, "websocket", &[]);
        let connect = json!({"id": 1, "connect": {"token": token("42", json!({}))}});
        let more = json!({"id": 2, "rpc": {}});
        socket.text(&format!("{connect}\n{more}"));
        socket.say(&json!({"id": 3, "rpc": {}}));
        let ids: Vec<_> = (0..3).map(|_| socket.reply()["id"].clone()).collect();
        assert_eq!(ids, [1, 2, 3]);
        kept.push(socket);
    }
    let mut third = Socket::open(&server, "websocket", &[]);
    third.say(&json!({"id": 1, "connect": {"token": token("42", json!({}))}}));
    assert_eq!(third.hear_end(), closed(3504, "connection limit"));
    assert_eq!(server.listed("42").len(), 2);
}

#[test]
fn limits_of_the_node_refuse_the_handshake() {
    let server = Server::start(&json!({"client": {"connection_limit": 1}}));
    let (_socket, _) = Socket::session(&server, "42", json!({}));
    let error = Socket::try_open(&server, "websocket", &[]).err().expect("refused");
    let tungstenite::Error::Http(response) = *error else { panic!("{error}") };
    assert_eq!((response.status().as_u16(), response.body().as_deref()), (503, Some(&b""[..])));
}

#[test]
fn the_limit_of_the_node_holds_for_those_who_shook_hands_before_it_was_reached() {
    let server = Server::start(&json!({
        "client": {"connection_limit": 1},
        "uni_websocket": {"enabled": true},
    }));
    let mut sockets: Vec<_> = (0..3).map(|_| Socket::open(&server, "websocket", &[])).collect();
    let mut uni = Socket::open(&server, "uni_websocket", &[]);
    let request = json!({"token": token("42", json!({}))});
    for (index, socket) in sockets.iter_mut().enumerate() {
        socket.say(&json!({"id": 1, "connect": request}));
        let reply = socket.reply();
        // A temporary error: the client comes back later by itself.
        let refused = json!({"code": 111, "message": "too many requests", "temporary": true});
        assert_eq!(reply["error"], if index == 0 { Value::Null } else { refused }, "{reply}");
    }
    uni.say(&request);
    assert_eq!(server.listed("42").len(), 1);
    let Heard::Text(told) = uni.hear() else { panic!("no farewell") };
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told, json!({"disconnect": {"code": 3013, "reason": "too many requests"}}));
    assert_eq!(uni.hear_end(), closed(3013, "too many requests"));
    drop(sockets);
    eventually("there is room again", || {
        let mut socket = Socket::try_open(&server, "websocket", &[]).ok()?;
        socket.say(&json!({"id": 1, "connect": request}));
        socket.reply()["error"].is_null().then_some(())
    });
}

#[test]
fn anonymous_and_trusted_clients_connect_as_the_configuration_says() {
    let connect = |config: Value, headers: &[(&str, &str)]| {
        let server = Server::start(&config);
        let mut socket = Socket::open(&server, "websocket", headers);
        socket.say(&json!({"id": 1, "connect": {}}));
        let heard = socket.hear();
        let is_in = matches!(&heard, Heard::Text(text) if text.contains("client"));
        is_in.then(|| ["", "42"].map(|user| server.listed(user).len()))
    };
    let header = &[("X-User", "42")][..];
    assert_eq!(connect(json!({}), &[]), None);
    let without_token = json!({"client": {"allow_anonymous_connect_without_token": true}});
    assert_eq!(connect(without_token, &[]), Some([1, 0]));
    assert_eq!(connect(json!({"client": {"insecure": true}}), &[]), Some([1, 0]));
    let by_header = json!({"client": {"user_id_http_header": "X-User"}});
    assert_eq!(connect(by_header.clone(), header), Some([0, 1]));
    assert_eq!(connect(by_header.clone(), &[]), None);
    // What a proxy makes of a guest lets nobody in.
    assert_eq!(connect(by_header, &[("X-User", "")]), None);
    assert_eq!(connect(json!({}), header), None);
}

#[test]
fn a_server_that_stops_says_so_to_every_client() {
    let mut server = Server::start(&json!({}));
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    let mut silent = Socket::open(&server, "websocket", &[]);
    server.signal("TERM");
    assert_eq!(socket.hear_end(), closed(3001, "shutdown"));
    assert_eq!(silent.hear_end(), closed(3001, "shutdown"));
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn pongs_nobody_asked_for_do_not_put_the_next_ping_off() {
    let server = Server::start(&quick_pings());
    let mut socket = Socket::open(&server, "websocket?cf_ws_frame_ping_pong=true", &[]);
    socket.say(&json!({"id": 1, "connect": {"token": token("42", json!({}))}}));
    socket.reply();
    socket.raw(&frame(0x8a, b"").repeat(1000));
    for _ in 0..3 {
        assert_eq!(socket.hear(), Heard::Ping);
    }
}

#[test]
fn half_a_message_is_not_kept_for_ever_by_answering_pings() {
    let server = Server::start(&quick_pings());
    let mut socket = Socket::open(&server, "websocket?cf_ws_frame_ping_pong=true", &[]);
    socket.say(&json!({"id": 1, "connect": {"token": token("42", json!({}))}}));
    socket.reply();
    socket.raw(&frame(0x01, b"{\"id\":2,"));
    assert_eq!(socket.hear_end(), closed(3012, "no pong"));
}

#[test]
fn a_client_that_was_told_an_error_leaves_as_any_other() {
    let server = Server::start(&json!({}));
    let mut socket = Socket::open(&server, "websocket", &[]);
    let old = token("42", json!({"exp": unix_s() - 5}));
    socket.say(&json!({"id": 1, "connect": {"token": old}}));
    assert_eq!(socket.reply()["error"]["code"], 109);
    socket.say(&json!({"id": 2, "connect": {"token": token("42", json!({}))}}));
    socket.ws.close(None).expect("it is sent");
    assert_eq!(socket.hear(), Heard::Closed(1005, String::new()));
    assert!(server.listed("42").is_empty());
}

#[test]
fn a_refresh_brings_what_its_token_allows() {
    let server = Server::start(&json!({}));
    let (mut socket, _) = Socket::session(&server, "42", json!({"sessions": "self"}));
    let list = json!({"id": 3, "rpc": {"method": "sessions.list"}});
    for (claims, allowed) in [(json!({}), false), (json!({"sessions": "self"}), true)] {
        socket.say(&json!({"id": 2, "refresh": {"token": token("42", claims)}}));
        assert_eq!(socket.reply()["refresh"]["expires"], true);
        socket.say(&list);
        assert_eq!(socket.reply()["error"].is_null(), allowed);
    }
}
