//! What clients say of themselves when they connect: a token with a `jti` and 64 bytes of `meta`, a
//! name and a version.

use jsonwebtoken::Algorithm;
use rollcall::ids::uuid_text;

use super::random::random;
use super::token;

const META: &str = r#"{"plan":"pro","device":"pixel-9","roles":["admin","support-eu"]}"#;

/// Of the nth session, which has a token of its own.
pub(crate) fn credentials(user: &str, n: u64) -> String {
    let jti = uuid_text(&((u128::from(random(n)) << 64) | u128::from(random(!n))).to_be_bytes());
    let jti = std::str::from_utf8(&jti).expect("digits and hyphens");
    let claims = format!(r#"{{"sub":"{user}","iat":1732000000,"jti":"{jti}","meta":{META}}}"#);
    let token = token::signed(Algorithm::HS256, &claims);
    format!(r#"{{"token":"{token}","name":"ios","version":"1.2.3"}}"#)
}
