//! How many instructions the hot paths take, counted by valgrind: the same in every run, so that
//! CI can refuse a commit that makes one of them longer (`.ci/instructions`).
//!
//! Every benchmark walks its path [`ROUNDS`] times, so that what happens only once in a process
//! hardly counts. It returns what it was given, so that dropping it does not count.
#![expect(missing_docs, unused_qualifications, reason = "in what the macros of gungraun write")]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use rollcall::api::Plan;
use rollcall::auth::Verifier;
use rollcall::ids::{ClientId, ConnId, SessionSlot};
use rollcall::mesh::{Endpoint, mesh};
use rollcall::protocol::{Encoding, Reply, commands, write_reply};
use rollcall::session::{Table, UserHasher};
use rollcall::shard::Gone;
use rollcall::time::Now;
use rollcall::wire::http1::{HeadScan, parse_head, write_response};
use rollcall::wire::websocket::{Decoder, Event, Kind, Scratch, write_message};

use harness::commands::{RESULT, json_connect, protobuf_connect};
use harness::credentials::credentials;
use harness::deal::user_of;
use harness::http;
use harness::limits::LIMITS;
use harness::lone_shard::LoneShard;
use harness::machine::NOW;
use harness::node::{connect_request, query_request};
use harness::population::{self, Load, Newcomer};
use harness::random::random;
use harness::users::{SESSIONS_PER_USER, user};
use harness::websocket::{self, masked};
use harness::{api, token};

mod harness {
    pub(crate) mod api;
    pub(crate) mod commands;
    pub(crate) mod credentials;
    pub(crate) mod deal;
    pub(crate) mod http;
    pub(crate) mod limits;
    pub(crate) mod lone_shard;
    pub(crate) mod machine;
    pub(crate) mod node;
    pub(crate) mod population;
    pub(crate) mod random;
    pub(crate) mod token;
    pub(crate) mod users;
    pub(crate) mod websocket;
}

/// How often each path is walked.
const ROUNDS: u64 = 100;

/// Sessions that are there already.
const SESSIONS: u64 = 300;

// ---- the session table ---------------------------------------------------------------------

/// A table with sessions in it, and some of them.
struct Filled {
    table: Table,
    hasher: UserHasher,
    newcomers: Vec<Newcomer>,
    users: Vec<String>,
    clients: Vec<ClientId>,
    slots: Vec<SessionSlot>,
}

fn filled(load: Load) -> Filled {
    let mut table = population::table();
    let opened: Vec<_> =
        (0..SESSIONS).map(|n| population::open(&mut table, load, n, SESSIONS)).collect();
    // Not in the order in which they came.
    let some = || (0..ROUNDS).map(|n| opened[(n * 7 % SESSIONS) as usize]);
    let (clients, slots) = (some().map(|o| o.client).collect(), some().map(|o| o.slot).collect());
    let users = (0..ROUNDS).map(|n| user(random(n) % (SESSIONS / SESSIONS_PER_USER))).collect();
    let newcomers = (SESSIONS..SESSIONS + ROUNDS).map(|n| Newcomer::new(load, n, SESSIONS));
    let newcomers = newcomers.collect();
    Filled { table, hasher: population::hasher(), newcomers, users, clients, slots }
}

#[library_benchmark(setup = filled)]
#[bench::budget(Load::Budget)]
#[bench::plain(Load::Plain)]
fn open(mut filled: Filled) -> Filled {
    for newcomer in &filled.newcomers {
        black_box(newcomer.open(&mut filled.table));
    }
    filled
}

#[library_benchmark(setup = filled)]
#[bench::budget(Load::Budget)]
fn close(mut filled: Filled) -> Filled {
    for slot in &filled.slots {
        black_box(filled.table.close(*slot));
    }
    filled
}

#[library_benchmark(setup = filled)]
#[bench::budget(Load::Budget)]
fn find_by_user(filled: Filled) -> Filled {
    for user in &filled.users {
        let hash = filled.hasher.hash(user);
        black_box(filled.table.by_user(user, hash).map(|s| s.conn_index()).sum::<u32>());
    }
    filled
}

#[library_benchmark(setup = filled)]
#[bench::budget(Load::Budget)]
fn find_by_client(filled: Filled) -> Filled {
    for client in &filled.clients {
        black_box(filled.table.by_client(*client).map(|session| session.conn_index()));
    }
    filled
}

library_benchmark_group!(name = session, benchmarks = [open, close, find_by_user, find_by_client]);

// ---- a whole shard, bytes in, bytes out ------------------------------------------------------

/// A shard with sessions of one transport, and what happens to it.
struct Shard {
    machine: LoneShard,
    sessions: Vec<ConnId>,
    inputs: Vec<Vec<u8>>,
}

fn with_streams() -> Shard {
    let mut machine = LoneShard::new();
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|n| {
            let conn = machine.open();
            machine.exchange(conn, &connect_request(&user(user_of(n, SESSIONS)), n));
            conn
        })
        .collect();
    Shard { machine, sessions, inputs: Vec::new() }
}

/// The message a client of a WebSocket says who it is with.
fn connect_frame(n: u64) -> Vec<u8> {
    let command = format!(r#"{{"id":1,"connect":{}}}"#, credentials(&user(n), n));
    let mut frame = Vec::new();
    write_message(&mut frame, Kind::Text, |out| out.extend_from_slice(command.as_bytes()));
    masked(&frame)
}

impl Shard {
    fn connect_websocket(&mut self, connect: &[u8]) {
        let conn = self.machine.open();
        black_box(self.machine.exchange(conn, websocket::HEAD).len());
        black_box(self.machine.exchange(conn, connect).len());
        self.sessions.push(conn);
    }
}

/// So many sessions of WebSockets, and connects of others.
fn with_websockets(sessions: u64) -> Shard {
    let (machine, inputs) = (LoneShard::new(), Vec::new());
    let mut shard = Shard { machine, sessions: Vec::new(), inputs };
    for n in 0..sessions {
        shard.connect_websocket(&connect_frame(n));
    }
    assert_eq!(shard.machine.shard.sessions() as u64, sessions, "every connect is a session");
    shard
}

fn asked() -> Shard {
    let mut shard = with_streams();
    let users = SESSIONS / SESSIONS_PER_USER;
    shard.inputs = (0..ROUNDS).map(|n| query_request(&user(random(n) % users))).collect();
    let api = shard.machine.open();
    let reply = shard.machine.exchange(api, &shard.inputs[0]).to_vec();
    let names = String::from_utf8_lossy(&reply).matches("\"app_name\":\"ios\"").count();
    assert!(names as u64 >= SESSIONS_PER_USER, "a listing of whole sessions");
    shard.sessions = vec![api];
    shard
}

#[library_benchmark(setup = asked)]
fn query(mut shard: Shard) -> Shard {
    for request in &shard.inputs {
        black_box(shard.machine.exchange(shard.sessions[0], request).len());
    }
    shard
}

fn connecting() -> Shard {
    let mut shard = with_websockets(ROUNDS);
    shard.inputs = (ROUNDS..2 * ROUNDS).map(connect_frame).collect();
    shard
}

#[library_benchmark(setup = connecting)]
fn connect_websocket(mut shard: Shard) -> Shard {
    for connect in std::mem::take(&mut shard.inputs) {
        shard.connect_websocket(&connect);
    }
    shard
}

/// Long enough for each session's first ping, and too short for a second.
const PINGED: Now = Now { mono_ms: NOW.mono_ms + 25_000, unix_ms: NOW.unix_ms + 25_000 };

fn silent() -> Shard {
    let mut shard = with_websockets(ROUNDS);
    let mut pong = Vec::new();
    write_message(&mut pong, Kind::Text, |out| out.extend_from_slice(b"{}"));
    shard.inputs.push(masked(&pong));
    shard
}

// Every session is pinged and answers.
#[library_benchmark(setup = silent)]
fn ping_and_pong(mut shard: Shard) -> Shard {
    shard.machine.shard.on_tick(PINGED);
    shard.machine.effects.clear();
    shard.machine.shard.take_effects(&mut shard.machine.effects);
    for conn in &shard.sessions {
        black_box(shard.machine.exchange(*conn, &shard.inputs[0]).len());
    }
    shard
}

// Nothing is due: the wheel turns.
#[library_benchmark(setup = silent)]
fn tick(mut shard: Shard) -> Shard {
    for n in 0..ROUNDS {
        let mono_ms = NOW.mono_ms + n * rollcall::shard::TICK_MS;
        black_box(shard.machine.shard.on_tick(Now { mono_ms, ..NOW }));
    }
    shard
}

// Every client vanishes.
#[library_benchmark(setup = silent)]
fn end(mut shard: Shard) -> Shard {
    for conn in &shard.sessions {
        shard.machine.shard.on_closed(*conn, Gone::Reset, NOW);
    }
    shard
}

library_benchmark_group!(
    name = shard,
    benchmarks = [query, connect_websocket, ping_and_pong, tick, end]
);

// ---- the mesh --------------------------------------------------------------------------------

/// As large as the server's.
type Message = [u64; 20];

fn meshed() -> [Endpoint<Message>; 2] {
    let mut ends = mesh(2, 256, 256).into_iter();
    [ends.next().expect("two ends"), ends.next().expect("two ends")]
}

#[library_benchmark(setup = meshed)]
fn send_and_receive([mut here, mut there]: [Endpoint<Message>; 2]) -> [Endpoint<Message>; 2] {
    for n in 0..ROUNDS {
        assert!(here.send(1, black_box([n; 20])).is_ok(), "room for all");
    }
    here.flush();
    for _ in 0..ROUNDS {
        black_box(there.receive());
    }
    there.flush();
    [here, there]
}

library_benchmark_group!(name = rings, benchmarks = [send_and_receive]);

// ---- HTTP and WebSocket ----------------------------------------------------------------------

#[library_benchmark]
fn http_head() {
    for _ in 0..ROUNDS {
        let bytes = black_box(http::HEAD);
        let len = HeadScan::default().end(bytes).ok().flatten().unwrap_or(0);
        let head = parse_head(&bytes[..len]).ok();
        black_box(head.map(|head| (head.header("x-api-key"), head.header("authorization"))));
    }
}

#[library_benchmark(setup = Vec::new)]
fn http_response(mut out: Vec<u8>) -> Vec<u8> {
    for _ in 0..ROUNDS {
        out.clear();
        write_response(&mut out, black_box(&http::RESPONSE), black_box(http::BODY));
    }
    out
}

/// About as long as a small command.
const TEXT: &[u8] = &[b'x'; 100];

fn frames() -> (Decoder, Scratch, Vec<Vec<u8>>) {
    let mut frame = Vec::new();
    write_message(&mut frame, Kind::Text, |out| out.extend_from_slice(TEXT));
    // Reading unmasks them where they lie.
    let frames = (0..ROUNDS).map(|_| masked(&frame)).collect();
    (Decoder::new(None), Scratch::default(), frames)
}

#[library_benchmark(setup = frames)]
fn websocket_read(
    (mut decoder, mut scratch, mut frames): (Decoder, Scratch, Vec<Vec<u8>>),
) -> (Decoder, Scratch, Vec<Vec<u8>>) {
    for frame in &mut frames {
        let mut bytes = black_box(frame.as_mut_slice());
        let event = decoder.next(&mut bytes, &LIMITS, &mut scratch);
        assert!(matches!(event, Ok(Some(Event::Message { .. }))), "one whole message");
    }
    (decoder, scratch, frames)
}

#[library_benchmark(setup = Vec::new)]
fn websocket_write(mut out: Vec<u8>) -> Vec<u8> {
    for _ in 0..ROUNDS {
        out.clear();
        write_message(&mut out, Kind::Text, |out| out.extend_from_slice(black_box(TEXT)));
    }
    out
}

library_benchmark_group!(
    name = wire,
    benchmarks = [http_head, http_response, websocket_read, websocket_write]
);

// ---- the client protocol -----------------------------------------------------------------------

fn json() -> (Encoding, Vec<u8>) {
    (Encoding::Json, json_connect())
}

fn protobuf() -> (Encoding, Vec<u8>) {
    (Encoding::Protobuf, protobuf_connect())
}

#[library_benchmark]
#[bench::json(json())]
#[bench::protobuf(protobuf())]
fn connect_command((encoding, message): (Encoding, Vec<u8>)) -> Vec<u8> {
    for _ in 0..ROUNDS {
        black_box(commands(encoding, black_box(&message)).next().is_some_and(|c| c.is_ok()));
    }
    message
}

#[library_benchmark]
#[bench::json(Encoding::Json)]
#[bench::protobuf(Encoding::Protobuf)]
fn connect_reply(encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    for _ in 0..ROUNDS {
        out.clear();
        write_reply(&mut out, encoding, 1, black_box(&Reply::Connect(RESULT)));
    }
    out
}

library_benchmark_group!(name = protocol, benchmarks = [connect_command, connect_reply]);

// ---- tokens ----------------------------------------------------------------------------------

fn token() -> (Verifier, String) {
    let credentials = credentials(&user(1), 1);
    let credentials: serde_json::Value = serde_json::from_str(&credentials).expect("JSON");
    let token = credentials["token"].as_str().expect("a token").to_owned();
    let verifier = Verifier::new(&token::options());
    assert!(verifier.verify(&token, NOW).is_ok(), "what a client sends is good");
    (verifier, token)
}

#[library_benchmark(setup = token)]
fn verify_hs256((verifier, token): (Verifier, String)) -> (Verifier, String) {
    for _ in 0..ROUNDS {
        black_box(verifier.verify(black_box(&token), NOW).is_ok());
    }
    (verifier, token)
}

library_benchmark_group!(name = auth, benchmarks = [verify_hs256]);

// ---- the server API --------------------------------------------------------------------------

#[library_benchmark]
fn plan_body() {
    api::with_planner(|plan| {
        for _ in 0..ROUNDS {
            black_box(plan(black_box(api::PAGE.as_bytes())));
        }
    });
}

fn listing(sessions: u64) -> (Plan, Table, Vec<u8>) {
    (api::with_planner(|plan| plan(api::PAGE.as_bytes())), api::table(sessions), Vec::new())
}

#[library_benchmark(setup = listing)]
#[bench::one_session(1)]
#[bench::ten_sessions(10)]
fn write_listing((plan, table, mut out): (Plan, Table, Vec<u8>)) -> (Plan, Table, Vec<u8>) {
    for _ in 0..ROUNDS {
        api::reply(black_box(&plan), &table, &mut out);
    }
    (plan, table, out)
}

library_benchmark_group!(name = server_api, benchmarks = [plan_body, write_listing]);

main!(library_benchmark_groups = [session, shard, rings, wire, protocol, auth, server_api]);
