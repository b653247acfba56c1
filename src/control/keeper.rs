//! Rules on their way: from a shard to the store, then into memory, then back to the shard, which
//! has every shard carry them out.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;

use super::store::{Done, Job, Outcome, Store, StoreError, StoreOptions, Work};
use crate::api::{Answer, ApiError, Question};
use crate::auth::{RULES_MAX, Rules};
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
    /// A sweep is on its way: another one waits for the next minute.
    sweeps: bool,
    /// Users who left since that was last written, and when.
    left: HashMap<CompactString, i64>,
}

/// Users who left that are remembered until they can be written; the store has failed for long.
const LEFT_MAX: usize = 1_000_000;

impl Keeper {
    /// Reads the stored rules into `rules`.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn open(options: StoreOptions, rules: Arc<Rules>, now_s: i64) -> Result<Self, StoreError> {
        let store = Store::open(options, &rules, now_s)?;
        Ok(Self { rules, store, sweeps: false, left: HashMap::new() })
    }

    /// A shard asks for something to be stored. Answers at once only when it cannot be.
    pub(super) fn ask(
        &mut self,
        (shard, gather): (usize, GatherId),
        question: Question,
        now_s: i64,
    ) -> Option<Reply> {
        let work = if let Question::KeepOut(rule) = question {
            if !self.rules.have_room_for(&rule) {
                return Some(failed(shard, gather, ApiError::too_many_rules(RULES_MAX)));
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
        let job = Job { work, now_s, name: Some((shard, gather)) };
        let refused = self.store.put(job).err()?;
        tracing::warn!(?refused, "too much waits to be stored");
        Some(failed(shard, gather, ApiError::not_stored()))
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

    /// The next job that the store has done. Nothing is lost when this is dropped.
    pub(super) async fn done(&mut self) -> Done<Asker> {
        match self.store.done().await {
            Some(done) => done,
            // The thread is gone: nothing will be done any more.
            None => std::future::pending().await,
        }
    }

    /// What is stored holds from now on, and whoever asked hears of it.
    pub(super) fn on_done(&mut self, done: Done<Asker>) -> Option<Reply> {
        let Done { job: Job { work, now_s, name }, outcome, statuses } = done;
        match (&work, outcome) {
            (Work::Keep(rule), Outcome::Stored) => self.rules.apply(rule, now_s),
            (Work::Sweep, _) => self.sweeps = false,
            (Work::Left(left), Outcome::Failed) => {
                for (user, at_s) in left {
                    self.on_left(user, *at_s);
                }
            }
            (Work::Keep(_) | Work::Status(_) | Work::Left(_) | Work::SweepStatuses, _) => {}
        }
        let (shard, gather) = name?;
        Some(match outcome {
            Outcome::Stored => {
                (shard, Message::Answer { gather, answer: Answer::statuses(statuses) })
            }
            Outcome::Failed => failed(shard, gather, ApiError::not_stored()),
        })
    }

    /// Forgets what has ended, here and in the store.
    pub(super) fn sweep(&mut self, now_s: i64) {
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

fn failed(shard: usize, gather: GatherId, error: ApiError) -> Reply {
    (shard, Message::Answer { gather, answer: Answer::failed(error) })
}
