//! The thread that follows the changes, this node's own included, and puts rules into memory.
//!
//! It alone writes rules of the kinds that are shared. What it has put there it tells the control
//! thread, which has shards carry it out.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use compact_str::CompactString;
use redis::{Connection, RedisError};
use tokio::sync::mpsc as reports;

use super::link::SharedOptions;
use super::rules::{Change, Position, RuleKeys};
use crate::auth::{Rule, RuleKind, Rules};
use crate::control::endpoint::unix_s;
use crate::control::store::Report;

/// Before the first try to reach Redis again; each one waits twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// Before each try when Redis has been away for long.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// To look for changes without waiting for any: 0 would be for ever.
const BLOCK_MS_MIN: u64 = 1;

/// What the follower has put into memory.
#[derive(Debug)]
pub(in crate::control) enum News {
    /// A rule.
    Rule {
        rule: Box<Rule>,
        /// Its number among this node's own, when this node was asked for it.
        own: Option<u64>,
    },
    /// All there is, up to this change.
    CaughtUp(Position),
}

/// What it works with.
pub(in crate::control) struct Follower {
    options: SharedOptions,
    keys: RuleKeys,
    /// Kinds of rules that are shared.
    kinds: Vec<RuleKind>,
    rules: Arc<Rules>,
    /// What this run of this node is called in changes.
    node: String,
    position: Position,
    /// It read nothing although there was a change: the stream is not what it was.
    lags: bool,
    /// Before the next try.
    backoff: Duration,
}

/// Nobody listens any more.
struct Over;

/// Why following stops for now.
enum Stop {
    Over,
    Away(RedisError),
}

impl From<RedisError> for Stop {
    fn from(error: RedisError) -> Self {
        Self::Away(error)
    }
}

impl Follower {
    pub(in crate::control) fn new(
        options: SharedOptions,
        kinds: Vec<RuleKind>,
        rules: Arc<Rules>,
        node: String,
    ) -> Self {
        let keys = RuleKeys::new(&options);
        let position = Position::default();
        Self { options, keys, kinds, rules, node, position, lags: false, backoff: BACKOFF_MIN }
    }

    /// Connects and reads all rules into memory.
    pub(in crate::control) fn begin(&mut self) -> Result<Connection, RedisError> {
        self.come_back(&mut |_| Ok(())).map_err(|stopped| match stopped {
            Stop::Away(error) => error,
            Stop::Over => unreachable!("it hears everything"),
        })
    }

    /// Follows changes until nobody listens, or the other end of `stop` is dropped.
    pub(in crate::control) fn run<T>(
        mut self,
        connection: Connection,
        stop: &mpsc::Receiver<()>,
        reports: &reports::Sender<Report<T>>,
    ) {
        let mut tell =
            |news: News| reports.blocking_send(Report::News(news)).map_err(|_unheard| Over);
        let mut connected = Some(connection);
        loop {
            let stopped = match connected.take() {
                Some(connection) => self.follow(connection, stop, &mut tell),
                None => match self.come_back(&mut tell) {
                    Ok(connection) => {
                        let at = self.options.place();
                        tracing::info!(at, "the shared store is back");
                        self.rules.become_fresh();
                        connected = Some(connection);
                        continue;
                    }
                    Err(stopped) => stopped,
                },
            };
            let Stop::Away(error) = stopped else { return };
            if !self.rules.are_stale() {
                let at = self.options.place();
                tracing::warn!(
                    at, %error,
                    "the shared store is away: connects go on by the rules that are known, calls \
                     that change them are refused until it is back"
                );
                self.rules.become_stale();
            }
            if stop.recv_timeout(self.backoff) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Connects, reads all rules, and looks whether changes may be read too.
    fn come_back(
        &mut self,
        tell: &mut impl FnMut(News) -> Result<(), Over>,
    ) -> Result<Connection, Stop> {
        let mut connection = self.options.connect()?;
        self.read_all(&mut connection, tell)?;
        self.read_some(&mut connection, BLOCK_MS_MIN, tell)?;
        Ok(connection)
    }

    /// Reads changes one after the other. Returns why that does not go on.
    fn follow(
        &mut self,
        mut connection: Connection,
        stop: &mpsc::Receiver<()>,
        tell: &mut impl FnMut(News) -> Result<(), Over>,
    ) -> Stop {
        let block_ms = self.options.block_ms();
        while stop.try_recv() == Err(mpsc::TryRecvError::Empty) {
            if let Err(stopped) = self.read_some(&mut connection, block_ms, tell) {
                return stopped;
            }
            self.backoff = BACKOFF_MIN;
        }
        Stop::Over
    }

    fn read_some(
        &mut self,
        connection: &mut Connection,
        block_ms: u64,
        tell: &mut impl FnMut(News) -> Result<(), Over>,
    ) -> Result<(), Stop> {
        let after = self.position.number;
        let changes = self.keys.changes(connection, after, block_ms)?;
        let mut is_whole = true;
        if changes.is_empty() {
            let now = self.keys.position(connection)?;
            let lagged = std::mem::replace(&mut self.lags, now.number > after);
            is_whole = now.epoch == self.position.epoch && now.number >= after;
            is_whole &= !(lagged && self.lags);
        }
        for change in changes {
            self.lags = false;
            if !self.is_next(&change.at) {
                is_whole = false;
                break;
            }
            self.take(change, tell)?;
        }
        if is_whole { Ok(()) } else { self.read_all(connection, tell) }
    }

    /// Whether nothing is missing between what has been read and this. The first change of all
    /// begins an epoch.
    fn is_next(&self, at: &Position) -> bool {
        let is_same = at.epoch == self.position.epoch || self.position.number == 0;
        is_same && at.number == self.position.number + 1
    }

    fn take(
        &mut self,
        change: Change,
        tell: &mut impl FnMut(News) -> Result<(), Over>,
    ) -> Result<(), Stop> {
        let Change { at, by, rule } = change;
        self.position = at;
        if !self.kinds.contains(&rule.kind()) {
            return Ok(());
        }
        self.rules.apply(&rule, unix_s());
        let own = by.strip_prefix(&self.node).and_then(|number| number.trim().parse().ok());
        tell(News::Rule { rule: Box::new(rule), own }).map_err(|Over| Stop::Over)
    }

    /// Reads all rules there are and tells those that were not known. What is not there any more is
    /// forgotten.
    fn read_all(
        &mut self,
        connection: &mut Connection,
        tell: &mut impl FnMut(News) -> Result<(), Over>,
    ) -> Result<(), Stop> {
        // Changes from here on are read afterwards, also those that are in what is read now.
        let position = self.keys.position(connection)?;
        for kind in self.kinds.clone() {
            let mut named: HashSet<CompactString> = HashSet::new();
            let mut told = Ok(());
            let rules = &self.rules;
            self.keys.tell_all(connection, kind, |rule| {
                named.insert(rule.id().clone());
                if !rules.know(&rule) && told.is_ok() {
                    rules.apply(&rule, unix_s());
                    told = tell(News::Rule { rule: Box::new(rule), own: None });
                }
            })?;
            told.map_err(|Over| Stop::Over)?;
            rules.keep_only(kind, &named);
        }
        self.lags = false;
        self.position = position;
        tell(News::CaughtUp(self.position.clone())).map_err(|Over| Stop::Over)
    }
}
