//! Where rules are kept so that they outlive the process: a thread of its own, because a disk takes
//! its time and gRPC streams on the control thread must not wait for it.
//!
//! Jobs are done in the order in which they come, several in one transaction when several wait.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use compact_str::CompactString;
use tokio::sync::mpsc as reports;

use super::store_redb::Embedded;
use crate::api::{StatusOrder, UserStatus};
use crate::auth::{Rule, Rules};

/// Jobs that may wait for the disk; one more is refused, and its caller told to send it again.
const JOBS_MAX: usize = 4_096;

/// Jobs in one transaction.
const BATCH_MAX: usize = 256;

/// Where rules of one kind are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Storage {
    /// In a file of this server.
    Embedded,
    /// In memory alone: until the process ends.
    Memory,
}

/// Where everything is kept.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The file of [`Storage::Embedded`]; made when there is something to write.
    pub path: PathBuf,
    /// Blocked users.
    pub blocked: Storage,
    /// Revoked tokens.
    pub revoked: Storage,
    /// Users whose older tokens do not count.
    pub invalidated: Storage,
    /// Statuses of users.
    pub statuses: Storage,
    /// Seconds for which a status is kept after it last changed.
    pub statuses_kept_s: u64,
}

impl StoreOptions {
    /// Nothing outlives the process.
    #[must_use]
    pub const fn in_memory() -> Self {
        let memory = Storage::Memory;
        Self {
            path: PathBuf::new(),
            blocked: memory,
            revoked: memory,
            invalidated: memory,
            statuses: memory,
            statuses_kept_s: 0,
        }
    }

    const fn storage(&self, rule: &Rule) -> Storage {
        match rule {
            Rule::Block { .. } | Rule::Unblock { .. } => self.blocked,
            Rule::Revoke { .. } => self.revoked,
            Rule::Invalidate { .. } => self.invalidated,
        }
    }
}

/// Why rules could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file.
    #[error("storage.path `{0}` is in use by another process: give each server a file of its own")]
    InUse(PathBuf),
    /// The file is not what it should be, or the system would not let us.
    #[error("storage.path `{path}` cannot be used: {cause}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        cause: redb::Error,
    },
    /// No thread to write it.
    #[error("the thread that stores rules cannot start: {0}")]
    Thread(#[source] io::Error),
}

/// Something to write, and whatever its sender wants to know it by.
#[derive(Debug)]
pub(super) struct Job<T> {
    pub(super) work: Work,
    pub(super) now_s: i64,
    pub(super) name: T,
}

/// What is written.
#[derive(Debug)]
pub(super) enum Work {
    /// A rule.
    Keep(Rule),
    /// Rules that have ended are forgotten.
    Sweep,
    /// Statuses are changed, or told.
    Status(StatusOrder),
    /// Users left, each at this time, Unix seconds.
    Left(Vec<(CompactString, i64)>),
    /// Statuses that have not changed for long are forgotten.
    SweepStatuses,
}

/// A job that has been done, or could not be.
#[derive(Debug)]
pub(super) struct Done<T> {
    pub(super) job: Job<T>,
    pub(super) outcome: Outcome,
    /// What [`StatusOrder::Get`] asked for.
    pub(super) statuses: Vec<UserStatus>,
}

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It is stored as safely as it can be.
    Stored,
    /// It is not; the log says why.
    Failed,
}

/// The thread's other end.
#[derive(Debug)]
pub(super) struct Store<T> {
    jobs: mpsc::SyncSender<Job<T>>,
    done: reports::Receiver<Done<T>>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Store<T> {
    /// Reads what is stored into `rules` and starts the thread.
    pub(super) fn open(
        options: StoreOptions,
        rules: &Rules,
        now_s: i64,
    ) -> Result<Self, StoreError> {
        let embedded = Embedded::open(options.path.clone())?;
        embedded.load(|rule| {
            if options.storage(rule) == Storage::Embedded {
                rules.apply(rule, now_s);
            }
        })?;
        rules.sweep(now_s);
        let (jobs, queue) = mpsc::sync_channel(JOBS_MAX);
        let (reports, done) = reports::channel(JOBS_MAX);
        let memory = Embedded::in_memory()?;
        let writer = Writer { options, embedded, memory };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&queue, &reports))
            .map_err(StoreError::Thread)?;
        Ok(Self { jobs, done, thread })
    }

    /// Hands a job over, or back when too many wait.
    pub(super) fn put(&self, job: Job<T>) -> Result<(), Job<T>> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            mpsc::TrySendError::Full(job) | mpsc::TrySendError::Disconnected(job) => job,
        })
    }

    /// The next job that has been done. Nothing is lost when this is dropped.
    pub(super) async fn done(&mut self) -> Option<Done<T>> {
        self.done.recv().await
    }

    /// Waits until every job is done.
    pub(super) fn close(self) {
        let Self { jobs, done, thread } = self;
        drop((jobs, done));
        // A thread that panicked has said so itself.
        let _panicked = thread.join();
    }
}

struct Writer {
    options: StoreOptions,
    embedded: Embedded,
    /// Statuses that are kept in memory: rules are in memory anyway.
    memory: Embedded,
}

impl Writer {
    fn run<T>(mut self, queue: &mpsc::Receiver<Job<T>>, reports: &reports::Sender<Done<T>>) {
        while let Ok(first) = queue.recv() {
            let more = queue.try_iter().take(BATCH_MAX - 1);
            let batch: Vec<Job<T>> = std::iter::once(first).chain(more).collect();
            let mut told = self.write(&batch);
            for (at, job) in batch.into_iter().enumerate() {
                let place = self.place(&job.work);
                let (outcome, statuses) = match &mut told[place as usize] {
                    Ok(told) => (Outcome::Stored, told.remove(&at).unwrap_or_default()),
                    Err(Failed) => (Outcome::Failed, Vec::new()),
                };
                // The control thread may be ending; what was asked is done all the same.
                let _unheard = reports.blocking_send(Done { job, outcome, statuses });
            }
        }
    }

    fn place(&self, work: &Work) -> Place {
        let (storage, in_memory) = match work {
            Work::Keep(rule) => (self.options.storage(rule), Place::Nowhere),
            Work::Sweep => (Storage::Embedded, Place::Nowhere),
            Work::Status(_) | Work::Left(_) | Work::SweepStatuses => {
                (self.options.statuses, Place::Memory)
            }
        };
        match storage {
            Storage::Embedded => Place::File,
            Storage::Memory => in_memory,
        }
    }

    /// What was to be told, by the number of the job, for each [`Place`].
    fn write<T>(&mut self, batch: &[Job<T>]) -> [Result<Told, Failed>; 3] {
        let mut jobs: [Vec<Numbered<'_>>; 3] = Default::default();
        for (at, job) in batch.iter().enumerate() {
            let place = self.place(&job.work);
            jobs[place as usize].push(Numbered { at, work: &job.work, now_s: job.now_s });
        }
        let kept_s = i64::try_from(self.options.statuses_kept_s).unwrap_or(i64::MAX);
        let [nowhere, file, memory] = jobs;
        debug_assert!(nowhere.iter().all(|job| matches!(job.work, Work::Keep(_))));
        let write = |embedded: &mut Embedded, jobs: &[Numbered<'_>]| {
            embedded.write(jobs, kept_s).map_err(|error| {
                tracing::error!(%error, jobs = jobs.len(), "rules could not be stored");
                Failed
            })
        };
        [Ok(Told::new()), write(&mut self.embedded, &file), write(&mut self.memory, &memory)]
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

/// What was to be told, by the place in the batch.
pub(super) type Told = HashMap<usize, Vec<UserStatus>>;
