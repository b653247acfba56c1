//! `uni_http_stream` as a client sees it, byte by byte (client protocol v6, and the old form).

use std::io::Read;

use serde_json::{Value, json};

use crate::harness::{Server, Stream, eventually, listed, request, token, unix_s};

const PATH: &str = "/connection/uni_http_stream";

fn connect_body(user: &str) -> String {
    json!({"token": token(user, json!({}))}).to_string()
}

/// The one line a refused connect is answered with.
fn refusal(server: &Server, connect: &Value) -> Value {
    let response = server.connect().post(PATH, &[], connect.to_string().as_bytes());
    assert_eq!(response.status, 200, "{}", response.text());
    let text = response.text();
    assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
    serde_json::from_str(&text).expect("a push")
}

#[test]
fn the_first_line_has_its_exact_shape_and_the_head_its_headers() {
    let server = Server::start(&json!({}));
    let connect = json!({"token": token("42", json!({})), "name": "terminal", "version": "1.0"});
    let mut conn = server.connect();
    conn.send(&request("POST", PATH, &[], connect.to_string().as_bytes()));
    let head = conn.head();
    assert_eq!(head.status, 200);
    for (name, value) in [
        ("x-accel-buffering", "no"),
        ("cache-control", "private, no-cache, no-store, must-revalidate, max-age=0"),
        ("pragma", "no-cache"),
        ("expire", "0"),
        ("connection", "keep-alive"),
        ("content-type", "text/plain; charset=utf-8"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(head.header(name), Some(value), "{name}");
    }
    assert_eq!(head.header("access-control-allow-origin"), None);
    let line = String::from_utf8(conn.chunk().expect("a line")).expect("text");
    let push: Value = serde_json::from_str(&line).expect("JSON");
    let connect = &push["connect"];
    let (client, session) = (&connect["client"], &connect["session"]);
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "{{\"connect\":{{\"client\":{client},\"version\":\"{version}\",\"expires\":true,\
         \"ttl\":{},\"ping\":25,\"session\":{session}}}}}\n",
        connect["ttl"]
    );
    assert_eq!(line, expected);
    let ttl = connect["ttl"].as_i64().expect("a ttl");
    assert!((3590..=3600).contains(&ttl), "{ttl}");
    for id in [client, session] {
        let id = id.as_str().expect("an id");
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id} is no UUID of version 4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id} has no RFC 9562 variant");
    }
    assert_ne!(client, session);
}

#[test]
fn a_session_without_expiry_says_nothing_of_it_and_meta_stays_inside() {
    let server = Server::start(&json!({"client": {"connect_include_server_time": true}}));
    let claims = json!({"exp": null, "expire_at": 0, "meta": {"secret": "of the backend"}});
    let claims = token("42", claims);
    let mut stream = server.session_with(json!({"token": claims}));
    let connect = stream.first["connect"].as_object().expect("a connect push");
    let keys: Vec<_> = connect.keys().map(String::as_str).collect();
    assert_eq!(keys, ["client", "ping", "session", "time", "version"]);
    assert!(!stream.first.to_string().contains("secret"));
    server.call("disconnect", json!({"user": "42"}));
    let last = stream.push_after_pings().expect("a last line");
    assert!(!last.to_string().contains("secret"));
}

#[test]
fn pings_come_by_themselves_in_both_dialects() {
    let server =
        Server::start(&json!({"client": {"ping_interval": "1s", "pong_timeout": "500ms"}}));
    let mut stream = server.session("42");
    assert_eq!(stream.first["connect"]["ping"], json!(1));
    for _ in 0..3 {
        assert_eq!(stream.push(), Some(json!({})));
    }

    let mut conn = server.connect();
    let path = format!("{PATH}?cf_protocol_version=v1");
    conn.send(&request("POST", &path, &[], connect_body("42").as_bytes()));
    conn.head();
    let first: Value = serde_json::from_slice(&conn.chunk().expect("a line")).expect("JSON");
    assert_eq!(first["type"], json!(6));
    let client = first["data"]["client"].as_str().expect("a client id").to_owned();
    assert_eq!(first["data"]["ping"], Value::Null);
    assert_eq!(conn.chunk().as_deref(), Some(b"null\n".as_slice()));
    server.call("disconnect", json!({"client": client}));
    let last = loop {
        match conn.chunk() {
            Some(line) if line == b"null\n" => {}
            other => break other.expect("a last line"),
        }
    };
    let last: Value = serde_json::from_slice(&last).expect("JSON");
    assert_eq!(last, json!({"type": 7, "data": {"code": 3503, "reason": "force disconnect"}}));
}

#[test]
fn the_old_dialect_can_be_the_default() {
    let server = Server::start(&json!({"use_client_protocol_v1_by_default": true}));
    let stream = server.session_raw(&json!({"token": token("42", json!({}))}));
    assert_eq!(stream["type"], json!(6));
}

#[test]
fn a_refused_connect_is_one_disconnect_line() {
    let server = Server::start(&json!({
        "client": {"token": {"audience": "app", "issuer": "idp"}}
    }));
    let good = json!({"aud": "app", "iss": "idp"});
    let with = |more: Value| {
        let mut claims = good.clone();
        for (key, value) in more.as_object().expect("claims") {
            claims[key] = value.clone();
        }
        json!({"token": token("42", claims)})
    };
    let cases = [
        ("no token", json!({}), 3501, "bad request"),
        ("garbage", json!({"token": "abc"}), 3500, "invalid token"),
        ("wrong audience", with(json!({"aud": "other"})), 3500, "invalid token"),
        ("wrong issuer", with(json!({"iss": "other"})), 3500, "invalid token"),
        ("expired", with(json!({"exp": unix_s() - 1})), 3005, "connection expired"),
        ("not yet valid", with(json!({"nbf": unix_s() + 60})), 3005, "connection expired"),
        ("expire_at passed", with(json!({"expire_at": unix_s() - 1})), 3005, "connection expired"),
        ("numeric sub", with(json!({"sub": 42})), 3500, "invalid token"),
        ("a channel's token", with(json!({"channel": "news"})), 3500, "invalid token"),
    ];
    for (name, connect, code, reason) in cases {
        let expected = json!({"disconnect": {"code": code, "reason": reason}});
        assert_eq!(refusal(&server, &connect), expected, "{name}");
    }
    assert_eq!(server.call("info", json!({}))["result"]["nodes"][0]["num_clients"], json!(0));
    server.session_with(with(json!({})));
}

#[test]
fn anonymous_users_connect_only_where_that_is_allowed() {
    let anonymous = |server: &Server| server.session_with(json!({}));
    let open = json!({"client": {"allow_anonymous_connect_without_token": true}});
    let server = Server::start(&open);
    let stream = anonymous(&server);
    assert_eq!(server.listed(""), [stream.client()]);

    let server = Server::start(&json!({"client": {"insecure": true}}));
    let stream = anonymous(&server);
    assert_eq!(stream.first["connect"]["expires"], Value::Null);
    // Tokens are verified all the same.
    assert_eq!(refusal(&server, &json!({"token": "abc"}))["disconnect"]["code"], json!(3500));

    let server = Server::start(&json!({"client": {"disallow_anonymous_connection_tokens": true}}));
    let token = token("", json!({}));
    let expected = json!({"disconnect": {"code": 3507, "reason": "permission denied"}});
    assert_eq!(refusal(&server, &json!({"token": token})), expected);
}

#[test]
fn a_trusted_header_names_the_user() {
    let server = Server::start(&json!({"client": {"user_id_http_header": "X-User-Id"}}));
    let mut conn = server.connect();
    conn.send(&request("POST", PATH, &[("X-User-Id", "42")], b"{}"));
    assert_eq!(conn.head().status, 200);
    conn.chunk().expect("a line");
    assert_eq!(server.listed("42").len(), 1);
}

#[test]
fn limits_refuse_before_the_connect_and_per_user_after_it() {
    let server = Server::start(&json!({"client": {"connection_limit": 2}}));
    let streams = [server.session("1"), server.session("2")];
    let refused = server.connect().post(PATH, &[], connect_body("3").as_bytes());
    assert_eq!((refused.status, refused.body.len()), (503, 0));
    drop(streams);
    eventually("there is room again", || {
        let response = {
            let mut conn = server.connect();
            conn.send(&request("POST", PATH, &[], connect_body("3").as_bytes()));
            conn.head()
        };
        (response.status == 200).then_some(())
    });

    let server = Server::start(&json!({"client": {"user_connection_limit": 2}}));
    let streams = [server.session("42"), server.session("42")];
    let over = json!({"token": token("42", json!({}))});
    for _ in 0..8 {
        let expected = json!({"disconnect": {"code": 3504, "reason": "connection limit"}});
        assert_eq!(refusal(&server, &over), expected);
    }
    server.session("43");
    drop(streams);
    eventually("there is room again", || server.listed("42").is_empty().then_some(()));
    server.session_with(over);
}

#[test]
fn a_session_ends_when_its_token_does() {
    let server = Server::start(&json!({"client": {"expired_close_delay": "1s"}}));
    let claims = json!({"exp": unix_s() + 2});
    let mut stream = server.session_with(json!({"token": token("42", claims)}));
    let expected = json!({"disconnect": {"code": 3005, "reason": "connection expired"}});
    assert_eq!(stream.push_after_pings(), Some(expected));
    assert_eq!(stream.push(), None);
    assert!(server.listed("42").is_empty());
}

#[test]
fn operators_translate_refusals() {
    let server = Server::start(&json!({"client": {"connect_code_to_unidirectional_disconnect":
        {"enabled": true, "transforms":
            [{"code": 109, "to": {"code": 4501, "reason": "log in again"}}]}}}));
    let expired = json!({"token": token("42", json!({"exp": unix_s() - 1}))});
    let expected = json!({"disconnect": {"code": 4501, "reason": "log in again"}});
    assert_eq!(refusal(&server, &expired), expected);

    let server = Server::start(&json!({"uni_http_stream": {"connect_code_to_http_response":
        {"enabled": true, "transforms": [
            {"code": 3500, "to": {"status_code": 401, "body": ""}},
            {"code": 109, "to": {"status_code": 419, "body": "{\"again\":true}"}}]}}}));
    let answer = |connect: Value| {
        let response = server.connect().post(PATH, &[], connect.to_string().as_bytes());
        (response.status, response.text())
    };
    assert_eq!(answer(json!({"token": "abc"})), (401, "invalid token".to_owned()));
    assert_eq!(answer(expired), (419, "{\"again\":true}".to_owned()));
    assert_eq!(answer(json!({})), (500, "Internal Server Error".to_owned()));
    server.session("42");
}

#[test]
fn bodies_are_read_as_the_contract_says() {
    let server = Server::start(&json!({
        "client": {"allow_anonymous_connect_without_token": true},
        "uni_http_stream": {"max_request_body_size": 200},
    }));
    let opened = |body: &[u8]| {
        let mut conn = server.connect();
        conn.send(&request("POST", PATH, &[], body));
        let status = conn.head().status;
        (status == 200).then(|| conn.chunk().expect("a line"));
        status
    };
    let padded = |len: usize| format!("{{\"name\":\"{}\"}}", "n".repeat(len - 11)).into_bytes();
    assert_eq!(padded(200).len(), 200);
    for (name, body, status) in [
        ("null is {}", b"null".to_vec(), 200),
        ("trailing bytes are ignored", b"{} trailing".to_vec(), 200),
        ("unknown fields are ignored", b"{\"x\":1}".to_vec(), 200),
        ("keys in any case", b"{\"NAME\":\"a\"}".to_vec(), 200),
        ("exactly the limit", padded(200), 200),
        ("one byte more", padded(201), 413),
        ("empty", Vec::new(), 400),
        ("malformed", b"{".to_vec(), 400),
        ("wrong type", b"{\"name\":1}".to_vec(), 400),
        ("an array", b"[]".to_vec(), 400),
    ] {
        assert_eq!(opened(&body), status, "{name}");
    }
    // A chunked body is a body.
    let mut conn = server.connect();
    conn.send(
        b"POST /connection/uni_http_stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
          \r\n2\r\n{}\r\n0\r\n\r\n",
    );
    assert_eq!(conn.head().status, 200);
}

#[test]
fn methods_and_paths_match_exactly() {
    let server = Server::start(&json!({}));
    let mut conn = server.connect();
    for (method, path, status) in [
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
        ("POST", "/connection/uni_http_stream/", 404),
        ("POST", "/nowhere", 404),
        ("OPTIONS", PATH, 204),
    ] {
        let response = conn.request(method, path, &[], b"");
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(response.header("allow"), None);
    }
    let off = Server::start(&json!({"uni_http_stream": {"enabled": false}}));
    assert_eq!(off.connect().post(PATH, &[], b"{}").status, 404);
    let moved = Server::start(&json!({"uni_http_stream": {"handler_prefix": "/in/"}}));
    assert_eq!(moved.connect().post("/in", &[], b"").status, 400);
}

#[test]
fn origins_get_their_headers_and_only_they() {
    let server = Server::start(&json!({"client": {"allowed_origins": ["https://*.example.com"]}}));
    let mut conn = server.connect();
    let asked =
        [("Origin", "https://app.example.com"), ("Access-Control-Request-Headers", "content-type")];
    let preflight = conn.request("OPTIONS", PATH, &asked, b"");
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-max-age", "300"),
        ("access-control-allow-methods", "POST, OPTIONS"),
    ] {
        assert_eq!(preflight.header(name), Some(value), "{name}");
    }
    // Refused origins are served; the browser keeps the answer from the page.
    for origin in ["https://example.org", "https://example.com"] {
        let answer = conn.post(PATH, &[("Origin", origin)], b"{}");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    let answer = conn.post(PATH, &[("Origin", "https://a.b.example.com")], b"{}");
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://a.b.example.com"));
}

#[test]
fn the_connection_survives_the_end_of_its_stream() {
    let server = Server::start(&json!({}));
    let mut stream = server.session("42");
    let first = stream.client();
    server.call("disconnect", json!({"user": "42", "disconnect": {"code": 4000, "reason": "go"}}));
    let last = stream.push_after_pings();
    assert_eq!(last, Some(json!({"disconnect": {"code": 4000, "reason": "go"}})));
    assert_eq!(stream.push(), None);
    let Stream { conn, .. } = stream;
    let mut again = Stream::open(conn, &json!({"token": token("42", json!({}))}));
    again.read_first();
    assert_ne!(again.client(), first);
    assert_eq!(server.listed("42"), [again.client()]);
}

#[test]
fn an_http_1_0_stream_ends_with_its_connection() {
    let server = Server::start(&json!({}));
    let body = connect_body("42");
    let mut conn = server.connect();
    conn.send(
        format!("POST {PATH} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
    );
    let head = conn.head();
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    let first: Value = serde_json::from_str(&conn.line()).expect("JSON");
    assert!(first["connect"]["client"].is_string());
    server.call("disconnect", json!({"user": "42"}));
    let last: Value = serde_json::from_str(&conn.line()).expect("JSON");
    assert_eq!(last["disconnect"]["code"], json!(3503));
    let mut rest = Vec::new();
    conn.reader.read_to_end(&mut rest).expect("the end");
    assert_eq!(rest, b"");
}

#[test]
fn a_peer_that_sends_everything_and_leaves_at_once_leaves_nothing_behind() {
    let server = Server::start(&json!({}));
    let mut conns: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for round in 0..100 {
        let conn = server.connect();
        let mut conn = conn;
        // Request and FIN may arrive as one event.
        conn.send(&request("POST", PATH, &[], connect_body("hasty").as_bytes()));
        conn.finish();
        let listing = &mut conns[round % 8];
        conn.reader.read_to_end(&mut Vec::new()).expect("the server closes too");
        eventually("the session is gone", || listed(listing, "hasty").is_empty().then_some(()));
    }
}
