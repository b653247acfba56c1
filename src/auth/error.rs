//! Why a token was not accepted, for `checktoken`; a client hears only the fault.

use crate::limits::{KEY_ID_BYTES_MAX, LabelFault};

/// Why a token was not accepted. Its text names what was wrong and what would be right, and
/// holds neither the token nor a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// The server has no key that could verify anything.
    #[error(
        "no token key is configured: set client.token.hmac_secret_key, another key, or \
         client.token.jwks_public_endpoint"
    )]
    NoKey,
    /// It does not have the shape of a JWT in compact form (RFC 7515 §3.1).
    #[error("not a JWT: expected three parts separated by two dots")]
    Shape,
    /// A part is not base64url without padding (RFC 7515 §2).
    #[error("the {part} is not unpadded base64url")]
    Base64 {
        /// Which of the three parts.
        part: &'static str,
    },
    /// The header is not a JSON object with a string `alg` (RFC 7515 §4.1.1).
    #[error("the header is not a JSON object with a string \"alg\"")]
    Header,
    /// The header demands extensions this server does not have (RFC 7515 §4.1.11).
    #[error("the header has \"crit\": no critical extension is supported")]
    Critical,
    /// No configured key speaks this algorithm; `none` is one of those.
    #[error("no key is configured for algorithm {algorithm:?}")]
    Algorithm {
        /// The first characters of the header's `alg`.
        algorithm: String,
    },
    /// The header names no key, and keys are told apart by their ids.
    #[error("the header has no \"kid\", which client.token.jwks_public_endpoint needs")]
    NoKeyId,
    /// The header names a key by more than any has for a name.
    #[error("the header's \"kid\" is longer than {KEY_ID_BYTES_MAX} bytes")]
    LongKeyId,
    /// The claims do not say where the keys are.
    #[error("claims \"iss\" and \"aud\" do not fill client.token.jwks_public_endpoint")]
    KeyAddress,
    /// The key has to be fetched first.
    #[error("there is no key {:?} at {}", .0.id, .0.address)]
    KeyNeeded(Box<KeyNeeded>),
    /// The signature was not made with our key over these bytes.
    #[error("the signature does not match")]
    Signature,
    /// The claims are not one JSON object in UTF-8.
    #[error("the claims are not one JSON object")]
    ClaimsSyntax,
    /// A claim has the wrong type.
    #[error("claim \"{name}\": expected {expected}")]
    Claim {
        /// Name of the claim.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// The claim that names the user is no text.
    #[error("claim {0:?}, which names the user: expected a string")]
    User(String),
    /// The token is meant for somebody else.
    #[error("claim \"aud\" does not name the configured audience")]
    Audience,
    /// The token comes from somebody else.
    #[error("claim \"iss\" is not the configured issuer")]
    Issuer,
    /// It is a subscription token.
    #[error("claim \"channel\" belongs to subscription tokens: a connection token has none")]
    Channel,
    /// `exp` has passed.
    #[error("the token has expired: claim \"exp\" is not in the future")]
    Expired,
    /// `nbf` has not passed.
    #[error("the token is not valid yet: claim \"nbf\" is not in the past")]
    NotYetValid,
    /// The labels are beyond a limit.
    #[error("claim \"labels\": {0}")]
    Labels(#[from] LabelFault),
    /// `b64info` cannot be decoded, though the token is good.
    #[error("claim \"b64info\": expected padded standard base64")]
    Info,
}

impl TokenError {
    /// What a client is told about it. `nbf` in the future counts as expired: both are cured by
    /// a new token (Centrifugo v6, token verification).
    #[must_use]
    pub const fn fault(&self) -> TokenFault {
        match self {
            Self::Expired | Self::NotYetValid => TokenFault::Expired,
            Self::Info | Self::KeyNeeded(_) => TokenFault::Internal,
            Self::NoKey
            | Self::Shape
            | Self::Base64 { .. }
            | Self::Header
            | Self::Critical
            | Self::Algorithm { .. }
            | Self::NoKeyId
            | Self::LongKeyId
            | Self::KeyAddress
            | Self::Signature
            | Self::User(_)
            | Self::ClaimsSyntax
            | Self::Claim { .. }
            | Self::Audience
            | Self::Issuer
            | Self::Channel
            | Self::Labels(_) => TokenFault::Invalid,
        }
    }
}

/// A key that a token was signed with, and that is not here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyNeeded {
    /// Where it should be.
    pub address: Box<str>,
    /// Its `kid`.
    pub id: Box<str>,
}

/// What has come of looking for a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeySearch {
    /// The keys of its address have been put into the ring, and it is one of them.
    Found,
    /// They have been fetched since it was first asked for, and it is none of them.
    Unknown,
}

/// The three things a client can be told about its token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenFault {
    /// A new token will do.
    Expired,
    /// It will never be accepted.
    Invalid,
    /// The token is good and what it carries is not, or nobody can say before its key has been
    /// fetched.
    Internal,
}
