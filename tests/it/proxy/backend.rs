//! The backend as a process, and what it was asked.

use std::process::{Command, Stdio};

use crossbeam_channel::Receiver;
use serde_json::Value;

use crate::harness::{PATIENCE, Running, lines};

/// A backend that runs until it is dropped.
pub(super) struct Backend {
    _process: Running,
    said: Receiver<String>,
    pub(super) port: u16,
}

impl Backend {
    pub(super) fn start() -> Self {
        Self::on(0, &[])
    }

    /// On this port, with these further arguments.
    pub(super) fn on(port: u16, more: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/proxy/backend.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(port.to_string())
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let said = lines(child.stdout.take().expect("a pipe"));
        let mut backend = Self { _process: Running(child), said, port };
        let listens = backend.next()["listens"].as_u64().expect("the backend listens");
        backend.port = u16::try_from(listens).expect("a port");
        backend
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/who", self.port)
    }

    /// The next thing it says.
    pub(super) fn next(&self) -> Value {
        let line = self.said.recv_timeout(PATIENCE).expect("the backend says something");
        serde_json::from_str(&line).expect("JSON")
    }

    /// What else it has said so far.
    pub(super) fn rest(&self) -> Vec<Value> {
        self.said.try_iter().map(|line| serde_json::from_str(&line).expect("JSON")).collect()
    }
}
