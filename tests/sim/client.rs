//! One client as the shard sees it: bytes it still has to send, bytes it got, what it asked.

use std::collections::VecDeque;

use rollcall::ids::ConnId;
use serde_json::Value;

/// What an API client asked and has no reply to yet.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) what: Request,
    /// Step of the world in which it was written.
    pub(crate) at: u64,
}

/// Requests of an API client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    List {
        user: String,
    },
    DisconnectUser {
        user: String,
    },
    DisconnectClient {
        user: String,
        client: String,
    },
    /// Seconds they have left; 0 or less is nothing, `None` no end.
    Refresh {
        user: String,
        lives_s: Option<i64>,
    },
}

/// A whole HTTP response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A connection and the peer at its other end.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) conn: ConnId,
    /// The user of its connects; `None` is an API client.
    pub(crate) user: Option<String>,
    /// Not read by the shard yet.
    pub(crate) unsent: Vec<u8>,
    /// A FIN follows the bytes above.
    pub(crate) finishes: bool,
    /// The shard asked for another look.
    pub(crate) again: bool,
    /// The code of the last disconnect line it got.
    pub(crate) told: Option<u64>,
    pub(crate) asked: VecDeque<Asked>,
    /// Got and not understood yet.
    received: Vec<u8>,
}

impl Client {
    pub(crate) fn new(conn: ConnId, user: Option<String>) -> Self {
        Self {
            conn,
            user,
            unsent: Vec::new(),
            finishes: false,
            again: false,
            told: None,
            asked: VecDeque::new(),
            received: Vec::new(),
        }
    }

    /// Writes a request.
    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &Value) {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: sim\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.unsent.extend_from_slice(head.as_bytes());
        self.unsent.extend_from_slice(body.as_bytes());
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next whole line of a stream that is a push, heads and chunk sizes left out.
    pub(crate) fn next_push(&mut self) -> Option<Value> {
        loop {
            let end = self.received.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.received.drain(..=end).collect();
            if line.starts_with(b"{") {
                return Some(serde_json::from_slice(&line).expect("a push is JSON"));
            }
        }
    }

    /// The next whole response of an API connection.
    pub(crate) fn next_reply(&mut self) -> Option<Reply> {
        let text = std::str::from_utf8(&self.received).expect("replies are text");
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.parse().ok())
            .expect("a reply says its length");
        let body = rest.get(..length)?.to_owned();
        let reply = Reply { status: status.expect("a reply has a status"), body };
        self.received.drain(..head.len() + 4 + length);
        Some(reply)
    }
}
