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
    /// Events that did.
    given: u64,
    /// Those of them that the thread has stored, or counts as lost itself.
    handled: watch::Receiver<u64>,
    /// The thread has panicked; it was said.
    is_gone: bool,
    facts: watch::Receiver<WebhookFacts>,
    /// What shards hear, or have heard.
    told: WebhookFacts,
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
        let (counted, handled) = watch::channel(0);
        let run = move || {
            let worker = Worker::new(queue, deliverer, (arriving, told), counted, &options);
            runtime.block_on(worker.run());
        };
        let thread = std::thread::Builder::new().name("webhook".to_owned()).spawn(run);
        let thread = thread.map_err(WebhookError::Thread)?;
        Ok(Self::new(batches, facts, handled, shards, thread))
    }

    fn new(
        batches: mpsc::Sender<Box<EventBatch>>,
        facts: watch::Receiver<WebhookFacts>,
        handled: watch::Receiver<u64>,
        shards: usize,
        thread: JoinHandle<()>,
    ) -> Self {
        Self {
            batches,
            lost: 0,
            given: 0,
            handled,
            is_gone: false,
            facts,
            told: WebhookFacts::default(),
            untold: Vec::new(),
            shards,
            thread,
        }
    }

    /// A shard tells what happened.
    pub(super) fn on_events(&mut self, mut batch: Box<EventBatch>) {
        batch.lost += std::mem::take(&mut self.lost);
        let happened = batch.happened();
        match self.batches.try_send(batch) {
            Ok(()) => self.given += happened,
            Err(_refused) => self.lost = happened,
        }
    }

    /// Time has passed: what has become of the events may be news, and what was lost is told.
    pub(super) fn on_tick(&mut self) {
        if self.batches.is_closed() && !self.is_gone {
            self.is_gone = true;
            tracing::error!(
                "the thread of the webhook has panicked: events of sessions are lost until the \
                 server is started again"
            );
        }
        let facts = self.facts();
        if facts != self.told {
            self.told = facts;
            self.untold = (0..self.shards).collect();
        }
        if self.lost > 0 {
            self.on_events(Box::default());
        }
    }

    /// What has become of the events; when the thread is gone, what it left undone is lost.
    fn facts(&self) -> WebhookFacts {
        let facts = *self.facts.borrow();
        if !self.is_gone {
            return facts;
        }
        let undone = self.given - *self.handled.borrow();
        WebhookFacts { lost: facts.lost + undone + self.lost, ..facts }
    }

    /// Tells shards what has become of the events; who has no room is told later.
    pub(super) fn tell(&mut self, mut send: impl FnMut(usize, Message) -> Result<(), Message>) {
        let facts = self.told;
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
            // The thread is gone only if it panicked, which has been said.
            let _gone = self.batches.send(Box::new(lost)).await;
        }
        let Self { batches, thread, .. } = self;
        drop(batches);
        let _panicked = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a webhook to there.
    pub(super) fn options(endpoint: &str) -> WebhookOptions {
        WebhookOptions {
            endpoint: endpoint.to_owned(),
            signer: Signer::new("a secret of the tests", "").unwrap(),
            timeout: Duration::from_secs(1),
            events_max: 1,
            linger: Duration::ZERO,
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(1),
            queue: QueueOptions { path: "unused".into(), bytes_max: 0 },
            added: vec![("X-Key".to_owned(), "k".to_owned())],
            tls: None,
            node_name: String::new(),
        }
    }

    #[test]
    fn a_thread_that_has_panicked_is_told_and_what_it_left_undone_is_lost() {
        let (batches, arriving) = mpsc::channel(2);
        let (_facts, told) = watch::channel(WebhookFacts::default());
        let thread = std::thread::spawn(|| {});
        let (_counted, handled) = watch::channel(0);
        let mut webhook = Webhook::new(batches, told, handled, 1, thread);
        webhook.on_events(Box::new(EventBatch::lost(3)));
        drop(arriving);
        for lost in [2, 4] {
            webhook.on_events(Box::new(EventBatch::lost(2)));
            webhook.on_tick();
            assert!(webhook.is_gone && webhook.has_to_tell());
            webhook.tell(|_shard, message| {
                let Message::WebhookFacts(facts) = message else { panic!("{message:?}") };
                assert_eq!(facts.lost, 3 + lost);
                Ok(())
            });
        }
    }
}
