//! Who a token or a key belongs to: JWTs of connections and the key of the server API.
//!
//! Used by `connection` (connect), `shard` (holds the verifier and the key), `api` (admits
//! callers) and `cli` (prints and checks tokens). Knows no HTTP and no clock: it is given header
//! values and the time. A secret never leaves this folder, also not through `Debug` or an error.

mod api_key;
mod claims;
mod error;
mod keys;
mod sign;
mod token;
mod verifier;

pub use api_key::ApiKey;
pub use claims::Claims;
pub use error::{TokenError, TokenFault};
pub use sign::{NewClaims, sign};
pub use token::{Unverified, read_unverified};
pub use verifier::{TokenOptions, Verifier};

#[cfg(test)]
mod tests;
