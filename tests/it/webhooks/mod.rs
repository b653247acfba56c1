//! A backend is told what happens to sessions: by the real server, over real requests, in a backend
//! that answers, refuses, hangs, dies and comes back, while the server is killed too.

mod chaos;
mod receiver;

use serde_json::{Value, json};

use self::receiver::{Receiver, SECRET};
use crate::harness::{Server, Stream, eventually, overlay, token, unix_s};
use crate::pair::certificate;
use crate::socket::{Heard, Socket};

/// A server that tells this backend.
fn server(receiver: &Receiver, more: &Value) -> Server {
    let mut webhook = json!({
        "enabled": true, "endpoint": receiver.url(), "secret": SECRET, "timeout": "10s",
        "linger": "1ms", "min_retry_delay": "10ms", "max_retry_delay": "40ms",
    });
    overlay(&mut webhook, more);
    Server::start(&json!({"session_webhook": webhook}))
}

/// What `info` says of the webhook.
fn fact(server: &Server, name: &str) -> u64 {
    let info = server.call("info", json!({}));
    let value = &info["result"]["nodes"][0]["metrics"]["items"][format!("rollcall.webhook_{name}")];
    value.as_u64().unwrap_or_else(|| panic!("no {name}: {info}"))
}

fn wait_fact(server: &Server, name: &str, is_so: impl Fn(u64) -> bool) -> u64 {
    eventually(name, || Some(fact(server, name)).filter(|value| is_so(*value)))
}

#[test]
fn a_backend_hears_how_a_session_came_changed_and_went() {
    let mut receiver = Receiver::start();
    let server = server(&receiver, &json!({"static_headers": {"X-Gateway": "g"}}));
    let claims = json!({
        "jti": "t1", "iat": unix_s(), "meta": {"secret": 1}, "labels": {"region": "eu"},
    });
    let connect = json!({"token": token("ann", claims), "name": "app", "version": "2"});
    let mut socket = Socket::open(&server, "websocket", &[]);
    socket.say(&json!({"id": 1, "connect": connect}));
    let Heard::Text(reply) = socket.hear() else { panic!("no reply") };
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    let client = reply["connect"]["client"].as_str().expect("a client").to_owned();
    let expire_at = unix_s() + 7_200;
    server.call("refresh", json!({"user": "ann", "expire_at": expire_at}));
    server.call("disconnect", json!({"user": "ann", "disconnect": {"code": 4001, "reason": "go"}}));
    let whole = ["session_opened", "session_refreshed", "session_closed"];
    receiver.wait("it went", |receiver| receiver.life_of(&client).len() == 3);
    assert_eq!(receiver.life_of(&client), whole);

    let events = receiver.events();
    let node = &server.call("info", json!({}))["result"]["nodes"][0]["uid"];
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], at + 1, "{event}");
        assert_eq!(event["node"], *node, "{event}");
        let at_ms = event["at_ms"].as_i64().expect("a time");
        assert!((at_ms / 1_000 - unix_s()).abs() < 60, "{event}");
    }
    assert_eq!(events[0]["type"], "node_started");
    assert_eq!(events[0]["previous_node"], Value::Null, "{}", events[0]);
    let told = json!({
        "app_name": "app", "app_version": "2", "transport": "websocket", "protocol": "json",
        "user": "ann", "labels": {"region": "eu"}, "remote_addr": "127.0.0.1",
    });
    for event in &events[1..] {
        for (key, value) in told.as_object().expect("an object") {
            assert_eq!(event["connection"][key], *value, "{event}");
        }
        assert_eq!(event["connection"]["state"]["connection_token"]["uid"], "t1", "{event}");
        assert_eq!(event["session"], Value::Null, "{event}");
        assert!(!event.to_string().contains("secret"), "{event}");
    }
    assert!(events[1]["expire_at"].as_i64().expect("it ends") > unix_s() + 3_000);
    let refreshed = events[2]["expire_at"].as_i64().expect("it ends");
    assert!((refreshed - expire_at).abs() <= 1, "{refreshed}");
    assert_eq!((&events[3]["code"], &events[3]["reason"]), (&json!(4001), &json!("go")));
    assert!(events[3]["duration_ms"].is_u64());
    let headers = &receiver.headers;
    assert_eq!(
        (&headers["x-gateway"], &headers["content-type"]),
        (&json!("g"), &json!("application/json"))
    );
}

#[test]
fn it_hears_what_was_asked_for_and_nothing_else() {
    let mut receiver = Receiver::start();
    let more = json!({
        "events": ["session_closed"], "include_meta": true, "include_session": true,
        "secret": "the secret that comes next", "previous_secret": SECRET,
    });
    let server = server(&receiver, &more);
    let connect = json!({"token": token("ann", json!({"meta": {"m": 1}}))});
    let stream = server.session_with(connect);
    let (client, session) = (stream.client(), stream.session());
    drop(stream);
    receiver.wait("it went", |receiver| !receiver.life_of(&client).is_empty());
    assert_eq!(receiver.life_of(&client), ["session_closed"]);
    let closed = receiver.of("session_closed")[0];
    assert_eq!(closed["connection"]["state"]["meta"], json!({"m": 1}), "{closed}");
    assert_eq!((&closed["session"], &closed["code"]), (&json!(session), &json!(3000)));
    let signatures = receiver.headers["webhook-signature"].as_str().expect("signatures");
    assert_eq!(signatures.split(' ').count(), 2, "one by each secret: {signatures}");
}

#[test]
fn who_shuts_down_tells_the_end_of_every_session_first() {
    let mut receiver = Receiver::start();
    let mut server = server(&receiver, &json!({"linger": "1m"}));
    let streams: Vec<Stream> = (0..50).map(|n| server.session(&n.to_string())).collect();
    server.signal("TERM");
    drop(streams);
    assert_eq!(server.wait(), Some(0));
    receiver.listen();
    let closed = receiver.of("session_closed");
    assert_eq!(closed.len(), 50);
    assert!(closed.iter().all(|event| [3000, 3001].map(Value::from).contains(&event["code"])));
}

#[test]
fn events_wait_while_nobody_takes_them_and_whoever_looks_can_see_it() {
    let mut receiver = Receiver::start();
    let server = server(&receiver, &json!({"batch_size": 3}));
    receiver.answers("500");
    let streams: Vec<Stream> = (0..10).map(|n| server.session(&n.to_string())).collect();
    server.wait_log("the webhook is not taken");
    wait_fact(&server, "waiting", |waiting| waiting >= 10);
    wait_fact(&server, "failures", |failures| failures > 0);
    wait_fact(&server, "oldest_age_ms", |age_ms| age_ms > 0);
    assert!(fact(&server, "waiting_bytes") > 1_000);
    receiver.answers("ok");
    server.wait_log("the webhook is taken again");
    receiver.wait("all came", |receiver| receiver.of("session_opened").len() == 10);
    wait_fact(&server, "waiting", |waiting| waiting == 0);
    wait_fact(&server, "delivered", |delivered| delivered == 11);
    assert_eq!((fact(&server, "oldest_age_ms"), fact(&server, "lost")), (0, 0));
    drop(streams);
}

#[test]
fn a_full_queue_loses_the_newest_events_and_says_how_many() {
    let mut receiver = Receiver::start();
    receiver.answers("500");
    let server = server(&receiver, &json!({"queue_max_size": 64 * 1024}));
    let mut opened: u64 = 0;
    let mut streams = Vec::new();
    while opened < 40 || fact(&server, "lost") == 0 {
        streams.push(server.session(&opened.to_string()));
        opened += 1;
    }
    server.wait_log("no room for events of sessions");
    let lost = wait_fact(&server, "lost", |lost| {
        // Of those there was room for, all are stored, and the node's own.
        lost + fact(&server, "stored") == opened + 1
    });
    receiver.answers("ok");
    receiver.wait("the gap", |receiver| !receiver.of("gap").is_empty());
    let gap = receiver.of("gap")[0];
    assert_eq!(gap["lost"], lost, "{gap}");
    let told = receiver.of("session_opened").len() as u64;
    assert_eq!(told + lost, opened);
    let seqs: Vec<_> = receiver.events().iter().map(|event| event["seq"].clone()).collect();
    assert_eq!(seqs, (1..=seqs.len()).map(Value::from).collect::<Vec<_>>());
    drop(streams);
}

#[test]
fn a_backend_over_tls_shows_a_certificate_that_is_known_or_hears_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let own = certificate(dir.path(), "backend.example");
    let [other, _key] = certificate(dir.path(), "other.example");
    let mut receiver = Receiver::secure(&own);
    let with = |ca: &str| {
        let tls = json!({"enabled": true, "server_ca_pem": ca, "server_name": "backend.example"});
        let endpoint = format!("https://127.0.0.1:{}/sessions", receiver.port);
        server(&receiver, &json!({"endpoint": endpoint, "tls": tls}))
    };
    let (stranger, known) = (with(&other), with(&own[0]));
    let _unheard = stranger.session("42");
    let why = stranger.wait_log("the webhook is not taken");
    assert!(why.contains("certificate"), "{why}");
    let stream = known.session("43");
    receiver.wait("the known server", |receiver| !receiver.life_of(&stream.client()).is_empty());
    wait_fact(&stranger, "failures", |failures| failures > 2);
    assert_eq!(receiver.of("session_opened").len(), 1);
}

#[test]
fn a_server_that_cannot_tell_does_not_start() {
    for (more, expected) in [
        (json!({"secret": ""}), "session_webhook.secret"),
        (json!({"secret": "short"}), "session_webhook.secret"),
        (json!({"endpoint": "somewhere"}), "session_webhook.endpoint"),
        (json!({"queue_path": "/nowhere/queue.redb"}), "session_webhook.queue_path"),
        (json!({"events": ["session_lost"]}), "session_webhook.events"),
    ] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut webhook = json!({"enabled": true, "endpoint": "http://a/", "secret": SECRET});
        overlay(&mut webhook, &more);
        let config = json!({
            "http_server": {"port": 0}, "session_webhook": webhook, "shards": {"count": 1},
        });
        std::fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
        let mut command = std::process::Command::new(crate::harness::binary());
        let output = crate::harness::run(command.current_dir(dir.path()));
        assert_ne!(output.code, Some(0), "{more}");
        assert!(output.stderr.contains(expected), "{more}: {}", output.stderr);
    }
}
