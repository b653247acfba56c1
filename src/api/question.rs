//! ⑤ What is put to a shard, what a shard says, and how many answers become one.

use compact_str::CompactString;

use super::disconnect::DisconnectParams;
use super::error::ApiError;
use super::own_sessions::{self, OwnSessions};
use super::refresh::RefreshParams;
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
    /// The user's sessions as the user may see them.
    OwnSessions(Box<OwnSessions>),
    /// End the sessions selected. The shard carries it out itself.
    Disconnect(Box<DisconnectParams>),
    /// Change when the sessions selected end. The shard carries it out itself.
    Refresh(Box<RefreshParams>),
    /// Keep somebody out, or no longer. Stored by the control thread; then each shard carries it
    /// out itself.
    KeepOut(Box<Rule>),
    /// How many sessions there are.
    Info,
}

const _: () = assert!(size_of::<Question>() <= 48, "a question crosses rings by value");

/// What decides which shards can know something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// One user: the directory knows where.
    User(UserHash),
    /// One session: its id names the shard.
    Client(ClientId),
    /// One session: its id names the shard.
    Session(SessionId),
    /// Everybody.
    Every,
}

impl Question {
    /// What decides which shards can know something.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Oldest { hash, .. }
            | Self::UserConnections { hash, .. }
            | Self::Connections { hash, .. } => Subject::User(*hash),
            Self::OwnSessions(own) => Subject::User(own.hash),
            Self::Disconnect(params) => params.selector().subject(),
            Self::Refresh(params) => params.selector.subject(),
            Self::KeepOut(_) | Self::Info => Subject::Every,
        }
    }

    /// The command it belongs to, as replies of a batch are keyed.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Oldest { .. } => "oldest",
            Self::UserConnections { .. } => "user_connections",
            Self::Connections { .. } => "connections",
            Self::OwnSessions(_) => "sessions.list",
            Self::Disconnect(_) => "disconnect",
            Self::Refresh(_) => "refresh",
            Self::KeepOut(rule) => match **rule {
                Rule::Block { .. } => "block_user",
                Rule::Unblock { .. } => "unblock_user",
                Rule::Revoke { .. } => "revoke_token",
                Rule::Invalidate { .. } => "invalidate_user_tokens",
            },
            Self::Info => "info",
        }
    }

    /// Whether nothing is left to do for shards once it is stored.
    #[must_use]
    pub fn is_over_when_stored(&self) -> bool {
        matches!(self, Self::KeepOut(rule) if matches!(**rule, Rule::Unblock { .. }))
    }

    /// Whether the control thread must store it before shards are asked.
    #[must_use]
    pub const fn is_stored_first(&self) -> bool {
        matches!(self, Self::KeepOut(_))
    }
}

/// One shard's part: how many sessions matched, and what there is to tell of them, encoded:
/// `"<client>":{…}`, or of a user's own sessions `{…}`, joined by commas.
#[derive(PartialEq, Eq, Debug)]
pub struct Answer {
    matched: u32,
    fragments: Vec<u8>,
    /// The fragments grew beyond [`LISTINGS_BYTES_MAX`] and were thrown away.
    is_too_large: bool,
    counters: Option<Box<Counters>>,
    /// Nothing was done.
    error: Option<Box<ApiError>>,
    oldest: Option<(u64, ClientId)>,
}

/// Encoded sessions in one reply, in bytes: some hundred thousand sessions. Beyond it a listing is
/// answered with error 108: no shard encodes, and no caller is sent, without end.
pub const LISTINGS_BYTES_MAX: usize = 32 * 1024 * 1024;

impl Answer {
    /// Nothing to tell but a number.
    #[must_use]
    pub const fn counted(matched: u32) -> Self {
        Self {
            matched,
            fragments: Vec::new(),
            is_too_large: false,
            counters: None,
            error: None,
            oldest: None,
        }
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
}

/// One shard's answer from its own table.
///
/// # Panics
/// For a disconnect, a refresh and a rule, which change sessions, and for [`Question::Info`], which
/// asks for more than the table knows: all are the shard's to answer.
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
        Question::Disconnect(_) | Question::Refresh(_) | Question::KeepOut(_) | Question::Info => {
            unreachable!("a shard answers this itself")
        }
    }
}

/// Bytes set aside before the first session is written: two without `meta`, so that growing by
/// doubling takes few steps from there.
const FRAGMENT_BYTES: usize = 512;

fn list<'t>(
    sessions: impl Iterator<Item = Session<'t>>,
    write: impl Fn(&Session<'_>, &mut Vec<u8>),
) -> Answer {
    let mut answer = Answer::counted(0);
    for session in sessions {
        let out = &mut answer.fragments;
        if answer.matched == 0 {
            out.reserve(FRAGMENT_BYTES);
        } else {
            out.push(b',');
        }
        answer.matched += 1;
        write(&session, out);
        if out.len() > LISTINGS_BYTES_MAX {
            answer.is_too_large = true;
            answer.fragments = Vec::new();
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
    fragments: Vec<u8>,
    is_too_large: bool,
    counters: Option<Box<Counters>>,
    error: Option<Box<ApiError>>,
    oldest: Option<(u64, ClientId)>,
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
        self.is_too_large |= answer.is_too_large
            || self.fragments.len() + answer.fragments.len() > LISTINGS_BYTES_MAX;
        if self.is_too_large {
            self.fragments = Vec::new();
            return;
        }
        if self.fragments.is_empty() {
            self.fragments = answer.fragments;
        } else if !answer.fragments.is_empty() {
            self.fragments.push(b',');
            self.fragments.extend_from_slice(&answer.fragments);
        }
    }

    /// Sessions that matched, over all shards that answered.
    #[must_use]
    pub const fn matched(&self) -> u32 {
        self.matched
    }

    /// Bytes of the sessions encoded in it.
    #[must_use]
    pub const fn listing_bytes(&self) -> usize {
        self.fragments.len()
    }

    /// Throws the listing away: the reply it belongs to would grow beyond
    /// [`LISTINGS_BYTES_MAX`].
    pub fn refuse_listing(&mut self) {
        self.is_too_large = true;
        self.fragments = Vec::new();
    }

    /// Whether a listing grew beyond [`LISTINGS_BYTES_MAX`] and was thrown away.
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        self.is_too_large
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
        out.extend_from_slice(b"{\"connections\":{");
        out.extend_from_slice(&self.fragments);
        out.push(b'}');
        self.write_partial(out);
        out.push(b'}');
    }

    /// Writes the answer to [`Question::OwnSessions`]: `{"sessions":[…]}`, and `"partial":true` when
    /// a shard is missing. One line.
    pub fn write_own_sessions(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"sessions\":[");
        out.extend_from_slice(&self.fragments);
        out.push(b']');
        self.write_partial(out);
        out.push(b'}');
    }

    /// Says that somebody did not answer, after the last member of a result. Clients that do not
    /// know the key ignore it.
    pub(super) fn write_partial(&self, out: &mut Vec<u8>) {
        if self.missing != 0 {
            out.extend_from_slice(b",\"partial\":true");
        }
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
