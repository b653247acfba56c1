//! Connection tokens: JWTs signed with HS256.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a token says.
#[derive(Deserialize)]
pub(crate) struct Claims {
    #[serde(rename = "sub")]
    pub(crate) user: Box<str>,
    pub(crate) exp: Option<u64>,
    pub(crate) iat: Option<i64>,
    pub(crate) jti: Option<Box<str>>,
    pub(crate) meta: Option<Box<RawValue>>,
}

/// Verifies tokens of one secret.
pub(crate) struct Tokens {
    key: DecodingKey,
    validation: Validation,
}

impl Tokens {
    pub(crate) fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // A token without an end is good for ever; one that has ended is refused all the same.
        validation.required_spec_claims.clear();
        Self { key: DecodingKey::from_secret(secret.as_bytes()), validation }
    }

    /// The claims, if the signature is right and the time has not passed.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        let decoded = decode::<Claims>(token, &self.key, &self.validation).ok()?;
        Some(decoded.claims).filter(|claims| !claims.user.is_empty())
    }
}
