//! Tells a backend what happens to sessions: shards tell the control thread, which hands their
//! events to a thread of its own. That one writes them to a file, and sends what is in the file,
//! oldest first, one request at a time, until it is taken.
//!
//! ```text
//!   shards ──SessionEvents──▶ control thread ──channel──▶ queue (a file) ──▶ POST ──▶ backend
//!             ring full            channel full              file full        refused, silent:
//!             counted              counted                   counted          again, later and later
//! ```
//!
//! Nobody waits for anybody to the right. What is counted becomes an event of its own (`gap`), in
//! the place where the lost ones would have been.

mod deliver;
mod queue;
mod signature;
mod worker;

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

pub use self::queue::{QueueError, QueueOptions};
pub use self::signature::{BadSecret, Signer};

use self::deliver::Deliverer;
use self::queue::Queue;
use self::worker::Worker;
use super::outside::{BackendError, TlsOptions};
use crate::api::WebhookFacts;
use crate::api::webhook::EventBatch;
use crate::messages::Message;

/// Messages of shards that may wait for the disk; the events of one more are lost and counted.
/// Each is [64 KiB](crate::messages::Message::SessionEvents) at most, and most are far smaller.
const BATCHES_MAX: usize = 1_024;

/// What an operator said of the webhook.
#[derive(Clone)]
pub struct WebhookOptions {
    /// Where to POST.
    pub endpoint: String,
    /// Who signs.
    pub signer: Signer,
    /// How long a request may take.
    pub timeout: Duration,
    /// Events in one request.
    pub events_max: usize,
    /// How long an event may wait for others to go with it.
    pub linger: Duration,
    /// How soon a request that failed is sent again, at first.
    pub retry_min: Duration,
    /// The same, at last.
    pub retry_max: Duration,
    /// Where events wait, and how many may.
    pub queue: QueueOptions,
    /// Headers that go with every request.
    pub added: Vec<(String, String)>,
    /// TLS, when something is said of it.
    pub tls: Option<TlsOptions>,
    /// Name of this node.
    pub node_name: String,
}

/// Secrets and keys are not shown.
impl std::fmt::Debug for WebhookOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookOptions").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Why there can be no webhook.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It cannot be sent.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Events cannot be stored.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// No thread to send it.
    #[error("the thread of the webhook cannot start: {0}")]
    Thread(#[source] std::io::Error),
}

/// The control thread's end of it.
#[derive(Debug)]
pub struct Webhook {
    batches: mpsc::Sender<Box<EventBatch>>,
    /// Events that found no room in the channel.
    lost: u64,
    facts: watch::Receiver<WebhookFacts>,
    /// Shards that have not heard the last facts.
    untold: Vec<usize>,
    shards: usize,
    thread: JoinHandle<()>,
}

impl Webhook {
    /// Opens the queue, notes that this run of the node, of this uid, begins now, and starts the
    /// thread.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn open(
        options: WebhookOptions,
        (node, now_ms): (&str, u64),
        shards: usize,
    ) -> Result<Self, WebhookError> {
        let queue = Queue::open(&options.queue, (node, &options.node_name), now_ms)?;
        let (told, facts) = watch::channel(WebhookFacts::default());
        let deliverer = Deliverer::new(&options)?;
        let (batches, arriving) = mpsc::channel(BATCHES_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(WebhookError::Thread)?;
        let run = move || {
            let worker = Worker::new(queue, deliverer, (arriving, told), &options);
            runtime.block_on(worker.run());
        };
        let thread = std::thread::Builder::new().name("webhook".to_owned()).spawn(run);
        let thread = thread.map_err(WebhookError::Thread)?;
        Ok(Self { batches, lost: 0, facts, untold: Vec::new(), shards, thread })
    }

    /// A shard tells what happened.
    pub(super) fn on_events(&mut self, mut batch: Box<EventBatch>) {
        batch.lost += std::mem::take(&mut self.lost);
        if let Err(refused) = self.batches.try_send(batch) {
            let (mpsc::error::TrySendError::Full(batch) | mpsc::error::TrySendError::Closed(batch)) =
                refused;
            self.lost = batch.happened();
        }
    }

    /// Time has passed: what has become of the events may be news, and what was lost is told.
    pub(super) fn on_tick(&mut self) {
        if self.facts.has_changed().unwrap_or(false) {
            self.facts.mark_unchanged();
            self.untold = (0..self.shards).collect();
        }
        if self.lost > 0 {
            self.on_events(Box::default());
        }
    }

    /// Tells shards what has become of the events; who has no room is told later.
    pub(super) fn tell(&mut self, mut send: impl FnMut(usize, Message) -> Result<(), Message>) {
        let facts = *self.facts.borrow();
        self.untold.retain(|shard| send(*shard, Message::WebhookFacts(facts)).is_err());
    }

    /// Whether some shard had no room to be told.
    pub(super) fn has_to_tell(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Has everything stored that was told, and what can be delivered within a moment delivered.
    pub(super) async fn close(mut self) {
        if self.lost > 0 {
            let lost = EventBatch::lost(std::mem::take(&mut self.lost));
            // The thread is gone only if it panicked, and has said so itself.
            let _gone = self.batches.send(Box::new(lost)).await;
        }
        let Self { batches, thread, .. } = self;
        drop(batches);
        let _panicked = thread.join();
    }
}
