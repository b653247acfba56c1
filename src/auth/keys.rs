//! What signatures are checked against: every key brings the algorithms of its own family and
//! no others, so a token cannot choose how its signature is understood.

use std::str::FromStr;

use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};

use super::error::TokenError;

/// What a shared secret can verify.
const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// How much of a foreign `alg` an error repeats, in characters.
const ALGORITHM_CHARS_MAX: usize = 16;

/// The configured keys, each prepared once for each of its algorithms. Kept per shard: the
/// prepared keys do not cross threads.
#[derive(Default)]
pub(super) struct Keys {
    prepared: Vec<Box<dyn JwtVerifier>>,
}

impl Keys {
    /// Accepts HS256, HS384 and HS512 by this secret. An empty secret is no secret.
    pub(super) fn add_hmac_secret(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let key = DecodingKey::from_secret(secret.as_bytes());
        for algorithm in HMAC {
            // The provider is named, not looked up: the process-wide default panics at run time
            // when another crate turns a second backend on.
            let prepared = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &key)
                .expect("an HMAC key has any length, and its family was set one line above");
            self.prepared.push(prepared);
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.prepared.is_empty()
    }

    /// The algorithms a token may name.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.prepared.iter().map(|key| key.algorithm())
    }

    /// The key for a header's `alg`. Names are case-sensitive (RFC 7515 §4.1.1).
    pub(super) fn find(&self, alg: &str) -> Result<&dyn JwtVerifier, TokenError> {
        Algorithm::from_str(alg)
            .ok()
            .and_then(|named| self.prepared.iter().find(|key| key.algorithm() == named))
            .map(AsRef::as_ref)
            .ok_or_else(|| TokenError::Algorithm {
                algorithm: alg.chars().take(ALGORITHM_CHARS_MAX).collect(),
            })
    }
}
