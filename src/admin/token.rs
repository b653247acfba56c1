//! What somebody who has signed in shows from then on: when it ends, signed.
//!
//! ```text
//!   base64url( ends at, Unix seconds: 8 bytes │ HMAC-SHA256: 32 bytes )
//! ```
//!
//! Nothing is stored, so every shard knows it, and it lives through a restart.

use aws_lc_rs::hmac::{self, Key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::time::Now;

/// How long it is good: as long as in Centrifugo.
pub(super) const TOKEN_TTL_S: i64 = 30 * 24 * 3600;

const ENDS_AT_BYTES: usize = 8;
const SIGNATURE_BYTES: usize = 32;

/// What is signed begins with what it is.
const TOKEN: &[u8] = b"token ";

pub(super) fn make(key: &Key, now: Now) -> String {
    let ends_at = (now.unix_s() + TOKEN_TTL_S).to_be_bytes();
    let signature = hmac::sign(key, &signed(ends_at));
    let mut token = ends_at.to_vec();
    token.extend_from_slice(signature.as_ref());
    URL_SAFE_NO_PAD.encode(token)
}

pub(super) fn is_good(key: &Key, token: &str, now: Now) -> bool {
    // One byte more would be another token, whatever is signed.
    let mut bytes = [0; ENDS_AT_BYTES + SIGNATURE_BYTES];
    let Ok(len) = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) else { return false };
    if len != bytes.len() {
        return false;
    }
    let (ends_at, signature) = bytes.split_at(ENDS_AT_BYTES);
    let ends_at: [u8; ENDS_AT_BYTES] = ends_at.try_into().expect("it was split there");
    let is_signed = hmac::verify(key, &signed(ends_at), signature).is_ok();
    is_signed && now.unix_s() < i64::from_be_bytes(ends_at)
}

fn signed(ends_at: [u8; ENDS_AT_BYTES]) -> Vec<u8> {
    [TOKEN, &ends_at].concat()
}
