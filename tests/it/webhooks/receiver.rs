//! The receiver as a process, and everything it has taken.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use crossbeam_channel::Receiver as Lines;
use serde_json::Value;

use crate::harness::{Conn, PATIENCE, lines};

pub(super) const SECRET: &str = "a secret between the server and its backend";

/// A backend that is told what happens to sessions; it can be killed and started again, and what it
/// has taken is known all the same.
pub(super) struct Receiver {
    process: Child,
    said: Lines<String>,
    pub(super) port: u16,
    /// What was taken, as often as it was, in order.
    taken: Vec<Value>,
    /// The headers of the last request that was.
    pub(super) headers: Value,
    /// Requests that were not.
    pub(super) refused: usize,
}

impl Receiver {
    pub(super) fn start() -> Self {
        Self::with(&[])
    }

    /// Which shows this certificate, and has its key.
    pub(super) fn secure([certificate, key]: &[String; 2]) -> Self {
        Self::with(&[certificate, key])
    }

    fn with(more: &[&str]) -> Self {
        let (process, said, port) = run(0, 1, more);
        Self { process, said, port, taken: Vec::new(), headers: Value::Null, refused: 0 }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/sessions", self.port)
    }

    /// How it answers from now on.
    pub(super) fn answers(&self, mode: &str) {
        let mut conn = Conn::to(([127, 0, 0, 1], self.port).into());
        assert_eq!(conn.post("/mode", &[], mode.as_bytes()).status, 200);
    }

    /// Kills it, whatever it is in the middle of.
    pub(super) fn kill(&mut self) {
        self.process.kill().expect("SIGKILL");
        self.process.wait().expect("a child");
        while let Ok(line) = self.said.recv() {
            self.note(&line);
        }
    }

    /// Starts it again where it was.
    pub(super) fn restart(&mut self, seed: u64) {
        (self.process, self.said, self.port) = run(self.port, seed, &[]);
    }

    fn note(&mut self, line: &str) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["wrong"], Value::Null, "{line}");
        if line["refused"].is_string() {
            self.refused += 1;
        }
        if let Some(events) = line["events"].as_array() {
            self.taken.extend(events.iter().cloned());
            self.headers = line["headers"].clone();
        }
    }

    /// Notes what it has said so far.
    pub(super) fn listen(&mut self) {
        while let Ok(line) = self.said.try_recv() {
            self.note(&line);
        }
    }

    /// Waits until this is true of what it has taken and refused.
    pub(super) fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => self.note(&line),
                Err(_) => panic!("never happened: {what}; taken: {:#?}", self.taken),
            }
        }
    }

    /// What it has taken, each once, in the order in which it came first. Whatever came again was
    /// the same.
    pub(super) fn events(&self) -> Vec<&Value> {
        let mut known: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut events = Vec::new();
        for event in &self.taken {
            let id = event["id"].as_str().expect("an id");
            match known.insert(id, event) {
                None => events.push(event),
                Some(before) => assert_eq!(before, event, "two events of one id"),
            }
        }
        events
    }

    /// The events of this type.
    pub(super) fn of(&self, kind: &str) -> Vec<&Value> {
        self.events().into_iter().filter(|event| event["type"] == kind).collect()
    }

    /// The events of this session, by their types.
    pub(super) fn life_of(&self, client: &str) -> Vec<&str> {
        let events = self.events().into_iter().filter(|event| event["client"] == client);
        events.map(|event| event["type"].as_str().expect("a type")).collect()
    }

    /// How many events came more than once.
    pub(super) fn repeated(&self) -> usize {
        self.taken.len() - self.events().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have been killed already, as its test wanted.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn run(port: u16, seed: u64, more: &[&str]) -> (Child, Lines<String>, u16) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/webhooks/receiver.py");
    let mut process = Command::new("python3")
        .args([script, &port.to_string(), &seed.to_string(), SECRET])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    let said = lines(process.stdout.take().expect("a pipe"));
    let first = said.recv_timeout(PATIENCE).expect("it listens");
    let first: Value = serde_json::from_str(&first).expect("JSON");
    let port = u16::try_from(first["listens"].as_u64().expect("a port")).expect("a port");
    (process, said, port)
}
