//! Which sessions a command means: `user`, `client` and `session` narrow each other.
//!
//! A session is meant when it meets all that are given. Better than the original in two ways, both
//! about silence. `client` or `session` alone finds its session whoever its user is (Centrifugo
//! looks among the anonymous and says success). And nothing at all is an error, where Centrifugo
//! means every anonymous session; an explicit `"user":""` still means those.

use compact_str::CompactString;
use simd_json::prelude::TypedScalarValue;
use simd_json::tape::Value;

use super::error::ApiError;
use super::label_filter;
use super::params::{Mistyped, Place, Reading, boolean, known, text};
use super::question::Subject;
use crate::ids::{ClientId, SessionId, SessionSlot, UserHash};
use crate::session::{Session, Table};

/// Which sessions are meant; something is always given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    /// Only this user's; the empty user is the anonymous one.
    user: Option<(CompactString, UserHash)>,
    /// Only this one.
    client: Option<ClientId>,
    /// Only this one.
    session: Option<SessionId>,
    /// Not these; sorted.
    keep: Box<[ClientId]>,
}

impl Selector {
    /// One session, by its client id, if it is this user's.
    #[must_use]
    pub fn one(user: &str, hash: UserHash, client: ClientId) -> Self {
        Self { client: Some(client), ..Self::of_user(user, hash) }
    }

    /// All sessions of a user but one.
    #[must_use]
    pub fn all_but(user: &str, hash: UserHash, keep: ClientId) -> Self {
        Self::of_user(user, hash).but(vec![keep])
    }

    fn of_user(user: &str, hash: UserHash) -> Self {
        Self { user: Some((user.into(), hash)), client: None, session: None, keep: [].into() }
    }

    /// The same without these.
    #[must_use]
    pub(super) fn but(self, mut keep: Vec<ClientId>) -> Self {
        keep.sort_unstable();
        Self { keep: keep.into(), ..self }
    }

    /// What decides which shards can hold such a session: the narrowest selector.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match (self.client, self.session, &self.user) {
            (Some(client), ..) => Subject::Client(client),
            (None, Some(session), _) => Subject::Session(session),
            (None, None, Some((_, hash))) => Subject::User(*hash),
            (None, None, None) => unreachable!("something was selected, or it was refused"),
        }
    }

    /// Puts the slots of those of a shard's sessions that are meant into `into`.
    pub fn select(&self, table: &Table, into: &mut Vec<SessionSlot>) {
        let one = match (self.client, self.session) {
            (Some(client), _) => table.by_client(client),
            (None, Some(session)) => table.by_session(session),
            (None, None) => {
                let Some((user, hash)) = &self.user else { return };
                let sessions = table.by_user(user, *hash).filter(|session| self.means(session));
                into.extend(sessions.map(|session| session.slot()));
                return;
            }
        };
        into.extend(one.filter(|session| self.means(session)).map(|session| session.slot()));
    }

    /// Whether this session is meant.
    #[must_use]
    pub fn means(&self, session: &Session<'_>) -> bool {
        let client = session.client();
        self.user.as_ref().is_none_or(|(user, _)| user == session.user())
            && self.client.is_none_or(|wanted| wanted == client)
            && self.session.is_none_or(|wanted| wanted == session.session())
            && self.keep.binary_search(&client).is_err()
    }
}

/// The selectors among a command's parameters, as given.
#[derive(Default)]
pub(super) struct Selectors<'t, 'i> {
    user: Option<&'i str>,
    client: Option<&'i str>,
    session: Option<&'i str>,
    label_filter: Option<Value<'t, 'i>>,
    all_users: Option<bool>,
}

impl<'t, 'i> Selectors<'t, 'i> {
    /// Reads one parameter, if it is a selector.
    pub(super) fn read(&mut self, key: &str, value: Value<'t, 'i>) -> Result<(), Mistyped> {
        match known(key, &["user", "client", "session", "label_filter", "all_users"]) {
            "user" => text(&mut self.user, "user", value)?,
            "client" => text(&mut self.client, "client", value)?,
            "session" => text(&mut self.session, "session", value)?,
            "label_filter" if !value.is_null() => self.label_filter = Some(value),
            "all_users" => boolean(&mut self.all_users, "all_users", value)?,
            _ => {}
        }
        Ok(())
    }

    /// What they mean together.
    ///
    /// An empty `client` or `session` is absent, because some clients always send them.
    /// `label_filter` and `all_users` are refused until they exist: ignoring what narrows would
    /// mean too many.
    pub(super) fn checked(self, reading: Reading<'_>) -> Result<Selector, ApiError> {
        let Self { user, client, session, label_filter, all_users } = self;
        if let Some(filter) = label_filter {
            label_filter::read(filter, reading.options.label_filter)?;
            return Err(ApiError::not_available("\"label_filter\" cannot be used yet"));
        }
        // With a user, all_users has no meaning (documentation of Centrifugo 6.8.2).
        if all_users == Some(true) && user.is_none_or(str::is_empty) {
            return Err(ApiError::not_available("\"all_users\" cannot be used yet"));
        }
        let client = id(client, "client", ClientId::parse)?;
        let session = id(session, "session", SessionId::parse)?;
        if user.is_none() && client.is_none() && session.is_none() {
            return Err(ApiError::bad_request(
                "nobody is selected, expected \"user\", \"client\" or \"session\" \
                 (\"user\":\"\" selects the anonymous)",
            ));
        }
        let user = user.map(|user| (user.into(), reading.hasher.hash(user)));
        Ok(Selector { user, client, session, keep: [].into() })
    }
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

pub(super) fn not_an_id(place: Place) -> ApiError {
    ApiError::bad_request(format_args!("{place}expected a UUID as the server gave it"))
}
