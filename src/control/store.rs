//! Where rules are kept so that they outlive the process: a thread of its own, because a disk takes
//! its time and gRPC streams on the control thread must not wait for it.
//!
//! Jobs are done in the order in which they come, several in one transaction when several wait. What
//! several nodes share has a thread of its own ([`shared`](super::shared)): a Redis that does not
//! answer makes nothing else wait.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use compact_str::CompactString;
use tokio::sync::mpsc as reports;

use super::shared::{Follower, News, Position, SharedOptions, SharedWriter};
use super::store_own::OwnWriter;
use super::store_redb::Embedded;
use crate::api::{StatusOrder, UserStatus};
use crate::auth::{Rule, RuleKind, Rules};

/// Jobs that may wait for the disk; one more is refused, and its caller told to send it again.
const JOBS_MAX: usize = 4_096;

/// Jobs in one transaction.
pub(super) const BATCH_MAX: usize = 256;

/// Where rules of one kind are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Storage {
    /// In a file of this server.
    Embedded,
    /// In memory alone: until the process ends.
    Memory,
    /// In a Redis that several servers share.
    Redis,
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
    /// How many statuses are kept, and for how long.
    pub statuses_limits: StatusLimits,
    /// The store of [`Storage::Redis`]; none is none of the above.
    pub shared: Option<SharedOptions>,
}

/// How many statuses of users are kept by this server itself, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusLimits {
    /// Seconds after the last change.
    pub kept_s: u64,
    /// Users; where several servers share them, that store's own limits count.
    pub users_max: u64,
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
            statuses_limits: StatusLimits { kept_s: 0, users_max: 0 },
            shared: None,
        }
    }

    pub(super) const fn storage(&self, kind: RuleKind) -> Storage {
        match kind {
            RuleKind::Blocked => self.blocked,
            RuleKind::Revoked => self.revoked,
            RuleKind::Invalidated => self.invalidated,
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
    /// The store that several servers share cannot be read.
    #[error(
        "storage.redis.address: Redis at {at} cannot be used: {cause}; start it first, this server \
         does not start without it"
    )]
    Shared {
        /// Where it should be.
        at: String,
        /// Why.
        #[source]
        cause: redis::RedisError,
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
    /// A rule that all nodes are told of.
    Share {
        /// Which.
        rule: Rule,
        /// Its number among this node's own.
        number: u64,
    },
    /// Some of the rules that have ended are forgotten.
    Sweep,
    /// The same where several nodes share them.
    SweepShared,
    /// Statuses are changed, or told.
    Status(StatusOrder),
    /// Users left, each at this time, Unix seconds.
    Left(Vec<(CompactString, i64)>),
    /// Some of the statuses that have not changed for long are forgotten.
    SweepStatuses,
}

impl Work {
    /// Whether it only forgets what has ended.
    pub(super) const fn is_sweep(&self) -> bool {
        matches!(self, Self::Sweep | Self::SweepShared | Self::SweepStatuses)
    }

    /// What it is about, for people.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Keep(_) | Self::Share { .. } | Self::Sweep | Self::SweepShared => "rules",
            Self::Status(_) | Self::Left(_) | Self::SweepStatuses => "statuses",
        }
    }
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It is stored as safely as it can be.
    Stored,
    /// The same, and there is more of it to do.
    Unfinished,
    /// The same, where several nodes share it: as this change.
    Shared(Position),
    /// There are as many as there may be; nothing has changed.
    Full,
    /// It is not; the log says why.
    Failed,
    /// It is not: the shared store cannot be reached.
    Away,
    /// Nobody knows: the shared store did not answer.
    Unknown,
}

/// What the threads have to say.
#[derive(Debug)]
pub(super) enum Report<T> {
    /// A job is done.
    Done(Done<T>),
    /// Rules have been put into memory.
    News(News),
}

/// The threads' other end.
#[derive(Debug)]
pub(super) struct Store<T> {
    options: StoreOptions,
    own: Worker<T>,
    shared: Option<Shared<T>>,
    reports: reports::Receiver<Report<T>>,
}

/// A thread that does jobs.
#[derive(Debug)]
struct Worker<T> {
    jobs: mpsc::SyncSender<Job<T>>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared<T> {
    writer: Worker<T>,
    /// Ends the follower when it is dropped. Nobody waits for that: it has nothing to finish.
    _follows: mpsc::Sender<()>,
}

impl<T: Send + 'static> Store<T> {
    /// Reads what is stored into `rules` and starts the threads.
    pub(super) fn open(
        options: StoreOptions,
        rules: &Arc<Rules>,
        (node, now_s): (&str, i64),
    ) -> Result<Self, StoreError> {
        let embedded = Embedded::open(options.path.clone())?;
        embedded.load(|rule| {
            if options.storage(rule.kind()) == Storage::Embedded {
                rules.apply(rule, now_s);
            }
        })?;
        rules.sweep(now_s);
        let (sender, reports) = reports::channel(JOBS_MAX);
        let shared = match &options.shared {
            Some(shared) => Some(Shared::begin(&options, shared, (rules, node), &sender)?),
            None => None,
        };
        let memory = Embedded::in_memory()?;
        let rules = Arc::clone(rules);
        let writer = OwnWriter { options: options.clone(), embedded, memory, rules };
        let own = Worker::begin("store", move |queue| writer.run(queue, &sender))?;
        Ok(Self { options, own, shared, reports })
    }

    /// Where rules of this kind are kept.
    pub(super) const fn storage(&self, kind: RuleKind) -> Storage {
        self.options.storage(kind)
    }

    /// Where statuses are kept.
    pub(super) const fn storage_of_statuses(&self) -> Storage {
        self.options.statuses
    }

    /// How many statuses are kept, and for how long.
    pub(super) const fn statuses_limits(&self) -> StatusLimits {
        self.options.statuses_limits
    }

    /// Whether something is kept where several nodes share it.
    pub(super) const fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Hands a job over, or back when too many wait.
    pub(super) fn put(&self, job: Job<T>) -> Result<(), Job<T>> {
        let is_shared = match &job.work {
            Work::Share { .. } | Work::SweepShared => true,
            Work::Status(_) | Work::Left(_) => self.options.statuses == Storage::Redis,
            Work::Keep(_) | Work::Sweep | Work::SweepStatuses => false,
        };
        let shared = self.shared.as_ref().filter(|_| is_shared);
        let worker = shared.map_or(&self.own, |shared| &shared.writer);
        worker.jobs.try_send(job).map_err(|refused| match refused {
            mpsc::TrySendError::Full(job) | mpsc::TrySendError::Disconnected(job) => job,
        })
    }

    /// The next thing that there is to say. Nothing is lost when this is dropped.
    pub(super) async fn report(&mut self) -> Option<Report<T>> {
        self.reports.recv().await
    }

    /// Waits until every job is done.
    pub(super) fn close(self) {
        let Self { own, shared, reports, .. } = self;
        drop(reports);
        own.close();
        if let Some(Shared { writer, .. }) = shared {
            writer.close();
        }
    }
}

impl<T: Send + 'static> Worker<T> {
    fn begin(
        name: &str,
        run: impl FnOnce(&mpsc::Receiver<Job<T>>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::sync_channel(JOBS_MAX);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&queue));
        Ok(Self { jobs, thread: thread.map_err(StoreError::Thread)? })
    }

    fn close(self) {
        let Self { jobs, thread } = self;
        drop(jobs);
        // A thread that panicked has said so itself.
        let _panicked = thread.join();
    }
}

impl<T: Send + 'static> Shared<T> {
    fn begin(
        options: &StoreOptions,
        shared: &SharedOptions,
        (rules, node): (&Arc<Rules>, &str),
        reports: &reports::Sender<Report<T>>,
    ) -> Result<Self, StoreError> {
        let is_here = |kind: &RuleKind| options.storage(*kind) == Storage::Redis;
        let kinds = RuleKind::ALL.into_iter().filter(is_here).collect();
        let mut follower = Follower::new(shared.clone(), kinds, Arc::clone(rules), node.to_owned());
        let connection =
            follower.begin().map_err(|cause| StoreError::Shared { at: shared.place(), cause })?;
        let kept_s = options.statuses_limits.kept_s;
        let writer = SharedWriter::new(shared.clone(), Arc::clone(rules), node.to_owned(), kept_s);
        let (follows, stop) = mpsc::channel();
        let told = reports.clone();
        std::thread::Builder::new()
            .name("store-follow".to_owned())
            .spawn(move || follower.run(connection, &stop, &told))
            .map_err(StoreError::Thread)?;
        let told = reports.clone();
        let writer = Worker::begin("store-shared", move |queue| writer.run(queue, &told))?;
        Ok(Self { writer, _follows: follows })
    }
}
