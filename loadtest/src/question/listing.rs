//! `user_connections`: every session by its id, with how it connected.

use serde::Deserialize;

use super::reply::{Entries, result};
use super::{Expected, Wrong};

/// The body of a request.
pub(super) fn request_body(user: &str) -> String {
    format!(r#"{{"method":"user_connections","params":{{"user":"{user}"}}}}"#)
}

/// The ids an answer lists, as they stand in it.
pub(super) fn ids<'b>(body: &'b [u8], expected: &Expected<'_>) -> Result<Vec<&'b str>, Wrong> {
    let listing: Listing<'_> = result(body)?;
    if listing.partial {
        return Err(Wrong::Partial);
    }
    let sessions = listing.connections.0;
    check_sessions(sessions.iter().map(|(_, session)| session), expected)?;
    Ok(sessions.into_iter().map(|(client, _)| client).collect())
}

#[derive(Deserialize)]
struct Listing<'b> {
    #[serde(borrow)]
    connections: Entries<'b, Session<'b>>,
    #[serde(default)]
    partial: bool,
}

/// What is said of a session, as far as it is checked.
#[derive(Deserialize)]
pub(super) struct Session<'b> {
    #[serde(default)]
    app_name: &'b str,
    #[serde(default)]
    transport: &'b str,
    #[serde(default)]
    protocol: &'b str,
    #[serde(default)]
    token_uid: &'b str,
}

/// Checks that all these are as the sessions of this user are, and no others.
pub(super) fn check_sessions<'s, 'b: 's>(
    sessions: impl Iterator<Item = &'s Session<'b>> + Clone,
    expected: &Expected<'_>,
) -> Result<(), Wrong> {
    if !sessions.clone().all(|session| session.is_as(expected)) {
        return Err(Wrong::Entry);
    }
    let uids = sessions.map(|session| session.token_uid);
    if expected.token_uids.cover(uids) { Ok(()) } else { Err(Wrong::Foreign) }
}

impl Session<'_> {
    /// Whether it connected as the sessions of this user did.
    fn is_as(&self, expected: &Expected<'_>) -> bool {
        expected.app_names.contains(&self.app_name)
            && self.transport == expected.transport.name()
            && self.protocol == expected.transport.protocol()
    }
}
