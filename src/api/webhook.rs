//! What a backend is told of sessions that come, get more time or end (`session_webhook`).
//!
//! ```text
//!   {"events":[
//!     {"id":"<queue>-17","seq":17,"type":"session_opened","at_ms":…,"node":"…","client":"…",
//!      "expire_at":…,"connection":{…}},
//!     {…,"type":"session_refreshed",…,"expire_at":…,"connection":{…}},
//!     {…,"type":"session_closed",…,"code":3000,"reason":"…","duration_ms":61234,"connection":{…}},
//!     {…,"type":"gap","at_ms":…,"node":"…","lost":12},
//!     {…,"type":"node_started","at_ms":…,"node":"…","node_name":"…","previous_node":"…"}]}
//! ```
//!
//! A shard writes what it knows. The number, and the id that follows from it, are given when an
//! event is stored: they order all events, those of one session included.

use std::io::Write;

use super::connections;
use super::encode::Object;
use crate::session::Session;

/// What may happen to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// It connected.
    Opened,
    /// It was told when it ends from now on.
    Refreshed,
    /// It ended.
    Closed,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Opened, Self::Refreshed, Self::Closed];

    /// Its name as the `type` of an event.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "session_opened",
            Self::Refreshed => "session_refreshed",
            Self::Closed => "session_closed",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a backend wants to hear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Of what.
    pub kinds: Vec<EventKind>,
    /// With the `meta` of sessions.
    pub meta: bool,
    /// With the ids that let whoever knows them speak for a session.
    pub session: bool,
}

/// What happened to a session, beside what its record tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happened<'a> {
    /// It connected; it ends then, Unix seconds.
    Opened {
        /// `None`: it does not end by itself.
        expire_at: Option<i64>,
    },
    /// It ends then from now on, Unix seconds.
    Refreshed {
        /// `None`: it does not end by itself.
        expire_at: Option<i64>,
    },
    /// It ended.
    Closed {
        /// Disconnect code, 3000 when its client left by itself.
        code: u32,
        /// The text of the code.
        reason: &'a str,
        /// How long it had lived.
        duration_ms: u64,
    },
}

impl Happened<'_> {
    /// Of which kind it is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Opened { .. } => EventKind::Opened,
            Self::Refreshed { .. } => EventKind::Refreshed,
            Self::Closed { .. } => EventKind::Closed,
        }
    }
}

/// Events on their way to where they are stored, oldest first.
#[derive(PartialEq, Eq, Default, Debug)]
pub struct EventBatch {
    json: Vec<u8>,
    ends: Vec<usize>,
    /// Events that came before these and found no room.
    pub lost: u64,
}

impl EventBatch {
    /// No events, but so many that found no room.
    #[must_use]
    pub const fn lost(lost: u64) -> Self {
        Self { json: Vec::new(), ends: Vec::new(), lost }
    }

    /// Whether there is no event; some may have been lost all the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all events.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.json.len()
    }

    /// Events, lost ones included.
    #[must_use]
    pub const fn happened(&self) -> u64 {
        self.ends.len() as u64 + self.lost
    }

    /// The events.
    pub fn events(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.json[begin..*end])
    }

    /// Adds an event that is written already.
    #[cfg(test)]
    pub(crate) fn push_raw(&mut self, event: &[u8]) {
        self.json.extend_from_slice(event);
        self.ends.push(self.json.len());
    }

    /// Adds what happened to a session, at this time, on the node of this uid.
    pub fn tell(
        &mut self,
        happened: Happened<'_>,
        session: &Session<'_>,
        wanted: &Wanted,
        (node, at_ms): (&str, u64),
    ) {
        let mut event = begin(happened.kind().name(), (node, at_ms), &mut self.json);
        event.plain("client", session.client());
        if wanted.session {
            event.plain("session", session.session());
        }
        match happened {
            Happened::Opened { expire_at } | Happened::Refreshed { expire_at } => {
                if let Some(expire_at) = expire_at {
                    event.integer("expire_at", expire_at);
                }
            }
            Happened::Closed { code, reason, duration_ms } => {
                event.integer("code", code);
                event.text("reason", reason);
                event.integer("duration_ms", duration_ms);
            }
        }
        let meta = session.meta().filter(|_| wanted.meta);
        event.nested("connection", |out| connections::write_with(session, meta, out));
        event.close();
        self.ends.push(self.json.len());
    }
}

fn begin<'o>(kind: &'static str, (node, at_ms): (&str, u64), out: &'o mut Vec<u8>) -> Object<'o> {
    let mut event = Object::open(out);
    event.word("type", kind);
    event.integer("at_ms", at_ms);
    event.text("node", node);
    event
}

/// The event that so many others could not be kept.
#[must_use]
pub fn gap(lost: u64, (node, at_ms): (&str, u64)) -> Vec<u8> {
    let mut json = Vec::new();
    let mut event = begin("gap", (node, at_ms), &mut json);
    event.integer("lost", lost);
    event.close();
    json
}

/// The event that a node runs, which has no sessions yet. Those of its previous run, whose uid is
/// the last argument, have ended, told or not.
#[must_use]
pub fn node_started((node, at_ms): (&str, u64), name: &str, previous: Option<&str>) -> Vec<u8> {
    let mut json = Vec::new();
    let mut event = begin("node_started", (node, at_ms), &mut json);
    event.text_if_any("node_name", name);
    event.text_if_any("previous_node", previous.unwrap_or_default());
    event.close();
    json
}

/// Whether this may be an event written here; a file that was damaged may hold others.
#[must_use]
pub fn is_event(json: &[u8]) -> bool {
    json.starts_with(b"{")
}

/// The body of a request: numbered events of the queue of this name, without what is none.
pub fn delivery<'e>(queue: &str, events: impl Iterator<Item = (u64, &'e [u8])>) -> Vec<u8> {
    let mut out = br#"{"events":["#.to_vec();
    for (at, (seq, event)) in events.filter(|(_, event)| is_event(event)).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write!(out, r#"{{"id":"{queue}-{seq}","seq":{seq},"#).expect("memory takes everything");
        out.extend_from_slice(&event[1..]);
    }
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own_and_are_found_by_them() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::named(kind.name()), Some(kind));
        }
        assert_eq!(EventKind::named("gap"), None);
    }

    #[test]
    fn a_delivery_is_json_with_the_number_and_the_id_of_each_event() {
        let gap = gap(12, ("n1", 5));
        let started = node_started(("n2", 6), "na\"me", Some("n1"));
        let events: [(u64, &[u8]); 4] = [(6, b"damaged"), (7, &gap), (8, &started), (9, b"")];
        let body: serde_json::Value =
            serde_json::from_slice(&delivery("q", events.into_iter())).unwrap();
        let expected = serde_json::json!({"events": [
            {"id": "q-7", "seq": 7, "type": "gap", "at_ms": 5, "node": "n1", "lost": 12},
            {"id": "q-8", "seq": 8, "type": "node_started", "at_ms": 6, "node": "n2",
             "node_name": "na\"me", "previous_node": "n1"},
        ]});
        assert_eq!(body, expected);
        assert_eq!(delivery("q", std::iter::empty()), br#"{"events":[]}"#);
    }
}
