//! Statuses of users as Redis keeps them: a hash for each user, which Redis forgets by itself.

use compact_str::CompactString;
use redis::{Connection, RedisResult};

use super::link::SharedOptions;
use crate::api::{StatusOrder, UserStatus};

/// Users in one command.
const USERS_AT_ONCE: usize = 1_000;

/// They are active now. `ARGV`: now, seconds it is kept, and perhaps their state.
const UPDATE: &str = r"
for _, key in ipairs(KEYS) do
  local active = tonumber(redis.call('HGET', key, 'active')) or 0
  redis.call('HSET', key, 'active', math.max(active, tonumber(ARGV[1])))
  if ARGV[3] == '' then redis.call('HDEL', key, 'state')
  elseif ARGV[3] then redis.call('HSET', key, 'state', ARGV[3]) end
  redis.call('EXPIRE', key, ARGV[2])
end
";

/// They were here at a time. `ARGV`: seconds it is kept, and a time for each.
const LEFT: &str = r"
for at, key in ipairs(KEYS) do
  local online = tonumber(redis.call('HGET', key, 'online')) or 0
  redis.call('HSET', key, 'online', math.max(online, tonumber(ARGV[at + 1])))
  redis.call('EXPIRE', key, ARGV[1])
end
";

/// What is known of them.
const GET: &str = r"
local told = {}
for at, key in ipairs(KEYS) do told[at] = redis.call('HMGET', key, 'active', 'online', 'state') end
return told
";

/// Statuses in one Redis.
pub(super) struct Statuses {
    /// What the name of each key begins with.
    prefix: String,
    kept_s: u64,
}

impl Statuses {
    pub(super) fn new(options: &SharedOptions, kept_s: u64) -> Self {
        Self { prefix: options.key("user_status."), kept_s }
    }

    /// Changes them, or tells them.
    pub(super) fn order(
        &self,
        connection: &mut Connection,
        order: &StatusOrder,
        now_s: i64,
    ) -> RedisResult<Vec<UserStatus>> {
        let keys: Vec<String> = order.users().iter().map(|user| self.key(user)).collect();
        match order {
            StatusOrder::Get { .. } => {
                type Known = (Option<i64>, Option<i64>, Option<String>);
                let told: Vec<Known> =
                    redis::cmd("EVAL").arg(GET).arg(keys.len()).arg(keys).query(connection)?;
                Ok(told
                    .into_iter()
                    .map(|(active, online, state)| UserStatus {
                        active: active.unwrap_or(0),
                        online: online.unwrap_or(0),
                        state: state.unwrap_or_default().into(),
                    })
                    .collect())
            }
            StatusOrder::Update { state, .. } => {
                let mut command = redis::cmd("EVAL");
                command.arg(UPDATE).arg(keys.len()).arg(keys).arg(now_s).arg(self.kept_s);
                command.arg(state.as_deref());
                command.query::<()>(connection)?;
                Ok(Vec::new())
            }
            StatusOrder::Delete { .. } => {
                redis::cmd("DEL").arg(keys).query::<()>(connection)?;
                Ok(Vec::new())
            }
        }
    }

    /// Notes when users left.
    pub(super) fn leave(
        &self,
        connection: &mut Connection,
        left: &[(CompactString, i64)],
    ) -> RedisResult<()> {
        for some in left.chunks(USERS_AT_ONCE) {
            let mut command = redis::cmd("EVAL");
            command.arg(LEFT).arg(some.len());
            for (user, _) in some {
                command.arg(self.key(user));
            }
            command.arg(self.kept_s);
            for (_, at_s) in some {
                command.arg(at_s);
            }
            command.query::<()>(connection)?;
        }
        Ok(())
    }

    fn key(&self, user: &str) -> String {
        format!("{}{user}", self.prefix)
    }
}
