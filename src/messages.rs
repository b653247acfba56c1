//! Everything that crosses a thread, and what happens when there is no room for it.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::api::watch::Unread;
use crate::api::webhook::EventBatch;
use crate::api::{Answer, Question, Refusal, Route, Selector, WebhookFacts};
use crate::auth::{KeyNeeded, KeySearch};
use crate::ids::{CallId, ClientId, InquiryId, SessionId, ShardId, StreamId};
use crate::protocol::{DecodeError, Encoding};
use crate::proxy::{ConnectAnswer, ConnectQuestion, Header, RefreshAnswer, RefreshQuestion};

/// A party of the mesh: a shard, or the control thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// A shard of this node.
    Shard(ShardId),
    /// The control thread.
    Control,
}

/// Names one gather of the shard that asked; the use count makes a late answer recognisable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GatherId {
    /// Place in the asking shard's gather table.
    pub index: u32,
    /// Use of that place.
    pub generation: u32,
}

/// Names one watch of the shard its watcher is connected to; the use count makes late messages
/// recognisable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WatchId {
    /// Place among that shard's watches.
    pub index: u32,
    /// Use of that place.
    pub generation: u32,
}

/// What shards tell each other about a watch.
#[derive(Debug)]
pub enum WatchMessage {
    /// To where sessions are: tell its watcher of yours, those you have and those to come. No
    /// room: the watch is cut.
    Begin(Box<Selector>),
    /// To where sessions are: its watcher has taken the last piece of your snapshot. No room: said
    /// again from the tick.
    More,
    /// To where sessions are: its watcher is gone. No room: said again from the tick.
    End,
    /// To the watcher: a part of the sessions there are. No room: as for `Event`.
    Piece {
        /// The event, unless there is nothing to tell.
        event: Option<Box<[u8]>>,
        /// Sessions in it.
        sessions: u32,
        /// Whether these were all.
        is_last: bool,
    },
    /// To the watcher: the event of what happened to a session. No room: nothing more is sent, and
    /// `Gap` is.
    Event(Box<[u8]>),
    /// To the watcher: something could not be told, and nothing more will be. No room: said again
    /// from the tick.
    Gap,
}

/// One message. Kept small: rings hold thousands of them.
#[derive(Debug)]
pub enum Message {
    /// Shard to shard: answer this from your own table. Shard to control: store this and have it
    /// carried out. No room: the asker counts that one as missing at once and its reply says
    /// `partial`, or that it failed. Control to shard: carry this rule out. No room: sent again.
    Ask {
        /// What to answer to.
        gather: GatherId,
        /// What is asked.
        question: Question,
    },
    /// The answer. No room: it is dropped and counted, and the asker's deadline turns it into a
    /// missing shard.
    Answer {
        /// What is answered.
        gather: GatherId,
        /// What the other has to say.
        answer: Answer,
    },
    /// Shard to shard: commands for a session there. No room: they are dropped and counted, and
    /// the client notices by its own timeout, or by the ping it did not answer.
    Emulate(Box<Emulated>),
    /// Shard to shard: about a watch. No room: see [`WatchMessage`].
    Watch {
        /// Which watch.
        watch: WatchId,
        /// What about it.
        about: WatchMessage,
    },
    /// Shard to control: a session came or went; only sent when somebody watches. No room: it is
    /// dropped and counted.
    Event(Box<SessionEvent>),
    /// Shard to control: what happened to sessions, for the webhook. No room: the events are lost
    /// and counted, and the next message that finds room says how many.
    SessionEvents(Box<EventBatch>),
    /// Control to shard: what has become of such events, for `info`. No room: sent again.
    WebhookFacts(WebhookFacts),
    /// Shard to control: something that only the outside knows. No room: whoever waits for it is
    /// refused for now, as when the outside does not answer.
    Inquire {
        /// What both threads call it.
        inquiry: InquiryId,
        /// What is asked.
        about: Inquiry,
    },
    /// Shard to control: nobody waits for this any more. No room: it is dropped and counted, and
    /// nobody takes the answer.
    Dismiss {
        /// What was asked.
        inquiry: InquiryId,
    },
    /// Control to shard: what the outside says. No room: kept, and sent again.
    Found {
        /// What was asked.
        inquiry: InquiryId,
        /// The answer.
        finding: Finding,
    },
    /// Control to shard: a request to the server API that came over gRPC. No room: its caller is
    /// told `UNAVAILABLE`.
    Call(Box<Call>),
    /// Shard to control: the reply to it. No room: it is dropped and counted, and the caller is
    /// told `DEADLINE_EXCEEDED`.
    CallReply(Box<CallReply>),
    /// Control to shard: take no more connections and say goodbye to the ones you have. Sent
    /// once, repeated while it finds no room.
    Drain {
        /// Milliseconds over which the goodbyes are spread.
        within_ms: u64,
    },
    /// Shard to control: the last session of this user on the node has ended; only sent when
    /// statuses of users are kept. No room: it is dropped and counted, and the user was last seen
    /// when they left before.
    UserLeft {
        /// Who.
        user: Box<str>,
        /// When, Unix seconds.
        at_s: i64,
    },
    /// Shard to control: nothing is left here. Sent from the tick until it finds room.
    Drained,
    /// Control to shard: a client opened a stream there, which is a connection of the shard from
    /// now on. No room: it stays with its stream, at most one for each, and is sent when there is.
    StreamOpen(Box<StreamOpen>),
    /// Control to shard: the client does not take what it is sent, and bytes wait. No room: as
    /// above; what waits then counts.
    StreamBacklog {
        /// Whose.
        stream: StreamId,
        /// How many.
        bytes: usize,
    },
    /// Control to shard: the stream is gone. The client left, or has been sent everything and
    /// the regular end. No room: as above.
    StreamGone {
        /// Which one.
        stream: StreamId,
    },
    /// Shard to control: messages for the client, each with its prefix. No room: the session
    /// ends, as when a connection breaks.
    StreamBytes {
        /// For whom.
        stream: StreamId,
        /// One message or several, whole.
        bytes: Box<[u8]>,
    },
    /// Shard to control: the last word of a stream. No room: kept by the shard, at most two for
    /// each of its streams, and sent from the tick.
    StreamEnd {
        /// Which one.
        stream: StreamId,
        /// How.
        end: StreamEnd,
    },
}

const _: () = assert!(size_of::<Message>() <= 160, "rings hold thousands of messages");

/// What only the outside knows.
#[derive(Debug)]
pub enum Inquiry {
    /// Who a client is.
    Connect(Box<ConnectQuestion>),
    /// Whether a session whose time is over may go on.
    Refresh(Box<RefreshQuestion>),
    /// A key that tokens are verified with.
    Key(Box<KeyNeeded>),
}

/// What the outside says to an inquiry.
#[derive(Debug)]
pub enum Finding {
    /// Who the client is.
    Connect(ConnectAnswer),
    /// Whether the session goes on.
    Refresh(RefreshAnswer),
    /// Whether there is such a key.
    Key(KeySearch),
    /// Nothing: it cannot be reached, did not answer in time or makes no sense. What waits is
    /// refused for now.
    Nothing,
    /// It was not asked: too many wait for it, or it is left alone because it does not answer. What
    /// waits is refused for now.
    NotAsked,
}

/// Commands that came by a request of their own (`/emulation`).
#[derive(Debug)]
pub struct Emulated {
    /// Whose they are.
    pub session: SessionId,
    /// How they are written.
    pub encoding: Encoding,
    /// As they came.
    pub commands: Box<[u8]>,
}

/// A request to the server API.
#[derive(Debug)]
pub struct Call {
    /// What both threads call it.
    pub id: CallId,
    /// What it calls.
    pub route: Route,
    /// Its body in JSON.
    pub body: Box<[u8]>,
}

/// The reply to a [`Call`].
#[derive(Debug)]
pub struct CallReply {
    /// Which call.
    pub id: CallId,
    /// The reply in JSON, or why there is none.
    pub reply: Result<Box<[u8]>, Refusal>,
}

/// A client that opened a gRPC stream.
#[derive(Debug)]
pub struct StreamOpen {
    /// What both threads call it.
    pub stream: StreamId,
    /// What it is to be.
    pub kind: StreamKind,
    /// What it asks: a connect request in Protobuf, perhaps; or the body of a watch.
    pub request: Box<[u8]>,
    /// The address it comes from.
    pub remote_addr: IpAddr,
    /// Its `user-agent`, or empty.
    pub user_agent: Box<str>,
    /// What backends are shown of its metadata.
    pub metadata: Vec<Header>,
}

/// What a gRPC stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamKind {
    /// A session.
    Session,
    /// A watch of sessions.
    Watch,
}

/// How a gRPC stream ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEnd {
    /// Behind everything sent before, with success.
    Regular,
    /// At once; what waits is thrown away.
    Cut,
    /// Nothing was sent and nothing begins.
    Refused(StreamRefusal),
}

/// Why a gRPC stream never was a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamRefusal {
    /// The connection or rate limit of the node.
    Limited,
    /// Its address connects too often.
    TooOften {
        /// When it may come again.
        retry_after_s: u64,
    },
    /// The request is no connect request.
    Malformed(DecodeError),
    /// The request cannot be watched.
    Unwatched(Unread),
}

/// A session that came or went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionEvent {
    /// Which session.
    pub client: ClientId,
    /// Whose; empty is the anonymous user.
    pub user: String,
    /// Client name, empty when the client gave none.
    pub app_name: String,
    /// Client version, empty when the client gave none.
    pub app_version: String,
    /// Name of its transport.
    pub transport: &'static str,
    /// The shard that holds it.
    pub shard: ShardId,
    /// What happened.
    pub change: SessionChange,
}

/// What happened to a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionChange {
    /// It connected.
    Opened,
    /// It ended.
    Closed {
        /// Disconnect code (3000 when the peer left by itself).
        code: u32,
        /// Reason text of that code.
        reason: Cow<'static, str>,
        /// How long it had lived, in milliseconds.
        lived_ms: u64,
    },
}
