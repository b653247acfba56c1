//! The server API over real HTTP: keys, grammars, commands, errors, pipelining.

use serde_json::{Value, json};

use crate::harness::{KEY, Server, Stream, eventually, request, token, unix_s};

fn legacy(server: &Server, body: &str) -> (u16, String) {
    let response = server.connect().post("/api", &[("X-API-Key", KEY)], body.as_bytes());
    (response.status, response.text())
}

fn full_session(server: &Server, user: &str) -> Stream {
    let claims = json!({
        "jti": "db8bc772-2654-4283-851a-f29b888ace74", "iat": unix_s() - 60,
        "meta": {"device": "phone", "n": 1.50, "text": "a<b>&\u{2028}"},
    });
    server.session_with(json!({"token": token(user, claims), "name": "ios", "version": "1.2.3"}))
}

#[test]
fn the_key_comes_in_three_ways_and_is_asked_for() {
    let server = Server::start(&json!({}));
    let status = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let response = server.connect().request(method, path, headers, b"{}");
        assert!(response.status == 200 || response.body.is_empty(), "{}", response.text());
        let allowed = (response.status == 405).then_some("POST");
        assert_eq!(response.header("allow"), allowed);
        response.status
    };
    let bearer = format!("apikey {KEY}");
    let mixed = format!("APIKEY   {KEY}");
    let query = format!("/api/info?api_key={}", KEY.replace(' ', "%20"));
    let plus = format!("/api/info?a=b&api_key={}", KEY.replace(' ', "+"));
    for (method, path, headers, expected) in [
        ("POST", "/api/info", vec![("X-API-Key", KEY)], 200),
        ("POST", "/api/info", vec![("Authorization", bearer.as_str())], 401),
        ("POST", query.as_str(), vec![], 200),
        ("POST", plus.as_str(), vec![], 200),
        ("POST", "/api/info", vec![], 401),
        ("POST", "/api/info", vec![("X-API-Key", "wrong")], 401),
        ("POST", "/api/info", vec![("Authorization", "apikey wrong")], 401),
        ("POST", "/api/info", vec![("Authorization", "Bearer x")], 401),
        ("POST", "/api/info?api_key=wrong", vec![], 401),
        ("GET", "/api/info", vec![], 405),
        ("OPTIONS", "/api/info", vec![], 405),
        ("GET", "/api", vec![], 405),
    ] {
        assert_eq!(status(method, path, &headers), expected, "{method} {path} {headers:?}");
    }
    drop(mixed);
    // A key without spaces, as genconfig makes them, fits the header's two words.
    let server = Server::start(&json!({"http_api": {"key": "k-1"}}));
    for value in ["apikey k-1", "APIKEY   k-1"] {
        let headers = [("Authorization", value)];
        assert_eq!(server.connect().post("/api/info", &headers, b"{}").status, 200, "{value}");
    }
    // X-API-Key decides alone when it is there.
    let both = [("X-API-Key", "wrong"), ("Authorization", "apikey k-1")];
    assert_eq!(server.connect().post("/api/info", &both, b"{}").status, 401);
}

#[test]
fn no_key_admits_nobody_unless_the_api_is_insecure() {
    let server = Server::start(&json!({"http_api": {"key": ""}}));
    assert_eq!(server.connect().post("/api/info", &[("X-API-Key", "")], b"{}").status, 401);
    assert_eq!(server.connect().post("/api/info?api_key=", &[], b"{}").status, 401);
    let server = Server::start(&json!({"http_api": {"key": "", "insecure": true}}));
    assert_eq!(server.connect().post("/api/info", &[], b"{}").status, 200);
    let server = Server::start(&json!({"http_api": {"disabled": true}}));
    assert_eq!(server.connect().post("/api/info", &[], b"{}").status, 404);
    assert_eq!(server.connect().post("/api", &[], b"{}").status, 404);
}

#[test]
fn the_listing_has_both_of_its_forms() {
    let server = Server::start(&json!({}));
    let full = full_session(&server, "42");
    let plain = server.session_with(json!({"token": token("42", json!({}))}));
    let flat = server.call("user_connections", json!({"user": "42"}));
    let connections = &flat["result"]["connections"];
    assert_eq!(connections.as_object().map(serde_json::Map::len), Some(2), "{flat}");
    let issued = connections[full.client()]["token_issued_at"].as_i64().expect("a time");
    assert!((unix_s() - issued - 60).abs() < 30);
    assert_eq!(
        connections[full.client()],
        json!({"app_name": "ios", "app_version": "1.2.3", "transport": "uni_http_stream",
            "protocol": "json", "token_uid": "db8bc772-2654-4283-851a-f29b888ace74",
            "token_issued_at": issued,
            "meta": {"device": "phone", "n": 1.5, "text": "a<b>&\u{2028}"}})
    );
    assert_eq!(
        connections[plain.client()],
        json!({"transport": "uni_http_stream", "protocol": "json"})
    );

    let nested = server.call("connections", json!({"user": "42", "expression": ""}));
    let info = &nested["result"]["connections"][full.client()];
    let connected = info["connected_at_ms"].as_i64().expect("a time");
    assert!((unix_s() * 1000 - connected).abs() < 60_000);
    assert_eq!(
        *info,
        json!({"app_name": "ios", "app_version": "1.2.3", "transport": "uni_http_stream",
            "protocol": "json", "user": "42", "connected_at_ms": connected,
            "ping_pong_latency_ms": -1, "remote_addr": "127.0.0.1",
            "state": {"connection_token":
                {"uid": "db8bc772-2654-4283-851a-f29b888ace74", "issued_at": issued},
                "meta": {"device": "phone", "n": 1.5, "text": "a<b>&\u{2028}"}}})
    );
    let info = &nested["result"]["connections"][plain.client()];
    assert_eq!(info.get("state"), None, "{info}");
}

#[test]
fn meta_is_written_as_the_client_library_in_go_would_write_it() {
    let server = Server::start(&json!({}));
    let stream = full_session(&server, "42");
    let (_, text) = legacy(&server, r#"{"method":"user_connections","params":{"user":"42"}}"#);
    let meta = r#""meta":{"device":"phone","n":1.5,"text":"a\u003cb\u003e\u0026\u2028"}"#;
    assert!(text.contains(meta), "{text}");
    assert!(text.contains(&stream.client()), "{text}");
}

#[test]
fn nobody_is_an_empty_map() {
    let server = Server::start(&json!({}));
    let empty = json!({"result": {"connections": {}}});
    assert_eq!(server.call("user_connections", json!({"user": "nobody"})), empty);
    assert_eq!(server.call("connections", json!({"user": "nobody"})), empty);
}

#[test]
fn the_old_route_takes_many_commands_in_one_body() {
    let server = Server::start(&json!({}));
    let stream = server.session("42");
    let client = stream.client();
    let listing = format!(
        r#"{{"connections":{{"{client}":{{"app_name":"test","transport":"uni_http_stream","protocol":"json"}}}}}}"#
    );
    for (body, expected) in [
        (
            r#"{"method":"user_connections","params":{"user":"42"}}"#,
            format!(r#"{{"result":{listing}}}"#),
        ),
        (
            r#"{"id":7,"method":"USER_connections","params":{"user":"42"}}
               {"id":8,"method":"user_connections","params":{"user":"7"}}"#,
            format!(
                "{{\"id\":7,\"result\":{listing}}}\n{{\"id\":8,\"result\":{{\"connections\":{{}}}}}}"
            ),
        ),
        (
            r#"{"method":"user_connections","params":{}}{"method":"user_connections","params":{"user":"42"}}"#,
            format!("<error 107>\n{{\"result\":{listing}}}"),
        ),
        (r#"{"id":1,"method":99,"params":{}}"#, "<error 104>".to_owned()),
        (r#"{"method":"device_list","params":{"user":"42"}}"#, "<error 104>".to_owned()),
        (r#"{"method":"user_connections"}"#, "<error 107>".to_owned()),
        (r#"{"method":"user_connections","params":[]}"#, "<error 107>".to_owned()),
        (r#"{"method":"user_connections","params":{"user":42}}"#, "<error 107>".to_owned()),
    ] {
        let (status, text) = legacy(&server, body);
        assert_eq!(status, 200, "{body}: {text}");
        let shown: Vec<String> = text
            .split('\n')
            .map(|line| {
                let reply: Value = serde_json::from_str(line).expect("JSON");
                match reply["error"]["code"].as_i64() {
                    Some(code) => format!("<error {code}>"),
                    None => line.to_owned(),
                }
            })
            .collect();
        assert_eq!(shown.join("\n"), expected, "{body}");
    }
}

#[test]
fn a_body_that_cannot_be_read_runs_nothing() {
    let server = Server::start(&json!({}));
    let stream = server.session("42");
    for body in [
        "",
        "{",
        "[]",
        r#"{"method":"nonsense","params":{}}"#,
        r#"{"method":"14","params":{"user":"42"}}"#,
        r#"{"params":{"user":"42"}}"#,
        r#"{"method":"disconnect","params":{"user":"42"}} {"method":"#,
        r#"{"method":"disconnect","params":{"user":"42"}} garbage"#,
    ] {
        let (status, text) = legacy(&server, body);
        assert_eq!(status, 400, "{body}: {text}");
        assert!(text.len() > 12, "says nothing: {text:?}");
        assert_eq!(server.listed("42"), [stream.client()], "{body} ran");
    }
}

#[test]
fn disconnect_takes_every_selector_and_tells_the_client() {
    let server = Server::start(&json!({}));
    let open = |n: usize| (0..n).map(|_| server.session("42")).collect::<Vec<_>>();
    let disconnect = |closed: usize, params: Value| {
        let receipt = json!({"matched": closed, "closed": closed});
        assert_eq!(server.call("disconnect", params), json!({"result": receipt}));
    };
    let mut streams = open(3);
    // By client id, with and without its user; another user's name narrows to nothing.
    disconnect(0, json!({"user": "43", "client": streams[0].client()}));
    assert_eq!(server.listed("42").len(), 3);
    disconnect(1, json!({"client": streams[0].client()}));
    disconnect(
        1,
        json!({"user": "42", "client": streams[1].client(), "disconnect":
        {"code": 4001, "reason": "bye"}}),
    );
    let mut told = |at: usize| streams[at].push_after_pings().expect("a last line");
    assert_eq!(told(0), json!({"disconnect": {"code": 3503, "reason": "force disconnect"}}));
    assert_eq!(told(1), json!({"disconnect": {"code": 4001, "reason": "bye"}}));
    assert_eq!(server.listed("42"), [streams[2].client()]);
    // By session id.
    disconnect(1, json!({"session": streams[2].session()}));
    assert!(server.listed("42").is_empty());
    // All but some.
    let streams = open(4);
    let keep = [streams[1].client(), streams[3].client()];
    disconnect(2, json!({"user": "42", "whitelist": keep}));
    let mut left = server.listed("42");
    left.sort();
    let mut expected = keep.to_vec();
    expected.sort();
    assert_eq!(left, expected);
    // Nobody there is no error.
    disconnect(0, json!({"user": "nobody"}));
    disconnect(0, json!({"client": "00000000-0000-4000-8000-000000000000"}));
    // Nobody named is.
    for params in [
        json!({}),
        json!({"whitelist": []}),
        json!({"user": "42", "disconnect": {"code": 4001, "reason": "r".repeat(124)}}),
        json!({"user": "42", "client": "no id"}),
    ] {
        let answer = server.call("disconnect", params.clone());
        assert_eq!(answer["error"]["code"], json!(107), "{params}: {answer}");
    }
    // A condition is never ignored: that would close too many.
    let params = json!({"user": "42", "label_filter": {"key": "a", "cmp": "eq", "val": "b"}});
    disconnect(0, params);
    assert_eq!(server.listed("42").len(), 2);
}

#[test]
fn a_batch_answers_each_command_and_sees_its_own_effects() {
    let server = Server::start(&json!({}));
    let streams: Vec<_> = (0..4).map(|_| server.session("42")).collect();
    let batch = server.call(
        "batch",
        json!({"commands": [
            {"connections": {"user": "42"}},
            {"disconnect": {"user": "42"}},
            {"connections": {"user": "42"}},
            {"publish": {"channel": "news", "data": {}}},
            {"nonsense": {}},
            null,
            {"info": {}},
        ]}),
    );
    let replies = batch["replies"].as_array().expect("replies");
    assert_eq!(replies.len(), 7, "{batch}");
    let count = |at: usize| replies[at]["connections"]["connections"].as_object().map(|c| c.len());
    assert_eq!(count(0), Some(streams.len()), "{batch}");
    assert_eq!(replies[1], json!({"disconnect": {"matched": 4, "closed": 4}}), "{batch}");
    assert_eq!(count(2), Some(0), "{batch}");
    let codes: Vec<_> = (3..6).map(|at| replies[at]["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(108), json!(104), json!(107)], "{batch}");
    assert_eq!(replies[6]["info"]["nodes"][0]["num_clients"], json!(0), "{batch}");
}

#[test]
fn info_counts_the_node() {
    let server = Server::start(&json!({"node": {"name": "a node"}}));
    let _streams: Vec<_> = ["1", "1", "2"].map(|user| server.session(user)).into();
    let info = server.call("info", json!({}));
    let node = &info["result"]["nodes"][0];
    assert_eq!(info["result"]["nodes"].as_array().map(Vec::len), Some(1));
    for (key, value) in [
        ("name", json!("a node")),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("num_clients", json!(3)),
        ("num_users", json!(2)),
        ("num_channels", json!(0)),
        ("num_subs", json!(0)),
    ] {
        assert_eq!(node[key], value, "{key} in {node}");
    }
    assert_eq!(node["uid"].as_str().map(str::len), Some(36));
}

#[test]
fn errors_become_statuses_where_that_is_wanted() {
    let by_header = Server::start(&json!({}));
    let by_config = Server::start(&json!({"http_api": {"error_mode": "transport"}}));
    let with = [("X-API-Key", KEY), ("X-Centrifugo-Error-Mode", "transport")];
    for (server, headers) in [(&by_header, &with[..]), (&by_config, &with[..1])] {
        let mut conn = server.connect();
        for (path, body, status, code) in [
            ("/api/user_connections", "{}", 400, 107),
            ("/api/publish", "{}", 400, 108),
            ("/api/device_list", "{}", 404, 104),
        ] {
            let response = conn.post(path, headers, body.as_bytes());
            assert_eq!(response.status, status, "{path}");
            assert_eq!(response.json()["code"], json!(code), "{path}");
            assert!(response.json()["message"].is_string(), "{path}");
        }
        let legacy = conn.post("/api", headers, br#"{"method":"disconnect","params":{}}"#);
        assert_eq!((legacy.status, &legacy.json()["error"]["code"]), (200, &json!(107)));
    }
    let plain = by_header.call("user_connections", json!({}));
    assert_eq!(plain["error"]["code"], json!(107));
    let unknown = by_header.connect().post("/api/nonsense", &[("X-API-Key", KEY)], b"{}");
    assert_eq!((unknown.status, unknown.text().as_str()), (404, "404 page not found\n"));
}

#[test]
fn pipelined_answers_come_in_the_order_of_their_questions() {
    const QUESTIONS: usize = 500;
    let server = Server::start(&json!({}));
    let streams: Vec<_> = (0..8).map(|n| server.session(&format!("user-{n}"))).collect();
    let mut conn = server.connect();
    let mut bytes = Vec::new();
    for n in 0..QUESTIONS {
        let body = json!({"user": format!("user-{}", n % 8)}).to_string();
        // Plain answers stand between those that wait for other shards.
        let (path, body) =
            if n % 11 == 0 { ("/nowhere", "") } else { ("/api/connections", &*body) };
        bytes.extend(request("POST", path, &[("X-API-Key", KEY)], body.as_bytes()));
    }
    let mut writer = conn.reader.get_ref().try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut writer, &bytes).expect("all sent"));
        for n in 0..QUESTIONS {
            let response = conn.response();
            if n % 11 == 0 {
                assert_eq!(response.status, 404, "answer {n}");
                continue;
            }
            let answer = response.json();
            let listed = answer["result"]["connections"].as_object().expect("a listing");
            let ids: Vec<_> = listed.keys().cloned().collect();
            assert_eq!(ids, [streams[n % 8].client()], "answer {n}");
        }
    });
}

#[test]
fn a_client_that_asks_and_never_reads_is_slowed_down_not_buffered() {
    let server = Server::start(&json!({}));
    let _streams: Vec<_> = (0..200).map(|_| server.session("42")).collect();
    let before = server.rss();
    let mut conn = server.connect();
    conn.reader.get_ref().set_nonblocking(true).expect("non-blocking");
    let question = request(
        "POST",
        "/api",
        &[("X-API-Key", KEY)],
        br#"{"method":"user_connections","params":{"user":"42"}}"#,
    );
    // Until the server stops reading: its receive buffer and ours are full.
    let mut sent = 0;
    let mut stuck = 0;
    while stuck < 50 {
        match std::io::Write::write(conn.reader.get_mut(), &question) {
            Ok(len) => {
                sent += len;
                stuck = 0;
            }
            Err(_) => {
                stuck += 1;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        assert!(sent < 512 * 1024 * 1024, "the server reads without end");
    }
    assert!(server.rss() < before + 32 * 1024 * 1024, "{} from {before}", server.rss());
    drop(conn);
    // And it serves others all the while.
    assert_eq!(server.listed("42").len(), 200);
}

#[test]
fn an_internal_port_keeps_the_api_off_the_public_one() {
    let server = Server::start(&json!({
        "http_server": {"internal_address": "127.0.0.1", "internal_port": 0},
        "health": {"enabled": true},
    }));
    let [external, internal] = server.addresses[..] else { panic!("two addresses") };
    let status = |address, path| {
        let mut conn = crate::harness::Conn::to(address);
        conn.post(path, &[("X-API-Key", KEY)], b"{}").status
    };
    for (path, outside, inside) in [
        ("/api/info", 404, 200),
        ("/api", 404, 400),
        ("/health", 404, 200),
        ("/connection/uni_http_stream", 200, 404),
    ] {
        assert_eq!((status(external, path), status(internal, path)), (outside, inside), "{path}");
    }
}

#[test]
fn an_answer_that_is_owed_survives_the_end_of_its_question() {
    let server = Server::start(&json!({}));
    let _streams: Vec<_> = (0..6).map(|_| server.session("42")).collect();
    for _ in 0..50 {
        let mut conn = server.connect();
        let body = br#"{"method":"user_connections","params":{"user":"42"}}"#;
        conn.send(&request("POST", "/api", &[("X-API-Key", KEY)], body));
        conn.finish();
        let answer = conn.response().json();
        assert_eq!(answer["result"]["connections"].as_object().map(serde_json::Map::len), Some(6));
        assert!(conn.is_closed());
    }
    eventually("nothing is left", || {
        (server.call("info", json!({}))["result"]["nodes"][0]["num_clients"] == 6).then_some(())
    });
}
