//! How something is done to sessions: for real or as a rehearsal, and whether their ids are told.
//! What was done is the receipt.

use compact_str::CompactString;
use simd_json::tape::Value;

use super::answer::Merged;
use super::encode::Object;
use super::params::{Mistyped, boolean, known};
use super::update::Applied;
use crate::ids::ClientId;

/// Client ids in one receipt. Those beyond are left out, and the receipt says so.
pub const RECEIPT_CLIENTS_MAX: usize = 10_000;

/// Whether something is done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Mode {
    /// It is.
    #[default]
    ForReal,
    /// It is not: only who would be meant is told (`dry_run`).
    Rehearsal,
}

/// Whether a receipt names the sessions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Naming {
    /// Only numbers.
    #[default]
    Numbers,
    /// The client ids too (`return_clients`).
    Clients,
    /// The token of the one session that matches: what is to be fenced out.
    Token,
}

/// How something is done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Terms {
    /// Whether it is done.
    pub mode: Mode,
    /// What is told of it.
    pub naming: Naming,
}

/// The terms among a command's parameters, as given.
#[derive(Default)]
pub(super) struct TermsGiven {
    dry_run: Option<bool>,
    return_clients: Option<bool>,
}

impl TermsGiven {
    /// Reads one parameter; false when it is none of the terms.
    pub(super) fn read(&mut self, key: &str, value: Value<'_, '_>) -> Result<bool, Mistyped> {
        match known(key, &["dry_run", "return_clients"]) {
            key @ "dry_run" => boolean(&mut self.dry_run, key, value)?,
            key @ "return_clients" => boolean(&mut self.return_clients, key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn terms(&self) -> Terms {
        Terms {
            mode: if self.dry_run == Some(true) { Mode::Rehearsal } else { Mode::ForReal },
            naming: if self.return_clients == Some(true) {
                Naming::Clients
            } else {
                Naming::Numbers
            },
        }
    }
}

/// What was done to sessions.
#[derive(PartialEq, Eq, Default, Debug)]
pub struct Receipt {
    /// To how many it has been done.
    pub done: u32,
    /// To how many it will be done after this answer.
    pub pending: u32,
    /// How many stay as they are because they would have too many labels.
    pub refused: u32,
    /// Which ones matched, when that was asked for.
    pub clients: Option<Vec<ClientId>>,
    /// Some ids found no room.
    pub is_truncated: bool,
    /// The id of the token of the one that matched, or empty; when that was asked for.
    pub token_uid: Option<CompactString>,
}

impl Receipt {
    /// Names a session that matched, while there is room.
    pub fn name(&mut self, client: ClientId) {
        let clients = self.clients.get_or_insert_default();
        if clients.len() < RECEIPT_CLIENTS_MAX {
            clients.push(client);
        } else {
            self.is_truncated = true;
        }
    }

    /// Counts what was done to a session.
    pub const fn count(&mut self, applied: Applied) {
        match applied {
            Applied::Done => self.done += 1,
            Applied::Refused => self.refused += 1,
            Applied::Same => {}
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.done = self.done.saturating_add(other.done);
        self.refused = self.refused.saturating_add(other.refused);
        self.pending = self.pending.saturating_add(other.pending);
        self.is_truncated |= other.is_truncated;
        self.token_uid = self.token_uid.take().or(other.token_uid);
        for client in other.clients.into_iter().flatten() {
            self.name(client);
        }
    }
}

/// Writes `{"matched":n,"<done>":n}` and what else there is to tell.
pub(super) fn write(merged: &Merged, done: &str, terms: Terms, out: &mut Vec<u8>) {
    let nothing = Receipt::default();
    let receipt = merged.detail().and_then(|detail| detail.receipt.as_ref()).unwrap_or(&nothing);
    let mut object = Object::open(out);
    object.integer("matched", merged.matched());
    object.integer(done, receipt.done);
    if receipt.refused > 0 {
        object.integer("refused", receipt.refused);
    }
    if receipt.pending > 0 {
        object.integer("pending", receipt.pending);
    }
    if terms.naming == Naming::Clients {
        object.ids("clients", receipt.clients.as_deref().unwrap_or_default());
    }
    if receipt.is_truncated {
        object.raw("clients_truncated", b"true");
    }
    merged.write_scan(&mut object);
    object.close();
}
