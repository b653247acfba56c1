//! Tokens as a backend signs them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};
use rollcall::auth::TokenOptions;

/// As long as the secrets `genconfig` writes.
pub(crate) const SECRET: &str =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef012345";

/// What verifies them.
pub(crate) fn options() -> TokenOptions {
    TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..TokenOptions::default() }
}

/// A token of any claims, by an algorithm of HMAC.
pub(crate) fn signed(algorithm: Algorithm, claims: &str) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, &key).expect("an HMAC key");
    let sign = |message: &[u8]| signer.try_sign(message).expect("HMAC signs any bytes");
    signed_by(&format!("{algorithm:?}"), claims, &sign)
}

/// A token of any claims, by whatever signs it.
pub(crate) fn signed_by(algorithm: &str, claims: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>) -> String {
    let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
