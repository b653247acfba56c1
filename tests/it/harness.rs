//! Starts the built binary and talks to it with plain sockets.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "a secret of the tests";
pub(crate) const KEY: &str = "an api key of the tests";

/// How long anything may take before a test gives up: long, because nothing measures time here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_rollcall")
}

/// A running server; killed when the test ends.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) addresses: Vec<SocketAddr>,
    /// Log lines that came before the server listened.
    pub(crate) log: Vec<Value>,
    /// Log lines that came later.
    pub(crate) later: Receiver<String>,
    /// Removed when the test ends.
    _dir: tempfile::TempDir,
}

/// The options every test server starts with: loopback, a port of the kernel's choice.
fn base() -> Value {
    json!({
        "http_server": {"address": "127.0.0.1", "port": 0},
        "client": {"token": {"hmac_secret_key": SECRET}},
        "http_api": {"key": KEY},
        "uni_http_stream": {"enabled": true},
        "shards": {"count": 4, "pin_to_cores": false, "ring_entries": 256},
    })
}

pub(crate) fn overlay(base: &mut Value, with: &Value) {
    match (base, with) {
        (Value::Object(base), Value::Object(with)) => {
            for (key, value) in with {
                overlay(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, with) => *base = with.clone(),
    }
}

impl Server {
    pub(crate) fn start(with: &Value) -> Self {
        let mut config = base();
        overlay(&mut config, with);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("config.json");
        std::fs::write(&path, config.to_string()).expect("the configuration is written");
        let mut command = Command::new(binary());
        command.arg("-c").arg(&path);
        let internal = !config["http_server"]["internal_port"].is_null();
        let grpc = |section: &str| usize::from(config[section]["enabled"] == json!(true));
        let listeners = 1 + usize::from(internal) + grpc("uni_grpc") + grpc("grpc_api");
        Self::spawn(command, dir, listeners)
    }

    /// Runs a command that becomes a server and waits until it listens on `listeners` addresses.
    /// The log says which driver each shard runs on after that.
    pub(crate) fn spawn(mut command: Command, dir: tempfile::TempDir, listeners: usize) -> Self {
        let mut child = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let later = lines(child.stderr.take().expect("stderr is piped"));
        let mut log = Vec::new();
        let mut addresses = Vec::new();
        while addresses.len() < listeners {
            let Ok(line) = later.recv_timeout(PATIENCE) else {
                drop(child.kill());
                panic!("the server says nothing more; so far: {log:#?}");
            };
            let line: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            let message = line["message"].as_str().unwrap_or_default();
            if let Some((_, address)) = message.split_once(" endpoints on ") {
                addresses.push(address.parse().expect("an address"));
            }
            log.push(line);
        }
        Self { child, address: addresses[0], addresses, log, later, _dir: dir }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the server lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.split_whitespace().nth(1).expect("a value").parse().expect("digits");
        kib * 1024
    }

    /// CPU time used so far, in ticks of 10 ms.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let stat = stat.expect("the server lives");
        let (_, fields) = stat.rsplit_once(')').expect("the name in brackets");
        let times = fields.split_whitespace().skip(11).take(2);
        times.map(|ticks| ticks.parse::<u64>().expect("digits")).sum()
    }

    pub(crate) fn connect(&self) -> Conn {
        Conn::to(self.address)
    }

    /// A session of this user over `uni_http_stream`: its first line has been read.
    pub(crate) fn session(&self, user: &str) -> Stream {
        self.session_with(json!({"token": token(user, json!({})), "name": "test"}))
    }

    pub(crate) fn session_with(&self, connect: Value) -> Stream {
        let mut stream = Stream::open(self.connect(), &connect);
        stream.read_first();
        stream
    }

    /// The first line of a connect, whatever its form.
    pub(crate) fn session_raw(&self, connect: &Value) -> Value {
        let mut stream = Stream::open(self.connect(), connect);
        assert_eq!(stream.conn.head().status, 200);
        stream.push().expect("a first line")
    }

    /// One API call on a connection of its own.
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let mut conn = self.connect();
        conn.call(method, params)
    }

    /// Client ids of the user's sessions, as the API lists them.
    pub(crate) fn listed(&self, user: &str) -> Vec<String> {
        listed(&mut self.connect(), user)
    }

    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits until the process ends; its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let code = eventually("the server ends", || self.child.try_wait().expect("a child")).code();
        if code != Some(0) {
            for line in self.later.try_iter() {
                eprintln!("the server said: {line}");
            }
        }
        code
    }

    /// Waits for a log line that contains this text.
    pub(crate) fn wait_log(&self, text: &str) -> String {
        wait_line(&self.later, text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, as its test wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The lines of a pipe as they come.
pub(crate) fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = crossbeam_channel::unbounded();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Waits for a line that contains this text.
pub(crate) fn wait_line(lines: &Receiver<String>, text: &str) -> String {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(_) => panic!("no line with {text:?}; seen: {seen:#?}"),
        }
    }
}

/// A child that ends with its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as its test wanted.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A shell command whose output is read while it runs.
pub(crate) fn shell(command: &str) -> (Running, Receiver<String>) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let output = lines(child.stdout.take().expect("a pipe"));
    (Running(child), output)
}

/// Runs a program of the command line to its end. One that does not end, a server that should
/// have refused to start say, fails the test.
pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it runs");
    let (id, (sender, ended)) = (child.id(), crossbeam_channel::bounded(1));
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        drop(Command::new("kill").args(["-KILL", &id.to_string()]).status());
        panic!("does not end: {command:?}");
    };
    let output = output.expect("its output is read");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Client ids of a user's sessions over one API connection.
pub(crate) fn listed(conn: &mut Conn, user: &str) -> Vec<String> {
    let result = conn.call("user_connections", json!({"user": user}));
    let connections = result["result"]["connections"].as_object();
    connections.unwrap_or_else(|| panic!("no listing: {result}")).keys().cloned().collect()
}

/// Waits for a condition with a deadline.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A token for this user with more claims.
pub(crate) fn token(user: &str, more: Value) -> String {
    let mut claims = json!({"sub": user, "exp": unix_s() + 3600});
    overlay(&mut claims, &more);
    sign(Algorithm::HS256, SECRET, &claims)
}

pub(crate) fn sign(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("claims are JSON")
}

pub(crate) fn unix_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("seconds fit")
}

/// An HTTP response, its body whole.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// One TCP connection to the server.
pub(crate) struct Conn {
    pub(crate) reader: BufReader<TcpStream>,
}

impl Conn {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("the server reads");
    }

    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.request("POST", path, headers, body)
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send(&request(method, path, headers, body));
        self.response()
    }

    /// `POST /api/<method>` with the key.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let path = format!("/api/{method}");
        let response = self.post(&path, &[("X-API-Key", KEY)], params.to_string().as_bytes());
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).expect("a line in time");
        String::from_utf8(line).expect("text")
    }

    pub(crate) fn head(&mut self) -> Response {
        let status_line = self.line();
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {status_line:?}"));
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line();
            let line = line.trim_end();
            if line.is_empty() {
                return Response { status, headers, body: Vec::new() };
            }
            let (name, value) = line.split_once(':').expect("a header");
            let earlier = headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            assert_eq!(earlier, None, "header {name} twice");
        }
    }

    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.head();
        if let Some(length) = response.header("content-length") {
            let mut body = vec![0; length.parse().expect("digits")];
            self.reader.read_exact(&mut body).expect("the whole body");
            response.body = body;
        } else if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                response.body.extend_from_slice(&chunk);
            }
        }
        response
    }

    /// One chunk; `None` is the last one.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line();
        let size = usize::from_str_radix(size.trim_end(), 16);
        let mut chunk = vec![0; size.expect("a chunk size") + 2];
        self.reader.read_exact(&mut chunk).expect("the whole chunk");
        assert_eq!(chunk.split_off(chunk.len() - 2), b"\r\n");
        (!chunk.is_empty()).then_some(chunk)
    }

    /// Whether the server has closed its side, waiting for it.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    pub(crate) fn finish(&self) {
        self.reader.get_ref().shutdown(Shutdown::Write).expect("half close");
    }

    /// Closes with RST.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(self.reader.get_ref());
        socket.set_linger(Some(Duration::ZERO)).expect("linger");
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// One `uni_http_stream` session.
pub(crate) struct Stream {
    pub(crate) conn: Conn,
    pub(crate) head: Response,
    pub(crate) first: Value,
}

impl Stream {
    pub(crate) fn open(mut conn: Conn, connect: &Value) -> Self {
        let body = connect.to_string();
        conn.send(&request("POST", "/connection/uni_http_stream", &[], body.as_bytes()));
        let head = Response { status: 0, headers: BTreeMap::new(), body: Vec::new() };
        Self { conn, head, first: Value::Null }
    }

    pub(crate) fn read_first(&mut self) {
        self.head = self.conn.head();
        assert_eq!(self.head.status, 200);
        self.first = self.push().expect("a first line");
    }

    /// The next line as JSON; `None` at the regular end.
    pub(crate) fn push(&mut self) -> Option<Value> {
        let chunk = self.conn.chunk()?;
        let line = chunk.strip_suffix(b"\n").expect("a line per chunk");
        Some(serde_json::from_slice(line).expect("JSON"))
    }

    /// The next line that is not a ping.
    pub(crate) fn push_after_pings(&mut self) -> Option<Value> {
        loop {
            match self.push() {
                Some(push) if push == json!({}) => {}
                other => return other,
            }
        }
    }

    pub(crate) fn client(&self) -> String {
        self.first["connect"]["client"].as_str().expect("a client id").to_owned()
    }

    pub(crate) fn session(&self) -> String {
        self.first["connect"]["session"].as_str().expect("a session id").to_owned()
    }
}
