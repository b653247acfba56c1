//! The table against a naive model, and the properties that a model would not show.

mod search;

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use crate::ids::{self, ClientId, ConnId, SessionId, SessionSlot, ShardId};
use crate::session::interner::{AGENTS_MAX, TextId};
use crate::session::labels::LabelRun;
use crate::session::pairs::{APPS_MAX, PairId};
use crate::session::record::{NONE, Record, Shared};
use crate::session::{
    HeapBytes, IdKeys, Opened, Opening, Protocol, Session, Table, Transport, USER_AGENT_BYTES_MAX,
    UserHasher,
};

const SEEDS: [u64; 4] = [1, 2, 3, 4];

fn hasher() -> UserHasher {
    UserHasher::new(SEEDS)
}

fn table_with(hasher: UserHasher) -> Table {
    Table::new(ShardId::new(3), IdKeys::new(*b"a key of the idsanother for them"), hasher)
}

fn empty_bytes() -> HeapBytes {
    HeapBytes {
        records: 0,
        by_user: 32 * 1024,
        apps: 0,
        agents: 0,
        labels: 0,
        index: 0,
        changes: 0,
    }
}

/// A session as anyone would write it down.
#[derive(Clone, Debug)]
struct Plain {
    user: String,
    name: String,
    version: String,
    transport: Transport,
    protocol: Protocol,
    remote_addr: Option<IpAddr>,
    agent: String,
    uid: String,
    issued_at: Option<i64>,
    meta: Option<Vec<u8>>,
    labels: BTreeMap<String, String>,
    connected_at_ms: u64,
    conn: ConnId,
}

impl Plain {
    fn of(user: &str) -> Self {
        Self {
            user: user.into(),
            name: String::new(),
            version: String::new(),
            transport: Transport::UniHttpStream,
            protocol: Protocol::Json,
            remote_addr: None,
            agent: String::new(),
            uid: String::new(),
            issued_at: None,
            meta: None,
            labels: BTreeMap::new(),
            connected_at_ms: 1_767_225_600_123,
            conn: ConnId { index: 7, generation: 9 },
        }
    }

    fn opening(&self) -> Opening<'_> {
        Opening {
            user: &self.user,
            app_name: &self.name,
            app_version: &self.version,
            transport: self.transport,
            protocol: self.protocol,
            remote_addr: self.remote_addr,
            user_agent: &self.agent,
            token_uid: &self.uid,
            token_issued_at: self.issued_at,
            meta: self.meta.as_deref(),
            labels: &self.labels,
            connected_at_ms: self.connected_at_ms,
            conn: self.conn,
        }
    }

    fn check(&self, session: &Session<'_>) {
        assert_eq!(session.user(), self.user);
        assert_eq!((session.app_name(), session.app_version()), (&*self.name, &*self.version));
        assert_eq!(&*session.token_uid(), self.uid);
        assert_eq!(session.token_issued_at(), self.issued_at);
        assert_eq!(session.meta(), self.meta.as_deref());
        assert_eq!(session.connected_at_ms(), self.connected_at_ms);
        assert_eq!(session.conn_index(), self.conn.index);
        assert_eq!((session.transport(), session.protocol()), (self.transport, self.protocol));
        assert_eq!(session.remote_addr(), self.remote_addr.map(|address| address.to_canonical()));
        let cut = self.agent.floor_char_boundary(USER_AGENT_BYTES_MAX);
        assert_eq!(session.user_agent(), &self.agent[..cut]);
        let labels = self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        assert!(session.labels().eq(labels), "{:?}", session.labels().collect::<Vec<_>>());
    }
}

/// The table, and beside it every live session with its ids, in the order of opening.
struct Pair {
    table: Table,
    model: BTreeMap<u64, (Plain, Opened)>,
    gone: Vec<Opened>,
    hasher: UserHasher,
    salt: u64,
}

impl Pair {
    fn new(hasher: UserHasher) -> Self {
        let table = table_with(hasher.clone());
        Self { table, model: BTreeMap::new(), gone: Vec::new(), hasher, salt: 0 }
    }

    fn has_hash_of(&self, user: &str) -> bool {
        let hash = self.hasher.hash(user);
        self.model.values().any(|(plain, _)| self.hasher.hash(&plain.user) == hash)
    }

    fn open(&mut self, plain: Plain) {
        let is_first = !self.has_hash_of(&plain.user);
        self.salt += 1;
        let salt = self.salt.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let opened = self.table.open(&plain.opening(), salt).unwrap();
        assert_eq!(opened.first_of_user, is_first, "{}", plain.user);
        self.model.insert(self.salt, (plain, opened));
    }

    /// Closes the nth session in the order of opening, counted round.
    fn close(&mut self, nth: usize) {
        let Some(key) = self.model.keys().nth(nth % self.model.len().max(1)).copied() else {
            return;
        };
        let (plain, opened) = self.model.remove(&key).unwrap();
        let closed = self.table.close(opened.slot);
        assert_eq!(closed.hash, self.hasher.hash(&plain.user));
        assert_eq!(closed.last_of_user, !self.has_hash_of(&plain.user), "{}", plain.user);
        self.gone.push(opened);
    }

    /// The nth session in the order of opening, counted round.
    fn nth(&mut self, nth: usize) -> Option<&mut (Plain, Opened)> {
        let nth = nth % self.model.len().max(1);
        self.model.values_mut().nth(nth)
    }

    fn set_meta(&mut self, nth: usize, meta: Option<&Vec<u8>>) {
        let Some((plain, opened)) = self.nth(nth) else { return };
        plain.meta = meta.cloned();
        let slot = opened.slot;
        self.table.set_meta(slot, meta.map(Vec::as_slice));
    }

    fn set_token(&mut self, nth: usize, uid: String, issued_at: Option<i64>) {
        let Some((plain, opened)) = self.nth(nth) else { return };
        (plain.uid, plain.issued_at) = (uid, issued_at);
        let (slot, uid) = (opened.slot, plain.uid.clone());
        self.table.set_token(slot, &uid, issued_at);
    }

    fn set_labels(&mut self, nth: usize, labels: &BTreeMap<String, String>) {
        let Some((plain, opened)) = self.nth(nth) else { return };
        plain.labels.clone_from(labels);
        let slot = opened.slot;
        self.table.set_labels(slot, labels);
    }

    /// Everything that must hold between any two steps.
    fn check(&self) {
        assert_eq!(self.table.len(), self.model.len());
        assert_eq!(self.table.is_empty(), self.model.is_empty());
        let mut users: BTreeMap<&str, Vec<SessionSlot>> = BTreeMap::new();
        for (plain, opened) in self.model.values() {
            users.entry(&plain.user).or_default().insert(0, opened.slot);
            plain.check(&self.table.view(opened.slot));
            let by_client = self.table.by_client(opened.client).expect("a live session");
            let by_session = self.table.by_session(opened.session).expect("a live session");
            assert_eq!((by_client.slot(), by_session.slot()), (opened.slot, opened.slot));
            assert_eq!((by_client.client(), by_client.session()), (opened.client, opened.session));
        }
        for (user, newest_first) in &users {
            let found: Vec<_> =
                self.table.by_user(user, self.hasher.hash(user)).map(|s| s.slot()).collect();
            assert_eq!(&found, newest_first, "{user}");
        }
        for opened in &self.gone {
            assert!(self.table.by_client(opened.client).is_none());
            assert!(self.table.by_session(opened.session).is_none());
        }
        let mut all: Vec<_> = self.table.iter().map(|session| session.slot().0).collect();
        let mut expected: Vec<_> = self.model.values().map(|(_, opened)| opened.slot.0).collect();
        all.sort_unstable();
        expected.sort_unstable();
        assert_eq!(all, expected, "each session once");
        self.check_links(users.len());
        if self.model.is_empty() {
            assert_eq!(self.table.heap_bytes(), empty_bytes());
        }
    }

    fn check_links(&self, users: usize) {
        let (pages, by_user) = self.table.parts();
        let (index, agents) = (self.table.index(), self.table.agents());
        let mut reached = 0;
        let mut heads = 0;
        for head in by_user.slots() {
            heads += 1;
            let (mut before, mut slot) = (NONE, head);
            while slot != NONE {
                let record = Record(pages.record(slot));
                assert_eq!(record.prev(), before);
                assert_eq!(record.user(), Record(pages.record(head)).user());
                reached += 1;
                (before, slot) = (slot, record.next());
            }
        }
        assert_eq!((heads, reached), (users, self.model.len()));
        assert_eq!(index.apps.sessions(), self.model.len());
        assert_eq!(index.all().len(), self.model.len());
        let labels: usize = self.model.values().map(|(plain, _)| plain.labels.len()).sum();
        assert_eq!(index.labels.sessions(), labels);
        let named = self.model.values().filter(|(plain, _)| !plain.agent.is_empty());
        assert_eq!(agents.sessions(), named.count());
    }
}

#[derive(Clone, Debug)]
enum Op {
    Open(Box<Plain>),
    Close(usize),
    SetMeta(usize, Option<Vec<u8>>),
    SetLabels(usize, BTreeMap<String, String>),
    SetToken(usize, String, Option<i64>),
}

fn meta() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        proptest::collection::vec(any::<u8>(), 250..260),
        proptest::collection::vec(any::<u8>(), 500..20_000),
    ])
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-c]{0,2}", ".{0,2}", 0..4)
}

fn uid() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("db8bc772-2654-4283-851a-f29b888ace74".to_owned()),
        Just("0b8bc772-2654-4283-851a-f29b888ace70".to_owned()),
        Just("DB8BC772-2654-4283-851A-F29B888ACE74".to_owned()),
        "[0-9a-f-]{36}",
        ".{1,300}",
    ]
}

fn issued_at() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        Just(None),
        (1_767_000_000..1_768_000_000i64).prop_map(Some),
        any::<i64>().prop_map(Some),
        Just(Some(i64::MIN)),
        Just(Some(i64::MAX)),
    ]
}

fn plain() -> impl Strategy<Value = Plain> {
    let user = prop_oneof![
        4 => Just(String::new()),
        4 => "[a-c]",
        2 => "[a-z]{200,300}",
        1 => ".{0,20}",
    ];
    let transport = proptest::sample::select(&Transport::ALL);
    let protocol = proptest::sample::select(&Protocol::ALL);
    let remote_addr = proptest::option::of(prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).to_ipv6_mapped().into()),
    ]);
    let agent = prop_oneof!["[a-c]?", ".{0,20}", "[a-zé€]{240,300}"];
    let from = (transport, protocol, remote_addr, agent);
    let connected_at_ms = prop_oneof![0..1u64 << 42, Just(1_767_225_600_123)];
    let conn = (any::<u32>(), any::<u32>());
    let app = ("[a-z]{0,3}", "[0-9.]{0,3}");
    let state = (meta(), labels());
    (user, app, from, uid(), issued_at(), state, connected_at_ms, conn).prop_map(
        |(user, app, from, uid, issued_at, state, connected_at_ms, (index, generation))| {
            let (meta, labels) = state;
            let (name, version) = app;
            let (transport, protocol, remote_addr, agent) = from;
            let conn = ConnId { index, generation };
            #[rustfmt::skip]
            let plain = Plain {
                user, name, version, transport, protocol, remote_addr, agent, uid, issued_at, meta,
                labels, connected_at_ms, conn,
            };
            plain
        },
    )
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => plain().prop_map(|plain| Op::Open(Box::new(plain))),
        2 => any::<usize>().prop_map(Op::Close),
        1 => (any::<usize>(), meta()).prop_map(|(nth, meta)| Op::SetMeta(nth, meta)),
        1 => (any::<usize>(), labels()).prop_map(|(nth, labels)| Op::SetLabels(nth, labels)),
        1 => (any::<usize>(), uid(), issued_at())
            .prop_map(|(nth, uid, issued_at)| Op::SetToken(nth, uid, issued_at)),
    ];
    proptest::collection::vec(op, 1..60)
}

fn run(hasher: UserHasher, ops: Vec<Op>) {
    let mut pair = Pair::new(hasher);
    for op in ops {
        match op {
            Op::Open(plain) => pair.open(*plain),
            Op::Close(nth) => pair.close(nth),
            Op::SetMeta(nth, meta) => pair.set_meta(nth, meta.as_ref()),
            Op::SetLabels(nth, labels) => pair.set_labels(nth, &labels),
            Op::SetToken(nth, uid, issued_at) => pair.set_token(nth, uid, issued_at),
        }
        pair.check();
    }
    while !pair.model.is_empty() {
        pair.close(pair.gone.len());
        pair.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_table_agrees_with_a_naive_model(ops in ops()) {
        run(hasher(), ops);
    }

    #[test]
    fn users_whose_hashes_collide_never_mix(ops in ops()) {
        // One hash for all, then two: a directory bit must outlive each user but the last.
        run(UserHasher::colliding(SEEDS, 0), ops.clone());
        run(UserHasher::colliding(SEEDS, 1 << 40), ops);
    }

    #[test]
    fn a_token_like_the_last_one_takes_no_memory(uuids: Vec<[u8; 16]>, seconds: Vec<i32>) {
        let mut table = table_with(hasher());
        let first = ids::uuid_text(&[7; 16]);
        let first = std::str::from_utf8(&first).unwrap().to_owned();
        let plain = Plain { uid: first, issued_at: Some(1_767_225_000), ..Plain::of("42") };
        let slot = table.open(&plain.opening(), 1).unwrap().slot;
        let before = table.heap_bytes();
        for (uuid, seconds) in uuids.iter().zip(seconds) {
            let uid = ids::uuid_text(uuid);
            let issued_at = Some(1_767_225_600 + i64::from(seconds));
            table.set_token(slot, std::str::from_utf8(&uid).unwrap(), issued_at);
            let stored = table.view(slot).token_uid();
            prop_assert_eq!(stored.as_bytes(), uid);
            prop_assert_eq!(table.view(slot).token_issued_at(), issued_at);
        }
        prop_assert_eq!(table.heap_bytes(), before);
    }

    #[test]
    fn an_invented_id_leads_nowhere(ids: Vec<[u8; 16]>) {
        let mut table = table_with(hasher());
        for n in 0..100 {
            table.open(&Plain::of("42").opening(), n).unwrap();
        }
        for mut id in ids {
            prop_assert!(table.by_client(ClientId(id)).is_none());
            (id[6], id[8]) = (id[6] & 0x0F | 0x40, id[8] & 0x3F | 0x80);
            prop_assert!(table.by_client(ClientId(id)).is_none());
            prop_assert!(table.by_session(SessionId(id)).is_none());
        }
    }
}

#[test]
fn an_id_from_another_shard_leads_nowhere() {
    let keys = IdKeys::new(*b"a key of the idsanother for them");
    let mut here = Table::new(ShardId::new(0), keys.clone(), hasher());
    let mut there = Table::new(ShardId::new(1), keys.clone(), hasher());
    let ours = here.open(&Plain::of("42").opening(), 5).unwrap();
    let theirs = there.open(&Plain::of("42").opening(), 5).unwrap();
    assert_eq!(ours.slot, theirs.slot);
    assert_ne!(ours.client, theirs.client);
    assert!(here.by_client(theirs.client).is_none());
    assert!(here.by_session(theirs.session).is_none());
    assert_eq!(keys.shard_of_client(theirs.client), Some(ShardId::new(1)));
}

#[test]
fn a_storm_of_every_size_leaves_nothing_behind() {
    let mut table = table_with(hasher());
    let mut slots = Vec::new();
    for round in 0..3u64 {
        for n in 0..20_000u64 {
            let mut plain = Plain::of(&format!("user{}", n % 7_000));
            let bytes = if n % 1_000 == 0 { 3_000 } else { (n * 7 % 400) as usize };
            plain.meta = Some(vec![0; bytes]);
            slots.push(table.open(&plain.opening(), round << 32 | n).unwrap().slot);
        }
        // Every other one first, so that each page has holes before it is empty.
        let rest = slots.split_off(slots.len() / 2);
        for start in [0, 1] {
            for slot in slots.iter().chain(&rest).skip(start).step_by(2) {
                table.close(*slot);
            }
        }
        assert_eq!((table.len(), table.heap_bytes()), (0, empty_bytes()));
        slots.clear();
    }
}

#[test]
fn memory_follows_the_sessions_down() {
    let mut table = table_with(hasher());
    let plain = |n: u32| Plain::of(&format!("user{n:07}"));
    let slots: Vec<_> =
        (0..100_000).map(|n| table.open(&plain(n).opening(), n.into()).unwrap().slot).collect();
    let full = table.heap_bytes();
    for slot in &slots[1_000..] {
        table.close(*slot);
    }
    let few = table.heap_bytes();
    assert!(few.records < full.records / 50, "{full:?} {few:?}");
    assert!(few.by_user < full.by_user / 5, "{full:?} {few:?}");
    for n in 0..1_000 {
        let user = plain(n).user;
        assert_eq!(table.by_user(&user, hasher().hash(&user)).count(), 1);
    }
}

#[test]
fn one_user_with_many_sessions_is_closed_from_any_side() {
    let mut table = table_with(hasher());
    let mut slots: Vec<_> =
        (0..200_000).map(|n| table.open(&Plain::of("").opening(), n).unwrap().slot).collect();
    assert_eq!(table.by_user("", hasher().hash("")).count(), slots.len());
    // Oldest, newest and middle in turn: a chain that is walked on removal would take minutes.
    for n in 0.. {
        let Some(last) = slots.len().checked_sub(1) else { break };
        let slot = slots.swap_remove([0, last, last / 2][n % 3]);
        assert_eq!(table.close(slot).last_of_user, slots.is_empty());
    }
    assert_eq!(table.heap_bytes(), empty_bytes());
}

#[test]
fn a_million_different_apps_cost_no_more_than_their_sessions() {
    let mut table = table_with(hasher());
    let sessions = APPS_MAX + 20_000;
    let mut slots = Vec::new();
    for n in 0..sessions {
        let mut plain = Plain::of("42");
        (plain.name, plain.version) = (format!("app{n}"), "1".repeat(n % 40));
        let opened = table.open(&plain.opening(), n as u64).unwrap();
        plain.check(&table.view(opened.slot));
        slots.push((plain, opened.slot));
    }
    let full = table.heap_bytes();
    assert!(full.apps < APPS_MAX * 250, "{full:?}");
    assert!(full.records < sessions * 100, "{full:?}");
    for (plain, slot) in slots.drain(..) {
        plain.check(&table.view(slot));
        table.close(slot);
    }
    assert_eq!(table.heap_bytes(), empty_bytes());
}

#[test]
fn user_agents_beyond_the_table_stay_with_their_sessions() {
    let mut table = table_with(hasher());
    let mut open = Vec::new();
    for n in 0..APPS_MAX + 1_000 {
        let mut plain = Plain::of("42");
        // With and without an app and a meta of its own beside it.
        (plain.name, plain.agent) = (format!("app{n}"), format!("agent {}", n % (2 * AGENTS_MAX)));
        plain.meta = (n % 3 == 0).then(|| vec![1; n % 300]);
        open.push((plain.clone(), table.open(&plain.opening(), n as u64).unwrap().slot));
    }
    let agents = table.heap_bytes().agents;
    assert!(agents < AGENTS_MAX * 150, "{agents}");
    for (plain, slot) in open.drain(..) {
        plain.check(&table.view(slot));
        table.close(slot);
    }
    assert_eq!(table.heap_bytes(), empty_bytes());
}

#[test]
fn a_long_user_agent_is_cut_at_a_character() {
    let mut table = table_with(hasher());
    for (agent, kept) in [("a".repeat(256), 256), ("a".repeat(257), 256), ("é€".repeat(60), 255)]
    {
        let slot = table.open(&Plain { agent, ..Plain::of("42") }.opening(), 0).unwrap().slot;
        assert_eq!(table.view(slot).user_agent().len(), kept);
    }
}

#[test]
fn a_full_table_refuses_and_is_as_it_was() {
    let mut table = table_with(hasher());
    // A page each.
    let large = Plain { meta: Some(vec![1; 600]), ..Plain::of("42") };
    let mut opened = Vec::new();
    let refused = loop {
        match table.open(&large.opening(), opened.len() as u64) {
            Ok(session) => opened.push(session),
            Err(full) => break full,
        }
    };
    assert_eq!(refused.to_string(), "the shard's session table is full");
    assert_eq!(table.len(), opened.len());
    let stranger = Plain {
        name: "new".into(),
        agent: "new".into(),
        meta: large.meta.clone(),
        ..Plain::of("7")
    };
    assert!(table.open(&stranger.opening(), 0).is_err());
    assert_eq!(table.by_user("7", hasher().hash("7")).count(), 0);
    assert_eq!(table.by_user("42", hasher().hash("42")).count(), opened.len());
    assert_eq!(table.index().apps.sessions(), opened.len());
    assert_eq!(table.agents().sessions(), 0);

    let gone = opened.swap_remove(7);
    table.close(gone.slot);
    let again = table.open(&stranger.opening(), 1).unwrap();
    assert_eq!((again.slot, again.first_of_user), (gone.slot, true));
    opened.push(again);
    for session in opened {
        table.close(session.slot);
    }
    assert_eq!(table.heap_bytes(), empty_bytes());
}

#[test]
fn a_slot_that_is_used_again_has_other_ids() {
    let mut table = table_with(hasher());
    let mut seen = HashSet::new();
    for salt in 0..1_000 {
        let opened = table.open(&Plain::of("42").opening(), salt).unwrap();
        assert!(seen.insert(opened.client.0) && seen.insert(opened.session.0));
        assert_eq!(opened.slot, SessionSlot(0));
        table.close(opened.slot);
    }
}

#[test]
fn a_session_of_the_budget_takes_132_bytes() {
    let plain = Plain {
        uid: "db8bc772-2654-4283-851a-f29b888ace74".into(),
        issued_at: Some(1_767_225_000),
        meta: Some(vec![b'm'; 64]),
        remote_addr: Some(Ipv4Addr::LOCALHOST.into()),
        agent: "agent".into(),
        ..Plain::of("user123456")
    };
    let shared = Shared { app: Some(PairId(0)), agent: Some(TextId(0)) };
    assert_eq!(
        crate::session::record::write(&plain.opening(), shared, LabelRun::NONE, 0, NONE).len(),
        132
    );
    let plain = Plain::of("user123456");
    assert_eq!(
        crate::session::record::write(&plain.opening(), shared, LabelRun::NONE, 0, NONE).len(),
        41
    );
}
