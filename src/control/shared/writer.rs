//! The thread that writes what is shared.
//!
//! One job after the other, so that each knows what became of it. A connection that breaks at the
//! first words of a job, because Redis was restarted since the last one, is replaced once: every job
//! may be done twice. One that said no is left: behind the same address there may be another Redis by
//! now, which would not. While the follower cannot reach Redis, nothing is tried.

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

/// What Redis says before it has done anything, by the first word.
const REFUSALS: [&str; 7] =
    ["READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "OOM", "MISCONF", "NOREPLICAS"];

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
        // It may have been done before anybody heard of it.
        let mut was_sent = false;
        loop {
            let mut connection =
                match self.connection.take().map_or_else(|| self.options.connect(), Ok) {
                    Ok(connection) => connection,
                    Err(error) => {
                        self.warn(&error);
                        let outcome = if was_sent { Outcome::Unknown } else { Outcome::Away };
                        return (outcome, Vec::new());
                    }
                };
            match self.put(&mut connection, &job.work, job.now_s) {
                Ok(Told { change, statuses }) => {
                    self.connection = Some(connection);
                    let outcome = change.map_or(Outcome::Stored, Outcome::Shared);
                    return (outcome, statuses);
                }
                Err(error) if was_open && error.is_connection_dropped() => {
                    (was_open, was_sent) = (false, true);
                }
                Err(error) => {
                    self.warn(&error);
                    let is_undone =
                        !was_sent && error.code().is_some_and(|it| REFUSALS.contains(&it));
                    let outcome = if is_undone { Outcome::Failed } else { Outcome::Unknown };
                    return (outcome, Vec::new());
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::auth::{Rule, Until};
    use crate::control::shared::SharedAddress;

    const DONE: &str = "*2\r\n$1\r\ne\r\n:1\r\n";
    const READ_ONLY: &str = "-READONLY You can't write against a read only replica.\r\n";
    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key of another kind\r\n";

    /// Answers like this, connection by connection, and hangs up at the next question, unless the
    /// other side did. Nobody listens any more once the last one is there.
    fn answer(listener: TcpListener, connections: &[&[&str]]) {
        let mut listener = Some(listener);
        for (at, answers) in connections.iter().enumerate() {
            let (mut stream, _) = listener.as_ref().expect("it listens").accept().unwrap();
            if at + 1 == connections.len() {
                drop(listener.take());
            }
            let mut asked = [0; 4_096];
            for answer in *answers {
                if stream.read(&mut asked).unwrap() == 0 {
                    break;
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
            let _asked = stream.read(&mut asked);
        }
    }

    /// What becomes of one job after the other.
    #[track_caller]
    fn check(connections: &[&[&str]], outcomes: &[Outcome]) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let said = SharedAddress { address: &address, user: "", password: "", db: 0 };
        let time = Duration::from_secs(10);
        let options = SharedOptions::new(said, "rollcall", (time, time)).unwrap();
        let mut writer = SharedWriter::new(options, Arc::default(), "node".to_owned(), 1);
        std::thread::scope(|scope| {
            scope.spawn(|| answer(listener, connections));
            for outcome in outcomes {
                let rule = Rule::Block { user: "42".into(), until: Until::FOREVER };
                let work = Work::Share { rule, number: 1 };
                let (came, _) = writer.write(&Job { work, now_s: 100, name: () });
                assert_eq!(came, *outcome, "{connections:?}");
            }
            drop(writer);
        });
    }

    #[test]
    fn a_caller_hears_that_nothing_has_changed_only_when_that_is_certain() {
        let done = || Outcome::Shared(Position { epoch: "e".to_owned(), number: 1 });
        check(&[&[DONE, DONE]], &[done(), done()]);
        check(&[&[READ_ONLY]], &[Outcome::Failed, Outcome::Away]);
        check(&[&[WRONG_TYPE]], &[Outcome::Unknown, Outcome::Away]);
        check(&[&[]], &[Outcome::Unknown, Outcome::Away]);
        // Sent, and nobody knows what became of it; so it is sent again.
        check(&[&[DONE], &[DONE]], &[done(), done()]);
        check(&[&[DONE], &[READ_ONLY]], &[done(), Outcome::Unknown]);
        check(&[&[DONE], &[]], &[done(), Outcome::Unknown]);
        check(&[&[DONE]], &[done(), Outcome::Unknown, Outcome::Away]);
    }

    #[test]
    fn a_redis_that_may_not_write_any_more_is_left() {
        let done = Outcome::Shared(Position { epoch: "e".to_owned(), number: 1 });
        check(&[&[READ_ONLY, READ_ONLY], &[DONE]], &[Outcome::Failed, done]);
    }
}
