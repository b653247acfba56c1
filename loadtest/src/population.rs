//! Who connects: which session belongs to which user, and the token of each.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rollcall::ids::uuid_text;
use serde::{Deserialize, Serialize};

use crate::failure::{Context, Failure};
use crate::question::{Expected, TokenUids};
use crate::synthetic::{self, Ranks};
use crate::transport::Transport;

/// Seconds a token is good for: longer than any run.
const TOKEN_TTL_S: i64 = 24 * 3600;

/// Bytes of a user id.
pub(crate) const USER_LEN: usize = 10;

/// The name every session gives itself.
pub(crate) const APP_NAME: &str = "ios";

/// The version every session gives itself.
pub(crate) const APP_VERSION: &str = "1.2.3";

/// What is known of a session besides its user: 64 bytes of JSON, the shape the memory budget
/// is set for.
const META: &str = r#"{"plan":"pro","region":"eu-west-1","device":"phone","build":123}"#;

/// A user nobody connects as.
pub(crate) const NOBODY: &str = "n000000000";

/// Sessions `0..sessions`, dealt to users in runs of `per_user`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Population {
    pub(crate) sessions: u32,
    pub(crate) per_user: u32,
    /// How all of them connect.
    pub(crate) transport: Transport,
    /// What their token ids follow from.
    pub(crate) seed: u64,
}

impl Population {
    /// How many users there are.
    pub(crate) const fn users(self) -> u32 {
        self.sessions.div_ceil(self.per_user)
    }

    /// How many sessions this user has: fewer for the last one.
    pub(crate) fn sessions_of(self, user: u32) -> u32 {
        self.sessions.saturating_sub(user.saturating_mul(self.per_user)).min(self.per_user)
    }

    /// What is true of this user, whose id it is.
    pub(crate) fn expected(self, user: u32, user_id: &str) -> Expected<'_> {
        let sessions = self.sessions_of(user);
        let first = user.saturating_mul(self.per_user);
        Expected {
            user: user_id,
            sessions,
            transport: self.transport,
            app_names: &[APP_NAME],
            token_uids: TokenUids::Of { seed: self.seed, first, end: first + sessions },
        }
    }
}

/// Whose sessions are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Crowd {
    /// Users of sessions that workers hold.
    Held(Population),
    /// Users of a server that filled itself with sessions.
    Synthetic(Ranks),
}

impl Crowd {
    /// The number of one of the users, each as likely as the others.
    pub(crate) fn pick(self, random: &mut Random) -> u32 {
        match self {
            Self::Held(population) => random.below(population.users()),
            Self::Synthetic(ranks) => ranks.first + random.below(ranks.users()),
        }
    }

    /// The id of this user, always [`USER_LEN`] bytes.
    pub(crate) fn user_id(self, user: u32) -> String {
        match self {
            Self::Held(_) => user_id(user),
            Self::Synthetic(_) => synthetic::user_id(user),
        }
    }

    /// What is true of this user.
    pub(crate) fn expected(self, user: u32, user_id: &str) -> Expected<'_> {
        match self {
            Self::Held(population) => population.expected(user, user_id),
            Self::Synthetic(ranks) => ranks.expected(user, user_id),
        }
    }
}

/// The id of a user, always [`USER_LEN`] bytes.
pub(crate) fn user_id(user: u32) -> String {
    // Nine digits: users never outnumber the sessions, and those are capped by the command line.
    format!("u{user:09}")
}

/// Makes tokens.
pub(crate) struct Mint {
    key: EncodingKey,
    per_user: u32,
    seed: u64,
    issued_at: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: i64,
    iat: i64,
    jti: &'a str,
    meta: &'a serde_json::value::RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<&'a str>,
}

impl Mint {
    pub(crate) fn new(secret: &str, per_user: u32, seed: u64, issued_at: i64) -> Self {
        Self { key: EncodingKey::from_secret(secret.as_bytes()), per_user, seed, issued_at }
    }

    /// The token of this session.
    pub(crate) fn token(&self, session: u32) -> Result<String, Failure> {
        self.token_of(session / self.per_user, session)
    }

    /// A token of this user for a session of any number.
    pub(crate) fn token_of(&self, user: u32, session: u32) -> Result<String, Failure> {
        self.sign(user, session, None)
    }

    /// The same, which lets the client list its user's sessions.
    pub(crate) fn token_of_lister(&self, user: u32, session: u32) -> Result<String, Failure> {
        self.sign(user, session, Some("self"))
    }

    fn sign(
        &self,
        user: u32,
        session: u32,
        sessions: Option<&'static str>,
    ) -> Result<String, Failure> {
        let user = user_id(user);
        let jti = uuid_text(&token_uid(self.seed, session));
        let claims = Claims {
            sub: &user,
            exp: self.issued_at + TOKEN_TTL_S,
            iat: self.issued_at,
            jti: std::str::from_utf8(&jti).expect("hex digits and hyphens"),
            meta: serde_json::from_str(META).expect("META is JSON"),
            sessions,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key)
            .during("signing a token")
    }

    /// The id of this session and what a listing says of it, for a server that stores records
    /// instead of holding sessions.
    pub(crate) fn record(&self, session: u32, population: Population) -> (String, String) {
        let text = |uid| String::from_utf8(uuid_text(&uid).to_vec()).expect("hex and hyphens");
        let Population { transport, .. } = population;
        let record = format!(
            r#"{{"app_name":"{APP_NAME}","app_version":"{APP_VERSION}","transport":"{}","protocol":"{}","meta":{META},"token_uid":"{}","token_issued_at":{}}}"#,
            transport.name(),
            transport.protocol(),
            text(token_uid(self.seed, session)),
            self.issued_at
        );
        (text(token_uid(!self.seed, session)), record)
    }
}

/// A UUID of version 4 in shape, different for every session and seed.
pub(crate) fn token_uid(seed: u64, session: u32) -> [u8; 16] {
    let mut random = Random::new(seed ^ (u64::from(session) << 32));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.next().to_le_bytes());
    bytes[8..].copy_from_slice(&random.next().to_le_bytes());
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}

/// A small reproducible generator (SplitMix64): for spreading load, not for secrets.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u32::try_from(wide >> 64).expect("below a u32")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jsonwebtoken::{DecodingKey, Validation, decode};

    use super::*;

    #[test]
    fn every_session_belongs_to_one_user_and_none_is_lost() {
        let population = {
            let transport = Transport::Websocket;
            Population { sessions: 10, per_user: 3, transport, seed: 1 }
        };
        assert_eq!(population.users(), 4);
        let counts: Vec<u32> = (0..5).map(|user| population.sessions_of(user)).collect();
        assert_eq!(counts, [3, 3, 3, 1, 0]);
    }

    #[test]
    fn a_session_has_the_shape_of_the_memory_budget() {
        assert_eq!(META.len(), 64);
        assert_eq!(user_id(7).len(), USER_LEN);
        assert_eq!(user_id(20_000_000).len(), USER_LEN);
        assert_eq!(NOBODY.len(), USER_LEN);
    }

    #[test]
    fn a_token_verifies_and_carries_what_was_promised() {
        let now = crate::clock::unix_s();
        let mint = Mint::new("secret", 3, 1, now);
        let token = mint.token(7).unwrap();
        let key = DecodingKey::from_secret(b"secret");
        let claims = decode::<serde_json::Value>(&token, &key, &Validation::default()).unwrap();
        assert_eq!(claims.claims["sub"], "u000000002");
        assert_eq!(claims.claims["iat"], now);
        assert_eq!(claims.claims["meta"]["device"], "phone");
        let jti = claims.claims["jti"].as_str().unwrap();
        assert!(rollcall::ids::uuid_parse(jti.as_bytes()).is_some());
    }

    #[test]
    fn only_the_token_of_a_lister_lets_it_list() {
        let mint = Mint::new("secret", 3, 1, crate::clock::unix_s());
        let key = DecodingKey::from_secret(b"secret");
        let sessions = |token: String| {
            let claims = decode::<serde_json::Value>(&token, &key, &Validation::default()).unwrap();
            claims.claims["sessions"].clone()
        };
        assert!(sessions(mint.token_of(7, 7).unwrap()).is_null());
        assert_eq!(sessions(mint.token_of_lister(7, 7).unwrap()), "self");
    }

    #[test]
    fn token_ids_do_not_repeat() {
        let ids: HashSet<_> = (0..10_000).map(|session| token_uid(1, session)).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
