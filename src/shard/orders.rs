//! ⑥ What is done to the sessions that a question found: all at once when they are few, else at a
//! pace, because whoever is sent away comes back at once.

use std::collections::VecDeque;

use rand::RngExt;

use super::Shard;
use crate::api::{
    Answer, ApiError, Applied, Change, Fenced, Lifetime, Mode, Naming, Question, Receipt, Target,
    Terms,
};
use crate::connection::close::CloseReason;
use crate::protocol::RefreshPush;
use crate::time::Now;

/// Sessions of one shard that an order ends as fast as it can: a user's own, and those of small
/// selections. When there are more, they are ended at the pace of `disconnect.rate`.
const UNPACED_MAX: usize = if cfg!(test) { 4 } else { 1_000 };

/// Sessions acted on in one turn: about a millisecond of system calls.
pub(super) const ACTS_PER_TURN: usize = if cfg!(test) { 4 } else { 256 };

/// An order being carried out.
#[derive(Debug, Default)]
pub(super) struct Doing {
    targets: VecDeque<Target>,
    pace: Pacing,
    /// What the answer will say of how the sessions were found.
    found: Option<Answer>,
    /// Why nothing is done.
    refused: Option<ApiError>,
    receipt: Receipt,
}

/// How fast an order is carried out.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Pacing {
    /// So many in each turn.
    #[default]
    Turns,
    /// As [`Pace`] gives leave.
    Paced,
}

/// What an order does to a session.
enum Act<'q> {
    End(CloseReason),
    Refresh(Option<u32>),
    Update(&'q Change),
}

impl Doing {
    pub(super) fn of(mut self, found: Answer) -> Self {
        let found = self.refused.take().map_or(found, Answer::failed);
        Self { found: Some(found), ..self }
    }

    pub(super) fn fits_one_turn(&self) -> bool {
        self.pace == Pacing::Turns && self.targets.len() <= ACTS_PER_TURN
    }

    pub(super) fn is_paced(&self) -> bool {
        self.pace == Pacing::Paced
    }

    /// The answer, when nothing is left to do.
    pub(super) fn take_answer_if_done(&mut self) -> Option<Answer> {
        if !self.targets.is_empty() {
            return None;
        }
        let found = self.found.take().unwrap_or_else(|| Answer::counted(0));
        Some(found.with_receipt(std::mem::take(&mut self.receipt)))
    }

    /// The answer while there is more to do: that is pending.
    pub(super) fn take_interim(&mut self) -> Answer {
        let pending = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        let receipt = Receipt { pending, ..std::mem::take(&mut self.receipt) };
        let found = self.found.take().unwrap_or_else(|| Answer::counted(0));
        found.with_receipt(receipt)
    }
}

impl Shard {
    /// What has to be done to the sessions found, if the question is an order.
    pub(super) fn order(
        &mut self,
        question: &Question,
        targets: Vec<Target>,
        now: Now,
    ) -> Option<Doing> {
        let (terms, act) = order_of(question, now)?;
        if !self.has_fenced(question, &targets) {
            let refused = Some(ApiError::token_replaced());
            return Some(Doing { refused, ..Doing::default() });
        }
        let mut receipt = Receipt::default();
        match terms.naming {
            Naming::Numbers => {}
            Naming::Clients => {
                receipt.clients = Some(Vec::new());
                targets.iter().for_each(|target| receipt.name(target.client));
            }
            Naming::Token => {
                let session = targets.first().map(|target| self.table.view(target.slot));
                receipt.token_uid = session.map(|session| (*session.token_uid()).into());
            }
        }
        let targets = match terms.mode {
            Mode::Rehearsal => VecDeque::new(),
            Mode::ForReal => targets.into(),
        };
        let is_large = targets.len() > UNPACED_MAX;
        let pace = if is_large && self.pace.is_set() && matches!(act, Act::End(_)) {
            Pacing::Paced
        } else {
            Pacing::Turns
        };
        Some(Doing { targets, pace, receipt, ..Doing::default() })
    }

    /// Whether the fence of an order, if it is one around a token, keeps out whom the order sends
    /// away.
    fn has_fenced(&self, question: &Question, targets: &[Target]) -> bool {
        let Some(Fenced::Token(uid)) = question.fence().map(|fence| &fence.whom) else {
            return true;
        };
        targets.iter().all(|target| *self.table.view(target.slot).token_uid() == **uid)
    }

    /// Acts on the next sessions, as many as there is leave for.
    pub(super) fn act(&mut self, question: &Question, doing: &mut Doing, now: Now) {
        let Some((_, act)) = order_of(question, now) else { return };
        let acts = match doing.pace {
            Pacing::Turns => ACTS_PER_TURN.min(doing.targets.len()),
            Pacing::Paced => self.pace.take_leave(ACTS_PER_TURN.min(doing.targets.len())),
        };
        self.works.turn.spend_acts(acts);
        for target in doing.targets.drain(..acts) {
            // It may have ended by itself, and another may have its slot.
            if self.table.get(target.slot).is_none_or(|found| found.client() != target.client) {
                continue;
            }
            let mut applied = Applied::Done;
            match &act {
                Act::End(reason) => self.end_session(target.slot, reason, now),
                Act::Refresh(ttl_s) => self.refresh_one(target, *ttl_s, now),
                Act::Update(change) => {
                    self.change_told(target.slot, now, |table| {
                        applied = change.apply(table, target.slot);
                        applied == Applied::Done
                    });
                }
            }
            doing.receipt.count(applied);
        }
    }

    fn refresh_one(&mut self, target: Target, ttl_s: Option<u32>, now: Now) {
        let Some(conn) = self.conns.at(self.table.view(target.slot).conn_index()) else { return };
        self.set_expiry(conn, ttl_s, now);
        self.push_refresh(conn, RefreshPush { ttl: ttl_s });
    }

    /// Time has passed: paced orders may go on.
    pub(super) fn give_leave(&mut self, now: Now) {
        if self.works.any_paced() {
            let jitter_percent = self.rng.random_range(50..150);
            self.pace.give(now.mono_ms, jitter_percent);
        } else {
            self.pace.rest(now.mono_ms);
        }
    }
}

/// What a question orders, and on which terms, if it is an order.
fn order_of(question: &Question, now: Now) -> Option<(Terms, Act<'_>)> {
    match question {
        Question::Disconnect(params) => {
            let reason = params.reason.to_string().into();
            Some((params.terms, Act::End(CloseReason::Api { code: params.code, reason })))
        }
        Question::Refresh(params) => {
            let act = match params.expiry.lifetime(now) {
                Lifetime::Over => Act::End(CloseReason::Expired),
                Lifetime::Seconds(ttl_s) => Act::Refresh(Some(ttl_s)),
                Lifetime::Endless => Act::Refresh(None),
            };
            Some((params.terms, act))
        }
        Question::Update(params) => Some((params.terms, Act::Update(&params.change))),
        Question::Oldest { .. }
        | Question::UserConnections { .. }
        | Question::Connections { .. }
        | Question::Search(_)
        | Question::OwnSessions(_)
        | Question::KeepOut(_)
        | Question::Status(_)
        | Question::Fence(_)
        | Question::Info
        | Question::NodeStats
        | Question::UserBlock(_)
        | Question::NoChannels(_) => None,
    }
}

/// Leave to end sessions, given as time passes.
#[derive(Debug)]
pub(super) struct Pace {
    /// Thousandths of sessions per millisecond, of this shard: sessions per second.
    per_s: u64,
    /// Thousandths of sessions that may be ended now.
    leave_milli: u64,
    given_ms: u64,
}

impl Pace {
    /// This shard's part of a node's rate; 0 is no limit.
    pub(super) fn new(per_s: u32, shards: usize, now_ms: u64) -> Self {
        let shards = u64::try_from(shards).expect("SHARDS_MAX fits");
        Self { per_s: u64::from(per_s).div_ceil(shards), leave_milli: 0, given_ms: now_ms }
    }

    const fn is_set(&self) -> bool {
        self.per_s > 0
    }

    pub(super) const fn has_leave(&self) -> bool {
        self.leave_milli >= 1_000
    }

    /// Takes leave for at most so many.
    fn take_leave(&mut self, most: usize) -> usize {
        let whole = usize::try_from(self.leave_milli / 1_000).unwrap_or(usize::MAX);
        let taken = whole.min(most);
        self.leave_milli -= taken as u64 * 1_000;
        taken
    }

    /// The jitter keeps the shards of many nodes from acting in step.
    fn give(&mut self, now_ms: u64, jitter_percent: u64) {
        let passed_ms = now_ms.saturating_sub(self.given_ms).min(1_000);
        self.given_ms = now_ms;
        let given = self.per_s * passed_ms * jitter_percent / 100;
        // Never more than a second's worth at once.
        self.leave_milli =
            (self.leave_milli + given).min(self.per_s.saturating_mul(1_000).max(1_000));
    }

    const fn rest(&mut self, now_ms: u64) {
        self.given_ms = now_ms;
        self.leave_milli = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leave_is_given_at_the_rate_and_never_more_than_a_seconds_worth() {
        let mut pace = Pace::new(100, 2, 5_000);
        assert!(pace.is_set() && !pace.has_leave());
        pace.give(5_100, 100);
        assert_eq!((pace.take_leave(100), pace.has_leave()), (5, false));
        pace.give(5_110, 100);
        assert_eq!(pace.take_leave(100), 0, "half a session");
        pace.give(5_120, 100);
        assert_eq!(pace.take_leave(100), 1);
        pace.give(65_000, 149);
        assert_eq!((pace.take_leave(20), pace.take_leave(100)), (20, 30));
        pace.give(66_000, 100);
        pace.rest(66_000);
        assert_eq!(pace.take_leave(100), 0);
        assert!(!Pace::new(0, 2, 0).is_set());
    }
}
