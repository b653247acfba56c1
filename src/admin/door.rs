//! Who may use the page: a password becomes a token, and the token is known again.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key, Tag};

use super::token;
use crate::time::Now;
use crate::wire::http1::Status;

/// The way in.
pub(super) enum Door {
    /// Anybody may do anything (`admin.insecure`).
    Open,
    /// Nobody can sign in: there is no password, or no secret to sign with.
    Shut,
    /// Whoever knows the password.
    Locked {
        /// Made of secret and password: a token dies when either changes.
        key: Box<Key>,
        /// The password under that key: comparing tells nothing by the time it takes.
        password: Tag,
    },
}

/// Why somebody is not signed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoginError {
    /// The body holds no password.
    #[error("no password found: expected a form or JSON with the key \"password\"")]
    Unread,
    /// It is another one.
    #[error("wrong password")]
    WrongPassword,
    /// There is none to know.
    #[error("nobody can sign in: admin.password and admin.secret must both be set")]
    Shut,
    /// Too many were wrong.
    #[error("too many wrong passwords, try again in {retry_after_s} seconds")]
    TooMany {
        /// Seconds to wait.
        retry_after_s: u64,
    },
}

impl LoginError {
    /// How it is told.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Unread | Self::WrongPassword | Self::Shut => Status(400),
            Self::TooMany { .. } => Status(429),
        }
    }
}

/// What is signed begins with what it is, so that one can never be taken for the other.
const PASSWORD: &[u8] = b"password ";
const KEY: &[u8] = b"rollcall admin ";

impl Door {
    pub(super) fn new(password: &str, secret: &str) -> Self {
        if password.is_empty() || secret.is_empty() {
            return Self::Shut;
        }
        let seed = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), KEY, password.as_bytes());
        let key = Key::new(HMAC_SHA256, seed.as_ref());
        let password = sign(&key, PASSWORD, password.as_bytes());
        Self::Locked { key: Box::new(key), password }
    }

    /// A token for whoever knows the password.
    pub(super) fn enter(&self, password: &str, now: Now) -> Result<String, LoginError> {
        match self {
            Self::Shut => Err(LoginError::Shut),
            // A page of an older version may still ask.
            Self::Open => Ok("insecure".to_owned()),
            Self::Locked { key, password: expected } => {
                let mut shown = PASSWORD.to_vec();
                shown.extend_from_slice(password.as_bytes());
                let is_right = hmac::verify(key, &shown, expected.as_ref()).is_ok();
                if is_right { Ok(token::make(key, now)) } else { Err(LoginError::WrongPassword) }
            }
        }
    }

    /// Whether a request with this `Authorization` may do anything.
    pub(super) fn admits(&self, authorization: Option<&str>, now: Now) -> bool {
        match self {
            Self::Open => true,
            Self::Shut => false,
            Self::Locked { key, .. } => authorization
                .and_then(token_of)
                .is_some_and(|shown| token::is_good(key, shown, now)),
        }
    }
}

fn sign(key: &Key, kind: &[u8], what: &[u8]) -> Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(kind);
    context.update(what);
    context.sign()
}

/// The token in `token <T>`, as pages of Centrifugo send it, or `Bearer <T>`.
fn token_of(authorization: &str) -> Option<&str> {
    let mut words = authorization.split_ascii_whitespace();
    let (scheme, token) = (words.next()?, words.next()?);
    let is_known = ["token", "bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (is_known && words.next().is_none()).then_some(token)
}
