//! The thread that writes what is shared.
//!
//! One job after the other, so that each knows what became of it. A connection that breaks at the
//! first words of a job, because Redis was restarted since the last one, is replaced once: every job
//! may be done twice. While the follower cannot reach Redis, nothing is tried.

use std::sync::Arc;
use std::sync::mpsc;

use redis::{Connection, RedisError, RedisResult};
use tokio::sync::mpsc as reports;

use super::link::SharedOptions;
use super::rules::{Position, RuleKeys};
use super::statuses::Statuses;
use crate::api::UserStatus;
use crate::auth::{RuleKind, Rules};
use crate::control::store::{Done, Job, Outcome, Report, Work};

/// What it works with.
pub(in crate::control) struct SharedWriter {
    options: SharedOptions,
    keys: RuleKeys,
    statuses: Statuses,
    rules: Arc<Rules>,
    /// What this run of this node is called in changes.
    node: String,
    connection: Option<Connection>,
}

/// What came of a job that Redis has done.
#[derive(Default)]
struct Told {
    change: Option<Position>,
    statuses: Vec<UserStatus>,
}

impl SharedWriter {
    pub(in crate::control) fn new(
        options: SharedOptions,
        rules: Arc<Rules>,
        node: String,
        statuses_kept_s: u64,
    ) -> Self {
        let keys = RuleKeys::new(&options);
        let statuses = Statuses::new(&options, statuses_kept_s);
        Self { options, keys, statuses, rules, node, connection: None }
    }

    /// Does jobs until nobody has any more.
    pub(in crate::control) fn run<T>(
        mut self,
        queue: &mpsc::Receiver<Job<T>>,
        reports: &reports::Sender<Report<T>>,
    ) {
        while let Ok(job) = queue.recv() {
            let (outcome, statuses) = self.write(&job);
            // The control thread may be ending; what was asked is done all the same.
            let _unheard = reports.blocking_send(Report::Done(Done { job, outcome, statuses }));
        }
    }

    fn write<T>(&mut self, job: &Job<T>) -> (Outcome, Vec<UserStatus>) {
        if self.rules.are_stale() {
            self.connection = None;
            return (Outcome::Away, Vec::new());
        }
        let mut was_open = self.connection.is_some();
        loop {
            let mut connection =
                match self.connection.take().map_or_else(|| self.options.connect(), Ok) {
                    Ok(connection) => connection,
                    Err(error) => {
                        self.warn(&error);
                        return (Outcome::Away, Vec::new());
                    }
                };
            match self.put(&mut connection, &job.work, job.now_s) {
                Ok(Told { change, statuses }) => {
                    self.connection = Some(connection);
                    let outcome = change.map_or(Outcome::Stored, Outcome::Shared);
                    return (outcome, statuses);
                }
                Err(error) if error.code().is_some() => {
                    // Redis has said no.
                    self.connection = Some(connection);
                    self.warn(&error);
                    return (Outcome::Failed, Vec::new());
                }
                Err(error) if was_open && error.is_connection_dropped() => was_open = false,
                Err(error) => {
                    self.warn(&error);
                    return (Outcome::Unknown, Vec::new());
                }
            }
        }
    }

    fn warn(&self, error: &RedisError) {
        let at = self.options.place();
        tracing::warn!(at, %error, "the shared store did not do what it was asked for");
    }

    fn put(&self, connection: &mut Connection, work: &Work, now_s: i64) -> RedisResult<Told> {
        let told = Told::default();
        match work {
            Work::Share { rule, number } => {
                let by = format!("{} {number}", self.node);
                let change = self.keys.keep(connection, rule, &by, now_s)?;
                return Ok(Told { change: Some(change), ..told });
            }
            Work::Status(order) => {
                let statuses = self.statuses.order(connection, order, now_s)?;
                return Ok(Told { statuses, ..told });
            }
            Work::Left(left) => self.statuses.leave(connection, left)?,
            Work::SweepShared => {
                for kind in RuleKind::ALL {
                    while self.keys.sweep(connection, kind, now_s)? {}
                }
            }
            Work::Keep(_) | Work::Sweep | Work::SweepStatuses => {
                debug_assert!(false, "not for the shared store: {work:?}");
            }
        }
        Ok(told)
    }
}
