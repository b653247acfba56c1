//! Backends that are told all the time what happens, and what they were told in the end.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{Clock, History, Time};
use crate::harness::{KEY, Server, Stream, eventually, request};

/// The user whose session tells the watchers that all is over.
const LAST: &str = "the last one";

/// What one watcher heard from its `ready` on.
#[derive(Default, Debug)]
pub(super) struct Watched {
    /// `None` is everybody.
    user: Option<String>,
    /// When it knew all that there was.
    ready: Time,
    opened: Vec<String>,
    closed: HashMap<String, u64>,
    /// It was told to begin again, and what came before is forgotten.
    resyncs: usize,
}

/// Watches until the last session comes.
pub(super) fn run(server: &Server, clock: Clock, user: Option<String>) -> Watched {
    let params = match &user {
        None => json!({"all_users": true}),
        Some(user) => json!({"users": [user, LAST]}),
    };
    let mut watched = Watched { user, ready: Time::MAX, ..Watched::default() };
    loop {
        let mut conn = server.connect();
        let body = params.to_string();
        conn.send(&request("POST", "/api/watch", &[("X-API-Key", KEY)], body.as_bytes()));
        assert_eq!(conn.head().status, 200);
        let (mut has_come, mut silent) = (false, 0);
        let is_whole = loop {
            let chunk = conn.chunk().expect("a watch ends with a word");
            let text = String::from_utf8(chunk).expect("text");
            let Some(json) = text.strip_prefix("data: ") else {
                // A heartbeat every quarter of a minute; callers may go on for long when all clients
                // have gone.
                silent += usize::from(text.starts_with(':'));
                assert!(silent < 240, "nothing happens: {has_come} {watched:?}");
                continue;
            };
            silent = 0;
            let event: Value = serde_json::from_str(json.trim_end()).expect("JSON");
            has_come |= json.contains(LAST);
            match event["type"].as_str() {
                Some("resync") => break false,
                Some("ready") => watched.ready = clock.now(),
                _ if json.contains(LAST) => {}
                _ => watched.hear(&event),
            }
            // What other shards tell may come behind the last one.
            if has_come && watched.opened.iter().all(|one| watched.closed.contains_key(one)) {
                break true;
            }
        };
        if is_whole {
            return watched;
        }
        let (user, resyncs) = (watched.user, watched.resyncs + 1);
        watched = Watched { user, resyncs, ready: Time::MAX, ..Watched::default() };
    }
}

/// Tells all watchers that all is over, once everybody has gone.
pub(super) fn end(server: &Server) -> Stream {
    eventually("everybody has gone", || {
        let reply = server.call("connections", json!({"count_only": true}));
        (reply["result"]["count"] == 0).then_some(())
    });
    server.session(LAST)
}

impl Watched {
    fn hear(&mut self, event: &Value) {
        let client = || event["client"].as_str().expect("a client").to_owned();
        match event["type"].as_str().expect("a type") {
            "snapshot" => {}
            "opened" => self.opened.push(client()),
            "closed" => {
                let code = event["code"].as_u64().expect("a code");
                let twice = self.closed.insert(client(), code);
                assert_eq!(twice, None, "closed twice: {event}");
            }
            other => panic!("unknown event {other}"),
        }
    }
}

/// Whoever came after a watch was ready was told of once, and so was its end, with the code its
/// client was told.
pub(super) fn check(watched: &[Watched], history: &History) {
    for watch in watched {
        let opened: HashSet<_> = watch.opened.iter().collect();
        assert_eq!(opened.len(), watch.opened.len(), "opened twice");
        let is_wanted = |user: &str| watch.user.as_deref().is_none_or(|wanted| wanted == user);
        let mut heard = 0;
        for session in &history.sessions {
            let is_told = opened.contains(&session.client);
            if !is_wanted(&session.facts.user) {
                assert!(!is_told, "told of somebody else: {session:?}");
                continue;
            }
            if session.asked > watch.ready {
                assert!(is_told, "its opening was not told: {session:?}");
                heard += 1;
            }
            if let Some((_, code)) = session.ended
                && is_told
            {
                assert_eq!(watch.closed.get(&session.client), Some(&code), "{session:?}");
            }
        }
        eprintln!("a watch of {:?}: {heard} heard of, {} resyncs", watch.user, watch.resyncs);
        assert!(heard > 0, "nothing was watched");
    }
}
