//! Rules in a file of this server (redb): each transaction is on the disk before it is called
//! stored.
//!
//! The file is made when there is something to write, so that a server without rules leaves none
//! about.

use std::fs::File;
use std::path::{Path, PathBuf};

use compact_str::CompactString;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
};

use super::store::{Numbered, StoreError, Told, Work};
use crate::api::{StatusOrder, UserStatus};
use crate::auth::{Rule, Until};

/// User to the end of the block, Unix seconds.
const BLOCKED: TableDefinition<'_, &str, i64> = TableDefinition::new("blocked");

/// Token id to the end of the revocation, Unix seconds.
const REVOKED: TableDefinition<'_, &str, i64> = TableDefinition::new("revoked");

/// User to the time before which tokens are old, and the end of the rule, Unix seconds.
const INVALIDATED: TableDefinition<'_, &str, (i64, i64)> = TableDefinition::new("invalidated");

/// User to when they were last active and last here, Unix seconds, and their state.
const STATUSES: TableDefinition<'_, &str, (i64, i64, &str)> = TableDefinition::new("statuses");

/// Memory for parts of the file: it is read once, and written a little at a time.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// The file.
pub(super) struct Embedded {
    path: PathBuf,
    /// Not there yet, or given up after an error: then the next write opens it anew.
    database: Option<Database>,
}

impl Embedded {
    /// Opens the file, if there is one.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let mut embedded = Self { path, database: None };
        if embedded.path.exists() {
            embedded.database = Some(embedded.open_file()?);
        }
        Ok(embedded)
    }

    /// A file that is none: what is written lives as long as the process.
    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let mut embedded = Self { path: PathBuf::from("memory"), database: None };
        let backend = redb::backends::InMemoryBackend::new();
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create_with_backend(backend);
        embedded.database = Some(database.map_err(|error| embedded.failed(error.into()))?);
        Ok(embedded)
    }

    /// Tells every rule there is.
    pub(super) fn load(&self, mut tell: impl FnMut(&Rule)) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        read(database, &mut tell).map_err(|cause| self.failed(cause))
    }

    /// Carries all of this out, or nothing. Statuses are kept for so many seconds.
    pub(super) fn write(&mut self, jobs: &[Numbered<'_>], kept_s: i64) -> Result<Told, StoreError> {
        let is_new = self.database.is_none() && !self.path.exists();
        if jobs.is_empty() || is_new && jobs.iter().all(|job| takes_away(job.work)) {
            return Ok(jobs.iter().map(|job| (job.at, nothing_known(job.work))).collect());
        }
        let database = match self.database.take() {
            Some(database) => database,
            None => self.open_file()?,
        };
        let told = commit(&database, jobs, kept_s).map_err(|cause| self.failed(cause))?;
        if is_new {
            sync_folder(&self.path).map_err(|cause| self.failed(redb::Error::Io(cause)))?;
        }
        self.database = Some(database);
        Ok(told)
    }

    fn open_file(&self) -> Result<Database, StoreError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        builder.create(&self.path).map_err(|error| {
            if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
                StoreError::InUse(self.path.clone())
            } else {
                self.failed(error.into())
            }
        })
    }

    fn failed(&self, cause: redb::Error) -> StoreError {
        StoreError::File { path: self.path.clone(), cause }
    }
}

/// A file is there after a power cut only when its folder has been written too.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn read(database: &Database, tell: &mut impl FnMut(&Rule)) -> Result<(), redb::Error> {
    let transaction = database.begin_read()?;
    if let Some(table) = present(transaction.open_table(BLOCKED))? {
        for entry in table.iter()? {
            let (user, until) = entry?;
            tell(&Rule::Block { user: user.value().into(), until: Until::at(until.value()) });
        }
    }
    if let Some(table) = present(transaction.open_table(REVOKED))? {
        for entry in table.iter()? {
            let (uid, until) = entry?;
            tell(&Rule::Revoke { uid: uid.value().into(), until: Until::at(until.value()) });
        }
    }
    if let Some(table) = present(transaction.open_table(INVALIDATED))? {
        for entry in table.iter()? {
            let (user, value) = entry?;
            let (issued_before, until) = value.value();
            let (issued_before, until) = (Some(issued_before), Until::at(until));
            tell(&Rule::Invalidate { user: user.value().into(), issued_before, until });
        }
    }
    Ok(())
}

/// A table that was never written to is not there.
fn present<T>(opened: Result<T, TableError>) -> Result<Option<T>, redb::Error> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file with nothing in it is left as it is.
fn takes_away(work: &Work) -> bool {
    match work {
        Work::Sweep | Work::SweepStatuses => true,
        Work::Status(StatusOrder::Get { .. } | StatusOrder::Delete { .. }) => true,
        Work::Keep(rule) => matches!(rule, Rule::Unblock { .. }),
        Work::Status(StatusOrder::Update { .. }) | Work::Left(_) => false,
    }
}

/// What is told of users when nothing is stored.
fn nothing_known(work: &Work) -> Vec<UserStatus> {
    match work {
        Work::Status(StatusOrder::Get { users }) => vec![UserStatus::default(); users.len()],
        Work::Status(_) | Work::Keep(_) | Work::Sweep | Work::Left(_) | Work::SweepStatuses => {
            Vec::new()
        }
    }
}

fn commit(database: &Database, jobs: &[Numbered<'_>], kept_s: i64) -> Result<Told, redb::Error> {
    let transaction = database.begin_write()?;
    let mut told = Told::new();
    {
        let mut rules = RuleTables {
            blocked: transaction.open_table(BLOCKED)?,
            revoked: transaction.open_table(REVOKED)?,
            invalidated: transaction.open_table(INVALIDATED)?,
        };
        let mut statuses = StatusTable { table: transaction.open_table(STATUSES)?, kept_s };
        for Numbered { at, work, now_s } in jobs {
            match work {
                Work::Keep(rule) => rules.keep(rule, *now_s)?,
                Work::Sweep => rules.sweep(*now_s)?,
                Work::Status(StatusOrder::Get { users }) => {
                    let all = users.iter().map(|user| statuses.of(user, *now_s));
                    told.insert(*at, all.collect::<Result<_, _>>()?);
                }
                Work::Status(StatusOrder::Update { users, state }) => {
                    statuses.update(users, state.as_ref(), *now_s)?;
                }
                Work::Status(StatusOrder::Delete { users }) => {
                    for user in users {
                        statuses.table.remove(user.as_str())?;
                    }
                }
                Work::Left(left) => {
                    for (user, at_s) in left {
                        statuses.change(user, *now_s, |status| status.online = *at_s)?;
                    }
                }
                Work::SweepStatuses => statuses.sweep(*now_s)?,
            }
        }
    }
    let reads = |job: &Numbered<'_>| matches!(job.work, Work::Status(StatusOrder::Get { .. }));
    if jobs.iter().all(reads) {
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok(told)
}

struct RuleTables<'t> {
    blocked: Table<'t, &'static str, i64>,
    revoked: Table<'t, &'static str, i64>,
    invalidated: Table<'t, &'static str, (i64, i64)>,
}

impl RuleTables<'_> {
    fn keep(&mut self, rule: &Rule, now_s: i64) -> Result<(), redb::Error> {
        match rule {
            Rule::Block { user, until } => {
                self.blocked.insert(user.as_str(), until.unix_s())?;
            }
            Rule::Unblock { user } => {
                self.blocked.remove(user.as_str())?;
            }
            Rule::Revoke { uid, until } => {
                self.revoked.insert(uid.as_str(), until.unix_s())?;
            }
            Rule::Invalidate { user, issued_before, until } => {
                let value = (issued_before.unwrap_or(now_s), until.unix_s());
                self.invalidated.insert(user.as_str(), value)?;
            }
        }
        Ok(())
    }

    fn sweep(&mut self, now_s: i64) -> Result<(), redb::Error> {
        let holds = |until: i64| !Until::at(until).is_over(now_s);
        self.blocked.retain(|_, until| holds(until))?;
        self.revoked.retain(|_, until| holds(until))?;
        self.invalidated.retain(|_, (_, until)| holds(until))?;
        Ok(())
    }
}

struct StatusTable<'t> {
    table: Table<'t, &'static str, (i64, i64, &'static str)>,
    kept_s: i64,
}

impl StatusTable<'_> {
    /// What is known of a user; what has not changed for long is not known.
    fn of(&self, user: &str, now_s: i64) -> Result<UserStatus, redb::Error> {
        let status = self.table.get(user)?.map(|value| {
            let (active, online, state) = value.value();
            UserStatus { active, online, state: state.into() }
        });
        let holds = |status: &UserStatus| status.touched() >= now_s.saturating_sub(self.kept_s);
        Ok(status.filter(holds).unwrap_or_default())
    }

    fn update(
        &mut self,
        users: &[CompactString],
        state: Option<&CompactString>,
        now_s: i64,
    ) -> Result<(), redb::Error> {
        for user in users {
            self.change(user, now_s, |status| {
                status.active = now_s;
                if let Some(state) = state {
                    status.state.clone_from(state);
                }
            })?;
        }
        Ok(())
    }

    fn change(
        &mut self,
        user: &str,
        now_s: i64,
        change: impl FnOnce(&mut UserStatus),
    ) -> Result<(), redb::Error> {
        let mut status = self.of(user, now_s)?;
        change(&mut status);
        let UserStatus { active, online, state } = status;
        self.table.insert(user, (active, online, state.as_str()))?;
        Ok(())
    }

    fn sweep(&mut self, now_s: i64) -> Result<(), redb::Error> {
        let since_s = now_s.saturating_sub(self.kept_s);
        self.table.retain(|_, (active, online, _)| active.max(online) >= since_s)?;
        Ok(())
    }
}
