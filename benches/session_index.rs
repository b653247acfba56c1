//! The session index: does an operation take longer because there are more sessions, and how does
//! it compare with one map of structs?
//!
//! `cargo bench --bench session_index`. Every size does the same work on users chosen at random, so
//! that nothing is in a cache because it was just used. What grows with the size is the share of
//! reads that miss the caches.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::Criterion;
use dashmap::DashMap;
use rollcall::ids::{ClientId, SessionSlot};
use rollcall::session::Table;

use harness::deal::user_of;
use harness::mode::is_measuring;
use harness::naive::{self, Naive};
use harness::population::{self, Load, open};
use harness::random::random;
use harness::timing;
use harness::users::{SESSIONS_PER_USER, user};

mod harness {
    pub(crate) mod deal;
    pub(crate) mod mode;
    pub(crate) mod naive;
    pub(crate) mod population;
    pub(crate) mod random;
    pub(crate) mod timing;
    pub(crate) mod users;
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::disallowed_types, reason = "the rival that is measured")]
type LockedMap = std::sync::RwLock<HashMap<String, Vec<Naive>>>;

const SIZES: [(&str, u64); 3] = [("1k", 1_000), ("1M", 1_000_000), ("10M", 10_000_000)];
const RIVALS_SIZE: u64 = 1_000_000;
/// Questions prepared in advance, so that making them up is not measured; so many that their
/// answers do not stay in a cache from one round to the next.
const QUESTIONS: u64 = 1 << 20;

/// The number itself, or one that only shows that the benchmark runs.
fn scaled(number: u64) -> u64 {
    if is_measuring() { number } else { number.div_ceil(1_000).max(1_000) }
}

fn index(c: &mut Criterion) {
    for (name, sessions) in SIZES {
        let sessions = scaled(sessions);
        let mut table = population::table();
        let opened: Vec<_> =
            (0..sessions).map(|n| open(&mut table, Load::Budget, n, sessions)).collect();
        let clients: Vec<_> =
            (0..scaled(QUESTIONS)).map(|n| opened[place(random(n), sessions)].client).collect();
        let mut slots: Vec<_> = opened.into_iter().map(|opened| opened.slot).collect();
        lookups(c, name, &table, sessions);
        resolve(c, name, &table, &clients);
        churn(c, name, &mut table, &mut slots);
    }
}

/// Sessions of which nothing is known but their user.
fn plain(c: &mut Criterion) {
    let sessions = scaled(RIVALS_SIZE);
    let mut table = population::table();
    for n in 0..sessions {
        open(&mut table, Load::Plain, n, sessions);
    }
    lookups(c, "1M plain", &table, sessions);
}

fn lookups(c: &mut Criterion, name: &str, table: &Table, sessions: u64) {
    let (hasher, users) = (population::hasher(), questions(sessions));
    let mut asked = users.iter().cycle();
    c.bench_function(&format!("find a user's 3 sessions/{name}"), |b| {
        b.iter(|| {
            let user = asked.next().expect("endless");
            let found = table.by_user(user, hasher.hash(user)).map(|s| s.conn_index()).sum::<u32>();
            black_box(found)
        });
    });
    let mut out = Vec::new();
    c.bench_function(&format!("list a user's 3 sessions, all fields/{name}"), |b| {
        b.iter(|| {
            let user = asked.next().expect("endless");
            out.clear();
            for session in table.by_user(user, hasher.hash(user)) {
                out.extend_from_slice(&session.client().text());
                out.extend_from_slice(session.app_name().as_bytes());
                out.extend_from_slice(session.app_version().as_bytes());
                out.extend_from_slice(session.transport().name().as_bytes());
                out.extend_from_slice(session.token_uid().as_bytes());
                out.extend_from_slice(&session.token_issued_at().unwrap_or(0).to_le_bytes());
                out.extend_from_slice(session.meta().unwrap_or_default());
            }
            black_box(&out);
        });
    });
}

fn resolve(c: &mut Criterion, name: &str, table: &Table, clients: &[ClientId]) {
    let mut asked = clients.iter().cycle();
    c.bench_function(&format!("resolve a client id/{name}"), |b| {
        b.iter(|| {
            let session = table.by_client(*asked.next().expect("endless"));
            black_box(session.map(|session| session.conn_index()))
        });
    });
}

/// One session closes and one opens, at a steady size.
fn churn(c: &mut Criterion, name: &str, table: &mut Table, slots: &mut [SessionSlot]) {
    let sessions = slots.len() as u64;
    let mut n = sessions;
    c.bench_function(&format!("close a session and open another/{name}"), |b| {
        b.iter(|| {
            n += 1;
            let slot = &mut slots[place(random(n), sessions)];
            black_box(table.close(*slot));
            *slot = open(table, Load::Budget, n, sessions).slot;
        });
    });
}

fn rivals(c: &mut Criterion) {
    let total = scaled(RIVALS_SIZE);
    let users = questions(total);
    let mut asked = users.iter().cycle();
    let mut out = Vec::new();

    let dash: DashMap<String, Vec<Naive>> = DashMap::new();
    for n in 0..total {
        let naive = naive::session(n, total);
        dash.entry(naive.user.clone()).or_default().push(naive);
    }
    c.bench_function("list a user's 3 sessions, all fields/1M in a DashMap", |b| {
        b.iter(|| {
            let sessions = dash.get(asked.next().expect("endless"));
            read(&sessions.expect("a user we have"), &mut out);
        });
    });
    let mut n = total;
    c.bench_function("close a session and open another/1M in a DashMap", |b| {
        b.iter(|| {
            n += 1;
            let gone = user(user_of(random(n) % total, total));
            black_box(dash.get_mut(&gone).and_then(|mut sessions| sessions.pop()));
            let naive = naive::session(n, total);
            dash.entry(naive.user.clone()).or_default().push(naive);
        });
    });
    drop(dash);

    let locked = LockedMap::default();
    for n in 0..total {
        let naive = naive::session(n, total);
        let mut map = locked.write().expect("not poisoned");
        map.entry(naive.user.clone()).or_default().push(naive);
    }
    c.bench_function("list a user's 3 sessions, all fields/1M in a RwLock<HashMap>", |b| {
        b.iter(|| {
            let map = locked.read().expect("not poisoned");
            let sessions = map.get(asked.next().expect("endless"));
            read(sessions.expect("a user we have"), &mut out);
        });
    });
    c.bench_function("close a session and open another/1M in a RwLock<HashMap>", |b| {
        b.iter(|| {
            n += 1;
            let gone = user(user_of(random(n) % total, total));
            let mut map = locked.write().expect("not poisoned");
            black_box(map.get_mut(&gone).and_then(Vec::pop));
            let naive = naive::session(n, total);
            map.entry(naive.user.clone()).or_default().push(naive);
        });
    });
}

fn read(sessions: &[Naive], out: &mut Vec<u8>) {
    out.clear();
    for session in sessions {
        out.extend_from_slice(session.client.as_bytes());
        out.extend_from_slice(session.app_name.as_bytes());
        out.extend_from_slice(session.app_version.as_bytes());
        out.extend_from_slice(session.transport.name().as_bytes());
        out.extend_from_slice(session.token_uid.as_bytes());
        out.extend_from_slice(&session.token_issued_at.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(session.meta.as_deref().unwrap_or_default());
    }
    black_box(out);
}

/// Users to ask for.
fn questions(sessions: u64) -> Vec<String> {
    let users = sessions / SESSIONS_PER_USER;
    (0..scaled(QUESTIONS)).map(|n| user(random(n) % users)).collect()
}

fn place(random: u64, len: u64) -> usize {
    usize::try_from(random % len).expect("below a length")
}

fn main() {
    timing::run(|criterion| {
        index(criterion);
        plain(criterion);
        rivals(criterion);
    });
}
