//! What cases are written in: whole sentences, and how a world ends.

use rollcall::shard::TICK_MS;

use crate::client::{Kind, Phase, Request};
use crate::fences::Fenced;
use crate::looks::{Look, Sought};
use crate::model::{ClientKey, Listing, Whom};
use crate::speech::Token;
use crate::world::{QUERY_TIMEOUT_MS, World};

impl World {
    /// A client with a good token and the claim `sessions`, everything written.
    pub(crate) fn comes(&mut self, shard: usize, kind: Kind, user: &str) -> ClientKey {
        let key = self.open(shard, kind, user);
        self.client(key).manages = true;
        self.asks_to_connect(key);
        key
    }

    /// A client writes its connect, on a connection that is new or free again.
    pub(crate) fn asks_to_connect(&mut self, key: ClientKey) {
        let connect = self.connect_of(key, Token::Lives(3_600));
        self.client(key).saying.push(connect);
        self.write_first(key);
        self.settle();
    }

    /// A session; returns its client id.
    pub(crate) fn connects(&mut self, shard: usize, kind: Kind, user: &str) -> String {
        let key = self.comes(shard, kind, user);
        self.model.of(key).expect("the connect is acknowledged").0.clone()
    }

    /// The connection of a session.
    pub(crate) fn key_of(&self, client: &str) -> ClientKey {
        self.model.open().find(|(id, _)| *id == client).expect("it is open").1.key
    }

    /// A connect that is refused; returns the code it was told.
    pub(crate) fn is_refused(&mut self, shard: usize, kind: Kind, user: &str) -> Option<u32> {
        let key = self.comes(shard, kind, user);
        assert!(self.model.of(key).is_none(), "it was let in");
        self.client(key).told
    }

    /// The session's client sends its FIN.
    pub(crate) fn leaves(&mut self, client: &str) {
        let key = self.key_of(client);
        self.client(key).finishes = true;
        self.settle();
    }

    /// Asks one shard; lets time pass until it answers.
    pub(crate) fn lists(&mut self, shard: usize, user: &str) -> Listing {
        self.asks(shard, Request::List { user: user.to_owned() });
        self.last_listing.take().expect("it was a listing")
    }

    /// Asks one shard to disconnect a user.
    pub(crate) fn disconnects(&mut self, shard: usize, user: &str) -> Result<(), ()> {
        self.asks(shard, Request::DisconnectUser { user: user.to_owned() });
        if self.last_failed { Err(()) } else { Ok(()) }
    }

    /// Asks one shard to send some away and to refuse them for so many seconds.
    pub(crate) fn fences_out(
        &mut self,
        shard: usize,
        whom: Fenced,
        stands_s: u64,
    ) -> Result<(), ()> {
        self.asks(shard, Request::Fence { whom, stands_s });
        if self.last_failed { Err(()) } else { Ok(()) }
    }

    /// Asks one shard to block a user.
    pub(crate) fn blocks(&mut self, shard: usize, user: &str) -> Result<(), ()> {
        self.asks(shard, Request::Block { user: user.to_owned() });
        if self.last_failed { Err(()) } else { Ok(()) }
    }

    /// Asks one shard to unblock a user.
    pub(crate) fn unblocks(&mut self, shard: usize, user: &str) {
        self.asks(shard, Request::Unblock { user: user.to_owned() });
    }

    /// Somebody begins to look through the sessions.
    pub(crate) fn begins_look(
        &mut self,
        sought: Sought,
        sort: &'static str,
        limit: usize,
    ) -> usize {
        let look = Look::new(sought, sort, limit, self.step);
        self.model.looks.begin(look)
    }

    /// Asks one shard for the next page.
    pub(crate) fn turns_page(&mut self, shard: usize, look: usize) {
        self.asks(shard, Request::Page { look });
    }

    /// Asks for one page after the other, each at the next shard, until there is none left.
    pub(crate) fn looks_through(&mut self, look: usize) {
        for shard in (0..self.nodes.len()).cycle() {
            if self.model.looks.all[look].is_over() {
                return;
            }
            self.turns_page(shard, look);
        }
    }

    /// Asks one shard how many there are.
    pub(crate) fn counts(&mut self, shard: usize, sought: Sought) {
        self.asks(shard, Request::Count { sought });
    }

    fn asks(&mut self, shard: usize, what: Request) {
        let key = self.open(shard, Kind::Api, "");
        self.write_request(key, what);
        let deadline_ms = self.now.mono_ms + 2 * QUERY_TIMEOUT_MS;
        self.settle();
        while !self.clients[&key].asked.is_empty() {
            assert!(self.now.mono_ms < deadline_ms, "no reply in time");
            self.pass(TICK_MS);
            self.settle();
        }
    }

    /// A client asks for its user's sessions; returns their ids.
    pub(crate) fn lists_own(&mut self, client: &str) -> Listing {
        let key = self.key_of(client);
        let call = self.call_of(key, None);
        self.client(key).saying.push(call);
        self.settle();
        self.last_listing.take().expect("it was a listing")
    }

    /// A client ends sessions of its user.
    pub(crate) fn closes(&mut self, client: &str, whom: &Whom) {
        let key = self.key_of(client);
        let call = self.call_of(key, Some(whom));
        self.client(key).saying.push(call);
        self.settle();
    }

    /// Everything on its way arrives.
    pub(crate) fn settle(&mut self) {
        loop {
            let keys: Vec<ClientKey> = self.clients.keys().copied().collect();
            let mut moved = false;
            for key in keys {
                moved |= self.utter(key);
                moved |= self.feed(key, usize::MAX);
            }
            let pairs: Vec<_> = self.network.keys().copied().collect();
            for pair in pairs {
                while !self.is_stalled(pair.1) && !self.network[&pair].is_empty() {
                    self.deliver(pair);
                    moved = true;
                }
            }
            for shard in 0..self.nodes.len() {
                moved |= self.goes_on(shard);
            }
            if !moved {
                return;
            }
        }
    }

    /// Everyone leaves; then nothing may be left anywhere.
    pub(crate) fn everyone_leaves(&mut self) {
        self.quiet();
        for client in self.clients.values_mut() {
            client.finishes = true;
        }
        self.settle();
        // A connection that lingers, or whose client asked much, has its deadlines.
        for _ in 0..2_000 {
            if self.clients.is_empty() {
                break;
            }
            self.pass(TICK_MS);
            self.settle();
        }
        self.nothing_is_left();
    }

    /// The node says goodbye to everyone.
    pub(crate) fn drains(&mut self) {
        self.quiet();
        for shard in 0..self.nodes.len() {
            self.say_goodbye(shard);
        }
        for _ in 0..2_000 {
            self.settle();
            if self.nodes.iter().all(|node| node.drained) {
                break;
            }
            self.pass(TICK_MS);
        }
        assert!(self.nodes.iter().all(|node| node.drained && !node.accepting), "all said goodbye");
        self.nothing_is_left();
    }

    /// Nothing is in the way any more; then every question has its answer in time.
    pub(crate) fn quiet(&mut self) {
        for shard in 0..self.nodes.len() {
            self.runs_again(shard);
        }
        self.settle();
        // A connect waits for its verdict, then what was said behind it for its answers.
        for _ in 0..2 {
            self.pass(QUERY_TIMEOUT_MS + TICK_MS);
            self.settle();
        }
        for (key, client) in &self.clients {
            if client.kind == Kind::Api && client.finished_ms.is_none() {
                assert!(client.asked.is_empty(), "{key:?} waits for {:?}", client.asked);
            }
            if client.phase == Phase::Live {
                assert!(client.calls.is_empty(), "{key:?} waits for {:?}", client.calls);
            }
        }
    }

    fn nothing_is_left(&self) {
        assert!(self.clients.is_empty(), "truth 6: {:?}", self.clients);
        for node in &self.nodes {
            assert_eq!((node.shard.sessions(), node.shard.connections()), (0, 0), "truth 6");
        }
        assert_eq!((self.directory.users(), self.admission.sessions()), (0, 0), "truth 6");
    }
}
