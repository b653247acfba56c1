//! How long a client's messages may be.

use rollcall::wire::websocket::Limits;

/// The defaults of the configuration.
pub(crate) const LIMITS: Limits = Limits { message_bytes_max: 65_536, inflated_bytes_max: 655_360 };
