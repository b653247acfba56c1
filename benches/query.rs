//! A whole query inside one shard: the bytes of a request in, the bytes of its reply out, for a
//! user with three sessions out of a thousand, a million and ten million.
//!
//! `cargo bench --bench query`. HTTP, key, JSON, directory, index, encoding and reply are the
//! server's own; sockets and the mesh are not here (see `gather`). The sessions are the budget's:
//! a token with `jti` and 64 bytes of `meta`, a name and a version, a user of ten bytes. Every
//! query is for a user chosen at random out of all, so that at ten million nothing it needs is in
//! a cache. All three shards live side by side and take turns in every round: a ratio is taken
//! within a round, so that a disturbance of the machine hits both its sides.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads clocks")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rollcall::ids::ConnId;

use harness::deal::user_of;
use harness::lone_shard::LoneShard;
use harness::memory::rss_bytes;
use harness::mode::is_measuring;
use harness::node::{connect_request, query_request};
use harness::random::random;
use harness::spread::Spread;
use harness::timing;
use harness::users::{SESSIONS_PER_USER, user};

mod harness {
    pub(crate) mod credentials;
    pub(crate) mod deal;
    pub(crate) mod limits;
    pub(crate) mod lone_shard;
    pub(crate) mod machine;
    pub(crate) mod memory;
    pub(crate) mod mode;
    pub(crate) mod node;
    pub(crate) mod random;
    pub(crate) mod spread;
    pub(crate) mod timing;
    pub(crate) mod token;
    pub(crate) mod users;
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [(&str, u64); 3] = [("1k", 1_000), ("1M", 1_000_000), ("10M", 10_000_000)];

/// What the issue asks for: the time of a query may grow this much from the first size to the
/// last.
const GROWTH_MAX: f64 = 1.5;

/// Where the digits of the user stand in a request.
const DIGITS: usize = 9;

/// A shard full of sessions, and one connection that asks it.
struct Asked {
    name: &'static str,
    machine: LoneShard,
    users: u64,
    api: ConnId,
    request: Vec<u8>,
    digits_at: usize,
    asked: u64,
}

impl Asked {
    /// Opens the sessions through the shard's own door, each on a connection of its own.
    fn filled(name: &'static str, sessions: u64) -> Self {
        let mut machine = LoneShard::new();
        let before = rss_bytes();
        let mut took = Duration::ZERO;
        for first in (0..sessions).step_by(1024) {
            // Signing is the client's work: it is not timed.
            let requests: Vec<Vec<u8>> = (first..sessions.min(first + 1024))
                .map(|n| connect_request(&user(user_of(n, sessions)), n))
                .collect();
            let start = Instant::now();
            for request in requests {
                let conn = machine.open();
                black_box(machine.exchange(conn, &request).len());
            }
            took += start.elapsed();
        }
        assert_eq!(machine.shard.sessions() as u64, sessions, "every connect became a session");
        println!(
            "{name:>4}: {:.0} ns per connect, its token verified; {:.0} B per session: record, \
             indexes, directory, connection, timer",
            took.as_nanos() as f64 / sessions as f64,
            rss_bytes().saturating_sub(before) as f64 / sessions as f64,
        );
        let api = machine.open();
        let request = query_request(&user(0));
        let digits_at = request.len() - DIGITS - r#""}}"#.len();
        let users = sessions / SESSIONS_PER_USER;
        Self { name, machine, users, api, request, digits_at, asked: 0 }
    }

    /// One query for a random user.
    fn ask(&mut self) -> &[u8] {
        self.asked += 1;
        let mut user = random(self.asked) % self.users;
        for digit in self.request[self.digits_at..][..DIGITS].iter_mut().rev() {
            *digit = b'0' + u8::try_from(user % 10).expect("a digit");
            user /= 10;
        }
        self.machine.exchange(self.api, &self.request)
    }

    fn ns_per_query(&mut self, queries: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..queries {
            black_box(self.ask());
        }
        start.elapsed().as_nanos() as f64 / f64::from(queries)
    }

    /// What is measured must be the right answer.
    fn check(&mut self) {
        let reply = String::from_utf8(self.ask().to_vec()).expect("HTTP and JSON are text");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).expect("a JSON body");
        let sessions = body["result"]["connections"].as_object().expect("a listing");
        let enough = usize::try_from(SESSIONS_PER_USER).expect("three");
        assert!(sessions.len() >= enough, "{body}");
        let is_whole = |session: &serde_json::Value| {
            session["app_name"] == "ios" && session["meta"]["plan"] == "pro"
        };
        assert!(sessions.values().all(is_whole), "{body}");
    }
}

/// Rounds in which all sizes take turns, and the growth from the first size to each.
fn growth(shards: &mut [Asked]) {
    let (rounds, queries) = if is_measuring() { (15, 100_000) } else { (1, 100) };
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); shards.len()];
    for _ in 0..rounds {
        for (shard, own) in shards.iter_mut().zip(&mut samples) {
            own.push(shard.ns_per_query(queries));
        }
    }
    println!(
        "\nwhole query in one shard, {rounds} rounds of {queries}: median [lowest … highest]\n\
         sessions   ns per query                    ratio to {}, within a round",
        shards[0].name
    );
    let mut last = Spread::of(&[1.0]);
    for (shard, own) in shards.iter().zip(&samples) {
        let ratios: Vec<f64> = own.iter().zip(&samples[0]).map(|(own, base)| own / base).collect();
        last = Spread::of(&ratios);
        println!("{:>8}  {:.0}  {last:.2}", shard.name, Spread::of(own));
    }
    let verdict = if last.median <= GROWTH_MAX { "within" } else { "beyond" };
    println!("growth {:.2}: {verdict} the {GROWTH_MAX} asked for", last.median);
}

fn main() {
    let scale = if is_measuring() { 1 } else { 1_000 };
    let mut shards: Vec<Asked> = SIZES
        .into_iter()
        .map(|(name, sessions)| Asked::filled(name, (sessions / scale).max(SESSIONS_PER_USER)))
        .collect();
    for shard in &mut shards {
        shard.check();
    }
    timing::run(|criterion| {
        for shard in &mut shards {
            criterion.bench_function(&format!("whole query in one shard/{}", shard.name), |b| {
                b.iter(|| black_box(shard.ask().len()));
            });
        }
    });
    growth(&mut shards);
}
