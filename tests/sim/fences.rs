//! What a fence promises: once its order is answered, nobody it names comes in until it is over.

use crate::client::{Asked, Client, Request};
use crate::model::{ClientKey, Model, Whom};

/// Who may be refused at a connect for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fenced {
    /// This user.
    User(String),
    /// Whoever comes with the token of this session.
    TokenOf(String),
    /// Whoever is on trial.
    Trial,
}

/// Somebody who wants to come in, or is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comer<'a> {
    pub(crate) user: &'a str,
    /// Id of the token, or empty.
    pub(crate) uid: &'a str,
    pub(crate) is_trial: bool,
}

#[derive(Debug)]
struct Fence {
    whom: Fenced,
    /// Of a token: the ids that the session has had since it was ordered, until it is up.
    uids: Vec<String>,
    /// Until then at the earliest, monotonic milliseconds: shards put it up after it was ordered.
    stands_until_ms: u64,
    /// It was acknowledged.
    is_up: bool,
}

/// All fences ever ordered.
#[derive(Debug, Default)]
pub(crate) struct Fences(Vec<Fence>);

impl Fence {
    fn is_of(&self, comer: Comer<'_>) -> bool {
        match &self.whom {
            Fenced::User(user) => user == comer.user,
            Fenced::TokenOf(_) => {
                !comer.uid.is_empty() && self.uids.iter().any(|uid| uid == comer.uid)
            }
            Fenced::Trial => comer.is_trial,
        }
    }
}

impl Fences {
    /// A fence is ordered; `uid` is the id of the token when it is around one.
    pub(crate) fn ordered(&mut self, whom: Fenced, uid: String, stands_until_ms: u64) -> usize {
        self.0.push(Fence { whom, uids: vec![uid], stands_until_ms, is_up: false });
        self.0.len() - 1
    }

    /// Its order was acknowledged, and some were sent away.
    pub(crate) fn is_up(&mut self, fence: usize) {
        let fence = &mut self.0[fence];
        fence.is_up = true;
        fence.uids = fence.uids.pop().into_iter().collect();
    }

    /// A session has taken another token.
    pub(crate) fn has_refreshed(&mut self, client: &str, uid: &str) {
        let is_of =
            |fence: &&mut Fence| !fence.is_up && fence.whom == Fenced::TokenOf(client.to_owned());
        self.0.iter_mut().filter(is_of).for_each(|fence| fence.uids.push(uid.to_owned()));
    }

    /// Whether this one cannot come in now.
    pub(crate) fn surely_keep_out(&self, comer: Comer<'_>, now_ms: u64) -> bool {
        self.0
            .iter()
            .any(|fence| fence.is_up && fence.is_of(comer) && now_ms < fence.stands_until_ms)
    }

    /// Whether there is a reason to refuse this one: a shard may hear of a fence late, and it stands
    /// for as long from then on.
    pub(crate) fn may_keep_out(&self, comer: Comer<'_>) -> bool {
        self.0.iter().any(|fence| fence.is_of(comer))
    }

    /// Whether this one cannot be in now that the order of this fence is acknowledged: others with
    /// the same token stay.
    pub(crate) fn surely_sent_away(&self, fence: usize, comer: Comer<'_>, now_ms: u64) -> bool {
        let fence = &self.0[fence];
        let is_whole = !matches!(fence.whom, Fenced::TokenOf(_));
        is_whole && fence.is_of(comer) && now_ms < fence.stands_until_ms
    }
}

impl Model {
    /// A backend sends those away whom it fences out.
    pub(crate) fn sends_away(&mut self, fenced: &Fenced, code: u32, given: u64) -> usize {
        let (user, whom) = match fenced {
            Fenced::User(user) => (Some(user.as_str()), Whom::All),
            Fenced::TokenOf(client) => (None, Whom::One(client.clone())),
            Fenced::Trial => (None, Whom::Trial),
        };
        self.ordered(user, whom, code, (Some(0), given))
    }

    /// A backend wants connects refused until then, monotonic milliseconds.
    pub(crate) fn fences(&mut self, whom: Fenced, until_ms: u64) -> usize {
        let uid = match &whom {
            Fenced::TokenOf(client) => {
                self.by_id(client).map(|s| s.uid.clone()).unwrap_or_default()
            }
            Fenced::User(_) | Fenced::Trial => String::new(),
        };
        self.fences.ordered(whom, uid, until_ms)
    }

    /// A session goes on with another token.
    pub(crate) fn has_refreshed(&mut self, key: ClientKey, uid: &str) {
        let (id, _) = self.of(key).expect("it is in");
        let id = id.clone();
        self.fences.has_refreshed(&id, uid);
        let session = self.of_mut(key).expect("it is in");
        uid.clone_into(&mut session.uid);
    }

    /// Whether there is a reason to refuse this client for a while.
    pub(crate) fn may_be_fenced_out(&self, client: &Client) -> bool {
        self.fences.may_keep_out(client.comer())
    }

    /// A fence was acknowledged: nobody whom it names alone is in any more.
    pub(crate) fn is_fenced(&mut self, fence: usize, now_ms: u64) {
        self.fences.is_up(fence);
        let inside = self
            .open()
            .find(|(_, session)| self.fences.surely_sent_away(fence, session.comer(), now_ms));
        assert!(inside.is_none(), "is in although it is fenced out: {inside:?}");
    }
}

impl Asked {
    /// Whether its fence is around everybody of some kind, in or not.
    pub(crate) const fn fences_whole_groups(&self) -> bool {
        matches!(self.what, Request::Fence { whom: Fenced::User(_) | Fenced::Trial, .. })
    }
}
