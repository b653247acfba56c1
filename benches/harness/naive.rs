//! The obvious way to keep sessions: a struct for each.

use std::net::IpAddr;

use rollcall::ids::ConnId;
use rollcall::session::{Protocol, Transport};

use super::deal::user_of;
use super::population::{CONNECTED_AT_MS, META, address, agent, uuid};
use super::users::user;

/// A session as a struct with owned fields, to be kept in a map from its user.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "fields are there to be stored and loaded, not to be used")]
pub(crate) struct Naive {
    pub client: String,
    pub session: String,
    pub user: String,
    pub app_name: String,
    pub app_version: String,
    pub transport: Transport,
    pub protocol: Protocol,
    pub remote_addr: Option<IpAddr>,
    pub user_agent: String,
    pub token_uid: String,
    pub token_issued_at: Option<i64>,
    pub meta: Option<Vec<u8>>,
    pub connected_at_ms: u64,
    pub conn: ConnId,
}

/// The nth session with all that the budget counts.
pub(crate) fn session(n: u64, sessions: u64) -> Naive {
    Naive {
        client: uuid(n ^ 1 << 40),
        session: uuid(n ^ 1 << 41),
        user: user(user_of(n, sessions)),
        app_name: "ios".to_owned(),
        app_version: "1.2.3".to_owned(),
        transport: Transport::UniHttpStream,
        protocol: Protocol::Json,
        remote_addr: Some(address(n)),
        user_agent: agent(n).to_owned(),
        token_uid: uuid(n),
        token_issued_at: Some(1_767_225_000),
        meta: Some(META.to_vec()),
        connected_at_ms: CONNECTED_AT_MS + n,
        conn: ConnId { index: 0, generation: 1 },
    }
}
