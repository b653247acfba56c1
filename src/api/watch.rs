//! `watch`: what happens to the sessions selected, as a stream of events.
//!
//! ```text
//!   {"type":"snapshot","connections":{"<client>":{…},…}}        as many as it takes
//!   {"type":"ready","count":2}                                  the snapshot is whole
//!   {"type":"opened","client":"…","connection":{…}}
//!   {"type":"changed","client":"…","connection":{…}}            labels, meta or token
//!   {"type":"left","client":"…"}                                it is none of those selected any more
//!   {"type":"closed","client":"…","user":"42","code":3000,"reason":"…","duration_ms":61234}
//!   {"type":"resync","reason":"…"}                              the last one: begin again
//! ```
//!
//! Events may come before `ready`: whoever takes them as they come, a snapshot and an opening as
//! "is there" and a closing as "is gone", holds the truth from `ready` on and misses nothing after
//! it.

use std::ops::ControlFlow;

use smallvec::smallvec;

use super::body::Scratch;
use super::connections;
use super::encode::Object;
use super::error::ApiError;
use super::expression::{Evaluator, Said};
use super::looking::{Budget, Looking, Progress};
use super::narrowing::Sight;
use super::params::{Fault, Place, Reading, members};
use super::plan::{Layout, Plan, Step, error_mode, refuse_empty};
use super::question::Subject;
use super::raw::Raw;
use super::route::{Options, Refusal};
use super::schema::STREAMS;
use super::selector::{Selector, Selectors};
use super::transcode::{self, ReadError};
use crate::session::{Session, Table, UserHasher};
use crate::time::Now;
use crate::wire::http1::Head;

/// Why a watch ends before its watcher wants it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resync {
    /// More waited for the watcher than may.
    Slow,
    /// Parts of the server could not reach each other.
    Overflow,
    /// The server shuts down.
    Shutdown,
}

impl Resync {
    const fn text(self) -> &'static str {
        match self {
            Self::Slow => "the watcher reads too slowly",
            Self::Overflow => "too much happened at once",
            Self::Shutdown => "the server shuts down",
        }
    }
}

/// Why nothing is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unread {
    /// It is a request, and not one that can be watched.
    Error(ApiError),
    /// It is none.
    Refused(Refusal),
}

impl Unread {
    /// A plan that asks nothing and answers so.
    #[must_use]
    pub fn into_plan(self, options: &Options, head: &Head<'_>) -> Plan {
        match self {
            Self::Refused(refusal) => Plan::refused(refusal),
            Self::Error(error) => {
                let layout = Layout::Single(error_mode(options, head));
                Plan { steps: smallvec![Step::Done(error)], layout }
            }
        }
    }
}

/// Whose sessions this body asks to watch: the selectors of `disconnect`.
///
/// # Errors
/// What was wrong with it.
pub fn read(
    options: &Options,
    body: &[u8],
    scratch: &mut Scratch,
    hasher: &UserHasher,
) -> Result<Selector, Unread> {
    refuse_empty(body).map_err(Unread::Refused)?;
    let read = scratch.parse(body, |params| {
        let mut selectors = Selectors::default();
        for (key, value) in members(params, Place::Body)? {
            selectors.read(key, value)?;
        }
        selectors.for_watch(Reading { options, hasher, raw: Raw::Params(body) })
    });
    scratch.shed();
    match read {
        Ok(Ok(selector)) => Ok(selector),
        Ok(Err(Fault::Refused(error))) => Err(Unread::Error(error)),
        Ok(Err(Fault::Mistyped(mistyped))) => Err(Unread::Refused(Refusal::bad_request(mistyped))),
        Err(malformed) => Err(Unread::Refused(malformed.into())),
    }
}

/// Whose sessions are watched, made ready to be asked of every event.
#[derive(Debug)]
pub struct Wanted {
    selector: Box<Selector>,
    evaluator: Option<Evaluator>,
}

impl Wanted {
    /// Those of a selector that does not depend on the time ([`read`]).
    #[must_use]
    pub fn new(selector: Box<Selector>) -> Self {
        let evaluator = selector.begin();
        Self { selector, evaluator }
    }

    /// What decides which shards can hold such a session.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        self.selector.subject()
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn means(&self, session: &Session<'_>) -> bool {
        self.selector.judge(session, &TIMELESS, self.evaluator.as_ref()).said == Said::Yes
    }

    /// Begins a snapshot of them.
    #[must_use]
    pub fn look(&self, table: &Table, budget: &mut Budget) -> Looking {
        Looking::begin(&self.selector, table, budget)
    }

    /// The next piece of a snapshot: it ends when the budget is spent, or behind the session that
    /// passes 64 KiB.
    pub fn piece(
        &self,
        looking: &mut Looking,
        table: &Table,
        budget: &mut Budget,
    ) -> (Snapshot, Progress) {
        let mut piece = Snapshot::new();
        let progress = looking.advance(&self.selector, table, &TIMELESS, budget, |found| {
            if let Some(session) = found {
                piece.add(&session);
            }
            let is_full = piece.bytes() > PIECE_BYTES;
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (piece, progress)
    }
}

/// For selectors that do not depend on the time.
const TIMELESS: Sight<'_> = Sight { now: Now { mono_ms: 0, unix_ms: 0 }, silent_ms: &|_| None };

/// A piece of a snapshot ends behind the session that passes this.
const PIECE_BYTES: usize = 64 * 1024;

/// Its name as a gRPC method.
pub const METHOD: &str = STREAMS[0].rpc;

/// A request in Protobuf as the body that [`read`] reads.
///
/// # Errors
/// It is no `WatchRequest`.
pub fn body_of(request: &[u8]) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    transcode::body(STREAMS[0].request, request, &mut body)?;
    Ok(body)
}

/// An event in Protobuf.
///
/// # Panics
/// If it is not one of those written here.
#[must_use]
pub fn in_protobuf(event: &[u8]) -> Vec<u8> {
    transcode::message(STREAMS[0].event, event).expect("an event is what its table says")
}

/// Sessions that there are.
#[derive(Debug)]
pub struct Snapshot {
    json: Vec<u8>,
    sessions: u32,
}

impl Snapshot {
    /// No session yet.
    #[must_use]
    pub fn new() -> Self {
        Self { json: br#"{"type":"snapshot","connections":{"#.to_vec(), sessions: 0 }
    }

    /// One more.
    pub fn add(&mut self, session: &Session<'_>) {
        if self.sessions > 0 {
            self.json.push(b',');
        }
        self.sessions += 1;
        connections::write_entry(session, &mut self.json);
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.json.len()
    }

    /// How many there are, and the event; none when there is no session to tell of.
    #[must_use]
    pub fn into_event(mut self) -> (u32, Option<Box<[u8]>>) {
        if self.sessions == 0 {
            return (0, None);
        }
        self.json.extend_from_slice(b"}}");
        (self.sessions, Some(self.json.into()))
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self::new()
    }
}

/// What a watcher hears of a session that is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// It was opened.
    Opened,
    /// Its labels, its `meta` or its token are others now.
    Changed,
}

/// The event of a session that was opened or changed.
#[must_use]
pub fn told(told: Told, session: &Session<'_>) -> Box<[u8]> {
    let mut json = Vec::new();
    let mut event = Object::open(&mut json);
    event.word(
        "type",
        match told {
            Told::Opened => "opened",
            Told::Changed => "changed",
        },
    );
    event.plain("client", session.client());
    event.nested("connection", |out| connections::write(session, out));
    event.close();
    json.into()
}

/// The event of a session that has changed and is none of those selected any more.
#[must_use]
pub fn left(session: &Session<'_>) -> Box<[u8]> {
    let mut json = Vec::new();
    let mut event = Object::open(&mut json);
    event.word("type", "left");
    event.plain("client", session.client());
    event.close();
    json.into()
}

/// The event of a session that ends.
#[must_use]
pub fn closed(session: &Session<'_>, code: u32, reason: &str, duration_ms: u64) -> Box<[u8]> {
    let mut json = Vec::new();
    let mut event = Object::open(&mut json);
    event.word("type", "closed");
    event.plain("client", session.client());
    event.text_if_any("user", session.user());
    event.integer("code", code);
    event.text("reason", reason);
    event.integer("duration_ms", duration_ms);
    event.close();
    json.into()
}

/// The event that the snapshot is whole.
#[must_use]
pub fn ready(sessions: u64) -> Vec<u8> {
    let mut json = Vec::new();
    let mut event = Object::open(&mut json);
    event.word("type", "ready");
    event.integer("count", sessions);
    event.close();
    json
}

/// The last event of a watch that is cut.
#[must_use]
pub fn resync(why: Resync) -> Vec<u8> {
    let mut json = Vec::new();
    let mut event = Object::open(&mut json);
    event.word("type", "resync");
    event.word("reason", why.text());
    event.close();
    json
}
