//! Backends that list sessions and end them.

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{
    BLOCKED, Block, CALLERS, Clock, Count, Ending, FENCED, History, Listing, Order, REGIONS, Time,
    USERS, Which, rounds, user,
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
        match (self.rng.random_range(0..21), seen) {
            (16, _) => self.walk(Which::User(user)),
            (17, _) => self.walk(Which::Region(region)),
            (18, _) => {
                let users = vec![user, super::user(self.rng.random_range(0..USERS))];
                self.list("connections", json!({"users": users}), Which::Users(users));
            }
            (19, _) => self.count(Which::UserIn(user, region)),
            (20, _) => self.list_ended(user),
            (9, _) if self.rng.random_range(0..12) == 0 => self.fence(),
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
        if method == "connections" && which_pages(&which) {
            // A page, as one of our own keys is used: all are on it.
            assert_eq!(result["count"], connections.len(), "{reply}");
        }
        if result["partial"] == json!(true) {
            self.history.partial += 1;
            return;
        }
        let clients: Vec<_> = connections.keys().cloned().collect();
        self.seen.clone_from(&clients);
        self.history.listings.push(Listing { which, from, to, clients, pages: 1 });
    }

    /// Page by page: who stays from the first to the last is on exactly one.
    fn walk(&mut self, which: Which) {
        let mut params = selected(&which);
        params["limit"] = json!(self.rng.random_range(1..6));
        let sort = ["connected_at", "-connected_at", "user"][self.rng.random_range(0..3)];
        params["sort"] = json!(sort);
        let from = self.clock.now();
        let (mut clients, mut keys, mut pages) = (Vec::new(), Vec::new(), 0);
        loop {
            let reply = self.conn.call("connections", params.clone());
            let result = &reply["result"];
            assert!(result["connections"].is_object(), "no page: {reply}");
            if result["partial"] == json!(true) {
                self.history.partial += 1;
                return;
            }
            for client in result["clients"].as_array().into_iter().flatten() {
                let client = client.as_str().expect("an id");
                keys.push(place(sort, client, &result["connections"][client]));
                clients.push(client.to_owned());
            }
            pages += 1;
            let Some(cursor) = result["next_cursor"].as_str() else { break };
            params["cursor"] = json!(cursor);
        }
        let to = self.clock.now();
        assert!(keys.is_sorted(), "not in order of {sort}: {keys:?}");
        self.history.listings.push(Listing { which, from, to, clients, pages });
    }

    fn count(&mut self, which: Which) {
        let mut params = selected(&which);
        params["count_only"] = json!(true);
        params["group_by"] = json!("label:region");
        let from = self.clock.now();
        let reply = self.conn.call("connections", params);
        let to = self.clock.now();
        let result = &reply["result"];
        if result["partial"] == json!(true) {
            self.history.partial += 1;
            return;
        }
        let number = |value: &Value| {
            let number = value.as_u64().unwrap_or_else(|| panic!("no number: {reply}"));
            usize::try_from(number).expect("few")
        };
        let groups = result["groups"].as_object().into_iter();
        let in_groups = groups.flat_map(serde_json::Map::values).map(number).sum();
        let counted = number(&result["count"]);
        self.history.counts.push(Count { which, from, to, counted, in_groups });
    }

    fn list_ended(&mut self, user: String) {
        let reply = self.conn.call("connections", json!({"user": user, "state": "closed"}));
        let to = self.clock.now();
        let connections = reply["result"]["connections"].as_object().expect("a listing");
        let mut shown = 0;
        for (client, info) in connections {
            let code = info["closed"]["code"].as_u64().expect("a code");
            let user = info["user"].as_str().expect("a user").to_owned();
            shown += 1;
            if shown <= 20 {
                self.history.endings.push(Ending { client: client.clone(), user, to, code });
            }
        }
    }

    /// Sends a user away who is refused for a second.
    fn fence(&mut self) {
        const SECOND: Time = 1_000_000_000;
        let user = self.may_block[self.rng.random_range(0..self.may_block.len())].clone();
        let code = self.rng.random_range(4000..4100);
        let disconnect = json!({"code": code, "reason": "told to"});
        let params = json!({"user": user, "fence": 1, "disconnect": disconnect});
        let (from, to) = self.order("disconnect", params);
        self.history.orders.push(Order { which: Which::User(user.clone()), from, to, code });
        self.history.blocks.push(Block {
            user,
            from,
            to,
            // The server counts whole milliseconds, and reads its clock once for what came together.
            lifted_from: from + SECOND - SECOND / 20,
            lifted_to: to.saturating_add(2 * SECOND),
            code: FENCED,
        });
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
        let code = BLOCKED;
        self.history.blocks.push(Block { user, from, to, lifted_from, lifted_to, code });
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

/// Which of our own keys make a page of it.
const fn which_pages(which: &Which) -> bool {
    matches!(which, Which::Users(_))
}

/// The parameters that select these.
fn selected(which: &Which) -> Value {
    let in_region = |region| json!({"key": "region", "cmp": "eq", "val": region});
    match which {
        Which::User(user) => json!({"user": user}),
        Which::UserBut(user, keep) => json!({"user": user, "whitelist": keep}),
        Which::Client(client) => json!({"client": client}),
        Which::Region(region) => json!({"label_filter": in_region(region)}),
        Which::UserIn(user, region) => json!({"user": user, "label_filter": in_region(region)}),
        Which::Users(users) => json!({"users": users}),
    }
}

/// What a session on a page is sorted by, ascending.
fn place(sort: &str, client: &str, info: &Value) -> (i64, String, String) {
    let connected_at = info["connected_at_ms"].as_i64().expect("a time");
    match sort {
        "connected_at" => (connected_at, String::new(), client.to_owned()),
        "-connected_at" => (-connected_at, String::new(), String::new()),
        _ => (0, info["user"].as_str().expect("a user").to_owned(), client.to_owned()),
    }
}
