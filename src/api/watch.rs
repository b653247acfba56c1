//! `watch`: what happens to the sessions selected, as a stream of events.
//!
//! ```text
//!   {"type":"snapshot","connections":{"<client>":{…},…}}        as many as it takes
//!   {"type":"ready","count":2}                                  the snapshot is whole
//!   {"type":"opened","client":"…","connection":{…}}
//!   {"type":"changed","client":"…","connection":{…}}            labels or meta
//!   {"type":"closed","client":"…","user":"42","code":3000,"reason":"…","duration_ms":61234}
//!   {"type":"resync","reason":"…"}                              the last one: begin again
//! ```
//!
//! Events may come before `ready`: whoever takes them as they come, a snapshot and an opening as
//! "is there" and a closing as "is gone", holds the truth from `ready` on and misses nothing after
//! it.

use smallvec::smallvec;

use super::body::Scratch;
use super::connections;
use super::encode::Object;
use super::error::ApiError;
use super::params::{Fault, Place, Reading, members};
use super::plan::{Layout, Plan, Step, error_mode, refuse_empty};
use super::question::write_key;
use super::route::{Options, Refusal};
use super::selector::{Selector, Selectors};
use crate::session::{Session, UserHasher};
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

/// Whose sessions this body asks to watch: the selectors of `disconnect`.
///
/// # Errors
/// A plan that asks nothing and answers what was wrong.
pub fn watch(
    options: &Options,
    head: &Head<'_>,
    body: &[u8],
    scratch: &mut Scratch,
    hasher: &UserHasher,
) -> Result<Selector, Plan> {
    refuse_empty(body).map_err(Plan::refused)?;
    let read = scratch.parse(body, |params| {
        let mut selectors = Selectors::default();
        for (key, value) in members(params, Place::Body)? {
            selectors.read(key, value)?;
        }
        Ok(selectors.checked(Reading { options, hasher })?)
    });
    scratch.shed();
    match read {
        Ok(Ok(selector)) => Ok(selector),
        Ok(Err(Fault::Refused(error))) => Err(refused(options, head, error)),
        Ok(Err(Fault::Mistyped(mistyped))) => Err(Plan::refused(Refusal::bad_request(mistyped))),
        Err(malformed) => Err(Plan::refused(malformed.into())),
    }
}

/// Answers with an error instead of a stream.
#[must_use]
pub fn refused(options: &Options, head: &Head<'_>, error: ApiError) -> Plan {
    let layout = Layout::Single(error_mode(options, head));
    Plan { steps: smallvec![Step::Done(error)], layout }
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
        write_key(session, &mut self.json);
        connections::write(session, &mut self.json);
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
    /// Its labels or its `meta` are others now.
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
