//! Rules in a file of this server (redb): each transaction is on the disk before it is called
//! stored.
//!
//! The file is made when there is something to write, so that a server without rules leaves none
//! about.

use std::fs::File;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::store::{StoreError, Work};
use crate::auth::{Rule, Until};

/// User to the end of the block, Unix seconds.
const BLOCKED: TableDefinition<'_, &str, i64> = TableDefinition::new("blocked");

/// Token id to the end of the revocation, Unix seconds.
const REVOKED: TableDefinition<'_, &str, i64> = TableDefinition::new("revoked");

/// User to the time before which tokens are old, and the end of the rule, Unix seconds.
const INVALIDATED: TableDefinition<'_, &str, (i64, i64)> = TableDefinition::new("invalidated");

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

    /// Tells every rule there is.
    pub(super) fn load(&self, mut tell: impl FnMut(&Rule)) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        read(database, &mut tell).map_err(|cause| self.failed(cause))
    }

    /// Carries all of this out, or nothing.
    pub(super) fn write(&mut self, jobs: &[(&Work, i64)]) -> Result<(), StoreError> {
        let is_new = self.database.is_none() && !self.path.exists();
        if is_new && jobs.iter().all(|(work, _)| matches!(work, Work::Sweep)) {
            return Ok(());
        }
        let database = match self.database.take() {
            Some(database) => database,
            None => self.open_file()?,
        };
        commit(&database, jobs).map_err(|cause| self.failed(cause))?;
        if is_new {
            sync_folder(&self.path).map_err(|cause| self.failed(redb::Error::Io(cause)))?;
        }
        self.database = Some(database);
        Ok(())
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

fn commit(database: &Database, jobs: &[(&Work, i64)]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut blocked = transaction.open_table(BLOCKED)?;
        let mut revoked = transaction.open_table(REVOKED)?;
        let mut invalidated = transaction.open_table(INVALIDATED)?;
        for (work, now_s) in jobs {
            match work {
                Work::Keep(Rule::Block { user, until }) => {
                    blocked.insert(user.as_str(), until.unix_s())?;
                }
                Work::Keep(Rule::Unblock { user }) => {
                    blocked.remove(user.as_str())?;
                }
                Work::Keep(Rule::Revoke { uid, until }) => {
                    revoked.insert(uid.as_str(), until.unix_s())?;
                }
                Work::Keep(Rule::Invalidate { user, issued_before, until }) => {
                    let value = (issued_before.unwrap_or(*now_s), until.unix_s());
                    invalidated.insert(user.as_str(), value)?;
                }
                Work::Sweep => {
                    let holds = |until: i64| !Until::at(until).is_over(*now_s);
                    blocked.retain(|_, until| holds(until))?;
                    revoked.retain(|_, until| holds(until))?;
                    invalidated.retain(|_, (_, until)| holds(until))?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}
