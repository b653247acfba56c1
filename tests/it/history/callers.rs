//! Backends that list sessions and end them.

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{
    BLOCKED, Block, CALLERS, Clock, History, Listing, Order, REGIONS, Time, USERS, Which, rounds,
    user,
};
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
    /// Users that nobody else blocks.
    may_block: Vec<String>,
}

pub(super) fn run(server: &Server, clock: Clock, n: usize, seed: u64) -> History {
    let rng = ChaCha12Rng::seed_from_u64(seed);
    let history = History::default();
    let may_block = (n..USERS).step_by(CALLERS).map(user).collect();
    let (conn, seen) = (server.connect(), Vec::new());
    let mut caller = Caller { conn, clock, rng, history, seen, may_block };
    for _ in 0..rounds() * CALLS_PER_ROUND {
        caller.call();
    }
    caller.history
}

impl Caller {
    fn call(&mut self) {
        let user = user(self.rng.random_range(0..USERS));
        let seen = self.seen.get(self.rng.random_range(0..8)).cloned();
        let region = REGIONS[self.rng.random_range(0..REGIONS.len())];
        let in_region = json!({"key": "region", "cmp": "eq", "val": region});
        match (self.rng.random_range(0..16), seen) {
            (0..=3, _) => self.list("user_connections", json!({"user": user}), Which::User(user)),
            (4..=8, _) => self.list("connections", json!({"user": user}), Which::User(user)),
            (9, _) if self.rng.random_range(0..3) == 0 => self.block(),
            (9, Some(client)) => self.end(json!({"client": client}), Which::Client(client)),
            (10, _) => {
                let keep = std::mem::take(&mut self.seen);
                let params = json!({"user": user, "whitelist": keep});
                self.end(params, Which::UserBut(user, keep));
            }
            (11, _) => {
                let params = json!({"label_filter": in_region});
                self.list("connections", params, Which::Region(region));
            }
            (12, _) => {
                let expression = format!("labels.region == '{region}' && user == '{user}'");
                let params = json!({"expression": expression});
                self.list("connections", params, Which::UserIn(user, region));
            }
            (13, _) => {
                let params = json!({"user": user, "label_filter": in_region});
                self.end(params, Which::UserIn(user, region));
            }
            (14, _) if self.rng.random_range(0..8) == 0 => {
                let params = json!({"all_users": true, "label_filter": in_region});
                self.end(params, Which::Region(region));
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

    /// Keeps a user out for a moment. Two callers would lift each other's block, so each has users
    /// of its own.
    fn block(&mut self) {
        let user = self.may_block[self.rng.random_range(0..self.may_block.len())].clone();
        let params = json!({"user": user});
        let (from, to) = self.order("block_user", params.clone());
        self.history.orders.push(Order {
            which: Which::User(user.clone()),
            from,
            to,
            code: BLOCKED,
        });
        for _ in 0..8 {
            self.list("connections", params.clone(), Which::User(user.clone()));
        }
        let (lifted_from, lifted_to) = self.order("unblock_user", params);
        self.history.blocks.push(Block { user, from, to, lifted_from, lifted_to });
    }

    /// A call that changes something: when it was made, and when it was acknowledged. One that the
    /// server says it could not carry out as a whole may have changed something at any time.
    fn order(&mut self, method: &str, params: Value) -> (Time, Time) {
        let from = self.clock.now();
        let reply = self.conn.call(method, params);
        let to = self.clock.now();
        if reply["result"].is_object() {
            return (from, to);
        }
        assert_eq!(reply["error"]["code"], 100, "{reply}");
        self.history.partial += 1;
        (from, Time::MAX)
    }

    fn end(&mut self, mut params: Value, which: Which) {
        let code = self.rng.random_range(4000..4100);
        params["disconnect"] = json!({"code": code, "reason": "told to"});
        let (from, to) = self.order("disconnect", params);
        self.history.orders.push(Order { which, from, to, code });
    }
}
