//! What signatures are checked against: every key brings the algorithms of its own family and
//! no others, so a token cannot choose how its signature is understood.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;

use super::algorithm::Algorithm;
use super::error::TokenError;
use super::public_key::PublicKey;
use super::token::Token;
use crate::time::Now;

/// What a shared secret can verify.
const HMAC: [(Algorithm, jsonwebtoken::Algorithm); 3] = [
    (Algorithm::Hs256, jsonwebtoken::Algorithm::HS256),
    (Algorithm::Hs384, jsonwebtoken::Algorithm::HS384),
    (Algorithm::Hs512, jsonwebtoken::Algorithm::HS512),
];

/// How much of a foreign `alg` an error repeats, in characters.
const ALGORITHM_CHARS_MAX: usize = 16;

/// The configured keys, each prepared once for each of its algorithms. Kept per shard: prepared
/// secrets do not cross threads.
#[derive(Default)]
pub(super) struct Keys {
    secrets: Vec<Secret>,
    public: Vec<PublicKey>,
}

struct Secret {
    algorithm: Algorithm,
    prepared: Box<dyn JwtVerifier>,
    /// From then on it verifies nothing, Unix seconds.
    until_s: Option<i64>,
}

impl Keys {
    /// Accepts HS256, HS384 and HS512 by this secret until then. An empty secret is no secret.
    pub(super) fn add_hmac_secret(&mut self, secret: &str, until_s: Option<i64>) {
        if secret.is_empty() {
            return;
        }
        let key = DecodingKey::from_secret(secret.as_bytes());
        for (algorithm, named) in HMAC {
            // The provider is named, not looked up: the process-wide default panics at run time
            // when another crate turns a second backend on.
            let prepared = (DEFAULT_PROVIDER.verifier_factory)(&named, &key)
                .expect("an HMAC key has any length, and its family was set one line above");
            self.secrets.push(Secret { algorithm, prepared, until_s });
        }
    }

    pub(super) fn add_public(&mut self, keys: &[PublicKey]) {
        self.public.extend_from_slice(keys);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.public.is_empty()
    }

    /// The algorithms a token may name, each once for each of its keys.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        let secrets = self.secrets.iter().map(|secret| secret.algorithm);
        secrets.chain(self.public.iter().map(|key| key.algorithm))
    }

    /// Whether one of the keys of this algorithm made this signature.
    pub(super) fn check(
        &self,
        named: &str,
        token: Token<'_>,
        signature: &Vec<u8>,
        now: Now,
    ) -> Result<(), TokenError> {
        let algorithm = Algorithm::named(named).ok_or_else(|| unknown(named))?;
        if !self.algorithms().any(|known| known == algorithm) {
            return Err(unknown(named));
        }
        let message = token.signed.as_bytes();
        let is_by = |secret: &Secret| {
            secret.algorithm == algorithm
                && secret.until_s.is_none_or(|until_s| now.unix_s() < until_s)
                && secret.prepared.verify(message, signature).is_ok()
        };
        if self.secrets.iter().any(is_by) {
            return Ok(());
        }
        match check_with(self.public.iter(), named, token, signature) {
            // A secret of that algorithm was tried.
            Err(TokenError::Algorithm { .. }) => Err(TokenError::Signature),
            checked => checked,
        }
    }
}

/// Whether one of these keys made this signature, by the algorithm of this name.
pub(super) fn check_with<'k>(
    keys: impl Iterator<Item = &'k PublicKey>,
    named: &str,
    token: Token<'_>,
    signature: &[u8],
) -> Result<(), TokenError> {
    let algorithm = Algorithm::named(named).ok_or_else(|| unknown(named))?;
    let mut keys = keys.filter(|key| key.algorithm == algorithm).peekable();
    if keys.peek().is_none() {
        return Err(unknown(named));
    }
    if keys.any(|key| key.verifies(token.signed.as_bytes(), signature)) {
        return Ok(());
    }
    Err(TokenError::Signature)
}

fn unknown(algorithm: &str) -> TokenError {
    TokenError::Algorithm { algorithm: algorithm.chars().take(ALGORITHM_CHARS_MAX).collect() }
}
