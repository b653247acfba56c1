//! Rules as Redis keeps them, and what nodes tell each other about them through it.
//!
//! | key | what |
//! |---|---|
//! | `rules` | a hash: the number of the last change, and the epoch that numbers belong to |
//! | `changes` | a stream: the last changes, each with its number as its id |
//! | `user_block`, `token_revoke`, `user_tokens_invalidate` | sorted sets: ids by the end of their rule |
//! | `user_tokens_invalidate.issued_before` | a hash: times by user |
//!
//! A rule, its number and its announcement are one script, which Redis runs as a whole. Changes
//! have numbers without gaps: whoever misses one knows. When the hash was lost, the epoch differs.

use std::collections::HashMap;

use redis::{Connection, FromRedisValue, RedisError, RedisResult, Value};

use super::link::SharedOptions;
use crate::auth::{Rule, RuleKind, Until};

/// Changes that stay in the stream, about: who has missed more reads everything again.
const CHANGES_KEPT: u32 = 10_000;

/// Changes taken at once.
const CHANGES_AT_ONCE: u32 = 256;

/// Rules read, or forgotten, at once.
const RULES_AT_ONCE: usize = 1_000;

/// Stores a rule and announces it. Returns the epoch and the number of the change.
///
/// The number comes first: when something of the rest is refused a number is missing, and everybody
/// reads what there is.
const KEEP: &str = r"
local kind, id, over, before = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[6])
local number = redis.call('HINCRBY', KEYS[1], 'number', 1)
if kind == 'invalidate' then redis.call('HSET', KEYS[4], id, before) end
if kind == 'unblock' then redis.call('ZREM', KEYS[3], id)
else redis.call('ZADD', KEYS[3], over, id) end
local function announce()
  return redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], number .. '-0',
    'epoch', redis.call('HGET', KEYS[1], 'epoch'),
    'by', ARGV[5], 'kind', kind, 'id', id, 'over', over, 'before', before)
end
local said = announce()
if type(said) == 'table' and said.err then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[6])
  said = announce()
  if type(said) == 'table' and said.err then return said end
end
return {redis.call('HGET', KEYS[1], 'epoch'), number}
";

/// Forgets rules that have ended, some at a time. Returns how many.
const SWEEP: &str = r"
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(over) do
  redis.call('ZREM', KEYS[1], id)
  if KEYS[2] then redis.call('HDEL', KEYS[2], id) end
end
return #over
";

/// How far somebody has read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::control) struct Position {
    /// Other numbers begin with another epoch.
    pub(super) epoch: String,
    /// Of the last change; 0 before the first.
    pub(super) number: u64,
}

impl Position {
    /// Whether whoever has read up to `other` has read this too.
    pub(in crate::control) fn is_within(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.number <= other.number
    }
}

/// A rule that somebody has made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) at: Position,
    /// What its maker wants to know it by.
    pub(super) by: String,
    pub(super) rule: Rule,
}

/// Rules in one Redis.
pub(super) struct RuleKeys {
    head: String,
    changes: String,
    blocked: String,
    revoked: String,
    invalidated: String,
    issued_before: String,
}

impl RuleKeys {
    pub(super) fn new(options: &SharedOptions) -> Self {
        Self {
            head: options.key("rules"),
            changes: options.key("changes"),
            blocked: options.key("user_block"),
            revoked: options.key("token_revoke"),
            invalidated: options.key("user_tokens_invalidate"),
            issued_before: options.key("user_tokens_invalidate.issued_before"),
        }
    }

    const fn set(&self, kind: RuleKind) -> &String {
        match kind {
            RuleKind::Blocked => &self.blocked,
            RuleKind::Revoked => &self.revoked,
            RuleKind::Invalidated => &self.invalidated,
        }
    }

    /// Stores a rule and tells everybody, all or nothing. Returns which change it is.
    pub(super) fn keep(
        &self,
        connection: &mut Connection,
        rule: &Rule,
        by: &str,
        now_s: i64,
    ) -> RedisResult<Position> {
        let (kind, over, before) = match rule {
            Rule::Block { until, .. } => ("block", *until, 0),
            Rule::Unblock { .. } => ("unblock", Until::FOREVER, 0),
            Rule::Revoke { until, .. } => ("revoke", *until, 0),
            Rule::Invalidate { issued_before, until, .. } => {
                ("invalidate", *until, issued_before.unwrap_or(now_s))
            }
        };
        let (epoch, number) = redis::cmd("EVAL")
            .arg(KEEP)
            .arg(4)
            .arg(&self.head)
            .arg(&self.changes)
            .arg(self.set(rule.kind()))
            .arg(&self.issued_before)
            .arg(kind)
            .arg(rule.id().as_str())
            .arg(score(over))
            .arg(before)
            .arg(by)
            // Whatever nobody has used before.
            .arg(format!("{by} {now_s}"))
            .arg(CHANGES_KEPT)
            .query(connection)?;
        Ok(Position { epoch, number })
    }

    /// Where the changes are now.
    pub(super) fn position(&self, connection: &mut Connection) -> RedisResult<Position> {
        let (epoch, number): (Option<String>, Option<u64>) =
            redis::cmd("HMGET").arg(&self.head).arg("epoch").arg("number").query(connection)?;
        Ok(Position { epoch: epoch.unwrap_or_default(), number: number.unwrap_or(0) })
    }

    /// Tells every rule of a kind, some of them perhaps twice.
    pub(super) fn tell_all(
        &self,
        connection: &mut Connection,
        kind: RuleKind,
        mut tell: impl FnMut(Rule),
    ) -> RedisResult<()> {
        let mut cursor = 0_u64;
        loop {
            let (next, found): (u64, Vec<(String, f64)>) = redis::cmd("ZSCAN")
                .arg(self.set(kind))
                .arg(cursor)
                .arg("COUNT")
                .arg(RULES_AT_ONCE)
                .query(connection)?;
            let befores = match kind {
                RuleKind::Invalidated if !found.is_empty() => self.befores(connection, &found)?,
                RuleKind::Blocked | RuleKind::Revoked | RuleKind::Invalidated => Vec::new(),
            };
            for (at, (id, over)) in found.into_iter().enumerate() {
                let (id, until) = (id.into(), until(over));
                let issued_before = befores.get(at).copied().flatten();
                tell(match kind {
                    RuleKind::Blocked => Rule::Block { user: id, until },
                    RuleKind::Revoked => Rule::Revoke { uid: id, until },
                    // Taken back between the two questions: no token is older than that.
                    RuleKind::Invalidated => Rule::Invalidate {
                        user: id,
                        issued_before: issued_before.or(Some(i64::MIN)),
                        until,
                    },
                });
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn befores(
        &self,
        connection: &mut Connection,
        users: &[(String, f64)],
    ) -> RedisResult<Vec<Option<i64>>> {
        let mut command = redis::cmd("HMGET");
        command.arg(&self.issued_before);
        for (user, _) in users {
            command.arg(user);
        }
        command.query(connection)
    }

    /// The changes behind a number, in order. Waits for one for so long; none are an empty list.
    pub(super) fn changes(
        &self,
        connection: &mut Connection,
        after: u64,
        block_ms: u64,
    ) -> RedisResult<Vec<Change>> {
        type Entries = Vec<(String, Vec<(String, Value)>)>;
        let streams: Option<Entries> = redis::cmd("XREAD")
            .arg("COUNT")
            .arg(CHANGES_AT_ONCE)
            .arg("BLOCK")
            .arg(block_ms)
            .arg("STREAMS")
            .arg(&self.changes)
            .arg(format!("{after}-0"))
            .query(connection)?;
        let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries);
        entries
            .map(|(id, fields)| {
                let fields = HashMap::from_redis_value(fields)?;
                change(&id, &fields).ok_or_else(unreadable)
            })
            .collect()
    }

    /// Forgets rules of a kind that have ended. Returns whether there may be more.
    pub(super) fn sweep(
        &self,
        connection: &mut Connection,
        kind: RuleKind,
        now_s: i64,
    ) -> RedisResult<bool> {
        let times = (kind == RuleKind::Invalidated).then_some(&self.issued_before);
        let swept: usize = redis::cmd("EVAL")
            .arg(SWEEP)
            .arg(1 + usize::from(times.is_some()))
            .arg(self.set(kind))
            .arg(times)
            .arg(now_s)
            .arg(RULES_AT_ONCE)
            .query(connection)?;
        Ok(swept == RULES_AT_ONCE)
    }
}

fn change(id: &str, fields: &HashMap<String, String>) -> Option<Change> {
    let field = |name: &str| fields.get(name).map(String::as_str);
    let number = id.strip_suffix("-0")?.parse().ok()?;
    let at = Position { epoch: field("epoch")?.to_owned(), number };
    let id = field("id")?.into();
    let until = until(field("over")?.parse().ok()?);
    let rule = match field("kind")? {
        "block" => Rule::Block { user: id, until },
        "unblock" => Rule::Unblock { user: id },
        "revoke" => Rule::Revoke { uid: id, until },
        "invalidate" => {
            let issued_before = Some(field("before")?.parse().ok()?);
            Rule::Invalidate { user: id, issued_before, until }
        }
        _ => return None,
    };
    Some(Change { at, by: field("by")?.to_owned(), rule })
}

fn unreadable() -> RedisError {
    let why = "the stream of changes holds what no node has written: another prefix is needed";
    RedisError::from((redis::ErrorKind::UnexpectedReturnType, why))
}

/// Seconds that a double holds exactly; what ends later does not end.
const SCORE_MAX: i64 = 1 << 53;

fn score(until: Until) -> String {
    match until.unix_s() {
        unix_s if unix_s > SCORE_MAX => "inf".to_owned(),
        unix_s => unix_s.to_string(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
fn until(score: f64) -> Until {
    if score.is_finite() { Until::at(score as i64) } else { Until::FOREVER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_rule_survives_as_a_score() {
        for unix_s in [0, 1, 1_800_000_000, SCORE_MAX] {
            let end = Until::at(unix_s);
            assert_eq!(until(score(end).parse().unwrap()), end);
        }
        for end in [Until::FOREVER, Until::at(SCORE_MAX + 1)] {
            assert_eq!(until(score(end).parse().unwrap()), Until::FOREVER);
        }
    }

    #[test]
    fn numbers_of_another_epoch_say_nothing() {
        let at = |epoch: &str, number| Position { epoch: epoch.to_owned(), number };
        assert!(at("a", 3).is_within(&at("a", 3)));
        assert!(!at("a", 4).is_within(&at("a", 3)));
        assert!(!at("b", 1).is_within(&at("a", 3)));
    }

    #[track_caller]
    fn check(id: &str, said: &str, rule: Option<Rule>) {
        let fields = said.split(' ').filter_map(|field| field.split_once('='));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let read = change(id, &fields);
        let at = Position { epoch: "e".to_owned(), number: 7 };
        assert_eq!(read, rule.map(|rule| Change { at, by: "b".to_owned(), rule }), "{said}");
    }

    #[test]
    fn a_change_is_read_as_it_was_written_and_nothing_else_is() {
        let until = Until::at(9);
        let block = Rule::Block { user: "42".into(), until };
        check("7-0", "epoch=e by=b kind=block id=42 over=9 before=0", Some(block));
        let unblock = Rule::Unblock { user: "42".into() };
        check("7-0", "epoch=e by=b kind=unblock id=42 over=inf before=0", Some(unblock));
        let revoke = Rule::Revoke { uid: "t".into(), until: Until::FOREVER };
        check("7-0", "epoch=e by=b kind=revoke id=t over=inf before=0", Some(revoke));
        let old = Rule::Invalidate { user: "42".into(), issued_before: Some(5), until };
        check("7-0", "epoch=e by=b kind=invalidate id=42 over=9 before=5", Some(old));
        check("7-1", "epoch=e by=b kind=revoke id=t over=inf before=0", None);
        check("7-0", "epoch=e by=b kind=other id=t over=inf before=0", None);
        check("7-0", "epoch=e by=b kind=block id=t before=0", None);
    }
}
