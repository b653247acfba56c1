//! How a backend knows that a request is ours: HMAC-SHA256 over its id, its time and its body, in
//! the headers of Standard Webhooks (specification 1.0.0, "Signature scheme").

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a secret in Base64 begins with; any other text is its own bytes.
const ENCODED: &str = "whsec_";

/// Fewest bytes of a secret: the length of a key that nobody guesses.
const SECRET_BYTES_MIN: usize = 16;

/// Signs with one secret, and with the one before it while there is one.
#[derive(Clone)]
pub struct Signer(Vec<Key>);

/// A secret that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadSecret {
    /// It says that it is Base64 and is not.
    #[error("or previous_secret begins with `{ENCODED}` and goes on with what is no Base64")]
    NoBase64,
    /// Somebody could guess it.
    #[error("or previous_secret has fewer than {SECRET_BYTES_MIN} bytes")]
    Short,
    /// There is none.
    #[error("is not set: a backend could not tell a request from anybody else's")]
    Missing,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(not shown)")
    }
}

impl Signer {
    /// With this secret, and with the one before it unless that is empty.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn new(secret: &str, previous: &str) -> Result<Self, BadSecret> {
        if secret.is_empty() {
            return Err(BadSecret::Missing);
        }
        let given = [secret, previous].into_iter().filter(|secret| !secret.is_empty());
        given.map(key).collect::<Result<_, _>>().map(Self)
    }

    /// The header `webhook-signature`: a signature by each secret.
    pub(super) fn header(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp_s}.").into_bytes();
        signed.extend_from_slice(body);
        let signatures = self.0.iter().map(|key| {
            let signature = STANDARD.encode(sign(key, &signed));
            format!("v1,{signature}")
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn key(secret: &str) -> Result<Key, BadSecret> {
    let bytes = match secret.strip_prefix(ENCODED) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_why| BadSecret::NoBase64)?,
        None => secret.as_bytes().to_vec(),
    };
    if bytes.len() < SECRET_BYTES_MIN {
        return Err(BadSecret::Short);
    }
    Ok(Key::new(HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "").unwrap();
        let header = signer.header(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let (new, old) = ("a secret of the tests", "another of the tests");
        let both = Signer::new(new, old).unwrap().header("id", 1, b"{}");
        let one = |secret| Signer::new(secret, "").unwrap().header("id", 1, b"{}");
        assert_eq!(both, format!("{} {}", one(new), one(old)));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let key = "a secret of the tests";
        for (secret, previous, expected) in [
            ("", "", BadSecret::Missing),
            ("", key, BadSecret::Missing),
            ("whsec_???", "", BadSecret::NoBase64),
            ("whsec_c2hvcnQ=", "", BadSecret::Short),
            ("fifteen letters", "", BadSecret::Short),
            (key, "fifteen letters", BadSecret::Short),
        ] {
            assert_eq!(Signer::new(secret, previous).unwrap_err(), expected, "{secret}");
        }
    }
}
