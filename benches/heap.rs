//! Whose each byte of an idle session is: a real server, real WebSocket sessions, a heap profiler
//! as its allocator, and beside it the same server as it is, with what the kernel says of it.
//!
//! `cargo bench --bench heap`. The profile knows what was asked of the allocator, by backtrace;
//! the kernel knows what is resident. Their difference is what the allocator adds, less what was
//! asked for and never touched, such as the end of a vector that grows by doubling.
//!
//! This program is also each of the processes it starts: the profiled server and the clients.
#![expect(clippy::print_stdout, reason = "the table is the product")]

use std::ffi::OsString;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use harness::heap_owners::{self, OWNERS};
use harness::idle_clients::{self, IdleClients};
use harness::mode::is_measuring;
use harness::resident::{self, KINDS};
use harness::token;

mod harness {
    pub(crate) mod credentials;
    pub(crate) mod heap_owners;
    pub(crate) mod idle_clients;
    pub(crate) mod mode;
    pub(crate) mod random;
    pub(crate) mod resident;
    pub(crate) mod token;
    pub(crate) mod users;
    pub(crate) mod websocket;
}

/// Passes everything on to the system's allocator where nothing is profiled.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Where a server of this program writes its profile; its presence makes it one.
const PROFILE: &str = "HEAP_PROFILE";

/// Sessions at the three moments that are compared.
type Moments = [usize; 3];

fn main() -> ExitCode {
    if let Some(path) = std::env::var_os(PROFILE) {
        return serve_profiled(path);
    }
    let args: Vec<String> = std::env::args().collect();
    if let [_, role, server] = args.as_slice()
        && role == idle_clients::ROLE
    {
        idle_clients::run(server);
        return ExitCode::SUCCESS;
    }
    let moments = if is_measuring() { [0, 5_000, 15_000] } else { [0, 20, 60] };
    let requested = moments.map(profile);
    let resident = resident(moments);
    report(moments, &requested, &resident);
    ExitCode::SUCCESS
}

/// The server under the profiler, until a line comes in: then the profile is written.
fn serve_profiled(path: OsString) -> ExitCode {
    // Whole backtraces: generic code of others may be between an owner and the allocation.
    let profiler = dhat::Profiler::builder().file_name(path).trim_backtraces(None).build();
    std::thread::spawn(move || {
        std::io::stdin().read_line(&mut String::new()).expect("the parent says when");
        drop(profiler);
        std::process::exit(0);
    });
    rollcall::cli::run()
}

/// A server process with a configuration of its own.
struct Server {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Server {
    fn start(program: &Path, profile: Option<&Path>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        let config = serde_json::json!({
            "http_server": {"address": "127.0.0.1", "port": address.port()},
            "client": {
                "token": {"hmac_secret_key": token::options().hmac_secret},
                "allowed_origins": ["http://localhost:8000"],
                "ping_interval": if is_measuring() { "4s" } else { "1s" },
                "pong_timeout": if is_measuring() { "3s" } else { "900ms" },
            },
            "shards": {"count": 2},
            "log": {"level": "error"},
        });
        let dir = TempDir::with_prefix("rollcall-heap-").expect("a directory");
        let path = dir.path().join("config.json");
        std::fs::write(&path, config.to_string()).expect("a new file");
        let mut command = Command::new(program);
        command.arg("-c").arg(&path).stdin(Stdio::piped()).stderr(Stdio::null());
        if let Some(profile) = profile {
            command.env(PROFILE, profile);
        }
        let child = command.spawn().expect("the server starts");
        Self { child, address, _dir: dir }
    }
}

/// What is live on the heap of a server that holds so many idle sessions.
fn profile(sessions: usize) -> heap_owners::Owned {
    let this = std::env::current_exe().expect("this program has a path");
    let dir = TempDir::with_prefix("rollcall-heap-").expect("a directory");
    let path = dir.path().join("dhat.json");
    let mut server = Server::start(&this, Some(&path));
    let mut clients = IdleClients::start(server.address);
    clients.hold(sessions);
    let mut end = server.child.stdin.take().expect("piped");
    writeln!(end, "now").expect("the server listens");
    assert!(server.child.wait().expect("a child of ours").success(), "it ends well");
    clients.stop();
    heap_owners::read(&path)
}

/// What is resident of the server as it is, at each moment of one run.
fn resident(moments: Moments) -> [resident::Resident; 3] {
    const SETTLE: Duration = Duration::from_secs(1);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_rollcall"));
    let mut server = Server::start(&program, None);
    let mut clients = IdleClients::start(server.address);
    let resident = moments.map(|sessions| {
        clients.hold(sessions);
        std::thread::sleep(SETTLE);
        resident::of(server.child.id())
    });
    clients.stop();
    server.child.kill().expect("a child of ours");
    server.child.wait().expect("a child of ours");
    resident
}

/// One line of the table: bytes at the three moments.
struct Line {
    name: &'static str,
    bytes: [i64; 3],
}

impl Line {
    fn print(&self, [_, some, all]: Moments) {
        let [at_none, at_some, at_all] = self.bytes;
        let kib = |bytes: i64| bytes as f64 / 1024.0;
        println!(
            "{:<40} {:>10.1} {:>10.1} {:>10.1} {:>12.1} {:>12.1}",
            self.name,
            kib(at_none),
            kib(at_some),
            kib(at_all),
            (at_all - at_none) as f64 / all as f64,
            (at_all - at_some) as f64 / (all - some) as f64,
        );
    }
}

fn report(
    moments: Moments,
    requested: &[heap_owners::Owned; 3],
    resident: &[resident::Resident; 3],
) {
    let signed = |bytes: u64| i64::try_from(bytes).expect("less than memory");
    let owners = OWNERS.iter().enumerate().map(|(at, (name, _))| Line {
        name,
        bytes: std::array::from_fn(|moment| signed(requested[moment][at])),
    });
    let kinds = KINDS.iter().enumerate().map(|(at, name)| Line {
        name,
        bytes: std::array::from_fn(|moment| signed(resident[moment][at])),
    });
    let sum = |name, lines: &[Line]| Line {
        name,
        bytes: std::array::from_fn(|moment| lines.iter().map(|line| line.bytes[moment]).sum()),
    };
    let (owners, kinds): (Vec<Line>, Vec<Line>) = (owners.collect(), kinds.collect());
    let asked = sum("asked of the allocator", &owners);
    let allocator = Line {
        name: "allocator: added, less never touched",
        bytes: std::array::from_fn(|moment| kinds[0].bytes[moment] - asked.bytes[moment]),
    };
    let [none, some, all] = moments;
    println!(
        "KiB with so many sessions, and bytes of each session\n{:<40} {none:>10} {some:>10} \
         {all:>10} {:>12} {:>12}",
        "",
        format!("each of {all}"),
        "each further"
    );
    for line in &owners {
        line.print(moments);
    }
    asked.print(moments);
    allocator.print(moments);
    for line in &kinds {
        line.print(moments);
    }
    sum("resident, all in", &kinds).print(moments);
}
