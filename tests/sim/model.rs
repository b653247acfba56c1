//! What must be true: every session there ever was, and what a reply may say about them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{Asked, Reply, Request};

/// Stands in every `meta`; no client may ever see it.
pub(crate) const META_MARK: &str = "for the backend only";

/// A session, from the step that acknowledged it to the step that ended it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) shard: usize,
    /// Number of its connection.
    pub(crate) generation: u32,
    opened: u64,
    ended: Option<u64>,
}

/// A listing as a backend reads it.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Client ids, sorted.
    pub(crate) sessions: Vec<String>,
    pub(crate) partial: bool,
}

/// All sessions by client id.
#[derive(Debug, Default)]
pub(crate) struct Model {
    sessions: BTreeMap<String, Session>,
}

impl Model {
    /// Sessions that have been acknowledged and have not ended.
    pub(crate) fn open(&self) -> impl Iterator<Item = (&String, &Session)> {
        self.sessions.iter().filter(|(_, session)| session.ended.is_none())
    }

    /// A connect line was sent.
    pub(crate) fn opens(&mut self, client: String, user: &str, at: (usize, u32), step: u64) {
        let (shard, generation) = at;
        let of_conn = self.open().any(|(_, s)| s.shard == shard && s.generation == generation);
        assert!(!of_conn, "a connection is one session at most");
        let session =
            Session { user: user.to_owned(), shard, generation, opened: step, ended: None };
        let twice = self.sessions.insert(client, session);
        assert!(twice.is_none(), "a client id was given out twice");
    }

    /// A connection's stream or the connection itself ended.
    pub(crate) fn ends(&mut self, shard: usize, generation: u32, step: u64) {
        let of_conn = |session: &&mut Session| {
            session.ended.is_none() && session.shard == shard && session.generation == generation
        };
        if let Some(session) = self.sessions.values_mut().find(of_conn) {
            session.ended = Some(step);
        }
    }

    /// Holds a reply against what is true. Returns the listing, when it is one.
    pub(crate) fn check(&self, asked: &Asked, reply: &Reply) -> Option<Listing> {
        let body: Value = serde_json::from_str(&reply.body).expect("a reply is JSON");
        let failed = body.get("error").is_some();
        match &asked.what {
            Request::List { user } => {
                assert!(!failed, "a listing has no way to fail: {}", reply.body);
                return Some(self.check_listing(user, asked.at, &reply.body, &body["result"]));
            }
            // It said that it failed: then anything may be true.
            Request::DisconnectUser { .. }
            | Request::DisconnectClient { .. }
            | Request::Refresh { .. }
                if failed => {}
            Request::Refresh { lives_s: None | Some(1..), .. } => {}
            Request::DisconnectUser { user } | Request::Refresh { user, .. } => {
                self.check_ended(asked.at, |_, session| session.user == *user);
            }
            Request::DisconnectClient { user, client } => {
                self.check_ended(asked.at, |id, session| session.user == *user && id == client);
            }
        }
        None
    }

    fn check_listing(&self, user: &str, asked_at: u64, text: &str, result: &Value) -> Listing {
        let partial = result.get("partial").is_some_and(|partial| *partial == true);
        let listed = result["connections"].as_object().expect("a listing lists");
        for (id, info) in listed {
            let session = self.sessions.get(id).expect("only acknowledged sessions are listed");
            assert_eq!(session.user, user, "{id} is somebody else's");
            assert_eq!(info["meta"]["of"], user, "{id} has somebody else's meta");
            assert_eq!(text.matches(id.as_str()).count(), 1, "{id} is listed twice");
            assert!(
                session.ended.is_none_or(|ended| ended > asked_at),
                "{id} had ended when it was asked for"
            );
        }
        for (id, session) in self.open().filter(|(_, s)| s.user == user && s.opened <= asked_at) {
            assert!(
                partial || listed.contains_key(id),
                "{id} on shard {} is missing and the reply does not say partial",
                session.shard
            );
        }
        Listing { sessions: listed.keys().cloned().collect(), partial }
    }

    fn check_ended(&self, asked_at: u64, meant: impl Fn(&str, &Session) -> bool) {
        let alive = self.open().find(|(id, s)| s.opened <= asked_at && meant(id, s));
        assert!(alive.is_none(), "lives on after its disconnect was acknowledged: {alive:?}");
    }
}
