//! Rules in a file of this server (redb): each transaction is on the disk before it is called
//! stored.
//!
//! The file is made when there is something to write, so that a server without rules leaves none
//! about.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use compact_str::CompactString;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table,
    TableDefinition, TableError, Value,
};

use super::store::{Outcome, StatusLimits, StoreError, Work};
use super::store_own::{Numbered, Told, ToldAll};
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

/// Entries of each table that one sweep looks at: what it takes away is one transaction, and calls
/// wait for it. Few in tests, so that a sweep takes several.
const SWEPT_AT_ONCE: usize = if cfg!(test) { 4 } else { 10_000 };

/// The file.
pub(super) struct Embedded {
    path: PathBuf,
    /// Not there yet, or given up after an error: then the next write opens it anew.
    database: Option<Database>,
    sweep: Sweep,
}

/// How far sweeps have come.
#[derive(Default)]
struct Sweep {
    blocked: Swept,
    revoked: Swept,
    invalidated: Swept,
    statuses: Swept,
}

/// How far the sweep of a table has come.
#[derive(Default)]
enum Swept {
    #[default]
    Nothing,
    UpTo(String),
    All,
}

impl Embedded {
    fn closed(path: PathBuf) -> Self {
        Self { path, database: None, sweep: Sweep::default() }
    }

    /// Opens the file, if there is one.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let mut embedded = Self::closed(path);
        if embedded.path.exists() {
            embedded.database = Some(embedded.open_file()?);
        }
        Ok(embedded)
    }

    /// A file that is none: what is written lives as long as the process.
    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let mut embedded = Self::closed(PathBuf::from("memory"));
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

    /// Carries all of this out, or nothing.
    pub(super) fn write(
        &mut self,
        jobs: &[Numbered<'_>],
        limits: StatusLimits,
    ) -> Result<ToldAll, StoreError> {
        let is_new = self.database.is_none() && !self.path.exists();
        if jobs.is_empty() || is_new && jobs.iter().all(|job| takes_away(job.work)) {
            return Ok(jobs.iter().map(|job| (job.at, nothing_known(job.work))).collect());
        }
        let database = match self.database.take() {
            Some(database) => database,
            None => self.open_file()?,
        };
        let told = commit(&database, jobs, (limits, &mut self.sweep));
        let told = told.map_err(|cause| self.failed(cause))?;
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
        Work::Share { .. } | Work::SweepShared => unreachable!("not for a file"),
    }
}

/// What is told of users when nothing is stored.
fn nothing_known(work: &Work) -> Told {
    let users = if let Work::Status(StatusOrder::Get { users }) = work { users.len() } else { 0 };
    Told { statuses: vec![UserStatus::default(); users], ..Told::default() }
}

fn commit(
    database: &Database,
    jobs: &[Numbered<'_>],
    (limits, sweep): (StatusLimits, &mut Sweep),
) -> Result<ToldAll, redb::Error> {
    let transaction = database.begin_write()?;
    let mut told = ToldAll::new();
    {
        let mut rules = RuleTables {
            blocked: transaction.open_table(BLOCKED)?,
            revoked: transaction.open_table(REVOKED)?,
            invalidated: transaction.open_table(INVALIDATED)?,
        };
        let mut statuses = StatusTable { table: transaction.open_table(STATUSES)?, limits };
        for Numbered { at, work, now_s } in jobs {
            let mut known = Vec::new();
            let outcome = match work {
                Work::Keep(rule) => rules.keep(rule, *now_s)?,
                Work::Sweep => rules.sweep(sweep, *now_s)?,
                Work::Status(StatusOrder::Get { users }) => {
                    let all = users.iter().map(|user| statuses.of(user, *now_s));
                    known = all.collect::<Result<_, _>>()?;
                    Outcome::Stored
                }
                Work::Status(StatusOrder::Update { users, state }) => {
                    statuses.update(users, state.as_ref(), *now_s)?
                }
                Work::Status(StatusOrder::Delete { users }) => statuses.delete(users)?,
                Work::Left(left) => statuses.leave(left, *now_s)?,
                Work::SweepStatuses => statuses.sweep(sweep, *now_s)?,
                Work::Share { .. } | Work::SweepShared => unreachable!("not for a file"),
            };
            told.insert(*at, Told { outcome, statuses: known });
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

/// Forgets what is over among the next entries of a table.
fn sweep_some<V: Value + 'static>(
    table: &mut Table<'_, &'static str, V>,
    swept: &mut Swept,
    is_over: impl Fn(V::SelfType<'_>) -> bool,
) -> Result<(), redb::Error> {
    let after = match &*swept {
        Swept::Nothing => Bound::Unbounded,
        Swept::UpTo(id) => Bound::Excluded(id.as_str()),
        Swept::All => return Ok(()),
    };
    let mut last = String::new();
    let mut over = Vec::new();
    let mut looked_at = 0;
    for entry in table.range::<&str>((after, Bound::Unbounded))?.take(SWEPT_AT_ONCE) {
        let (id, value) = entry?;
        looked_at += 1;
        id.value().clone_into(&mut last);
        if is_over(value.value()) {
            over.push(last.clone());
        }
    }
    for id in &over {
        table.remove(id.as_str())?;
    }
    *swept = if looked_at == SWEPT_AT_ONCE { Swept::UpTo(last) } else { Swept::All };
    Ok(())
}

/// Whether these tables have been swept to their ends: then the next sweep begins anew.
fn finish_sweep<const N: usize>(tables: [&mut Swept; N]) -> Outcome {
    if tables.iter().any(|swept| !matches!(swept, Swept::All)) {
        return Outcome::Unfinished;
    }
    for swept in tables {
        *swept = Swept::Nothing;
    }
    Outcome::Stored
}

struct RuleTables<'t> {
    blocked: Table<'t, &'static str, i64>,
    revoked: Table<'t, &'static str, i64>,
    invalidated: Table<'t, &'static str, (i64, i64)>,
}

impl RuleTables<'_> {
    fn keep(&mut self, rule: &Rule, now_s: i64) -> Result<Outcome, redb::Error> {
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
        Ok(Outcome::Stored)
    }

    fn sweep(&mut self, sweep: &mut Sweep, now_s: i64) -> Result<Outcome, redb::Error> {
        let is_over = |until: i64| Until::at(until).is_over(now_s);
        let Sweep { blocked, revoked, invalidated, .. } = sweep;
        sweep_some(&mut self.blocked, blocked, is_over)?;
        sweep_some(&mut self.revoked, revoked, is_over)?;
        sweep_some(&mut self.invalidated, invalidated, |(_, until)| is_over(until))?;
        Ok(finish_sweep([blocked, revoked, invalidated]))
    }
}

struct StatusTable<'t> {
    table: Table<'t, &'static str, (i64, i64, &'static str)>,
    limits: StatusLimits,
}

impl StatusTable<'_> {
    /// What is known of a user; what has not changed for long is not known.
    fn of(&self, user: &str, now_s: i64) -> Result<UserStatus, redb::Error> {
        let status = self.table.get(user)?.map(|value| {
            let (active, online, state) = value.value();
            UserStatus { active, online, state: state.into() }
        });
        let since_s = self.kept_since(now_s);
        let holds = |status: &UserStatus| status.touched() >= since_s;
        Ok(status.filter(holds).unwrap_or_default())
    }

    fn update(
        &mut self,
        users: &[CompactString],
        state: Option<&CompactString>,
        now_s: i64,
    ) -> Result<Outcome, redb::Error> {
        if self.room()? < users.len() as u64 && self.room()? < self.unknown(users)? {
            return Ok(Outcome::Full);
        }
        for user in users {
            self.change(user, now_s, |status| {
                status.active = now_s;
                if let Some(state) = state {
                    status.state.clone_from(state);
                }
            })?;
        }
        Ok(Outcome::Stored)
    }

    /// Notes when users left; of those that nothing is known of only while there is room.
    fn leave(&mut self, left: &[(CompactString, i64)], now_s: i64) -> Result<Outcome, redb::Error> {
        let mut not_noted = 0;
        for (user, at_s) in left {
            if self.room()? == 0 && self.table.get(user.as_str())?.is_none() {
                not_noted += 1;
                continue;
            }
            self.change(user, now_s, |status| status.online = status.online.max(*at_s))?;
        }
        if not_noted > 0 {
            let limit = self.limits.users_max;
            tracing::warn!(
                limit,
                not_noted,
                "user_status.limit is reached: it is not known when they left"
            );
        }
        Ok(Outcome::Stored)
    }

    fn delete(&mut self, users: &[CompactString]) -> Result<Outcome, redb::Error> {
        for user in users {
            self.table.remove(user.as_str())?;
        }
        Ok(Outcome::Stored)
    }

    /// How many users more may be known.
    fn room(&self) -> Result<u64, redb::Error> {
        Ok(self.limits.users_max.saturating_sub(self.table.len()?))
    }

    /// How many of these nothing is known of.
    fn unknown(&self, users: &[CompactString]) -> Result<u64, redb::Error> {
        let users: HashSet<&str> = users.iter().map(CompactString::as_str).collect();
        let mut unknown = 0;
        for user in users {
            unknown += u64::from(self.table.get(user)?.is_none());
        }
        Ok(unknown)
    }

    /// What changed before has not changed for long.
    fn kept_since(&self, now_s: i64) -> i64 {
        let kept_s = i64::try_from(self.limits.kept_s).unwrap_or(i64::MAX);
        now_s.saturating_sub(kept_s)
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

    fn sweep(&mut self, sweep: &mut Sweep, now_s: i64) -> Result<Outcome, redb::Error> {
        let since_s = self.kept_since(now_s);
        let is_over = |(active, online, _): (i64, i64, &str)| active.max(online) < since_s;
        sweep_some(&mut self.table, &mut sweep.statuses, is_over)?;
        Ok(finish_sweep([&mut sweep.statuses]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    const LIMITS: StatusLimits = StatusLimits { kept_s: 100, users_max: 12 };

    fn do_all(embedded: &mut Embedded, work: &[Work], now_s: i64) -> Vec<Told> {
        let numbered = |(at, work)| Numbered { at, work, now_s };
        let jobs: Vec<_> = work.iter().enumerate().map(numbered).collect();
        let mut told = embedded.write(&jobs, LIMITS).unwrap();
        (0..work.len()).map(|at| told.remove(&at).unwrap()).collect()
    }

    fn outcome(embedded: &mut Embedded, work: Work, now_s: i64) -> Outcome {
        do_all(embedded, &[work], now_s).remove(0).outcome
    }

    fn known(embedded: &mut Embedded) -> Vec<Rule> {
        let mut rules = Vec::new();
        embedded.load(|rule| rules.push(rule.clone())).unwrap();
        rules
    }

    fn update(users: &[&str]) -> Work {
        let users = users.iter().map(|user| (*user).into()).collect();
        Work::Status(StatusOrder::Update { users, state: None })
    }

    fn get(embedded: &mut Embedded, user: &str) -> UserStatus {
        let work = Work::Status(StatusOrder::Get { users: vec![user.into()] });
        do_all(embedded, &[work], NOW_S)[0].statuses[0].clone()
    }

    #[test]
    fn a_sweep_is_done_in_pieces_and_takes_away_what_has_ended_and_nothing_else() {
        let mut embedded = Embedded::in_memory().unwrap();
        let rules = (0..10).map(|n: i64| Rule::Block {
            user: format!("{n}").into(),
            until: if n % 3 == 0 { Until::FOREVER } else { Until::at(NOW_S + 1) },
        });
        let rules: Vec<_> = rules.map(Work::Keep).collect();
        do_all(&mut embedded, &rules, NOW_S);
        let pieces = [Outcome::Unfinished, Outcome::Unfinished, Outcome::Stored];
        for (piece, left) in pieces.into_iter().zip([8, 5, 4]) {
            assert_eq!(outcome(&mut embedded, Work::Sweep, NOW_S + 1), piece);
            assert_eq!(known(&mut embedded).len(), left);
        }
        let forever = |rule: &Rule| matches!(rule, Rule::Block { until: Until::FOREVER, .. });
        assert!(known(&mut embedded).iter().all(forever));
    }

    #[test]
    fn statuses_are_swept_in_pieces_too() {
        let mut embedded = Embedded::in_memory().unwrap();
        do_all(&mut embedded, &[update(&["a", "b", "c", "d", "e"])], NOW_S);
        do_all(&mut embedded, &[update(&["e"])], NOW_S + 1);
        let after_s = NOW_S + 101;
        for piece in [Outcome::Unfinished, Outcome::Stored] {
            assert_eq!(outcome(&mut embedded, Work::SweepStatuses, after_s), piece);
        }
        // There is room for all but one.
        let many: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(outcome(&mut embedded, update(&many), after_s), Outcome::Stored);
        assert_eq!(outcome(&mut embedded, update(&["x"]), after_s), Outcome::Full);
    }

    #[test]
    fn no_more_statuses_are_kept_than_there_may_be_and_those_there_are_go_on() {
        let mut embedded = Embedded::in_memory().unwrap();
        let many: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(outcome(&mut embedded, update(&many), NOW_S), Outcome::Stored);
        assert_eq!(outcome(&mut embedded, update(&["x", "y", "0"]), NOW_S), Outcome::Full);
        assert_eq!(get(&mut embedded, "x"), UserStatus::default(), "nothing has changed");
        assert_eq!(outcome(&mut embedded, update(&["x", "x", "0"]), NOW_S), Outcome::Stored);
        let left = vec![("y".into(), NOW_S), ("x".into(), NOW_S)];
        do_all(&mut embedded, &[Work::Left(left)], NOW_S);
        assert_eq!(get(&mut embedded, "y"), UserStatus::default());
        assert_eq!(get(&mut embedded, "x").online, NOW_S);
    }

    #[test]
    fn who_left_later_is_not_forgotten_because_of_what_was_written_late() {
        let mut embedded = Embedded::in_memory().unwrap();
        for at_s in [NOW_S, NOW_S - 10] {
            do_all(&mut embedded, &[Work::Left(vec![("a".into(), at_s)])], NOW_S);
        }
        assert_eq!(get(&mut embedded, "a").online, NOW_S);
    }
}
