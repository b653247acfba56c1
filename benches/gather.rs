//! The round trip of a query through the whole server: sockets, engine, two shards, the mesh.
//!
//! `cargo bench --bench gather`. A real node runs in this process, two shards on two cores, and a
//! backend asks it over one keep-alive connection whose shard is known. "near" is a user whose
//! three sessions are on that shard; "both" has two there and one on the other, so that the query
//! is scattered and gathered. Their difference within a round is the price of the mesh.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads clocks")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rollcall::connection::open::Scope;
use rollcall::engine::accept::ListenOn;
use rollcall::engine::boot::{DriverChoice, ParkingChoice};
use rollcall::ids::ShardId;
use rollcall::messages::SessionEvent;
use rollcall::server::{self, ServerOptions};
use rollcall::shard::admission::AdmissionOptions;
use rustix::process::{Signal, getpid, kill_process};

use harness::mode::is_measuring;
use harness::node::{api_request, connect_request, options, query_request};
use harness::spread::Spread;
use harness::threads;

mod harness {
    pub(crate) mod mode;
    pub(crate) mod node;
    pub(crate) mod random;
    pub(crate) mod spread;
    pub(crate) mod threads;
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Queries sent in one write.
const PIPELINED: usize = 16;

/// Queries the background load puts on each of its two connections, in one write.
const LOAD_BATCH: usize = 10;
/// How often it does so.
const LOAD_EVERY: Duration = Duration::from_millis(1);

/// How long anything may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running node, as a client sees it.
struct Node {
    address: SocketAddr,
    events: Receiver<SessionEvent>,
    sessions: u64,
}

impl Node {
    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("the node listens");
        socket.set_nodelay(true).expect("an option of TCP");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option of sockets");
        socket
    }

    /// Opens a session and learns which shard holds it.
    fn open(&mut self, user: &str) -> (TcpStream, ShardId) {
        self.sessions += 1;
        let mut socket = self.connect();
        socket.write_all(&connect_request(user, self.sessions)).expect("the node reads");
        read_until(&mut socket, b"}\n\r\n");
        (socket, self.next_event().shard)
    }

    /// Opens sessions of `user` until `here` of them are on `shard` and `elsewhere` are not.
    fn place(
        &mut self,
        user: &str,
        shard: ShardId,
        here: usize,
        elsewhere: usize,
    ) -> Vec<TcpStream> {
        let mut wanted = [elsewhere, here];
        let mut kept = Vec::new();
        while wanted != [0, 0] {
            let (socket, on) = self.open(user);
            let wanted = &mut wanted[usize::from(on == shard)];
            if *wanted > 0 {
                *wanted -= 1;
                kept.push(socket);
            } else {
                drop(socket);
                self.next_event();
            }
        }
        kept
    }

    /// A keep-alive connection to a shard that is known: it carried a session before, which the
    /// API has ended.
    fn api(&mut self, on: Option<ShardId>) -> (Api, ShardId) {
        loop {
            let (mut socket, shard) = self.open("api");
            if on.is_some_and(|on| on != shard) {
                drop(socket);
                self.next_event();
                continue;
            }
            let mut other = self.connect();
            let end = r#"{"method": "disconnect", "params": {"user": "api"}}"#;
            other.write_all(&api_request(end)).expect("the node reads");
            read_until(&mut other, b"}");
            read_until(&mut socket, b"\n\r\n0\r\n\r\n");
            self.next_event();
            return (Api { socket, buffer: vec![0; 64 * 1024] }, shard);
        }
    }

    fn next_event(&self) -> SessionEvent {
        self.events.recv_timeout(PATIENCE).expect("the node tells of every session")
    }
}

fn read_until(socket: &mut TcpStream, end: &[u8]) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.ends_with(end) {
        let read = socket.read(&mut buffer).expect("the node answers in time");
        bytes.extend_from_slice(&buffer[..read]);
        assert!(read > 0, "the node closed: {}", String::from_utf8_lossy(&bytes));
    }
}

/// A backend's connection.
struct Api {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// A query and the length of its reply, which is always the same.
struct Query {
    request: Vec<u8>,
    reply_bytes: usize,
}

impl Query {
    /// Asks once and checks the answer.
    fn new(api: &mut Api, user: &str) -> Self {
        let request = query_request(user);
        api.socket.write_all(&request).expect("the node reads");
        let mut reply_bytes = 0;
        while !api.buffer[..reply_bytes].ends_with(b"}}}") {
            let read = api.socket.read(&mut api.buffer[reply_bytes..]);
            reply_bytes += read.expect("the node answers in time");
        }
        let reply = String::from_utf8_lossy(&api.buffer[..reply_bytes]);
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert_eq!(reply.matches("\"app_name\":\"ios\"").count(), 3, "{reply}");
        assert!(!reply.contains("partial"), "{reply}");
        Self { request, reply_bytes }
    }

    fn times(&self, count: usize) -> Self {
        Self { request: self.request.repeat(count), reply_bytes: self.reply_bytes * count }
    }
}

impl Api {
    /// Nanoseconds from the first byte of the request to the last of the reply.
    fn ask(&mut self, query: &Query) -> f64 {
        let start = Instant::now();
        self.socket.write_all(&query.request).expect("the node reads");
        let reply = &mut self.buffer[..query.reply_bytes];
        self.socket.read_exact(reply).expect("the node answers in time");
        let took = start.elapsed();
        assert!(reply.ends_with(b"}}}"), "a whole reply");
        took.as_nanos() as f64
    }

    /// Asks often, with a rest before each query.
    fn ask_often(&mut self, query: &Query, times: usize, rest: Duration) -> Taken {
        let before = shards_cpu_ns();
        let mut taken: Vec<f64> = (0..times)
            .map(|_| {
                if !rest.is_zero() {
                    thread::sleep(rest);
                }
                self.ask(query)
            })
            .collect();
        let cpu_ns = (shards_cpu_ns() - before) / times as f64;
        taken.sort_by(f64::total_cmp);
        let at = |percent: usize| taken[(times * percent / 100).min(times - 1)] / 1e3;
        Taken { us: [at(50), at(90), at(99)], cpu_us: cpu_ns / 1e3 }
    }
}

/// One round of one line.
struct Taken {
    /// 50th, 90th and 99th percentile.
    us: [f64; 3],
    /// Of both shards, for each time.
    cpu_us: f64,
}

/// Nanoseconds the shards of this process have been on a processor.
fn shards_cpu_ns() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux tells");
    let threads = threads.map(|thread| thread.expect("an entry").path());
    let is_shard = |thread: &std::path::PathBuf| {
        std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.starts_with("shard-"))
    };
    threads.filter(is_shard).map(|thread| threads::cpu_ns(&thread)).sum()
}

/// What is measured, in the order of the table.
const LINES: [&str; 6] = [
    "near, idle",
    "both, idle",
    "near, under load",
    "both, under load",
    "near, 16 in one write",
    "both, 16 in one write",
];

/// Runs a node on this driver and measures it.
fn node(driver: DriverChoice) {
    let server_options = ServerOptions {
        shards: 2,
        pin_to_cores: true,
        driver,
        parking: ParkingChoice::PollSet,
        ring_entries: 1024,
        query_timeout_ms: 1_000,
        shutdown_timeout: PATIENCE,
        listen: vec![ListenOn {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            scope: Scope::All,
        }],
        admission: AdmissionOptions::default(),
    };
    let (tell, events) = mpsc::channel();
    let on_event = Box::new(move |event: &SessionEvent| {
        // Nobody listens any more when the node says goodbye.
        let _unheard = tell.send(event.clone());
    });
    let server = server::start(&server_options, &options(), Some(on_event)).expect("it starts");
    println!("\n{}", server.drivers()[0].name());
    let mut node = Node { address: server.addresses()[0], events, sessions: 0 };
    let running = thread::spawn(move || server.run());
    measure(&mut node);
    drop(node);
    // The node has told of sessions: it handles signals.
    kill_process(getpid(), Signal::TERM).expect("this process may signal itself");
    running.join().expect("no panic").expect("the goodbye was in time");
}

fn measure(node: &mut Node) {
    let (mut api, shard) = node.api(None);
    // The backend works where the other shard does, so that it never holds up its own.
    threads::pin(1 - shard.index());
    let _near = node.place("near", shard, 3, 0);
    let _both = node.place("both", shard, 2, 1);
    let queries = ["near", "both"].map(|user| Query::new(&mut api, user));
    let many = [&queries[0], &queries[1]].map(|query| query.times(PIPELINED));
    let load: Vec<Api> =
        [shard, ShardId::new(1 - shard.index())].map(|on| node.api(Some(on)).0).into();
    let (rounds, times) = if is_measuring() { (9, 1_000) } else { (1, 5) };
    let rest = Duration::from_micros(200);
    let (ask, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let asked = AtomicU64::new(0);
    let mut samples: [Vec<Taken>; LINES.len()] = Default::default();
    let mut loaded_for = Duration::ZERO;
    thread::scope(|scope| {
        scope.spawn(|| background(load, &queries[1], &ask, &stop, &asked));
        for _ in 0..rounds {
            for (line, query) in queries.iter().enumerate() {
                samples[line].push(api.ask_often(query, times, rest));
            }
            ask.store(true, Ordering::Relaxed);
            let start = Instant::now();
            for (line, query) in queries.iter().enumerate() {
                samples[2 + line].push(api.ask_often(query, times, rest));
            }
            loaded_for += start.elapsed();
            ask.store(false, Ordering::Relaxed);
            thread::sleep(LOAD_EVERY * 10);
            for (line, query) in many.iter().enumerate() {
                samples[4 + line].push(api.ask_often(query, times, Duration::ZERO));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let load_per_s = asked.load(Ordering::Relaxed) as f64 / loaded_for.as_secs_f64();
    report(&samples, rounds, times, load_per_s);
}

/// Queries for the user on both shards, over a connection to each shard, at an even rate.
fn background(
    mut load: Vec<Api>,
    query: &Query,
    ask: &AtomicBool,
    stop: &AtomicBool,
    asked: &AtomicU64,
) {
    let batch = query.times(LOAD_BATCH);
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        next += LOAD_EVERY;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if !ask.load(Ordering::Relaxed) {
            next = Instant::now();
            continue;
        }
        for api in &mut load {
            api.ask(&batch);
            asked.fetch_add(LOAD_BATCH as u64, Ordering::Relaxed);
        }
    }
}

fn report(samples: &[Vec<Taken>], rounds: usize, times: usize, load_per_s: f64) {
    println!(
        "{rounds} rounds of {times}, median of the rounds [lowest … highest]; the load was \
         {load_per_s:.0} queries per second\n{:<23} {:<31} {:<31} {:<31} shards' CPU, µs",
        "", "p50, µs", "p90, µs", "p99, µs"
    );
    let of = |line: usize, value: &dyn Fn(&Taken) -> f64| {
        Spread::of(&samples[line].iter().map(value).collect::<Vec<f64>>())
    };
    for (line, name) in LINES.iter().enumerate() {
        let [p50, p90, p99] = [0, 1, 2].map(|at| of(line, &move |taken| taken.us[at]));
        println!("{name:<22}{p50}{p90}{p99}{}", of(line, &|taken| taken.cpu_us));
    }
    for (title, line) in [("idle", 0), ("under load", 2), ("16 in one write", 4)] {
        let pairs = || samples[line].iter().zip(&samples[line + 1]);
        let p50: Vec<f64> = pairs().map(|(near, both)| both.us[0] - near.us[0]).collect();
        let cpu: Vec<f64> = pairs().map(|(near, both)| both.cpu_us - near.cpu_us).collect();
        println!(
            "the mesh costs, {title:<15}  p50, µs {}  shards' CPU, µs {}",
            Spread::of(&p50),
            Spread::of(&cpu)
        );
    }
}

fn main() {
    println!(
        "two shards on two cores; the backend is a thread of this process and works on the other \
         shard's core: with only two\ncores it competes with what it measures. \"idle\" and \
         \"under load\" rest 200 µs before each query, so that shards sleep.\nLoopback bills \
         receiving to the sender. CPU under load is everything the shards did, the load's \
         queries included."
    );
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        node(driver);
    }
}
