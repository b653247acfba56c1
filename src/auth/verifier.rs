//! A token to its claims: what is checked, in which order, against keys prepared once.

use std::cell::Cell;
use std::fmt;

use super::claims::{Claims, RawClaims};
use super::error::TokenError;
use super::keys::Keys;
use super::token::Token;
use crate::limits::LabelLimits;
use crate::time::Now;

/// How tokens are verified.
#[derive(Clone, Default)]
pub struct TokenOptions {
    /// The secret of HS256, HS384 and HS512: the bytes of this text. Without it every token is
    /// invalid.
    pub hmac_secret: Option<String>,
    /// When set, `aud` must be or contain it.
    pub audience: Option<String>,
    /// When set, `iss` must be it.
    pub issuer: Option<String>,
    /// How many labels a token may give a session.
    pub labels: LabelLimits,
}

impl fmt::Debug for TokenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenOptions")
            .field("hmac_secret", &self.hmac_secret.as_ref().map(|_secret| "set"))
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .field("labels", &self.labels)
            .finish()
    }
}

/// Verifies connection tokens. One per shard.
pub struct Verifier {
    keys: Keys,
    audience: Option<Box<str>>,
    issuer: Option<Box<str>>,
    labels: LabelLimits,
    /// Taken for the length of one verification, so that none allocates for what it throws away.
    scratch: Cell<Scratch>,
}

/// Never larger than the largest token, which the request body's limit bounds.
#[derive(Default)]
struct Scratch {
    /// The header, then the payload.
    json: Vec<u8>,
    signature: Vec<u8>,
}

impl Verifier {
    /// Prepares the keys.
    #[must_use]
    pub fn new(options: &TokenOptions) -> Self {
        let mut keys = Keys::default();
        if let Some(secret) = &options.hmac_secret {
            keys.add_hmac_secret(secret);
        }
        Self {
            keys,
            audience: options.audience.as_deref().map(Into::into),
            issuer: options.issuer.as_deref().map(Into::into),
            labels: options.labels,
            scratch: Cell::default(),
        }
    }

    /// The claims of a connection token that is good at this moment. No leeway.
    ///
    /// Nothing of the claims is parsed before the signature has been checked. After that the
    /// order is Centrifugo's: types, `aud`, `iss`, `channel`, `exp`, `nbf`, the contents.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, token: &str, now: Now) -> Result<Claims, TokenError> {
        let mut scratch = self.scratch.take();
        let verified = self.verify_with(&mut scratch, token, now);
        self.scratch.set(scratch);
        verified
    }

    fn verify_with(
        &self,
        scratch: &mut Scratch,
        token: &str,
        now: Now,
    ) -> Result<Claims, TokenError> {
        if self.keys.is_empty() {
            return Err(TokenError::NoKey);
        }
        let token = Token::split(token)?;
        let key = self.keys.find(&token.decode_header(&mut scratch.json)?.alg)?;
        token.decode_signature(&mut scratch.signature)?;
        key.verify(token.signed.as_bytes(), &scratch.signature)
            .map_err(|_opaque| TokenError::Signature)?;

        let claims = RawClaims::parse(token.decode_payload(&mut scratch.json)?)?;
        let typed = claims.typed()?;
        if let Some(audience) = &self.audience
            && !typed.audience.contains(audience)
        {
            return Err(TokenError::Audience);
        }
        if let Some(issuer) = &self.issuer
            && typed.issuer.as_deref() != Some(issuer)
        {
            return Err(TokenError::Issuer);
        }
        typed.into_claims(self.labels, now)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("algorithms", &self.keys.algorithms().collect::<Vec<_>>())
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
