//! Everything around the shards: the engine's part played in one thread, messages on their way,
//! clients, virtual time. Every event is followed by a look at the truths.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use rollcall::connection::open::Scope;
use rollcall::ids::{ConnId, ShardId};
use rollcall::messages::{Message, Peer};
use rollcall::session::{IdKeys, UserHasher};
use rollcall::shard::admission::{Admission, AdmissionOptions};
use rollcall::shard::directory::Directory;
use rollcall::shard::effects::{Effect, Effects};
use rollcall::shard::{Gone, Setup, Shard, TICK_MS};
use rollcall::time::Now;
use serde_json::json;

use crate::client::{Asked, Client, Request};
use crate::model::{Listing, META_MARK, Model};
use crate::options::{KEY, SECRET, options};

/// How long a question to other shards may take.
pub(crate) const QUERY_TIMEOUT_MS: u64 = 1_000;

/// Events printed when a truth is broken.
const EVENTS_KEPT: usize = 80;

/// What goes wrong between shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// One message in this many finds no room; 0 is none.
    pub(crate) loses_one_in: u32,
}

/// A client, by its shard and the number of its connection.
pub(crate) type ClientKey = (usize, u32);

/// A node in one thread.
pub(crate) struct World {
    seed: u64,
    pub(crate) rng: ChaCha12Rng,
    faults: Faults,
    now: Now,
    step: u64,
    pub(crate) nodes: Vec<Node>,
    /// Messages on their way, first in first out for each pair.
    pub(crate) network: BTreeMap<(usize, usize), VecDeque<Message>>,
    pub(crate) clients: BTreeMap<ClientKey, Client>,
    pub(crate) model: Model,
    directory: Arc<Directory>,
    admission: Arc<Admission>,
    hasher: UserHasher,
    effects: Effects,
    last_listing: Option<Listing>,
    last_failed: bool,
    /// Replies held against the model so far.
    pub(crate) replies: u64,
    events: VecDeque<String>,
}

/// A shard and what the engine keeps for it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set alone")]
pub(crate) struct Node {
    shard: Shard,
    free: Vec<u32>,
    places: u32,
    generation: u32,
    pub(crate) stalled: bool,
    pub(crate) accepting: bool,
    drained: bool,
}

impl World {
    pub(crate) fn new(seed: u64, shards: usize, user_sessions_max: u32, faults: Faults) -> Self {
        let now = Now { mono_ms: 1_000, unix_ms: 1_800_000_000_000 };
        let directory = Arc::new(Directory::new());
        let admission = Arc::new(Admission::new(AdmissionOptions::default(), shards));
        let hasher = UserHasher::new([seed, 1, 2, 3]);
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let node = |id| Node {
            shard: Shard::new(
                Setup {
                    id: ShardId::new(id),
                    shards,
                    options: options(user_sessions_max),
                    directory: Arc::clone(&directory),
                    admission: Arc::clone(&admission),
                    hasher: hasher.clone(),
                    keys: IdKeys::new([7; 32]),
                    seed: rng.random(),
                    node_uid: "sim".to_owned(),
                    query_timeout_ms: QUERY_TIMEOUT_MS,
                    watched: true,
                    started: now,
                },
                now,
            ),
            free: Vec::new(),
            places: 0,
            generation: 0,
            stalled: false,
            accepting: true,
            drained: false,
        };
        let nodes = (0..shards).map(node).collect();
        Self {
            seed,
            rng,
            faults,
            now,
            step: 0,
            nodes,
            network: BTreeMap::new(),
            clients: BTreeMap::new(),
            model: Model::default(),
            directory,
            admission,
            hasher,
            effects: Effects::default(),
            last_listing: None,
            last_failed: false,
            replies: 0,
            events: VecDeque::new(),
        }
    }

    pub(crate) const fn time_ms(&self) -> u64 {
        self.now.mono_ms
    }

    // ---- single events: what a storm chooses from ------------------------------------------

    /// A client's connection is accepted.
    pub(crate) fn open(&mut self, shard: usize, user: Option<&str>) -> ClientKey {
        let node = &mut self.nodes[shard];
        node.generation += 1;
        let index = node.free.pop().unwrap_or_else(|| {
            node.places += 1;
            node.places - 1
        });
        let conn = ConnId { index, generation: node.generation };
        let key = (shard, conn.generation);
        self.clients.insert(key, Client::new(conn, user.map(ToOwned::to_owned)));
        self.event(shard, &format!("accepts {} for {user:?}", conn.generation), |shard, now| {
            shard.on_open(conn, Scope::All, now);
        });
        key
    }

    /// A client writes a connect request with a token that lives this long.
    pub(crate) fn write_connect(&mut self, key: ClientKey, lives_s: u64) {
        let expires = self.now.unix_ms / 1000 + lives_s;
        let client = self.clients.get_mut(&key).expect("it is there");
        let user = client.user.as_deref().expect("a stream client");
        let claims = json!({"sub": user, "exp": expires, "meta": {"of": user, "why": META_MARK}});
        let secret = EncodingKey::from_secret(SECRET.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &secret);
        let connect = json!({"token": token.expect("claims are JSON"), "name": "sim"});
        client.post("/connection/uni_http_stream", "", &connect);
    }

    /// An API client writes a request.
    pub(crate) fn write_request(&mut self, key: ClientKey, what: Request) {
        let (method, params) = match &what {
            Request::List { user } => ("user_connections", json!({"user": user})),
            Request::DisconnectUser { user } => ("disconnect", json!({"user": user})),
            Request::DisconnectClient { user, client } => {
                ("disconnect", json!({"user": user, "client": client}))
            }
            Request::Refresh { user, lives_s } => {
                let expire_at = lives_s.map(|lives_s| self.now.unix_s() + lives_s);
                ("refresh", json!({"user": user, "expire_at": expire_at}))
            }
        };
        self.note(&format!("{key:?} asks {what:?}"));
        let client = self.clients.get_mut(&key).expect("it is there");
        client.post(&format!("/api/{method}"), &format!("X-API-Key: {KEY}\r\n"), &params);
        client.asked.push_back(Asked { what, at: self.step });
    }

    /// Up to `bytes_max` of what a client wrote reach its shard, then its FIN if it wrote one.
    /// Returns whether anything did.
    pub(crate) fn feed(&mut self, key: ClientKey, bytes_max: usize) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let conn = client.conn;
        let node = &mut self.nodes[key.0];
        if node.stalled {
            return false;
        }
        let again = std::mem::take(&mut client.again);
        let wants = node.shard.wants_bytes(conn);
        let len = if wants { client.unsent.len().min(bytes_max) } else { 0 };
        let mut input: Vec<u8> = client.unsent.drain(..len).collect();
        if again || len > 0 {
            self.event(key.0, &format!("reads {len} bytes of {}", key.1), |shard, now| {
                shard.on_bytes(conn, &mut input, now);
            });
            return true;
        }
        if wants && client.finishes && client.unsent.is_empty() {
            client.finishes = false;
            let is_stream = client.user.is_some();
            self.event(key.0, &format!("hears the FIN of {}", key.1), |shard, now| {
                shard.on_closed(conn, Gone::Finished, now);
            });
            assert!(!is_stream || !self.is_listed(key), "truth 3: a FIN unlists at once");
            return true;
        }
        false
    }

    /// A client's RST.
    pub(crate) fn reset(&mut self, key: ClientKey) {
        let conn = self.clients[&key].conn;
        self.event(key.0, &format!("hears the RST of {}", key.1), |shard, now| {
            shard.on_closed(conn, Gone::Reset, now);
        });
        assert!(!self.is_listed(key), "truth 3: an RST unlists at once");
        assert!(!self.clients.contains_key(&key), "nothing is kept of it");
    }

    /// A client does not read: its backlog has passed every limit.
    pub(crate) fn clog(&mut self, key: ClientKey) {
        let conn = self.clients[&key].conn;
        self.event(key.0, &format!("has a backlog for {}", key.1), |shard, now| {
            shard.on_backlog(conn, usize::MAX, now);
        });
    }

    /// The oldest message between two shards arrives.
    pub(crate) fn deliver(&mut self, pair: (usize, usize)) {
        let Some(message) = self.network.get_mut(&pair).and_then(VecDeque::pop_front) else {
            return;
        };
        let (from, to) = pair;
        self.event(to, &format!("gets {message:?} from {from}"), |shard, now| {
            shard.on_message(Peer::Shard(ShardId::new(from)), message, now);
        });
    }

    /// Time passes, and every shard that runs hears of it.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ms += ms;
        for shard in 0..self.nodes.len() {
            let mut done = self.nodes[shard].stalled;
            while !done {
                self.event(shard, "ticks", |shard, now| done = shard.on_tick(now));
            }
        }
    }

    /// Control asks a shard to say goodbye.
    pub(crate) fn say_goodbye(&mut self, shard: usize) {
        self.event(shard, "is asked to drain", |shard, now| {
            shard.on_message(Peer::Control, Message::Drain { within_ms: 1_000 }, now);
        });
    }

    // ---- sentences: what a case is written in ----------------------------------------------

    pub(crate) fn stalls(&mut self, shard: usize) {
        self.nodes[shard].stalled = true;
    }

    pub(crate) fn runs_again(&mut self, shard: usize) {
        self.nodes[shard].stalled = false;
        self.settle();
    }

    /// A session; returns its client id.
    pub(crate) fn connects(&mut self, shard: usize, user: &str) -> String {
        let key = self.open(shard, Some(user));
        self.write_connect(key, 3_600);
        self.settle();
        let of_key = self.model.open().find(|(_, s)| (s.shard, s.generation) == key);
        of_key.expect("the connect is acknowledged").0.clone()
    }

    /// A connect that is refused; returns the code it was told.
    pub(crate) fn is_refused(&mut self, shard: usize, user: &str) -> Option<u64> {
        let key = self.open(shard, Some(user));
        self.write_connect(key, 3_600);
        self.settle();
        assert!(!self.is_listed(key), "it was let in");
        self.clients[&key].told
    }

    /// The session's client sends its FIN.
    pub(crate) fn leaves(&mut self, client: &str) {
        let session = self.model.open().find(|(id, _)| *id == client).expect("it is open").1;
        let key = (session.shard, session.generation);
        self.clients.get_mut(&key).expect("it has a connection").finishes = true;
        self.settle();
    }

    /// Asks one shard; lets time pass until it answers.
    pub(crate) fn lists(&mut self, shard: usize, user: &str) -> Listing {
        self.asks(shard, Request::List { user: user.to_owned() });
        self.last_listing.take().expect("it was a listing")
    }

    /// Asks one shard to disconnect a user.
    pub(crate) fn disconnects(&mut self, shard: usize, user: &str) -> Result<(), ()> {
        self.asks(shard, Request::DisconnectUser { user: user.to_owned() });
        if self.last_failed { Err(()) } else { Ok(()) }
    }

    fn asks(&mut self, shard: usize, what: Request) {
        let key = self.open(shard, None);
        self.write_request(key, what);
        let deadline_ms = self.now.mono_ms + 2 * QUERY_TIMEOUT_MS;
        self.settle();
        while !self.clients[&key].asked.is_empty() {
            assert!(self.now.mono_ms < deadline_ms, "no reply in time");
            self.pass(TICK_MS);
            self.settle();
        }
    }

    /// Everything on its way arrives.
    pub(crate) fn settle(&mut self) {
        loop {
            let keys: Vec<ClientKey> = self.clients.keys().copied().collect();
            let mut moved = false;
            for key in keys {
                moved |= self.feed(key, usize::MAX);
            }
            let pairs: Vec<_> = self.network.keys().copied().collect();
            for pair in pairs {
                while !self.nodes[pair.1].stalled && !self.network[&pair].is_empty() {
                    self.deliver(pair);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Everyone leaves; then nothing may be left anywhere.
    pub(crate) fn everyone_leaves(&mut self) {
        self.quiet();
        for client in self.clients.values_mut() {
            client.finishes = true;
        }
        self.settle();
        // A connection that lingers, or whose client asked much, has its deadlines.
        for _ in 0..2_000 {
            if self.clients.is_empty() {
                break;
            }
            self.pass(TICK_MS);
            self.settle();
        }
        self.nothing_is_left();
    }

    /// The node says goodbye to everyone.
    pub(crate) fn drains(&mut self) {
        self.quiet();
        for shard in 0..self.nodes.len() {
            self.say_goodbye(shard);
        }
        for _ in 0..2_000 {
            self.settle();
            if self.nodes.iter().all(|node| node.drained) {
                break;
            }
            self.pass(TICK_MS);
        }
        assert!(self.nodes.iter().all(|node| node.drained && !node.accepting), "all said goodbye");
        self.nothing_is_left();
    }

    fn quiet(&mut self) {
        for node in &mut self.nodes {
            node.stalled = false;
        }
        self.settle();
    }

    fn nothing_is_left(&self) {
        assert!(self.clients.is_empty(), "truth 6: {:?}", self.clients);
        for node in &self.nodes {
            assert_eq!((node.shard.sessions(), node.shard.connections()), (0, 0), "truth 6");
        }
        assert_eq!((self.directory.users(), self.admission.sessions()), (0, 0), "truth 6");
    }

    // ---- the engine's part -----------------------------------------------------------------

    /// Something happens to a shard; its effects are carried out in order; the truths hold.
    fn event(&mut self, shard: usize, what: &str, event: impl FnOnce(&mut Shard, Now)) {
        self.step += 1;
        self.note(&format!("shard {shard} {what}"));
        event(&mut self.nodes[shard].shard, self.now);
        self.carry_out(shard);
        self.check();
    }

    fn carry_out(&mut self, from: usize) {
        loop {
            let mut effects = std::mem::take(&mut self.effects);
            self.nodes[from].shard.take_effects(&mut effects);
            if effects.is_empty() {
                self.effects = effects;
                return;
            }
            let (list, bytes) = effects.drain();
            for effect in list {
                match effect {
                    Effect::Send { conn, bytes: range } => self.sent(from, conn, &bytes[range]),
                    Effect::Resume { conn } => self.with_client(from, conn, |c| c.again = true),
                    // The client answers a FIN with its own.
                    Effect::Finish { conn } => {
                        self.with_client(from, conn, |c| c.finishes = true);
                        self.nodes[from].shard.on_finished(conn, self.now);
                    }
                    Effect::Abort { conn } => self.aborted(from, conn),
                    Effect::Message { to, message } => self.post(from, to, message),
                    Effect::StopAccepting => self.nodes[from].accepting = false,
                }
            }
            effects.clear();
            self.effects = effects;
        }
    }

    fn with_client(&mut self, shard: usize, conn: ConnId, then: impl FnOnce(&mut Client)) {
        if let Some(client) = self.clients.get_mut(&(shard, conn.generation)) {
            then(client);
        }
    }

    fn aborted(&mut self, shard: usize, conn: ConnId) {
        if self.clients.remove(&(shard, conn.generation)).is_some() {
            self.nodes[shard].free.push(conn.index);
        }
        self.model.ends(shard, conn.generation, self.step);
    }

    fn post(&mut self, from: usize, to: Peer, message: Message) {
        let Peer::Shard(shard) = to else {
            self.nodes[from].drained |= matches!(message, Message::Drained);
            return;
        };
        let one_in = self.faults.loses_one_in;
        if one_in > 0 && self.rng.random_range(0..one_in) == 0 {
            self.note(&format!("no room from {from} to {shard} for {message:?}"));
            self.nodes[from].shard.on_undeliverable(to, message, self.now);
        } else {
            self.network.entry((from, shard.index())).or_default().push_back(message);
        }
    }

    fn sent(&mut self, shard: usize, conn: ConnId, bytes: &[u8]) {
        let key = (shard, conn.generation);
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.receive(bytes);
        let Some(user) = client.user.clone() else {
            self.got_replies(key);
            return;
        };
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(META_MARK), "truth 7: meta reached a client");
        while let Some(push) = self.clients.get_mut(&key).and_then(Client::next_push) {
            if let Some(id) = push["connect"]["client"].as_str() {
                self.note(&format!("shard {shard} acknowledges {id} of {user}"));
                self.model.opens(id.to_owned(), &user, key, self.step);
            } else if let Some(code) = push["disconnect"]["code"].as_u64() {
                self.note(&format!("shard {shard} tells {} {code}", key.1));
                self.with_client(shard, conn, |client| client.told = Some(code));
                self.model.ends(shard, key.1, self.step);
            }
        }
    }

    fn got_replies(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        while let Some(reply) = client.next_reply() {
            if reply.status == 408 {
                // The request being read came too slowly; nothing after it is heard.
                client.asked.clear();
                continue;
            }
            let asked = client.asked.pop_front().expect("nothing was asked");
            if reply.status == 503 {
                continue;
            }
            assert_eq!(reply.status, 200, "{reply:?}");
            self.last_failed = reply.body.contains("\"error\"");
            self.last_listing = self.model.check(&asked, &reply);
            self.replies += 1;
        }
    }

    // ---- the truths ------------------------------------------------------------------------

    fn is_listed(&self, key: ClientKey) -> bool {
        self.model.open().any(|(_, session)| (session.shard, session.generation) == key)
    }

    fn check(&self) {
        let mut open = vec![0; self.nodes.len()];
        for (id, session) in self.model.open() {
            open[session.shard] += 1;
            let mask = self.directory.shards(self.hasher.hash(&session.user));
            let bit = ShardId::new(session.shard).bit();
            assert_ne!(mask & bit, 0, "truth 5: the directory does not know where {id} is");
        }
        for (node, open) in self.nodes.iter().zip(&open) {
            // Truths 1, 2 and 4: what was acknowledged and has not ended is there, once.
            assert_eq!(node.shard.sessions(), *open, "sessions of shard {}", node.shard.id());
        }
        assert_eq!(self.admission.sessions(), open.iter().sum::<usize>() as u64);
    }

    fn note(&mut self, event: &str) {
        if self.events.len() == EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back(format!("{:>6} {:>8} ms {event}", self.step, self.now.mono_ms));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for event in &self.events {
                eprintln!("{event}");
            }
            eprintln!("ROLLCALL_SIM_SEED={} ({:?})", self.seed, self.faults);
        }
    }
}
