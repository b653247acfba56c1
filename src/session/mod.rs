//! What one shard knows: its sessions, each in one run of bytes, found by user, client or session.
//!
//! ```text
//!   user ──hash──▶ by_user ──slot of the newest──▶ pages ──next──▶ the user's older sessions
//!   client, session ──id: turned back into slot and salt──▶ pages
//!   pages: one record per session │ links │ salt │ where │ when │ user, token uid, meta, … │
//!   label, app, transport ──index: set of slots──▶ set operations ──▶ candidates ──▶ pages
//! ```
//!
//! Used by the shard, which opens and closes, and by the API, which reads. It knows no JSON (`meta`
//! is bytes), no clock, no randomness of its own and no other shard. Nothing here blocks: no step
//! takes longer because there are more sessions, apart from the resize of one of 1,024 parts of
//! the user index and the growth of the list of pages (24 bytes for a hundred sessions).

mod table;

mod closed;

mod by_user;
mod id;
mod view;

mod candidates;
mod filter;
mod heap;

mod index;
mod slots;

mod bytes;
mod changes;
mod interner;
mod labels;
mod latency;
mod pages;
mod pairs;
mod record;
mod token;

#[cfg(test)]
mod tests;

pub use by_user::UserHasher;
pub use candidates::{Candidates, Conditions};
pub use closed::{ClosedLimits, ClosedSessions, Ended};
pub use filter::{Filter, FilterError, FilterFields, FilterLimits, WrongField};
pub use heap::HeapBytes;
pub use id::IdKeys;
pub use table::{Closed, Opened, Opening, Table, TableFull, Trail, USER_AGENT_BYTES_MAX, Walk};
pub use view::{Protocol, Session, TokenUid, Transport};
