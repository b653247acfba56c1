//! ③ Credentials to verdict: who a connect request is, or why it is refused (client protocol
//! v6, order of decisions).

use std::collections::BTreeMap;

use crate::auth::{
    self, Bearer, Claims, KeptOut, KeyNeeded, KeySearch, Rules, TokenError, TokenFault, Verifier,
};
use crate::connection::Options;
use crate::connection::commands::Permission;
use crate::connection::options::Choice;
use crate::protocol::ConnectRequest;
use crate::protocol::codes::{self, Disconnect, ErrorCode};
use crate::proxy::{Accepted, ConnectAnswer};
use crate::time::Now;

/// An accepted identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// User id; empty is the anonymous user.
    pub user: String,
    /// When the session expires, Unix seconds.
    pub expire_at: Option<i64>,
    /// Token id (`jti`), empty when there is none.
    pub token_uid: String,
    /// When the token was issued (`iat`), Unix seconds.
    pub token_issued_at: Option<i64>,
    /// Raw JSON of the `meta` claim. For the backend only.
    pub meta: Option<Box<[u8]>>,
    /// The session's labels, within the limits. For the backend only.
    pub labels: BTreeMap<String, String>,
    /// Sessions its user may have, when that is said; 0 is no limit.
    pub sessions_max: Option<u32>,
    /// Whether the client may list and close the sessions of its user (claim `sessions`).
    pub own_sessions: Permission,
    /// What its backend has for the client.
    pub data: Option<Box<[u8]>>,
}

impl Credentials {
    /// Whom rules may keep out.
    #[must_use]
    pub fn bearer(&self) -> Bearer<'_> {
        let Self { user, token_uid, token_issued_at, .. } = self;
        Bearer { user, token_uid, token_issued_at: *token_issued_at }
    }
}

/// What those who are kept out are told, at their connect and during a session.
#[must_use]
pub const fn kept_out(why: KeptOut) -> Disconnect {
    match why {
        KeptOut::Blocked => codes::USER_BLOCKED,
        KeptOut::TokenRevoked => codes::INVALID_TOKEN,
    }
}

/// Why nobody was let in: as a disconnect, or as an error that each transport conveys in its
/// own way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Ends the connection with this code.
    Disconnect(Disconnect),
    /// Answers the connect with this error.
    Error(ErrorCode),
}

impl Refused {
    /// The code, not translated for any transport.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Disconnect(disconnect) => disconnect.code,
            Self::Error(error) => error.code,
        }
    }

    /// The text that belongs to the code.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Disconnect(disconnect) => &disconnect.reason,
            Self::Error(error) => &error.message,
        }
    }

    /// How a unidirectional transport says it: errors become disconnects, by the operator's
    /// table first.
    #[must_use]
    pub fn into_uni_disconnect(self, options: &Options) -> Disconnect {
        let code = self.code();
        if let Some((_, to)) = options.uni_disconnects.iter().find(|(from, _)| *from == code) {
            return to.clone();
        }
        match self {
            Self::Disconnect(disconnect) => disconnect,
            Self::Error(error) => codes::uni_disconnect(error.code),
        }
    }
}

/// What can be said of a connect request at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identified {
    /// Who it is.
    Known(Credentials),
    /// Its backend must say.
    AskBackend,
    /// The key of its token must be fetched first.
    FetchKey(Box<KeyNeeded>),
}

/// Decides who a connect request is.
///
/// `header_user` is the value of `client.user_id_http_header`, when that option is on and the
/// header came.
///
/// # Errors
/// Why the connect is refused.
pub fn authenticate(
    options: &Options,
    verifier: &Verifier,
    request: &ConnectRequest,
    header_user: Option<&str>,
    now: Now,
) -> Result<Identified, Refused> {
    if request.token.is_empty() {
        return match options.connect_proxy {
            Choice::Allow => Ok(Identified::AskBackend),
            Choice::Refuse => by_nothing(options, header_user).map(Identified::Known),
        };
    }
    match verifier.verify(&request.token, now) {
        Ok(claims) => by_claims(options, claims, now).map(Identified::Known),
        Err(TokenError::KeyNeeded(needed)) => Ok(Identified::FetchKey(needed)),
        Err(error) => Err(refusal(&error)),
    }
}

/// Decides again who a token's client is, when its key has been looked for.
///
/// # Errors
/// Why the connect is refused: for good only when the key is known not to be there.
pub fn by_searched_key(
    options: &Options,
    verifier: &Verifier,
    token: &str,
    search: KeySearch,
    now: Now,
) -> Result<Credentials, Refused> {
    match verifier.verify(token, now) {
        Ok(claims) => by_claims(options, claims, now),
        Err(TokenError::KeyNeeded(_)) if search == KeySearch::Unknown => {
            Err(Refused::Disconnect(codes::INVALID_TOKEN))
        }
        Err(error) => Err(refusal(&error)),
    }
}

/// Decides by what a backend says who a connect request is.
///
/// # Errors
/// Why the connect is refused.
pub fn by_backend(
    options: &Options,
    answer: ConnectAnswer,
    header_user: Option<&str>,
    now: Now,
) -> Result<Credentials, Refused> {
    let accepted = match answer {
        ConnectAnswer::Accepted(accepted) => *accepted,
        ConnectAnswer::Nobody => return by_nothing(options, header_user),
        ConnectAnswer::Error(error) => return Err(Refused::Error(error)),
        ConnectAnswer::Disconnect(disconnect) => return Err(Refused::Disconnect(disconnect)),
    };
    let Accepted { user, expire_at, data, meta, labels, sessions_max } = accepted;
    check_end(expire_at, now)?;
    let expire_at = expire_at.map(|at| at.min(now.unix_s().saturating_add(auth::TTL_S_MAX)));
    let sessions_max = sessions_max.filter(|_| options.limit_by_token == Choice::Allow);
    Ok(Credentials { expire_at, meta, labels, sessions_max, data, ..by_name(user) })
}

/// Who a client is that brought no token and that no backend knows.
fn by_nothing(options: &Options, header_user: Option<&str>) -> Result<Credentials, Refused> {
    if options.anonymous.without_token() || options.insecure {
        Ok(by_name(String::new()))
    } else if let Some(user) = header_user {
        Ok(by_name(user.to_owned()))
    } else {
        Err(Refused::Disconnect(codes::BAD_REQUEST))
    }
}

/// A session whose end has passed neither begins nor goes on.
fn check_end(expire_at: Option<i64>, now: Now) -> Result<(), Refused> {
    match expire_at {
        Some(expire_at) if expire_at <= now.unix_s() => Err(Refused::Error(codes::ERROR_EXPIRED)),
        Some(_) | None => Ok(()),
    }
}

const fn by_name(user: String) -> Credentials {
    Credentials {
        user,
        expire_at: None,
        token_uid: String::new(),
        token_issued_at: None,
        meta: None,
        labels: BTreeMap::new(),
        sessions_max: None,
        own_sessions: Permission::Denied,
        data: None,
    }
}

fn by_claims(options: &Options, claims: Claims, now: Now) -> Result<Credentials, Refused> {
    let own_sessions = permission(&claims);
    let Claims { user, expire_at, uid, issued_at, meta, labels, sessions_max, .. } = claims;
    let sessions_max = sessions_max.filter(|_| options.limit_by_token == Choice::Allow);
    if user.is_empty() && !options.anonymous.by_token() {
        return Err(Refused::Disconnect(codes::PERMISSION_DENIED));
    }
    let expire_at = expire_at.filter(|_| !options.insecure);
    check_end(expire_at, now)?;
    Ok(Credentials {
        user,
        expire_at,
        token_uid: uid,
        token_issued_at: issued_at,
        meta,
        labels,
        sessions_max,
        own_sessions,
        data: None,
    })
}

/// What can be said of a session's next token at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Renewal {
    /// The session goes on.
    Granted(Refreshed),
    /// Its key must be fetched first.
    FetchKey(Box<KeyNeeded>),
}

/// What a session goes on with. `meta` and labels stay what it connected with, or what a backend has
/// made of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refreshed {
    /// When the session ends, Unix seconds.
    pub expire_at: Option<i64>,
    /// What the new token allows.
    pub own_sessions: Permission,
    /// Its id (`jti`), empty when there is none.
    pub token_uid: String,
    /// When it was issued (`iat`), Unix seconds.
    pub token_issued_at: Option<i64>,
}

/// Decides whether a session of `user` goes on with another token.
///
/// # Errors
/// An error leaves the session as it was; a disconnect ends it.
pub fn refresh(
    options: &Options,
    (verifier, rules): (&Verifier, &Rules),
    user: &str,
    token: &str,
    now: Now,
) -> Result<Renewal, Refused> {
    let claims = match verifier.verify(token, now) {
        Ok(claims) => claims,
        Err(TokenError::KeyNeeded(needed)) => return Ok(Renewal::FetchKey(needed)),
        Err(error) if error.fault() == TokenFault::Expired => {
            // Unlike at a connect: the client has a session, and comes back with a better token.
            return Err(Refused::Disconnect(codes::CONNECTION_EXPIRED));
        }
        Err(error) => return Err(refusal(&error)),
    };
    if claims.user != user {
        return Err(Refused::Disconnect(codes::INVALID_TOKEN));
    }
    let (token_uid, token_issued_at) = (claims.uid.as_str(), claims.issued_at);
    let who = Bearer { user, token_uid, token_issued_at };
    if let Some(why) = rules.keep_out(&who, now.unix_s()) {
        return Err(Refused::Disconnect(kept_out(why)));
    }
    let expire_at = claims.expire_at.filter(|_| !options.insecure);
    check_end(expire_at, now)?;
    let own_sessions = permission(&claims);
    let token_uid = claims.uid;
    Ok(Renewal::Granted(Refreshed { expire_at, own_sessions, token_uid, token_issued_at }))
}

const fn permission(claims: &Claims) -> Permission {
    if claims.own_sessions { Permission::Granted } else { Permission::Denied }
}

fn refusal(error: &TokenError) -> Refused {
    match error.fault() {
        TokenFault::Expired => Refused::Error(codes::ERROR_TOKEN_EXPIRED),
        TokenFault::Invalid => Refused::Disconnect(codes::INVALID_TOKEN),
        TokenFault::Internal => Refused::Error(codes::ERROR_INTERNAL),
    }
}

/// The body a plain HTTP refusal carries: the operator's text, or the text of the code.
#[must_use]
pub fn refusal_body<'a>(configured: &'a str, refused: &'a Refused) -> &'a str {
    if configured.is_empty() { refused.text() } else { configured }
}
