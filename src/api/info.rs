//! `info`: this node, and how much it holds.

use super::answer::Merged;
use super::encode::Object;
use crate::observe::COUNTERS;

/// What is true of the whole node, whichever shard says it.
#[derive(Clone, Copy, Default, Debug)]
pub struct NodeFacts<'a> {
    /// Name of this run of the node.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The version it runs.
    pub version: &'a str,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Distinct users with sessions; all anonymous ones are one.
    pub users: u64,
    /// Rules by kind.
    pub rules: RuleFacts,
    /// The webhook, when there is one, and how old its oldest event is, in milliseconds.
    pub webhook: Option<(WebhookFacts, u64)>,
    /// What the configuration allows and whoever runs the node should know, in sentences.
    pub dangers: &'a [String],
}

/// What becomes of the events of sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WebhookFacts {
    /// Events that are stored and not delivered yet.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// When the oldest of them was stored, Unix milliseconds; 0 when there is none.
    pub oldest_ms: u64,
    /// Events stored by this run of the node.
    pub stored: u64,
    /// Events delivered by this run of the node.
    pub delivered: u64,
    /// Requests that failed, and were sent again.
    pub failures: u64,
    /// Events for which there was no room.
    pub lost: u64,
}

impl WebhookFacts {
    fn items(&self, oldest_age_ms: u64) -> [(&'static str, u64); 7] {
        let Self { waiting, waiting_bytes, stored, delivered, failures, lost, .. } = *self;
        [
            ("webhook_waiting", waiting),
            ("webhook_waiting_bytes", waiting_bytes),
            ("webhook_oldest_age_ms", oldest_age_ms),
            ("webhook_stored", stored),
            ("webhook_delivered", delivered),
            ("webhook_failures", failures),
            ("webhook_lost", lost),
        ]
    }

    /// How old the oldest event is.
    #[must_use]
    pub const fn oldest_age_ms(&self, now_ms: u64) -> u64 {
        if self.oldest_ms == 0 { 0 } else { now_ms.saturating_sub(self.oldest_ms) }
    }
}

/// Who is kept out of a node.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuleFacts {
    /// Blocked users.
    pub blocked: usize,
    /// Revoked tokens.
    pub revoked: usize,
    /// Users whose older tokens do not count.
    pub invalidated: usize,
    /// 1 while the store that several servers share cannot be read.
    pub stale: usize,
    /// 1 when the last that should be stored on this machine could not be.
    pub unstored: usize,
}

impl RuleFacts {
    fn items(&self) -> [(&'static str, usize); 5] {
        let Self { blocked, revoked, invalidated, stale, unstored } = *self;
        [
            ("rules_blocked", blocked),
            ("rules_revoked", revoked),
            ("rules_invalidated", invalidated),
            ("rules_stale", stale),
            ("rules_unstored", unstored),
        ]
    }
}

/// Writes the result: one `NodeResult`, in the order of its field numbers (`api.proto`).
pub(super) fn write(facts: &NodeFacts<'_>, merged: &Merged, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"nodes\":[");
    let mut node = Object::open(out);
    node.text("uid", facts.uid);
    node.text("name", facts.name);
    node.text("version", facts.version);
    node.integer("num_clients", merged.matched());
    node.integer("num_users", facts.users);
    node.integer("num_channels", 0);
    if facts.uptime_s > 0 {
        node.integer("uptime", facts.uptime_s);
    }
    if let Some(counters) = merged.counters() {
        let mut metrics = node.object("metrics");
        let mut items = metrics.object("items");
        for ((name, _), value) in COUNTERS.iter().zip(counters.values()) {
            items.integer(&format!("rollcall.{name}"), value);
        }
        for (name, value) in facts.rules.items() {
            items.integer(&format!("rollcall.{name}"), value as u64);
        }
        if let Some((webhook, oldest_age_ms)) = &facts.webhook {
            for (name, value) in webhook.items(*oldest_age_ms) {
                items.integer(&format!("rollcall.{name}"), value);
            }
        }
        items.close();
        metrics.close();
    }
    node.integer("num_subs", 0);
    node.close();
    out.push(b']');
    merged.write_partial(out);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Answer;
    use crate::observe::Counters;

    #[test]
    fn the_counters_of_all_shards_add_up() {
        let mut merged = Merged::default();
        for pings_sent in [5, 7] {
            merged.add(Answer::info(2, Counters { pings_sent, ..Counters::default() }));
        }
        let rules = RuleFacts { blocked: 3, ..RuleFacts::default() };
        let stored = WebhookFacts { waiting: 4, oldest_ms: 7_000, ..WebhookFacts::default() };
        let webhook = Some((stored, stored.oldest_age_ms(9_500)));
        let (uid, name, version) = ("u", "n", "v");
        let facts = NodeFacts { uid, name, version, rules, webhook, ..NodeFacts::default() };
        let mut out = Vec::new();
        write(&facts, &merged, &mut out);
        let out: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let node = &out["nodes"][0];
        assert_eq!(node["num_clients"], 4);
        assert_eq!(node["metrics"]["items"]["rollcall.pings_sent"], 12);
        assert_eq!(node["metrics"]["items"]["rollcall.rules_blocked"], 3);
        assert_eq!(node["metrics"]["items"]["rollcall.webhook_waiting"], 4);
        assert_eq!(node["metrics"]["items"]["rollcall.webhook_oldest_age_ms"], 2_500);
        let items = node["metrics"]["items"].as_object().unwrap().len();
        assert_eq!(items, COUNTERS.len() + rules.items().len() + stored.items(0).len());
        assert_eq!(node.get("uptime"), None);
    }
}
