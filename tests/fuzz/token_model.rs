//! A connection token's claims in the plainest way: no borrowing, no order of checks, only whether
//! it is good and what it says (RFC 7515, RFC 7519, and Centrifugo's claims).

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64URL};
use rollcall::auth::{Claims, Expected, TokenOptions};

use crate::json::{self, Failure, Json, Value};

/// The moment of every verification.
pub(crate) const NOW_S: i64 = 1_732_000_000;

const YEAR_S: i64 = 365 * 24 * 3600;

/// The model does not know: the text is deeper than it reads.
#[derive(Debug)]
pub(crate) struct Unsure;

/// The HMAC that a header, in base64url, names.
pub(crate) fn algorithm(header: &str) -> Option<hmac::Algorithm> {
    let text = String::from_utf8(BASE64URL.decode(header).ok()?).ok()?;
    // Deeper than the model reads is a header no one of ours writes.
    let json = json::only(&text).ok().filter(Json::is_object)?;
    let Value::Object(members) = &json.value else { return None };
    let named = |name: &str| {
        let named = members.iter().filter(|(key, _)| key.as_deref() == Some(name));
        named.map(|(_, value)| value).collect::<Vec<_>>()
    };
    if members.iter().any(|(key, _)| key.is_none()) || named("crit").len() > 1 {
        return None;
    }
    if named("crit").iter().any(|crit| !crit.is_null()) {
        return None;
    }
    // RFC 7515 §4.1.4: a string.
    let is_id = |kid: &&Json<'_>| kid.is_null() || matches!(kid.value, Value::Text(Some(_)));
    if named("kid").len() > 1 || !named("kid").iter().all(is_id) {
        return None;
    }
    match named("alg").as_slice() {
        [Json { value: Value::Text(Some(name)), .. }] => match name.as_str() {
            "HS256" => Some(hmac::HMAC_SHA256),
            "HS384" => Some(hmac::HMAC_SHA384),
            "HS512" => Some(hmac::HMAC_SHA512),
            _ => None,
        },
        _ => None,
    }
}

/// The claims of a token whose signature is good.
pub(crate) fn claims(token: &str, options: &TokenOptions) -> Result<Result<Claims, ()>, Unsure> {
    let payload = token.split('.').nth(1).and_then(|part| BASE64URL.decode(part).ok());
    let Some(text) = payload.and_then(|payload| String::from_utf8(payload).ok()) else {
        return Ok(Err(()));
    };
    match json::only(&text) {
        Ok(json) => Ok(Payload::of(&json).and_then(|read| read.claims(options))),
        Err(Failure::Malformed) => Ok(Err(())),
        Err(Failure::TooDeep) => Err(Unsure),
    }
}

struct Payload<'j>(&'j [(Option<String>, Json<'j>)]);

fn is_met(expected: &Expected, texts: &[String]) -> bool {
    match expected {
        Expected::Anything => true,
        Expected::Exactly(text) => texts.contains(text),
        Expected::Matching(_) => unreachable!("the fuzzer expects no patterns"),
    }
}

impl<'j> Payload<'j> {
    fn of(json: &'j Json<'j>) -> Result<Self, ()> {
        let Value::Object(members) = &json.value else { return Err(()) };
        if members.iter().all(|(key, _)| key.is_some()) { Ok(Self(members)) } else { Err(()) }
    }

    /// The last claim of this name, `null` included.
    fn any(&self, name: &str) -> Option<&'j Json<'j>> {
        let found = self.0.iter().rfind(|(key, _)| key.as_deref() == Some(name));
        found.map(|(_, value)| value)
    }

    fn claim(&self, name: &str) -> Option<&'j Json<'j>> {
        self.any(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<String>, ()> {
        self.claim(name).map(Json::text).transpose()
    }

    /// A number, or exactly its digits in quotes.
    fn date(&self, name: &str) -> Result<Option<f64>, ()> {
        let Some(json) = self.claim(name) else { return Ok(None) };
        let quoted = json.raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let digits = quoted.unwrap_or(json.raw);
        let is_number = json::only(digits).is_ok_and(|json| json.is_number() && json.raw == digits);
        let seconds = serde_json::from_str(digits).ok().filter(|_| is_number);
        seconds.map(Some).ok_or(())
    }

    fn integer(&self, name: &str) -> Result<Option<i64>, ()> {
        match self.claim(name) {
            None => Ok(None),
            Some(json) if json.is_number() => json.raw.parse().map(Some).map_err(drop),
            Some(_) => Err(()),
        }
    }

    fn audience(&self) -> Result<Vec<String>, ()> {
        match self.claim("aud") {
            None => Ok(Vec::new()),
            Some(Json { value: Value::Array(names), .. }) => names.iter().map(Json::text).collect(),
            Some(json) => Ok(vec![json.text()?]),
        }
    }

    fn claims(&self, options: &TokenOptions) -> Result<Claims, ()> {
        let now = NOW_S as f64;
        let audience = self.audience()?;
        let issuer = self.text("iss")?;
        let channel = self.text("channel")?.unwrap_or_default();
        let expires = self.date("exp")?;
        let begins = self.date("nbf")?;
        if !is_met(&options.audience, &audience)
            || !is_met(&options.issuer, issuer.as_slice())
            || !channel.is_empty()
            || expires.is_some_and(|expires| expires <= now)
            || begins.is_some_and(|begins| begins >= now)
        {
            return Err(());
        }
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as it should")]
        let floor = |seconds: f64| seconds.floor() as i64;
        let expire_at = match self.integer("expire_at")? {
            None => expires.map(floor),
            Some(at) => Some(at).filter(|at| *at > 0),
        };
        let raw = |name: &str| self.any(name).map(|json| json.raw.as_bytes().into());
        let info = match self.text("b64info")?.unwrap_or_default() {
            none if none.is_empty() => raw("info"),
            encoded => Some(STANDARD.decode(encoded).map_err(drop)?.into()),
        };
        let labels = self.labels()?;
        options.labels.check(&labels).map_err(drop)?;
        let user = self.text("sub")?.unwrap_or_default();
        let sessions = self.claim("sessions").and_then(|json| json.text().ok());
        let limit = self.claim("connection_limit").filter(|json| json.is_number());
        Ok(Claims {
            own_sessions: sessions.as_deref() == Some("self") && !user.is_empty(),
            user,
            expire_at: expire_at.map(|at| at.min(NOW_S + YEAR_S)),
            uid: self.text("jti")?.unwrap_or_default(),
            issued_at: self.date("iat")?.map(floor),
            info,
            sessions_max: limit.and_then(|json| json.raw.parse().ok()),
            meta: raw("meta"),
            labels,
        })
    }

    /// The last of each key.
    fn labels(&self) -> Result<BTreeMap<String, String>, ()> {
        match self.claim("labels") {
            None => Ok(BTreeMap::new()),
            Some(Json { value: Value::Object(members), .. }) => members
                .iter()
                .map(|(key, value)| Ok((key.clone().ok_or(())?, value.text()?)))
                .collect(),
            Some(_) => Err(()),
        }
    }
}
