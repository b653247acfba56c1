//! Who a token or a key belongs to, and who is kept out all the same: JWTs of connections, the key
//! of the server API, and the rules a backend has made.
//!
//! Used by `connection` (connect), `shard` (holds the verifier, the key and the rules), `api` (admits
//! callers, reads rules), `control` (stores rules) and `cli` (prints and checks tokens). Knows no HTTP and no clock: it is given header
//! values and the time. A secret never leaves this folder, also not through `Debug` or an error.

mod algorithm;
mod api_key;
mod claims;
mod endpoint;
mod error;
mod key_ring;
mod key_set;
mod keys;
mod pick;
mod public_key;
mod rules;
mod sign;
mod token;
mod verifier;

pub use api_key::ApiKey;
pub use claims::{Claims, TTL_S_MAX};
pub use endpoint::{Endpoint, EndpointFault, Safety};
pub use error::{KeyNeeded, KeySearch, TokenError, TokenFault};
pub use key_ring::KeyRing;
pub use key_set::{KEYS_MAX, KeySet, KeySetFault};
pub use pick::{ClaimPath, PathFault, Pick};
pub use public_key::{KeyFault, PublicKey, ecdsa_public_key, eddsa_public_key, rsa_public_key};
pub use rules::{Bearer, KeptOut, RULE_ID_BYTES_MAX, RULES_MAX, Rule, RuleKind, Rules, Until};
pub use sign::{NewClaims, sign};
pub use token::{Unverified, read_unverified};
pub use verifier::{Expected, Jwks, PreviousSecret, Signatures, TokenOptions, Verifier};

#[cfg(test)]
mod tests;
