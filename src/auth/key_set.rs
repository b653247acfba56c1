//! JSON Web Key Sets (RFC 7517 §5): the keys of an identity provider, by their ids.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::algorithm::Algorithm;
use super::public_key::{PublicKey, ed25519, elliptic_of_parts, rsa_of_parts};

/// Keys of one set; a larger one is refused. Providers have a handful.
pub const KEYS_MAX: usize = 256;

/// The keys of one set that can verify tokens.
#[derive(Clone, Default, Debug)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

/// Why bytes are not a set of keys.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeySetFault {
    /// They are something else.
    #[error("not a JSON Web Key Set: expected an object with a list \"keys\"")]
    Syntax,
    /// There are very many.
    #[error("{0} keys, expected at most {KEYS_MAX}")]
    TooMany(usize),
    /// There are only keys for other uses, or none.
    #[error("no key in it has a \"kid\" and can verify a token")]
    Empty,
}

#[derive(Deserialize)]
struct Set<'s> {
    #[serde(borrow)]
    keys: Vec<&'s RawValue>,
}

/// The members of a key that matter here (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2). Private ones are
/// not read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. A key that is for another use, of a kind that is not known, or cannot be right,
    /// is skipped (RFC 7517 §5): the others count. One without a `kid` is skipped too, as nothing
    /// could name it.
    ///
    /// # Errors
    /// It is no set, too large, or nothing in it can be used: then the one before is the better one.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetFault> {
        let set: Set<'_> = serde_json::from_slice(json).map_err(|_syntax| KeySetFault::Syntax)?;
        if set.keys.len() > KEYS_MAX {
            return Err(KeySetFault::TooMany(set.keys.len()));
        }
        let jwk = |raw: &RawValue| serde_json::from_str::<Jwk>(raw.get()).ok();
        let keys: Vec<_> =
            set.keys.into_iter().filter_map(jwk).filter_map(Jwk::keys).flatten().collect();
        if keys.is_empty() { Err(KeySetFault::Empty) } else { Ok(Self { keys }) }
    }

    /// The keys of this id. Their ids need not be unique among kinds (RFC 7517 §4.5).
    pub(super) fn named<'s>(&'s self, id: &str) -> impl Iterator<Item = &'s PublicKey> {
        self.keys.iter().filter(move |key| key.id.as_deref() == Some(id))
    }
}

impl Jwk {
    /// Shared secrets (`oct`) are no public keys: whoever can read the set could sign.
    fn keys(self) -> Option<Vec<PublicKey>> {
        let id: Arc<str> = self.kid.as_deref().filter(|id| !id.is_empty())?.into();
        let is_for_signatures = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !is_for_signatures {
            return None;
        }
        let only = match &self.alg {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        let keys = match self.kty.as_str() {
            "RSA" => rsa_of_parts(&bytes(&self.n)?, &bytes(&self.e)?)?,
            "EC" => {
                vec![elliptic_of_parts(self.crv.as_deref()?, &bytes(&self.x)?, &bytes(&self.y)?)?]
            }
            "OKP" if self.crv.as_deref() == Some("Ed25519") => vec![ed25519(&bytes(&self.x)?)?],
            _ => return None,
        };
        let suits = |key: &PublicKey| only.is_none_or(|only| only == key.algorithm);
        Some(keys.into_iter().filter(suits).map(|key| key.named(&id)).collect())
    }
}

fn bytes(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_deref()?.trim_end_matches('=')).ok()
}
