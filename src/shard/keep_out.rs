//! ③⑥ Who is kept out: looked up when a session is about to begin, and carried out on those that
//! are there (why nobody slips between the two: `auth/rules`).
//!
//! Sessions are not indexed by token: whose is revoked is looked for among all, a stretch at a time.
//! Tokens revoked meanwhile are looked for together when that is over, so that a thousand at once
//! cost two walks. Whoever asked is answered when every session that its rule hits has ended.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;

use ahash::RandomState;
use compact_str::CompactString;

use super::Shard;
use super::orders::ACTS_PER_TURN;
use super::work::ReplyTo;
use crate::api::{Answer, Target};
use crate::auth::{Bearer, KeptOut, Rule};
use crate::connection::close::CloseReason;
use crate::connection::connect;
use crate::protocol::codes::Disconnect;
use crate::session::{Session, Trail, Walk};
use crate::time::Now;

/// Places looked at in one turn: about half a millisecond. Few in tests, so that a walk rests.
const PLACES_PER_TURN: usize = if cfg!(test) { 8 } else { 8_000 };

/// Rules being carried out on the sessions of a shard, oldest first; only the first has begun. The
/// control thread sends no more at once than it can remember.
#[derive(Debug, Default)]
pub(super) struct Enforcing {
    rounds: VecDeque<Round>,
}

/// Rules that are carried out together.
#[derive(Debug, Default)]
struct Round {
    rules: Vec<(Rule, ReplyTo)>,
    /// Tokens to look for.
    revoked: HashSet<CompactString, RandomState>,
    /// Where to go on looking; none when all have been looked at.
    search: Option<Search>,
    /// Sessions found and not ended yet.
    hit: Vec<Target>,
}

/// Where sessions that are hit are looked for.
#[derive(Debug)]
enum Search {
    /// Among all.
    Everybody(Walk),
    /// Among those of a user.
    User(CompactString, Trail),
}

impl Enforcing {
    pub(super) fn is_idle(&self) -> bool {
        self.rounds.is_empty()
    }

    /// The round that a revoked token joins: one that has not begun.
    fn next_walk(&mut self) -> &mut Round {
        let can_join = self.rounds.len() > 1 && self.rounds.back().is_some_and(Round::is_walk);
        if !can_join {
            let search = Some(Search::Everybody(Walk::default()));
            let round = Round { search, ..Round::default() };
            self.rounds.push_back(round);
        }
        self.rounds.back_mut().expect("it was pushed, if there was none")
    }
}

impl Round {
    fn is_walk(&self) -> bool {
        !self.revoked.is_empty()
    }

    const fn is_over(&self) -> bool {
        self.search.is_none() && self.hit.is_empty()
    }

    /// Whether to look before what was found is ended. A user's sessions are all found first: one
    /// that begins meanwhile, because the user was let in again, is not meant.
    const fn must_look(&self) -> bool {
        match self.search {
            None => false,
            Some(Search::Everybody(_)) => self.hit.is_empty(),
            Some(Search::User(..)) => true,
        }
    }

    /// Why a rule of this round keeps a session out, also when another has replaced it since: its
    /// caller is told that such sessions are gone.
    fn keeps_out(&self, session: &Session<'_>, now: Now) -> Option<KeptOut> {
        let token_uid = session.token_uid();
        let token_issued_at = session.token_issued_at();
        let who = Bearer { user: session.user(), token_uid: &token_uid, token_issued_at };
        self.rules.iter().find_map(|(rule, _)| rule.keeps_out(&who, now.unix_s()))
    }
}

impl Shard {
    /// What this one is told instead of being let in.
    pub(super) fn keep_out(&self, who: &Bearer<'_>, now: Now) -> Option<Disconnect> {
        self.rules.keep_out(who, now.unix_s()).map(connect::kept_out)
    }

    /// Begins to end the sessions of this shard that a rule hits, and answers when all have ended.
    pub(super) fn enforce(&mut self, rule: Rule, reply_to: ReplyTo, now: Now) {
        let is_first = self.enforcing.is_idle();
        match &rule {
            Rule::Unblock { .. } => {
                return self.deliver(Some(reply_to), Answer::counted(0), now);
            }
            Rule::Revoke { uid, .. } => {
                let round = self.enforcing.next_walk();
                round.revoked.insert(uid.clone());
                round.rules.push((rule, reply_to));
            }
            Rule::Block { user, .. } | Rule::Invalidate { user, .. } => {
                let search = Some(Search::User(user.clone(), Trail::default()));
                let rules = vec![(rule, reply_to)];
                self.enforcing.rounds.push_back(Round { rules, search, ..Round::default() });
            }
        }
        if is_first {
            self.enforce_more(now);
        }
    }

    /// A stretch of the rules that are being carried out.
    pub(super) fn enforce_more(&mut self, now: Now) {
        let Some(mut round) = self.enforcing.rounds.pop_front() else { return };
        if round.must_look() {
            self.look_for_hit(&mut round);
            if round.must_look() {
                return self.enforcing.rounds.push_front(round);
            }
        }
        for _ in 0..ACTS_PER_TURN {
            let Some(Target { slot, client }) = round.hit.pop() else { break };
            // It may have ended by itself, or have another token now.
            let found = self.table.get(slot).filter(|found| found.client() == client);
            if let Some(why) = found.and_then(|found| round.keeps_out(&found, now)) {
                let Disconnect { code, reason } = connect::kept_out(why);
                self.end_session(slot, &CloseReason::Api { code, reason }, now);
            }
        }
        if !round.is_over() {
            return self.enforcing.rounds.push_front(round);
        }
        for (_, reply_to) in round.rules {
            self.deliver(Some(reply_to), Answer::counted(0), now);
        }
    }
}

impl Shard {
    /// Looks at the next sessions for those that a round hits.
    fn look_for_hit(&self, round: &mut Round) {
        let Round { revoked, hit, .. } = round;
        let mut places = PLACES_PER_TURN;
        let mut more = || {
            places -= 1;
            if places == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        round.search = match round.search.take() {
            None => None,
            Some(Search::Everybody(from)) => {
                let next = self.table.walk(from, |session| {
                    if let Some(session) = session
                        && revoked.contains(&*session.token_uid())
                    {
                        hit.push(target(&session));
                    }
                    more()
                });
                next.map(Search::Everybody)
            }
            Some(Search::User(user, mut trail)) => {
                let hash = self.hasher.hash(&user);
                let is_more = self.table.walk_user((&user, hash), &mut trail, |session| {
                    hit.push(target(&session));
                    more()
                });
                is_more.then_some(Search::User(user, trail))
            }
        };
    }
}

fn target(session: &Session<'_>) -> Target {
    Target { slot: session.slot(), client: session.client() }
}
