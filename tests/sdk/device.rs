//! One official client, running: commands go to it and its events come back as lines of JSON,
//! whatever language it is written in.

use std::collections::VecDeque;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use serde_json::{Value, json};

use crate::crate_client;
use crate::harness::{PATIENCE, Server, lines, overlay, token};
use crate::table::{Client, Runs};

/// What every client calls itself.
pub(crate) const APP_NAME: &str = "sdk";
/// The version of what every client calls itself.
pub(crate) const APP_VERSION: &str = "4.5.6-beta";

/// How late a ping may be before an SDK gives its server up. The default of ten seconds would
/// hide pings that never come.
const PING_SLACK_MS: u64 = 1500;

/// A client and what it has said.
pub(crate) struct Device {
    pub(crate) client: &'static Client,
    commands: Box<dyn FnMut(&Value) + Send>,
    events: Receiver<String>,
    /// Ends when its stdin does; killed if the test has failed.
    process: Option<Child>,
    /// Events nobody has asked for yet.
    waiting: VecDeque<Value>,
    /// Everything it ever said, for the one who reads a failure.
    said: Vec<String>,
}

impl Device {
    /// Starts it; it is ready later.
    pub(crate) fn start(client: &'static Client) -> Self {
        let (commands, events, process) = match client.runs {
            Runs::Here => {
                let (commands, events) = crate_client::start();
                (commands, events, None)
            }
            Runs::Node | Runs::Python | Runs::Browser => Self::spawn(client),
        };
        Self { client, commands, events, process, waiting: VecDeque::new(), said: Vec::new() }
    }

    #[expect(clippy::type_complexity, reason = "three parts of one Device, taken apart at once")]
    fn spawn(client: &Client) -> (Box<dyn FnMut(&Value) + Send>, Receiver<String>, Option<Child>) {
        let command = client.runs.command().expect("only what can run is started");
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let events = lines(child.stdout.take().expect("a pipe"));
        let mut stdin = child.stdin.take().expect("a pipe");
        let commands = Box::new(move |command: &Value| {
            stdin.write_all(format!("{command}\n").as_bytes()).expect("it reads its commands");
        });
        (commands, events, Some(child))
    }

    /// Waits until it runs; the origin of its page, if it is one.
    pub(crate) fn ready(&mut self) -> Option<String> {
        let ready = self.hear(PATIENCE).unwrap_or_else(|| self.fail("does not start"));
        assert_eq!(ready["event"], "ready", "{ready}");
        ready["origin"].as_str().map(str::to_owned)
    }

    /// The user it connects as.
    pub(crate) fn user(&self) -> String {
        self.client.name()
    }

    /// A token for its user.
    pub(crate) fn token(&self, claims: Value) -> String {
        token(&self.user(), claims)
    }

    /// Makes an instance of the SDK, known as `label`, connect.
    pub(crate) fn connect(&mut self, label: &str, server: &Server, token: &str) {
        self.connect_with(label, server, json!({"token": token}));
    }

    /// The same with data and no token: a backend says who it is.
    pub(crate) fn connect_by_data(&mut self, label: &str, server: &Server, data: &Value) {
        self.connect_with(label, server, json!({"data": data}));
    }

    fn connect_with(&mut self, label: &str, server: &Server, credentials: Value) {
        let Client { transport, protocol, .. } = self.client;
        let scheme = if *transport == "websocket" { "ws" } else { "http" };
        let address = server.address;
        let mut command = json!({
            "do": "connect", "as": label, "transport": transport, "protocol": protocol,
            "endpoint": format!("{scheme}://{address}/connection/{transport}"),
            "emulation": format!("http://{address}/emulation"),
            "name": APP_NAME, "version": APP_VERSION, "ping_slack_ms": PING_SLACK_MS,
        });
        overlay(&mut command, &credentials);
        self.tell(command);
        let connecting = self.next(label, "connecting");
        assert_eq!(connecting["code"], 0, "{connecting}");
    }

    /// The same, and it becomes connected: its client id.
    pub(crate) fn session(&mut self, label: &str, server: &Server, token: &str) -> String {
        self.connect(label, server, token);
        self.connected(label)
    }

    /// Waits until it is connected: its client id.
    pub(crate) fn connected(&mut self, label: &str) -> String {
        self.greeted(label).0
    }

    /// Waits until it is connected: its client id, and what its backend has for it.
    pub(crate) fn greeted(&mut self, label: &str) -> (String, Value) {
        let mut connected = self.next(label, "connected");
        let client = connected["client"].as_str().expect("a client id").to_owned();
        (client, connected["data"].take())
    }

    /// Answers the SDK that asks the application for a token, with one made when it asks.
    pub(crate) fn give_token(&mut self, label: &str, claims: impl FnOnce() -> Value) {
        self.next(label, "token_wanted");
        let token = self.token(claims());
        self.tell(json!({"do": "token", "as": label, "token": token}));
    }

    /// Calls a method of the server: its result, or the error it answers.
    pub(crate) fn rpc(&mut self, label: &str, method: &str, data: Value) -> Result<Value, Value> {
        self.tell(json!({"do": "rpc", "as": label, "method": method, "data": data}));
        let mut reply = self.next(label, "reply");
        let error = reply["error"].take();
        if error.is_null() { Ok(reply["data"].take()) } else { Err(error) }
    }

    /// Makes it leave.
    pub(crate) fn disconnect(&mut self, label: &str) {
        self.tell(json!({"do": "disconnect", "as": label}));
    }

    pub(crate) fn tell(&mut self, command: Value) {
        self.said.push(format!("told {command}"));
        (self.commands)(&command);
    }

    /// The next event of this instance, which must be of this kind. What the SDK reports of the
    /// failed attempts it recovers from by itself is passed over.
    pub(crate) fn next(&mut self, label: &str, event: &str) -> Value {
        loop {
            let earlier = self.waiting.iter().position(|waits| waits["as"] == label);
            let next = match earlier {
                Some(at) => self.waiting.remove(at).expect("it is there"),
                None => self.hear(PATIENCE).unwrap_or_else(|| {
                    self.fail(&format!("says nothing more; wanted {event} of {label}"))
                }),
            };
            if next["as"] != label {
                self.waiting.push_back(next);
            } else if next["event"] == event {
                return next;
            } else if next["event"] != "error" {
                self.fail(&format!("wanted {event} of {label}, not {next}"));
            }
        }
    }

    /// Nothing happens to any instance for as long as this.
    pub(crate) fn rests(&mut self, time: Duration) {
        let heard = self.waiting.pop_front().or_else(|| self.hear(time));
        if let Some(event) = heard {
            self.fail(&format!("does not rest: {event}"));
        }
    }

    /// Everything it ever said and was told.
    pub(crate) fn said(&self) -> String {
        self.said.join("\n")
    }

    fn hear(&mut self, time: Duration) -> Option<Value> {
        match self.events.recv_timeout(time) {
            Ok(line) => {
                let event = serde_json::from_str(&line);
                self.said.push(line);
                Some(event.unwrap_or_else(|error| self.fail(&format!("no event: {error}"))))
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => self.fail("has ended"),
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{} {what}\n{}", self.client.name(), self.said())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Its stdin ends, and with it the process; a browser needs that to end its own.
        self.commands = Box::new(|_| {});
        let Some(process) = &mut self.process else { return };
        while self.events.recv_timeout(PATIENCE).is_ok() {}
        drop(process.kill());
        drop(process.wait());
    }
}
