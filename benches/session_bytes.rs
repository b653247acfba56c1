//! What a session weighs in memory: by the growth of the process and by the sum of known sizes.
//!
//! `cargo bench --bench session_bytes`. Each line is measured in a process of its own, so that no
//! line finds memory that another left.

#![expect(clippy::print_stdout, reason = "the table is the product")]

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::memory::rss_bytes;
use harness::mode::is_measuring;
use harness::naive::{self, Naive};
use harness::population::{self, Load, META_BYTES};
use rollcall::session::HeapBytes;

mod harness {
    pub(crate) mod deal;
    pub(crate) mod memory;
    pub(crate) mod mode;
    pub(crate) mod naive;
    pub(crate) mod population;
    pub(crate) mod random;
    pub(crate) mod users;
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What each kind of line stores, and how often.
const LINES: [(&str, u64); 10] = [
    ("budget", 10_000),
    ("budget", 1_000_000),
    ("budget", 10_000_000),
    ("plain", 10_000),
    ("plain", 1_000_000),
    ("plain", 10_000_000),
    ("labelled", 10_000),
    ("labelled", 1_000_000),
    ("labelled", 10_000_000),
    ("naive", 1_000_000),
];

/// A record of the budget's session: where its bytes go (session/record.rs).
const ACCOUNT: [(&str, usize); 15] = [
    ("kind: transport, protocol", 1),
    ("which optional parts follow", 1),
    ("app name and version, interned", 2),
    ("next session of the user", 4),
    ("previous session of the user", 4),
    ("salt of its ids", 8),
    ("place of its connection", 4),
    ("connected at", 6),
    ("user: length, text", 1 + 10),
    ("issued at", 4),
    ("address, of IPv4", 4),
    ("user agent, interned", 2),
    ("token uid", 16),
    ("meta: length", 1),
    ("meta: bytes", META_BYTES),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, kind, sessions] = args.as_slice()
        && let Ok(sessions) = sessions.parse()
    {
        return line(kind, sessions);
    }
    println!(
        "sessions    kind      RSS/session  heap/session  records  by_user  by_rest   open      worst"
    );
    let this = std::env::current_exe().expect("this program has a path");
    for (kind, sessions) in LINES {
        let sessions = if is_measuring() { sessions } else { sessions / 1_000 };
        let mut child = Command::new(&this);
        let status = child.args([kind, &sessions.to_string()]).status().expect("it ran before");
        assert!(status.success(), "{kind} {sessions}");
    }
    println!("\nrecord of a budget session, in bytes");
    for (part, bytes) in ACCOUNT {
        println!("  {bytes:>4}  {part}");
    }
    let total: usize = ACCOUNT.iter().map(|(_, bytes)| bytes).sum();
    println!("  {total:>4}  together; rounded up to {}", total.next_multiple_of(4));
}

fn line(kind: &str, sessions: u64) {
    let per_session = |bytes: usize| bytes as f64 / sessions as f64;
    let before = rss_bytes();
    let (heap, took, worst) = match kind {
        "budget" => index(Load::Budget, sessions),
        "plain" => index(Load::Plain, sessions),
        "labelled" => index(Load::Labelled, sessions),
        _ => in_a_map(sessions),
    };
    let grown = heap.1.saturating_sub(before);
    let HeapBytes { records, by_user, apps, agents, labels, index, changes } = heap.0;
    let by_rest = apps + labels + index + changes;
    println!(
        "{sessions:>10}  {kind:<9} {:>9.1}  {:>12.1}  {:>9.1} {:>7.1} {:>8.1}  {:>5.0} ns  {:>6.2} ms",
        per_session(grown),
        per_session(records + by_user + by_rest + agents),
        per_session(records),
        per_session(by_user),
        per_session(by_rest),
        took.as_nanos() as f64 / sessions as f64,
        worst.as_secs_f64() * 1e3,
    );
}

/// Known sizes and RSS when full; time to open all; the longest time one open took.
type Measured = ((HeapBytes, usize), Duration, Duration);

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn index(load: Load, sessions: u64) -> Measured {
    let mut table = population::table();
    let start = Instant::now();
    let (mut last, mut worst) = (start, Duration::ZERO);
    for n in 0..sessions {
        population::open(&mut table, load, n, sessions);
        let now = Instant::now();
        worst = worst.max(now - last);
        last = now;
    }
    ((table.heap_bytes(), rss_bytes()), last - start, worst)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn in_a_map(sessions: u64) -> Measured {
    let mut map: HashMap<String, Vec<Naive>> = HashMap::new();
    let start = Instant::now();
    let (mut last, mut worst) = (start, Duration::ZERO);
    for n in 0..sessions {
        let naive = naive::session(n, sessions);
        map.entry(naive.user.clone()).or_default().push(naive);
        let now = Instant::now();
        worst = worst.max(now - last);
        last = now;
    }
    let unknown =
        HeapBytes { records: 0, by_user: 0, apps: 0, agents: 0, labels: 0, index: 0, changes: 0 };
    ((unknown, rss_bytes()), last - start, worst)
}
