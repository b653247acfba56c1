//! Who is kept out: `block_user`, `unblock_user`, `revoke_token`, `invalidate_user_tokens`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{
    KEY, PATIENCE, SECRET, Server, Stream, binary, eventually, run, token, unix_s,
};
use crate::socket::{Heard, Socket};

const DONE: &str = r#"{"result":{}}"#;

pub(crate) fn connect(user: &str, claims: Value) -> Value {
    json!({"token": token(user, claims)})
}

pub(crate) fn does(server: &Server, method: &str, params: Value) {
    assert_eq!(server.call(method, params.clone()).to_string(), DONE, "{method} {params}");
}

pub(crate) fn told(mut stream: Stream) -> Value {
    stream.push_after_pings().expect("a last push")
}

pub(crate) fn blocked() -> Value {
    json!({"disconnect": {"code": 3507, "reason": "user is blocked"}})
}

pub(crate) fn invalid() -> Value {
    json!({"disconnect": {"code": 3500, "reason": "invalid token"}})
}

/// A server whose file lies where the next one finds it.
fn on_file(file: &Path) -> Server {
    Server::start(&json!({"storage": {"path": file}}))
}

#[test]
fn a_blocked_user_is_out_when_the_call_answers_and_stays_out_until_unblocked() {
    let server = Server::start(&json!({"websocket": {"disabled": false}}));
    let sessions: Vec<_> = (0..12).map(|_| server.session("42")).collect();
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    let other = server.session("43");
    does(&server, "block_user", json!({"user": "42"}));
    assert_eq!(server.listed("42"), [""; 0]);
    for stream in sessions {
        assert_eq!(told(stream), blocked());
    }
    assert_eq!(socket.hear_end(), Heard::Closed(3507, "user is blocked".to_owned()));
    assert_eq!(server.listed("43"), [other.client()]);
    assert_eq!(server.session_raw(&connect("42", json!({}))), blocked());
    does(&server, "unblock_user", json!({"user": "42"}));
    server.session("42");
    does(&server, "unblock_user", json!({"user": "never blocked"}));
}

#[test]
fn a_revoked_token_ends_its_sessions_and_lets_none_in() {
    let server = Server::start(&json!({}));
    let uuid = "7e4a3d2c-1b00-4f5e-8d9c-0a1b2c3d4e5f";
    for uid in ["short", uuid] {
        let with = || connect("42", json!({"jti": uid}));
        let sessions: Vec<_> = (0..6).map(|_| server.session_with(with())).collect();
        let other = server.session_with(connect("42", json!({"jti": "another"})));
        does(&server, "revoke_token", json!({"uid": uid}));
        assert_eq!(server.listed("42"), [other.client()]);
        for stream in sessions {
            assert_eq!(told(stream), invalid());
        }
        assert_eq!(server.session_raw(&with()), invalid());
        drop(other);
        eventually("it is gone", || server.listed("42").is_empty().then_some(()));
    }
}

#[test]
fn tokens_issued_before_the_time_are_no_longer_good() {
    let server = Server::start(&json!({}));
    let issued = |at: i64| connect("42", json!({"iat": at}));
    let now = unix_s();
    let old = server.session_with(issued(now - 10));
    let older = server.session_with(issued(now - 1_000));
    let undated = server.session("42");
    does(&server, "invalidate_user_tokens", json!({"user": "42", "issued_before": now - 100}));
    assert_eq!(told(older), invalid());
    assert_eq!(server.session_raw(&issued(now - 101)), invalid());
    server.session_with(issued(now - 100));
    does(&server, "invalidate_user_tokens", json!({"user": "42"}));
    assert_eq!(told(old), invalid());
    server.session_with(issued(now + 10));
    assert!(server.listed("42").contains(&undated.client()));
}

#[test]
fn a_client_does_not_go_on_with_a_token_that_is_no_longer_good() {
    let server = Server::start(&json!({}));
    let refresh = |socket: &mut Socket, claims: Value| {
        socket.say(&json!({"id": 2, "refresh": {"token": token("42", claims)}}));
    };
    does(&server, "revoke_token", json!({"uid": "t"}));
    let (mut socket, _) = Socket::session(&server, "42", json!({}));
    refresh(&mut socket, json!({"jti": "u"}));
    assert_eq!(socket.reply()["refresh"]["expires"], true);
    refresh(&mut socket, json!({"jti": "t"}));
    assert_eq!(socket.hear_end(), Heard::Closed(3500, "invalid token".to_owned()));
}

/// Uids and times of issue of a user's tokens, as listings show them.
fn tokens(server: &Server, user: &str) -> Vec<(Value, Value)> {
    let reply = server.call("user_connections", json!({"user": user}));
    let connections = reply["result"]["connections"].as_object().expect("a listing");
    let tokens = connections.values();
    tokens.map(|info| (info["token_uid"].clone(), info["token_issued_at"].clone())).collect()
}

#[test]
fn a_session_is_judged_by_the_last_token_it_brought() {
    const FIRST: &str = "7e4a3d2c-1b00-4f5e-8d9c-0a1b2c3d4e5f";
    const SECOND: &str = "0e4a3d2c-1b00-4f5e-8d9c-0a1b2c3d4e50";
    let server = Server::start(&json!({}));
    let now = unix_s();
    // Others take the place of the first in the record, or find no room there.
    for (number, second) in [SECOND, "short", ""].into_iter().enumerate() {
        let user = &number.to_string();
        let claims = |uid: &str, iat: i64| json!({"jti": format!("{uid}{number}"), "iat": iat});
        let uid = |uid: &str| json!(format!("{uid}{number}"));
        let goes_on = |socket: &mut Socket, claims: Value| {
            socket.say(&json!({"id": 2, "refresh": {"token": token(user, claims)}}));
            assert_eq!(socket.reply()["refresh"]["expires"], true);
        };
        let (mut revoked, _) = Socket::session(&server, user, claims(FIRST, now - 1_000));
        assert_eq!(tokens(&server, user), [(uid(FIRST), json!(now - 1_000))]);
        goes_on(&mut revoked, claims(second, now - 10));
        assert_eq!(tokens(&server, user), [(uid(second), json!(now - 10))]);
        does(&server, "revoke_token", json!({"uid": uid(FIRST)}));
        does(&server, "invalidate_user_tokens", json!({"user": user, "issued_before": now - 100}));
        assert_eq!(server.listed(user).len(), 1, "it has brought a newer one");
        does(&server, "revoke_token", json!({"uid": uid(second)}));
        assert_eq!(revoked.hear_end(), Heard::Closed(3500, "invalid token".to_owned()));

        let (mut old, _) = Socket::session(&server, user, json!({"iat": now}));
        goes_on(&mut old, json!({"iat": now - 50}));
        does(&server, "invalidate_user_tokens", json!({"user": user, "issued_before": now - 49}));
        assert_eq!(old.hear_end(), Heard::Closed(3500, "invalid token".to_owned()));
        assert_eq!(server.listed(user), [""; 0]);
    }
}

#[test]
fn a_token_without_a_uid_takes_the_place_of_one_that_had_one() {
    let server = Server::start(&json!({}));
    let (mut socket, _) = Socket::session(&server, "42", json!({"jti": "t", "iat": 17}));
    socket.say(&json!({"id": 2, "refresh": {"token": token("42", json!({}))}}));
    assert_eq!(socket.reply()["refresh"]["expires"], true);
    assert_eq!(tokens(&server, "42"), [(Value::Null, Value::Null)]);
    does(&server, "revoke_token", json!({"uid": "t"}));
    assert_eq!(server.listed("42").len(), 1);
}

#[test]
fn a_rule_with_an_end_ends_by_itself() {
    let server = Server::start(&json!({}));
    does(&server, "block_user", json!({"user": "42", "expire_at": unix_s() + 2}));
    does(&server, "revoke_token", json!({"uid": "t", "expire_at": unix_s() + 2}));
    assert_eq!(server.session_raw(&connect("42", json!({}))), blocked());
    for (user, claims) in [("42", json!({})), ("43", json!({"jti": "t"}))] {
        eventually("it is over", || {
            let first = server.session_raw(&connect(user, claims.clone()));
            (!first["connect"].is_null()).then_some(())
        });
    }
    does(&server, "block_user", json!({"user": "42", "expire_at": 1}));
    server.session("42");
}

#[test]
fn rules_outlive_a_process_that_is_killed_right_after_it_answered() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("rules.redb");
    for round in 0..5 {
        let mut server = on_file(&file);
        let user = format!("user {round}");
        let mut api = server.connect();
        for (method, params) in [
            ("block_user", json!({"user": user})),
            ("revoke_token", json!({"uid": user})),
            ("invalidate_user_tokens", json!({"user": format!("old {user}")})),
            ("block_user", json!({"user": format!("free {user}")})),
            ("unblock_user", json!({"user": format!("free {user}")})),
        ] {
            assert_eq!(api.call(method, params).to_string(), DONE);
        }
        server.child.kill().expect("SIGKILL");
        server.child.wait().expect("it ends");
    }
    let server = on_file(&file);
    for round in 0..5 {
        let user = format!("user {round}");
        assert_eq!(server.session_raw(&connect(&user, json!({}))), blocked());
        assert_eq!(server.session_raw(&connect("43", json!({"jti": user}))), invalid());
        let old = connect(&format!("old {user}"), json!({"iat": unix_s() - 100}));
        assert_eq!(server.session_raw(&old), invalid());
        server.session(&format!("free {user}"));
    }
}

#[test]
fn what_is_kept_in_memory_is_gone_with_the_process_and_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("rules.redb");
    let config = json!({"storage": {"path": file}, "user_block": {"storage_type": "memory"}});
    let server = Server::start(&config);
    does(&server, "block_user", json!({"user": "42"}));
    assert_eq!(server.session_raw(&connect("42", json!({}))), blocked());
    assert!(!file.exists(), "nothing was to be stored");
    does(&server, "revoke_token", json!({"uid": "t"}));
    assert!(file.exists());
    drop(server);
    let server = Server::start(&config);
    server.session("42");
    assert_eq!(server.session_raw(&connect("42", json!({"jti": "t"}))), invalid());
}

#[test]
fn a_store_that_cannot_be_used_is_said_before_anything_is_served() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("rules.redb");
    let start = || {
        let env = [
            ("CENTRIFUGO_HTTP_SERVER_PORT", "0"),
            ("CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY", SECRET),
            ("CENTRIFUGO_HTTP_API_KEY", KEY),
        ];
        let path = file.to_str().expect("text");
        run(Command::new(binary()).envs(env).args(["--storage.path", path]).current_dir(&dir))
    };
    std::fs::write(&file, "this is no store of rules, whatever it is").expect("written");
    let output = start();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("storage.path `"), "{output:?}");
    std::fs::remove_file(&file).expect("removed");

    let first = on_file(&file);
    does(&first, "block_user", json!({"user": "42"}));
    let output = start();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("is in use by another process"), "{output:?}");
}

#[test]
fn when_the_store_fails_calls_say_so_and_clients_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = dir.path().join("missing");
    let server = on_file(&folder.join("rules.redb"));
    let session = server.session("42");
    let reply = server.call("block_user", json!({"user": "42"}));
    let text = "internal server error: it could not be stored, nothing has changed, send it again";
    assert_eq!(reply["error"], json!({"code": 100, "message": text}));
    server.wait_log("rules could not be stored");
    let health = || server.call("node_stats", json!({}))["result"]["health"].clone();
    let told_of = health().to_string();
    assert!(told_of.contains("could not be stored on this machine"), "{told_of}");
    assert_eq!(server.listed("42"), [session.client()]);
    server.session("42");
    // It is tried anew each time.
    std::fs::create_dir(&folder).expect("a folder");
    does(&server, "block_user", json!({"user": "42"}));
    assert_eq!(told(session), blocked());
    let told_of = health().to_string();
    assert!(!told_of.contains("could not be stored"), "{told_of}");
}

#[test]
fn a_rule_whose_caller_hangs_up_is_carried_out_all_the_same() {
    let server = Server::start(&json!({}));
    for round in 0..10 {
        let user = format!("user {round}");
        let session = server.session(&user);
        let mut conn = server.connect();
        let post = |method: &str, params: Value| {
            let path = format!("/api/{method}");
            let body = params.to_string();
            crate::harness::request("POST", &path, &[("X-API-Key", KEY)], body.as_bytes())
        };
        // When the first is answered both have been read.
        conn.send(&[post("info", json!({})), post("block_user", json!({"user": user}))].concat());
        assert_eq!(conn.response().status, 200);
        conn.reset();
        assert_eq!(told(session), blocked());
    }
}

#[test]
fn a_rule_that_is_stored_too_late_for_its_answer_is_carried_out_all_the_same() {
    let server = Server::start(&json!({"shards": {"query_timeout": "1ms"}}));
    let mut users = 0..;
    eventually("an answer does not wait for the disk", || {
        let user = format!("user {}", users.next()?);
        let session = server.session(&user);
        let reply = server.call("block_user", json!({"user": user}));
        assert_eq!(told(session), blocked());
        let message = reply["error"]["message"].as_str()?;
        message.contains("the rule may hold or not").then_some(())
    });
}

#[test]
fn commands_behind_a_rule_in_one_body_see_its_effect() {
    let server = Server::start(&json!({}));
    let sessions: Vec<_> = (0..8).map(|_| server.session("42")).collect();
    let reply = server.call(
        "batch",
        json!({"commands": [
            {"user_connections": {"user": "42"}},
            {"block_user": {"user": "42"}},
            {"user_connections": {"user": "42"}},
            {"unblock_user": {"user": ""}},
            {"info": {}},
        ]}),
    );
    let replies = reply["replies"].as_array().expect("replies");
    let listed = |at: usize| replies[at]["user_connections"]["connections"].as_object();
    assert_eq!(listed(0).map(serde_json::Map::len), Some(sessions.len()));
    assert_eq!(replies[1], json!({"block_user": {}}));
    assert_eq!(listed(2).map(serde_json::Map::len), Some(0));
    assert_eq!(replies[3]["error"]["code"], 107);
    assert_eq!(replies[4]["info"]["nodes"].as_array().map(Vec::len), Some(1));
    // Over the legacy route by number, several in a body, and a reply that comes in its turn.
    let mut conn = server.connect();
    let body = r#"{"id":1,"method":19,"params":{"user":"42"}}
        {"id":2,"method":"revoke_token","params":{"uid":"t"}}{"method":21,"params":{"user":"42"}}"#;
    for _ in 0..3 {
        conn.send(&crate::harness::request("POST", "/api", &[("X-API-Key", KEY)], body.as_bytes()));
    }
    for _ in 0..3 {
        let lines = "{\"id\":1,\"result\":{}}\n{\"id\":2,\"result\":{}}\n{\"result\":{}}";
        assert_eq!(conn.response().text(), lines);
    }
    server.session("42");
}

#[test]
fn what_makes_no_rule_is_said() {
    let server = Server::start(&json!({}));
    let long = "u".repeat(4_097);
    for (method, params, code, why) in [
        ("block_user", json!({}), 107, "key \"user\" is missing or empty, expected a string"),
        ("block_user", json!({"user": ""}), 107, "key \"user\" is missing or empty"),
        ("block_user", json!({"user": long}), 107, "expected at most 4096 bytes, got 4097"),
        ("block_user", json!({"user": "1", "expire_at": -1}), 107, "key \"expire_at\": expected"),
        ("unblock_user", json!({"user": null}), 107, "key \"user\" is missing"),
        ("revoke_token", json!({"user": "42"}), 107, "key \"uid\" is missing"),
        ("invalidate_user_tokens", json!({"user": ""}), 107, "key \"user\" is missing"),
        ("invalidate_user_tokens", json!({"user": "1", "channel": "c"}), 108, "needs channels"),
    ] {
        let error = &server.call(method, params)["error"];
        let message = error["message"].as_str().expect("a text");
        assert!(error["code"] == code && message.contains(why), "{method}: {error}");
    }
    let wrong = server.connect().post("/api/block_user", &[("X-API-Key", KEY)], b"{\"user\":1}");
    assert_eq!((wrong.status, wrong.text().contains("expected a string")), (400, true));
}

#[test]
fn no_connect_slips_past_a_block() {
    let server = Server::start(&json!({}));
    let address = server.address;
    for round in 0..20 {
        let user = &format!("user {round}");
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(move || {
                        // Again and again, until it is told that its user is blocked.
                        let start = std::time::Instant::now();
                        while start.elapsed() < PATIENCE {
                            let conn = crate::harness::Conn::to(address);
                            let mut stream = Stream::open(conn, &connect(user, json!({})));
                            assert_eq!(stream.conn.head().status, 200);
                            if stream.push() == Some(blocked()) {
                                return;
                            }
                        }
                        panic!("never blocked");
                    })
                })
                .collect();
            does(&server, "block_user", json!({"user": user}));
            assert_eq!(server.listed(user), [""; 0]);
            for client in clients {
                client.join().expect("a client");
            }
            assert_eq!(server.listed(user), [""; 0]);
        });
    }
}
