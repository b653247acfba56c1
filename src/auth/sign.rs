//! Makes tokens for people who try things out: `gentoken` and `dev`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde::Serialize;

/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// What a new token says, in the order Centrifugo v6 writes it, then what is ours alone.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct NewClaims<'a> {
    /// User id; empty is the anonymous user, whose token has no `sub`.
    #[serde(rename = "sub", skip_serializing_if = "str::is_empty")]
    pub user: &'a str,
    /// `exp`, Unix seconds; without it the token never expires.
    #[serde(rename = "exp", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// `iat`, Unix seconds.
    #[serde(rename = "iat", skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<i64>,
    /// `self` lets its client list and close the user's own sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<&'a str>,
}

/// A token with these claims, signed with HS256 by this secret.
///
/// # Panics
/// If the secret is empty: no server would accept the token.
#[must_use]
pub fn sign(secret: &str, claims: &NewClaims<'_>) -> String {
    assert!(!secret.is_empty(), "a token is signed with a secret");
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::HS256, &key)
        .expect("an HMAC key has any length, and its family was set one line above");
    let payload = serde_json::to_vec(claims).expect("strings and integers are always JSON");
    let mut token = String::from(HEADER);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = signer.try_sign(token.as_bytes()).expect("HMAC signs any bytes");
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}
