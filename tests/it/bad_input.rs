//! Bad input over real sockets: each a clear refusal, and the server is as well as before.

use std::io::{Read, Write};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::harness::{Conn, KEY, SECRET, Server, request, sign, token, unix_s};

const STREAM: &str = "/connection/uni_http_stream";

/// Sends raw bytes; the status of the first answer, its text, and whether the server then closes.
fn answer(server: &Server, bytes: &[u8]) -> (u16, String, bool) {
    let mut conn = server.connect();
    conn.send(bytes);
    let response = conn.response();
    let text = response.text();
    conn.finish();
    (response.status, text, conn.is_closed())
}

fn is_well(server: &Server) {
    let stream = server.session("witness");
    assert_eq!(server.listed("witness"), [stream.client()]);
    while let Ok(line) = server.later.try_recv() {
        assert!(!line.contains("panic"), "{line}");
    }
}

#[test]
fn malformed_requests_are_refused_and_the_connection_closes() {
    let server = Server::start(&json!({}));
    let post = "POST /api/info HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\n";
    let cases: Vec<(&str, String, u16)> = vec![
        ("not HTTP", "hello\r\n\r\n".into(), 400),
        ("a TLS hello", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n".into(), 400),
        ("a bad method", "P@ST / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        ("HTTP/2 without upgrade", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ("HTTP/0.9", "GET /\r\n\r\n".into(), 505),
        ("no host", "POST /api/info HTTP/1.1\r\nContent-Length: 0\r\n\r\n".into(), 400),
        ("two hosts", "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
        ("a folded header", format!("{post}X: a\r\n b\r\n\r\n"), 400),
        ("space before the colon", format!("{post}X : a\r\n\r\n"), 400),
        ("no colon", format!("{post}X\r\n\r\n"), 400),
        ("NUL in a value", format!("{post}X: a\0b\r\n\r\n"), 400),
        ("bare CR", format!("{post}X: a\rb\r\n\r\n"), 400),
        (
            "both framings",
            format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{{}}"),
            400,
        ),
        ("two lengths", format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"), 400),
        ("a list of lengths", format!("{post}Content-Length: 2, 2\r\n\r\n{{}}"), 400),
        ("a signed length", format!("{post}Content-Length: +2\r\n\r\n{{}}"), 400),
        ("a negative length", format!("{post}Content-Length: -2\r\n\r\n{{}}"), 400),
        ("a huge length", format!("{post}Content-Length: 99999999999999999999\r\n\r\n"), 400),
        ("a hex length", format!("{post}Content-Length: 0x2\r\n\r\n{{}}"), 400),
        ("an unknown coding", format!("{post}Transfer-Encoding: gzip\r\n\r\n"), 501),
        (
            "chunked twice",
            format!("{post}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        ("chunked disguised", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501),
        (
            "chunked in 1.0",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            400,
        ),
        ("too many headers", format!("{post}{}\r\n", "X: y\r\n".repeat(100)), 431),
        ("a huge head", format!("{post}X: {}\r\n\r\n", "y".repeat(20_000)), 431),
        ("a head without end", format!("{post}X: {}", "y".repeat(20_000)), 431),
        ("an endless request line", format!("GET /{}", "y".repeat(20_000)), 431),
        (
            "an unknown expectation",
            format!("{post}Expect: miracles\r\nContent-Length: 0\r\n\r\n"),
            417,
        ),
    ];
    for (name, bytes, status) in cases {
        let (got, text, closed) = answer(&server, bytes.as_bytes());
        assert_eq!(got, status, "{name}: {text}");
        assert!(text.len() > 8, "{name} says nothing: {text:?}");
        assert!(closed, "{name}: the connection stays open");
    }
    is_well(&server);
}

#[test]
fn a_smuggled_request_is_never_served() {
    let server = Server::start(&json!({}));
    let witness = server.session("42");
    let body = json!({"user": "42"}).to_string();
    let hidden = format!(
        "POST /api/disconnect HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for front in [
        "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 4\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: x\r\nX: a\nContent-Length: 3\r\n\r\n",
    ] {
        let mut conn = server.connect();
        conn.send(format!("{front}{hidden}").as_bytes());
        let first = conn.response();
        assert!((400..600).contains(&first.status), "{front:?}");
        conn.finish();
        assert!(conn.is_closed(), "{front:?}: something behind it was answered");
    }
    assert_eq!(server.listed("42"), [witness.client()]);
    is_well(&server);
}

#[test]
fn bad_chunks_are_refused() {
    let server = Server::start(&json!({}));
    let head = format!("POST {STREAM} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (name, chunks, status) in [
        ("no size", "\r\n{}\r\n0\r\n\r\n", 400),
        ("not hex", "zz\r\n{}\r\n0\r\n\r\n", 400),
        ("a signed size", "+2\r\n{}\r\n0\r\n\r\n", 400),
        ("a prefixed size", "0x2\r\n{}\r\n0\r\n\r\n", 400),
        ("a size beyond numbers", "fffffffffffffffff\r\n", 400),
        ("a size beyond the limit", "fffffff\r\n", 413),
        ("no CRLF after the chunk", "2\r\n{}X\r\n0\r\n\r\n", 400),
        ("bare LF", "2\n{}\n0\n\n", 400),
    ] {
        let (got, text, closed) = answer(&server, format!("{head}{chunks}").as_bytes());
        assert_eq!(got, status, "{name}: {text}");
        assert!(closed, "{name}");
    }
    is_well(&server);
}

#[test]
fn slow_requests_run_out_of_time_and_idle_connections_are_closed() {
    let server = Server::start(&json!({"client": {"stale_close_delay": "1s"}}));
    let mut slow_head = server.connect();
    slow_head.send(b"POST /api/info HTTP/1.1\r\nHost");
    let mut silent = server.connect();
    // A byte now and then does not extend the time of a head.
    for _ in 0..8 {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let _closed = slow_head.reader.get_mut().write_all(b"x");
    }
    assert_eq!(slow_head.head().status, 408);
    assert!(silent.is_closed());
    is_well(&server);
}

#[test]
fn bad_json_is_refused_with_its_reason_and_nothing_runs() {
    let server = Server::start(&json!({}));
    // Well-formed, so that nothing but the depth is wrong with them.
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(8_000), "}".repeat(8_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("not JSON", b"hello".to_vec()),
        ("cut", b"{\"user\":\"42\"".to_vec()),
        ("a wrong type", b"{\"user\":{}}".to_vec()),
        ("a number", b"{\"user\":42}".to_vec()),
        ("an array", b"[]".to_vec()),
        ("a string", b"\"x\"".to_vec()),
        ("deep arrays", deep.clone().into_bytes()),
        ("deep objects", deep_object.clone().into_bytes()),
        ("deep inside", format!("{{\"x\":{deep}}}").into_bytes()),
        ("invalid UTF-8", b"{\"user\":\"\xff\xfe\"}".to_vec()),
        ("a lone surrogate", b"{\"user\":\"\\ud800\"}".to_vec()),
        ("a control character", b"{\"user\":\"\x01\"}".to_vec()),
        ("nothing", Vec::new()),
        ("two values", b"{\"user\":\"42\"}{\"user\":\"42\"}".to_vec()),
    ];
    for (name, body) in cases {
        let response = server.connect().post("/api/connections", &[("X-API-Key", KEY)], &body);
        let refused = response.status == 400
            || response.status == 200 && response.json()["error"]["code"] == json!(107);
        assert!(refused, "{name}: {} {}", response.status, response.text());
        assert!(response.text().len() > 12, "{name} says nothing: {:?}", response.text());
        let mut old = b"{\"method\":\"connections\",\"params\":".to_vec();
        old.extend_from_slice(&body);
        old.push(b'}');
        let response = server.connect().post("/api", &[("X-API-Key", KEY)], &old);
        let refused = response.status == 400
            || response.status == 200 && response.json()["error"]["code"] == json!(107);
        assert!(refused, "{name} on the old route: {} {}", response.status, response.text());
    }
    for (name, body) in [
        ("deep data", format!("{{\"data\":{deep}}}").into_bytes()),
        ("deep objects", format!("{{\"data\":{deep_object}}}").into_bytes()),
        ("invalid UTF-8", b"{\"name\":\"\xff\"}".to_vec()),
    ] {
        let status = server.connect().post(STREAM, &[], &body).status;
        assert_eq!(status, 400, "{name}");
    }
    is_well(&server);
}

#[test]
fn bodies_beyond_the_limit_are_refused_before_they_are_read() {
    let server = Server::start(&json!({}));
    let mut conn = server.connect();
    conn.send(
        format!("POST {STREAM} HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n").as_bytes(),
    );
    assert_eq!(conn.response().status, 413);
    let mut conn = server.connect();
    conn.send(b"POST /api/info HTTP/1.1\r\nHost: x\r\nContent-Length: 700000000\r\n\r\n");
    assert_eq!(conn.response().status, 401, "the key is asked for first");
    let mut conn = server.connect();
    let head = format!("POST /api/info HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n");
    conn.send(format!("{head}Content-Length: 700000000\r\n\r\n").as_bytes());
    let refusal = conn.response();
    let why = "the request body is larger than 1048576 bytes (http_api.max_request_body_size)\n";
    assert_eq!((refusal.status, refusal.text().as_str()), (413, why));
    // With a client that asks first, the refusal comes instead of the go-ahead.
    let mut conn = server.connect();
    conn.send(
        format!("{head}Expect: 100-continue\r\nContent-Length: 700000000\r\n\r\n").as_bytes(),
    );
    assert_eq!(conn.response().status, 413);
    let mut conn = server.connect();
    conn.send(format!("{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n").as_bytes());
    assert_eq!(conn.head().status, 100);
    conn.send(b"{}");
    assert_eq!(conn.response().status, 200);
    is_well(&server);
}

#[test]
fn bad_tokens_are_invalid_tokens() {
    let server = Server::start(&json!({}));
    let good = token("42", json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let encode = |value: &Value| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let claims = json!({"sub": "42", "exp": unix_s() + 3600});
    let none = |alg: &str| format!("{}.{}.", encode(&json!({"alg": alg, "typ": "JWT"})), parts[1]);
    let flipped = |part: &str| {
        let mut part = part.as_bytes().to_vec();
        part[4] = if part[4] == b'A' { b'B' } else { b'A' };
        String::from_utf8(part).expect("text")
    };
    let cases = [
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("alg none, signed", format!("{}{}", none("none"), parts[2])),
        (
            "alg RS256 with our secret",
            format!("{}.{}.{}", encode(&json!({"alg": "RS256"})), parts[1], parts[2]),
        ),
        ("no algorithm", format!("{}.{}.{}", encode(&json!({})), parts[1], parts[2])),
        ("other claims", format!("{}.{}.{}", parts[0], encode(&json!({"sub": "admin"})), parts[2])),
        ("a flipped signature", format!("{}.{}.{}", parts[0], parts[1], flipped(parts[2]))),
        ("a cut signature", format!("{}.{}.{}", parts[0], parts[1], &parts[2][..40])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.x")),
        ("padding", format!("{good}=")),
        ("a space", format!("{good} ")),
        ("another secret", sign(Algorithm::HS256, "another", &claims)),
        ("claims that are no object", sign(Algorithm::HS256, SECRET, &json!([1]))),
        ("exp that is no date", sign(Algorithm::HS256, SECRET, &json!({"sub": "42", "exp": {}}))),
        ("not base64", "eyJ!.eyJ!.!".to_owned()),
        ("dots", "...".to_owned()),
        ("emoji", "eyJ🦀.🦀.🦀".to_owned()),
        ("long", format!("eyJ{}", "a".repeat(60_000))),
    ];
    let expected = json!({"disconnect": {"code": 3500, "reason": "invalid token"}});
    for (name, token) in cases {
        let body = json!({"token": token}).to_string();
        let response = server.connect().post(STREAM, &[], body.as_bytes());
        assert_eq!(response.status, 200, "{name}");
        assert_eq!(response.json(), expected, "{name}");
    }
    let megabyte = json!({"token": "a".repeat(1024 * 1024)}).to_string();
    let mut conn = server.connect();
    // The answer may come, and the connection close, before all of it is sent.
    let _cut = conn.reader.get_mut().write_all(&request("POST", STREAM, &[], megabyte.as_bytes()));
    assert_eq!(conn.head().status, 413);
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        server.session_with(json!({"token": sign(algorithm, SECRET, &claims)}));
    }
    is_well(&server);
}

#[test]
fn many_bad_connections_leave_no_memory_behind() {
    let server = Server::start(&json!({"client": {"stale_close_delay": "1s"}}));
    let round = || {
        let mut conns: Vec<Conn> = (0..300).map(|_| server.connect()).collect();
        for (at, conn) in conns.iter_mut().enumerate() {
            let _cut = match at % 4 {
                0 => conn.reader.get_mut().write_all(&[b'x'; 8_000]),
                1 => {
                    conn.reader.get_mut().write_all(&request("POST", STREAM, &[], &[b'['; 60_000]))
                }
                2 => conn.reader.get_mut().write_all(
                    format!("POST {STREAM} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{{")
                        .as_bytes(),
                ),
                _ => Ok(()),
            };
        }
        for conn in &mut conns {
            if conn.reader.get_ref().shutdown(std::net::Shutdown::Write).is_ok() {
                let _reset = conn.reader.read_to_end(&mut Vec::new());
            }
        }
    };
    round();
    let after_first = server.rss();
    for _ in 0..4 {
        round();
    }
    assert!(server.rss() < after_first + 8 * 1024 * 1024, "{} from {after_first}", server.rss());
    is_well(&server);
}

#[test]
fn a_body_with_more_commands_than_the_operator_allows_is_refused_and_names_the_option() {
    let server = Server::start(&json!({"http_api": {"max_commands": 2}}));
    let key = [("X-API-Key", KEY)];
    let legacy = |commands: usize| r#"{"method":"info"}"#.repeat(commands);
    let batch =
        |commands: usize| json!({"commands": vec![json!({"info": {}}); commands]}).to_string();
    for (path, two, three) in [("/api", legacy(2), legacy(3)), ("/api/batch", batch(2), batch(3))] {
        assert_eq!(server.connect().post(path, &key, two.as_bytes()).status, 200, "{path}");
        let refusal = server.connect().post(path, &key, three.as_bytes());
        let text = refusal.text();
        assert_eq!(refusal.status, 400, "{path}: {text}");
        assert!(text.contains("more than 2 commands (http_api.max_commands)"), "{text}");
    }
}
