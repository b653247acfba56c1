//! Rules on their way: from a shard to the store, then into memory, then to every shard, and when
//! all have carried them out back to whoever asked.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;

use super::rounds::Rounds;
use super::shared::{News, Position};
use super::store::{Done, Job, Outcome, Report, Storage, Store, StoreError, StoreOptions, Work};
use crate::api::{Answer, ApiError, Question};
use crate::auth::{RULES_MAX, Rule, Rules};
use crate::ids::ShardId;
use crate::messages::{GatherId, Message};

/// Who waits for a job: a shard and its gather. Nobody waits for a sweep.
type Asker = Option<(usize, GatherId)>;

/// An answer for a shard.
pub(super) type Reply = (usize, Message);

/// Stores rules, and makes them hold when they are stored.
#[derive(Debug)]
pub struct Keeper {
    rules: Arc<Rules>,
    store: Store<Asker>,
    rounds: Rounds<Asker>,
    /// Rules that this node was asked for and that all nodes share, by their numbers.
    sharing: HashMap<u64, Sharing>,
    /// The last of these numbers.
    shared: u64,
    /// All changes up to this one have been read at once.
    caught_up: Position,
    /// A sweep is on its way: another one waits for the next minute.
    sweeps: bool,
    /// The same of statuses.
    sweeps_statuses: bool,
    /// Calls that found too much waiting, since the last sweep. Of the first one the log tells.
    refused: u64,
    /// Users who left since that was last written, and when.
    left: HashMap<CompactString, i64>,
}

/// A rule that all nodes share, on its way there and back.
#[derive(Debug)]
struct Sharing {
    asker: (usize, GatherId),
    rule: Rule,
    /// Which change it is, once that is known.
    change: Option<Position>,
    since_s: i64,
}

/// Seconds after which it does not come back any more: the shared store has lost it.
const SHARING_S_MAX: i64 = 60;

/// Users who left that are remembered until they can be written; the store has failed for long.
const LEFT_MAX: usize = 1_000_000;

impl Keeper {
    /// Reads the stored rules into `rules`, which so many shards look at.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn open(
        options: StoreOptions,
        (rules, shards): (Arc<Rules>, usize),
        (node, now_s): (&str, i64),
    ) -> Result<Self, StoreError> {
        let store = Store::open(options, &rules, (node, now_s))?;
        Ok(Self {
            rules,
            store,
            rounds: Rounds::new(shards),
            sharing: HashMap::new(),
            shared: 0,
            caught_up: Position::default(),
            sweeps: false,
            sweeps_statuses: false,
            refused: 0,
            left: HashMap::new(),
        })
    }

    /// A shard asks for something to be stored. Answers at once only when it cannot be.
    pub(super) fn ask(
        &mut self,
        asker: (usize, GatherId),
        question: Question,
        now_s: i64,
    ) -> Option<Reply> {
        let refuse = |error| Some(reply(asker, Answer::failed(error)));
        let work = if let Question::KeepOut(rule) = question {
            // Shards carry it out later, and hit the sessions that it would hit now.
            let rule = rule.made_at(now_s);
            if !self.rules.have_room_for(&rule) {
                return refuse(ApiError::too_many_rules(RULES_MAX));
            }
            if self.store.storage(rule.kind()) == Storage::Redis {
                if self.rules.are_stale() {
                    return refuse(ApiError::store_away());
                }
                self.share(rule, asker, now_s)
            } else {
                Work::Keep(rule)
            }
        } else if let Question::Status(order) = question {
            if self.store.storage_of_statuses() == Storage::Redis && self.rules.are_stale() {
                return refuse(ApiError::store_away());
            }
            // What is asked for now knows of whoever has left before.
            self.write_left(now_s);
            Work::Status(*order)
        } else {
            debug_assert!(false, "not for the control thread: {question:?}");
            return None;
        };
        let refused = self.store.put(Job { work, now_s, name: Some(asker) });
        let Job { work, .. } = refused.err()?;
        self.refused += 1;
        if self.refused == 1 {
            let what = work.what();
            tracing::warn!(what, "too much waits to be stored: calls are refused");
        }
        if let Work::Share { number, .. } = work {
            self.sharing.remove(&number);
        }
        refuse(ApiError::not_stored())
    }

    fn share(&mut self, rule: Rule, asker: (usize, GatherId), now_s: i64) -> Work {
        self.shared += 1;
        let sharing = Sharing { asker, rule: rule.clone(), change: None, since_s: now_s };
        self.sharing.insert(self.shared, sharing);
        Work::Share { rule, number: self.shared }
    }

    /// A user has left.
    pub(super) fn on_left(&mut self, user: &str, at_s: i64) {
        if let Some(last) = self.left.get_mut(user) {
            *last = at_s.max(*last);
        } else if self.left.len() < LEFT_MAX {
            self.left.insert(user.into(), at_s);
        }
    }

    /// Whether somebody has left since that was last written down.
    pub(super) fn knows_who_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Writes down who has left since the last time.
    pub(super) fn write_left(&mut self, now_s: i64) {
        let is_away = self.store.storage_of_statuses() == Storage::Redis && self.rules.are_stale();
        if self.left.is_empty() || is_away {
            return;
        }
        let left = std::mem::take(&mut self.left).into_iter().collect();
        let refused = self.store.put(Job { work: Work::Left(left), now_s, name: None });
        if let Err(Job { work: Work::Left(left), .. }) = refused {
            self.left.extend(left);
        }
    }

    /// The next thing that the store has to say. Nothing is lost when this is dropped. Waits while
    /// too many rules are on their way to the shards.
    pub(super) async fn report(&mut self) -> Report<Asker> {
        let report = if self.rounds.have_room() { self.store.report().await } else { None };
        match report {
            Some(report) => report,
            // The thread is gone and nothing will be done any more, or a shard's answer comes first.
            None => std::future::pending().await,
        }
    }

    /// A job is done, or rules have been read. Whoever asked hears of it when there is nothing left
    /// to do.
    pub(super) fn on_report(&mut self, report: Report<Asker>, now_s: i64) -> Option<Reply> {
        match report {
            Report::Done(done) => self.on_done(done),
            Report::News(News::Rule { rule, own }) => {
                let sharing = own.and_then(|number| self.sharing.remove(&number));
                self.carry_out(*rule, sharing.map(|sharing| sharing.asker), now_s)
            }
            Report::News(News::CaughtUp(position)) => {
                self.caught_up = position;
                self.carry_out_old(now_s);
                None
            }
        }
    }

    /// What is stored holds from now on.
    fn on_done(&mut self, done: Done<Asker>) -> Option<Reply> {
        let Done { job: Job { work, now_s, name }, outcome, statuses } = done;
        let answer = match &outcome {
            Outcome::Stored | Outcome::Unfinished | Outcome::Shared(_) => {
                Answer::statuses(statuses)
            }
            Outcome::Full => {
                let limits = self.store.statuses_limits();
                Answer::failed(ApiError::too_many_statuses(limits.users_max))
            }
            Outcome::Failed => Answer::failed(ApiError::not_stored()),
            Outcome::Away => Answer::failed(ApiError::store_away()),
            Outcome::Unknown => Answer::failed(ApiError::not_known_stored()),
        };
        match (work, outcome) {
            (Work::Keep(rule), Outcome::Stored) => {
                self.rules.apply(&rule, now_s);
                return self.carry_out(rule, name, now_s);
            }
            (Work::Share { number, .. }, Outcome::Shared(change)) => {
                // It is carried out when it is read among the changes of all nodes.
                let sharing = self.sharing.get_mut(&number)?;
                sharing.change = Some(change);
                self.carry_out_old(now_s);
                return None;
            }
            (Work::Share { number, .. }, _) => drop(self.sharing.remove(&number)),
            (Work::Left(left), Outcome::Failed | Outcome::Away | Outcome::Unknown) => {
                for (user, at_s) in left {
                    self.on_left(&user, at_s);
                }
            }
            (Work::Sweep, Outcome::Unfinished) => self.put_sweep(now_s),
            (Work::Sweep, _) => self.sweeps = false,
            (Work::SweepStatuses, Outcome::Unfinished) => self.put_sweep_statuses(now_s),
            (Work::SweepStatuses, _) => self.sweeps_statuses = false,
            (Work::Keep(_) | Work::Status(_) | Work::Left(_) | Work::SweepShared, _) => {}
        }
        Some(reply(name?, answer))
    }

    /// Has every shard carry out a rule that holds. Answers at once when there is nothing to do.
    fn carry_out(&mut self, rule: Rule, asker: Asker, now_s: i64) -> Option<Reply> {
        if matches!(rule, Rule::Unblock { .. }) {
            return Some(reply(asker?, Answer::counted(0)));
        }
        self.rounds.begin(Box::new(rule), asker, now_s);
        None
    }

    /// Has shards carry out those of this node's rules that hold already, because everything was
    /// read at once. None of them will be read again.
    fn carry_out_old(&mut self, now_s: i64) {
        let caught_up = &self.caught_up;
        let is_old = |sharing: &Sharing| {
            sharing.change.as_ref().is_some_and(|change| change.is_within(caught_up))
        };
        for (_, sharing) in self.sharing.extract_if(|_, sharing| is_old(sharing)) {
            self.rounds.begin(Box::new(sharing.rule), Some(sharing.asker), now_s);
        }
    }

    /// Tells shards of the rules they must carry out.
    pub(super) fn tell(&mut self, send: impl FnMut(usize, Message) -> Result<(), Message>) {
        self.rounds.tell(send);
    }

    /// Whether some shard had no room to be told.
    pub(super) const fn has_to_tell(&self) -> bool {
        self.rounds.are_untold()
    }

    /// A shard has carried a rule out: whoever asked for it hears when it was the last one.
    pub(super) fn on_answer(
        &mut self,
        from: usize,
        gather: GatherId,
        answer: Answer,
    ) -> Option<Reply> {
        let asker = self.rounds.answer(gather, ShardId::new(from), answer)??;
        Some(reply(asker, Answer::counted(0)))
    }

    /// Forgets what has ended, here and in the store.
    pub(super) fn sweep(&mut self, now_s: i64) {
        self.refused = 0;
        self.rounds.forget_lost(now_s);
        self.sharing.retain(|_, sharing| sharing.since_s >= now_s.saturating_sub(SHARING_S_MAX));
        let before = self.rules.len();
        self.rules.sweep(now_s);
        if self.rules.len() < before && !self.sweeps {
            self.put_sweep(now_s);
        }
        if self.store.is_shared() && !self.rules.are_stale() {
            // When too much waits the next minute will do.
            let _refused = self.store.put(Job { work: Work::SweepShared, now_s, name: None });
        }
    }

    fn put_sweep(&mut self, now_s: i64) {
        self.sweeps = self.store.put(Job { work: Work::Sweep, now_s, name: None }).is_ok();
    }

    /// Forgets statuses that have not changed for long. A shared store does so by itself.
    pub(super) fn sweep_statuses(&mut self, now_s: i64) {
        if !self.sweeps_statuses && self.store.storage_of_statuses() != Storage::Redis {
            self.put_sweep_statuses(now_s);
        }
    }

    fn put_sweep_statuses(&mut self, now_s: i64) {
        let job = Job { work: Work::SweepStatuses, now_s, name: None };
        self.sweeps_statuses = self.store.put(job).is_ok();
    }

    /// Waits until everything is stored.
    pub(super) fn close(mut self, now_s: i64) {
        self.write_left(now_s);
        self.store.close();
    }
}

fn reply((shard, gather): (usize, GatherId), answer: Answer) -> Reply {
    (shard, Message::Answer { gather, answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Until;

    /// What shards were told to carry out.
    fn told(keeper: &mut Keeper) -> Vec<Rule> {
        let mut told = Vec::new();
        keeper.tell(|_, message| {
            if let Message::Ask { question: Question::KeepOut(rule), .. } = message {
                told.push(*rule);
            }
            Ok(())
        });
        told
    }

    #[test]
    fn a_shared_rule_that_counts_from_now_counts_from_when_it_was_asked_for() {
        let options = StoreOptions { invalidated: Storage::Redis, ..StoreOptions::in_memory() };
        let rules = Arc::new(Rules::default());
        let mut keeper = Keeper::open(options, (rules, 1), ("node", 100)).unwrap();
        let asker = (0, GatherId { index: 1, generation: 0 });
        let until = Until::FOREVER;
        let made = |issued_before| Rule::Invalidate { user: "42".into(), issued_before, until };
        assert!(keeper.ask(asker, Question::KeepOut(Box::new(made(None))), 100).is_none());
        // It was among what has been read at once, and is not read again.
        let work = Work::Share { rule: made(None), number: 1 };
        let outcome = Outcome::Shared(Position::default());
        let job = Job { work, now_s: 100, name: Some(asker) };
        let report = Report::Done(Done { job, outcome, statuses: Vec::new() });
        assert!(keeper.on_report(report, 200).is_none());
        assert_eq!(told(&mut keeper), [made(Some(100))]);
    }
}
