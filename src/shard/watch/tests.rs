//! Several shards, backends that watch, and messages that come in any order or not at all: what a
//! watcher has heard is what there is, or it has been told that it is not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::super::admission::Admission;
use super::super::directory::Directory;
use super::super::effects::{Effect, Effects};
use super::super::tests::{NOW, alone};
use super::super::{Gone, Setup, Shard};
use crate::api;
use crate::auth::TokenOptions;
use crate::connection::Options;
use crate::connection::open::Scope;
use crate::connection::options::{Endpoints, StreamEndpoint};
use crate::ids::{ConnId, ShardId};
use crate::limits::LabelLimits;
use crate::messages::{Message, Peer};
use crate::session::FilterLimits;

const SECRET: &str = "a secret of the tests";
const USERS: [&str; 3] = ["ann", "bob", "eve"];

/// What a watcher has heard so far.
#[derive(Default)]
struct Heard {
    text: String,
    closed: bool,
}

/// Clients it holds to be there; `None` before `ready` and after `resync`.
fn believes(heard: &Heard) -> Option<BTreeSet<String>> {
    let (mut there, mut is_ready) = (BTreeSet::new(), false);
    for event in heard.text.split("data: ").skip(1) {
        let json = event.split("\n\n").next().expect("an event");
        let event: Value = serde_json::from_str(json).expect("JSON");
        let client = event["client"].as_str().map(str::to_owned);
        match event["type"].as_str().expect("a type") {
            "snapshot" => {
                there.extend(event["connections"].as_object().expect("a map").keys().cloned());
            }
            "ready" => is_ready = true,
            "opened" => _ = there.insert(client.expect("a client")),
            "closed" => _ = there.remove(&client.expect("a client")),
            "resync" => return None,
            other => panic!("unknown event {other}"),
        }
    }
    is_ready.then_some(there)
}

struct World {
    rng: ChaCha12Rng,
    shards: Vec<Shard>,
    network: BTreeMap<(usize, usize), VecDeque<Message>>,
    /// One message in this many finds no room; 0 is none.
    loses_one_in: u32,
    next_conn: u32,
    sessions: Vec<(usize, ConnId)>,
    watchers: BTreeMap<(usize, u32), (&'static str, Heard)>,
}

impl World {
    fn new(seed: u64, shards: usize, loses_one_in: u32) -> Self {
        let directory = Arc::new(Directory::new());
        let admission = Arc::new(Admission::new(Default::default(), shards));
        let stream = StreamEndpoint {
            path: "/stream".to_owned(),
            body_bytes_max: 65_536,
            http_refusals: None,
        };
        let options = Options {
            endpoints: Endpoints { uni_http_stream: Some(stream), ..Endpoints::default() },
            token: TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..Default::default() },
            api: Some(api::Options {
                prefix: "/api".to_owned(),
                key: String::new(),
                insecure: true,
                error_mode_transport: false,
                body_bytes_max: 65_536,
                user_status: api::Statuses::NotKept,
                label_filter: FilterLimits::default(),
                queries: Default::default(),
                labels: LabelLimits::default(),
            }),
            ..Options::default()
        };
        let shard = |id| {
            let setup = Setup {
                id: ShardId::new(id),
                shards,
                directory: Arc::clone(&directory),
                admission: Arc::clone(&admission),
                seed: [u8::try_from(id).expect("few shards"); 32],
                ..alone(options.clone())
            };
            Shard::new(setup, NOW)
        };
        Self {
            rng: ChaCha12Rng::seed_from_u64(seed),
            shards: (0..shards).map(shard).collect(),
            network: BTreeMap::new(),
            loses_one_in,
            next_conn: 0,
            sessions: Vec::new(),
            watchers: BTreeMap::new(),
        }
    }

    fn any_shard(&mut self) -> usize {
        self.rng.random_range(0..self.shards.len())
    }

    fn request(&mut self, shard: usize, conn: ConnId, path: &str, body: &Value) {
        let body = body.to_string();
        let length = body.len();
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        self.shards[shard].on_bytes(conn, &mut (request + &body).into_bytes(), NOW);
        self.carry_out(shard);
    }

    fn connect(&mut self, shard: usize) -> ConnId {
        let conn = ConnId { index: self.next_conn, generation: 1 };
        self.next_conn += 1;
        self.shards[shard].on_open(conn, Scope::All, NOW);
        conn
    }

    fn open_session(&mut self) {
        let (shard, user) = (self.any_shard(), USERS[self.rng.random_range(0..USERS.len())]);
        let conn = self.connect(shard);
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &json!({"sub": user}), &key);
        let connect = json!({"token": token.expect("claims are JSON")});
        self.request(shard, conn, "/stream", &connect);
        self.sessions.push((shard, conn));
    }

    fn close_session(&mut self) {
        if self.sessions.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.sessions.len());
        let (shard, conn) = self.sessions.swap_remove(at);
        self.shards[shard].on_closed(conn, Gone::Reset, NOW);
        self.carry_out(shard);
    }

    fn watch(&mut self) {
        let (shard, user) = (self.any_shard(), USERS[self.rng.random_range(0..USERS.len())]);
        let conn = self.connect(shard);
        self.watchers.insert((shard, conn.index), (user, Heard::default()));
        self.request(shard, conn, "/api/watch", &json!({"user": user}));
    }

    fn leave(&mut self, shard: usize, index: u32) {
        let conn = ConnId { index, generation: 1 };
        self.shards[shard].on_closed(conn, Gone::Reset, NOW);
        self.carry_out(shard);
    }

    fn carry_out(&mut self, shard: usize) {
        let mut effects = Effects::default();
        loop {
            self.shards[shard].take_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            let mut messages = Vec::new();
            let (list, bytes) = effects.drain();
            for effect in list {
                match effect {
                    Effect::Send { conn, bytes: range } => {
                        let text = String::from_utf8_lossy(&bytes[range]);
                        self.hear(shard, conn, |heard| heard.text.push_str(&text));
                    }
                    Effect::Finish { conn } | Effect::Abort { conn } => {
                        self.hear(shard, conn, |heard| heard.closed = true);
                    }
                    Effect::Message { to: Peer::Shard(to), message } => {
                        messages.push((to, message));
                    }
                    Effect::Message { .. } | Effect::Resume { .. } | Effect::StopAccepting => {}
                }
            }
            effects.clear();
            for (to, message) in messages {
                self.post(shard, to, message);
            }
        }
    }

    fn hear(&mut self, shard: usize, conn: ConnId, change: impl FnOnce(&mut Heard)) {
        if let Some((_, heard)) = self.watchers.get_mut(&(shard, conn.index)) {
            change(heard);
        }
    }

    fn post(&mut self, from: usize, to: ShardId, message: Message) {
        let loses = self.loses_one_in;
        if loses > 0 && self.rng.random_range(0..loses) == 0 {
            self.shards[from].on_undeliverable(Peer::Shard(to), message, NOW);
        } else {
            self.network.entry((from, to.index())).or_default().push_back(message);
        }
    }

    fn deliver(&mut self) -> bool {
        let pairs: Vec<_> = self.network.keys().copied().collect();
        if pairs.is_empty() {
            return false;
        }
        let (from, to) = pairs[self.rng.random_range(0..pairs.len())];
        let queue = self.network.get_mut(&(from, to)).expect("the pair is there");
        let message = queue.pop_front().expect("queues are not empty");
        if queue.is_empty() {
            self.network.remove(&(from, to));
        }
        self.shards[to].on_message(Peer::Shard(ShardId::new(from)), message, NOW);
        self.carry_out(to);
        true
    }

    fn settle(&mut self) {
        self.loses_one_in = 0;
        for _ in 0..3 {
            for shard in 0..self.shards.len() {
                while !self.shards[shard].on_tick(NOW) {
                    self.carry_out(shard);
                }
                self.carry_out(shard);
            }
            while self.deliver() {}
        }
    }

    fn truth(&self, user: &str) -> BTreeSet<String> {
        let sessions = self.shards.iter().flat_map(|shard| shard.table.iter());
        let of_user = sessions.filter(|session| session.user() == user);
        of_user.map(|session| session.client().to_string()).collect()
    }
}

/// One world from a seed; how many watchers were told to begin again.
fn run(seed: u64, shards: usize, loses_one_in: u32) -> usize {
    let mut world = World::new(seed, shards, loses_one_in);
    for _ in 0..300 {
        match world.rng.random_range(0..10) {
            0..=2 => world.open_session(),
            3..=4 => world.close_session(),
            5 if world.watchers.len() < 12 => world.watch(),
            _ => _ = world.deliver(),
        }
    }
    world.settle();
    let mut cut = 0;
    for (user, heard) in world.watchers.values() {
        match believes(heard) {
            Some(there) => assert_eq!(there, world.truth(user), "seed {seed}: {}", heard.text),
            None => {
                assert!(heard.closed, "seed {seed}: neither whole nor cut: {}", heard.text);
                assert!(heard.text.contains(r#""type":"resync""#), "seed {seed}: cut in silence");
                cut += 1;
            }
        }
    }
    let watchers: Vec<_> = world.watchers.keys().copied().collect();
    for (shard, index) in watchers {
        world.leave(shard, index);
    }
    world.settle();
    for shard in &world.shards {
        let watches = &shard.watches;
        assert!(watches.is_idle(), "seed {seed}: {watches:?} is left of watches that are gone");
    }
    cut
}

#[test]
fn what_a_watcher_has_heard_is_what_there_is() {
    for seed in 0..50 {
        let cut = run(seed, 1 + usize::try_from(seed % 5).expect("small"), 0);
        assert_eq!(cut, 0, "seed {seed}: nothing was lost");
    }
}

#[test]
fn a_watcher_that_missed_something_is_told_to_begin_again() {
    let cut: usize = (0..50).map(|seed| run(seed, 4, 6)).sum();
    assert!(cut > 0, "messages were lost");
}
