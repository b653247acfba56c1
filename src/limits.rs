//! Ceilings that more than one module depends on. A ceiling of one module stands there, as a
//! constant whose documentation says what happens at it; `docs/operating.md` lists all of them.

use std::collections::BTreeMap;

/// Shards of one node: each owns one bit of a directory mask. More cores than this stay unused;
/// the configuration refuses a larger `shards.count`.
pub const SHARDS_MAX: usize = 64;

const _: () = assert!(SHARDS_MAX <= u64::BITS as usize, "a directory mask is one u64");

/// Brackets in brackets in what a client sends to be passed on: deeper is refused as a malformed
/// request, because whoever reads it next may recurse. Our own reading never does
/// (`too_deep_data_is_refused_and_no_depth_costs_stack`).
pub const CLIENT_JSON_DEPTH_MAX: usize = 128;

/// How many labels a session may have, and how long they may be. Beyond it the token that brings
/// them is invalid, and an update of them is refused
/// (`labels_beyond_their_limits_make_a_token_invalid`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LabelLimits {
    /// Labels of one session; at most [`LABELS_PER_SESSION_MAX`].
    pub count_max: usize,
    /// Bytes of a key.
    pub key_bytes_max: usize,
    /// Bytes of a value.
    pub value_bytes_max: usize,
}

/// Labels of one session that an option may allow: a record counts them in one byte.
pub const LABELS_PER_SESSION_MAX: usize = 255;

impl Default for LabelLimits {
    /// What the configuration says when it says nothing.
    fn default() -> Self {
        Self { count_max: 16, key_bytes_max: 64, value_bytes_max: 256 }
    }
}

/// Why labels are too many or too long.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LabelFault {
    /// There are more than the limit.
    #[error("{count} labels, expected at most {max} (labels.max_count)")]
    TooMany {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A key is longer than the limit.
    #[error("a key of {bytes} bytes, expected at most {max} (labels.max_key_size)")]
    LongKey {
        /// How long.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A value is longer than the limit.
    #[error("a value of {bytes} bytes, expected at most {max} (labels.max_value_size)")]
    LongValue {
        /// How long.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

impl LabelLimits {
    /// Whether a session may have these labels.
    ///
    /// # Errors
    /// The first limit that they are beyond.
    pub fn check(&self, labels: &BTreeMap<String, String>) -> Result<(), LabelFault> {
        let Self { count_max, key_bytes_max, value_bytes_max } = *self;
        if labels.len() > count_max {
            return Err(LabelFault::TooMany { count: labels.len(), max: count_max });
        }
        for (key, value) in labels {
            if key.len() > key_bytes_max {
                return Err(LabelFault::LongKey { bytes: key.len(), max: key_bytes_max });
            }
            if value.len() > value_bytes_max {
                return Err(LabelFault::LongValue { bytes: value.len(), max: value_bytes_max });
            }
        }
        Ok(())
    }
}

/// The longest id of a published key that a token may name: it is kept while the key is asked for, and
/// when it is not there. Those in use have less than a hundred bytes.
pub const KEY_ID_BYTES_MAX: usize = 256;
