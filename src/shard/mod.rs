//! THE CORE'S MIND: one shard as a machine. It is told what happened and says what must be
//! done; it decides everything and touches nothing.
//!
//! Used by `engine`, which carries the [`effects`] out in order, and by the simulation, which
//! runs many of them from a seed. Never knows a socket, a runtime or a clock.

pub mod admission;
mod conns;
pub mod directory;
pub mod effects;
mod rates;
mod seats;
mod timers;

// Bytes to requests, requests to what they open.
mod answers;
mod frames;
mod grpc;
mod http;
mod streams;

// Clients: in, asking, out.
mod calls;
mod emulation;
mod expiry;
mod fences;
mod inquiries;
mod keep_out;
mod let_in;
mod outside;
mod renewal;
mod sessions;
mod sweep;

// Questions that select, and what is done to whom they found.
mod orders;
mod work;

// Backends and operators.
mod admin;
mod ask;
mod gather;
mod remote;
mod stats;
mod steps;
mod watch;
mod webhook;

// Load tests.
mod synthetic;

// The end.
mod drain;
mod ending;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;

use crate::api::webhook::EventBatch;
use crate::api::{self, Question, WebhookFacts};
use crate::auth::{ApiKey, Rules, Verifier};
use crate::connection::close::CloseReason;
use crate::connection::exchange::Underway;
use crate::connection::open::Scope;
use crate::connection::options::{Endpoints, UniWebSocketEndpoint, WebSocketEndpoint};
use crate::connection::{Exchange, Options};
use crate::ids::{CallId, ConnId, ShardId};
use crate::messages::{Emulated, Finding, Message, Peer};
use crate::observe::Counters;
use crate::session::{ClosedSessions, IdKeys, Table, UserHasher};
use crate::shard::admission::Admission;
use crate::shard::conns::{Closing, Conns, State};
use crate::shard::directory::Directory;
use crate::shard::effects::Effects;
use crate::shard::fences::Fences;
use crate::shard::frames::CutFrames;
use crate::shard::gather::{Caller, Gathers};
use crate::shard::inquiries::Inquiries;
use crate::shard::keep_out::Enforcing;
use crate::shard::orders::Pace;
use crate::shard::renewal::Renewals;
use crate::shard::stats::Measured;
use crate::shard::sweep::Pings;
use crate::shard::timers::{Tick, Wheel};
use crate::shard::watch::Watches;
use crate::shard::work::{Begun, ReplyTo, Works};
use crate::time::Now;
use crate::transport::Out;
use crate::wire::websocket::{self, Deflater};

pub use crate::api::{Carrier, ProcessUse};
pub use crate::shard::synthetic::Synthetic;
pub use crate::shard::timers::TICK_MS;

/// What a shard is given when it starts.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which shard it is.
    pub id: ShardId,
    /// How many shards the node has.
    pub shards: usize,
    /// What the operator chose.
    pub options: Options,
    /// The hint shared by all shards.
    pub directory: Arc<Directory>,
    /// The node-wide ceilings shared by all shards.
    pub admission: Arc<Admission>,
    /// Who is kept out: shared by all shards, written by the control thread.
    pub rules: Arc<Rules>,
    /// The node's way to hash users: the same in all shards.
    pub hasher: UserHasher,
    /// The node's way to make and resolve session ids: the same in all shards.
    pub keys: IdKeys,
    /// Random bytes for this shard's own generator.
    pub seed: [u8; 32],
    /// Name of this run of this node, for `info`.
    pub node_uid: String,
    /// Milliseconds a question to other shards may take.
    pub query_timeout_ms: u64,
    /// Whether the control thread wants to hear of sessions that come and go.
    pub watched: bool,
    /// When the node started.
    pub started: Now,
    /// Sessions without a client that the node is filled with, over all shards: for load tests.
    pub synthetic: Synthetic,
}

/// One shard: its connections, its sessions, its part of every question.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    shards: usize,
    options: Rc<Options>,
    directory: Arc<Directory>,
    admission: Arc<Admission>,
    rules: Arc<Rules>,
    fences: Fences,
    hasher: UserHasher,
    keys: IdKeys,
    rng: ChaCha12Rng,
    verifier: Verifier,
    api_key: ApiKey,
    node_uid: String,
    watched: bool,
    started: Now,

    conns: Conns,
    table: Table,
    closed: ClosedSessions,
    wheel: Wheel,
    gathers: Gathers,
    inquiries: Inquiries,
    renewals: Renewals,
    watches: Watches,
    /// What the webhook has not been given yet: the events of this turn.
    events: EventBatch,
    webhook_facts: WebhookFacts,
    /// Requests of the control thread that wait for other shards. It asks for no more at once than
    /// it can remember.
    remote: HashMap<CallId, Underway, ahash::RandomState>,
    /// Plans whose next step is put in the next turn.
    resting_plans: VecDeque<Caller>,
    pings: Pings,
    works: Works,
    enforcing: Enforcing,
    pace: Pace,
    /// Milliseconds a question may take here: less than its asker waits.
    work_ms: u64,
    effects: Effects,
    counters: Counters,
    measured: Measured,
    draining: Option<drain::Draining>,
    /// Decoders of WebSockets that are in the middle of a frame or a message: few at any time, and
    /// each holds no more than the longest message.
    cut_frames: HashMap<ConnId, CutFrames, ahash::RandomState>,
    /// When some endpoint compresses.
    deflater: Option<Deflater>,

    // Reused buffers: nothing in them outlives one event.
    frame_scratch: websocket::Scratch,
    date: crate::wire::http1::DateLine,
    api_scratch: api::Scratch,
    reply: Vec<u8>,
    fired: Vec<u32>,
}

/// How a peer left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gone {
    /// It sent FIN: it may still be reading.
    Finished,
    /// RST, a failed write, or our own fault: nothing can be told any more.
    Reset,
}

impl Shard {
    /// A shard with no connections, and no sessions but its part of the synthetic ones.
    ///
    /// # Panics
    /// If its id is not below the number of shards.
    #[must_use]
    pub fn new(setup: Setup, now: Now) -> Self {
        let Setup { id, shards, options, directory, admission, rules, hasher, keys, .. } = setup;
        assert!(id.index() < shards, "a shard is one of the shards");
        let api_key = ApiKey::new(options.api.as_ref().map_or("", |api| &api.key));
        let mut shard = Self {
            id,
            shards,
            verifier: Verifier::new(&options.token),
            api_key,
            directory,
            admission,
            rules,
            fences: Fences::default(),
            rng: ChaCha12Rng::from_seed(setup.seed),
            node_uid: setup.node_uid,
            watched: setup.watched,
            started: setup.started,
            conns: Conns::default(),
            table: Table::new(id, keys.clone(), hasher.clone()),
            closed: ClosedSessions::new(options.closed, id, keys.clone(), hasher.clone()),
            hasher,
            keys,
            wheel: Wheel::new(Tick::reached_by(now.mono_ms)),
            gathers: Gathers::new(setup.query_timeout_ms),
            inquiries: Inquiries::new(options.inquiry_timeout_ms),
            renewals: Renewals::default(),
            watches: Watches::default(),
            events: EventBatch::default(),
            webhook_facts: WebhookFacts::default(),
            remote: HashMap::default(),
            resting_plans: VecDeque::new(),
            pings: Pings::default(),
            works: Works::default(),
            enforcing: Enforcing::default(),
            pace: Pace::new(options.disconnect_rate, shards, now.mono_ms),
            work_ms: setup.query_timeout_ms * 3 / 4,
            effects: Effects::default(),
            counters: Counters::default(),
            measured: Measured::default(),
            draining: None,
            cut_frames: HashMap::default(),
            deflater: deflater(&options.endpoints),
            frame_scratch: websocket::Scratch::default(),
            date: crate::wire::http1::DateLine::default(),
            api_scratch: api::Scratch::default(),
            reply: Vec::new(),
            fired: Vec::new(),
            options: Rc::new(options),
        };
        shard.open_synthetic(setup.synthetic, now);
        shard
    }

    /// Which shard this is.
    #[must_use]
    pub const fn id(&self) -> ShardId {
        self.id
    }

    /// Sessions in its table.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.table.len()
    }

    /// Connections of any kind.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.conns.len()
    }

    /// What it has counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Moves what must be done into `into`, which must be empty.
    pub fn take_effects(&mut self, into: &mut Effects) {
        debug_assert!(into.is_empty(), "effects not carried out");
        self.hand_over_events();
        std::mem::swap(&mut self.effects, into);
    }

    /// Bytes that wait in the effects not yet taken.
    #[must_use]
    pub const fn effect_bytes(&self) -> usize {
        self.effects.bytes_len()
    }

    // ---- the doors: what can happen -------------------------------------------------------

    /// A connection was accepted.
    pub fn on_open(&mut self, conn: ConnId, scope: Scope, now: Now) {
        self.conns.open(conn, scope);
        self.wheel.arm(conn.index, Tick::at_or_after(now.mono_ms + self.options.stale_close_ms));
    }

    /// Whether more bytes of this connection are wanted now. When not, they stay with the kernel
    /// until [`effects::Effect::Resume`] asks for another look.
    #[must_use]
    pub fn wants_bytes(&mut self, conn: ConnId) -> bool {
        match self.conns.state_mut(conn) {
            Some(State::Busy(exchange)) => !exchange.paused && !exchange.finished,
            Some(State::Closing(closing)) => *closing != Closing::PeerFinished,
            // The rest of what a client sends while its connect is decided waits with the kernel.
            Some(State::Opening(opening)) => !opening.holds_all_it_may(),
            Some(State::Idle | State::Live(_) | State::Watching(_)) | None => true,
        }
    }

    /// Whether it should be told where this connection comes from, before its next bytes.
    #[must_use]
    pub fn wants_peer(&mut self, conn: ConnId) -> bool {
        matches!(self.conns.state_mut(conn), Some(State::Idle))
    }

    /// The other end of a connection that is about to send its first request, or its first after
    /// a stream.
    pub fn on_peer(&mut self, conn: ConnId, peer: Option<IpAddr>) {
        if let Some(state @ State::Idle) = self.conns.state_mut(conn) {
            *state = State::Busy(Box::new(Exchange { peer, ..Exchange::default() }));
        }
    }

    /// Bytes arrived, or none but another look is due. They may be changed in place; what is
    /// still needed is kept.
    pub fn on_bytes(&mut self, conn: ConnId, input: &mut Vec<u8>, now: Now) {
        let Some(state) = self.conns.state_mut(conn) else { return };
        let wire = match state {
            State::Closing(_) => return,
            State::Idle if input.is_empty() => return,
            State::Idle => return self.read(conn, Box::default(), input, now),
            State::Busy(exchange) => {
                let exchange = std::mem::take(exchange);
                return self.read(conn, exchange, input, now);
            }
            State::Watching(watching) => return watching.events.spoil(),
            State::Opening(opening) => &mut opening.wire,
            State::Live(live) => &mut live.wire,
        };
        if wire.frames().is_some() {
            self.read_frames(conn, input, now);
        } else if !input.is_empty() {
            // On a stream a client has nothing more to say. One that talks all the same is out of
            // step, and its connection cannot carry another request.
            wire.spoil();
        }
    }

    /// The peer left. A FIN lets replies that are owed or on their way still leave; otherwise the
    /// connection is gone when this returns, and so is its session.
    pub fn on_closed(&mut self, conn: ConnId, gone: Gone, now: Now) {
        match (gone, self.conns.state_mut(conn)) {
            (Gone::Finished, Some(State::Busy(exchange))) => {
                (exchange.last, exchange.finished) = (true, true);
                if exchange.owed.is_empty() {
                    self.finish(conn, now);
                }
            }
            (Gone::Finished, Some(State::Closing(closing))) if *closing == Closing::BothOpen => {
                *closing = Closing::PeerFinished;
            }
            _ => self.forget(conn, now),
        }
    }

    /// Our FIN has left, behind the last byte.
    pub fn on_finished(&mut self, conn: ConnId, now: Now) {
        let Some(State::Closing(closing)) = self.conns.state_mut(conn) else { return };
        if *closing == Closing::PeerFinished {
            self.abort(conn);
        } else {
            *closing = Closing::WeFinished;
            self.arm_at(conn, now.mono_ms + LINGER_MS);
        }
    }

    /// Bytes wait because the peer does not read fast enough: `bytes` of them after the last
    /// send.
    pub fn on_backlog(&mut self, conn: ConnId, bytes: usize, now: Now) {
        match self.conns.state_mut(conn) {
            Some(State::Live(live)) if bytes > self.options.queue_bytes_max => {
                let slot = live.slot;
                self.end_session(slot, &CloseReason::Slow, now);
            }
            Some(State::Busy(exchange)) if bytes <= REPLY_BACKLOG_BYTES_MAX => {
                exchange.backlogged |= bytes > REPLY_BACKLOG_PAUSE_BYTES;
                exchange.paused |= exchange.backlogged;
            }
            Some(State::Opening(_)) if bytes > self.options.queue_bytes_max => self.abort(conn),
            Some(State::Busy(_)) => self.forget(conn, now),
            Some(State::Watching(_)) => self.on_watch_backlog(conn, bytes, now),
            Some(State::Live(_) | State::Opening(_) | State::Idle | State::Closing(_)) | None => {}
        }
    }

    /// Everything queued for this connection has left.
    pub fn on_flushed(&mut self, conn: ConnId) {
        match self.conns.state_mut(conn) {
            Some(State::Busy(exchange)) => {
                exchange.backlogged = false;
                if exchange.can_resume() {
                    self.effects.resume(conn);
                }
            }
            Some(State::Watching(_)) => self.on_watch_flushed(conn),
            Some(State::Idle | State::Opening(_) | State::Live(_) | State::Closing(_)) | None => {}
        }
    }

    /// Handling an event of this connection panicked: end it and nothing else.
    pub fn on_panicked(&mut self, conn: ConnId, now: Now) {
        self.counters.panics += 1;
        self.forget(conn, now);
    }

    /// Handling an event of no connection panicked: it was dropped.
    pub const fn on_event_panicked(&mut self) {
        self.counters.panics += 1;
    }

    /// A message arrived from another thread.
    pub fn on_message(&mut self, from: Peer, message: Message, now: Now) {
        match (from, message) {
            (peer, Message::Ask { gather, question: Question::KeepOut(rule) }) => {
                self.enforce(*rule, ReplyTo { peer, gather }, now);
            }
            (peer, Message::Ask { gather, question }) => {
                match self.begin_work(Cow::Owned(question), now) {
                    Begun::Answered(answer) => {
                        self.effects.message(peer, Message::Answer { gather, answer });
                    }
                    Begun::Going(work) => self.works.push(work, ReplyTo { peer, gather }),
                }
            }
            (Peer::Shard(from), Message::Answer { gather, answer }) => {
                if let Some(gathered) = self.gathers.answer(gather, from, answer) {
                    self.resolve(gathered, now);
                }
            }
            (Peer::Control, Message::Answer { gather, answer }) => {
                if let Some(gathered) = self.gathers.answer(gather, self.id, answer) {
                    self.resolve(gathered, now);
                }
            }
            (Peer::Shard(_), Message::Emulate(emulated)) => {
                let Emulated { session, encoding, commands } = *emulated;
                self.on_emulated(session, encoding, &commands, now);
            }
            (Peer::Shard(from), Message::Watch { watch, about }) => {
                self.on_watch_message(from, watch, about, now);
            }
            (Peer::Control, Message::Found { inquiry, finding }) => {
                self.on_found(inquiry, finding, now);
            }
            (Peer::Control, Message::WebhookFacts(facts)) => self.webhook_facts = facts,
            (Peer::Control, Message::Call(call)) => self.on_call(*call, now),
            (Peer::Control, Message::Drain { within_ms }) => self.start_drain(within_ms, now),
            (_, message) => debug_assert!(false, "not for a shard: {message:?}"),
        }
    }

    /// A message found no room.
    pub fn on_undeliverable(&mut self, to: Peer, message: Message, now: Now) {
        self.counters.messages_refused += 1;
        match (to, message) {
            (Peer::Shard(to), Message::Ask { gather, .. }) => {
                if let Some(gathered) = self.gathers.missing(gather, to) {
                    self.resolve(gathered, now);
                }
            }
            (Peer::Shard(to), Message::Watch { watch, about }) => {
                self.on_watch_undeliverable(to, watch, about, now);
            }
            (Peer::Control, Message::Ask { gather, .. }) => {
                if let Some(gathered) = self.gathers.missing(gather, self.id) {
                    self.resolve(gathered, now);
                }
            }
            (Peer::Control, Message::Inquire { inquiry, .. }) => {
                self.on_found(inquiry, Finding::NotAsked, now);
            }
            (Peer::Control, Message::SessionEvents(batch)) => self.lose_events(&batch),
            (Peer::Control, Message::Drained) => self.retry_drained(),
            // A lost answer becomes a missing shard by the asker's deadline; a lost event was
            // for a person watching.
            _ => {}
        }
    }

    /// Time passed. Returns whether everything due was done; when not, the engine lets other
    /// events through and calls again.
    pub fn on_tick(&mut self, now: Now) -> bool {
        self.answer_overdue(now);
        self.give_leave(now);
        while let Some(gathered) = self.gathers.take_overdue(now.mono_ms) {
            self.resolve(gathered, now);
        }
        self.end_inquiries(now);
        let swept = self.sweep(now);
        let drained = self.continue_drain(now);
        let told = self.continue_watches(now);
        self.closed.forget_older(now.unix_ms);
        self.hand_over_lost_events();
        swept && drained && told
    }

    /// Bytes for a client, dressed by its transport.
    fn send(&mut self, conn: ConnId, write: impl FnOnce(&mut Out<'_>)) {
        let deflater = self.deflater.as_mut();
        self.effects.send(conn, |bytes| write(&mut Out { bytes, deflater }));
    }

    fn put_back(&mut self, conn: ConnId, exchange: Box<Exchange>) {
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Busy(exchange);
        }
    }
}

/// The compressor that all WebSockets of a shard share, when there is something to compress.
fn deflater(endpoints: &Endpoints) -> Option<Deflater> {
    let uni = endpoints.uni_websocket.as_ref().map(|UniWebSocketEndpoint { socket, .. }| socket);
    let mut sockets = endpoints.websocket.iter().chain(uni);
    let compression = sockets.find_map(|WebSocketEndpoint { compression, .. }| *compression)?;
    Some(Deflater::new(compression.level, compression.bytes_min))
}

/// Bytes of effects not yet taken: when there are more, no further request is looked at, and the
/// engine carries them out before the next event.
pub const EFFECT_BYTES_MAX: usize = 256 * 1024;

/// Reply bytes that may wait for a slow API client before its next requests stay unread.
const REPLY_BACKLOG_PAUSE_BYTES: usize = 256 * 1024;

/// Reply bytes that may wait for one API client at all: a listing of several hundred thousand
/// sessions. Beyond it the connection is cut.
const REPLY_BACKLOG_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How long the peer of a closing connection may take to close its side once it has been sent
/// everything; then it is cut.
const LINGER_MS: u64 = 2_000;

/// How long a peer may hold up the goodbye: with last bytes that it does not read, or with half a
/// request.
const DRAIN_MS: u64 = 2_000;

#[cfg(test)]
mod tests;
