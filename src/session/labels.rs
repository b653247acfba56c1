//! The labels of one session as bytes, in the order of their keys.
//!
//! ```text
//!    count    1
//!    each:    3  number of the pair; 0xFFFFFF: length, key, length, value follow
//! ```

use std::collections::BTreeMap;

use super::bytes::{Bytes, Tail, text, write_run};
use super::pairs::{LABELS_MAX, PairId, Pairs};

/// No number: the texts follow.
const OWN: u32 = 0xFF_FFFF;

const _: () = assert!(LABELS_MAX < OWN as usize, "every pair has a number");

/// One label as it is stored.
#[derive(Clone, Copy)]
pub(super) enum Stored<'a> {
    Shared(PairId),
    Own(&'a str, &'a str),
}

/// Writes labels; pairs that find no room in the table are written out.
///
/// # Panics
/// If there are more than 255: `limits` sees to it.
pub(super) fn encode(labels: &BTreeMap<String, String>, pairs: &mut Pairs) -> Bytes {
    let mut bytes = Bytes::new();
    bytes.push(u8::try_from(labels.len()).expect("limits allow fewer labels"));
    for (key, value) in labels {
        let id = pairs.intern(key, value).map_or(OWN, |id| id.0);
        bytes.extend_from_slice(&id.to_le_bytes()[..3]);
        if id == OWN {
            write_run(&mut bytes, key.as_bytes());
            write_run(&mut bytes, value.as_bytes());
        }
    }
    bytes
}

/// Labels, read where they lie.
#[derive(Clone, Copy)]
pub(super) struct LabelRun<'a>(pub(super) &'a [u8]);

impl<'a> LabelRun<'a> {
    /// No labels.
    pub(super) const NONE: Self = Self(&[0]);

    pub(super) fn stored(self) -> impl Iterator<Item = Stored<'a>> {
        let mut tail = Tail(self.0);
        let [count] = tail.array();
        (0..count).map(move |_| {
            let [a, b, c] = tail.array();
            match u32::from_le_bytes([a, b, c, 0]) {
                OWN => Stored::Own(text(tail.run()), text(tail.run())),
                id => Stored::Shared(PairId(id)),
            }
        })
    }

    /// Keys and values, in the order of the keys.
    pub(super) fn texts(self, pairs: &'a Pairs) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.stored().map(|stored| match stored {
            Stored::Shared(id) => pairs.texts(id),
            Stored::Own(key, value) => (key, value),
        })
    }
}
