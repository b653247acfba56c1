//! Claims that become something else: `meta` and labels from wherever an identity provider puts
//! them (`client.token.meta_from_claim`, `client.token.labels_from_claim`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::error::TokenError;

/// Where in the claims a value stands: keys and places in lists, joined by dots, as in
/// `realm_access.roles.0`; a dot that belongs to a key has a backslash before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimPath {
    steps: Vec<String>,
}

/// Why a text is no path.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathFault {
    /// A step has no name.
    #[error("{0:?} has an empty step: expected keys joined by single dots, as in a.b.0")]
    Empty(String),
    /// Something that would mean more in gjson.
    #[error(
        "{0:?} holds {1:?}: expected keys and places in lists joined by dots, as in a.b.0; queries, \
         wildcards and modifiers are not supported (a backslash before the character takes it as it is)"
    )]
    Unsupported(String, char),
}

impl ClaimPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, PathFault> {
        let (mut steps, mut step) = (Vec::new(), String::new());
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\\' => step.extend(chars.next()),
                '.' => steps.push(std::mem::take(&mut step)),
                '#' | '*' | '?' | '@' | '|' | '!' | '{' | '[' => {
                    return Err(PathFault::Unsupported(text.to_owned(), char));
                }
                other => step.push(other),
            }
        }
        steps.push(step);
        if steps.iter().any(String::is_empty) {
            return Err(PathFault::Empty(text.to_owned()));
        }
        Ok(Self { steps })
    }

    /// The JSON of what stands there.
    fn find<'p>(&self, claims: &'p str) -> Option<&'p str> {
        self.steps.iter().try_fold(claims, |json, step| {
            match json.as_bytes().first()? {
                b'{' => serde_json::from_str::<Members<'p>>(json).ok()?.remove(step.as_str()),
                b'[' => {
                    let items: Vec<&'p RawValue> = serde_json::from_str(json).ok()?;
                    Some(*items.get(step.parse::<usize>().ok()?)?)
                }
                _ => None,
            }
            .map(RawValue::get)
        })
    }
}

type Members<'p> = BTreeMap<Cow<'p, str>, &'p RawValue>;

/// A value that is taken from the claims, and the key it gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pick {
    /// Its key in `meta`, or of the label.
    pub key: String,
    /// Where it stands.
    pub from: ClaimPath,
}

/// Labels picked from these claims: texts as they are, numbers and everything else as JSON. What is
/// missing or `null` gives none.
pub(super) fn labels(picks: &[Pick], claims: &str, labels: &mut BTreeMap<String, String>) {
    for Pick { key, from } in picks {
        let Some(json) = from.find(claims).filter(|json| *json != "null") else { continue };
        let text = serde_json::from_str::<String>(json).unwrap_or_else(|_other| json.to_owned());
        labels.insert(key.clone(), text);
    }
}

/// `meta` with what is picked from these claims; that wins over what has the same key.
pub(super) fn meta(
    picks: &[Pick],
    claims: &str,
    meta: Option<Box<[u8]>>,
) -> Result<Option<Box<[u8]>>, TokenError> {
    let found: Vec<_> = picks
        .iter()
        .filter_map(|pick| Some((pick.key.as_str(), pick.from.find(claims)?)))
        .collect();
    if found.is_empty() {
        return Ok(meta);
    }
    let wrong = TokenError::Claim {
        name: "meta",
        expected: "an object, because client.token.meta_from_claim adds to it",
    };
    let stands: &[u8] = meta.as_deref().filter(|json| *json != b"null").unwrap_or(b"{}");
    let mut members: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(stands).map_err(|_type| wrong)?;
    for (key, json) in found {
        let raw = serde_json::from_str(json).expect("cut from JSON that was read");
        members.insert(Cow::Borrowed(key), raw);
    }
    let json = serde_json::to_vec(&members).expect("keys and raw JSON are JSON");
    Ok(Some(json.into()))
}
