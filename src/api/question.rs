//! ⑤ What is put to a shard, what a shard says, and how many answers become one.

use compact_str::CompactString;

use super::channels::NoChannels;
use super::detail::Detail;
use super::disconnect::DisconnectParams;
use super::encode::Object;
use super::error::{ApiError, ErrorKind};
use super::fence::Fence;
use super::own_sessions::{self, OwnSessions};
use super::page::Rows;
use super::refresh::RefreshParams;
use super::search::{Search, State};
use super::selector::{Selector, User};
use super::terms::Receipt;
use super::update::{Change, UpdateParams};
use super::user_status::{StatusOrder, UserStatus};
use super::{connections, user_connections};
use crate::auth::Rule;
use crate::ids::{ClientId, SessionId, UserHash};
use crate::observe::Counters;
use crate::session::{Session, Table};

/// Something every shard can answer from its own table. Small, because it crosses rings; cloning
/// one allocates nothing but for what stands in a box or a user id of more than 24 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// Which session of the user is the oldest.
    Oldest {
        /// User id; empty is the anonymous user.
        user: CompactString,
        /// Its hash.
        hash: UserHash,
    },
    /// The user's sessions in the flat form of v3.
    UserConnections {
        /// User id; empty is the anonymous user.
        user: CompactString,
        /// Its hash.
        hash: UserHash,
    },
    /// The user's sessions in the form of v4 and later.
    Connections {
        /// User id.
        user: CompactString,
        /// Its hash.
        hash: UserHash,
    },
    /// The sessions that a selector means, in the form of v4 and later, or pages or counts of them.
    Search(Box<Search>),
    /// The user's sessions as the user may see them.
    OwnSessions(Box<OwnSessions>),
    /// End the sessions selected. The shard carries it out itself.
    Disconnect(Box<DisconnectParams>),
    /// Change when the sessions selected end. The shard carries it out itself.
    Refresh(Box<RefreshParams>),
    /// Change the sessions selected. The shard carries it out itself.
    Update(Box<UpdateParams>),
    /// Keep somebody out, or no longer. The control thread stores it and asks every shard to carry
    /// it out, whoever still waits for that.
    KeepOut(Box<Rule>),
    /// Note, tell or forget what is known of users beside their sessions. The control thread does
    /// it.
    Status(Box<StatusOrder>),
    /// Refuse connects for a while. Each shard does it itself.
    Fence(Box<Fence>),
    /// How many sessions there are.
    Info,
    /// Something about channels. There are none: nobody has to be asked.
    NoChannels(NoChannels),
}

const _: () = assert!(size_of::<Question>() <= 48, "a question crosses rings by value");

/// What decides which shards can know something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject<'q> {
    /// One user: the directory knows where.
    User(UserHash),
    /// Some users: the directory knows where each is.
    Users(&'q [User]),
    /// One session: its id names the shard.
    Client(ClientId),
    /// One session: its id names the shard.
    Session(SessionId),
    /// Everybody.
    Every,
    /// Nobody: what there is to say is known.
    Nobody,
}

impl Question {
    /// What decides which shards can know something.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::Oldest { hash, .. }
            | Self::UserConnections { hash, .. }
            | Self::Connections { hash, .. } => Subject::User(*hash),
            Self::OwnSessions(own) => Subject::User(own.hash),
            // Nobody keeps a list of where users have been.
            Self::Search(search) if search.state == State::Closed => Subject::Every,
            Self::Search(search) => search.selector.subject(),
            Self::Disconnect(params) => params.selector().subject(),
            Self::Refresh(params) => params.selector.subject(),
            Self::Update(params) => params.selector.subject(),
            Self::KeepOut(_) | Self::Status(_) | Self::Fence(_) | Self::Info => Subject::Every,
            Self::NoChannels(_) => Subject::Nobody,
        }
    }

    /// Which sessions it means, when it selects: it is answered by a [`Scan`](super::Scan).
    #[must_use]
    pub fn selector(&self) -> Option<&Selector> {
        match self {
            Self::Search(search) => Some(&search.selector),
            Self::Disconnect(params) => Some(params.selector()),
            Self::Refresh(params) => Some(&params.selector),
            Self::Update(params) => Some(&params.selector),
            Self::Oldest { .. }
            | Self::UserConnections { .. }
            | Self::Connections { .. }
            | Self::OwnSessions(_)
            | Self::KeepOut(_)
            | Self::Status(_)
            | Self::Fence(_)
            | Self::Info
            | Self::NoChannels(_) => None,
        }
    }

    /// Which sessions it is about.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Search(search) => search.state,
            Self::Oldest { .. }
            | Self::UserConnections { .. }
            | Self::Connections { .. }
            | Self::OwnSessions(_)
            | Self::Disconnect(_)
            | Self::Refresh(_)
            | Self::Update(_)
            | Self::KeepOut(_)
            | Self::Status(_)
            | Self::Fence(_)
            | Self::Info
            | Self::NoChannels(_) => State::Open,
        }
    }

    /// The command it belongs to, as replies of a batch are keyed.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Oldest { .. } => "oldest",
            Self::UserConnections { .. } => "user_connections",
            Self::Connections { .. } | Self::Search(_) => "connections",
            Self::OwnSessions(_) => "sessions.list",
            Self::Disconnect(_) | Self::Fence(_) => "disconnect",
            Self::Refresh(_) => "refresh",
            Self::Update(params) => match params.change {
                Change::Meta(_) => "update_meta",
                Change::Labels(_) => "update_labels",
            },
            Self::KeepOut(rule) => match **rule {
                Rule::Block { .. } => "block_user",
                Rule::Unblock { .. } => "unblock_user",
                Rule::Revoke { .. } => "revoke_token",
                Rule::Invalidate { .. } => "invalidate_user_tokens",
            },
            Self::Status(order) => order.name(),
            Self::Info => "info",
            Self::NoChannels(about) => about.name(),
        }
    }

    /// Whether it is the control thread that does it, or has shards do it.
    #[must_use]
    pub const fn is_stored_first(&self) -> bool {
        matches!(self, Self::KeepOut(_) | Self::Status(_))
    }
}

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
/// [`Question::Info`], which asks for more than the table knows: all are the shard's to answer.
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
