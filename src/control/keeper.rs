//! Rules on their way: from a shard to the store, then into memory, then to every shard, and when
//! all have carried them out back to whoever asked.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;

use super::rounds::Rounds;
use super::store::{Done, Job, Outcome, Store, StoreError, StoreOptions, Work};
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
    /// A sweep is on its way: another one waits for the next minute.
    sweeps: bool,
    /// Users who left since that was last written, and when.
    left: HashMap<CompactString, i64>,
}

/// Users who left that are remembered until they can be written; the store has failed for long.
const LEFT_MAX: usize = 1_000_000;

impl Keeper {
    /// Reads the stored rules into `rules`, which so many shards look at.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn open(
        options: StoreOptions,
        rules: Arc<Rules>,
        shards: usize,
        now_s: i64,
    ) -> Result<Self, StoreError> {
        let store = Store::open(options, &rules, now_s)?;
        let rounds = Rounds::new(shards);
        Ok(Self { rules, store, rounds, sweeps: false, left: HashMap::new() })
    }

    /// A shard asks for something to be stored. Answers at once only when it cannot be.
    pub(super) fn ask(
        &mut self,
        asker: (usize, GatherId),
        question: Question,
        now_s: i64,
    ) -> Option<Reply> {
        let work = if let Question::KeepOut(rule) = question {
            if !self.rules.have_room_for(&rule) {
                return Some(reply(asker, Answer::failed(ApiError::too_many_rules(RULES_MAX))));
            }
            Work::Keep(*rule)
        } else if let Question::Status(order) = question {
            // What is asked for now knows of whoever has left before.
            self.write_left(now_s);
            Work::Status(*order)
        } else {
            debug_assert!(false, "not for the control thread: {question:?}");
            return None;
        };
        let job = Job { work, now_s, name: Some(asker) };
        let refused = self.store.put(job).err()?;
        tracing::warn!(?refused, "too much waits to be stored");
        Some(reply(asker, Answer::failed(ApiError::not_stored())))
    }

    /// A user has left.
    pub(super) fn on_left(&mut self, user: &str, at_s: i64) {
        if self.left.len() < LEFT_MAX {
            self.left.insert(user.into(), at_s);
        }
    }

    /// Whether somebody has left since that was last written down.
    pub(super) fn knows_who_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Writes down who has left since the last time.
    pub(super) fn write_left(&mut self, now_s: i64) {
        if self.left.is_empty() {
            return;
        }
        let left = std::mem::take(&mut self.left).into_iter().collect();
        let refused = self.store.put(Job { work: Work::Left(left), now_s, name: None });
        if let Err(Job { work: Work::Left(left), .. }) = refused {
            self.left.extend(left);
        }
    }

    /// The next job that the store has done. Nothing is lost when this is dropped. Waits while too
    /// many rules are on their way to the shards.
    pub(super) async fn done(&mut self) -> Done<Asker> {
        let done = if self.rounds.have_room() { self.store.done().await } else { None };
        match done {
            Some(done) => done,
            // The thread is gone and nothing will be done any more, or a shard's answer comes first.
            None => std::future::pending().await,
        }
    }

    /// What is stored holds from now on. Whoever asked hears of it when shards have nothing to do.
    pub(super) fn on_done(&mut self, done: Done<Asker>) -> Option<Reply> {
        let Done { job: Job { work, now_s, name }, outcome, statuses } = done;
        let is_stored = outcome == Outcome::Stored;
        match work {
            Work::Keep(rule) if is_stored => {
                self.rules.apply(&rule, now_s);
                if !matches!(rule, Rule::Unblock { .. }) {
                    self.rounds.begin(Box::new(rule.made_at(now_s)), name, now_s);
                    return None;
                }
            }
            Work::Left(left) if !is_stored => {
                for (user, at_s) in left {
                    self.on_left(&user, at_s);
                }
            }
            Work::Sweep => self.sweeps = false,
            Work::Keep(_) | Work::Status(_) | Work::Left(_) | Work::SweepStatuses => {}
        }
        let asker = name?;
        let answer = if is_stored {
            Answer::statuses(statuses)
        } else {
            Answer::failed(ApiError::not_stored())
        };
        Some(reply(asker, answer))
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
        self.rounds.forget_lost(now_s);
        let before = self.rules.len();
        self.rules.sweep(now_s);
        if self.rules.len() < before && !self.sweeps {
            let job = Job { work: Work::Sweep, now_s, name: None };
            self.sweeps = self.store.put(job).is_ok();
        }
    }

    /// Forgets statuses that have not changed for long.
    pub(super) fn sweep_statuses(&self, now_s: i64) {
        // When too much waits the next hour will do.
        let _refused = self.store.put(Job { work: Work::SweepStatuses, now_s, name: None });
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
