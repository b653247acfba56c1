//! The claims of a connection token: read from bytes, typed, held against the time
//! (RFC 7519 §4.1, and Centrifugo's own claims).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::TokenError;
use crate::limits::LabelLimits;
use crate::time::Now;

/// No session outlives its connect by more, in seconds: one year.
pub const TTL_S_MAX: i64 = 365 * 24 * 3600;

/// The claim `sessions` of a token whose client may see and close the user's own.
const OWN: &str = "self";

/// What a verified token says.
///
/// `channels`, `subs` and `caps` are skipped, whatever they hold: there are no channels yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// User id (`sub`); empty is the anonymous user.
    pub user: String,
    /// When the session ends, Unix seconds, at most a year from now: `expire_at` when the token
    /// has it, else `exp`.
    pub expire_at: Option<i64>,
    /// Token id (`jti`), empty when there is none.
    pub uid: String,
    /// When it was issued (`iat`), Unix seconds. Not checked.
    pub issued_at: Option<i64>,
    /// Raw JSON of `info`, or the bytes of `b64info`, which wins.
    pub info: Option<Box<[u8]>>,
    /// Whether its client may list and close the user's own sessions: `sessions` is `"self"`. Any
    /// other value means nothing, because other applications may use the name. The anonymous user
    /// has no sessions of its own.
    pub own_sessions: bool,
    /// Sessions the user may have (`connection_limit`), 0 for no limit. Anything but a whole number
    /// of 32 bits means nothing, because other applications may use the name.
    pub sessions_max: Option<u32>,
    /// Raw JSON of `meta` byte for byte, `null` included. For the backend only.
    pub meta: Option<Box<[u8]>>,
    /// Labels by key, within the limits. For the backend only.
    pub labels: BTreeMap<String, String>,
}

macro_rules! raw_claims {
    ($($field:ident)*) => {
        /// The JSON of each known claim, not yet typed. The last of a name counts.
        #[derive(Default)]
        pub(super) struct RawClaims<'p> {
            $($field: Option<&'p str>,)*
        }

        #[derive(Deserialize)]
        #[serde(field_identifier)]
        #[expect(non_camel_case_types, reason = "spelled as on the wire")]
        enum Name { $($field,)* #[serde(other)] Unknown }

        impl<'p> RawClaims<'p> {
            fn read<M: MapAccess<'p>>(mut map: M) -> Result<Self, M::Error> {
                let mut raw = Self::default();
                while let Some(name) = map.next_key()? {
                    match name {
                        $(Name::$field => raw.$field = Some(map.next_value::<&RawValue>()?.get()),)*
                        Name::Unknown => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(raw)
            }
        }
    };
}

raw_claims! {
    sub exp nbf iat jti aud iss expire_at info b64info sessions connection_limit meta labels channel
}

impl<'p> RawClaims<'p> {
    /// Reads one JSON object. Values are skipped over, not walked into: nesting costs no stack.
    pub(super) fn parse(payload: &'p str) -> Result<Self, TokenError> {
        serde_json::from_str(payload).map_err(|_syntax| TokenError::ClaimsSyntax)
    }

    /// Gives every claim its type; `null` is absent except where any JSON is welcome.
    pub(super) fn typed(self) -> Result<TypedClaims<'p>, TokenError> {
        Ok(TypedClaims {
            subject: text("sub", self.sub)?,
            expires: date("exp", self.exp)?,
            not_before: date("nbf", self.nbf)?,
            issued: date("iat", self.iat)?,
            id: text("jti", self.jti)?,
            audience: Audience::parse(self.aud)?,
            issuer: text("iss", self.iss)?,
            expire_at: integer("expire_at", self.expire_at)?,
            info: self.info,
            info_base64: text("b64info", self.b64info)?,
            own_sessions: matches!(text("sessions", self.sessions), Ok(Some(whose)) if whose == OWN),
            sessions_max: self.connection_limit.and_then(|limit| limit.parse().ok()),
            meta: self.meta,
            labels: labels(self.labels)?,
            channel: text("channel", self.channel)?,
        })
    }
}

impl<'de> Deserialize<'de> for RawClaims<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawClaims<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                RawClaims::read(map)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Claims with their types, not yet held against the time.
pub(super) struct TypedClaims<'p> {
    pub(super) audience: Audience<'p>,
    pub(super) issuer: Option<Cow<'p, str>>,
    subject: Option<Cow<'p, str>>,
    expires: Option<NumericDate>,
    not_before: Option<NumericDate>,
    issued: Option<NumericDate>,
    id: Option<Cow<'p, str>>,
    expire_at: Option<i64>,
    info: Option<&'p str>,
    info_base64: Option<Cow<'p, str>>,
    own_sessions: bool,
    sessions_max: Option<u32>,
    meta: Option<&'p str>,
    pub(super) labels: BTreeMap<String, String>,
    channel: Option<Cow<'p, str>>,
}

impl<'p> TypedClaims<'p> {
    /// Takes the user from another claim than `sub`. Without it the user is anonymous.
    pub(super) fn name_user_by(&mut self, name: &str, payload: &'p str) -> Result<(), TokenError> {
        let mut claims: BTreeMap<Cow<'p, str>, &'p RawValue> =
            serde_json::from_str(payload).map_err(|_syntax| TokenError::ClaimsSyntax)?;
        let raw = claims.remove(name).map(RawValue::get);
        self.subject = text("sub", raw).map_err(|_type| TokenError::User(name.to_owned()))?;
        Ok(())
    }

    pub(super) fn into_claims(self, limits: LabelLimits, now: Now) -> Result<Claims, TokenError> {
        // An empty name is no channel, as in Centrifugo.
        if self.channel.is_some_and(|channel| !channel.is_empty()) {
            return Err(TokenError::Channel);
        }
        if self.expires.is_some_and(|expires| !expires.is_after(now)) {
            return Err(TokenError::Expired);
        }
        if self.not_before.is_some_and(|not_before| !not_before.is_before(now)) {
            return Err(TokenError::NotYetValid);
        }
        let expire_at = match self.expire_at {
            Some(at) => (at > 0).then_some(at),
            None => self.expires.map(NumericDate::unix_s),
        };
        let info = match self.info_base64.filter(|encoded| !encoded.is_empty()) {
            Some(encoded) => {
                Some(STANDARD.decode(&*encoded).map_err(|_position| TokenError::Info)?.into())
            }
            None => self.info.map(boxed),
        };
        limits.check(&self.labels)?;
        let user = self.subject.map_or_else(String::new, Cow::into_owned);
        Ok(Claims {
            own_sessions: self.own_sessions && !user.is_empty(),
            user,
            expire_at: expire_at.map(|at| at.min(now.unix_s().saturating_add(TTL_S_MAX))),
            uid: self.id.map_or_else(String::new, Cow::into_owned),
            issued_at: self.issued.map(NumericDate::unix_s),
            sessions_max: self.sessions_max,
            info,
            meta: self.meta.map(boxed),
            labels: self.labels,
        })
    }
}

fn boxed(json: &str) -> Box<[u8]> {
    json.as_bytes().into()
}

/// Who a token is for: nobody named, one name, or a list.
pub(super) enum Audience<'p> {
    Nobody,
    One(Cow<'p, str>),
    List(Vec<String>),
}

impl<'p> Audience<'p> {
    fn parse(raw: Option<&'p str>) -> Result<Self, TokenError> {
        const EXPECTED: &str = "a string or a list of strings";
        match raw {
            Some(raw) if raw.starts_with('[') => serde_json::from_str(raw)
                .map(Self::List)
                .map_err(|_type| TokenError::Claim { name: "aud", expected: EXPECTED }),
            raw => match text("aud", raw) {
                Ok(name) => Ok(name.map_or(Self::Nobody, Self::One)),
                Err(_) => Err(TokenError::Claim { name: "aud", expected: EXPECTED }),
            },
        }
    }

    /// Everybody it names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let (one, list): (Option<&str>, &[String]) = match self {
            Self::Nobody => (None, &[]),
            Self::One(name) => (Some(name), &[]),
            Self::List(names) => (None, names),
        };
        one.into_iter().chain(list.iter().map(String::as_str))
    }
}

/// Seconds since the Unix epoch with a fraction (RFC 7519 §2). A double holds microseconds of
/// any date that can matter.
#[derive(Clone, Copy, PartialEq, Debug)]
struct NumericDate(f64);

impl NumericDate {
    fn is_after(self, now: Now) -> bool {
        self.0 > precise_s(now)
    }

    fn is_before(self, now: Now) -> bool {
        self.0 < precise_s(now)
    }

    fn unix_s(self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "saturates; beyond any date")]
        let seconds = self.0.floor() as i64;
        seconds
    }
}

fn precise_s(now: Now) -> f64 {
    now.unix_ms as f64 / 1000.0
}

/// A string claim; borrowed from the payload unless it has escapes.
fn text<'p>(name: &'static str, raw: Option<&'p str>) -> Result<Option<Cow<'p, str>>, TokenError> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else { return Ok(None) };
    let wrong = TokenError::Claim { name, expected: "a string" };
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => Err(wrong),
        Some(plain) if !plain.contains('\\') => Ok(Some(Cow::Borrowed(plain))),
        // Half a surrogate pair is the one thing a parsed JSON string can still get wrong.
        Some(_) => match serde_json::from_str(raw) {
            Ok(unescaped) => Ok(Some(Cow::Owned(unescaped))),
            Err(_) => Err(wrong),
        },
    }
}

/// A date claim: an integer, a decimal, or either of them in quotes.
fn date(name: &'static str, raw: Option<&str>) -> Result<Option<NumericDate>, TokenError> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else { return Ok(None) };
    let quoted = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    // JSON's grammar inside the quotes too; a JSON parser alone would let space around it pass.
    let number = quoted.unwrap_or(raw);
    match serde_json::from_str(number) {
        Ok(seconds) if number.trim_ascii() == number => Ok(Some(NumericDate(seconds))),
        _ => Err(TokenError::Claim { name, expected: "seconds since 1970 as a number" }),
    }
}

/// An integer claim: no fraction, no exponent, no quotes.
fn integer(name: &'static str, raw: Option<&str>) -> Result<Option<i64>, TokenError> {
    match raw.filter(|raw| *raw != "null") {
        None => Ok(None),
        Some(raw) => match raw.parse() {
            Ok(integer) => Ok(Some(integer)),
            Err(_) => Err(TokenError::Claim { name, expected: "an integer" }),
        },
    }
}

/// Labels: an object of strings. The last of a key counts.
fn labels(raw: Option<&str>) -> Result<BTreeMap<String, String>, TokenError> {
    match raw.filter(|raw| *raw != "null") {
        None => Ok(BTreeMap::new()),
        Some(raw) => serde_json::from_str(raw).map_err(|_type| TokenError::Claim {
            name: "labels",
            expected: "an object whose values are strings",
        }),
    }
}
