//! The connections of one shard: what each is in the middle of, by its place in the engine's
//! socket slab.

use crate::connection::commands::Permission;
use crate::connection::open::Scope;
use crate::connection::{Exchange, Opening};
use crate::ids::{ConnId, SessionSlot};
use crate::shard::timers::Tick;
use crate::shard::watch::Watching;
use crate::transport::Wire;

/// What a connection is in the middle of.
///
/// ```text
///   Idle ──bytes──▶ Busy ──connect──▶ Opening ──▶ Live ──close──▶ Idle (the stream ended, TCP goes on)
///    ▲                │                  │          │
///    └──all replied───┘                  └──────────┴──▶ Closing ──last byte left, then FIN or deadline──▶ gone
/// ```
/// `Live` holds no heap memory: it is what millions of connections are in.
#[derive(Debug)]
pub(super) enum State {
    /// Between requests, or before the first one. Nothing is kept.
    Idle,
    /// A request is being read or replies are owed.
    Busy(Box<Exchange>),
    /// A client that is not in yet. Passed over by those whose first request decides it at once.
    Opening(Box<Opening>),
    /// A session.
    Live(Live),
    /// A backend that watches sessions.
    Watching(Box<Watching>),
    /// The last bytes are on their way; whatever still arrives is thrown away.
    Closing(Closing),
}

/// Which end of a closing connection is still open: it is gone when none is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    /// Both: last bytes wait here, and the peer has not left.
    BothOpen,
    /// Ours: last bytes wait here, and the peer has sent its FIN.
    PeerFinished,
    /// The peer's: our FIN is out.
    WeFinished,
}

/// A session's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    /// Its record.
    pub(super) slot: SessionSlot,
    /// When the next ping is due, or the answer to the last one; [`NEVER`] when pings are off.
    pub(super) next: Tick,
    /// When it must be closed because its time is over; [`NEVER`] when it does not end.
    pub(super) expires: Tick,
    /// How it is spoken to.
    pub(super) wire: Wire,
    /// What else is known of it.
    pub(super) marks: Marks,
}

/// Small facts about a session, in one byte.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Marks(u8);

const AWAITS_PONG: u8 = 1;
const OWN_SESSIONS: u8 = 2;
/// One call in flight; the count takes the bits from here on.
const CALL: u8 = 4;

/// Calls of one client that may wait for other shards at once. One more is answered with error
/// 111.
const CALLS_MAX: u8 = 8;

const _: () = assert!(CALLS_MAX as u32 * (CALL as u32) < 256, "the count has room");

impl Marks {
    pub(super) const fn new(own_sessions: Permission) -> Self {
        match own_sessions {
            Permission::Granted => Self(OWN_SESSIONS),
            Permission::Denied => Self(0),
        }
    }

    /// Whether the last ping has not been answered.
    pub(super) const fn awaits_pong(self) -> bool {
        self.0 & AWAITS_PONG != 0
    }

    pub(super) const fn await_pong(&mut self) {
        self.0 |= AWAITS_PONG;
    }

    pub(super) const fn pong_came(&mut self) {
        self.0 &= !AWAITS_PONG;
    }

    pub(super) const fn set_own_sessions(&mut self, own_sessions: Permission) {
        self.0 = self.0 & !OWN_SESSIONS | Self::new(own_sessions).0;
    }

    pub(super) const fn own_sessions(self) -> Permission {
        if self.0 & OWN_SESSIONS != 0 { Permission::Granted } else { Permission::Denied }
    }

    /// Counts one more call in flight; false when there are too many.
    #[must_use]
    pub(super) const fn start_call(&mut self) -> bool {
        let has_room = self.0 / CALL < CALLS_MAX;
        if has_room {
            self.0 += CALL;
        }
        has_room
    }

    pub(super) fn end_call(&mut self) {
        debug_assert!(self.0 >= CALL, "no call is in flight");
        self.0 -= CALL;
    }
}

/// A tick that does not come.
pub(super) const NEVER: Tick = Tick(u32::MAX);

const _: () = assert!(size_of::<State>() == 16, "ten million copies");
const _: () = assert!(size_of::<Entry>() == 24, "ten million copies");

#[derive(Debug)]
struct Entry {
    state: State,
    generation: u32,
    scope: Scope,
    open: bool,
}

/// All connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Conns {
    entries: Vec<Entry>,
    open: usize,
}

impl Conns {
    /// Open connections.
    #[must_use]
    pub(super) const fn len(&self) -> usize {
        self.open
    }

    /// Whether none is open.
    #[must_use]
    pub(super) const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Adds a connection the engine accepted.
    pub(super) fn open(&mut self, conn: ConnId, scope: Scope) {
        let index = conn.index as usize;
        while self.entries.len() <= index {
            let vacant =
                Entry { state: State::Idle, generation: 0, scope: Scope::All, open: false };
            self.entries.push(vacant);
        }
        let entry = &mut self.entries[index];
        assert!(!entry.open, "the engine gave out a place that is taken");
        *entry = Entry { state: State::Idle, generation: conn.generation, scope, open: true };
        self.open += 1;
    }

    /// Forgets a connection; returns what it was in the middle of.
    pub(super) fn close(&mut self, conn: ConnId) -> Option<State> {
        let entry = self.entry_mut(conn)?;
        entry.open = false;
        let state = std::mem::replace(&mut entry.state, State::Idle);
        self.open -= 1;
        if self.open == 0 {
            self.entries = Vec::new();
        }
        Some(state)
    }

    /// What this connection is in the middle of, unless it is gone.
    #[must_use]
    pub(super) fn state_mut(&mut self, conn: ConnId) -> Option<&mut State> {
        self.entry_mut(conn).map(|entry| &mut entry.state)
    }

    /// The session's connection at this place, if one is there.
    pub(super) fn live(&self, index: u32) -> Option<&Live> {
        match &self.entries.get(index as usize)?.state {
            State::Live(live) => Some(live),
            State::Idle
            | State::Busy(_)
            | State::Opening(_)
            | State::Watching(_)
            | State::Closing(_) => None,
        }
    }

    /// Which endpoints its listener serves.
    #[must_use]
    pub(super) fn scope(&self, conn: ConnId) -> Scope {
        self.entries.get(conn.index as usize).map_or(Scope::External, |entry| entry.scope)
    }

    /// The open connection at this place.
    #[must_use]
    pub(super) fn at(&self, index: u32) -> Option<ConnId> {
        let entry = self.entries.get(index as usize).filter(|entry| entry.open)?;
        Some(ConnId { index, generation: entry.generation })
    }

    /// One past the highest place in use.
    #[must_use]
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("descriptors fit u32")
    }

    fn entry_mut(&mut self, conn: ConnId) -> Option<&mut Entry> {
        self.entries
            .get_mut(conn.index as usize)
            .filter(|entry| entry.open && entry.generation == conn.generation)
    }
}
