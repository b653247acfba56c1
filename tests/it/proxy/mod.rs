//! A backend says who a client is: the connect proxy, asked by the real server, answered by a real
//! backend that answers, refuses, fails, hangs, and comes back.

mod backend;
mod refresh;

use serde_json::{Value, json};

use self::backend::Backend;
use crate::harness::{Server, Stream, eventually, overlay, unix_s};
use crate::pair::certificate;
use crate::socket::{Heard, Socket};

/// A server that asks this backend.
fn server(backend: &Backend, more: &Value) -> Server {
    server_at(&backend.url(), more)
}

fn server_at(url: &str, more: &Value) -> Server {
    let mut connect = json!({"enabled": true, "endpoint": url, "timeout": "20s"});
    overlay(&mut connect, more);
    Server::start(&json!({"client": {"proxy": {"connect": connect}}}))
}

/// What a bidirectional client is told that has this for the backend.
fn connect(server: &Server, data: &Value) -> (Socket, Value) {
    connect_with(server, &[], &json!({"data": data}))
}

fn connect_with(server: &Server, headers: &[(&str, &str)], request: &Value) -> (Socket, Value) {
    let mut socket = Socket::open(server, "websocket", headers);
    socket.say(&json!({"id": 1, "connect": request}));
    let reply = match socket.hear() {
        Heard::Text(text) => serde_json::from_str(&text).expect("JSON"),
        Heard::Closed(code, reason) => json!({"disconnect": {"code": code, "reason": reason}}),
        other @ (Heard::Binary(_) | Heard::Ping | Heard::Cut) => panic!("{other:?}"),
    };
    (socket, reply)
}

/// What a unidirectional client is told that has this for the backend.
fn connect_uni(server: &Server, data: &Value) -> Value {
    server.session_raw(&json!({"data": data}))
}

fn answer(result: &Value) -> Value {
    json!({"body": {"result": result}})
}

#[test]
fn a_client_is_who_its_backend_says_over_every_kind_of_transport() {
    let backend = Backend::start();
    let server = server(&backend, &json!({}));
    let data = answer(&json!({
        "user": "ann", "expire_at": unix_s() + 1_000, "data": {"hello": [1]},
        "meta": {"secret": true}, "labels": {"region": "eu"}, "channels": ["c"],
        "subs": {"d": {}}, "info": {"i": 1}, "b64info": "eA==",
    }));
    let request = json!({"data": data, "name": "app", "version": "2", "subs": {"c": {}}});
    let (_socket, reply) = connect_with(&server, &[], &request);
    let asked = backend.next();
    let question = &asked["question"];
    let client = reply["connect"]["client"].as_str().expect("a client id");
    assert_eq!(
        *question,
        json!({
            "client": client, "transport": "websocket", "protocol": "json", "encoding": "json",
            "data": data, "name": "app", "version": "2", "channels": ["c"],
        })
    );
    assert_eq!(reply["connect"]["data"], json!({"hello": [1]}));
    assert_eq!(
        (&reply["connect"]["expires"], &reply["connect"]["subs"]),
        (&json!(true), &Value::Null)
    );
    assert!(!reply.to_string().contains("secret"), "{reply}");

    let mut uni = Stream::open(server.connect(), &json!({"data": data}));
    uni.read_first();
    assert_eq!(backend.next()["question"]["client"], uni.client());
    assert_eq!(uni.first["connect"]["data"], json!({"hello": [1]}));

    let listed = server.call("connections", json!({"user": "ann"}));
    for client in [client, &uni.client()] {
        let session = &listed["result"]["connections"][client];
        assert_eq!(session["state"]["meta"], json!({"secret": true}), "{listed}");
    }
}

#[test]
fn what_goes_along_is_what_was_asked_for_and_real_headers_win() {
    let backend = Backend::start();
    let more = json!({
        "http_headers": ["Cookie", "X-Both", "Authorization"],
        "emulated_headers": ["X-Said", "X-Both"],
        "http": {"static_headers": {"X-Static": "s", "X-Said": "static"}},
    });
    let server = server(&backend, &more);
    let headers = [("Cookie", "c=1"), ("X-Both", "real"), ("X-Private", "p")];
    let said =
        json!({"X-Said": "said", "X-Both": "said", "Authorization": "said", "Cookie": "said"});
    let request = json!({"headers": said, "data": answer(&json!({"user": "ann"}))});
    let (_socket, reply) = connect_with(&server, &headers, &request);
    assert!(reply["connect"].is_object(), "{reply}");
    let asked = backend.next();
    let had = |name: &str| {
        let all = asked["headers"].as_array().expect("headers").iter();
        all.filter(|header| header[0] == name).map(|header| header[1].clone()).collect::<Vec<_>>()
    };
    for (name, values) in [
        ("cookie", &["c=1"][..]),
        ("x-both", &["real"]),
        ("x-said", &["said"]),
        ("x-static", &["s"]),
        ("x-private", &[]),
        ("authorization", &[]),
        ("content-type", &["application/json"]),
    ] {
        assert_eq!(had(name), values, "{name}: {}", asked["headers"]);
    }
}

#[test]
fn names_of_old_versions_mean_the_same() {
    let backend = Backend::start();
    let flat = json!({
        "proxy_connect_endpoint": backend.url(), "proxy_connect_timeout": "20s",
        "proxy_http_headers": ["Cookie"], "proxy_static_http_headers": {"X-Key": "k"},
        "proxy_binary_encoding": true,
    });
    let named = json!({
        "granular_proxy_mode": true, "connect_proxy_name": "auth", "proxies": [{
            "name": "auth", "endpoint": backend.url(), "timeout": "20s",
            "http_headers": ["Cookie"], "static_http_headers": {"X-Key": "k"},
            "binary_encoding": true,
        }],
    });
    for config in [flat, named] {
        check_old_names(&backend, &Server::start(&config));
    }
}

#[track_caller]
fn check_old_names(backend: &Backend, server: &Server) {
    let data = answer(&json!({"user": "ann", "b64data": "eyJhIjoxfQ=="}));
    let request = json!({"data": data});
    let (_socket, reply) = connect_with(server, &[("Cookie", "c=1")], &request);
    assert_eq!(reply["connect"]["data"], json!({"a": 1}), "{reply}");
    let asked = backend.next();
    assert_eq!(asked["question"]["encoding"], "binary");
    assert_eq!(asked["question"]["data"], Value::Null);
    let headers = asked["headers"].to_string();
    assert!(headers.contains(r#"["cookie","c=1"]"#) && headers.contains(r#"["x-key","k"]"#));
}

/// What a client hears of an answer: an error where one can be told, else a disconnect.
#[track_caller]
fn check_refused(server: &Server, data: &Value, error: &Value, uni: (u32, &str)) {
    let (_socket, reply) = connect(server, data);
    if error["disconnect"].is_null() {
        assert_eq!(reply["error"], *error, "{data}");
    } else {
        assert_eq!(reply["disconnect"]["code"], error["disconnect"], "{data}");
    }
    let told = connect_uni(server, data);
    assert_eq!(told, json!({"disconnect": {"code": uni.0, "reason": uni.1}}), "{data}");
}

#[test]
fn a_refusal_is_told_as_it_is_and_a_failure_as_one_that_may_pass() {
    let backend = Backend::start();
    let more = json!({
        "http": {"status_to_code_transforms": [
            {"status_code": 404, "to_error": {"code": 404, "message": "gone"}},
            {"status_code": 503, "to_disconnect": {"code": 4503, "reason": "later"}},
        ]},
    });
    let server = server(&backend, &more);
    let internal = json!({"code": 100, "message": "internal server error", "temporary": true});
    let failed = (3004, "internal server error");
    for data in [
        json!({"status": 500}),
        json!({"status": 403}),
        json!({"status": 302}),
        json!({"then": "cut"}),
        json!({"body": "no JSON"}),
        json!({"large": 2 * 1024 * 1024}),
        answer(&json!({"user": 7})),
        answer(&json!({"b64info": "?"})),
        answer(&json!({"b64data": "?"})),
        answer(&json!({"b64data": "AAAA"})),
        answer(&json!({"labels": {"key": "v".repeat(300)}})),
        json!({"body": {"disconnect": {"code": 7, "reason": "no code of ours"}}}),
    ] {
        check_refused(&server, &data, &internal, failed);
    }
    let error = json!({"code": 777, "message": "not today", "temporary": true});
    let body = json!({"result": {"user": "x"}, "error": error});
    check_refused(&server, &json!({"body": body}), &error, failed);
    let body = json!({"error": error, "disconnect": {"code": 4501, "reason": "go"}});
    check_refused(&server, &json!({"body": body}), &json!({"disconnect": 4501}), (4501, "go"));
    let gone = json!({"code": 404, "message": "gone"});
    check_refused(&server, &json!({"status": 404}), &gone, failed);
    check_refused(&server, &json!({"status": 503}), &json!({"disconnect": 4503}), (4503, "later"));
    check_refused(
        &server,
        &json!({"body": {}}),
        &json!({"disconnect": 3501}),
        (3501, "bad request"),
    );
    let past = answer(&json!({"user": "x", "expire_at": 1}));
    let expired = json!({"code": 110, "message": "expired"});
    check_refused(&server, &past, &expired, (3005, "connection expired"));
}

#[test]
fn who_is_not_known_is_anonymous_where_that_is_allowed() {
    let backend = Backend::start();
    let proxy = json!({"connect": {"enabled": true, "endpoint": backend.url()}});
    let client = json!({"proxy": proxy, "allow_anonymous_connect_without_token": true});
    let server = Server::start(&json!({"client": client}));
    let (_socket, reply) = connect(&server, &json!({"body": {}}));
    assert!(reply["connect"].is_object(), "{reply}");
    assert_eq!(server.listed("").len(), 1);
}

#[test]
fn a_backend_that_is_gone_is_left_alone_and_asked_again_when_it_is_back() {
    let backend = Backend::start();
    let (url, port) = (backend.url(), backend.port);
    let client = json!({"proxy": {
        "connect": {"enabled": true, "endpoint": url, "timeout": "20s"},
        "breaker_failures": 3, "breaker_pause": "50ms",
    }});
    let server = Server::start(&json!({"client": client}));
    let (_socket, reply) = connect(&server, &json!({}));
    assert!(reply["connect"].is_object(), "{reply}");
    drop(backend);
    for _ in 0..3 {
        let (_socket, reply) = connect(&server, &json!({}));
        assert_eq!(reply["error"]["code"], 100, "{reply}");
    }
    server.wait_log("a backend does not answer");
    // Whoever is in stays in, and questions are answered.
    assert_eq!(server.listed("somebody").len(), 1);
    let backend = Backend::on(port, &[]);
    let reply = eventually("the backend is asked again", || {
        let (_socket, reply) = connect(&server, &json!({}));
        reply["connect"].is_object().then_some(reply)
    });
    assert_eq!(backend.next()["question"]["client"], reply["connect"]["client"]);
    server.wait_log("a backend answers again");
}

#[test]
fn a_backend_that_hangs_costs_those_who_wait_for_it_their_time_and_nobody_else() {
    let backend = Backend::start();
    let client = json!({"proxy": {
        "connect": {"enabled": true, "endpoint": backend.url(), "timeout": "20s"},
        "max_concurrency": 1, "max_waiting": 1,
    }});
    // One shard, so that questions come in the order of their clients.
    let server = Server::start(&json!({"client": client, "shards": {"count": 1}}));
    let hang = json!({"id": 1, "connect": {"data": {"then": "hang"}}});
    let mut first = Socket::open(&server, "websocket", &[]);
    first.say(&hang);
    assert_eq!(backend.next()["question"]["data"], json!({"then": "hang"}));
    let mut second = Socket::open(&server, "websocket", &[]);
    second.say(&json!({"id": 1, "connect": {}}));
    eventually("both are asked for", || {
        let info = server.call("info", json!({})).to_string();
        info.contains(r#""rollcall.inquiries":2"#).then_some(())
    });
    // One waits for its turn; one more is refused at once.
    let (_socket, reply) = connect(&server, &json!({}));
    assert_eq!(reply["error"]["code"], 100, "{reply}");
    // Tokens and the API need no backend.
    assert!(server.session("bob").first["connect"].is_object());
    // Who leaves takes the question back, and it is the next one's turn.
    drop(first);
    let said = [backend.next(), backend.next()];
    assert!(said.contains(&json!({"left": true})), "{said:?}");
    assert!(second.reply()["connect"].is_object());
}

#[test]
fn a_backend_has_as_long_as_it_is_given() {
    let backend = Backend::start();
    let server = server(&backend, &json!({"timeout": "100ms"}));
    let internal = json!({"code": 100, "message": "internal server error", "temporary": true});
    check_refused(&server, &json!({"then": "hang"}), &internal, (3004, "internal server error"));
    server.wait_log("no answer in time");
}

#[test]
fn connections_to_a_backend_are_used_again() {
    let backend = Backend::start();
    let server = server(&backend, &json!({}));
    let ports: Vec<_> = (0..5)
        .map(|_| {
            let (_socket, reply) = connect(&server, &json!({}));
            assert!(reply["connect"].is_object(), "{reply}");
            backend.next()["port"].clone()
        })
        .collect();
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
}

#[test]
fn nothing_that_a_client_or_an_operator_keeps_secret_is_logged() {
    let backend = Backend::start();
    let mut config = json!({"log": {"level": "trace"}});
    let connect_proxy = json!({
        "enabled": true, "endpoint": backend.url(), "timeout": "20s",
        "http_headers": ["Cookie", "Authorization"], "emulated_headers": ["X-Said"],
        "http": {"static_headers": {"X-Key": "TOPSECRET-static"}},
    });
    overlay(&mut config, &json!({"client": {"proxy": {"connect": connect_proxy}}}));
    let mut server = Server::start(&config);
    let headers = [("Cookie", "TOPSECRET-cookie"), ("Authorization", "Bearer TOPSECRET-bearer")];
    for data in [
        answer(&json!({"user": "ann", "meta": {"m": "TOPSECRET-meta"}, "data": "TOPSECRET-data"})),
        json!({"status": 500, "body": "TOPSECRET-body"}),
        json!({"body": "TOPSECRET-body"}),
        answer(&json!({"expire_at": "TOPSECRET-expire"})),
        json!({"body": {"result": {"user": {"TOPSECRET-user": 1}}}}),
        json!({"then": "cut", "key": "TOPSECRET-asked"}),
    ] {
        let said = json!({"X-Said": "TOPSECRET-said"});
        connect_with(&server, &headers, &json!({"data": data, "headers": said}));
        assert!(backend.next()["headers"].to_string().contains("TOPSECRET-cookie"));
    }
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let log: Vec<_> = server.log.iter().map(Value::to_string).chain(server.later.iter()).collect();
    assert!(log.iter().any(|line| line.contains("a backend was of no help")), "{log:#?}");
    let said: Vec<_> = log.iter().filter(|line| line.contains("TOPSECRET")).collect();
    assert!(said.is_empty(), "{said:#?}");
}

#[test]
fn a_backend_shows_a_certificate_or_is_not_asked() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [cert, key] = certificate(dir.path(), "backend.example");
    let [other, _] = certificate(dir.path(), "other.example");
    let backend = Backend::on(0, &[&cert, &key]);
    let url = format!("https://127.0.0.1:{}/who", backend.port);
    let with = |tls: Value| {
        let mut all = json!({"enabled": true});
        overlay(&mut all, &tls);
        let server = server_at(&url, &json!({"http": {"tls": all}}));
        connect(&server, &json!({})).1
    };
    let pem = std::fs::read_to_string(&cert).expect("a certificate");
    for tls in [
        json!({"server_ca_pem": cert, "server_name": "backend.example"}),
        json!({"server_ca_pem": pem, "server_name": "backend.example"}),
        json!({"insecure_skip_verify": true}),
    ] {
        assert!(with(tls.clone())["connect"].is_object(), "{tls}");
    }
    assert_eq!(backend.rest().len(), 3);
    for tls in [
        json!({"server_ca_pem": cert}),
        json!({"server_ca_pem": cert, "server_name": "other.example"}),
        json!({"server_ca_pem": other, "server_name": "backend.example"}),
    ] {
        assert_eq!(with(tls.clone())["error"]["code"], 100, "{tls}");
    }
    assert_eq!(backend.rest(), Vec::<Value>::new(), "it was told who asks");
}
