//! The identity provider as a process, and what it was asked.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};

use crossbeam_channel::Receiver;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Running, lines};

/// A provider that runs until it is dropped.
pub(super) struct Provider {
    _process: Running,
    input: ChildStdin,
    said: Receiver<String>,
    pub(super) port: u16,
    /// Paths it was asked for.
    asked: Vec<String>,
}

impl Provider {
    /// One that publishes nothing yet.
    pub(super) fn start() -> Self {
        Self::on(0, &[])
    }

    /// On this port, with these further arguments.
    pub(super) fn on(port: u16, more: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/jwks/provider.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(port.to_string())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let said = lines(child.stdout.take().expect("a pipe"));
        let input = child.stdin.take().expect("a pipe");
        let mut provider = Self { _process: Running(child), input, said, port, asked: Vec::new() };
        let listens = provider.wait_for("listens");
        provider.port = u16::try_from(listens.as_u64().expect("a port")).expect("a port");
        provider
    }

    /// The address of its keys.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/keys", self.port)
    }

    /// From now on it answers so.
    pub(super) fn answer(&mut self, path: &str, answer: &Value) {
        let mut line = answer.clone();
        line["path"] = json!(path);
        writeln!(self.input, "{line}").expect("it reads");
        self.wait_for("told");
    }

    /// From now on these are the keys.
    pub(super) fn publish(&mut self, keys: &[Value]) {
        self.answer("/keys", &json!({"body": {"keys": keys}}));
    }

    /// Every path it has been asked for so far.
    pub(super) fn asked(&mut self) -> &[String] {
        while let Ok(line) = self.said.try_recv() {
            self.note(&line);
        }
        &self.asked
    }

    /// Waits until it has been asked this often.
    pub(super) fn wait_asked(&mut self, times: usize) {
        while self.asked.len() < times {
            let line = self.said.recv_timeout(PATIENCE).expect("the provider is asked");
            self.note(&line);
        }
    }

    fn wait_for(&mut self, what: &str) -> Value {
        loop {
            let line = self.said.recv_timeout(PATIENCE).expect("the provider says something");
            let said: Value = serde_json::from_str(&line).expect("JSON");
            if let Some(value) = said.get(what) {
                return value.clone();
            }
            self.note(&line);
        }
    }

    fn note(&mut self, line: &str) {
        let said: Value = serde_json::from_str(line).expect("JSON");
        self.asked.push(said["asked"].as_str().expect("a request").to_owned());
    }
}
