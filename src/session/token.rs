//! The token of a session: kept in its record while another takes the bytes of the first, which it
//! does when both have a UUID and are of the same century.

use super::bytes::Bytes;
use super::changes::Changes;
use super::record::{self, Record, TOKEN_PARTS};

/// A token that found no room in the record.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) uid: Box<str>,
    pub(super) issued_at: Option<i64>,
}

/// Gives a session another token.
pub(super) fn replace(
    changes: &mut Changes,
    (slot, record): (u32, &mut [u8]),
    uid: &str,
    issued_at: Option<i64>,
) {
    let is_changed = Record(record).is_changed();
    if overwrite(record, uid, issued_at) {
        if is_changed {
            changes.keep_token(slot);
        }
    } else {
        record::set_changed(record);
        changes.set_token(slot, Token { uid: uid.into(), issued_at });
    }
}

/// Writes the parts of a token where those of the last one are. Returns whether they fit.
fn overwrite(record: &mut [u8], uid: &str, issued_at: Option<i64>) -> bool {
    let stored = Record(record);
    let (mut issued_bytes, mut uid_bytes) = (Bytes::new(), Bytes::new());
    let parts = record::write_issued_at(&mut issued_bytes, issued_at, stored.connected_at_ms())
        | record::write_uid(&mut uid_bytes, uid);
    let [at_issued, at_uid] = stored.token_places();
    let fits = parts == stored.parts() & TOKEN_PARTS
        && (at_issued.len(), at_uid.len()) == (issued_bytes.len(), uid_bytes.len());
    if fits {
        record[at_issued].copy_from_slice(&issued_bytes);
        record[at_uid].copy_from_slice(&uid_bytes);
    }
    fits
}
