//! Every official client: what it runs on, how it connects; and every behaviour run on all of
//! them at once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::{env, thread};

use serde_json::{Value, json};

use crate::device::Device;
use crate::harness::{Server, overlay};

/// What runs a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// This process: the Rust crate.
    Here,
    Node,
    Python,
    /// A page in Debian's Chromium.
    Browser,
}

use Runs::{Browser, Here, Node, Python};

/// One way one SDK connects.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) runs: Runs,
    pub(crate) transport: &'static str,
    pub(crate) protocol: &'static str,
}

const fn client(runs: Runs, transport: &'static str, protocol: &'static str) -> Client {
    Client { runs, transport, protocol }
}

static CLIENTS: [Client; 15] = [
    client(Here, "websocket", "json"),
    client(Here, "websocket", "protobuf"),
    client(Here, "http_stream", "json"),
    client(Here, "http_stream", "protobuf"),
    client(Node, "websocket", "json"),
    client(Node, "websocket", "protobuf"),
    client(Node, "http_stream", "json"),
    client(Node, "http_stream", "protobuf"),
    client(Node, "sse", "json"),
    client(Python, "websocket", "json"),
    client(Python, "websocket", "protobuf"),
    client(Browser, "websocket", "json"),
    client(Browser, "websocket", "protobuf"),
    client(Browser, "http_stream", "json"),
    client(Browser, "sse", "json"),
];

impl Client {
    /// As it stands in messages, and the user it connects as.
    pub(crate) fn name(&self) -> String {
        let runs = match self.runs {
            Here => "rust",
            Node => "node",
            Python => "python",
            Browser => "browser",
        };
        format!("{runs}-{}-{}", self.transport, self.protocol)
    }
}

impl Runs {
    /// The command that runs it, or what this machine lacks. `Here` has none.
    pub(crate) fn command(self) -> Result<Vec<PathBuf>, String> {
        match self {
            Self::Here => Ok(Vec::new()),
            Self::Node => {
                prepared("node_modules/centrifuge")?;
                Ok(vec![program("node")?, prepared("js/node.js")?])
            }
            Self::Python => {
                Ok(vec![prepared("python/venv/bin/python")?, prepared("python/driver.py")?])
            }
            Self::Browser => browser("browser.js"),
        }
    }
}

/// The command that runs a script of `browser/`, or what this machine lacks.
pub(crate) fn browser(script: &str) -> Result<Vec<PathBuf>, String> {
    prepared("node_modules/playwright-core")?;
    let script = prepared(&format!("browser/{script}"))?;
    Ok(vec![program("node")?, script, program("chromium")?])
}

/// A part of `tests/sdk` that may have to be installed.
pub(crate) fn prepared(part: &str) -> Result<PathBuf, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(part);
    if path.exists() { Ok(path) } else { Err(format!("tests/sdk/{part}")) }
}

/// Whether everything must run: `.ci/run` says so after it has installed everything.
pub(crate) fn is_required() -> bool {
    env::var("SDK_CLIENTS").is_ok_and(|asked| asked == "required")
}

/// A program of this name in the path.
fn program(name: &str) -> Result<PathBuf, String> {
    let path = env::var("PATH").unwrap_or_default();
    let mut found = env::split_paths(&path).map(|folder| folder.join(name));
    found.find(|file| file.is_file()).ok_or_else(|| format!("`{name}` in the path"))
}

/// The clients this machine can run. What it lacks is said past the capture of the test runner,
/// once; with `SDK_CLIENTS=required`, which `.ci/run` sets after it has installed everything, it
/// is a failure.
fn runnable() -> Vec<&'static Client> {
    static SAID: Once = Once::new();
    let required = is_required();
    for runs in [Here, Node, Python, Browser] {
        if let Err(missing) = runs.command() {
            assert!(!required, "{runs:?} clients cannot run: no {missing}");
        }
    }
    SAID.call_once(|| {
        for runs in [Node, Python, Browser] {
            if let Err(missing) = runs.command() {
                let line = format!(
                    "official clients skipped: {runs:?}, for there is no {missing} \
                     (docs/testing.md says how to install it)\n"
                );
                std::io::stderr().write_all(line.as_bytes()).expect("stderr");
            }
        }
    });
    CLIENTS.iter().filter(|client| client.runs.command().is_ok()).collect()
}

/// Runs one behaviour on every client at once, all connected to one server with this
/// configuration, each as a user of its own name. One behaviour at a time: the clients of another
/// one, starting, would make these late with their pongs.
pub(crate) fn on_every_client(config: &Value, behaviour: impl Fn(&Server, &mut Device) + Sync) {
    on_clients(runnable(), config, behaviour);
}

/// The same in the browser alone, where there is an origin.
pub(crate) fn on_every_page(config: &Value, behaviour: impl Fn(&Server, &mut Device) + Sync) {
    let mut pages = runnable();
    pages.retain(|client| client.runs == Browser);
    on_clients(pages, config, behaviour);
}

/// The same with every client of JavaScript in Node.
pub(crate) fn on_every_node(config: &Value, behaviour: impl Fn(&Server, &mut Device) + Sync) {
    let mut clients = runnable();
    clients.retain(|client| client.runs == Node);
    on_clients(clients, config, behaviour);
}

fn on_clients(
    clients: Vec<&'static Client>,
    config: &Value,
    behaviour: impl Fn(&Server, &mut Device) + Sync,
) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // All start, then all are waited for.
    let mut devices: Vec<_> = clients.into_iter().map(Device::start).collect();
    let origins: Vec<_> = devices.iter_mut().filter_map(Device::ready).collect();
    let mut all = json!({
        "client": {"allowed_origins": origins},
        "http_stream": {"enabled": true},
        "sse": {"enabled": true},
    });
    overlay(&mut all, config);
    let server = Server::start(&all);
    let failed: Vec<String> = thread::scope(|scope| {
        let (server, behaviour) = (&server, &behaviour);
        let running: Vec<_> = devices
            .iter_mut()
            .map(|device| {
                let name = device.client.name();
                let run = move || behaviour(server, device);
                let thread = thread::Builder::new().name(name.clone());
                (name, thread.spawn_scoped(scope, run).expect("a thread"))
            })
            .collect();
        let ended = running.into_iter().map(|(name, thread)| (name, thread.join()));
        ended.filter(|(_, result)| result.is_err()).map(|(name, _)| name).collect()
    });
    assert!(failed.is_empty(), "not so with {}", failed.join(", "));
}
