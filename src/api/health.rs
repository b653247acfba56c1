//! What is not well with a node, in sentences for whoever runs it.

use super::encode::Object;
use super::info::NodeFacts;
use super::node_stats::{Carrier, SESSIONS_TELLING, ShardStats};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// Somebody should know.
    Warning,
    /// Somebody should act.
    Error,
}

/// One thing that is not well.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Finding {
    level: Level,
    what: String,
}

/// Of a limit, in percent: from here on it is told, and from here on somebody should act.
const NEAR_PERCENT: (u64, u64) = (80, 95);

/// An event of a webhook that waits for longer is told.
const EVENT_AGE_MS: u64 = 60_000;

impl Finding {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        let level = match self.level {
            Level::Warning => "warning",
            Level::Error => "error",
        };
        object.word("level", level);
        object.text("what", &self.what);
        object.close();
    }
}

/// All that is not well, the worst first. `missing` is a mask of shards that did not answer.
pub(super) fn look(facts: &NodeFacts<'_>, shards: &[&ShardStats], missing: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    answers(shards, missing, &mut findings);
    node(facts, &mut findings);
    limits(shards, &mut findings);
    spread(shards, &mut findings);
    // Stable: what is as bad stays in its order.
    findings.sort_by_key(|finding| finding.level == Level::Warning);
    findings
}

fn answers(shards: &[&ShardStats], missing: u64, findings: &mut Vec<Finding>) {
    for shard in (0..u64::BITS).filter(|shard| missing & (1 << shard) != 0) {
        let what = format!("shard {shard} did not answer in time: these figures lack its part");
        findings.push(Finding { level: Level::Error, what });
    }
    let panics: u64 = shards.iter().map(|shard| shard.counters.panics).sum();
    if panics > 0 {
        let what =
            format!("{panics} panics have been caught: please report what the log says of them");
        findings.push(Finding { level: Level::Error, what });
    }
}

fn node(facts: &NodeFacts<'_>, findings: &mut Vec<Finding>) {
    if facts.rules.stale > 0 {
        let what = "the store that servers share cannot be read: who was blocked elsewhere since \
                    then still gets in here";
        findings.push(Finding { level: Level::Error, what: what.to_owned() });
    }
    if facts.rules.unstored > 0 {
        let what = "the last rule or status could not be stored on this machine: is its disk full?";
        findings.push(Finding { level: Level::Error, what: what.to_owned() });
    }
    webhook(facts, findings);
    for danger in facts.dangers {
        findings.push(Finding { level: Level::Warning, what: danger.clone() });
    }
}

fn webhook(facts: &NodeFacts<'_>, findings: &mut Vec<Finding>) {
    let Some((webhook, oldest_age_ms)) = facts.webhook else { return };
    if webhook.lost > 0 {
        let lost = webhook.lost;
        let what =
            format!("{lost} events of the webhook were lost because there was no room for them");
        findings.push(Finding { level: Level::Error, what });
    }
    if oldest_age_ms >= EVENT_AGE_MS {
        let seconds = oldest_age_ms / 1_000;
        let what =
            format!("an event of the webhook has waited for {seconds} seconds to be delivered");
        findings.push(Finding { level: Level::Warning, what });
    }
}

fn limits(shards: &[&ShardStats], findings: &mut Vec<Finding>) {
    let Some(process) = shards.iter().find_map(|shard| shard.process) else { return };
    if let (Some(level), Some(max)) =
        (near(process.rss_bytes, process.memory_bytes_max), process.memory_bytes_max)
    {
        let (used, max) = (process.rss_bytes >> 20, max >> 20);
        let what = format!(
            "{used} of {max} MiB of memory are used: beyond it the kernel ends the process"
        );
        findings.push(Finding { level, what });
    }
    let connections: u64 = shards.iter().map(|shard| shard.connections).sum();
    if let (Some(level), Some(max)) =
        (near(connections, process.descriptors_max), process.descriptors_max)
    {
        let what =
            format!("{connections} connections, and at most {max} descriptors: raise LimitNOFILE");
        findings.push(Finding { level, what });
    }
}

/// How bad it is to use so much, if it is.
fn near(used: u64, max: Option<u64>) -> Option<Level> {
    let percent = used.saturating_mul(100) / max?.max(1);
    let (warning, error) = NEAR_PERCENT;
    if percent >= error {
        Some(Level::Error)
    } else if percent >= warning {
        Some(Level::Warning)
    } else {
        None
    }
}

fn spread(shards: &[&ShardStats], findings: &mut Vec<Finding>) {
    if shards.iter().any(|shard| shard.carrier == Some(Carrier::EpollInstead)) {
        let what = "shards run on epoll because io_uring is missing or forbidden here: all works, \
                    for more processor time";
        findings.push(Finding { level: Level::Warning, what: what.to_owned() });
    }
    let sessions: u64 = shards.iter().map(|shard| shard.sessions).sum();
    let Some(fullest) = shards.iter().max_by_key(|shard| shard.sessions) else { return };
    if sessions >= SESSIONS_TELLING && fullest.sessions * shards.len() as u64 > 2 * sessions {
        let (shard, most) = (fullest.shard, fullest.sessions);
        let what =
            format!("shard {shard} holds {most} of {sessions} sessions, more than twice its share");
        findings.push(Finding { level: Level::Warning, what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::node_stats::ProcessUse;
    use crate::api::{RuleFacts, WebhookFacts};
    use crate::ids::ShardId;
    use crate::observe::{Counters, Spread};

    fn shard(index: usize, sessions: u64) -> ShardStats {
        ShardStats {
            shard: ShardId::new(index),
            sessions,
            users: 0,
            connections: sessions,
            counters: Counters::default(),
            requests: Spread::default(),
            carrier: Some(Carrier::IoUring),
            process: None,
        }
    }

    fn process(rss_bytes: u64, descriptors_max: u64) -> Option<ProcessUse> {
        Some(ProcessUse {
            rss_bytes,
            rss_start_bytes: 0,
            memory_bytes_max: Some(100 << 20),
            descriptors_max: Some(descriptors_max),
        })
    }

    #[track_caller]
    fn check(
        shards: &[ShardStats],
        (facts, missing): (&NodeFacts<'_>, u64),
        expected: &[(Level, &str)],
    ) {
        let shards: Vec<_> = shards.iter().collect();
        let found = look(facts, &shards, missing);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, (level, what)) in found.iter().zip(expected) {
            assert!(finding.level == *level && finding.what.contains(what), "{found:?}");
        }
    }

    #[test]
    fn what_is_well_is_not_told() {
        let well = [shard(0, 1_200), shard(1, 800)];
        check(&well, (&NodeFacts::default(), 0), &[]);
        check(&[shard(0, 999), shard(1, 0), shard(2, 0)], (&NodeFacts::default(), 0), &[]);
        let roomy = ShardStats { process: process(79 << 20, 10_000), ..shard(0, 100) };
        check(&[roomy], (&NodeFacts::default(), 0), &[]);
    }

    #[test]
    fn each_thing_that_is_not_well_is_told_the_worst_first() {
        let facts = NodeFacts::default();
        let (warning, error) = (Level::Warning, Level::Error);
        check(&[shard(0, 1)], (&facts, 0b110), &[(error, "shard 1 did"), (error, "shard 2 did")]);
        let full =
            |rss: u64, max| [ShardStats { process: process(rss << 20, max), ..shard(0, 900) }];
        check(&full(80, 10_000), (&facts, 0), &[(warning, "80 of 100 MiB")]);
        check(&full(95, 10_000), (&facts, 0), &[(error, "95 of 100 MiB")]);
        check(&full(1, 1_100), (&facts, 0), &[(warning, "900 connections, and at most 1100")]);
        check(&full(95, 1_100), (&facts, 0), &[(error, "MiB"), (warning, "LimitNOFILE")]);
        let uneven = [shard(0, 100), shard(1, 100), shard(2, 1_000)];
        check(&uneven, (&facts, 0), &[(warning, "shard 2 holds 1000 of 1200 sessions")]);
        let slow = ShardStats { carrier: Some(Carrier::EpollInstead), ..shard(0, 0) };
        check(&[slow], (&facts, 0), &[(warning, "epoll")]);
        let counters = Counters { panics: 2, ..Counters::default() };
        check(&[ShardStats { counters, ..shard(0, 0) }], (&facts, 0), &[(error, "2 panics")]);
        let behind = WebhookFacts { lost: 3, ..WebhookFacts::default() };
        let webhook = Some((behind, 60_000));
        let told = [(error, "3 events of the webhook"), (warning, "waited for 60 seconds")];
        check(&[], (&NodeFacts { webhook, ..facts }, 0), &told);
        let webhook = Some((WebhookFacts::default(), 59_999));
        check(&[], (&NodeFacts { webhook, ..facts }, 0), &[]);
        let rules = RuleFacts { unstored: 1, ..RuleFacts::default() };
        check(&[], (&NodeFacts { rules, ..facts }, 0), &[(error, "could not be stored")]);
        let rules = RuleFacts { stale: 1, ..RuleFacts::default() };
        let facts = NodeFacts { rules, dangers: &["INSECURE".to_owned()], ..facts };
        check(&[], (&facts, 0), &[(error, "cannot be read"), (warning, "INSECURE")]);
    }
}
