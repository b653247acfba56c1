//! Where rules are kept so that they outlive the process: a thread of its own, because a disk takes
//! its time and gRPC streams on the control thread must not wait for it.
//!
//! Jobs are done in the order in which they come, several in one transaction when several wait.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::mpsc as reports;

use super::store_redb::Embedded;
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
}

impl StoreOptions {
    /// Nothing outlives the process.
    #[must_use]
    pub const fn in_memory() -> Self {
        let memory = Storage::Memory;
        Self { path: PathBuf::new(), blocked: memory, revoked: memory, invalidated: memory }
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
    /// What has ended is forgotten.
    Sweep,
}

/// A job that has been done, or could not be.
#[derive(Debug)]
pub(super) struct Done<T> {
    pub(super) job: Job<T>,
    pub(super) outcome: Outcome,
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
        let writer = Writer { options, embedded };
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
}

impl Writer {
    fn run<T>(mut self, queue: &mpsc::Receiver<Job<T>>, reports: &reports::Sender<Done<T>>) {
        while let Ok(first) = queue.recv() {
            let more = queue.try_iter().take(BATCH_MAX - 1);
            let batch: Vec<Job<T>> = std::iter::once(first).chain(more).collect();
            let stored = self.write(&batch);
            for job in batch {
                let outcome = if self.is_stored(&job) { stored } else { Outcome::Stored };
                // The control thread may be ending; what was asked is done all the same.
                let _unheard = reports.blocking_send(Done { job, outcome });
            }
        }
    }

    fn is_stored<T>(&self, job: &Job<T>) -> bool {
        match &job.work {
            Work::Keep(rule) => self.options.storage(rule) == Storage::Embedded,
            Work::Sweep => true,
        }
    }

    fn write<T>(&mut self, batch: &[Job<T>]) -> Outcome {
        let jobs = batch.iter().filter(|job| self.is_stored(job));
        let jobs: Vec<(&Work, i64)> = jobs.map(|job| (&job.work, job.now_s)).collect();
        match self.embedded.write(&jobs) {
            Ok(()) => Outcome::Stored,
            Err(error) => {
                tracing::error!(%error, jobs = jobs.len(), "rules could not be stored");
                Outcome::Failed
            }
        }
    }
}
