//! Clients that connect, stay for a while, and leave or are told to go.

use std::io::ErrorKind;
use std::time::Duration;

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::{
    BLOCKED, Clock, FENCED, Facts, History, REGIONS, Refusal, Session, USERS, rounds, user,
};
use crate::harness::{PATIENCE, Server, Stream, token};

pub(super) fn run(server: &Server, clock: Clock, seed: u64) -> History {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut history = History::default();
    for _ in 0..rounds() {
        match live(server, clock, &mut rng) {
            Ok(session) => history.sessions.push(session),
            Err(refusal) => history.refusals.push(refusal),
        }
    }
    history
}

/// One session from its connect to its end.
fn live(server: &Server, clock: Clock, rng: &mut ChaCha12Rng) -> Result<Session, Refusal> {
    let region = REGIONS[rng.random_range(0..REGIONS.len())];
    let facts = Facts { user: user(rng.random_range(0..USERS)), region };
    let token = token(&facts.user, json!({"labels": {"region": region}}));
    let connect = json!({"token": token});
    let asked = clock.now();
    let mut stream = Stream::open(server.connect(), &connect);
    stream.read_first();
    let acknowledged = clock.now();
    if let Some(code @ (BLOCKED | FENCED)) = stream.first["disconnect"]["code"].as_u64() {
        return Err(Refusal { user: facts.user, from: asked, to: acknowledged, code });
    }
    let client = stream.client();
    let mut session = Session { client, facts, asked, acknowledged, leaves: None, ended: None };
    let stays = Duration::from_millis(rng.random_range(1..120));
    if is_told_to_go(&mut stream, stays) {
        let last = stream.push_after_pings().expect("the last push");
        let code = last["disconnect"]["code"].as_u64();
        session.ended = Some((clock.now(), code.unwrap_or_else(|| panic!("no end: {last}"))));
        assert_eq!(stream.push(), None, "a stream ends behind its disconnect");
        return Ok(session);
    }
    session.leaves = Some(clock.now());
    if rng.random() {
        stream.conn.reset();
    }
    Ok(session)
}

/// Whether something comes within this time.
fn is_told_to_go(stream: &mut Stream, within: Duration) -> bool {
    let socket = stream.conn.reader.get_ref();
    socket.set_read_timeout(Some(within)).expect("a timeout");
    let has_come = match std::io::BufRead::fill_buf(&mut stream.conn.reader) {
        Ok(bytes) => !bytes.is_empty(),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
        Err(error) => panic!("a session's socket: {error}"),
    };
    let socket = stream.conn.reader.get_ref();
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    has_come
}
