//! Everything around the shards: messages on their way, clients, virtual time; and the single
//! events that a storm chooses from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use rollcall::api::{Answer, Question};
use rollcall::auth::Rules;
use rollcall::connection::open::Scope;
use rollcall::ids::{ConnId, ShardId};
use rollcall::messages::{GatherId, Message, Peer};
use rollcall::session::{IdKeys, UserHasher};
use rollcall::shard::admission::{Admission, AdmissionOptions};
use rollcall::shard::directory::Directory;
use rollcall::shard::effects::Effects;
use rollcall::shard::{Gone, Setup, Shard, Synthetic};
use rollcall::time::Now;

use crate::client::{Client, Kind};
use crate::fences::Comer;
use crate::model::{ClientKey, Listing, Model};
use crate::options::{Choices, options};
use crate::speech::{Parcel, Who};

/// How long a question to other shards may take.
pub(crate) const QUERY_TIMEOUT_MS: u64 = 1_000;

/// The control thread, where shards have their numbers.
pub(crate) const CONTROL: usize = usize::MAX;

/// Events printed when a truth is broken.
const EVENTS_KEPT: usize = 80;

/// What goes wrong between shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// One message in this many finds no room; 0 is none.
    pub(crate) loses_one_in: u32,
}

/// A message on its way, and what it means when it carries commands.
pub(crate) struct Letter {
    pub(crate) message: Message,
    pub(crate) parcel: Option<Parcel>,
}

/// What happened, by kind and code, and how often.
pub(crate) type Tally = BTreeMap<(&'static str, u32), u64>;

/// A node in one thread.
pub(crate) struct World {
    seed: u64,
    pub(crate) rng: ChaCha12Rng,
    pub(crate) faults: Faults,
    pub(crate) choices: Choices,
    pub(crate) now: Now,
    pub(crate) step: u64,
    pub(crate) nodes: Vec<Node>,
    /// Messages on their way, first in first out for each pair.
    pub(crate) network: BTreeMap<(usize, usize), VecDeque<Letter>>,
    pub(crate) clients: BTreeMap<ClientKey, Client>,
    pub(crate) model: Model,
    pub(crate) directory: Arc<Directory>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) rules: Arc<Rules>,
    /// Every rule that was kept, in order.
    rounds: Vec<Round>,
    pub(crate) hasher: UserHasher,
    pub(crate) effects: Effects,
    /// Effects wait: several events of this shard are one batch.
    pub(crate) holding: bool,
    /// Commands that a shard has read and not passed on yet.
    pub(crate) parcels: VecDeque<Parcel>,
    /// Clients that must be told to go before the event is over.
    pub(crate) doomed: Vec<ClientKey>,
    pub(crate) last_listing: Option<Listing>,
    pub(crate) last_failed: bool,
    /// How often each thing was answered or told so far, and held against the model.
    pub(crate) tally: Tally,
    events: VecDeque<String>,
}

/// A rule that the shards must carry out.
struct Round {
    asker: (usize, GatherId),
    /// Shards that have not.
    owing: BTreeSet<usize>,
}

/// A shard and what the engine keeps for it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set alone")]
pub(crate) struct Node {
    pub(crate) shard: Shard,
    pub(crate) free: Vec<u32>,
    places: u32,
    generation: u32,
    pub(crate) stalled: bool,
    /// When it last began to run again.
    pub(crate) runs_since_ms: u64,
    pub(crate) accepting: bool,
    /// It was asked to say goodbye.
    pub(crate) drains: bool,
    pub(crate) drained: bool,
}

impl World {
    pub(crate) fn new(seed: u64, shards: usize, choices: Choices, faults: Faults) -> Self {
        let now = Now { mono_ms: 1_000, unix_ms: 1_800_000_000_000 };
        let directory = Arc::new(Directory::new());
        let admission = Arc::new(Admission::new(
            AdmissionOptions {
                counts_users: choices.user_sessions_max > 0,
                ..AdmissionOptions::default()
            },
            shards,
        ));
        let rules = Arc::new(Rules::default());
        let hasher = UserHasher::new([seed, 1, 2, 3]);
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let node = |id| Node {
            shard: Shard::new(
                Setup {
                    id: ShardId::new(id),
                    shards,
                    options: options(choices),
                    directory: Arc::clone(&directory),
                    admission: Arc::clone(&admission),
                    rules: Arc::clone(&rules),
                    hasher: hasher.clone(),
                    keys: IdKeys::new(std::array::from_fn(|at| at.to_le_bytes()[0])),
                    seed: rng.random(),
                    node_uid: "sim".to_owned(),
                    query_timeout_ms: QUERY_TIMEOUT_MS,
                    watched: true,
                    started: now,
                    synthetic: Synthetic::default(),
                },
                now,
            ),
            free: Vec::new(),
            places: 0,
            generation: 0,
            stalled: false,
            runs_since_ms: now.mono_ms,
            accepting: true,
            drains: false,
            drained: false,
        };
        let nodes = (0..shards).map(node).collect();
        Self {
            seed,
            rng,
            faults,
            choices,
            now,
            step: 0,
            nodes,
            network: BTreeMap::new(),
            clients: BTreeMap::new(),
            model: Model::default(),
            directory,
            admission,
            rules,
            rounds: Vec::new(),
            hasher,
            effects: Effects::default(),
            holding: false,
            parcels: VecDeque::new(),
            doomed: Vec::new(),
            last_listing: None,
            last_failed: false,
            tally: Tally::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) const fn time_ms(&self) -> u64 {
        self.now.mono_ms
    }

    pub(crate) const fn now_s(&self) -> u64 {
        self.now.unix_ms / 1_000
    }

    pub(crate) fn client(&mut self, key: ClientKey) -> &mut Client {
        self.clients.get_mut(&key).expect("it is there")
    }

    /// The client as its tokens name it.
    pub(crate) fn who(&self, key: ClientKey) -> Who<'_> {
        let client = &self.clients[&key];
        let Comer { user, uid, is_trial } = client.comer();
        Who { user, uid, is_trial, manages: client.manages, now_s: self.now_s() }
    }

    // ---- single events ---------------------------------------------------------------------

    /// A client's connection is accepted.
    pub(crate) fn open(&mut self, shard: usize, kind: Kind, user: &str) -> ClientKey {
        let node = &mut self.nodes[shard];
        node.generation += 1;
        let index = node.free.pop().unwrap_or_else(|| {
            node.places += 1;
            node.places - 1
        });
        let conn = ConnId { index, generation: node.generation };
        let key = (shard, conn.generation);
        self.clients.insert(key, Client::new(conn, kind, user, self.now.mono_ms));
        self.event(shard, &format!("accepts {} as {kind:?} of {user:?}", key.1), |shard, now| {
            shard.on_open(conn, Scope::All, now);
        });
        key
    }

    /// The shard looks at a connection: again at what it has, at up to `bytes_max` of what the
    /// client wrote, then at its FIN or RST. Returns whether there was anything.
    pub(crate) fn feed(&mut self, key: ClientKey, bytes_max: usize) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let conn = client.conn;
        let node = &mut self.nodes[key.0];
        if node.stalled {
            return false;
        }
        if std::mem::take(&mut client.again) {
            client.is_ignored = false;
            self.event(key.0, &format!("looks at {} again", key.1), |shard, now| {
                shard.on_bytes(conn, &mut Vec::new(), now);
            });
            return true;
        }
        if client.is_ignored {
            return false;
        }
        if !node.shard.wants_bytes(conn) {
            client.is_ignored = true;
            return false;
        }
        if client.broken {
            self.reset(key);
            return true;
        }
        let len = client.unsent.len().min(bytes_max);
        if len > 0 {
            if node.shard.wants_peer(conn) {
                node.shard.on_peer(conn, Some([192, 0, 2, 1].into()));
            }
            client.first_read_ms.get_or_insert(self.now.mono_ms);
            let (mut input, means) = client.arrives(len);
            let since_ms = client.cut_since_ms.unwrap_or(self.now.mono_ms);
            client.cut_since_ms = (!client.unsent.is_empty()).then_some(since_ms);
            for means in means {
                self.hear(key, means);
            }
            self.event(key.0, &format!("reads {len} bytes of {}", key.1), |shard, now| {
                shard.on_bytes(conn, &mut input, now);
            });
            return true;
        }
        if client.finishes {
            client.finishes = false;
            client.left = true;
            self.event(key.0, &format!("hears the FIN of {}", key.1), |shard, now| {
                shard.on_closed(conn, Gone::Finished, now);
            });
            assert!(self.holding || self.model.of(key).is_none(), "truth 3: a FIN unlists at once");
            return true;
        }
        false
    }

    /// A client's RST is read.
    pub(crate) fn reset(&mut self, key: ClientKey) {
        let client = self.client(key);
        let conn = client.conn;
        client.left = true;
        self.event(key.0, &format!("hears the RST of {}", key.1), |shard, now| {
            shard.on_closed(conn, Gone::Reset, now);
        });
        if !self.holding {
            assert!(self.model.of(key).is_none(), "truth 3: an RST unlists at once");
            assert!(!self.clients.contains_key(&key), "nothing is kept of it");
        }
    }

    /// A client's RST is on its way: whoever writes first finds out.
    pub(crate) fn breaks(&mut self, key: ClientKey) {
        self.note(&format!("{key:?} sends an RST"));
        self.client(key).broken = true;
    }

    /// A client does not read: its backlog has passed every limit.
    pub(crate) fn clog(&mut self, key: ClientKey) {
        let client = self.client(key);
        let conn = client.conn;
        client.clogged = true;
        self.event(key.0, &format!("has a backlog for {}", key.1), |shard, now| {
            shard.on_backlog(conn, usize::MAX, now);
        });
    }

    /// Whether what is sent there waits.
    pub(crate) fn is_stalled(&self, to: usize) -> bool {
        to != CONTROL && self.nodes[to].stalled
    }

    /// The control thread stores a rule, makes it hold and has every shard carry it out; then it
    /// says so.
    fn control(&mut self, from: usize, message: Message) {
        self.step += 1;
        if let Message::Answer { gather, .. } = message {
            return self.is_carried_out(from, gather);
        }
        let Message::Ask { gather, question: Question::KeepOut(rule) } = message else {
            panic!("not for the control thread: {message:?}");
        };
        self.note(&format!("control keeps {rule:?}"));
        self.rules.apply(&rule, self.now.unix_s());
        let index = u32::try_from(self.rounds.len()).expect("few rules");
        let round = GatherId { index, generation: 0 };
        let owing = (0..self.nodes.len()).collect();
        self.rounds.push(Round { asker: (from, gather), owing });
        for shard in 0..self.nodes.len() {
            let question = Question::KeepOut(rule.clone());
            self.post_from_control(shard, Message::Ask { gather: round, question });
        }
    }

    fn is_carried_out(&mut self, from: usize, gather: GatherId) {
        let round = &mut self.rounds[gather.index as usize];
        assert!(round.owing.remove(&from), "it is carried out once by each shard");
        let (asker, gather) = round.asker;
        if !round.owing.is_empty() {
            return;
        }
        if self.has_no_room() {
            return self.note("the answer of control is lost");
        }
        let answer = Answer::counted(0);
        self.post_from_control(asker, Message::Answer { gather, answer });
    }

    fn post_from_control(&mut self, to: usize, message: Message) {
        let letter = Letter { message, parcel: None };
        self.network.entry((CONTROL, to)).or_default().push_back(letter);
    }

    /// Whether a message that is sent now finds no room.
    pub(crate) fn has_no_room(&mut self) -> bool {
        let one_in = self.faults.loses_one_in;
        one_in > 0 && self.rng.random_range(0..one_in) == 0
    }

    /// The oldest message between two threads arrives.
    pub(crate) fn deliver(&mut self, pair: (usize, usize)) {
        let Some(letter) = self.network.get_mut(&pair).and_then(VecDeque::pop_front) else {
            return;
        };
        let Letter { message, parcel } = letter;
        if let Some(parcel) = parcel {
            self.unpack(parcel);
        }
        let (from, to) = pair;
        if to == CONTROL {
            return self.control(from, message);
        }
        let peer = if from == CONTROL { Peer::Control } else { Peer::Shard(ShardId::new(from)) };
        self.event(to, &format!("gets {message:?} from {from}"), |shard, now| {
            shard.on_message(peer, message, now);
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
            if !self.nodes[shard].stalled {
                self.nobody_is_late(shard);
            }
        }
    }

    /// Control asks a shard to say goodbye.
    pub(crate) fn say_goodbye(&mut self, shard: usize) {
        self.nodes[shard].drains = true;
        self.event(shard, "is asked to drain", |shard, now| {
            shard.on_message(Peer::Control, Message::Drain { within_ms: 1_000 }, now);
        });
    }

    pub(crate) fn stalls(&mut self, shard: usize) {
        self.nodes[shard].stalled = true;
    }

    pub(crate) fn runs_again(&mut self, shard: usize) {
        let node = &mut self.nodes[shard];
        if std::mem::take(&mut node.stalled) {
            node.runs_since_ms = self.now.mono_ms;
        }
    }

    pub(crate) fn tallies(&mut self, what: &'static str, code: u32) {
        *self.tally.entry((what, code)).or_default() += 1;
    }

    pub(crate) fn note(&mut self, event: &str) {
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
            eprintln!("ROLLCALL_SIM_SEED={} ({:?}, {:?})", self.seed, self.choices, self.faults);
        }
    }
}
