//! What the server may say about one user, checked entry by entry: the harness trusts no answer.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::population::APP_NAME;
use crate::transport::Transport;

/// Why an answer is wrong; its text is the label errors are counted under.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Wrong {
    /// Not the shape of an answer at all.
    Json,
    /// Another HTTP status than 200.
    Status(u16),
    /// The API refused.
    Api(u32),
    /// Some shards did not answer.
    Partial,
    /// Fewer sessions than are held.
    TooFew,
    /// More sessions than are held.
    TooMany,
    /// A session under no proper id, twice, or with another name, transport or protocol.
    Entry,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json => f.write_str("answer is not the expected JSON"),
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::Api(code) => write!(f, "API error {code}"),
            Self::Partial => f.write_str("answer is partial"),
            Self::TooFew => f.write_str("too few sessions listed"),
            Self::TooMany => f.write_str("too many sessions listed"),
            Self::Entry => f.write_str("a listed session is not as it connected"),
        }
    }
}

/// The body of a `user_connections` request.
pub(crate) fn request_body(user: &str) -> String {
    format!(r#"{{"method":"user_connections","params":{{"user":"{user}"}}}}"#)
}

/// Checks an answer against the number of sessions this user must have over this transport.
pub(crate) fn check(
    status: u16,
    body: &[u8],
    expected: u32,
    transport: Transport,
) -> Result<(), Wrong> {
    if status != 200 {
        return Err(Wrong::Status(status));
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_shape| Wrong::Json)?;
    if let Some(error) = answer.error {
        return Err(Wrong::Api(error.code));
    }
    let result = answer.result.ok_or(Wrong::Json)?;
    if result.partial || answer.partial {
        return Err(Wrong::Partial);
    }
    let mut sessions = result.connections.0;
    for (client, session) in &sessions {
        let is_ours = session.app_name == APP_NAME
            && session.transport == transport.name()
            && session.protocol == transport.protocol();
        if !is_ours || rollcall::ids::uuid_parse(client.as_bytes()).is_none() {
            return Err(Wrong::Entry);
        }
    }
    sessions.sort_unstable_by_key(|(client, _)| *client);
    if sessions.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Wrong::Entry);
    }
    match sessions.len().cmp(&(expected as usize)) {
        std::cmp::Ordering::Less => Err(Wrong::TooFew),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Wrong::TooMany),
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<Listing<'a>>,
    error: Option<ApiError>,
    #[serde(default)]
    partial: bool,
}

#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow)]
    connections: Entries<'a>,
    #[serde(default)]
    partial: bool,
}

#[derive(Deserialize)]
struct ApiError {
    code: u32,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(default)]
    app_name: &'a str,
    #[serde(default)]
    transport: &'a str,
    #[serde(default)]
    protocol: &'a str,
}

/// The entries as they stand in the text: a map type would hide a key that comes twice.
struct Entries<'a>(Vec<(&'a str, Entry<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of sessions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(4);
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "db8bc772-2654-4283-851a-f29b888ace74";
    const B: &str = "4bc3ca70-ecc5-439d-af14-a78ae18e31c7";
    const OURS: &str =
        r#"{"app_name":"ios","transport":"websocket","protocol":"json","meta":{"a":[1]}}"#;

    fn check(status: u16, body: &[u8], expected: u32) -> Result<(), Wrong> {
        super::check(status, body, expected, Transport::Websocket)
    }

    fn listing(entries: &[(&str, &str)]) -> String {
        let entries: Vec<String> =
            entries.iter().map(|(client, entry)| format!("\"{client}\":{entry}")).collect();
        format!(r#"{{"result":{{"connections":{{{}}}}}}}"#, entries.join(","))
    }

    #[test]
    fn the_right_number_of_different_sessions_is_right() {
        assert_eq!(check(200, listing(&[(A, OURS), (B, OURS)]).as_bytes(), 2), Ok(()));
        assert_eq!(check(200, listing(&[]).as_bytes(), 0), Ok(()));
    }

    #[test]
    fn every_other_answer_is_wrong_by_name() {
        let two = listing(&[(A, OURS), (B, OURS)]);
        assert_eq!(check(200, two.as_bytes(), 3), Err(Wrong::TooFew));
        assert_eq!(check(200, two.as_bytes(), 1), Err(Wrong::TooMany));
        assert_eq!(check(200, listing(&[(A, OURS), (A, OURS)]).as_bytes(), 2), Err(Wrong::Entry));
        for (ours, foreign) in [("ios", "web"), ("websocket", "sse"), ("json", "protobuf")] {
            let foreign = OURS.replace(ours, foreign);
            assert_eq!(check(200, listing(&[(A, &foreign)]).as_bytes(), 1), Err(Wrong::Entry));
        }
        assert_eq!(check(200, listing(&[("7", OURS)]).as_bytes(), 1), Err(Wrong::Entry));
        assert_eq!(check(401, b"", 1), Err(Wrong::Status(401)));
        let error = br#"{"error":{"code":107,"message":"bad request"}}"#;
        assert_eq!(check(200, error, 1), Err(Wrong::Api(107)));
        assert_eq!(check(200, b"{}", 0), Err(Wrong::Json));
        assert_eq!(check(200, b"[]", 0), Err(Wrong::Json));
        let partial = br#"{"result":{"connections":{},"partial":true}}"#;
        assert_eq!(check(200, partial, 0), Err(Wrong::Partial));
    }
}
