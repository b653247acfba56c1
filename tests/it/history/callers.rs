//! Backends that list sessions and end them.

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{Clock, History, Listing, Order, USERS, Which, rounds, user};
use crate::harness::{Conn, Server};

/// Calls for each round of a client.
const CALLS_PER_ROUND: usize = 12;

struct Caller {
    conn: Conn,
    clock: Clock,
    rng: ChaCha12Rng,
    history: History,
    /// Clients of the last listing.
    seen: Vec<String>,
}

pub(super) fn run(server: &Server, clock: Clock, seed: u64) -> History {
    let rng = ChaCha12Rng::seed_from_u64(seed);
    let history = History::default();
    let mut caller = Caller { conn: server.connect(), clock, rng, history, seen: Vec::new() };
    for _ in 0..rounds() * CALLS_PER_ROUND {
        caller.call();
    }
    caller.history
}

impl Caller {
    fn call(&mut self) {
        let user = user(self.rng.random_range(0..USERS));
        let seen = self.seen.get(self.rng.random_range(0..8)).cloned();
        match (self.rng.random_range(0..12), seen) {
            (0..=3, _) => self.list("user_connections", json!({"user": user}), Which::User(user)),
            (4..=8, _) => self.list("connections", json!({"user": user}), Which::User(user)),
            (9, Some(client)) => self.end(json!({"client": client}), Which::Client(client)),
            (10, _) => {
                let keep = std::mem::take(&mut self.seen);
                let params = json!({"user": user, "whitelist": keep});
                self.end(params, Which::UserBut(user, keep));
            }
            _ => self.end(json!({"user": user}), Which::User(user)),
        }
    }

    fn list(&mut self, method: &str, params: Value, which: Which) {
        let from = self.clock.now();
        let reply = self.conn.call(method, params);
        let to = self.clock.now();
        let result = &reply["result"];
        let connections = result["connections"].as_object();
        let connections = connections.unwrap_or_else(|| panic!("no listing: {reply}"));
        if result["partial"] == json!(true) {
            self.history.partial += 1;
            return;
        }
        let clients: Vec<_> = connections.keys().cloned().collect();
        self.seen.clone_from(&clients);
        self.history.listings.push(Listing { which, from, to, clients });
    }

    fn end(&mut self, mut params: Value, which: Which) {
        let code = self.rng.random_range(4000..4100);
        params["disconnect"] = json!({"code": code, "reason": "told to"});
        let from = self.clock.now();
        let reply = self.conn.call("disconnect", params);
        let to = self.clock.now();
        assert!(reply["result"].is_object(), "not carried out: {reply}");
        self.history.orders.push(Order { which, from, to, code });
    }
}
