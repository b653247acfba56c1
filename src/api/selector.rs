//! Which sessions a command means: everything that selects narrows everything else.
//!
//! A session is meant when it meets all that are given. Better than the original in two ways, both
//! about silence. `client` or `session` alone finds its session whoever its user is (Centrifugo
//! looks among the anonymous and says success). And nothing at all is an error, where Centrifugo
//! means every anonymous session; an explicit `"user":""` still means those. Whoever means
//! everybody says so, with `all_users`: a condition alone does not.

use compact_str::CompactString;
use roaring::RoaringBitmap;
use simd_json::prelude::{TypedScalarValue, ValueIntoString};
use simd_json::tape::Value;

use super::error::ApiError;
use super::expression::{Asked, Evaluator, Said};
use super::fence::Fenced;
use super::label_filter;
use super::looking::Budget;
use super::narrowing::{Narrowing, Narrowings, Sight};
use super::params::{Fault, Place, Reading, array, boolean, elements, known, text};
use super::question::Subject;
use crate::ids::{ClientId, SessionId, SessionSlot, UserHash};
use crate::session::{self, Session, Table};

/// Users of one command; one more is refused with 107.
pub const USERS_MAX: usize = 1_000;

/// A user and its hash.
pub type User = (CompactString, UserHash);

/// Which sessions are meant; something is always given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    /// Only of these users, sorted; the empty user is the anonymous one. `None` is everybody.
    users: Option<Box<[User]>>,
    /// Only this one.
    client: Option<ClientId>,
    /// Only this one.
    session: Option<SessionId>,
    /// Not these; sorted.
    keep: Box<[ClientId]>,
    narrowing: Narrowing,
}

/// Where the sessions that may be meant stand.
#[derive(Debug)]
pub(super) enum Candidates {
    /// Among the sessions of these users.
    Users,
    /// There, or nowhere.
    One(Option<SessionSlot>),
    /// In these slots, or nowhere, says an index.
    Indexed {
        /// Where.
        slots: RoaringBitmap,
        /// Whether all of these meet what an index knows of.
        is_exact: bool,
    },
    /// Anywhere: all have to be looked at.
    Everybody,
}

impl Selector {
    /// Whether a session can come to meet it by waiting.
    pub(super) const fn depends_on_time(&self) -> bool {
        self.narrowing.depends_on_time()
    }

    /// One session, by its client id, if it is this user's.
    #[must_use]
    pub fn one(user: &str, hash: UserHash, client: ClientId) -> Self {
        Self { client: Some(client), ..Self::of_user(user, hash) }
    }

    /// All sessions of a user but one.
    #[must_use]
    pub fn all_but(user: &str, hash: UserHash, keep: ClientId) -> Self {
        Self { keep: [keep].into(), ..Self::of_user(user, hash) }
    }

    fn of_user(user: &str, hash: UserHash) -> Self {
        Self {
            users: Some([(user.into(), hash)].into()),
            client: None,
            session: None,
            keep: [].into(),
            narrowing: Narrowing::default(),
        }
    }

    /// The one user whose sessions are meant, all of them.
    pub(super) fn whole_user(&self) -> Option<&User> {
        let is_plain = self.client.is_none()
            && self.session.is_none()
            && self.keep.is_empty()
            && self.narrowing.is_empty();
        match self.users.as_deref() {
            Some([user]) if is_plain => Some(user),
            _ => None,
        }
    }

    /// Whom to refuse at their connect when all whom this means are to stay out: those who can be
    /// known by their user or their labels alone, or one session by its token.
    pub(super) fn fenced(&self) -> Option<Fenced> {
        if self.client.is_some() || self.session.is_some() {
            return Some(Fenced::ItsToken);
        }
        if !self.keep.is_empty() {
            return None;
        }
        match &self.users {
            Some(users) => self
                .narrowing
                .is_empty()
                .then(|| Fenced::Users(users.iter().map(|(user, _)| user.clone()).collect())),
            None => self.narrowing.labels_alone().map(|filter| Fenced::Labels(filter.clone())),
        }
    }

    /// Whether everybody is meant, without a condition.
    pub(super) fn is_everybody(&self) -> bool {
        self.users.is_none()
            && self.client.is_none()
            && self.session.is_none()
            && self.narrowing.is_empty()
    }

    /// What decides which shards can hold such a session: the narrowest selector.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        match (self.client, self.session, self.users.as_deref()) {
            (Some(client), ..) => Subject::Client(client),
            (None, Some(session), _) => Subject::Session(session),
            (None, None, Some([(_, hash)])) => Subject::User(*hash),
            (None, None, Some(users)) => Subject::Users(users),
            (None, None, None) => Subject::Every,
        }
    }

    /// Whether its sessions are found by their names: they are few.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.users.is_some() || self.client.is_some() || self.session.is_some()
    }

    /// Where a shard has to look. What finding it out takes is taken from the budget.
    pub(super) fn candidates(&self, table: &Table, budget: &mut Budget) -> Candidates {
        let one = match (self.client, self.session) {
            (Some(client), _) => table.by_client(client),
            (None, Some(session)) => table.by_session(session),
            (None, None) => {
                return match self.users {
                    Some(_) => Candidates::Users,
                    None => self.narrowing_candidates(table, budget),
                };
            }
        };
        Candidates::One(one.map(|session| session.slot()))
    }

    /// The users that are named.
    pub(super) fn users(&self) -> &[User] {
        self.users.as_deref().unwrap_or_default()
    }

    fn narrowing_candidates(&self, table: &Table, budget: &mut Budget) -> Candidates {
        let (candidates, steps) = self.narrowing.candidates(table);
        budget.spend(steps);
        match candidates {
            session::Candidates::Exactly(slots) => Candidates::Indexed { slots, is_exact: true },
            session::Candidates::AtMost(slots) => Candidates::Indexed { slots, is_exact: false },
            session::Candidates::Unknown => Candidates::Everybody,
        }
    }

    /// Makes ready to look at many sessions.
    pub(super) fn begin(&self) -> Option<Evaluator> {
        self.narrowing.begin()
    }

    /// What is said of a session.
    pub(super) fn judge(
        &self,
        session: &Session<'_>,
        sight: &Sight<'_>,
        evaluator: Option<&Evaluator>,
    ) -> Asked {
        let is_selected = self.users.as_ref().is_none_or(|users| is_among(users, session.user()))
            && self.session.is_none_or(|wanted| wanted == session.session())
            && (self.client.is_none() && self.keep.is_empty() || {
                let client = session.client();
                self.client.is_none_or(|wanted| wanted == client)
                    && self.keep.binary_search(&client).is_err()
            });
        if !is_selected {
            return Asked { said: Said::No, steps: 0 };
        }
        self.narrowing.admits(session, sight, evaluator)
    }
}

fn is_among(users: &[User], user: &str) -> bool {
    users.binary_search_by(|(among, _)| among.as_str().cmp(user)).is_ok()
}

/// The selectors among a command's parameters, as given.
#[derive(Default)]
pub(super) struct Selectors<'t, 'i> {
    user: Option<&'i str>,
    users: Option<Value<'t, 'i>>,
    client: Option<&'i str>,
    session: Option<&'i str>,
    whitelist: Option<Value<'t, 'i>>,
    label_filter: Option<Value<'t, 'i>>,
    all_users: Option<bool>,
    narrowings: Narrowings<'i>,
}

const KEYS: [&str; 7] =
    ["user", "users", "client", "session", "whitelist", "label_filter", "all_users"];

impl<'t, 'i> Selectors<'t, 'i> {
    /// Reads one parameter, if it is a selector.
    pub(super) fn read(&mut self, key: &str, value: Value<'t, 'i>) -> Result<(), Fault> {
        match known(key, &KEYS) {
            key @ "user" => text(&mut self.user, key, value)?,
            key @ "users" => array(&mut self.users, key, value)?,
            key @ "client" => text(&mut self.client, key, value)?,
            key @ "session" => text(&mut self.session, key, value)?,
            key @ "whitelist" => array(&mut self.whitelist, key, value)?,
            "label_filter" if !value.is_null() => self.label_filter = Some(value),
            key @ "all_users" => boolean(&mut self.all_users, key, value)?,
            _ => self.narrowings.read(key, value)?,
        }
        Ok(())
    }

    /// Whether something is given beside `user`, `expression` and `label_filter`, which is all
    /// that Centrifugo knows for a listing.
    pub(super) fn is_extended(&self) -> bool {
        let is_some = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        self.users.is_some()
            || self.whitelist.is_some()
            || is_some(self.client)
            || is_some(self.session)
            || self.all_users == Some(true)
            || self.narrowings.is_extended()
    }

    /// What they mean for a listing: an empty `user` is absent, and nobody named is everybody that
    /// the conditions admit.
    pub(super) fn for_listing(self, reading: Reading<'_>) -> Result<Selector, Fault> {
        let user = self.user.filter(|user| !user.is_empty());
        Self { user, ..self }.checked(reading)
    }

    /// What they mean for what is done to sessions: a user or a session is named, or `all_users`
    /// says that everybody is meant.
    pub(super) fn for_order(self, reading: Reading<'_>) -> Result<Selector, Fault> {
        let is_open = self.all_users == Some(true);
        // With a user, all_users has no meaning (documentation of Centrifugo 6.8.2).
        let user = self.user.filter(|user| !(is_open && user.is_empty()));
        let selector = Self { user, ..self }.checked(reading)?;
        let is_named =
            selector.users.is_some() || selector.client.is_some() || selector.session.is_some();
        if is_named || is_open {
            return Ok(selector);
        }
        let why = if selector.narrowing.is_empty() {
            "nobody is selected, expected \"user\", \"users\", \"client\", \"session\" or \
             \"all_users\" (\"user\":\"\" selects the anonymous)"
        } else {
            "nobody is selected, only conditions are given: expected \"all_users\":true for the \
             sessions of everybody, or \"user\", \"users\", \"client\" or \"session\""
        };
        Err(ApiError::bad_request(why).into())
    }

    /// What they mean for a watch: as for an order, but nothing that becomes true by waiting.
    pub(super) fn for_watch(self, reading: Reading<'_>) -> Result<Selector, Fault> {
        let selector = self.for_order(reading)?;
        if selector.depends_on_time() {
            return Err(ApiError::bad_request(
                "\"older_than\" and \"idle_longer_than\" cannot be watched: a session that meets \
                 them later is no event",
            )
            .into());
        }
        Ok(selector)
    }

    /// An empty `client` or `session` is absent, because some clients always send them.
    fn checked(self, reading: Reading<'_>) -> Result<Selector, Fault> {
        let Self { user, users, client, session, whitelist, label_filter, narrowings, .. } = self;
        let read = |filter| label_filter::read(filter, reading.options.label_filter);
        let labels = label_filter.map(read).transpose()?;
        let hashed = |user: &str| (CompactString::from(user), reading.hasher.hash(user));
        let users = match users {
            Some(users) => Some(read_users(users, user)?.into_iter().map(hashed).collect()),
            None => user.map(|user| [hashed(user)].into()),
        };
        let client = id(client, "client", ClientId::parse)?;
        let session = id(session, "session", SessionId::parse)?;
        let narrowing = narrowings.checked(labels, reading)?;
        let keep = read_whitelist(whitelist)?;
        Ok(Selector { users, client, session, keep, narrowing })
    }
}

/// Sorted, each once. Beside one `user`, `users` narrows like anything else.
fn read_users<'i>(users: Value<'_, 'i>, user: Option<&'i str>) -> Result<Vec<&'i str>, Fault> {
    let place = Place::Element("users");
    let mut all = Vec::new();
    for element in elements(Some(users)) {
        if all.len() == USERS_MAX {
            let why = format_args!("key \"users\": expected at most {USERS_MAX} users");
            return Err(ApiError::bad_request(why).into());
        }
        all.push(element.into_string().ok_or_else(|| place.mistyped("a string", element))?);
    }
    all.sort_unstable();
    all.dedup();
    if let Some(user) = user {
        all.retain(|among| *among == user);
    }
    Ok(all)
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
