//! Rules on their way: from a shard to the store, then into memory, then back to the shard, which
//! has every shard carry them out.

use std::sync::Arc;

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
}

impl Keeper {
    /// Reads the stored rules into `rules`.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn open(options: StoreOptions, rules: Arc<Rules>, now_s: i64) -> Result<Self, StoreError> {
        let store = Store::open(options, &rules, now_s)?;
        Ok(Self { rules, store, sweeps: false })
    }

    /// A shard asks for something to be stored. Answers at once only when it cannot be.
    pub(super) fn ask(
        &self,
        (shard, gather): (usize, GatherId),
        question: Question,
        now_s: i64,
    ) -> Option<Reply> {
        let Question::KeepOut(rule) = question else {
            debug_assert!(false, "not for the control thread: {question:?}");
            return None;
        };
        if !self.rules.have_room_for(&rule) {
            return Some(failed(shard, gather, ApiError::too_many_rules(RULES_MAX)));
        }
        let job = Job { work: Work::Keep(*rule), now_s, name: Some((shard, gather)) };
        let refused = self.store.put(job).err()?;
        tracing::warn!(?refused, "too much waits to be stored");
        Some(failed(shard, gather, ApiError::not_stored()))
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
        let Done { job: Job { work, now_s, name }, outcome } = done;
        let rule = match (work, outcome) {
            (Work::Keep(rule), Outcome::Stored) => rule,
            (Work::Keep(_), Outcome::Failed) => {
                return name.map(|(shard, gather)| failed(shard, gather, ApiError::not_stored()));
            }
            (Work::Sweep, _) => {
                self.sweeps = false;
                return None;
            }
        };
        self.rules.apply(&rule, now_s);
        name.map(|(shard, gather)| (shard, Message::Answer { gather, answer: Answer::counted(1) }))
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

    /// Waits until everything is stored.
    pub(super) fn close(self) {
        self.store.close();
    }
}

fn failed(shard: usize, gather: GatherId, error: ApiError) -> Reply {
    (shard, Message::Answer { gather, answer: Answer::failed(error) })
}
