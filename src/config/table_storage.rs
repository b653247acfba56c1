//! The options of what outlives the process. A part of the table in `table`.

use std::time::Duration;

use super::declare::{Declared, declared_at, dotted, options, place, section};
use super::setting::{Secret, Setting};
use super::table_redis::RedisOfKind;
use crate::control::store::Storage;

options! {
    /// What outlives the process.
    StorageFile at (storage) with { redis: StorageRedis } {
        /// File of what is stored as `embedded`; made when there is something to store. One
        /// server has it at a time.
        path: String = "rollcall.redb".to_owned(), [], [];
    }

    /// Where what is stored as `redis` is: one Redis (5 or later, no cluster) for all servers that
    /// share it.
    StorageRedis at (storage.redis) {
        /// `host:port`, `redis://user:password@host:port/db` or `unix:///path`. Empty:
        /// `127.0.0.1:6379`. TLS is not supported.
        address: Secret = Secret::default(), [], [];
        /// User to log in as. Empty: that of the address.
        user: String = String::new(), [], [];
        /// Their password. Empty: that of the address.
        password: Secret = Secret::default(), [], [];
        /// Number of the database. 0: that of the address.
        db: u32 = 0, [], [];
        /// What the names of all keys begin with; servers with the same one share everything.
        prefix: String = "rollcall".to_owned(), [], [];
        /// How long it may take to connect and log in.
        connect_timeout: Duration = Duration::from_secs(1), [], [];
        /// How long an answer may take; then the connection is given up.
        io_timeout: Duration = Duration::from_secs(4), [], [];
    }

    /// Users that a backend has blocked.
    UserBlock at (user_block) with { redis: RedisOfKind } {
        /// Where they are stored: `embedded`, in the file of `storage.path`, `redis`, in that of
        /// `storage.redis`, or `memory`, until the process ends.
        storage_type: Storage = Storage::Embedded, [], [];
    }

    /// Tokens that a backend has revoked.
    TokenRevoke at (token_revoke) with { redis: RedisOfKind } {
        /// Where they are stored: `embedded`, in the file of `storage.path`, `redis`, in that of
        /// `storage.redis`, or `memory`, until the process ends.
        storage_type: Storage = Storage::Embedded, [], [];
    }

    /// Users whose older tokens a backend has invalidated.
    UserTokensInvalidate at (user_tokens_invalidate) with { redis: RedisOfKind } {
        /// Where they are stored: `embedded`, in the file of `storage.path`, `redis`, in that of
        /// `storage.redis`, or `memory`, until the process ends.
        storage_type: Storage = Storage::Embedded, [], [];
    }

    /// When users were last active and last here, and a state of the application's own.
    UserStatus at (user_status) with { redis: RedisOfKind } {
        /// Whether that is kept.
        enabled: bool = false, [], [];
        /// How long it is kept after it last changed.
        expire_interval: Duration = Duration::from_secs(30 * 24 * 3600), [], [];
        /// Users of whom something is kept; an update of one more is refused with 108. What is
        /// stored as `redis` has the limits of that Redis instead.
        limit: u64 = 10_000_000, [], [];
        /// Where it is stored: `embedded`, in the file of `storage.path`, `redis`, in that of
        /// `storage.redis`, or `memory`, until the process ends.
        storage_type: Storage = Storage::Embedded, [], [];
    }
}
