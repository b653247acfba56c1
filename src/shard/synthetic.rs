//! Sessions that no client holds, for load tests of an index with millions in it: they are listed
//! and closed like any other, but have no socket, hear nothing and cost what a record costs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use rand::Rng;

use super::Shard;
use crate::ids::{ConnId, uuid_text};
use crate::session::{Opening, Protocol, Transport};
use crate::time::Now;

/// The most sessions one user has: listing them takes one reply of some hundred kilobytes.
const SESSIONS_PER_USER_MAX: u64 = 1_000;

/// A connection that no place in a table of connections has: what is asked of it finds nobody.
const NOBODY: ConnId = ConnId { index: u32::MAX, generation: u32::MAX };

/// 64 bytes: what the memory budget allows for.
const META: &str = r#"{"plan":"pro","region":"eu-west-1","device":"phone","build":123}"#;

/// Names and versions clients give themselves, from the most to the least used.
const APPS: [(&str, &str); 4] =
    [("ios", "1.2.3"), ("android", "1.2.3"), ("web", "7.0.0"), ("ios", "1.2.2")];

const AGENTS: [&str; 4] = [
    "Rollcall/1.2.3 (iPhone; iOS 26.1)",
    "Rollcall/1.2.3 (Android 16; Pixel 10)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Rollcall/1.2.2 (iPhone; iOS 26.0)",
];

/// How many of `sessions` in all the user of this rank has, by Zipf's law with exponent 1: the
/// user of rank 2 has half as many as that of rank 1, until one is left for each. Ranks begin
/// at 1; the last user has what is left over.
fn sessions_of(rank: u64, sessions: u64) -> u64 {
    (sessions / 10 / rank).clamp(1, SESSIONS_PER_USER_MAX)
}

/// The user of this rank, in 10 bytes.
fn user_of(rank: u64) -> String {
    format!("s{rank:09}")
}

/// The sessions that a node is filled with, over all shards.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Synthetic {
    /// How many.
    pub sessions: u64,
    /// Whether they have labels.
    pub labelled: bool,
}

const PLANS: [&str; 3] = ["free", "pro", "team"];

impl Synthetic {
    /// Labels of the nth session of the node: one of 8 regions, one of 3 plans, a device that 100
    /// sessions share.
    fn labels_of(self, n: u64) -> BTreeMap<String, String> {
        if !self.labelled {
            return BTreeMap::new();
        }
        let plan = usize::try_from(n % 3).expect("below 3");
        let (region, device) = (format!("region-{}", n / 3 % 8), format!("d{:07}", n / 100));
        [("region", region), ("plan", PLANS[plan].to_owned()), ("device", device)]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
    }
}

impl Shard {
    /// Opens this shard's part of the node's synthetic sessions. The sessions of a user are dealt to
    /// all shards in turn.
    pub(super) fn open_synthetic(&mut self, synthetic: Synthetic, now: Now) {
        let sessions = synthetic.sessions;
        let (this, shards) = (self.id.index() as u64, self.shards as u64);
        let (mut n, mut rank) = (0, 1);
        while n < sessions {
            let end = sessions.min(n + sessions_of(rank, sessions));
            // The first of this user's sessions that is ours, if one is.
            let first = n + (this + shards - n % shards) % shards;
            if first < end {
                let user = user_of(rank);
                for n in (first..end).step_by(self.shards) {
                    self.open_one(&user, n, &synthetic.labels_of(n), now);
                }
            }
            (n, rank) = (end, rank + 1);
        }
    }

    fn open_one(&mut self, user: &str, n: u64, labels: &BTreeMap<String, String>, now: Now) {
        let mut uid = [0; 16];
        self.rng.fill_bytes(&mut uid);
        let uid = uuid_text(&uid);
        // Half of all sessions have the first app, a quarter the second, and so on.
        let kind = (n.trailing_ones() as usize).min(APPS.len() - 1);
        let (app_name, app_version) = APPS[kind];
        let opening = Opening {
            user,
            app_name,
            app_version,
            transport: Transport::WebSocket,
            protocol: Protocol::Json,
            token_uid: std::str::from_utf8(&uid).expect("hex digits and hyphens"),
            token_issued_at: Some(now.unix_s()),
            remote_addr: Some(IpAddr::V4(Ipv4Addr::from_bits(self.rng.next_u32()))),
            user_agent: AGENTS[kind],
            meta: Some(META.as_bytes()),
            labels,
            connected_at_ms: now.unix_ms,
            conn: NOBODY,
        };
        let salt = self.rng.next_u64() >> 1;
        let opened = self.table.open(&opening, salt);
        // The option's limit is far below what a table holds.
        let opened = opened.expect("a shard holds nine hundred million sessions");
        let hash = self.hasher.hash(user);
        // Nobody came for it, and it has its seat all the same: it leaves one when it ends.
        let _no_limit = self.admission.take_seat(hash, 0);
        self.enlist(&opened, hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_sessions_by_zipfs_law_until_one_is_left_for_each() {
        let counts = [1, 2, 3, 50, 51, 1_000].map(|rank| sessions_of(rank, 1_000));
        assert_eq!(counts, [100, 50, 33, 2, 1, 1]);
        assert_eq!(sessions_of(1, 100_000_000), SESSIONS_PER_USER_MAX);
    }

    #[test]
    fn the_session_of_the_memory_budget_is_what_is_opened() {
        assert_eq!(META.len(), 64);
        assert_eq!(user_of(123_456_789).len(), 10);
    }
}
