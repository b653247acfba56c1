//! ⑤ What is put to a shard.

use compact_str::CompactString;

use super::channels::NoChannels;
use super::disconnect::DisconnectParams;
use super::fence::Fence;
use super::own_sessions::OwnSessions;
use super::refresh::RefreshParams;
use super::search::{Search, State};
use super::selector::{Selector, User};
use super::update::{Change, UpdateParams};
use super::user_status::StatusOrder;
use crate::auth::Rule;
use crate::ids::{ClientId, SessionId, UserHash};

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
    /// How a shard is. It tells itself.
    NodeStats,
    /// Whether this user is blocked.
    UserBlock(CompactString),
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
    /// Whoever is asked: all know the same.
    Here,
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
            Self::KeepOut(_) | Self::Status(_) | Self::Fence(_) | Self::Info | Self::NodeStats => {
                Subject::Every
            }
            Self::UserBlock(_) => Subject::Here,
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
            | Self::NodeStats
            | Self::UserBlock(_)
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
            | Self::NodeStats
            | Self::UserBlock(_)
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
            Self::NodeStats => "node_stats",
            Self::UserBlock(_) => "get_user_block",
            Self::NoChannels(about) => about.name(),
        }
    }

    /// Whether it is the control thread that does it, or has shards do it.
    #[must_use]
    pub const fn is_stored_first(&self) -> bool {
        matches!(self, Self::KeepOut(_) | Self::Status(_))
    }
}
