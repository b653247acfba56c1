//! Two shards and a connection that carries one stream after another.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::effects::Effect;
use super::*;
use crate::api::Answer;
use crate::auth::TokenOptions;
use crate::connection::options::{EmulationEndpoint, StreamEndpoint};

pub(super) const SECRET: &str = "a secret of the tests";
pub(super) const NOW: Now = Now { mono_ms: 10_000, unix_ms: 1_800_000_000_000 };
const CONN: ConnId = ConnId { index: 0, generation: 1 };

fn shard(id: usize, directory: &Arc<Directory>) -> Shard {
    let endpoints = Endpoints {
        http_stream: Some(StreamEndpoint {
            path: "/stream".to_owned(),
            body_bytes_max: 65_536,
            http_refusals: None,
        }),
        emulation: Some(EmulationEndpoint {
            path: "/emulation".to_owned(),
            body_bytes_max: 65_536,
        }),
        ..Endpoints::default()
    };
    let token = TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..TokenOptions::default() };
    let setup = Setup {
        id: ShardId::new(id),
        shards: 2,
        directory: Arc::clone(directory),
        admission: Arc::new(Admission::new(Default::default(), 2)),
        ..alone(Options { endpoints, token, ..Options::default() })
    };
    Shard::new(setup, NOW)
}

/// The only shard of a server.
pub(super) fn alone(options: Options) -> Setup {
    Setup {
        id: ShardId::new(0),
        shards: 1,
        options,
        directory: Arc::new(Directory::new()),
        admission: Arc::new(Admission::new(Default::default(), 1)),
        rules: Arc::default(),
        hasher: UserHasher::new([1, 2, 3, 4]),
        keys: IdKeys::new([7; 32]),
        seed: [9; 32],
        node_uid: "node".to_owned(),
        query_timeout_ms: 1_000,
        watched: false,
        started: NOW,
        synthetic: Synthetic::default(),
    }
}

pub(super) fn post(shard: &mut Shard, conn: ConnId, path: &str, body: &Value) {
    let body = body.to_string();
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    shard.on_bytes(conn, &mut request.into_bytes(), NOW);
}

pub(super) fn connect(user: &str) -> Value {
    let claims = json!({"sub": user, "sessions": "self"});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key);
    json!({"id": 1, "connect": {"token": token.expect("claims are JSON"), "name": user}})
}

/// What is sent to `CONN`, and the questions put to others.
fn take(shard: &mut Shard) -> (String, Vec<Message>) {
    let mut effects = Effects::default();
    shard.take_effects(&mut effects);
    let (mut sent, mut messages) = (String::new(), Vec::new());
    let (list, bytes) = effects.drain();
    for effect in list {
        match effect {
            Effect::Send { conn, bytes: range } if conn == CONN => {
                sent.push_str(&String::from_utf8_lossy(&bytes[range]));
            }
            Effect::Message { message, .. } => messages.push(message),
            Effect::Send { .. }
            | Effect::Resume { .. }
            | Effect::Finish { .. }
            | Effect::Abort { .. }
            | Effect::StopAccepting => {}
        }
    }
    (sent, messages)
}

#[test]
fn an_answer_that_comes_late_is_not_for_the_next_session_of_the_connection() {
    let directory = Arc::new(Directory::new());
    let (mut shard, mut other) = (shard(0, &directory), shard(1, &directory));
    other.on_open(CONN, Scope::All, NOW);
    post(&mut other, CONN, "/stream", &connect("alice"));
    shard.on_open(CONN, Scope::All, NOW);
    post(&mut shard, CONN, "/stream", &connect("alice"));
    let alice = shard.table.iter().next().expect("alice is in");
    let (slot, session) = (alice.slot(), alice.session().to_string());

    let second = ConnId { index: 1, generation: 1 };
    shard.on_open(second, Scope::All, NOW);
    let list = json!({"id": 77, "rpc": {"method": "sessions.list"}}).to_string();
    post(&mut shard, second, "/emulation", &json!({"session": session, "data": list}));
    let (_, asked) = take(&mut shard);
    let [Message::Ask { gather, question }] = asked.as_slice() else { panic!("{asked:?}") };
    let answer: Answer = other.answer(question, NOW);

    let reason = CloseReason::Api { code: 3503, reason: "force disconnect".into() };
    shard.end_session(slot, &reason, NOW);
    post(&mut shard, CONN, "/stream", &connect("bob"));
    assert!(take(&mut shard).0.contains(r#""connect":{"client""#));
    shard.on_message(
        Peer::Shard(ShardId::new(1)),
        Message::Answer { gather: *gather, answer },
        NOW,
    );
    assert_eq!(take(&mut shard).0, "", "bob hears of alice");
    // And bob's own calls are counted from none.
    let bob = shard.table.iter().next().expect("bob is in").session().to_string();
    post(&mut shard, second, "/emulation", &json!({"session": bob, "data": list}));
    let (sent, _) = take(&mut shard);
    assert!(sent.contains(r#""app_name":"bob""#) && !sent.contains("alice"), "{sent}");
}

#[test]
fn the_round_trip_of_a_sessions_last_ping_is_told() {
    let mut shard = shard(0, &Arc::new(Directory::new()));
    shard.on_open(CONN, Scope::All, NOW);
    post(&mut shard, CONN, "/stream", &connect("alice"));
    let latency = |shard: &Shard| shard.table.iter().next().expect("alice is in").latency_ms();
    assert_eq!(latency(&shard), None);
    let mut passed_ms = 0;
    let mut told = None;
    for trip_ms in [13, 2, 500, 7_900] {
        let pinged = shard.counters.pings_sent;
        while shard.counters.pings_sent == pinged {
            passed_ms += 37;
            shard.on_tick(later(passed_ms));
        }
        assert_eq!(latency(&shard), told, "the last one's until the next pong");
        passed_ms += trip_ms;
        shard.on_pong(CONN, later(passed_ms));
        told = latency(&shard);
        let ms = u64::from(told.expect("it answered"));
        assert!(ms.abs_diff(trip_ms) * 100 <= trip_ms * 8, "{trip_ms} is told as {ms}");
        // Nobody asked for this one.
        shard.on_pong(CONN, later(passed_ms + 20));
        assert_eq!(latency(&shard), told);
    }
}

fn later(ms: u64) -> Now {
    Now { mono_ms: NOW.mono_ms + ms, unix_ms: NOW.unix_ms + ms }
}
