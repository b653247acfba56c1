//! THE CORE'S MIND: one shard as a machine. It is told what happened and says what must be
//! done; it decides everything and touches nothing.
//!
//! Used by `engine`, which carries the [`effects`] out in order, and by the simulation, which
//! runs many of them from a seed. Never knows a socket, a runtime or a clock.

pub mod admission;
mod ask;
mod conns;
pub mod directory;
mod drain;
pub mod effects;
mod gather;
mod http;
mod sessions;
mod sweep;
mod timers;

use std::rc::Rc;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;

use crate::api;
use crate::auth::{ApiKey, Verifier};
use crate::connection::close::CloseReason;
use crate::connection::open::Scope;
use crate::connection::{Exchange, Options};
use crate::ids::{ConnId, SessionSlot, ShardId};
use crate::messages::{Message, Peer};
use crate::observe::Counters;
use crate::session::{IdKeys, Table, UserHasher};
use crate::shard::admission::Admission;
use crate::shard::conns::{Closing, Conns, State};
use crate::shard::directory::Directory;
use crate::shard::effects::Effects;
use crate::shard::gather::Gathers;
use crate::shard::timers::{Tick, Wheel};
use crate::time::Now;

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
}

/// One shard: its connections, its sessions, its part of every question.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    shards: usize,
    options: Rc<Options>,
    directory: Arc<Directory>,
    admission: Arc<Admission>,
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
    wheel: Wheel,
    gathers: Gathers,
    effects: Effects,
    counters: Counters,
    draining: Option<drain::Draining>,

    // Reused buffers: nothing in them outlives one event.
    date: crate::wire::http1::DateLine,
    api_scratch: api::Scratch,
    reply: Vec<u8>,
    selected: Vec<SessionSlot>,
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
    /// A shard with no connections.
    ///
    /// # Panics
    /// If its id is not below the number of shards.
    #[must_use]
    pub fn new(setup: Setup, now: Now) -> Self {
        let Setup { id, shards, options, directory, admission, hasher, keys, .. } = setup;
        assert!(id.index() < shards, "a shard is one of the shards");
        let api_key = ApiKey::new(options.api.as_ref().map_or("", |api| &api.key));
        Self {
            id,
            shards,
            verifier: Verifier::new(&options.token),
            api_key,
            options: Rc::new(options),
            directory,
            admission,
            rng: ChaCha12Rng::from_seed(setup.seed),
            node_uid: setup.node_uid,
            watched: setup.watched,
            started: setup.started,
            conns: Conns::default(),
            table: Table::new(id, keys.clone(), hasher.clone()),
            hasher,
            keys,
            wheel: Wheel::new(Tick::reached_by(now.mono_ms)),
            gathers: Gathers::new(setup.query_timeout_ms),
            effects: Effects::default(),
            counters: Counters::default(),
            draining: None,
            date: crate::wire::http1::DateLine::default(),
            api_scratch: api::Scratch::default(),
            reply: Vec::new(),
            selected: Vec::new(),
            fired: Vec::new(),
        }
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
            Some(State::Idle | State::Live(_)) | None => true,
        }
    }

    /// Bytes arrived, or none but another look is due. They may be changed in place; what is
    /// still needed is kept.
    pub fn on_bytes(&mut self, conn: ConnId, input: &mut Vec<u8>, now: Now) {
        let Some(state) = self.conns.state_mut(conn) else { return };
        let exchange = match state {
            // A unidirectional client has nothing more to say. One that talks all the same is
            // out of step, and its connection cannot carry another request.
            State::Live(live) => {
                live.stream.keep_alive &= input.is_empty();
                return;
            }
            State::Closing(_) => return,
            State::Idle if input.is_empty() => return,
            State::Idle => Box::default(),
            State::Busy(_) => match std::mem::replace(state, State::Idle) {
                State::Busy(exchange) => exchange,
                State::Idle | State::Live(_) | State::Closing(_) => unreachable!("matched above"),
            },
        };
        self.read(conn, exchange, input, now);
    }

    /// The peer left. A FIN lets replies that are owed or on their way still leave; otherwise the
    /// connection is gone when this returns, and so is its session.
    pub fn on_closed(&mut self, conn: ConnId, gone: Gone, now: Now) {
        match (gone, self.conns.state_mut(conn)) {
            (Gone::Finished, Some(State::Busy(exchange))) if exchange.connecting.is_none() => {
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
            Some(State::Busy(_)) => self.forget(conn, now),
            Some(State::Live(_) | State::Idle | State::Closing(_)) | None => {}
        }
    }

    /// Everything queued for this connection has left.
    pub fn on_flushed(&mut self, conn: ConnId) {
        if let Some(State::Busy(exchange)) = self.conns.state_mut(conn) {
            exchange.backlogged = false;
            if exchange.can_resume() {
                self.effects.resume(conn);
            }
        }
    }

    /// Handling an event of this connection panicked: end it and nothing else.
    pub fn on_panicked(&mut self, conn: ConnId, now: Now) {
        self.counters.panics += 1;
        self.forget(conn, now);
    }

    /// A message arrived from another thread.
    pub fn on_message(&mut self, from: Peer, message: Message, now: Now) {
        match (from, message) {
            (Peer::Shard(from), Message::Ask { gather, question }) => {
                let answer = self.answer(&question, now);
                self.effects.message(Peer::Shard(from), Message::Answer { gather, answer });
            }
            (Peer::Shard(from), Message::Answer { gather, answer }) => {
                if let Some(gathered) = self.gathers.answer(gather, from, answer) {
                    self.resolve(gathered, now);
                }
            }
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
            (Peer::Control, Message::Drained) => self.retry_drained(),
            // A lost answer becomes a missing shard by the asker's deadline; a lost event was
            // for a person watching.
            _ => {}
        }
    }

    /// Time passed. Returns whether everything due was done; when not, the engine lets other
    /// events through and calls again.
    pub fn on_tick(&mut self, now: Now) -> bool {
        while let Some(gathered) = self.gathers.take_overdue(now.mono_ms) {
            self.resolve(gathered, now);
        }
        let swept = self.sweep(now);
        let drained = self.continue_drain(now);
        swept && drained
    }

    fn forget(&mut self, conn: ConnId, now: Now) {
        if let Some(State::Live(live)) = self.conns.state_mut(conn) {
            let slot = live.slot;
            self.end_session(slot, &CloseReason::PeerGone, now);
        }
        self.abort(conn);
    }

    /// Closes a connection that holds no session.
    fn abort(&mut self, conn: ConnId) {
        let state = self.conns.close(conn);
        debug_assert!(!matches!(state, Some(State::Live(_))), "its session would stay listed");
        if state.is_some() {
            self.wheel.disarm(conn.index);
            self.effects.abort(conn);
        }
        if self.conns.is_empty() {
            self.wheel.shrink();
        }
    }

    /// Lets the last bytes leave, then closes.
    fn finish(&mut self, conn: ConnId, now: Now) {
        let sending_ms = if self.draining.is_some() { DRAIN_MS } else { sweep::KEEP_ALIVE_MS };
        if let Some(state) = self.conns.state_mut(conn) {
            let finished = matches!(state, State::Busy(exchange) if exchange.finished);
            let closing = if finished { Closing::PeerFinished } else { Closing::BothOpen };
            *state = State::Closing(closing);
            self.effects.finish(conn);
            self.arm_at(conn, now.mono_ms + sending_ms);
        }
    }

    fn put_back(&mut self, conn: ConnId, exchange: Box<Exchange>) {
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Busy(exchange);
        }
    }
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
