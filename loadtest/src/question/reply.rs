//! What the answers of an HTTP API have in common: the envelope, and sessions by their ids.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::Wrong;

#[derive(Deserialize)]
struct Reply<R> {
    result: Option<R>,
    error: Option<ApiError>,
    #[serde(default)]
    partial: bool,
}

#[derive(Deserialize)]
struct ApiError {
    code: u32,
}

/// The result of an answer that is whole and no refusal.
pub(super) fn result<'b, R: Deserialize<'b>>(body: &'b [u8]) -> Result<R, Wrong> {
    let reply: Reply<R> = serde_json::from_slice(body).map_err(|_shape| Wrong::Shape)?;
    if let Some(error) = reply.error {
        return Err(Wrong::Api(error.code));
    }
    if reply.partial {
        return Err(Wrong::Partial);
    }
    reply.result.ok_or(Wrong::Shape)
}

/// The sessions as they stand in the text: a map type would hide a key that comes twice.
pub(super) struct Entries<'b, E>(pub(super) Vec<(&'b str, E)>);

impl<'de: 'b, 'b, E: Deserialize<'de>> Deserialize<'de> for Entries<'b, E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<E>(PhantomData<E>);
        impl<'de, E: Deserialize<'de>> Visitor<'de> for InOrder<E> {
            type Value = Entries<'de, E>;

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
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}
