//! Which Redis it is, as configurations of Centrifugo say it: at each kind of what is stored there. A part
//! of the table in `table`.

use super::declare::{Declared, declared_at, dotted, options_at_places, place, section};
use super::setting::{Secret, Setting};

options_at_places! {
    /// Where a configuration of Centrifugo says which Redis it is.
    RedisOfKind {
        /// As `storage.redis.address`; sections that say it must say the same.
        address: Secret = Secret::default(), [], [];
    }

    /// Where a configuration of Centrifugo says which Redis it is.
    at (user_block.redis);

    /// Where a configuration of Centrifugo says which Redis it is.
    at (token_revoke.redis);

    /// Where a configuration of Centrifugo says which Redis it is.
    at (user_tokens_invalidate.redis);

    /// Where a configuration of Centrifugo says which Redis it is.
    at (user_status.redis);
}
