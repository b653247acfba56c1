//! What must be true: every session there ever was, and what an answer may say about them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{Asked, Client, Reply, Request};
use crate::fences::{Comer, Fences};
use crate::looks::{self, Looks};
use crate::said::{BLOCKED, UNBLOCKED};

/// Stands in every `meta`; no client may ever see it.
pub(crate) const META_MARK: &str = "for the backend only";

/// What sessions are told when their time is over.
pub(crate) const EXPIRED: u32 = 3005;

/// A client, by its shard and the number of its connection.
pub(crate) type ClientKey = (usize, u32);

/// A session, from the step that acknowledged it to the step that ended it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    /// The id of its token, or empty.
    pub(crate) uid: String,
    pub(crate) is_trial: bool,
    /// Its shard and the number of its connection.
    pub(crate) key: ClientKey,
    pub(crate) transport: &'static str,
    pub(crate) opened_ms: u64,
    /// When it was last pinged.
    pub(crate) pinged_ms: Option<u64>,
    /// Whether that ping still wants its answer.
    pub(crate) awaits_pong: bool,
    /// When its token ends, Unix seconds.
    pub(crate) expire_at: Option<u64>,
    /// The code its shard reported when it ended.
    pub(crate) closed: Option<u32>,
    /// When its end was last moved.
    pub(crate) moved: u64,
    pub(crate) opened: u64,
    ended: Option<u64>,
}

/// A listing as a backend or a client reads it.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Client ids, sorted.
    pub(crate) sessions: Vec<String>,
    pub(crate) partial: bool,
}

/// Somebody wants sessions to end.
#[derive(Debug)]
pub(crate) struct Order {
    /// `None` is everybody.
    user: Option<String>,
    whom: Whom,
    /// What the sessions are told.
    code: u32,
    /// It counts from this second on; what a session is told until then is when it ends.
    from_s: Option<u64>,
    given: u64,
    /// When it was acknowledged.
    done: Option<u64>,
    /// It was acknowledged: nothing ends for it any more.
    is_done: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Whom {
    All,
    One(String),
    AllBut(String),
    Trial,
    Nobody,
}

/// All sessions by client id, and all orders.
#[derive(Debug, Default)]
pub(crate) struct Model {
    sessions: BTreeMap<String, Session>,
    /// Sessions whose client had gone before it could hear that it was in, and the step of that.
    ghosts: BTreeMap<String, u64>,
    orders: Vec<Order>,
    pub(crate) fences: Fences,
    pub(crate) looks: Looks,
}

impl Session {
    pub(crate) fn new(client: &Client, key: ClientKey) -> Self {
        Self {
            user: client.user.clone(),
            uid: client.uid.clone(),
            is_trial: client.is_trial,
            key,
            transport: client.kind.transport(),
            opened_ms: 0,
            pinged_ms: None,
            awaits_pong: false,
            expire_at: None,
            closed: None,
            moved: 0,
            opened: 0,
            ended: None,
        }
    }

    pub(crate) fn comer(&self) -> Comer<'_> {
        Comer { user: &self.user, uid: &self.uid, is_trial: self.is_trial }
    }
}

impl Order {
    fn is_of(&self, user: &str) -> bool {
        self.user.as_deref().is_none_or(|of| of == user)
    }

    fn means(&self, id: &str, session: &Session) -> bool {
        self.is_of(&session.user) && self.whom.is(id, session)
    }
}

impl Model {
    /// Sessions that have been acknowledged and have not ended.
    pub(crate) fn open(&self) -> impl Iterator<Item = (&String, &Session)> {
        self.sessions.iter().filter(|(_, session)| session.ended.is_none())
    }

    /// Every session there ever was.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.sessions.keys()
    }

    /// The open session of a connection, with its id.
    pub(crate) fn of(&self, key: ClientKey) -> Option<(&String, &Session)> {
        self.open().find(|(_, session)| session.key == key)
    }

    pub(crate) fn of_mut(&mut self, key: ClientKey) -> Option<&mut Session> {
        self.sessions.values_mut().find(|s| s.ended.is_none() && s.key == key)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    pub(crate) fn by_id_mut(&mut self, id: &str) -> Option<&mut Session> {
        self.sessions.get_mut(id)
    }

    /// A connect was acknowledged.
    pub(crate) fn opens(&mut self, client: String, session: Session) {
        assert!(self.of(session.key).is_none(), "a connection is one session at most");
        assert!(!self.is_surely_blocked(&session.user), "{} is blocked", session.user);
        let is_fenced_out = self.fences.surely_keep_out(session.comer(), session.opened_ms);
        assert!(!is_fenced_out, "{client} comes in through {:?}", self.fences);
        let twice = self.sessions.insert(client, session);
        assert!(twice.is_none(), "a client id was given out twice");
    }

    /// A connect was acknowledged to somebody who had gone.
    pub(crate) fn is_ghost(&mut self, client: String, step: u64) {
        self.ghosts.insert(client, step);
    }

    /// A connection's stream or the connection itself ended.
    pub(crate) fn ends(&mut self, key: ClientKey, step: u64) {
        if let Some(session) = self.of_mut(key) {
            session.ended = Some(step);
        }
    }

    /// How many sessions a user may have been seen with since then.
    pub(crate) fn seen_since(&self, user: &str, step: u64) -> usize {
        let alive = |session: &&Session| session.ended.is_none_or(|ended| ended >= step);
        self.sessions.values().filter(|s| s.user == user).filter(alive).count() + self.ghosts.len()
    }

    /// Every session that had not ended by then.
    pub(crate) fn not_ended_by(&self, step: u64) -> impl Iterator<Item = &Session> {
        let lives = move |session: &&Session| session.ended.is_none_or(|ended| ended > step);
        self.sessions.values().filter(lives)
    }

    /// How many have come in from then on whose client had gone.
    pub(crate) fn ghosts_since(&self, step: u64) -> usize {
        self.ghosts.values().filter(|came| **came >= step).count()
    }

    // ---- orders ----------------------------------------------------------------------------

    pub(crate) fn order(&mut self, user: &str, whom: Whom, code: u32, given: u64) -> usize {
        self.ordered(Some(user), whom, code, (Some(0), given))
    }

    pub(crate) fn ordered(
        &mut self,
        user: Option<&str>,
        whom: Whom,
        code: u32,
        (from_s, given): (Option<u64>, u64),
    ) -> usize {
        let user = user.map(str::to_owned);
        self.orders.push(Order { user, whom, code, from_s, given, done: None, is_done: false });
        self.orders.len() - 1
    }

    /// A backend moves the end of a user's sessions to this second, or takes it away.
    pub(crate) fn moves(&mut self, user: &str, from_s: Option<u64>, given: u64) -> usize {
        self.ordered(Some(user), Whom::All, EXPIRED, (from_s, given))
    }

    /// Whether somebody who may has ordered this session to end with this code by now.
    pub(crate) fn is_ordered(&self, id: &str, session: &Session, code: u32, now_s: u64) -> bool {
        self.orders.iter().any(|order| {
            let is_meant = order.means(id, session) && order.code == code;
            is_meant && !order.is_done && order.from_s.is_some_and(|from_s| from_s <= now_s)
        })
    }

    /// Whether this user is blocked, whatever is still on its way: every order to unblock was
    /// over before the block was ordered.
    pub(crate) fn is_surely_blocked(&self, user: &str) -> bool {
        let of_user = |code| self.orders.iter().filter(move |o| o.code == code && o.is_of(user));
        of_user(BLOCKED).any(|block| {
            let came_before = |unblock: &Order| unblock.done.is_some_and(|at| at < block.given);
            block.is_done && of_user(UNBLOCKED).all(came_before)
        })
    }

    /// Whether this user may have been blocked at some time since: no order to unblock that was
    /// over by then was given after the block was over.
    pub(crate) fn may_be_blocked(&self, user: &str, since: u64) -> bool {
        let of_user = |code| self.orders.iter().filter(move |o| o.code == code && o.is_of(user));
        of_user(BLOCKED).any(|block| {
            let undoes = |unblock: &Order| {
                let comes_after = block.done.is_some_and(|done| done < unblock.given);
                comes_after && unblock.done.is_some_and(|done| done < since)
            };
            !of_user(UNBLOCKED).any(undoes)
        })
    }

    /// Whether a backend may be moving this user's ends to then.
    pub(crate) fn is_moving(&self, user: &str, to_s: Option<u64>) -> bool {
        self.orders.iter().any(|order| {
            !order.is_done && order.code == EXPIRED && order.is_of(user) && order.from_s == to_s
        })
    }

    /// An order was acknowledged: everybody meant has gone.
    pub(crate) fn is_obeyed(&mut self, order: usize, step: u64) {
        self.orders[order].is_done = true;
        self.orders[order].done = Some(step);
        let order = &self.orders[order];
        if let Some(user) = order.user.as_deref().filter(|user| self.is_surely_blocked(user)) {
            let inside = self.open().find(|(_, session)| session.user == user);
            assert!(inside.is_none(), "is in although its user is blocked: {inside:?}");
        }
        let meant = |(id, s): &(&String, &Session)| s.opened <= order.given && order.means(id, s);
        let alive = self.open().find(meant);
        assert!(alive.is_none(), "lives on after its disconnect was acknowledged: {alive:?}");
    }

    /// A move was acknowledged: everybody meant knows of it, or has gone.
    fn is_moved(&mut self, order: usize) {
        self.orders[order].is_done = true;
        let order = &self.orders[order];
        let meant = |(id, s): &(&String, &Session)| s.opened <= order.given && order.means(id, s);
        let behind = self.open().filter(meant).find(|(_, session)| session.moved < order.given);
        assert!(behind.is_none(), "its end was not moved: {behind:?}");
    }

    // ---- what is said of sessions ----------------------------------------------------------

    /// Holds a reply to a backend against what is true. Returns the listing, when it is one.
    pub(crate) fn check(
        &mut self,
        asked: &Asked,
        reply: &Reply,
        (step, now_ms): (u64, u64),
    ) -> Option<Listing> {
        let body: Value = serde_json::from_str(&reply.body).expect("a reply is JSON");
        let failed = body.get("error").is_some();
        match &asked.what {
            Request::List { user } => {
                assert!(!failed, "a listing has no way to fail: {}", reply.body);
                return Some(self.check_listing(user, asked.at, &reply.body, &body["result"]));
            }
            Request::Page { look } => self.check_page(*look, asked.at, &body),
            Request::Count { sought } => self.check_count(*sought, asked.at, &body),
            // When it says that it failed, anything may be true.
            Request::DisconnectUser { .. }
            | Request::DisconnectClient { .. }
            | Request::Fence { .. }
            | Request::Block { .. }
            | Request::Unblock { .. }
            | Request::Refresh { .. }
                if failed => {}
            Request::Fence { .. } => {
                self.is_obeyed(asked.order.expect("it gave an order"), step);
                let fence = asked.fence.expect("it wants one");
                if body["result"]["closed"].as_u64() > Some(0) || asked.fences_whole_groups() {
                    self.is_fenced(fence, now_ms);
                }
            }
            Request::Refresh { lives_s: None | Some(1..), .. } => {
                self.is_moved(asked.order.expect("it gave an order"));
            }
            Request::DisconnectUser { .. }
            | Request::DisconnectClient { .. }
            | Request::Block { .. }
            | Request::Unblock { .. }
            | Request::Refresh { .. } => {
                self.is_obeyed(asked.order.expect("it gave an order"), step);
            }
        }
        None
    }

    fn check_listing(&self, user: &str, asked_at: u64, text: &str, result: &Value) -> Listing {
        let connections = result["connections"].as_object().expect("a listing lists");
        for (id, info) in connections {
            assert_eq!(text.matches(id.as_str()).count(), 1, "{id} is listed twice");
            assert_eq!(info["meta"]["of"], user, "{id} has somebody else's meta");
        }
        let sessions = connections.iter().map(|(id, info)| (id.as_str(), info));
        self.check_listed(user, asked_at, &sessions.collect(), result)
    }

    /// Holds a client's listing of its own sessions against what is true.
    pub(crate) fn check_own_listing(
        &self,
        (caller, user): (&str, &str),
        asked_at: u64,
        result: &Value,
    ) -> Listing {
        const SHOWN: [&str; 6] =
            ["client", "current", "app_name", "transport", "protocol", "connected_at_ms"];
        let list = result["sessions"].as_array().expect("a listing lists");
        let mut sessions = BTreeMap::new();
        for info in list {
            let id = info["client"].as_str().expect("every session has its id");
            let keys = info.as_object().expect("a session is an object").keys();
            let secret = keys.into_iter().find(|key| !SHOWN.contains(&key.as_str()));
            assert_eq!(secret, None, "users see this of {id}");
            assert_eq!(info.get("current").is_some(), id == caller, "current is who asks: {id}");
            assert!(sessions.insert(id, info).is_none(), "{id} is listed twice");
        }
        assert!(sessions.contains_key(caller), "who asks is among the own sessions");
        self.check_listed(user, asked_at, &sessions, result)
    }

    /// Holds one that is listed against what is true. Returns the session, unless its client had gone
    /// when it came in.
    pub(crate) fn check_one(&self, id: &str, info: &Value, asked_at: u64) -> Option<&Session> {
        let Some(session) = self.sessions.get(id) else {
            assert!(self.ghosts.contains_key(id), "only acknowledged sessions are listed");
            return None;
        };
        assert_eq!(info["transport"], session.transport, "{id}");
        let is_fresh = session.ended.is_none_or(|ended| ended > asked_at);
        assert!(is_fresh, "{id} had ended when it was asked for");
        Some(session)
    }

    fn check_listed(
        &self,
        user: &str,
        asked_at: u64,
        listed: &BTreeMap<&str, &Value>,
        result: &Value,
    ) -> Listing {
        let partial = looks::is_partial(result);
        for (id, info) in listed {
            if let Some(session) = self.check_one(id, info, asked_at) {
                assert_eq!(session.user, user, "{id} is somebody else's");
            }
        }
        for (id, session) in self.open().filter(|(_, s)| s.user == user && s.opened <= asked_at) {
            assert!(
                partial || listed.contains_key(id.as_str()),
                "{id} on shard {} is missing and the listing does not say partial",
                session.key.0
            );
        }
        Listing { sessions: listed.keys().map(|id| (*id).to_owned()).collect(), partial }
    }
}

impl Whom {
    fn is(&self, id: &str, session: &Session) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == id,
            Self::AllBut(but) => but != id,
            Self::Trial => session.is_trial,
            Self::Nobody => false,
        }
    }
}
