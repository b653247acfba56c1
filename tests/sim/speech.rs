//! What clients can say in the client protocol, and what each thing means for what must follow.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::model::META_MARK;
use crate::options::SECRET;

/// Something a client says, as text, and what may come of it.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) text: String,
    /// Under which id a reply comes, and which replies are right.
    pub(crate) asks: Option<(u32, Ask)>,
    pub(crate) means: Means,
    /// The code the client may be told for it.
    pub(crate) sin: Option<u32>,
}

/// What a command wants to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    /// To be let in, until then (Unix seconds).
    Connect { expire_at: Option<u64>, is_good: bool },
    /// To stay, until then.
    Refresh { expire_at: Option<u64> },
    /// The user's own sessions.
    List,
    /// To end sessions: the number of an order.
    Close { order: usize },
    /// This error and nothing else.
    Fails { code: u64 },
    /// Something that is always granted.
    Unsubscribe,
}

impl Ask {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Refresh { .. } => "refresh",
            Self::List => "list",
            Self::Close { .. } => "close",
            Self::Fails { .. } => "refused call",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}

/// What a shard must make of it once it has heard it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Means {
    /// A client that is not in yet wants to be.
    Connect,
    /// The answer to a ping.
    Pong,
    /// Nothing changes.
    Nothing,
    /// The client is told to go, in the same event.
    End,
    /// Frames that are none: the client is told to go, even while it is not listened to.
    Break,
    /// The client goes by itself: a close frame.
    Leave,
    /// A ping frame of the client, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// Commands for a stream somewhere else.
    Parcel(Parcel),
}

/// Commands on their way through `/emulation`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Parcel {
    /// Whose they are.
    pub(crate) owner: (usize, u32),
    /// Private name of the session they are for.
    pub(crate) session: String,
    pub(crate) means: Vec<Means>,
    /// Ids of the commands that want a reply.
    pub(crate) ids: Vec<u32>,
}

/// A token, as good or bad as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    /// Good, for so many seconds.
    Lives(u64),
    /// Good without an end.
    Forever,
    /// Its `exp` has passed.
    Expired,
    /// Good in itself, but the session it allows has ended (`expire_at`).
    Ended,
    /// Somebody else's.
    Stranger,
    /// Signed with another secret.
    Forged,
}

/// Who speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) user: &'a str,
    /// The id of their tokens, or empty.
    pub(crate) uid: &'a str,
    /// Whether their tokens have the label `plan: "trial"`.
    pub(crate) is_trial: bool,
    /// Whether their tokens have the claim `sessions: "self"`.
    pub(crate) manages: bool,
    pub(crate) now_s: u64,
}

impl Token {
    fn expire_at(self, now_s: u64) -> Option<u64> {
        match self {
            Self::Lives(lives_s) => Some(now_s + lives_s),
            Self::Expired | Self::Ended => Some(now_s - 1),
            Self::Stranger | Self::Forged => Some(now_s + 3_600),
            Self::Forever => None,
        }
    }

    fn sign(self, who: Who<'_>) -> String {
        let user = if self == Self::Stranger { "a stranger" } else { who.user };
        let mut claims = json!({"sub": user, "meta": {"of": user, "why": META_MARK}});
        if let Some(expire_at) = self.expire_at(who.now_s) {
            let name = if self == Self::Ended { "expire_at" } else { "exp" };
            claims[name] = expire_at.into();
        }
        if !who.uid.is_empty() {
            claims["jti"] = who.uid.into();
        }
        if who.is_trial {
            claims["labels"] = json!({"plan": "trial"});
        }
        if who.manages {
            claims["sessions"] = "self".into();
        }
        let secret = if self == Self::Forged { "another secret of somebody" } else { SECRET };
        let key = EncodingKey::from_secret(secret.as_bytes());
        let header = Header::new(Algorithm::HS256);
        jsonwebtoken::encode(&header, &claims, &key).expect("claims are JSON")
    }

    /// What a connect with it may be told instead of being let in.
    const fn sin(self) -> Option<u32> {
        match self {
            Self::Lives(_) | Self::Forever | Self::Stranger => None,
            Self::Expired => Some(109),
            Self::Ended => Some(110),
            Self::Forged => Some(3500),
        }
    }
}

/// The connect request alone, as unidirectional clients send it.
pub(crate) fn connect_request(token: Token, who: Who<'_>) -> Command {
    let request = json!({"token": token.sign(who), "name": "sim"});
    let (expire_at, is_good) = (token.expire_at(who.now_s), token.sin().is_none());
    let connect = Ask::Connect { expire_at, is_good };
    Command {
        text: request.to_string(),
        asks: Some((0, connect)),
        means: Means::Connect,
        sin: token.sin(),
    }
}

pub(crate) fn connect(id: u32, token: Token, who: Who<'_>) -> Command {
    let request = connect_request(token, who);
    let text = format!(r#"{{"id":{id},"connect":{}}}"#, request.text);
    Command { text, asks: request.asks.map(|(_, ask)| (id, ask)), ..request }
}

pub(crate) fn pong() -> Command {
    Command { text: "{}".to_owned(), asks: None, means: Means::Pong, sin: None }
}

pub(crate) fn refresh(id: u32, token: Token, who: Who<'_>) -> Command {
    let text = json!({"id": id, "refresh": {"token": token.sign(who)}}).to_string();
    let expire_at = token.expire_at(who.now_s);
    let refresh = Ask::Refresh { expire_at };
    let (ask, means, sin) = match token {
        Token::Lives(_) | Token::Forever => (refresh, Means::Nothing, None),
        Token::Ended => (Ask::Fails { code: 110 }, Means::Nothing, None),
        Token::Expired => (refresh, Means::End, Some(3005)),
        Token::Stranger | Token::Forged => (refresh, Means::End, Some(3500)),
    };
    Command { text, asks: Some((id, ask)), means, sin }
}

/// A call of the user's own sessions that this client may make.
pub(crate) fn call(id: u32, method: &str, data: &Value, ask: Ask) -> Command {
    let text = json!({"id": id, "rpc": {"method": method, "data": data}}).to_string();
    Command { text, asks: Some((id, ask)), means: Means::Nothing, sin: None }
}

/// What is answered by an error, or by nothing that matters.
pub(crate) fn harmless(id: u32, which: usize) -> Command {
    let (request, ask) = match which % 5 {
        0 => (json!({"subscribe": {"channel": "c"}}), Ask::Fails { code: 108 }),
        1 => (json!({"presence": {"channel": "c"}}), Ask::Fails { code: 108 }),
        2 => (json!({"sub_refresh": {"channel": "c"}}), Ask::Fails { code: 103 }),
        3 => (json!({"rpc": {"method": "other"}}), Ask::Fails { code: 108 }),
        _ => (json!({"unsubscribe": {"channel": "c"}}), Ask::Unsubscribe),
    };
    let mut command = request;
    command["id"] = id.into();
    let text = command.to_string();
    Command { text, asks: Some((id, ask)), means: Means::Nothing, sin: None }
}

/// What ends the session of whoever says it.
pub(crate) fn sinful(id: u32, which: usize) -> Command {
    let (text, sin) = match which % 7 {
        0 => (r#"{"id":"#.to_owned(), 3501),
        1 => ("nonsense".to_owned(), 3501),
        2 => ("[]".to_owned(), 3501),
        3 => (format!(r#"{{"id":{id},"ping":{{}}}}"#), 3501),
        4 => (format!(r#"{{"id":{id},"connect":{{}}}}"#), 3501),
        5 => (format!(r#"{{"id":{id},"refresh":{{}}}}"#), 3501),
        _ => (r#"{"send":{"data":{}}}"#.to_owned(), 3508),
    };
    Command { text, asks: None, means: Means::End, sin: Some(sin) }
}
