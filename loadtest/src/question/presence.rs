//! Presence of a channel that only the sessions of one user are subscribed to.

use serde::Deserialize;

use super::reply::{Entries, result};
use super::{Expected, Wrong, check_ids};

/// The channel the server subscribes every session of this user to.
fn personal_channel(user: &str) -> String {
    format!("#{user}")
}

/// The body of a request.
pub(super) fn request_body(user: &str) -> String {
    format!(r#"{{"channel":"{}"}}"#, personal_channel(user))
}

/// Judges an answer.
pub(super) fn check(body: &[u8], expected: &Expected<'_>) -> Result<(), Wrong> {
    let Presence { presence: Entries(present) } = result(body)?;
    let is_right = |(id, present): &(&str, Present<'_>)| {
        present.client == *id && present.user == expected.user
    };
    if !present.iter().all(is_right) {
        return Err(Wrong::Entry);
    }
    check_ids(present.into_iter().map(|(client, _)| client).collect(), expected)
}

#[derive(Deserialize)]
struct Presence<'b> {
    #[serde(borrow)]
    presence: Entries<'b, Present<'b>>,
}

#[derive(Deserialize)]
struct Present<'b> {
    client: &'b str,
    #[serde(default)]
    user: &'b str,
}
