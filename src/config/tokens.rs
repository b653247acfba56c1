//! What is configured about tokens, as it is used: keys read, patterns compiled.

use regex::Regex;

use super::setting::{ClaimPicks, some};
use super::table::Config;
use super::table_token::Token;
use super::validate::Fault;
use crate::auth::{
    self, ClaimPath, Endpoint, Expected, Jwks, KeyFault, KeyRing, Pick, PreviousSecret, PublicKey,
    Safety, Signatures, TokenOptions,
};
use crate::limits::LabelLimits;

impl Config {
    /// How tokens are verified.
    ///
    /// # Errors
    /// Every option that cannot be used, a line each. A configuration that was loaded has none.
    pub fn token_options(&self) -> Result<TokenOptions, String> {
        let line = |(name, what): Fault| format!("{name} {what}");
        options(self).map_err(|faults| faults.into_iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    /// How many labels a session may have, and how long.
    #[must_use]
    pub const fn label_limits(&self) -> LabelLimits {
        LabelLimits {
            count_max: self.labels.max_count,
            key_bytes_max: self.labels.max_key_size,
            value_bytes_max: self.labels.max_value_size,
        }
    }
}

/// The same, with every fault by its option.
pub(super) fn options(config: &Config) -> Result<TokenOptions, Vec<Fault>> {
    let token = &config.client.token;
    let mut faults = Vec::new();
    let options = TokenOptions {
        hmac_secret: some(token.hmac_secret_key.expose()),
        hmac_previous: previous_secret(token, &mut faults),
        public_keys: public_keys(token, &mut faults),
        audience: expected(AUDIENCE, (&token.audience, &token.audience_regex), &mut faults),
        issuer: expected(ISSUER, (&token.issuer, &token.issuer_regex), &mut faults),
        user_claim: user_claim(token, &mut faults),
        meta_picks: picks(META, &token.meta_from_claim, &mut faults),
        label_picks: picks(LABELS, &token.labels_from_claim, &mut faults),
        labels: config.label_limits(),
        signatures: if config.client.insecure_skip_token_signature_verify {
            Signatures::Ignored
        } else {
            Signatures::Checked
        },
        jwks: None,
    };
    let jwks = jwks(token, &options, &mut faults);
    if faults.is_empty() { Ok(TokenOptions { jwks, ..options }) } else { Err(faults) }
}

const AUDIENCE: &str = "client.token.audience_regex";
const ISSUER: &str = "client.token.issuer_regex";
const META: &str = "client.token.meta_from_claim";
const LABELS: &str = "client.token.labels_from_claim";
const PREVIOUS: &str = "client.token.hmac_previous_secret_key_valid_until";

fn previous_secret(token: &Token, faults: &mut Vec<Fault>) -> Option<PreviousSecret> {
    let until_s = token.hmac_previous_secret_key_valid_until;
    if until_s < 0 {
        faults.push((PREVIOUS, "must not be negative: Unix seconds, 0 for no end".to_owned()));
    }
    let secret = some(token.hmac_previous_secret_key.expose())?;
    Some(PreviousSecret { secret, until_s: (until_s != 0).then_some(until_s) })
}

fn public_keys(token: &Token, faults: &mut Vec<Fault>) -> Vec<PublicKey> {
    type Read = fn(&str) -> Result<Vec<PublicKey>, KeyFault>;
    let configured: [(&'static str, &str, Read); 3] = [
        ("client.token.rsa_public_key", &token.rsa_public_key, auth::rsa_public_key),
        ("client.token.ecdsa_public_key", &token.ecdsa_public_key, auth::ecdsa_public_key),
        ("client.token.eddsa_public_key", &token.eddsa_public_key, auth::eddsa_public_key),
    ];
    let mut keys = Vec::new();
    for (name, pem, read) in configured {
        if pem.is_empty() {
            continue;
        }
        match read(pem) {
            Ok(read) => keys.extend(read),
            Err(fault) => faults.push((name, format!("is no key: {fault}"))),
        }
    }
    keys
}

fn expected(
    name: &'static str,
    (exact, pattern): (&str, &str),
    faults: &mut Vec<Fault>,
) -> Expected {
    if pattern.is_empty() {
        return some(exact).map_or(Expected::Anything, Expected::Exactly);
    }
    if !exact.is_empty() {
        let without = name.trim_end_matches("_regex");
        faults.push((name, format!("is set together with {without}: set one of them")));
    }
    match Regex::new(pattern) {
        Ok(pattern) => Expected::Matching(pattern),
        Err(why) => {
            faults.push((name, format!("is no pattern: {why}")));
            Expected::Anything
        }
    }
}

fn user_claim(token: &Token, faults: &mut Vec<Fault>) -> Option<String> {
    let name = some(&token.user_id_claim)?;
    if !name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
        let what = format!("is {name:?}, expected letters and underscores");
        faults.push(("client.token.user_id_claim", what));
    }
    Some(name)
}

fn picks(name: &'static str, picks: &ClaimPicks, faults: &mut Vec<Fault>) -> Vec<Pick> {
    let mut read = Vec::new();
    for pick in &picks.0 {
        // A label may be called anything.
        if name == META && !is_identifier(&pick.key) {
            let what = format!(
                "has the key {:?}, expected letters, digits and underscores, no digit first",
                pick.key
            );
            faults.push((name, what));
        }
        match ClaimPath::new(&pick.value) {
            Ok(from) => read.push(Pick { key: pick.key.clone(), from }),
            Err(fault) => faults.push((name, format!("is no list of places in claims: {fault}"))),
        }
    }
    read
}

fn is_identifier(key: &str) -> bool {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.bytes().all(is_in)
        && !key.is_empty()
        && !key.starts_with(|char: char| char.is_ascii_digit())
}

fn jwks(token: &Token, options: &TokenOptions, faults: &mut Vec<Fault>) -> Option<Jwks> {
    let address = some(&token.jwks_public_endpoint)?;
    let safety = if token.insecure_skip_jwks_endpoint_safety_check {
        Safety::Skipped
    } else {
        Safety::Checked
    };
    let patterns = [&options.issuer, &options.audience].into_iter().filter_map(Expected::pattern);
    match Endpoint::new(&address, &patterns.collect::<Vec<_>>(), safety) {
        Ok(endpoint) => {
            Some(Jwks { endpoint, ring: KeyRing::default(), age_max: token.jwks_max_age })
        }
        Err(fault) => {
            faults.push(("client.token.jwks_public_endpoint", fault.to_string()));
            None
        }
    }
}
