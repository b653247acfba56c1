//! What must never be written down: keys, secrets and tokens, right ones and wrong ones, in a log that
//! tells as much as it can.

use std::io::Read;
use std::process::{Command, Stdio};

use jsonwebtoken::Algorithm;
use prost::Message;
use serde_json::{Value, json};

use crate::grpc::client::{Client as Stream, ConnectRequest};
use crate::grpc_api::client::{Client as Api, SERVICE};
use crate::harness::{Server, binary, eventually, sign, token, unix_s};
use crate::socket::{Heard, Socket};

const HMAC: &str = crate::harness::SECRET;
const API_KEY: &str = crate::harness::KEY;

/// What the configuration holds.
const SECRETS: [(&str, &str); 12] = [
    ("client.token.hmac_secret_key", HMAC),
    ("client.token.hmac_previous_secret_key", "secret-of-yesterday-0123456789"),
    ("http_api.key", API_KEY),
    ("grpc_api.key", "key-of-the-grpc-api-0123456789"),
    ("admin.password", "password-of-the-page-0123456789"),
    ("admin.secret", "secret-of-the-page-0123456789"),
    ("session_webhook.secret", "secret-of-the-webhook-0123456789"),
    ("session_webhook.previous_secret", "secret-before-the-webhook-0123456789"),
    ("session_webhook.static_headers", "header-of-the-webhook-0123456789"),
    ("client.proxy.connect.http.static_headers", "header-of-the-proxy-0123456789"),
    ("storage.redis.password", "password-of-redis-0123456789"),
    ("meta", "meta-of-a-session-0123456789"),
];

/// What somebody shows who has no right to.
const WRONG_KEY: &str = "wrong-key-0123456789";

fn secret(name: &str) -> &'static str {
    SECRETS.iter().find(|(known, _)| *known == name).expect("a secret").1
}

/// A server that says everything, and where what it prints stands.
fn start(dir: &std::path::Path) -> Server {
    let nowhere = "http://127.0.0.1:1/";
    let config = json!({
        "log": {"level": "trace"},
        "http_server": {"address": "127.0.0.1", "port": 0},
        "http_api": {"key": API_KEY},
        "grpc_api": {"enabled": true, "address": "127.0.0.1", "port": 0, "key": secret("grpc_api.key")},
        "uni_grpc": {"enabled": true, "address": "127.0.0.1", "port": 0},
        "uni_http_stream": {"enabled": true}, "uni_sse": {"enabled": true},
        "http_stream": {"enabled": true}, "sse": {"enabled": true},
        "admin": {
            "enabled": true, "password": secret("admin.password"), "secret": secret("admin.secret"),
        },
        "storage": {"redis": {"password": secret("storage.redis.password")}},
        "client": {
            "token": {
                "hmac_secret_key": HMAC,
                "hmac_previous_secret_key": secret("client.token.hmac_previous_secret_key"),
            },
            "proxy": {"connect": {
                "enabled": true, "endpoint": nowhere, "http_headers": ["Cookie"],
                "http": {"static_headers": {
                    "X-Key": secret("client.proxy.connect.http.static_headers"),
                }},
            }},
        },
        "session_webhook": {
            "enabled": true, "endpoint": nowhere, "secret": secret("session_webhook.secret"),
            "previous_secret": secret("session_webhook.previous_secret"), "include_meta": true,
            "include_session": true, "linger": "1ms", "min_retry_delay": "5ms",
            "static_headers": {"X-Key": secret("session_webhook.static_headers")},
        },
        "shards": {"count": 2, "pin_to_cores": false, "ring_entries": 256},
    });
    std::fs::write(dir.join("config.json"), config.to_string()).expect("written");
    let mut command = Command::new("sh");
    let said = dir.join("stdout");
    command.arg("-c").arg(format!(
        "exec {} -c {}/config.json >{}",
        binary(),
        dir.display(),
        said.display()
    ));
    Server::spawn(command, tempfile::tempdir().expect("a temporary directory"), 3)
}

/// Tokens that are good, expired, signed by somebody else, of no algorithm, and no tokens at all.
fn tokens() -> Vec<String> {
    let claims = json!({"sub": "ann", "meta": {"m": secret("meta")}, "exp": unix_s() + 3_600});
    let unsigned = sign(Algorithm::HS256, HMAC, &claims)
        .replace("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJub25lIn0");
    vec![
        token("ann", json!({"meta": {"m": secret("meta")}, "jti": "t1"})),
        sign(Algorithm::HS256, HMAC, &json!({"sub": "ann", "exp": 1_000, "jti": "old"})),
        sign(Algorithm::HS384, "not the secret", &claims),
        sign(Algorithm::HS512, secret("client.token.hmac_previous_secret_key"), &json!({"sub": 7})),
        unsigned,
        "no-token-at-all-0123456789".to_owned(),
        "eyJhbGciOiJIUzI1NiJ9.e30".to_owned(),
    ]
}

/// Every client there is, with each of the tokens.
fn connect(server: &Server, grpc: &Stream, tokens: &[String]) -> Vec<String> {
    let mut sessions = Vec::new();
    for token in tokens {
        let request = json!({"token": token, "headers": {"Authorization": token}});
        let first = server.session_raw(&request);
        sessions.extend(first["connect"]["session"].as_str().map(ToOwned::to_owned));
        let command = json!({"id": 1, "connect": {"token": token}});
        let mut socket = Socket::open(server, "websocket", &[("Cookie", WRONG_KEY)]);
        socket.say(&command);
        if matches!(socket.hear(), Heard::Text(_)) {
            socket.say(&json!({"id": 2, "refresh": {"token": token}}));
            let _told = socket.hear();
        }
        for (method, path, body) in [
            (
                "GET",
                format!("/connection/uni_sse?cf_connect={}", percent(&request.to_string())),
                "",
            ),
            ("GET", format!("/connection/sse?cf_connect={}", percent(&command.to_string())), ""),
            ("POST", "/connection/http_stream".to_owned(), &*command.to_string()),
            ("POST", format!("/connection/nothing?token={token}"), "{"),
            (
                "POST",
                "/connection/uni_http_stream".to_owned(),
                &*format!("{{\"token\":\"{token}\""),
            ),
        ] {
            let mut conn = server.connect();
            conn.send(&crate::harness::request(method, &path, &[], body.as_bytes()));
            let _answered = conn.head();
        }
        let request = ConnectRequest { token: token.clone(), ..ConnectRequest::default() };
        if let Ok(mut pushes) = grpc.consume(request.encode_to_vec()) {
            let _told = pushes.next();
        }
    }
    // Nobody at all: the connect proxy is asked, which is not there.
    let _told = server.session_raw(&json!({"data": {"password": WRONG_KEY}}));
    sessions
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Every way to show a key, right and wrong.
fn call(server: &Server, grpc: &std::net::SocketAddr, session: &str) {
    let body = json!({"session": session, "user": "ann"}).to_string();
    for key in [API_KEY, WRONG_KEY] {
        let bearer = format!("apikey {key}");
        let in_query = format!("/api/user_connections?api_key={}", percent(key));
        for (path, headers) in [
            ("/api/user_connections", vec![("X-API-Key", key)]),
            ("/api/user_connections", vec![("Authorization", &*bearer)]),
            (&*in_query, vec![]),
            ("/api/nothing", vec![("X-API-Key", key)]),
        ] {
            let status = server.connect().post(path, &headers, body.as_bytes()).status;
            assert!([200, 401, 404].contains(&status), "{path}: {status}");
        }
        let emulated = json!({"session": key, "node": "n", "data": "{}"}).to_string();
        let _refused = server.connect().post("/emulation", &[], emulated.as_bytes());
    }
    for key in [secret("grpc_api.key"), WRONG_KEY] {
        let api = Api::to(*grpc).with("authorization", &format!("apikey {key}"));
        let _answered = api.raw(&format!("/{SERVICE}/Info"), Vec::new());
    }
    for password in [secret("admin.password"), WRONG_KEY] {
        let body = json!({"password": password}).to_string();
        let headers = [("Content-Type", "application/json")];
        let answer = server.connect().post("/admin/auth", &headers, body.as_bytes());
        let status = if password == WRONG_KEY { 400 } else { 200 };
        assert_eq!(answer.status / 100, status / 100, "{}", answer.text());
    }
}

#[test]
fn keys_secrets_and_tokens_are_never_written_down_whatever_the_log_tells() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = start(dir.path());
    let [_http, uni_grpc, grpc_api] = server.addresses[..] else {
        panic!("{:?}", server.addresses)
    };
    let tokens = tokens();
    let grpc = Stream::to(uni_grpc);
    let sessions = connect(&server, &grpc, &tokens);
    call(&server, &grpc_api, sessions.first().expect("one got in"));
    server.wait_log("the webhook is not taken");
    server.signal("TERM");
    // It may have more to say to clients than the time allows; what it says is what counts.
    eventually("the server ends", || server.child.try_wait().expect("a child"));

    let mut written = String::new();
    let mut stdout = std::fs::File::open(dir.path().join("stdout")).expect("what it printed");
    stdout.read_to_string(&mut written).expect("text");
    for line in server.log.iter().map(Value::to_string).chain(server.later.iter()) {
        written.push_str(&line);
        written.push('\n');
    }
    assert!(written.contains("starting Rollcall") && written.contains("shutting down"));
    let parts = tokens.iter().flat_map(|token| token.split('.')).filter(|part| part.len() > 8);
    // Headers of tokens are the same for everybody.
    let parts =
        parts.filter(|part| !part.starts_with("eyJhbGciOi") && !part.starts_with("eyJ0eXAiOi"));
    let never = SECRETS.iter().map(|(name, secret)| (*name, *secret));
    let never = never.chain(parts.map(|part| ("a token", part)));
    let never =
        never.chain(sessions.iter().map(|session| ("a session's own id", session.as_str())));
    for (what, text) in never.chain([("a wrong key", WRONG_KEY)]) {
        let line = written.lines().find(|line| line.contains(text));
        assert_eq!(line, None, "{what} is written down");
        assert!(!written.contains(&percent(text)), "{what} is written down");
    }
}

#[test]
fn what_the_command_line_says_of_a_token_or_a_configuration_is_without_secrets() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("config.json");
    let config = json!({
        "client": {"token": {"hmac_secret_key": HMAC}}, "http_api": {"key": API_KEY},
        "session_webhook": {"enabled": true, "secret": WRONG_KEY, "queue_max_size": 1},
        "grpc_api": {"key": 7},
    });
    std::fs::write(&path, config.to_string()).expect("written");
    for arguments in [vec!["checkconfig"], vec!["checktoken", "a.b.c"], vec![]] {
        let mut command = Command::new(binary());
        command.args(&arguments).arg("-c").arg(&path).current_dir(dir.path()).stdin(Stdio::null());
        let output = crate::harness::run(&mut command);
        assert_ne!(output.code, Some(0), "{arguments:?}");
        let said = output.stdout + &output.stderr;
        assert!(!said.is_empty(), "{arguments:?}");
        for secret in [HMAC, API_KEY, WRONG_KEY] {
            assert!(!said.contains(secret), "{arguments:?}: {said}");
        }
    }
}
