//! The thread that writes what this server keeps for itself: in its file, or in memory.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};

use tokio::sync::mpsc as reports;

use super::store::{
    BATCH_MAX, Done, Job, Outcome, Report, Storage, StoreError, StoreOptions, Work,
};
use super::store_redb::Embedded;
use crate::api::UserStatus;
use crate::auth::Rules;

/// What it works with.
pub(super) struct OwnWriter {
    pub(super) options: StoreOptions,
    pub(super) embedded: Embedded,
    /// Statuses that are kept in memory: rules are in memory anyway.
    pub(super) memory: Embedded,
    /// Who looks at them is told whether the file takes what it is given.
    pub(super) rules: Arc<Rules>,
}

impl OwnWriter {
    /// Does jobs until nobody has any more.
    pub(super) fn run<T>(
        mut self,
        queue: &mpsc::Receiver<Job<T>>,
        reports: &reports::Sender<Report<T>>,
    ) {
        while let Ok(first) = queue.recv() {
            let more = queue.try_iter().take(BATCH_MAX - 1);
            let batch: Vec<Job<T>> = std::iter::once(first).chain(more).collect();
            let mut told = self.write(&batch);
            for (at, job) in batch.into_iter().enumerate() {
                let place = self.place(&job.work);
                let Told { outcome, statuses } = match &mut told[place as usize] {
                    Ok(told) => told.remove(&at).unwrap_or_default(),
                    Err(Failed) => Told { outcome: Outcome::Failed, statuses: Vec::new() },
                };
                // The control thread may be ending; what was asked is done all the same.
                let _unheard = reports.blocking_send(Report::Done(Done { job, outcome, statuses }));
            }
        }
    }

    fn place(&self, work: &Work) -> Place {
        let (storage, in_memory) = match work {
            Work::Keep(rule) => (self.options.storage(rule.kind()), Place::Nowhere),
            Work::Sweep => (Storage::Embedded, Place::Nowhere),
            Work::Status(_) | Work::Left(_) | Work::SweepStatuses => {
                (self.options.statuses, Place::Memory)
            }
            Work::Share { .. } | Work::SweepShared => (Storage::Redis, Place::Nowhere),
        };
        match storage {
            Storage::Embedded => Place::File,
            Storage::Memory => in_memory,
            Storage::Redis => Place::Nowhere,
        }
    }

    /// What was to be told, by the number of the job, for each [`Place`].
    fn write<T>(&mut self, batch: &[Job<T>]) -> [Result<ToldAll, Failed>; 3] {
        let mut jobs: [Vec<Numbered<'_>>; 3] = Default::default();
        for (at, job) in batch.iter().enumerate() {
            let place = self.place(&job.work);
            jobs[place as usize].push(Numbered { at, work: &job.work, now_s: job.now_s });
        }
        let limits = self.options.statuses_limits;
        let [_nowhere, file, memory] = jobs;
        let write = |embedded: &mut Embedded, jobs: &[Numbered<'_>]| {
            embedded.write(jobs, limits).map_err(|error| {
                for what in ["rules", "statuses"] {
                    log_failed(what, jobs, &error);
                }
                Failed
            })
        };
        let in_file = write(&mut self.embedded, &file);
        match &in_file {
            Err(Failed) => self.rules.become_unstored(),
            // A sweep that found nothing has not tried the disk.
            Ok(_) if file.iter().any(|job| !job.work.is_sweep()) => self.rules.become_stored(),
            Ok(_) => {}
        }
        [Ok(ToldAll::new()), in_file, write(&mut self.memory, &memory)]
    }
}

fn log_failed(what: &str, jobs: &[Numbered<'_>], error: &StoreError) {
    let jobs = jobs.iter().filter(|job| job.work.what() == what).count();
    if jobs > 0 {
        tracing::error!(%error, jobs, "{what} could not be stored");
    }
}

/// Where the work of a job is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Memory that all shards read is all there is to it.
    Nowhere,
    File,
    Memory,
}

/// Nothing of a transaction was done.
#[derive(Clone, Copy, Debug)]
struct Failed;

/// Work with its place in the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered<'w> {
    pub(super) at: usize,
    pub(super) work: &'w Work,
    pub(super) now_s: i64,
}

/// How a job ended, and what [`StatusOrder::Get`](crate::api::StatusOrder::Get) asked for.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) outcome: Outcome,
    pub(super) statuses: Vec<UserStatus>,
}

impl Default for Told {
    fn default() -> Self {
        Self { outcome: Outcome::Stored, statuses: Vec::new() }
    }
}

/// What was to be told, by the place in the batch; of others, nothing but that they are done.
pub(super) type ToldAll = HashMap<usize, Told>;
