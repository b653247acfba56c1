//! Which Redis is shared: one for everything, whichever section says so.

use super::table::Config;
use crate::control::shared::{SharedAddress, SharedOptions};
use crate::control::store::Storage;

/// Where Redis is when nobody says it.
const ADDRESS: &str = "127.0.0.1:6379";

impl Config {
    /// The store of what is kept as `redis`, when something is.
    ///
    /// # Errors
    /// The option that says what cannot be, and what is wrong with it.
    pub fn shared_store(&self) -> Result<Option<SharedOptions>, (&'static str, String)> {
        let kinds = [
            (
                self.user_block.storage_type,
                "user_block.redis.address",
                &self.user_block.redis.address,
            ),
            (
                self.token_revoke.storage_type,
                "token_revoke.redis.address",
                &self.token_revoke.redis.address,
            ),
            (
                self.user_tokens_invalidate.storage_type,
                "user_tokens_invalidate.redis.address",
                &self.user_tokens_invalidate.redis.address,
            ),
            (
                self.user_status.storage_type,
                "user_status.redis.address",
                &self.user_status.redis.address,
            ),
        ];
        let is_shared = |storage: Storage| storage == Storage::Redis;
        if !kinds.iter().any(|(storage, ..)| is_shared(*storage)) {
            return Ok(None);
        }
        let redis = &self.storage.redis;
        let own = ("storage.redis.address", redis.address.expose());
        let said = kinds.iter().filter(|(storage, ..)| is_shared(*storage));
        let said = said.map(|(_, path, address)| (*path, address.expose()));
        let mut said = std::iter::once(own).chain(said).filter(|(_, address)| !address.is_empty());
        let (path, address) = said.next().unwrap_or((own.0, ADDRESS));
        if let Some((other, _)) = said.find(|(_, other)| *other != address) {
            return Err((other, format!("differs from {path}: everything is shared in one Redis")));
        }
        let said = SharedAddress {
            address,
            user: &redis.user,
            password: redis.password.expose(),
            db: redis.db,
        };
        let timeouts = (redis.connect_timeout, redis.io_timeout);
        let options = SharedOptions::new(said, &redis.prefix, timeouts);
        options.map(Some).map_err(|what| (path, what))
    }
}
