//! The three parts of a JWT in compact form, before anything in them is believed (RFC 7515 §3.1).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::TokenError;

/// `header.payload.signature`, each still in base64url.
#[derive(Clone, Copy)]
pub(super) struct Token<'t> {
    /// Header and payload with the dot between them: what the signature is over.
    pub(super) signed: &'t str,
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t> Token<'t> {
    pub(super) fn split(text: &'t str) -> Result<Self, TokenError> {
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Shape)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Shape)?;
        if payload.contains('.') {
            return Err(TokenError::Shape);
        }
        Ok(Self { signed, header, payload, signature })
    }

    pub(super) fn decode_header<'b>(
        self,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Header<'b>, TokenError> {
        decode("header", self.header, buffer)?;
        // Left to itself, serde reads the members from an array too.
        if !buffer.trim_ascii_start().starts_with(b"{") {
            return Err(TokenError::Header);
        }
        let header: Header<'b> =
            serde_json::from_slice(buffer).map_err(|_syntax| TokenError::Header)?;
        if header.crit.is_some() { Err(TokenError::Critical) } else { Ok(header) }
    }

    pub(super) fn decode_payload(self, buffer: &mut Vec<u8>) -> Result<&str, TokenError> {
        decode("payload", self.payload, buffer)?;
        str::from_utf8(buffer).map_err(|_not_utf8| TokenError::ClaimsSyntax)
    }

    pub(super) fn decode_signature(self, buffer: &mut Vec<u8>) -> Result<(), TokenError> {
        decode("signature", self.signature, buffer)
    }
}

/// Strict: a last character with stray bits is refused, so that one signature has one spelling.
fn decode(part: &'static str, text: &str, buffer: &mut Vec<u8>) -> Result<(), TokenError> {
    buffer.clear();
    URL_SAFE_NO_PAD.decode_vec(text, buffer).map_err(|_position| TokenError::Base64 { part })
}

/// What of a JOSE header matters here. A repeated parameter is refused (RFC 7515 §4).
#[derive(Deserialize)]
pub(super) struct Header<'h> {
    #[serde(borrow)]
    pub(super) alg: Cow<'h, str>,
    /// Which key it was signed with (RFC 7515 §4.1.4). `jku`, `jwk` and `x5u` are not looked at:
    /// they would let a token bring its own key (RFC 8725 §3.10).
    #[serde(borrow, default)]
    pub(super) kid: Option<Cow<'h, str>>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// What a token says about itself, for a person who asks why it was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unverified {
    /// `alg` of the header.
    pub algorithm: String,
    /// The bytes of the claims, as they were signed.
    pub claims: String,
}

/// Reads a token without believing it: for `checktoken` to print, never for a decision.
///
/// # Errors
/// When the token cannot even be read.
pub fn read_unverified(token: &str) -> Result<Unverified, TokenError> {
    let token = Token::split(token)?;
    let mut buffer = Vec::new();
    let algorithm = token.decode_header(&mut buffer)?.alg.into_owned();
    let claims = token.decode_payload(&mut buffer)?.to_owned();
    Ok(Unverified { algorithm, claims })
}
