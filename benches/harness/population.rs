//! The sessions that the session benchmarks are run with.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rollcall::ids::{ConnId, ShardId, uuid_text};
use rollcall::session::{IdKeys, Opened, Opening, Protocol, Table, Transport, UserHasher};

use super::deal::user_of;
use super::random::random;
use super::users::user;

/// Of `meta`, in a session of the budget.
pub(crate) const META_BYTES: usize = 64;

const SEEDS: [u64; 4] = [11, 22, 33, 44];
pub(crate) const CONNECTED_AT_MS: u64 = 1_767_225_600_123;
pub(crate) const META: [u8; META_BYTES] = [b'm'; META_BYTES];

/// What clients say they are.
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
    "Go-http-client/1.1",
];

/// What each session carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Load {
    /// A user of 10 bytes, "ios", "1.2.3", an IPv4 address, a user agent, iat, a UUID as jti, 64
    /// bytes of meta.
    Budget,
    /// A user of 10 bytes and nothing else that the client or its token chose to say.
    Plain,
    /// As `Budget`, with three labels: a region of 8, a plan of 3, and a device that a hundred
    /// sessions share.
    Labelled,
}

/// The hasher of every table here.
pub(crate) fn hasher() -> UserHasher {
    UserHasher::new(SEEDS)
}

/// An empty table.
pub(crate) fn table() -> Table {
    let keys = *b"0123456789abcdefghijklmnopqrstuv";
    Table::new(ShardId::new(0), IdKeys::new(keys), hasher())
}

/// Opens the nth session.
pub(crate) fn open(table: &mut Table, load: Load, n: u64, sessions: u64) -> Opened {
    Newcomer::new(load, n, sessions).open(table)
}

/// Who opens a session.
pub(crate) struct Newcomer {
    load: Load,
    n: u64,
    user: String,
    uid: String,
    labels: BTreeMap<String, String>,
}

impl Newcomer {
    /// The nth of `sessions`.
    pub(crate) fn new(load: Load, n: u64, sessions: u64) -> Self {
        let labels = if load == Load::Labelled { labels(n) } else { BTreeMap::new() };
        Self { load, n, user: user(user_of(n, sessions)), uid: uuid(n), labels }
    }

    pub(crate) fn open(&self, table: &mut Table) -> Opened {
        let Self { load, n, .. } = *self;
        let index = u32::try_from(n % (1 << 32)).expect("the lower half");
        let plain = Opening {
            user: &self.user,
            app_name: "",
            app_version: "",
            transport: Transport::UniHttpStream,
            protocol: Protocol::Json,
            remote_addr: None,
            user_agent: "",
            token_uid: "",
            token_issued_at: None,
            meta: None,
            labels: &self.labels,
            connected_at_ms: CONNECTED_AT_MS + n,
            conn: ConnId { index, generation: 1 },
        };
        let opening = match load {
            Load::Plain => plain,
            Load::Budget | Load::Labelled => Opening {
                app_name: "ios",
                app_version: "1.2.3",
                remote_addr: Some(address(n)),
                user_agent: agent(n),
                token_uid: &self.uid,
                token_issued_at: Some(1_767_225_000),
                meta: Some(&META),
                ..plain
            },
        };
        table.open(&opening, random(n)).expect("there is room")
    }
}

fn labels(n: u64) -> BTreeMap<String, String> {
    let labels = [
        ("region", format!("region-{}", random(n) % 8)),
        ("plan", ["free", "pro", "team"][(n % 3) as usize].to_owned()),
        ("device", format!("device-{}", n / 100)),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(crate) fn address(n: u64) -> IpAddr {
    let [a, b, c, d, ..] = random(n).to_le_bytes();
    IpAddr::from([a, b, c, d])
}

pub(crate) const fn agent(n: u64) -> &'static str {
    let [low, ..] = n.to_le_bytes();
    AGENTS[low as usize % AGENTS.len()]
}

pub(crate) fn uuid(n: u64) -> String {
    let bytes = ((u128::from(random(n)) << 64) | u128::from(random(!n))).to_be_bytes();
    String::from_utf8(uuid_text(&bytes).to_vec()).expect("digits and hyphens")
}
