//! Clients that hold WebSocket sessions and do nothing but answer pings, in a process of their own:
//! what they cost is not what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::credentials::credentials;
use super::users::{SESSIONS_PER_USER, user};
use super::websocket::{HEAD, masked};

/// The argument that makes this program the clients.
pub(crate) const ROLE: &str = "idle-clients";

/// Pings each session has answered before it counts as idle.
const PINGS: u32 = 2;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A ping of the server in JSON, as a frame.
const PING: &[u8] = b"\x81\x02{}";

/// The other process, as its parent sees it. It ends with its standard input.
pub(crate) struct IdleClients {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl IdleClients {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let this = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(this);
        let command = command.args([ROLE, &server.to_string()]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program ran before");
        let orders = child.stdin.take().expect("piped");
        let reports = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, orders, reports }
    }

    /// Returns when there are so many sessions, and all of them have answered some pings.
    pub(crate) fn hold(&mut self, sessions: usize) {
        writeln!(self.orders, "{sessions}").expect("the clients listen");
        let mut report = String::new();
        self.reports.read_line(&mut report).expect("the clients report");
        assert_eq!(report.trim(), sessions.to_string(), "the clients hold what was asked");
    }

    pub(crate) fn stop(self) {
        let Self { mut child, orders, .. } = self;
        drop(orders);
        assert!(child.wait().expect("a child of ours").success(), "the clients end well");
    }
}

/// The clients' process: reads how many sessions to hold, and says when it does.
#[expect(clippy::print_stdout, reason = "its parent reads it")]
pub(crate) fn run(server: &str) {
    let server = server.parse().expect("an address");
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll set");
    let mut clients = Clients { server, poll, sessions: Vec::new() };
    for order in std::io::stdin().lines() {
        let wanted: usize = order.expect("text").parse().expect("a number");
        clients.hold(wanted);
        println!("{wanted}");
        // Until the next order nobody answers pings. It comes before a pong is due.
    }
}

struct Clients {
    server: SocketAddr,
    poll: OwnedFd,
    sessions: Vec<Session>,
}

struct Session {
    socket: TcpStream,
    pongs: u32,
}

impl Clients {
    fn hold(&mut self, wanted: usize) {
        const BATCH: usize = 64;
        let give_up = now() + PATIENCE;
        // Also when there is nothing to hold, the server is up and has answered.
        let mut first = connect(self.server);
        first.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the server reads");
        read_until(&mut first, |bytes| bytes.starts_with(b"HTTP/1.1 "));
        drop(first);
        while self.sessions.len() < wanted {
            self.open();
            if self.sessions.len().is_multiple_of(BATCH) {
                self.answer_pings(Duration::ZERO);
            }
        }
        while self.sessions.iter().any(|session| session.pongs < PINGS) {
            self.answer_pings(Duration::from_millis(100));
            assert!(now() < give_up, "the server pings every session");
        }
    }

    /// Connects, upgrades, says who it is, and reads the answer.
    fn open(&mut self) {
        let number = self.sessions.len() as u64;
        let mut socket = connect(self.server);
        socket.set_read_timeout(Some(PATIENCE)).expect("an option of sockets");
        socket.write_all(HEAD).expect("the server reads");
        let head = read_until(&mut socket, |bytes| bytes.ends_with(b"\r\n\r\n"));
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        let who = credentials(&user(number / SESSIONS_PER_USER), number);
        let command = format!(r#"{{"id":1,"connect":{who}}}"#);
        let len = u16::try_from(command.len()).expect("a short command").to_be_bytes();
        let frame = [&[0x81, 126], &len[..], command.as_bytes()].concat();
        socket.write_all(&masked(&frame)).expect("the server reads");
        let reply = read_until(&mut socket, |bytes| bytes.ends_with(b"}}"));
        let text = String::from_utf8_lossy(&reply);
        assert!(text.contains(r#""connect":{"client":"#), "{text}");
        socket.set_nonblocking(true).expect("an option of sockets");
        epoll::add(&self.poll, &socket, EventData::new_u64(number), EventFlags::IN)
            .expect("room in the epoll set");
        self.sessions.push(Session { socket, pongs: 0 });
    }

    /// Answers the pings that are there, or come in this time.
    fn answer_pings(&mut self, within: Duration) {
        let mut events = Vec::with_capacity(1024);
        let within = Timespec::try_from(within).expect("a short time");
        epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&within))
            .expect("an epoll set");
        for event in &events {
            let at = usize::try_from(event.data.u64()).expect("an index");
            let session = &mut self.sessions[at];
            let mut bytes = [0; 64];
            let read = session.socket.read(&mut bytes).expect("the server keeps the session");
            assert_eq!(&bytes[..read], PING, "nothing else is said to an idle session");
            session.socket.write_all(&masked(PING)).expect("room for a pong");
            session.pongs += 1;
        }
    }
}

/// Waits until the server listens.
fn connect(server: SocketAddr) -> TcpStream {
    let give_up = now() + PATIENCE;
    loop {
        match TcpStream::connect(server) {
            Ok(socket) => return socket,
            Err(error) => assert!(now() < give_up, "no server at {server}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read_until(socket: &mut TcpStream, is_whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    while !is_whole(&bytes) {
        let read = socket.read(&mut buffer).expect("the server answers in time");
        bytes.extend_from_slice(&buffer[..read]);
        assert!(read > 0, "the server closed: {}", String::from_utf8_lossy(&bytes));
    }
    bytes
}

#[expect(clippy::disallowed_methods, reason = "a deadline")]
fn now() -> Instant {
    Instant::now()
}
