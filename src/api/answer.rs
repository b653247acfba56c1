//! ⑤ What a shard says to a question, and how many answers become one.

use compact_str::CompactString;

use super::detail::Detail;
use super::encode::Object;
use super::error::{ApiError, ErrorKind};
use super::node_stats::ShardStats;
use super::own_sessions;
use super::page::Rows;
use super::question::Question;
use super::terms::Receipt;
use super::user_status::UserStatus;
use super::{connections, user_connections};
use crate::auth::Until;
use crate::ids::ClientId;
use crate::observe::Counters;
use crate::session::{Session, Table};

/// One shard's part: how many sessions matched, and what there is to tell of them.
#[derive(PartialEq, Eq, Debug)]
pub struct Answer {
    matched: u32,
    listing: Listing,
    counters: Option<Box<Counters>>,
    /// Nothing was done.
    error: Option<Box<ApiError>>,
    oldest: Option<(u64, ClientId)>,
    detail: Option<Box<Detail>>,
}

/// Sessions, encoded: `"<client>":{…}`, or of a user's own sessions `{…}`, joined by commas.
#[derive(PartialEq, Eq, Default, Debug)]
pub(super) struct Listing {
    fragments: Vec<u8>,
    /// It grew beyond [`LISTINGS_BYTES_MAX`] and was thrown away.
    is_too_large: bool,
}

/// Encoded sessions in one reply, in bytes: some hundred thousand sessions. Beyond it a listing is
/// answered with error 108: no shard encodes, and no caller is sent, without end.
pub const LISTINGS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes set aside before the first session is written: three with `meta`, which are most users.
const FRAGMENT_BYTES: usize = 1_024;

impl Listing {
    /// Adds one session.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_too_large {
            return;
        }
        let out = &mut self.fragments;
        if out.is_empty() {
            out.reserve(FRAGMENT_BYTES);
        } else {
            out.push(b',');
        }
        write(out);
        if out.len() > LISTINGS_BYTES_MAX {
            self.throw_away();
        }
    }

    fn add(&mut self, other: Self) {
        let bytes = self.fragments.len() + other.fragments.len();
        if self.is_too_large || other.is_too_large || bytes > LISTINGS_BYTES_MAX {
            self.throw_away();
        } else if self.fragments.is_empty() {
            *self = other;
        } else if !other.fragments.is_empty() {
            self.fragments.push(b',');
            self.fragments.extend_from_slice(&other.fragments);
        }
    }

    fn throw_away(&mut self) {
        *self = Self::too_large();
    }

    /// One that has been thrown away.
    pub(super) const fn too_large() -> Self {
        Self { fragments: Vec::new(), is_too_large: true }
    }

    pub(super) const fn is_too_large(&self) -> bool {
        self.is_too_large
    }
}

impl Answer {
    /// Nothing to tell but a number.
    #[must_use]
    pub const fn counted(matched: u32) -> Self {
        let listing = Listing { fragments: Vec::new(), is_too_large: false };
        Self { matched, listing, counters: None, error: None, oldest: None, detail: None }
    }

    /// What is known of the users asked for, in their order.
    #[must_use]
    pub fn statuses(statuses: Vec<UserStatus>) -> Self {
        Self::found(0, Listing::default(), Detail { statuses, ..Detail::default() })
    }

    /// Nothing was done, and this is why.
    #[must_use]
    pub fn failed(error: ApiError) -> Self {
        Self { error: Some(Box::new(error)), ..Self::counted(0) }
    }

    /// The answer to [`Question::Info`].
    #[must_use]
    pub fn info(sessions: usize, counters: Counters) -> Self {
        let matched = u32::try_from(sessions).unwrap_or(u32::MAX);
        Self { counters: Some(Box::new(counters)), ..Self::counted(matched) }
    }

    /// The answer to [`Question::NodeStats`].
    #[must_use]
    pub fn stats(stats: ShardStats) -> Self {
        Self::found(0, Listing::default(), Detail { stats: vec![stats], ..Detail::default() })
    }

    /// The answer to [`Question::UserBlock`]: until when the user is blocked, if they are.
    #[must_use]
    pub fn user_block(block: Option<Until>) -> Self {
        Self::found(0, Listing::default(), Detail { block, ..Detail::default() })
    }

    /// This shard has too much to look at already.
    #[must_use]
    pub fn refused() -> Self {
        Self::failed(ApiError::new(
            ErrorKind::Internal,
            "too many questions that have to look at every session are being answered, send it \
             again later",
        ))
    }

    pub(super) fn found(matched: u32, listing: Listing, detail: Detail) -> Self {
        let detail = (detail != Detail::default()).then(|| Box::new(detail));
        Self { listing, detail, ..Self::counted(matched) }
    }

    /// How many sessions it tells of.
    #[must_use]
    pub const fn matched(&self) -> u32 {
        self.matched
    }

    /// The same, and what was done to the sessions that matched.
    #[must_use]
    pub fn with_receipt(mut self, receipt: Receipt) -> Self {
        self.detail.get_or_insert_default().receipt = Some(receipt);
        self
    }
}

/// One shard's answer from its own table.
///
/// # Panics
/// For what selects, which takes a [`Scan`](super::Scan), for a rule, which changes sessions, and for
/// what asks for more than the table knows, as [`Question::Info`]: all are the shard's to answer.
#[must_use]
pub fn answer(question: &Question, table: &Table) -> Answer {
    match question {
        Question::Oldest { user, hash } => {
            // Newest first; of the same millisecond any will do, and the same for everybody.
            let oldest = table.by_user(user, *hash).last();
            let oldest = oldest.map(|session| (session.connected_at_ms(), session.client()));
            Answer { oldest, ..Answer::counted(0) }
        }
        Question::UserConnections { user, hash } => {
            list(table.by_user(user, *hash), |session, out| {
                write_key(session, out);
                user_connections::write(session, out);
            })
        }
        Question::Connections { user, hash } => list(table.by_user(user, *hash), |session, out| {
            write_key(session, out);
            connections::write(session, out);
        }),
        Question::OwnSessions(own) => list(table.by_user(&own.user, own.hash), |session, out| {
            own_sessions::write(own, session, out);
        }),
        Question::Search(_)
        | Question::Disconnect(_)
        | Question::Refresh(_)
        | Question::Update(_)
        | Question::KeepOut(_)
        | Question::Status(_)
        | Question::Fence(_)
        | Question::NodeStats
        | Question::UserBlock(_)
        | Question::Info => {
            unreachable!("a shard answers this itself")
        }
        Question::NoChannels(_) => Answer::counted(0),
    }
}

fn list<'t>(
    sessions: impl Iterator<Item = Session<'t>>,
    write: impl Fn(&Session<'_>, &mut Vec<u8>),
) -> Answer {
    let mut answer = Answer::counted(0);
    for session in sessions {
        answer.matched += 1;
        answer.listing.push(|out| write(&session, out));
        if answer.listing.is_too_large {
            break;
        }
    }
    answer
}

pub(super) fn write_key(session: &Session<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(&session.client().text());
    out.extend_from_slice(b"\":");
}

/// The answers that came, as one.
#[derive(PartialEq, Eq, Default, Debug)]
pub struct Merged {
    /// Shards that did not answer in time, as a mask.
    pub missing: u64,
    matched: u32,
    listing: Listing,
    counters: Option<Box<Counters>>,
    error: Option<Box<ApiError>>,
    oldest: Option<(u64, ClientId)>,
    detail: Option<Box<Detail>>,
}

impl Merged {
    /// Adds one shard's answer.
    pub fn add(&mut self, answer: Answer) {
        self.matched = self.matched.saturating_add(answer.matched);
        self.error = self.error.take().or(answer.error);
        self.oldest = self.oldest.into_iter().chain(answer.oldest).min();
        if let Some(counters) = answer.counters {
            self.counters.get_or_insert_default().add(&counters);
        }
        self.listing.add(answer.listing);
        match (&mut self.detail, answer.detail) {
            (Some(detail), Some(other)) => detail.add(*other),
            (mine, other) => *mine = mine.take().or(other),
        }
        if self.listing_bytes() > LISTINGS_BYTES_MAX {
            self.refuse_listing();
        }
    }

    /// Sessions that matched, over all shards that answered.
    #[must_use]
    pub const fn matched(&self) -> u32 {
        self.matched
    }

    /// Bytes of the sessions encoded in it.
    #[must_use]
    pub fn listing_bytes(&self) -> usize {
        let rows = self.detail().and_then(|detail| detail.rows.as_ref());
        self.listing.fragments.len() + rows.map_or(0, Rows::bytes)
    }

    /// Throws the listing away: the reply it belongs to would grow beyond
    /// [`LISTINGS_BYTES_MAX`].
    pub fn refuse_listing(&mut self) {
        self.listing.throw_away();
        if let Some(detail) = &mut self.detail {
            detail.rows = None;
        }
    }

    /// Whether a listing grew beyond [`LISTINGS_BYTES_MAX`] and was thrown away.
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        self.listing.is_too_large
    }

    /// What there is to tell beside the sessions.
    pub(super) fn detail(&self) -> Option<&Detail> {
        self.detail.as_deref()
    }

    /// What is known of the users asked for, in their order.
    pub fn statuses_mut(&mut self) -> &mut [UserStatus] {
        self.detail.as_mut().map_or(&mut [], |detail| &mut detail.statuses)
    }

    pub(super) fn statuses(&self) -> &[UserStatus] {
        self.detail().map_or(&[], |detail| &detail.statuses)
    }

    /// How the shards are that answered.
    pub(super) fn stats(&self) -> &[ShardStats] {
        self.detail().map_or(&[], |detail| &detail.stats)
    }

    /// Until when the user asked for is blocked, if they are.
    pub(super) fn user_block(&self) -> Option<Until> {
        self.detail()?.block
    }

    /// The oldest session that was named.
    #[must_use]
    pub fn oldest(&self) -> Option<ClientId> {
        self.oldest.map(|(_, client)| client)
    }

    /// Whether everybody answered, and nobody that nothing was done.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.missing == 0 && self.error.is_none()
    }

    /// Nothing was done, and this is why.
    pub(super) fn fail(&mut self, error: ApiError) {
        self.error = Some(Box::new(error));
    }

    /// The token of the one session that matched, when that was asked for.
    pub(super) fn token_uid(&self) -> Option<&CompactString> {
        self.detail()?.receipt.as_ref()?.token_uid.as_ref()
    }

    /// Why nothing was done.
    pub(super) fn error(&self) -> Option<&ApiError> {
        self.error.as_deref()
    }

    /// What the shards that answered have counted.
    pub(super) fn counters(&self) -> Option<&Counters> {
        self.counters.as_deref()
    }

    /// Writes the members of a listing's result.
    pub(super) fn write_connections(&self, out: &mut Vec<u8>) {
        let mut result = Object::open(out);
        result.members("connections", |out| out.extend_from_slice(&self.listing.fragments));
        self.write_scan(&mut result);
        result.close();
    }

    /// Writes the answer to [`Question::OwnSessions`]: `{"sessions":[…]}`, and `"partial":true` when
    /// a shard is missing. One line.
    pub fn write_own_sessions(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"sessions\":[");
        out.extend_from_slice(&self.listing.fragments);
        out.push(b']');
        self.write_partial(out);
        out.push(b'}');
    }

    /// Says that somebody did not answer, after the last member of a result. Clients that do not
    /// know the key ignore it.
    pub(super) fn write_partial(&self, out: &mut Vec<u8>) {
        if self.is_partial() {
            out.extend_from_slice(b",\"partial\":true");
        }
    }

    /// Writes what there is to tell about looking, and whether all was looked at.
    pub(super) fn write_scan(&self, result: &mut Object<'_>) {
        if let Some(detail) = self.detail() {
            detail.write_scan(result);
        }
        if self.is_partial() {
            result.raw("partial", b"true");
        }
    }

    pub(super) fn is_partial(&self) -> bool {
        self.missing != 0 || self.detail().is_some_and(|detail| detail.is_cut)
    }
}

/// How a step of a plan ended.
#[derive(PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Shards were asked, and this came together.
    Answered(Merged),
    /// It was decided without them.
    Failed(ApiError),
}
