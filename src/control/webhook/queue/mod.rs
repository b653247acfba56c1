//! Events that have not been delivered, in a file of this server (redb): each transaction is on the
//! disk before its events count as stored.
//!
//! Events have numbers, from one on, that are never used again: also not by the next run of the
//! server, which finds the next number in the file.

use std::path::PathBuf;

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, TableError,
};

use crate::api::webhook::{EventBatch, gap, node_started};

/// Number of an event to when it was stored, Unix milliseconds, and its JSON.
const EVENTS: TableDefinition<'_, u64, (u64, &[u8])> = TableDefinition::new("events");

/// Numbers: the next event's, and the bytes of all that wait.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const NEXT: &str = "next";
const BYTES: &str = "bytes";

/// Names: of the queue, which is the uid of the node's run that began it, and of the last run.
const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
const QUEUE: &str = "queue";
const NODE: &str = "node";

/// Memory for parts of the file.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// What an event takes beside its JSON: its number, its time, its place in the file.
const EVENT_BYTES: u64 = 64;

/// Where events wait, and how many may.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// The file; made when there is none.
    pub path: PathBuf,
    /// Bytes of events. Beyond it the next are lost, until a quarter of it is free again.
    pub bytes_max: u64,
}

/// Why events cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Another process has the file.
    #[error(
        "session_webhook.queue_path `{0}` is in use by another process: give each server a file of \
         its own"
    )]
    InUse(PathBuf),
    /// The file is not what it should be, or the system would not let us.
    #[error("session_webhook.queue_path `{path}` cannot be used: {cause}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        cause: redb::Error,
    },
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    options: QueueOptions,
    /// None after an error: then whoever needs the file next opens it anew.
    database: Option<Database>,
    /// Uid of this run of the node.
    node: String,
    state: State,
    /// Events that could not be kept and of which no event tells yet.
    untold: u64,
    /// It has been full, and nothing is kept before there is room again.
    is_shut: bool,
    /// Events that could not be kept, since the start.
    lost: u64,
    /// Events of sessions, and of what else is told, stored since the start.
    stored: u64,
}

/// What is in the file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct State {
    queue: String,
    next: u64,
    bytes: u64,
    events: u64,
    /// When the oldest event was stored.
    oldest_ms: Option<u64>,
    last_node: Option<String>,
}

impl Queue {
    /// Opens the file and stores that a run of the node, of this uid and name, begins.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn open(
        options: &QueueOptions,
        (node, node_name): (&str, &str),
        now_ms: u64,
    ) -> Result<Self, QueueError> {
        let mut queue = Self {
            options: options.clone(),
            database: None,
            node: node.to_owned(),
            state: State { queue: node.to_owned(), next: 1, ..State::default() },
            untold: 0,
            is_shut: false,
            lost: 0,
            stored: 0,
        };
        queue.reopen()?;
        let previous = queue.state.last_node.as_deref();
        let started = node_started((node, now_ms), node_name, previous);
        queue.commit(&[started], None, now_ms)?;
        // A file that was too large before is full now.
        queue.is_shut = queue.state.bytes >= queue.options.bytes_max;
        Ok(queue)
    }

    /// Its name, which the ids of events begin with.
    pub(super) fn name(&self) -> &str {
        &self.state.queue
    }

    /// Events that wait.
    pub(super) const fn len(&self) -> u64 {
        self.state.events
    }

    /// Their bytes.
    pub(super) const fn bytes(&self) -> u64 {
        self.state.bytes
    }

    /// When the oldest of them was stored, Unix milliseconds.
    pub(super) const fn oldest_ms(&self) -> Option<u64> {
        self.state.oldest_ms
    }

    /// Events that could not be kept, since the start.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Events stored since the start.
    pub(super) const fn stored(&self) -> u64 {
        self.stored
    }

    /// Stores these events, those for which there is room.
    ///
    /// # Errors
    /// They could not be written, and count as lost.
    pub(super) fn append(
        &mut self,
        batches: &[Box<EventBatch>],
        now_ms: u64,
    ) -> Result<(), QueueError> {
        let happened: u64 = batches.iter().map(|batch| batch.happened()).sum();
        let mut rows: Vec<Vec<u8>> = Vec::new();
        let (mut untold, mut lost, mut is_shut) = (self.untold, 0, self.is_shut);
        let mut bytes = self.state.bytes;
        for batch in batches {
            (untold, lost) = (untold + batch.lost, lost + batch.lost);
            for event in batch.events() {
                let more = event.len() as u64 + EVENT_BYTES;
                is_shut |= bytes + more > self.options.bytes_max;
                if is_shut {
                    (untold, lost) = (untold + 1, lost + 1);
                    continue;
                }
                if untold > 0 {
                    rows.push(gap(std::mem::take(&mut untold), (&self.node, now_ms)));
                }
                rows.push(event.to_vec());
                bytes += more;
            }
        }
        if untold > 0 && !is_shut {
            rows.push(gap(std::mem::take(&mut untold), (&self.node, now_ms)));
        }
        if let Err(error) = self.commit(&rows, None, now_ms) {
            self.lose(happened);
            return Err(error);
        }
        (self.untold, self.lost, self.is_shut) = (untold, self.lost + lost, is_shut);
        Ok(())
    }

    /// Counts these as lost without touching the file.
    pub(super) fn lose(&mut self, events: u64) {
        (self.untold, self.lost) = (self.untold + events, self.lost + events);
    }

    /// The events that come next, and their numbers: so many at most, and no more when they have so many bytes.
    ///
    /// # Errors
    /// They could not be read.
    pub(super) fn peek(
        &mut self,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, QueueError> {
        let database = self.database()?;
        let read = || -> Result<Vec<_>, redb::Error> {
            let transaction = database.begin_read()?;
            let (mut events, mut bytes) = (Vec::new(), 0);
            for entry in transaction.open_table(EVENTS)?.iter()?.take(events_max) {
                let (seq, value) = entry?;
                let (_stored_ms, json) = value.value();
                events.push((seq.value(), json.to_vec()));
                bytes += json.len();
                if bytes >= bytes_max {
                    break;
                }
            }
            Ok(events)
        };
        read().map_err(|cause| {
            self.database = None;
            self.failed(cause)
        })
    }

    /// Forgets the events up to this number: they are delivered. Where there is room again, an event
    /// says what could not be kept.
    ///
    /// # Errors
    /// They could not be forgotten, and will be delivered again.
    pub(super) fn forget(&mut self, up_to: u64, now_ms: u64) -> Result<(), QueueError> {
        self.commit(&[], Some(up_to), now_ms)?;
        if self.is_shut && self.state.bytes <= self.options.bytes_max / 4 * 3 {
            self.is_shut = false;
            self.append(&[], now_ms)?;
        }
        Ok(())
    }

    /// One transaction: forgets, stores, and notes the state that follows from both. A file that
    /// fails is opened anew and asked once more: after one error an open one takes nothing, though
    /// the disk may be well.
    fn commit(
        &mut self,
        rows: &[Vec<u8>],
        forget: Option<u64>,
        now_ms: u64,
    ) -> Result<(), QueueError> {
        let (was_open, next) = (self.database.is_some(), self.state.next);
        let Err(error) = self.commit_once(rows, forget, now_ms) else { return Ok(()) };
        if !was_open {
            return Err(error);
        }
        self.reopen()?;
        if self.state.next > next {
            // It was written, and only the answer failed.
            self.stored += rows.len() as u64;
            return Ok(());
        }
        self.commit_once(rows, forget, now_ms)
    }

    fn commit_once(
        &mut self,
        rows: &[Vec<u8>],
        forget: Option<u64>,
        now_ms: u64,
    ) -> Result<(), QueueError> {
        if rows.is_empty() && forget.is_none() {
            return Ok(());
        }
        self.database()?;
        let before = State { last_node: Some(self.node.clone()), ..self.state.clone() };
        match write(self.database()?, before, rows, forget, now_ms) {
            Ok(state) => {
                (self.state, self.stored) = (state, self.stored + rows.len() as u64);
                Ok(())
            }
            Err(cause) => {
                self.database = None;
                Err(self.failed(cause))
            }
        }
    }

    /// Another place is the file's from now on; returns the one before.
    #[cfg(test)]
    pub(super) fn moved_to(&mut self, path: PathBuf) -> PathBuf {
        self.database = None;
        std::mem::replace(&mut self.options.path, path)
    }

    fn database(&mut self) -> Result<&Database, QueueError> {
        if self.database.is_none() {
            self.reopen()?;
        }
        Ok(self.database.as_ref().expect("opened above"))
    }

    /// Opens the file and reads what is in it.
    fn reopen(&mut self) -> Result<(), QueueError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(&self.options.path).map_err(|error| {
            if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
                QueueError::InUse(self.options.path.clone())
            } else {
                self.failed(error.into())
            }
        })?;
        let read = read(&database, &self.state).map_err(|cause| self.failed(cause))?;
        // A number that was given is not given again, whatever became of the file.
        self.state = State { next: read.next.max(self.state.next), ..read };
        self.database = Some(database);
        Ok(())
    }

    fn failed(&self, cause: redb::Error) -> QueueError {
        QueueError::File { path: self.options.path.clone(), cause }
    }
}

/// What is in a file; in a new one nothing, and its name is the one that is known.
fn read(database: &Database, known: &State) -> Result<State, redb::Error> {
    let transaction = database.begin_read()?;
    let events = match transaction.open_table(EVENTS) {
        Ok(events) => events,
        Err(TableError::TableDoesNotExist(_)) => {
            let State { queue, next, .. } = known.clone();
            return Ok(State { queue, next, ..State::default() });
        }
        Err(error) => return Err(error.into()),
    };
    let numbers = transaction.open_table(NUMBERS)?;
    let number = |name| -> Result<u64, redb::Error> {
        Ok(numbers.get(name)?.map(|number| number.value()).unwrap_or_default())
    };
    let names = transaction.open_table(NAMES)?;
    let name = |name| -> Result<Option<String>, redb::Error> {
        Ok(names.get(name)?.map(|name| name.value().to_owned()))
    };
    Ok(State {
        queue: name(QUEUE)?.unwrap_or_else(|| known.queue.clone()),
        next: number(NEXT)?,
        bytes: number(BYTES)?,
        events: events.len()?,
        oldest_ms: events.first()?.map(|(_, value)| value.value().0),
        last_node: name(NODE)?,
    })
}

fn write(
    database: &Database,
    mut state: State,
    rows: &[Vec<u8>],
    forget: Option<u64>,
    now_ms: u64,
) -> Result<State, redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut events = transaction.open_table(EVENTS)?;
        if let Some(up_to) = forget {
            let mut freed = 0;
            events.retain_in(..=up_to, |_, (_, json)| {
                freed += json.len() as u64 + EVENT_BYTES;
                false
            })?;
            state.bytes = state.bytes.saturating_sub(freed);
        }
        for row in rows {
            events.insert(state.next, (now_ms, row.as_slice()))?;
            state.next += 1;
            state.bytes += row.len() as u64 + EVENT_BYTES;
        }
        state.events = events.len()?;
        state.oldest_ms = events.first()?.map(|(_, value)| value.value().0);
        let mut numbers = transaction.open_table(NUMBERS)?;
        numbers.insert(NEXT, state.next)?;
        numbers.insert(BYTES, state.bytes)?;
        let mut names = transaction.open_table(NAMES)?;
        names.insert(QUEUE, state.queue.as_str())?;
        if let Some(node) = &state.last_node {
            names.insert(NODE, node.as_str())?;
        }
    }
    transaction.commit()?;
    Ok(state)
}

#[cfg(test)]
mod tests;
