//! A token to its claims: what is checked, in which order, against keys prepared once.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use regex::{Captures, Regex};

use super::claims::{Claims, RawClaims, TypedClaims};
use super::endpoint::Endpoint;
use super::error::{KeyNeeded, TokenError};
use super::key_ring::KeyRing;
use super::keys::{Keys, check_with};
use super::pick::{self, Pick};
use super::public_key::PublicKey;
use super::token::{Header, Token};
use crate::limits::{KEY_ID_BYTES_MAX, LabelLimits};
use crate::time::Now;

/// How tokens are verified.
#[derive(Clone, Default)]
pub struct TokenOptions {
    /// The secret of HS256, HS384 and HS512: the bytes of this text.
    pub hmac_secret: Option<String>,
    /// A secret that is on its way out.
    pub hmac_previous: Option<PreviousSecret>,
    /// Keys that anybody may know.
    pub public_keys: Vec<PublicKey>,
    /// Where keys are instead, when the identity provider publishes them. Then no configured key
    /// counts (Centrifugo v6).
    pub jwks: Option<Jwks>,
    /// What `aud` must be or contain.
    pub audience: Expected,
    /// What `iss` must be.
    pub issuer: Expected,
    /// The claim that names the user instead of `sub`.
    pub user_claim: Option<String>,
    /// What of the claims becomes part of `meta`.
    pub meta_picks: Vec<Pick>,
    /// What of the claims becomes a label.
    pub label_picks: Vec<Pick>,
    /// How many labels a token may give a session.
    pub labels: LabelLimits,
    /// Whether signatures count.
    pub signatures: Signatures,
}

/// A secret that still verifies for a while.
#[derive(Clone)]
pub struct PreviousSecret {
    /// The bytes of this text.
    pub secret: String,
    /// From then on it verifies nothing, Unix seconds; `None` for as long as it is configured.
    pub until_s: Option<i64>,
}

/// The published keys of identity providers.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// Where they are.
    pub endpoint: Endpoint,
    /// Those that have been fetched.
    pub ring: KeyRing,
    /// How long they count before they are asked for again.
    pub age_max: Duration,
}

/// What a claim must be.
#[derive(Clone, Default, Debug)]
pub enum Expected {
    /// Anything, or absent.
    #[default]
    Anything,
    /// This text.
    Exactly(String),
    /// A text in which this is found: anywhere, as in Centrifugo, unless `^` and `$` say more.
    Matching(Regex),
}

/// Whether signatures are checked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Signatures {
    /// They are.
    #[default]
    Checked,
    /// Whatever a token says is believed: for trials on one's own machine.
    Ignored,
}

impl fmt::Debug for TokenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |is_set: bool| is_set.then_some("set");
        f.debug_struct("TokenOptions")
            .field("hmac_secret", &set(self.hmac_secret.is_some()))
            .field("hmac_previous", &set(self.hmac_previous.is_some()))
            .field("public_keys", &self.public_keys.len())
            .field("jwks", &self.jwks)
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .field("user_claim", &self.user_claim)
            .field("meta_picks", &self.meta_picks)
            .field("label_picks", &self.label_picks)
            .field("labels", &self.labels)
            .field("signatures", &self.signatures)
            .finish()
    }
}

impl Expected {
    /// The pattern, when it is one.
    #[must_use]
    pub const fn pattern(&self) -> Option<&Regex> {
        match self {
            Self::Matching(pattern) => Some(pattern),
            Self::Anything | Self::Exactly(_) => None,
        }
    }

    /// Whether one of these is what it must be.
    fn is_met_by<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        let mut texts = texts.into_iter();
        match self {
            Self::Anything => true,
            Self::Exactly(expected) => texts.any(|text| text == expected),
            Self::Matching(pattern) => texts.any(|text| pattern.is_match(text)),
        }
    }

    fn captures<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Option<Captures<'t>> {
        let pattern = self.pattern()?;
        texts.into_iter().find_map(|text| pattern.captures(text))
    }
}

/// Verifies connection tokens. One per shard.
pub struct Verifier {
    keys: Keys,
    options: TokenOptions,
    /// Taken for the length of one verification, so that none allocates for what it throws away.
    scratch: Cell<Scratch>,
}

/// Never larger than the largest token, which the request body's limit bounds.
#[derive(Default)]
struct Scratch {
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Verifier {
    /// Prepares the keys.
    #[must_use]
    pub fn new(options: &TokenOptions) -> Self {
        let mut keys = Keys::default();
        if let Some(secret) = &options.hmac_secret {
            keys.add_hmac_secret(secret, None);
        }
        if let Some(previous) = &options.hmac_previous {
            keys.add_hmac_secret(&previous.secret, previous.until_s);
        }
        keys.add_public(&options.public_keys);
        Self { keys, options: options.clone(), scratch: Cell::default() }
    }

    /// The claims of a connection token that is good at this moment. No leeway.
    ///
    /// Nothing of the claims is parsed before the signature has been checked, unless they say where
    /// the key is. After that the order is Centrifugo's: types, `aud`, `iss`, `channel`, `exp`,
    /// `nbf`, the contents.
    ///
    /// # Errors
    /// The first thing that is wrong with it, or the key that is not here yet.
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
        let options = &self.options;
        if self.keys.is_empty()
            && options.jwks.is_none()
            && options.signatures == Signatures::Checked
        {
            return Err(TokenError::NoKey);
        }
        let token = Token::split(token)?;
        let header = token.decode_header(&mut scratch.header)?;
        token.decode_signature(&mut scratch.signature)?;
        let payload = &mut scratch.payload;
        match (options.signatures, &options.jwks) {
            (Signatures::Ignored, _) => {}
            (Signatures::Checked, Some(jwks)) => {
                self.check_published(jwks, &header, token, (&scratch.signature, payload))?;
            }
            (Signatures::Checked, None) => {
                self.keys.check(&header.alg, token, &scratch.signature, now)?;
            }
        }
        let payload = token.decode_payload(payload)?;
        let claims = RawClaims::parse(payload)?;
        let mut typed = claims.typed()?;
        self.check_parties(&typed)?;
        if let Some(name) = &options.user_claim {
            typed.name_user_by(name, payload)?;
        }
        pick::labels(&options.label_picks, payload, &mut typed.labels);
        let mut claims = typed.into_claims(options.labels, now)?;
        claims.meta = pick::meta(&options.meta_picks, payload, claims.meta)?;
        Ok(claims)
    }

    fn check_parties(&self, typed: &TypedClaims<'_>) -> Result<(), TokenError> {
        let options = &self.options;
        if !options.audience.is_met_by(typed.audience.names()) {
            return Err(TokenError::Audience);
        }
        if !options.issuer.is_met_by(typed.issuer.as_deref()) {
            return Err(TokenError::Issuer);
        }
        Ok(())
    }

    /// Checks the signature by a published key, which the header must name.
    fn check_published(
        &self,
        jwks: &Jwks,
        header: &Header<'_>,
        token: Token<'_>,
        (signature, payload): (&[u8], &mut Vec<u8>),
    ) -> Result<(), TokenError> {
        let id = header.kid.as_deref().filter(|id| !id.is_empty()).ok_or(TokenError::NoKeyId)?;
        if id.len() > KEY_ID_BYTES_MAX {
            return Err(TokenError::LongKeyId);
        }
        let address = match jwks.endpoint.fixed() {
            Some(address) => Cow::Borrowed(address),
            None => {
                let typed = RawClaims::parse(token.decode_payload(payload)?)?.typed()?;
                self.check_parties(&typed)?;
                Cow::Owned(self.address(jwks, &typed)?)
            }
        };
        let needed = || {
            let (address, id) = (address.as_ref().into(), id.into());
            TokenError::KeyNeeded(Box::new(KeyNeeded { address, id }))
        };
        let set = jwks.ring.get(&address).ok_or_else(needed)?;
        let mut keys = set.named(id).peekable();
        if keys.peek().is_none() {
            return Err(needed());
        }
        check_with(keys, &header.alg, token, signature)
    }

    fn address(&self, jwks: &Jwks, typed: &TypedClaims<'_>) -> Result<String, TokenError> {
        let by_issuer = self.options.issuer.captures(typed.issuer.as_deref());
        let by_audience = self.options.audience.captures(typed.audience.names());
        let captured: Vec<_> = by_issuer.into_iter().chain(by_audience).collect();
        jwks.endpoint.filled(&captured).ok_or(TokenError::KeyAddress)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("algorithms", &self.keys.algorithms().collect::<Vec<_>>())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
