//! A place in a listing as an opaque text, sealed for one query of one run of the node.
//!
//! ```text
//!   version 1 │ key: c and 8 bytes, or u and the user │ client 16 │ seal 8
//! ```

use std::hash::Hasher;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip::SipHasher24;

use super::error::ApiError;
use super::page::{Key, Place};
use crate::ids::ClientId;

const VERSION: u8 = 1;
const SEAL_BYTES: usize = 8;
const CLIENT_BYTES: usize = 16;

/// Whoever has it makes and knows the cursors of one query. It is a hash of the query under the
/// node's secret key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seal(pub(super) u64);

impl Seal {
    fn of(self, bytes: &[u8]) -> [u8; SEAL_BYTES] {
        let mut hasher = SipHasher24::new_with_keys(self.0, !self.0);
        hasher.write(bytes);
        hasher.finish().to_le_bytes()
    }

    /// The text of a place.
    pub(super) fn write(self, place: &Place) -> String {
        let mut bytes = vec![VERSION];
        match &place.key {
            Key::ConnectedAt(ms) => {
                bytes.push(b'c');
                bytes.extend_from_slice(&ms.to_le_bytes());
            }
            Key::User(user) => {
                bytes.push(b'u');
                bytes.extend_from_slice(user.as_bytes());
            }
        }
        bytes.extend_from_slice(&place.client.0);
        let seal = self.of(&bytes);
        bytes.extend_from_slice(&seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a text.
    ///
    /// # Errors
    /// 107 for a text that was not written under this seal.
    pub(super) fn read(self, text: &str) -> Result<Place, ApiError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes.and_then(|bytes| self.open(&bytes)).ok_or_else(|| {
            ApiError::bad_request(
                "key \"cursor\": expected the \"next_cursor\" of the same query, with the same \
                 selectors and \"sort\", from this run of the server",
            )
        })
    }

    fn open(self, bytes: &[u8]) -> Option<Place> {
        let (bytes, seal) = bytes.split_last_chunk::<SEAL_BYTES>()?;
        if *seal != self.of(bytes) {
            return None;
        }
        let (bytes, client) = bytes.split_last_chunk::<CLIENT_BYTES>()?;
        let key = match bytes {
            [VERSION, b'c', ms @ ..] => Key::ConnectedAt(u64::from_le_bytes(ms.try_into().ok()?)),
            [VERSION, b'u', user @ ..] => Key::User(std::str::from_utf8(user).ok()?.into()),
            _ => return None,
        };
        Some(Place { key, client: ClientId(*client) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_trip_through_its_text_and_no_other_text_is_one() {
        let seal = Seal(7);
        for key in [Key::ConnectedAt(u64::MAX), Key::User("".into()), Key::User("ünï".into())] {
            let place = Place { key, client: ClientId([9; 16]) };
            let text = seal.write(&place);
            assert_eq!(seal.read(&text), Ok(place));
            assert!(Seal(8).read(&text).is_err(), "another query's");
            for at in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).expect("ASCII");
                assert!(seal.read(&changed).is_err(), "{changed}");
            }
            assert!(seal.read(&text[..text.len() - 4]).is_err());
        }
        for text in ["", "A", "not base64!"] {
            assert!(seal.read(text).is_err(), "{text}");
        }
    }
}
