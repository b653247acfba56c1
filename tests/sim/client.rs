//! One client as the shard sees it: bytes it still has to send, bytes it got, what it asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rollcall::ids::ConnId;
use serde_json::Value;

use crate::fences::{Comer, Fenced};
use crate::frames;
use crate::looks::Sought;
use crate::speech::{Ask, Command, Means};

/// What an API client asked and has no reply to yet.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) what: Request,
    /// Step of the world in which it was written.
    pub(crate) at: u64,
    /// Number of the order it gives, when it is one.
    pub(crate) order: Option<usize>,
    /// Number of the fence it wants, when it wants one.
    pub(crate) fence: Option<usize>,
}

/// Requests of an API client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    List {
        user: String,
    },
    /// The next page of somebody who looks through the sessions.
    Page {
        look: usize,
    },
    /// How many there are.
    Count {
        sought: Sought,
    },
    DisconnectUser {
        user: String,
    },
    DisconnectClient {
        user: String,
        client: String,
    },
    Block {
        user: String,
    },
    Unblock {
        user: String,
    },
    /// They are sent away and refused for so many seconds.
    Fence {
        whom: Fenced,
        stands_s: u64,
    },
    /// Seconds they have left; 0 is nothing, `None` no end.
    Refresh {
        user: String,
        lives_s: Option<u64>,
    },
}

/// A whole HTTP response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Something a client is told.
#[derive(Debug)]
pub(crate) enum Told {
    Reply(Reply),
    Upgraded,
    Message(Value),
    Pinged,
    Ponged(Vec<u8>),
    Closed(u32),
}

/// Who stands at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A backend.
    Api,
    /// A connection for commands of streams.
    Emulation,
    WebSocket,
    /// A browser that answers ping frames by itself (`cf_ws_frame_ping_pong`).
    FramePinged,
    HttpStream,
    Sse,
    UniWebSocket,
    UniHttpStream,
}

/// What answers a ping of this kind of client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PongBy {
    Command,
    Frame,
    Nothing,
}

impl Kind {
    pub(crate) const fn is_client(self) -> bool {
        !matches!(self, Self::Api | Self::Emulation)
    }

    pub(crate) const fn is_socket(self) -> bool {
        matches!(self, Self::WebSocket | Self::FramePinged | Self::UniWebSocket)
    }

    pub(crate) const fn is_emulated(self) -> bool {
        matches!(self, Self::HttpStream | Self::Sse)
    }

    /// Whether it has commands, and not only a connect request.
    pub(crate) const fn has_commands(self) -> bool {
        self.is_client() && !self.is_uni()
    }

    pub(crate) const fn is_uni(self) -> bool {
        matches!(self, Self::UniWebSocket | Self::UniHttpStream)
    }

    pub(crate) const fn pong_by(self) -> PongBy {
        match self {
            Self::WebSocket | Self::HttpStream | Self::Sse => PongBy::Command,
            Self::FramePinged | Self::UniWebSocket => PongBy::Frame,
            Self::Api | Self::Emulation | Self::UniHttpStream => PongBy::Nothing,
        }
    }

    /// Its name in listings.
    pub(crate) const fn transport(self) -> &'static str {
        match self {
            Self::WebSocket | Self::FramePinged => "websocket",
            Self::HttpStream => "http_stream",
            Self::Sse => "sse",
            Self::UniWebSocket => "uni_websocket",
            Self::UniHttpStream => "uni_http_stream",
            Self::Api | Self::Emulation => "none",
        }
    }
}

/// How far a client has come, as far as can be seen from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// It has not asked for anything yet, or its last stream is over.
    Before,
    /// It may connect now, and has not.
    Silent { since_ms: u64 },
    /// Its connect has arrived; what it said behind it waits.
    Connecting { since_ms: u64, since_step: u64, behind: Vec<Means> },
    /// It is in.
    Live,
    /// It was told an error.
    Refused { since_ms: u64 },
    /// It was told to go, or the server has nothing more to say.
    Over,
}

/// A connection and the peer at its other end.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set alone")]
pub(crate) struct Client {
    pub(crate) conn: ConnId,
    pub(crate) kind: Kind,
    /// The user of its connects.
    pub(crate) user: String,
    pub(crate) opened_ms: u64,
    /// The id of its tokens, or empty.
    pub(crate) uid: String,
    /// Whether its tokens say so.
    pub(crate) is_trial: bool,

    // Its character.
    /// Its tokens let it look after the user's sessions.
    pub(crate) manages: bool,
    /// It answers pings.
    pub(crate) answers: bool,
    /// It never closes its side.
    pub(crate) stubborn: bool,

    // What it says.
    /// Decided, not written yet.
    pub(crate) saying: Vec<Command>,
    /// Not read by the shard yet.
    pub(crate) unsent: Vec<u8>,
    /// A FIN follows the bytes above.
    pub(crate) finishes: bool,
    written: u64,
    read: u64,
    /// What was said, up to which byte.
    said: VecDeque<(u64, Vec<Means>)>,
    next_id: u32,
    /// Calls without a reply, by their ids, with the step in which they were written.
    pub(crate) calls: BTreeMap<u32, (Ask, u64)>,
    pub(crate) asked: VecDeque<Asked>,
    /// Codes it may be told for what it said.
    pub(crate) sins: BTreeSet<u32>,

    // What became of it.
    pub(crate) phase: Phase,
    /// Private name of its session, on emulated transports.
    pub(crate) session: String,
    /// The shard did not want its bytes: it must ask for them, the engine does not by itself.
    pub(crate) is_ignored: bool,
    /// The shard asked for another look.
    pub(crate) again: bool,
    /// The shard heard that it left.
    pub(crate) left: bool,
    /// Its RST is on its way.
    pub(crate) broken: bool,
    /// It read too little.
    pub(crate) clogged: bool,
    /// Since when only a part of what it wrote has arrived.
    pub(crate) cut_since_ms: Option<u64>,
    /// It said what must end it; nothing after that is heard.
    pub(crate) doomed: bool,
    /// The code it was last told.
    pub(crate) told: Option<u32>,
    pub(crate) finished_ms: Option<u64>,
    /// When the first byte of its request was read.
    pub(crate) first_read_ms: Option<u64>,
    /// It sent what no further request can follow.
    pub(crate) is_spoiled: bool,
    /// Its connection has carried a stream before.
    pub(crate) is_reused: bool,
    pub(crate) pongs_due: VecDeque<Vec<u8>>,

    /// Got and not understood yet.
    received: Vec<u8>,
    upgraded: bool,
}

impl Client {
    pub(crate) fn new(conn: ConnId, kind: Kind, user: &str, opened_ms: u64) -> Self {
        Self {
            conn,
            kind,
            user: user.to_owned(),
            opened_ms,
            uid: String::new(),
            is_trial: false,
            manages: false,
            answers: true,
            stubborn: false,
            saying: Vec::new(),
            unsent: Vec::new(),
            finishes: false,
            written: 0,
            read: 0,
            said: VecDeque::new(),
            next_id: 1,
            calls: BTreeMap::new(),
            asked: VecDeque::new(),
            sins: BTreeSet::new(),
            phase: Phase::Before,
            session: String::new(),
            is_ignored: false,
            again: false,
            left: false,
            broken: false,
            clogged: false,
            cut_since_ms: None,
            doomed: false,
            told: None,
            finished_ms: None,
            first_read_ms: None,
            is_spoiled: false,
            is_reused: false,
            pongs_due: VecDeque::new(),
            received: Vec::new(),
            upgraded: false,
        }
    }

    pub(crate) const fn is_upgraded(&self) -> bool {
        self.upgraded
    }

    /// As a fence knows it.
    pub(crate) fn comer(&self) -> Comer<'_> {
        Comer { user: &self.user, uid: &self.uid, is_trial: self.is_trial }
    }

    /// An id for the next command.
    pub(crate) const fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// Whether nothing is on its way either way, and something more can be sent.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_leaving = self.finishes || self.left || self.broken || self.finished_ms.is_some();
        !is_leaving && self.unsent.is_empty() && self.phase == Phase::Before
    }

    /// Notes what a command asks for and may be told, on its way to be written.
    pub(crate) fn commit(&mut self, command: &Command, step: u64) {
        if let Some((id, ask)) = &command.asks {
            self.calls.insert(*id, (ask.clone(), step));
        }
        self.sins.extend(command.sin);
    }

    /// A stream whose session has ended may begin another one.
    pub(crate) fn begins_anew(&mut self) {
        self.phase = Phase::Before;
        self.calls.clear();
        self.sins.clear();
        self.saying.clear();
        self.session.clear();
        (self.told, self.doomed) = (None, false);
        (self.first_read_ms, self.is_reused) = (None, true);
    }

    /// Writes bytes that say something once the last of them has arrived.
    pub(crate) fn write(&mut self, bytes: &[u8], means: Vec<Means>) {
        self.unsent.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
        if !means.is_empty() {
            self.said.push_back((self.written, means));
        }
    }

    /// Writes a request.
    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &str, means: Vec<Means>) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: sim\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.write(request.as_bytes(), means);
    }

    /// Takes bytes off for the shard to read, and what they say.
    pub(crate) fn arrives(&mut self, len: usize) -> (Vec<u8>, Vec<Means>) {
        self.read += len as u64;
        let mut means = Vec::new();
        while let Some((_, said)) = self.said.pop_front_if(|(end, _)| *end <= self.read) {
            means.extend(said);
        }
        (self.unsent.drain(..len).collect(), means)
    }

    /// What was said and has not arrived; it never will.
    pub(crate) fn never_said(&mut self) -> impl Iterator<Item = Means> {
        std::mem::take(&mut self.said).into_iter().flat_map(|(_, means)| means)
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next thing it understands of what it got.
    pub(crate) fn next_told(&mut self) -> Option<Told> {
        match self.kind {
            Kind::Api | Kind::Emulation => self.next_reply().map(Told::Reply),
            Kind::HttpStream | Kind::Sse | Kind::UniHttpStream => self.next_line(),
            Kind::WebSocket | Kind::FramePinged | Kind::UniWebSocket if self.upgraded => {
                self.next_frame()
            }
            Kind::WebSocket | Kind::FramePinged | Kind::UniWebSocket => {
                let reply = self.next_reply()?;
                self.upgraded = reply.status == 101;
                Some(if self.upgraded { Told::Upgraded } else { Told::Reply(reply) })
            }
        }
    }

    /// The next whole line of a stream that is a message, heads and chunk sizes left out.
    fn next_line(&mut self) -> Option<Told> {
        loop {
            let end = self.received.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.received.drain(..=end).collect();
            let data = line.strip_prefix(b"data: ").unwrap_or(&line);
            if data.starts_with(b"{") {
                let message = serde_json::from_slice(data).expect("a message is JSON");
                return Some(Told::Message(message));
            }
        }
    }

    fn next_frame(&mut self) -> Option<Told> {
        let frames::Frame { opcode, payload } = frames::next(&mut self.received)?;
        Some(match opcode {
            frames::TEXT => {
                Told::Message(serde_json::from_slice(&payload).expect("a message is JSON"))
            }
            frames::PING => Told::Pinged,
            frames::PONG => Told::Ponged(payload),
            frames::CLOSE => Told::Closed(match payload.as_slice() {
                [high, low, ..] => u16::from_be_bytes([*high, *low]).into(),
                _ => 1005,
            }),
            other => panic!("a frame nobody expects: {other}"),
        })
    }

    /// The next whole response.
    fn next_reply(&mut self) -> Option<Reply> {
        let end = self.received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.received[..end]).expect("heads are text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.expect("a reply has a status");
        let length: Option<usize> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.parse().ok());
        assert!(length.is_some() || matches!(status, 101 | 204), "a reply says its length: {head}");
        let whole = end + length.unwrap_or(0);
        if self.received.len() < whole {
            return None;
        }
        let body: Vec<u8> = self.received.drain(..whole).skip(end).collect();
        Some(Reply { status, body: String::from_utf8(body).expect("replies are text") })
    }
}
