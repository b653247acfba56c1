//! From client to shard: how each kind of client writes what it wants to say, and what it means
//! once the shard has heard it.

use rand::RngExt;
use serde_json::{Value, json};

use crate::client::{Asked, Kind, Phase, PongBy, Request};
use crate::fences::Fenced;
use crate::frames::{self, Part};
use crate::model::{ClientKey, Whom};
use crate::options::KEY;
use crate::speech::{self, Ask, Command, Means, Parcel, Token};
use crate::world::World;

/// What sessions are told when a backend ends them.
pub(crate) const ORDERED: u32 = 4001;

/// What blocked users are told.
pub(crate) const BLOCKED: u32 = 3507;

/// Nobody is told this: it marks the order.
pub(crate) const UNBLOCKED: u32 = 0;

/// What sessions are told when their user ends them.
pub(crate) const FORCED: u32 = 3503;

impl World {
    /// The connect of this client, as its transport wants it.
    pub(crate) fn connect_of(&mut self, key: ClientKey, token: Token) -> Command {
        let client = self.client(key);
        let (kind, id) = (client.kind, client.id());
        if kind.is_uni() {
            speech::connect_request(token, self.who(key))
        } else {
            speech::connect(id, token, self.who(key))
        }
    }

    /// A call about the user's own sessions: `None` asks for the list.
    pub(crate) fn call_of(&mut self, key: ClientKey, whom: Option<&Whom>) -> Command {
        let (method, data) = match whom {
            None => ("sessions.list", json!({})),
            Some(Whom::One(client)) => ("sessions.close", json!({"client": client})),
            Some(Whom::All | Whom::AllBut(_) | Whom::Trial | Whom::Nobody) => {
                ("sessions.close_others", Value::Null)
            }
        };
        let client = self.client(key);
        let (id, user) = (client.id(), client.user.clone());
        let ask = if !client.manages || user.is_empty() {
            Ask::Fails { code: 103 }
        } else if let Some(whom) = whom {
            let order = self.model.order(&user, whom.clone(), FORCED, self.step);
            Ask::Close { order }
        } else {
            Ask::List
        };
        speech::call(id, method, &data, ask)
    }

    /// A client's first request. What it wants to say afterwards stands in `saying` already, the
    /// connect first.
    pub(crate) fn write_first(&mut self, key: ClientKey) {
        let kind = self.client(key).kind;
        match kind {
            Kind::WebSocket => {
                self.write_upgrade(key, "/connection/websocket", Vec::new());
            }
            Kind::FramePinged => {
                let path = "/connection/websocket?cf_ws_frame_ping_pong=true";
                self.write_upgrade(key, path, Vec::new());
            }
            Kind::UniWebSocket => self.write_uni_upgrade(key),
            Kind::HttpStream => self.write_stream(key, "/connection/http_stream"),
            Kind::Sse => self.write_stream(key, "/connection/sse"),
            Kind::UniHttpStream => self.write_stream(key, "/connection/uni_http_stream"),
            Kind::Api | Kind::Emulation => {}
        }
    }

    fn write_upgrade(&mut self, key: ClientKey, path: &str, means: Vec<Means>) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.client(key).write(request.as_bytes(), means);
    }

    /// Its connect is a message of its own, or stands in the request.
    fn write_uni_upgrade(&mut self, key: ClientKey) {
        let path = "/connection/uni_websocket";
        if self.client(key).saying.is_empty() || self.rng.random() {
            return self.write_upgrade(key, path, Vec::new());
        }
        let (connect, means) = self.take_saying(key);
        self.write_upgrade(key, &format!("{path}?cf_connect={}", in_query(&connect)), means);
    }

    /// A request that opens a stream, on a connection that lives on or dies with it.
    fn write_stream(&mut self, key: ClientKey, path: &str) {
        let is_last = self.rng.random_range(0..8) == 0;
        let headers = if is_last { "Connection: close\r\n" } else { "" };
        let is_get = self.client(key).kind == Kind::Sse && self.rng.random();
        let (body, means) = self.take_saying(key);
        if is_get {
            let query = in_query(&body);
            let head =
                format!("GET {path}?cf_connect={query} HTTP/1.1\r\nHost: sim\r\n{headers}\r\n");
            self.client(key).write(head.as_bytes(), means);
        } else {
            self.client(key).post(path, headers, &body, means);
        }
    }

    /// Bytes where a client has nothing to say: its connection carries nothing more after them.
    pub(crate) fn spoil(&mut self, key: ClientKey) {
        let client = self.client(key);
        client.is_spoiled = true;
        client.write(b"out of step", Vec::new());
    }

    /// Everything a client decided to say, as one text of lines.
    fn take_saying(&mut self, key: ClientKey) -> (String, Vec<Means>) {
        let step = self.step;
        let client = self.client(key);
        let commands = std::mem::take(&mut client.saying);
        for command in &commands {
            client.commit(command, step);
        }
        let texts: Vec<&str> = commands.iter().map(|command| command.text.as_str()).collect();
        (texts.join("\n"), commands.iter().map(|command| command.means.clone()).collect())
    }

    /// A client writes what it decided to say. Returns whether it could.
    pub(crate) fn utter(&mut self, key: ClientKey) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let may_speak = !client.saying.is_empty() && !client.finishes && !client.broken;
        let kind = client.kind;
        if may_speak && kind.is_socket() && client.is_upgraded() {
            if client.phase == Phase::Over {
                client.saying.clear();
            } else if kind.pong_by() == PongBy::Frame || self.rng.random() {
                self.write_message_each(key);
            } else {
                let (text, means) = self.take_saying(key);
                self.write_message(key, &text, means);
            }
            true
        } else if may_speak && kind.is_emulated() && client.phase == Phase::Live {
            self.emulate(key)
        } else {
            false
        }
    }

    fn write_message_each(&mut self, key: ClientKey) {
        let step = self.step;
        for command in std::mem::take(&mut self.client(key).saying) {
            self.client(key).commit(&command, step);
            self.write_message(key, &command.text, vec![command.means]);
        }
    }

    /// A text message, mostly in one frame, else in fragments with a ping among them.
    fn write_message(&mut self, key: ClientKey, text: &str, means: Vec<Means>) {
        let pong_by_frame = self.client(key).kind.pong_by() == PongBy::Frame;
        if pong_by_frame && means == [Means::Pong] {
            return self.write_frame(key, frames::PONG, &[], means);
        }
        let bytes = text.as_bytes();
        if self.rng.random_range(0..4) > 0 {
            return self.write_frame(key, frames::TEXT, bytes, means);
        }
        let (first, second) = bytes.split_at(self.rng.random_range(0..=bytes.len()));
        let mask = self.rng.random();
        let first = frames::masked(frames::TEXT, Part::More, first, mask);
        self.client(key).write(&first, Vec::new());
        if self.rng.random() {
            self.write_ping(key);
        }
        self.write_frame(key, frames::CONTINUATION, second, means);
    }

    pub(crate) fn write_ping(&mut self, key: ClientKey) {
        let payload: [u8; 3] = self.rng.random();
        self.write_frame(key, frames::PING, &payload, vec![Means::Ping(payload.to_vec())]);
    }

    pub(crate) fn write_frame(
        &mut self,
        key: ClientKey,
        opcode: u8,
        payload: &[u8],
        means: Vec<Means>,
    ) {
        let mask = self.rng.random();
        let frame = frames::masked(opcode, Part::Last, payload, mask);
        self.client(key).write(&frame, means);
    }

    /// Frames that are none.
    pub(crate) fn write_broken_frame(&mut self, key: ClientKey, which: usize) {
        let (bytes, code) = frames::broken(which);
        let client = self.client(key);
        client.sins.insert(code);
        client.write(&bytes, vec![Means::Break]);
    }

    /// Commands of a stream take another connection, to any shard.
    fn emulate(&mut self, key: ClientKey) -> bool {
        let Some(through) = self.way_for_commands() else { return false };
        let ids = self.client(key).saying.iter().filter_map(|c| Some(c.asks.as_ref()?.0)).collect();
        let (data, means) = self.take_saying(key);
        self.post_commands(key, through, &data, (means, ids));
        true
    }

    /// A client that has no commands sends some: nobody may listen.
    pub(crate) fn emulates_in_vain(&mut self, key: ClientKey) {
        if let Some(through) = self.way_for_commands() {
            let list = r#"{"id":1,"rpc":{"method":"sessions.list"}}"#;
            self.post_commands(key, through, list, (Vec::new(), Vec::new()));
        }
    }

    /// A connection that can carry them.
    fn way_for_commands(&mut self) -> Option<ClientKey> {
        let open: Vec<usize> = (0..self.nodes.len())
            .filter(|shard| !self.nodes[*shard].stalled && self.nodes[*shard].accepting)
            .collect();
        if open.is_empty() {
            return None;
        }
        let shard = open[self.rng.random_range(0..open.len())];
        let idle = self.clients.iter().find(|((at, _), client)| {
            *at == shard && client.kind == Kind::Emulation && client.is_quiet()
        });
        let idle = idle.map(|(key, _)| *key);
        Some(idle.unwrap_or_else(|| self.open(shard, Kind::Emulation, "")))
    }

    fn post_commands(
        &mut self,
        owner: ClientKey,
        through: ClientKey,
        data: &str,
        (means, ids): (Vec<Means>, Vec<u32>),
    ) {
        let session = self.client(owner).session.clone();
        let body = json!({"session": session, "node": "sim", "data": data}).to_string();
        self.note(&format!("{owner:?} sends through {through:?}: {data}"));
        let parcel = Parcel { owner, session, means, ids };
        self.client(through).post("/emulation", "", &body, vec![Means::Parcel(parcel)]);
    }

    /// An API client writes a request.
    pub(crate) fn write_request(&mut self, key: ClientKey, what: Request) {
        let told = json!({"code": ORDERED, "reason": "ordered"});
        let (method, params) = match &what {
            Request::List { user } => ("user_connections", json!({"user": user})),
            Request::Page { look } => ("connections", self.model.looks.all[*look].params()),
            Request::Count { sought } => {
                let mut params = sought.params();
                params["count_only"] = true.into();
                ("connections", params)
            }
            Request::DisconnectUser { user } => {
                ("disconnect", json!({"user": user, "disconnect": told}))
            }
            Request::DisconnectClient { user, client } => {
                ("disconnect", json!({"user": user, "client": client, "disconnect": told}))
            }
            Request::Fence { whom, stands_s } => {
                let mut params = match whom {
                    Fenced::User(user) => json!({"user": user}),
                    Fenced::TokenOf(client) => json!({"client": client}),
                    Fenced::Trial => {
                        let filter = json!({"key": "plan", "cmp": "eq", "val": "trial"});
                        json!({"all_users": true, "label_filter": filter})
                    }
                };
                params["fence"] = (*stands_s).into();
                params["disconnect"] = told;
                ("disconnect", params)
            }
            Request::Block { user } => ("block_user", json!({"user": user})),
            Request::Unblock { user } => ("unblock_user", json!({"user": user})),
            Request::Refresh { user, lives_s } => {
                let expire_at = lives_s.map(|lives_s| self.now_s() + lives_s);
                ("refresh", json!({"user": user, "expire_at": expire_at}))
            }
        };
        let order = match &what {
            Request::List { .. } | Request::Page { .. } | Request::Count { .. } => None,
            Request::Block { user } => Some(self.model.order(user, Whom::All, BLOCKED, self.step)),
            Request::Unblock { user } => {
                Some(self.model.order(user, Whom::Nobody, UNBLOCKED, self.step))
            }
            Request::DisconnectUser { user } => {
                Some(self.model.order(user, Whom::All, ORDERED, self.step))
            }
            Request::DisconnectClient { user, client } => {
                Some(self.model.order(user, Whom::One(client.clone()), ORDERED, self.step))
            }
            Request::Fence { whom, .. } => Some(self.model.sends_away(whom, ORDERED, self.step)),
            Request::Refresh { user, lives_s } => {
                let until_s = lives_s.map(|lives_s| self.now_s() + lives_s);
                Some(self.model.moves(user, until_s, self.step))
            }
        };
        let fence = if let Request::Fence { whom, stands_s } = &what {
            let until_ms = self.now.mono_ms + stands_s * 1_000;
            Some(self.model.fences(whom.clone(), until_ms))
        } else {
            None
        };
        self.note(&format!("{key:?} asks {what:?}"));
        let asked = Asked { what, at: self.step, order, fence };
        let client = self.client(key);
        let headers = format!("X-API-Key: {KEY}\r\n");
        client.post(&format!("/api/{method}"), &headers, &params.to_string(), Vec::new());
        client.asked.push_back(asked);
    }

    // ---- what arrives ----------------------------------------------------------------------

    /// The last byte of something has arrived.
    pub(crate) fn hear(&mut self, key: ClientKey, means: Means) {
        let (now_ms, step) = (self.now.mono_ms, self.step + 1);
        let Some(client) = self.clients.get_mut(&key) else { return };
        if client.doomed {
            return;
        }
        let kind = client.kind;
        match (&mut client.phase, means) {
            (Phase::Over, Means::Parcel(parcel)) => self.lose(&parcel),
            (_, Means::Parcel(parcel)) if parcel.owner.0 == key.0 => self.unpack(parcel),
            (_, Means::Parcel(parcel)) => self.parcels.push_back(parcel),
            (Phase::Connecting { behind, .. }, means) => behind.push(means),
            // It may only leave now; its commands are not looked at.
            (Phase::Refused { .. }, Means::Ping(payload)) if kind.is_socket() => {
                client.pongs_due.push_back(payload);
            }
            (Phase::Refused { .. }, Means::Break) if kind.is_socket() => self.dooms(key),
            (Phase::Refused { .. }, Means::Leave) if kind.is_socket() => {
                client.left = true;
                self.dooms(key);
            }
            (Phase::Over | Phase::Refused { .. }, _) => {}
            (phase @ (Phase::Before | Phase::Silent { .. }), Means::Connect) => {
                let behind = Vec::new();
                *phase = Phase::Connecting { since_ms: now_ms, since_step: step, behind };
            }
            (Phase::Before | Phase::Silent { .. } | Phase::Live, Means::Ping(payload)) => {
                client.pongs_due.push_back(payload);
            }
            (Phase::Before | Phase::Silent { .. } | Phase::Live, Means::Leave) => {
                client.left = true;
                self.dooms(key);
            }
            (Phase::Before | Phase::Silent { .. } | Phase::Live, Means::End | Means::Break) => {
                self.dooms(key);
            }
            (Phase::Live, Means::Pong) => self.hear_pong(key),
            (Phase::Live, Means::Connect | Means::Nothing) => {
                debug_assert!(kind.is_client(), "nobody else is let in");
            }
            // A frame that answers nothing means nothing.
            (Phase::Before | Phase::Silent { .. }, Means::Pong)
                if kind.pong_by() == PongBy::Frame => {}
            // Whoever has commands has to connect first.
            (Phase::Before | Phase::Silent { .. }, Means::Pong | Means::Nothing) => {
                self.dooms(key);
            }
        }
    }

    fn hear_pong(&mut self, key: ClientKey) {
        let by = self.client(key).kind.pong_by();
        let session = self.model.of_mut(key).expect("it is in");
        let was_awaited = std::mem::take(&mut session.awaits_pong);
        if !was_awaited && by == PongBy::Command {
            self.dooms(key);
        }
    }

    fn dooms(&mut self, key: ClientKey) {
        self.client(key).doomed = true;
        self.doomed.push(key);
    }

    /// Commands for a stream have come to its shard.
    pub(crate) fn unpack(&mut self, parcel: Parcel) {
        let owner = parcel.owner;
        let is_there = |client: &crate::client::Client| {
            client.phase == Phase::Live && client.session == parcel.session
        };
        if !self.clients.get(&owner).is_some_and(is_there) {
            return self.lose(&parcel);
        }
        for means in parcel.means {
            self.hear(owner, means);
        }
    }
}

/// As a value of a query.
fn in_query(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut query, byte| {
        write!(query, "%{byte:02x}").expect("memory takes everything");
        query
    })
}
