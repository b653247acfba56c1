//! The round trip of a query through the whole server: sockets, engine, two shards, the mesh.
//!
//! `cargo bench --bench gather`. Real nodes run in this process, two shards on two cores, and a
//! backend asks one of them over a keep-alive connection whose shard is known. "near" is a user
//! whose three sessions are on that shard; "both" has two there and one on the other, so that the
//! query is scattered and gathered. Their difference within a round is the price of the mesh.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads clocks")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rollcall::connection::open::Scope;
use rollcall::control::store::StoreOptions;
use rollcall::engine::accept::ListenOn;
use rollcall::engine::boot::{DriverChoice, ParkingChoice};
use rollcall::ids::ShardId;
use rollcall::messages::SessionEvent;
use rollcall::server::{self, ServerError, ServerOptions};
use rollcall::shard::Synthetic;
use rollcall::shard::admission::AdmissionOptions;
use rustix::process::{Signal, getpid, kill_process};

use harness::mode::is_measuring;
use harness::node::{api_request, connect_request, options, query_request};
use harness::spread::Spread;
use harness::threads;

mod harness {
    pub(crate) mod credentials;
    pub(crate) mod limits;
    pub(crate) mod mode;
    pub(crate) mod node;
    pub(crate) mod random;
    pub(crate) mod spread;
    pub(crate) mod threads;
    pub(crate) mod token;
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

    /// Opens sessions of `user` until `near` of them are on that shard and `far` on the other.
    fn place(&mut self, user: &str, near: usize, far: usize) -> Vec<TcpStream> {
        let mut wanted = [near, far];
        let mut kept = Vec::new();
        while wanted != [0, 0] {
            let (socket, shard) = self.open(user);
            let wanted = &mut wanted[shard.index()];
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

    /// A keep-alive connection to this shard: it carried a session before, which told the shard
    /// and which the API has ended.
    fn api(&mut self, wanted: ShardId) -> Api {
        loop {
            let (mut socket, shard) = self.open("api");
            if shard == wanted {
                let mut other = self.connect();
                let end = r#"{"method": "disconnect", "params": {"user": "api"}}"#;
                other.write_all(&api_request(end)).expect("the node reads");
                read_until(&mut other, b"}");
                read_until(&mut socket, b"\n\r\n0\r\n\r\n");
                self.next_event();
                return Api { socket, buffer: vec![0; 64 * 1024] };
            }
            drop(socket);
            self.next_event();
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

/// What of a server is compared with each other.
const SERVERS: [(&str, DriverChoice, ParkingChoice); 4] = [
    ("the best driver, poll set", DriverChoice::Auto, ParkingChoice::PollSet),
    ("the best driver, a task per socket", DriverChoice::Auto, ParkingChoice::Task),
    ("epoll, poll set", DriverChoice::Epoll, ParkingChoice::PollSet),
    ("epoll, a task per socket", DriverChoice::Epoll, ParkingChoice::Task),
];

/// Where the backend's connection is. The backend itself works on the other shard's core.
const NEAR: ShardId = ShardId::new(0);
const FAR: ShardId = ShardId::new(1);

/// A server with all that is needed to measure it.
struct Measured {
    title: String,
    server: JoinHandle<Result<(), ServerError>>,
    /// Held open until the end.
    _sessions: Vec<TcpStream>,
    api: Api,
    load: [Api; 2],
    queries: [Query; 2],
    rounds: [Vec<Taken>; LINES.len()],
    load_queries: u64,
    loaded_for: Duration,
}

impl Measured {
    fn start((name, driver, parking): (&str, DriverChoice, ParkingChoice)) -> Self {
        let server_options = ServerOptions {
            shards: 2,
            pin_to_cores: true,
            driver,
            parking,
            ring_entries: 1024,
            query_timeout_ms: 1_000,
            shutdown_timeout: PATIENCE,
            listen: vec![ListenOn {
                address: SocketAddr::from(([127, 0, 0, 1], 0)),
                scope: Scope::All,
            }],
            uni_grpc: None,
            grpc_api: None,
            admission: AdmissionOptions::default(),
            store: StoreOptions::in_memory(),
            outside: Default::default(),
            webhook: None,
            synthetic: Synthetic::default(),
        };
        let (tell, events) = mpsc::channel();
        let on_event = Box::new(move |event: &SessionEvent| {
            // Nobody listens any more when the node says goodbye.
            let _unheard = tell.send(event.clone());
        });
        let server = server::start(&server_options, &options(), Some(on_event)).expect("it starts");
        let title = format!("{name}: {}", server.drivers()[0].name());
        let mut node = Node { address: server.addresses()[0], events, sessions: 0 };
        let server = thread::spawn(move || server.run());
        let mut sessions = node.place("near", 3, 0);
        sessions.extend(node.place("both", 2, 1));
        let mut api = node.api(NEAR);
        let queries = ["near", "both"].map(|user| Query::new(&mut api, user));
        Self {
            title,
            server,
            _sessions: sessions,
            api,
            load: [NEAR, FAR].map(|shard| node.api(shard)),
            queries,
            rounds: Default::default(),
            load_queries: 0,
            loaded_for: Duration::ZERO,
        }
    }

    fn round(&mut self, times: usize) {
        let rest = Duration::from_micros(200);
        for (line, query) in self.queries.iter().enumerate() {
            self.rounds[line].push(self.api.ask_often(query, times, rest));
        }
        let stop = AtomicBool::new(false);
        let start = Instant::now();
        thread::scope(|scope| {
            let load = scope.spawn(|| background(&mut self.load, &self.queries[1], &stop));
            for (line, query) in self.queries.iter().enumerate() {
                self.rounds[2 + line].push(self.api.ask_often(query, times, rest));
            }
            stop.store(true, Ordering::Relaxed);
            self.load_queries += load.join().expect("no panic");
        });
        self.loaded_for += start.elapsed();
        for (line, query) in self.queries.iter().enumerate() {
            let many = query.times(PIPELINED);
            self.rounds[4 + line].push(self.api.ask_often(&many, times, Duration::ZERO));
        }
    }
}

/// Queries for the user on both shards, over a connection to each shard, at an even rate.
/// Returns how many.
fn background(load: &mut [Api], query: &Query, stop: &AtomicBool) -> u64 {
    let batch = query.times(LOAD_BATCH);
    let (mut next, mut asked) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        for api in &mut *load {
            api.ask(&batch);
            asked += LOAD_BATCH as u64;
        }
        next += LOAD_EVERY;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    asked
}

fn report(measured: &Measured, times: usize) {
    let rounds = &measured.rounds;
    let per_s = measured.load_queries as f64 / measured.loaded_for.as_secs_f64();
    println!(
        "\n{}\n{} rounds of {times}, median of the rounds [lowest … highest]; the load was \
         {per_s:.0} queries per second\n{:<23} {:<31} {:<31} {:<31} shards' CPU, µs",
        measured.title,
        rounds[0].len(),
        "",
        "p50, µs",
        "p90, µs",
        "p99, µs"
    );
    let of = |line: usize, value: &dyn Fn(&Taken) -> f64| {
        Spread::of(&rounds[line].iter().map(value).collect::<Vec<f64>>())
    };
    for (line, name) in LINES.iter().enumerate() {
        let [p50, p90, p99] = [0, 1, 2].map(|at| of(line, &move |taken| taken.us[at]));
        println!("{name:<22}{p50}{p90}{p99}{}", of(line, &|taken| taken.cpu_us));
    }
    for (title, line) in [("idle", 0), ("under load", 2), ("16 in one write", 4)] {
        let pairs = || rounds[line].iter().zip(&rounds[line + 1]);
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
         queries included.\nAll servers run at once and take turns in every round."
    );
    let (rounds, times) = if is_measuring() { (9, 700) } else { (1, 5) };
    let mut all: Vec<Measured> = SERVERS.into_iter().map(Measured::start).collect();
    threads::pin(FAR.index());
    for _ in 0..rounds {
        for measured in &mut all {
            measured.round(times);
        }
    }
    for measured in &all {
        report(measured, times);
    }
    // They have told of sessions: they handle signals.
    kill_process(getpid(), Signal::TERM).expect("this process may signal itself");
    for Measured { server, .. } in all {
        server.join().expect("no panic").expect("the goodbye was in time");
    }
}
