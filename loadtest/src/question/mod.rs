//! Who is connected as this user? How each kind of server is asked, and how its answer is judged:
//! the harness trusts none.
//!
//! ```text
//! kind of question   asked by                                    must answer
//! user_connections   POST /api                                   each session as it connected
//! presence           POST /api/presence, the user's own channel  each session and its user
//! hash               HGETALL of the user's key                   each record as it was stored
//! ```

mod hash;
mod listing;
mod presence;
mod reply;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use rollcall::ids::{ClientId, uuid_text};
use serde::{Deserialize, Serialize};

use crate::http::{self, Malformed};
use crate::population::{NOBODY, token_uid};
use crate::transport::Transport;
pub(crate) use hash::command;

/// How a server is asked for the sessions of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    UserConnections,
    /// Centrifugo's, of the channel each session is subscribed to by the server.
    Presence,
    /// Redis's.
    Hash,
}

/// What is true of the user asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) user: &'a str,
    pub(crate) sessions: u32,
    pub(crate) transport: Transport,
    /// What their clients call themselves: one of these.
    pub(crate) app_names: &'static [&'static str],
    /// What their tokens are called, where a listing says it.
    pub(crate) token_uids: TokenUids,
}

/// The ids of the tokens of a user's sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenUids {
    /// The server made them up.
    Any,
    /// Those of sessions `first..end` of a population.
    Of { seed: u64, first: u32, end: u32 },
}

impl TokenUids {
    /// Whether each of these is one of them.
    fn cover<'b>(self, listed: impl Iterator<Item = &'b str>) -> bool {
        let Self::Of { seed, first, end } = self else { return true };
        let uids = (first..end).map(|session| uuid_text(&token_uid(seed, session)));
        let mut uids: Vec<_> = uids.collect();
        uids.sort_unstable();
        let is_one = |uid: &str| uids.binary_search_by(|one| one[..].cmp(uid.as_bytes())).is_ok();
        listed.into_iter().all(is_one)
    }
}

impl Expected<'_> {
    /// A user without a session.
    pub(crate) const fn nobody() -> Self {
        let (user, transport) = (NOBODY, Transport::Websocket);
        Self { user, sessions: 0, transport, app_names: &[], token_uids: TokenUids::Any }
    }
}

/// An answer as it stands in what was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer<'b> {
    /// What is to be judged, if the server did not refuse.
    pub(crate) body: Result<Cow<'b, [u8]>, Wrong>,
    /// Bytes of the input it took.
    pub(crate) len: usize,
}

/// Why an answer is wrong; its text is the label errors are counted under.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Wrong {
    /// Not the shape of an answer at all.
    Shape,
    /// Another HTTP status than 200.
    Status(u16),
    /// The API refused.
    Api(u32),
    /// Redis refused, in its own words.
    Refused(String),
    /// Some shards did not answer.
    Partial,
    /// Fewer sessions than are held.
    TooFew,
    /// More sessions than are held.
    TooMany,
    /// A session under no proper id, twice, of another user, or not as it connected.
    Entry,
    /// A session that is connected is not listed.
    Missing,
    /// A session that ended a while ago is listed.
    Lingering,
    /// A session of another user is listed.
    Foreign,
    /// A session that nobody opened is listed.
    Unknown,
    /// Two sessions were given one id.
    SameId,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str("answer is not of the expected shape"),
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::Api(code) => write!(f, "API error {code}"),
            Self::Refused(why) => write!(f, "refused with {why}"),
            Self::Partial => f.write_str("answer is partial"),
            Self::TooFew => f.write_str("too few sessions listed"),
            Self::TooMany => f.write_str("too many sessions listed"),
            Self::Entry => f.write_str("a listed session is not as it connected"),
            Self::Missing => f.write_str("a connected session is not listed"),
            Self::Lingering => f.write_str("a session that ended is still listed"),
            Self::Foreign => f.write_str("a session of another user is listed"),
            Self::Unknown => f.write_str("a session nobody opened is listed"),
            Self::SameId => f.write_str("two sessions were given one client id"),
        }
    }
}

impl Question {
    /// What it is called in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UserConnections => "user_connections",
            Self::Presence => "presence",
            Self::Hash => "HGETALL",
        }
    }

    /// A request for this user on a connection that is kept.
    pub(crate) fn request(self, host: &str, key: &str, user: &str) -> Vec<u8> {
        let (path, body) = match self {
            Self::UserConnections => ("/api", listing::request_body(user)),
            Self::Presence => ("/api/presence", presence::request_body(user)),
            Self::Hash => return command(&["HGETALL", user]),
        };
        let authorization = format!("Authorization: apikey {key}");
        http::post(host, path, &["Content-Type: application/json", &authorization], &body)
    }

    /// Reads an answer off the front; `None` while more must come.
    pub(crate) fn read(self, bytes: &[u8]) -> Result<Option<Answer<'_>>, Malformed> {
        if self == Self::Hash {
            return hash::read(bytes);
        }
        let response = http::parse_response(bytes)?;
        Ok(response.map(|http::Response { status, body, len }| Answer {
            body: if status == 200 { Ok(body) } else { Err(Wrong::Status(status)) },
            len,
        }))
    }

    /// Judges the body of an answer.
    pub(crate) fn check(self, body: &[u8], expected: &Expected<'_>) -> Result<(), Wrong> {
        count(&self.ids(body, expected)?, expected.sessions)
    }

    /// The sessions the body of an answer lists, however many, by ascending id; each once and as
    /// those of this user are.
    pub(crate) fn ids(self, body: &[u8], expected: &Expected<'_>) -> Result<Vec<ClientId>, Wrong> {
        let listed = match self {
            Self::UserConnections => listing::ids(body, expected),
            Self::Presence => presence::ids(body, expected),
            Self::Hash => hash::ids(body, expected),
        };
        let ids: Option<Vec<ClientId>> = listed?.into_iter().map(ClientId::parse).collect();
        let mut ids = ids.ok_or(Wrong::Entry)?;
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) { Err(Wrong::Entry) } else { Ok(ids) }
    }
}

/// Checks how many sessions are listed.
pub(crate) fn count(listed: &[ClientId], expected: u32) -> Result<(), Wrong> {
    match listed.len().cmp(&(expected as usize)) {
        Ordering::Less => Err(Wrong::TooFew),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Wrong::TooMany),
    }
}

#[cfg(test)]
mod tests;
