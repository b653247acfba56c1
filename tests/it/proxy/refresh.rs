//! A backend says whether sessions whose time is over go on: the refresh proxy.

use serde_json::{Value, json};

use super::backend::Backend;
use crate::harness::{Server, Stream, eventually, overlay, token, unix_s};
use crate::socket::{Heard, Socket};

/// A server whose sessions go on as this backend says.
fn server(backend: &Backend, more: &Value) -> Server {
    let url = backend.url().replace("/who", "/refresh");
    let mut refresh = json!({"enabled": true, "endpoint": url, "timeout": "20s",
        "retry_interval": "100ms"});
    overlay(&mut refresh, more);
    Server::start(&json!({"client": {"proxy": {"refresh": refresh}}}))
}

/// A user whose sessions the backend answers so about, one after the other.
fn user(answers: &Value) -> String {
    answers.to_string()
}

/// Claims of a session whose time is over soon.
fn soon() -> Value {
    json!({"exp": unix_s() + 2})
}

fn uni(server: &Server, user: &str) -> Stream {
    server.session_with(json!({"token": token(user, soon())}))
}

/// What the last words to both kinds of clients are.
#[track_caller]
fn check_ended(server: &Server, answer: &Value, code: u16, reason: &str) {
    let user = user(&json!([answer]));
    let (mut socket, _) = Socket::session(server, &user, soon());
    let mut stream = uni(server, &user);
    assert_eq!(socket.hear_end(), Heard::Closed(code, reason.to_owned()), "{answer}");
    let told = json!({"disconnect": {"code": code, "reason": reason}});
    assert_eq!(stream.push_after_pings(), Some(told), "{answer}");
    assert_eq!(server.listed(&user), Vec::<String>::new());
}

#[test]
fn sessions_go_on_as_long_as_their_backend_says_and_their_clients_hear_nothing_of_it() {
    let backend = Backend::start();
    let server = server(
        &backend,
        &json!({
            "http_headers": ["Cookie"], "include_connection_meta": true,
            "http": {"static_headers": {"X-Key": "k"}},
        }),
    );
    let with = json!({"meta": {"m": 2}, "labels": {"region": "eu"}, "info": 1});
    let user = user(&json!([{"lives": 2, "with": with}, {"body": {"result": {"expired": true}}}]));
    let mut claims = soon();
    overlay(&mut claims, &json!({"meta": {"m": 1}, "labels": {"region": "us"}}));
    let mut socket = Socket::open(&server, "websocket", &[("Cookie", "c=1")]);
    socket.say(&json!({"id": 1, "connect": {"token": token(&user, claims)}}));
    let reply = socket.reply();
    let client = reply["connect"]["client"].as_str().expect("a client id").to_owned();
    assert_eq!(
        (&reply["connect"]["expires"], &reply["connect"]["ttl"]),
        (&Value::Null, &Value::Null)
    );
    for (meta, region) in [(1, "us"), (2, "eu")] {
        let asked = backend.next();
        assert_eq!(
            asked["question"],
            json!({
                "client": client, "transport": "websocket", "protocol": "json", "encoding": "json",
                "user": user, "meta": {"m": meta}, "labels": {"region": region},
            })
        );
        let headers = asked["headers"].to_string();
        assert!(headers.contains(r#"["cookie","c=1"]"#) && headers.contains(r#"["x-key","k"]"#));
        if meta == 1 {
            let listed = eventually("it is listed as its backend says", || {
                let listed = server.call("connections", json!({"user": user}));
                let session = listed["result"]["connections"][&client].clone();
                (session["labels"] == json!({"region": "eu"})).then_some(session)
            });
            assert_eq!(listed["state"]["meta"], json!({"m": 2}));
        }
    }
    assert_eq!(socket.hear(), Heard::Closed(3005, "connection expired".to_owned()));
}

#[test]
fn unidirectional_sessions_go_on_too() {
    let backend = Backend::start();
    let server = server(&backend, &json!({}));
    let user = user(&json!([{"lives": 1}, {"lives": 1}, {}]));
    let mut stream = uni(&server, &user);
    assert_eq!(stream.first["connect"]["expires"], Value::Null, "{}", stream.first);
    for _ in 0..3 {
        assert_eq!(backend.next()["question"]["client"], stream.client());
    }
    let told = json!({"disconnect": {"code": 3005, "reason": "connection expired"}});
    assert_eq!(stream.push_after_pings(), Some(told));
}

#[test]
fn whoever_is_refused_or_not_told_until_when_does_not_go_on() {
    let backend = Backend::start();
    let transforms = json!([{"status_code": 404, "to_error": {"code": 404, "message": "gone"}}]);
    let server = server(&backend, &json!({"http": {"status_to_code_transforms": transforms}}));
    let ended = "connection expired";
    for answer in [
        json!({"body": {}}),
        json!({"body": {"result": {}}}),
        json!({"body": {"result": {"expire_at": 1}}}),
        json!({"body": {"result": {"expire_at": unix_s() + 600, "expired": true}}}),
        json!({"body": {"result": {"expire_at": unix_s() + 600}, "error": {"code": 777}}}),
        json!({"body": {"disconnect": {"code": 4501, "reason": "go"}}}),
        json!({"status": 404}),
    ] {
        check_ended(&server, &answer, 3005, ended);
    }
    let broken = json!({"lives": 600, "with": {"b64info": "?"}});
    check_ended(&server, &broken, 3004, "internal server error");
}

#[test]
fn a_backend_that_fails_ends_no_session_and_is_asked_again() {
    let backend = Backend::start();
    let server = server(&backend, &json!({"timeout": "300ms"}));
    let answers = json!([
        {"status": 500}, {"status": 403}, {"then": "cut"}, {"body": "no JSON"}, {"then": "hang"},
        {"body": {"result": {"expire_at": "soon"}}}, {"lives": 600},
    ]);
    let user = user(&answers);
    let (mut socket, _) = Socket::session(&server, &user, soon());
    for _ in 0..7 {
        while backend.next()["question"].is_null() {}
    }
    assert!(socket.is_quiet());
    assert_eq!(server.listed(&user).len(), 1);
    let info = server.call("info", json!({})).to_string();
    assert!(info.contains(r#""rollcall.inquiries_failed":6"#), "{info}");
}

#[test]
fn a_session_whose_backend_stays_away_ends_with_its_grace() {
    let backend = Backend::start();
    let server = server(&backend, &json!({"grace": "300ms"}));
    drop(backend);
    let (mut socket, _) = Socket::session(&server, "[]", soon());
    assert_eq!(socket.hear_end(), Heard::Closed(3005, "connection expired".to_owned()));
    server.wait_log("a backend was of no help");
}

#[test]
fn names_of_old_versions_mean_the_same() {
    let backend = Backend::start();
    let url = backend.url().replace("/who", "/refresh");
    let flat = json!({
        "proxy_refresh_endpoint": url, "proxy_refresh_timeout": "20s",
        "proxy_http_headers": ["Cookie"], "proxy_include_connection_meta": true,
        "proxy_static_http_headers": {"X-Key": "k"},
    });
    let other = json!({"name": "other", "endpoint": "http://127.0.0.1:9", "of_others": true});
    let named = json!({
        "granular_proxy_mode": true, "refresh_proxy_name": "auth",
        "proxies": [other, {
            "name": "auth", "endpoint": url, "timeout": "20s", "http_headers": ["Cookie"],
            "include_connection_meta": true, "static_http_headers": {"X-Key": "k"},
        }],
    });
    for config in [flat, named] {
        let server = Server::start(&config);
        let mut claims = soon();
        claims["meta"] = json!([7]);
        let mut socket = Socket::open(&server, "websocket", &[("Cookie", "c=1")]);
        let token = token(&user(&json!([{}])), claims);
        socket.say(&json!({"id": 1, "connect": {"token": token}}));
        let asked = backend.next();
        assert_eq!(asked["question"]["meta"], json!([7]));
        let headers = asked["headers"].to_string();
        assert!(headers.contains(r#"["cookie","c=1"]"#) && headers.contains(r#"["x-key","k"]"#));
        assert_eq!(socket.hear_end(), Heard::Closed(3005, "connection expired".to_owned()));
    }
}

#[test]
fn a_session_that_one_backend_has_let_in_goes_on_as_the_other_says() {
    let backend = Backend::start();
    let refresh = backend.url().replace("/who", "/refresh");
    let proxy = json!({
        "connect": {"enabled": true, "endpoint": backend.url(), "http_headers": ["Cookie"]},
        "refresh": {"enabled": true, "endpoint": refresh, "http_headers": ["X-Other"]},
    });
    let server = Server::start(&json!({"client": {"proxy": proxy}}));
    let headers = [("Cookie", "c=1"), ("X-Other", "o")];
    let mut socket = Socket::open(&server, "websocket", &headers);
    let user = user(&json!([{}]));
    let data = json!({"body": {"result": {"user": user, "expire_at": unix_s() + 2}}});
    socket.say(&json!({"id": 1, "connect": {"data": data}}));
    for (theirs, others) in [("cookie", "x-other"), ("x-other", "cookie")] {
        let headers = backend.next()["headers"].to_string();
        assert!(headers.contains(theirs) && !headers.contains(others), "{headers}");
    }
    assert_eq!(socket.hear_end(), Heard::Closed(3005, "connection expired".to_owned()));
}
