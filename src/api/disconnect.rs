//! `disconnect`: ends sessions of a user, or one session by its id.
//!
//! `user`, `client` and `session` narrow each other: a session ends when it meets all that are
//! given. Better than the original in two ways, both about silence. `client` or `session` alone
//! finds its session whoever its user is (Centrifugo looks among the anonymous and says success).
//! And nothing at all is an error, where Centrifugo ends every anonymous session; an explicit
//! `"user":""` still means those.

use std::ops::RangeInclusive;

use compact_str::CompactString;
use simd_json::prelude::{TypedScalarValue, ValueIntoString};
use simd_json::tape::Value;

use super::error::ApiError;
use super::params::{Fault, Place, array, boolean, elements, known, members, number, text};
use super::question::{Question, Subject};
use crate::ids::{ClientId, SessionId, SessionSlot, UserHash};
use crate::session::{Session, Table, UserHasher};

/// Bytes a reason may have: a WebSocket close frame carries 125 bytes, two of them are the code
/// (RFC 6455 §5.5). A longer one is error 107.
pub const REASON_BYTES_MAX: usize = 123;

/// Codes that can be told: every transport can carry them and every SDK sorts by them, 3000 to 3499
/// and 4000 to 4499 let the client come back, the others do not (client protocol; RFC 6455 §7.4.2).
const CODES: RangeInclusive<u32> = 3000..=4999;

/// Code when the caller gives none.
const CODE_DEFAULT: u32 = 3503;

/// Reason when the caller gives neither code nor reason.
const REASON_DEFAULT: &str = "force disconnect";

/// Which sessions to end, and what to tell them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DisconnectParams {
    /// Only this user's; the empty user is the anonymous one.
    user: Option<(CompactString, UserHash)>,
    /// Only this one.
    client: Option<ClientId>,
    /// Only this one.
    session: Option<SessionId>,
    /// Not these; sorted.
    keep: Box<[ClientId]>,
    /// Disconnect code the clients see, from 3000 to 4999.
    pub code: u32,
    /// Reason the clients see, at most [`REASON_BYTES_MAX`] bytes.
    pub reason: CompactString,
}

impl DisconnectParams {
    /// One session, by its client id, if it is this user's.
    #[must_use]
    pub fn one(user: &str, hash: UserHash, client: ClientId, code: u32, reason: &str) -> Self {
        Self { client: Some(client), ..Self::of_user(user, hash, code, reason) }
    }

    /// All sessions of a user but one.
    #[must_use]
    pub fn all_but(user: &str, hash: UserHash, keep: ClientId, code: u32, reason: &str) -> Self {
        Self { keep: [keep].into(), ..Self::of_user(user, hash, code, reason) }
    }

    fn of_user(user: &str, hash: UserHash, code: u32, reason: &str) -> Self {
        debug_assert!(CODES.contains(&code) && reason.len() <= REASON_BYTES_MAX);
        Self {
            user: Some((user.into(), hash)),
            client: None,
            session: None,
            keep: [].into(),
            code,
            reason: reason.into(),
        }
    }

    /// What decides which shards can hold such a session: the narrowest selector.
    pub(super) fn subject(&self) -> Subject {
        match (self.client, self.session, &self.user) {
            (Some(client), ..) => Subject::Client(client),
            (None, Some(session), _) => Subject::Session(session),
            (None, None, Some((_, hash))) => Subject::User(*hash),
            (None, None, None) => unreachable!("something was selected, or it was refused"),
        }
    }

    fn selects(&self, session: &Session<'_>) -> bool {
        let client = session.client();
        self.user.as_ref().is_none_or(|(user, _)| user == session.user())
            && self.client.is_none_or(|wanted| wanted == client)
            && self.session.is_none_or(|wanted| wanted == session.session())
            && self.keep.binary_search(&client).is_err()
    }
}

/// Puts the slots of a shard's sessions that are to end into `into`.
pub fn select(params: &DisconnectParams, table: &Table, into: &mut Vec<SessionSlot>) {
    let one = match (params.client, params.session) {
        (Some(client), _) => table.by_client(client),
        (None, Some(session)) => table.by_session(session),
        (None, None) => {
            let Some((user, hash)) = &params.user else { return };
            let sessions = table.by_user(user, *hash).filter(|session| params.selects(session));
            into.extend(sessions.map(|session| session.slot()));
            return;
        }
    };
    into.extend(one.filter(|session| params.selects(session)).map(|session| session.slot()));
}

/// Reads `{"user","client","session","whitelist","disconnect":{"code","reason"}}`.
///
/// An empty `client` or `session` is absent, because some clients always send them. `label_filter`
/// and `all_users` are refused until they exist: ignoring what narrows would end too much.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    hasher: &UserHasher,
) -> Result<Question, Fault> {
    const KEYS: [&str; 7] =
        ["user", "client", "session", "whitelist", "disconnect", "label_filter", "all_users"];
    let (mut user, mut client, mut session) = (None, None, None);
    let (mut whitelist, mut told) = (None, Told::default());
    let (mut is_filtered, mut all_users) = (false, None);
    for (key, value) in params {
        match known(key, &KEYS) {
            "user" => text(&mut user, "user", value)?,
            "client" => text(&mut client, "client", value)?,
            "session" => text(&mut session, "session", value)?,
            "whitelist" => array(&mut whitelist, "whitelist", value)?,
            "disconnect" => told.read(value)?,
            "label_filter" => is_filtered |= !value.is_null(),
            "all_users" => boolean(&mut all_users, "all_users", value)?,
            _ => {}
        }
    }
    let keep = read_whitelist(whitelist)?;
    if is_filtered {
        return Err(ApiError::not_available("\"label_filter\" cannot be used yet").into());
    }
    // With a user, all_users has no meaning (documentation of Centrifugo 6.8.2).
    if all_users == Some(true) && user.is_none_or(str::is_empty) {
        return Err(ApiError::not_available("\"all_users\" cannot be used yet").into());
    }
    let client = id(client, "client", ClientId::parse)?;
    let session = id(session, "session", SessionId::parse)?;
    if user.is_none() && client.is_none() && session.is_none() {
        return Err(ApiError::bad_request(
            "nobody is selected, expected \"user\", \"client\" or \"session\" \
             (\"user\":\"\" selects the anonymous)",
        )
        .into());
    }
    let (code, reason) = told.checked()?;
    let user = user.map(|user| (user.into(), hasher.hash(user)));
    let reason = reason.into();
    let params = DisconnectParams { user, client, session, keep, code, reason };
    Ok(Question::Disconnect(Box::new(params)))
}

fn id<T>(
    text: Option<&str>,
    name: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let id = parse(text).ok_or_else(|| not_an_id(Place::Key(name)))?;
    Ok(Some(id))
}

fn not_an_id(place: Place) -> ApiError {
    ApiError::bad_request(format_args!("{place}expected a UUID as the server gave it"))
}

fn read_whitelist(whitelist: Option<Value<'_, '_>>) -> Result<Box<[ClientId]>, Fault> {
    let place = Place::Element("whitelist");
    let mut keep = Vec::new();
    for element in elements(whitelist) {
        let text = element.into_string().ok_or_else(|| place.mistyped("a string", element))?;
        keep.push(ClientId::parse(text).ok_or_else(|| not_an_id(place))?);
    }
    keep.sort_unstable();
    Ok(keep.into())
}

/// What the clients are told, as given.
#[derive(Default)]
struct Told<'i> {
    code: Option<u32>,
    reason: Option<&'i str>,
}

impl<'i> Told<'i> {
    fn read(&mut self, value: Value<'_, 'i>) -> Result<(), Fault> {
        for (key, value) in members(value, Place::Key("disconnect"))? {
            match known(key, &["code", "reason"]) {
                "code" => number(&mut self.code, "disconnect.code", value)?,
                "reason" => text(&mut self.reason, "disconnect.reason", value)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Code and reason, when they can be told. Code 0 is an absent one.
    fn checked(self) -> Result<(u32, &'i str), ApiError> {
        let code = self.code.filter(|code| *code != 0);
        let reason = self.reason.unwrap_or(if code.is_none() { REASON_DEFAULT } else { "" });
        let code = code.unwrap_or(CODE_DEFAULT);
        if !CODES.contains(&code) {
            return Err(ApiError::bad_request(format_args!(
                "key \"disconnect.code\": expected a code from 3000 to 4999, got {code}"
            )));
        }
        if reason.len() > REASON_BYTES_MAX {
            let bytes = reason.len();
            return Err(ApiError::bad_request(format_args!(
                "key \"disconnect.reason\": expected at most {REASON_BYTES_MAX} bytes, got {bytes}"
            )));
        }
        Ok((code, reason))
    }
}
