//! Presence of a channel that only the sessions of one user are subscribed to.

use serde::Deserialize;

use super::reply::{Entries, result};
use super::{Expected, Wrong};

/// The channel the server subscribes every session of this user to.
fn personal_channel(user: &str) -> String {
    format!("#{user}")
}

/// The body of a request.
pub(super) fn request_body(user: &str) -> String {
    format!(r#"{{"channel":"{}"}}"#, personal_channel(user))
}

/// The ids an answer lists, as they stand in it.
pub(super) fn ids<'b>(body: &'b [u8], expected: &Expected<'_>) -> Result<Vec<&'b str>, Wrong> {
    let Presence { presence: Entries(present) } = result(body)?;
    let is_right = |(id, present): &(&str, Present<'_>)| {
        present.client == *id && present.user == expected.user
    };
    if !present.iter().all(is_right) {
        return Err(Wrong::Entry);
    }
    Ok(present.into_iter().map(|(client, _)| client).collect())
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
