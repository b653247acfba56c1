//! What goes along with a question beside its body: what the operator adds, and what is taken over
//! from the client's request.

use std::collections::BTreeMap;
use std::fmt;

/// The names of what is taken over, in lower case.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CarriedNames {
    /// Headers of a client's HTTP request.
    pub headers: Vec<String>,
    /// Metadata of a client's gRPC call.
    pub metadata: Vec<String>,
    /// Headers that a client only says it has, in its connect request. Never to be trusted.
    pub emulated: Vec<String>,
}

/// A name in lower case, and its value as it came.
pub type Header = (Box<str>, Box<[u8]>);

/// What is taken over of one client.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Carried {
    /// Headers of its HTTP request.
    pub headers: Vec<Header>,
    /// Metadata of its gRPC call.
    pub metadata: Vec<Header>,
    /// Headers that it only says it has.
    pub emulated: Vec<Header>,
}

/// Whoever has them can act for the client: their names must do.
impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [&self.headers, &self.metadata, &self.emulated];
        f.debug_set().entries(all.into_iter().flatten().map(|(name, _)| name)).finish()
    }
}

impl Carried {
    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.metadata.is_empty() && self.emulated.is_empty()
    }
}

impl CarriedNames {
    /// Names as an operator wrote them.
    #[must_use]
    pub fn new(headers: &[String], metadata: &[String], emulated: &[String]) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
        Self { headers: lower(headers), metadata: lower(metadata), emulated: lower(emulated) }
    }

    /// What either takes over.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (own, others) in [
            (&mut self.headers, &other.headers),
            (&mut self.metadata, &other.metadata),
            (&mut self.emulated, &other.emulated),
        ] {
            own.extend(others.iter().cloned());
            own.sort_unstable();
            own.dedup();
        }
        self
    }

    /// Whether nothing is taken over.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.metadata.is_empty() && self.emulated.is_empty()
    }

    /// What is taken over of one client, with what it only says that it has.
    #[must_use]
    pub fn with_emulated(&self, carried: Carried, said: &BTreeMap<String, String>) -> Carried {
        let taken = said.iter().filter_map(|(name, value)| {
            let name = name.to_lowercase();
            let is_shown = self.emulated.contains(&name);
            is_shown.then(|| (name.into(), value.as_bytes().into()))
        });
        Carried { emulated: taken.collect(), ..carried }
    }

    /// The part of it that these names take over.
    #[must_use]
    pub fn only(&self, carried: &Carried) -> Carried {
        let of = |headers: &[Header], names: &[String]| {
            let is_named = |header: &&Header| names.iter().any(|name| **name == *header.0);
            headers.iter().filter(is_named).cloned().collect()
        };
        Carried {
            headers: of(&carried.headers, &self.headers),
            metadata: of(&carried.metadata, &self.metadata),
            emulated: of(&carried.emulated, &self.emulated),
        }
    }

    /// What goes along with one question: added ones first, a client's own word over them, and
    /// over both what its request really had.
    #[must_use]
    pub fn choose<'c>(
        &self,
        added: &'c [(String, String)],
        carried: &'c Carried,
    ) -> Vec<(&'c str, &'c [u8])> {
        let mut chosen: Vec<(&str, &[u8])> = Vec::new();
        let mut put = |layer: Vec<(&'c str, &'c [u8])>| {
            chosen.retain(|(name, _)| {
                layer.iter().all(|(other, _)| !other.eq_ignore_ascii_case(name))
            });
            chosen.extend(layer);
        };
        put(added.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect());
        for (headers, names) in [
            (&carried.emulated, &self.emulated),
            (&carried.headers, &self.headers),
            (&carried.metadata, &self.metadata),
        ] {
            let taken =
                headers.iter().filter(|(name, _)| names.iter().any(|known| **known == **name));
            put(taken.map(|(name, value)| (&**name, &**value)).collect());
        }
        chosen.retain(|(name, _)| may_go_along(name));
        chosen
    }
}

/// Headers that belong to one hop, or to the body that they came with (RFC 9110 §7.6.1).
const OF_ONE_HOP: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

fn may_go_along(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !OF_ONE_HOP.contains(&name.as_str()) && !name.starts_with("grpc-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<Header> {
        pairs.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into())).collect()
    }

    #[test]
    fn a_real_header_wins_over_what_a_client_says_and_that_over_what_is_added() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let names = CarriedNames::new(
            &list(&["Cookie", "X-Both", "Content-Length"]),
            &list(&["x-call"]),
            &list(&["Authorization", "X-Both", "X-Static"]),
        );
        let carried = Carried {
            headers: headers(&[
                ("cookie", "a=1"),
                ("cookie", "b=2"),
                ("x-both", "real"),
                ("authorization", "not asked for"),
                ("content-length", "7"),
            ]),
            metadata: headers(&[("x-call", "m"), ("cookie", "not asked for")]),
            emulated: headers(&[
                ("authorization", "Bearer t"),
                ("x-both", "said"),
                ("x-static", "said"),
                ("cookie", "not asked for"),
            ]),
        };
        let added: Vec<_> = [("X-Static", "added"), ("X-Key", "k"), ("x-both", "added")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let chosen = names.choose(&added, &carried);
        let chosen: Vec<_> =
            chosen.iter().map(|(name, value)| (*name, str::from_utf8(value).unwrap())).collect();
        assert_eq!(
            chosen,
            [
                ("X-Key", "k"),
                ("authorization", "Bearer t"),
                ("x-static", "said"),
                ("cookie", "a=1"),
                ("cookie", "b=2"),
                ("x-both", "real"),
                ("x-call", "m"),
            ]
        );
    }

    #[test]
    fn names_are_shown_and_values_are_not() {
        let carried = Carried { headers: headers(&[("cookie", "secret")]), ..Carried::default() };
        let shown = format!("{carried:?}");
        assert!(shown.contains("cookie") && !shown.contains("secret"), "{shown}");
    }
}
