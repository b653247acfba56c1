//! What clients of the bidirectional transports ask: a message of the transport in, commands out,
//! in either encoding (client protocol v2, `Command`).
//!
//! ```text
//! JSON      {"id":1,"connect":{…}}\n{"id":2,"rpc":{…}}     a last \n may follow
//! Protobuf  <uvarint length><Command><uvarint length><Command>
//! ```

mod json;
mod protobuf;

use std::borrow::Cow;
use std::fmt;
use std::iter::FusedIterator;

use super::ConnectRequest;
use super::members::ParseError;
use super::protobuf::DecodeError;

/// How commands and replies are written, the choice of each client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Text: a JSON object per line.
    Json,
    /// Bytes: Protobuf messages, each with its length in front.
    Protobuf,
}

/// One thing a client asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command<'m> {
    /// Names the command in its reply. Never 0, except for [`Request::Pong`] and
    /// [`Request::Send`], which have no reply.
    pub id: u32,
    /// What is asked.
    pub request: Request<'m>,
}

/// What is asked. Of requests for channels only the channel is read: nobody could do more with
/// them yet than refuse them. An empty channel is a bad request (3501), whatever else becomes of
/// the others.
#[derive(Clone, PartialEq, Eq)]
pub enum Request<'m> {
    /// Who the client is.
    Connect(ConnectRequest),
    /// The answer to a ping: a command without an id, whatever it says, unless it sends.
    Pong,
    /// To stay longer, with a new connection token.
    Refresh {
        /// Empty when there is none.
        token: Cow<'m, str>,
    },
    /// Something for a backend, without a reply.
    Send {
        /// As [`Request::Rpc`] has it.
        data: &'m [u8],
    },
    /// Something of a backend.
    Rpc {
        /// May be empty.
        method: Cow<'m, str>,
        /// Byte for byte: JSON from JSON (`null` included), anything from Protobuf. Empty when
        /// there is none.
        data: &'m [u8],
    },
    /// To hear a channel.
    Subscribe(Cow<'m, str>),
    /// To hear it no longer.
    Unsubscribe(Cow<'m, str>),
    /// To say something in a channel.
    Publish(Cow<'m, str>),
    /// Who is in a channel.
    Presence(Cow<'m, str>),
    /// How many are in a channel.
    PresenceStats(Cow<'m, str>),
    /// What was said in a channel.
    History(Cow<'m, str>),
    /// To hear a channel longer.
    SubRefresh(Cow<'m, str>),
    /// Nothing anybody knows, or `ping`, which the schema has and no server takes. A bad request
    /// (3501).
    Unknown,
}

/// Tokens and data are secrets of their owners: their lengths must do.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(request) => f.debug_tuple("Connect").field(request).finish(),
            Self::Pong => f.write_str("Pong"),
            Self::Refresh { token } => {
                f.debug_struct("Refresh").field("token_len", &token.len()).finish()
            }
            Self::Send { data } => f.debug_struct("Send").field("data_len", &data.len()).finish(),
            Self::Rpc { method, data } => f
                .debug_struct("Rpc")
                .field("method", method)
                .field("data_len", &data.len())
                .finish(),
            Self::Subscribe(channel) => f.debug_tuple("Subscribe").field(channel).finish(),
            Self::Unsubscribe(channel) => f.debug_tuple("Unsubscribe").field(channel).finish(),
            Self::Publish(channel) => f.debug_tuple("Publish").field(channel).finish(),
            Self::Presence(channel) => f.debug_tuple("Presence").field(channel).finish(),
            Self::PresenceStats(channel) => f.debug_tuple("PresenceStats").field(channel).finish(),
            Self::History(channel) => f.debug_tuple("History").field(channel).finish(),
            Self::SubRefresh(channel) => f.debug_tuple("SubRefresh").field(channel).finish(),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

/// Why what a client sent is not of this protocol. Ends the connection with 3501, bad request;
/// commands before it in the same message have been done.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// An empty message or an empty line.
    #[error("nothing where a command was expected")]
    Empty,
    /// Not the JSON it should be.
    #[error(transparent)]
    Json(#[from] ParseError),
    /// Not the Protobuf it should be.
    #[error(transparent)]
    Protobuf(#[from] DecodeError),
}

/// Reads the commands of one message of a transport: a WebSocket message, the body of a stream's
/// request, what an emulation request carries.
///
/// Reading is lazy: a command comes out before the next is looked at. Nothing comes after an
/// error. The transport has bounded the message; the work is linear in its length.
#[must_use]
pub const fn commands(encoding: Encoding, message: &[u8]) -> Commands<'_> {
    Commands { encoding, rest: Some(message) }
}

/// The commands of one message. See [`commands`].
#[derive(Clone)]
pub struct Commands<'m> {
    encoding: Encoding,
    /// What was not looked at yet; `None` when nothing more can come.
    rest: Option<&'m [u8]>,
}

impl<'m> Commands<'m> {
    /// What has not been read yet: a message of its own, or nothing.
    #[must_use]
    pub fn rest(&self) -> &'m [u8] {
        self.rest.unwrap_or_default()
    }
}

impl<'m> Iterator for Commands<'m> {
    type Item = Result<Command<'m>, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = self.rest.take()?;
        let read = match self.encoding {
            _ if message.is_empty() => Err(MessageError::Empty),
            Encoding::Json => json::next_command(message),
            Encoding::Protobuf => protobuf::next_command(message),
        };
        Some(read.map(|(command, rest)| {
            self.rest = Some(rest).filter(|rest| !rest.is_empty());
            command
        }))
    }
}

impl FusedIterator for Commands<'_> {}

/// The members of a command that ask something, in the order in which the reference looks for
/// them: their name in JSON and their number in Protobuf.
const METHODS: [(Method, &str, u32); 11] = [
    (Method::Connect, "connect", 4),
    (Method::Subscribe, "subscribe", 5),
    (Method::Unsubscribe, "unsubscribe", 6),
    (Method::Publish, "publish", 7),
    (Method::Presence, "presence", 8),
    (Method::PresenceStats, "presence_stats", 9),
    (Method::History, "history", 10),
    (Method::Rpc, "rpc", 13),
    (Method::Send, "send", 12),
    (Method::Refresh, "refresh", 14),
    (Method::SubRefresh, "sub_refresh", 15),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    Presence,
    PresenceStats,
    History,
    Rpc,
    Send,
    Refresh,
    SubRefresh,
}

/// A member of a request: its name in JSON and its number in Protobuf.
type Member = (&'static str, u32);

/// A request that has been found and not yet been read.
trait Body<'m>: Copy {
    fn connect(self) -> Result<ConnectRequest, MessageError>;
    fn text(self, member: Member) -> Result<Cow<'m, str>, MessageError>;
    fn data(self, member: Member) -> Result<&'m [u8], MessageError>;
}

/// A command of which only the outermost shell has been read.
struct Envelope<B> {
    id: u32,
    /// In the order of [`METHODS`]; the last of each counts.
    bodies: [Option<B>; METHODS.len()],
}

impl<B: Copy> Envelope<B> {
    const EMPTY: Self = Self { id: 0, bodies: [None; METHODS.len()] };

    /// Where the body of the method goes that `is_it` knows.
    fn place(&mut self, is_it: impl Fn(&str, u32) -> bool) -> Option<&mut Option<B>> {
        METHODS
            .iter()
            .zip(&mut self.bodies)
            .find_map(|((_, key, number), body)| is_it(key, *number).then_some(body))
    }

    fn open<'m>(self) -> Result<Command<'m>, MessageError>
    where
        B: Body<'m>,
    {
        let Self { id, bodies } = self;
        let asked = || METHODS.iter().zip(bodies).filter_map(|(row, body)| Some((row.0, body?)));
        let request = match asked().next() {
            _ if id == 0 && !asked().any(|(method, _)| method == Method::Send) => Request::Pong,
            None => Request::Unknown,
            // With a `send` beside it. Who would be told the result?
            Some((method, _)) if id == 0 && method != Method::Send => Request::Unknown,
            Some((method, body)) => read(method, body)?,
        };
        Ok(Command { id, request })
    }
}

fn read<'m, B: Body<'m>>(method: Method, body: B) -> Result<Request<'m>, MessageError> {
    const CHANNEL: Member = ("channel", 1);
    const TOKEN: Member = ("token", 1);
    const DATA: Member = ("data", 1);
    const METHOD: Member = ("method", 2);
    Ok(match method {
        Method::Connect => Request::Connect(body.connect()?),
        Method::Subscribe => Request::Subscribe(body.text(CHANNEL)?),
        Method::Unsubscribe => Request::Unsubscribe(body.text(CHANNEL)?),
        Method::Publish => Request::Publish(body.text(CHANNEL)?),
        Method::Presence => Request::Presence(body.text(CHANNEL)?),
        Method::PresenceStats => Request::PresenceStats(body.text(CHANNEL)?),
        Method::History => Request::History(body.text(CHANNEL)?),
        Method::Rpc => Request::Rpc { method: body.text(METHOD)?, data: body.data(DATA)? },
        Method::Send => Request::Send { data: body.data(DATA)? },
        Method::Refresh => Request::Refresh { token: body.text(TOKEN)? },
        Method::SubRefresh => Request::SubRefresh(body.text(CHANNEL)?),
    })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
