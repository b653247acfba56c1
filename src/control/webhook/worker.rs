//! The thread of the webhook: stores what arrives, sends what is stored, one request at a time, so
//! that events come in their order.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::WebhookOptions;
use super::deliver::{Deliverer, Delivery};
use super::queue::{Queue, QueueError};
use crate::api::WebhookFacts;
use crate::api::webhook::{EventBatch, delivery};
use crate::control::endpoint::unix_ms;

/// Messages of shards that are stored in one transaction.
const STORED_AT_ONCE: usize = 256;

/// Bytes of events in one request, the last of them whole.
const REQUEST_BYTES: usize = 1024 * 1024;

/// How long delivering may go on when the server ends.
const CLOSING: Duration = Duration::from_secs(2);

/// How soon a disk that failed is tried again.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// How often it is said that events are lost.
const LOST_INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct Worker {
    queue: Queue,
    deliverer: Rc<Deliverer>,
    arriving: mpsc::Receiver<Box<EventBatch>>,
    facts: Rc<watch::Sender<WebhookFacts>>,
    events_max: usize,
    linger: Duration,
    delivered: u64,
    /// Since when events wait that might be sent.
    waiting_since: Instant,
    /// Until when a disk that failed is left alone.
    paused_until: Option<Instant>,
    lost_said: LostSaid,
}

/// What has been said of lost events, and when.
#[derive(Default)]
struct LostSaid {
    events: u64,
    at: Option<Instant>,
}

/// A request on its way: until it is taken.
struct Underway {
    delivery: Rc<Delivery>,
    taken: Pin<Box<dyn Future<Output = ()>>>,
}

/// What there is to send.
enum Next {
    Nothing,
    /// Something, then.
    At(Instant),
    Now(Delivery),
}

impl Worker {
    pub(super) fn new(
        queue: Queue,
        deliverer: Deliverer,
        (arriving, facts): (mpsc::Receiver<Box<EventBatch>>, watch::Sender<WebhookFacts>),
        options: &WebhookOptions,
    ) -> Self {
        Self {
            queue,
            deliverer: Rc::new(deliverer),
            arriving,
            facts: Rc::new(facts),
            events_max: options.events_max,
            linger: options.linger,
            delivered: 0,
            waiting_since: Instant::now(),
            paused_until: None,
            lost_said: LostSaid::default(),
        }
    }

    /// Until nobody has events any more and all are delivered, or the time for that is over.
    pub(super) async fn run(mut self) {
        let mut arrived = Vec::new();
        let mut underway = None;
        let mut closing: Option<Instant> = None;
        loop {
            let mut wake = None;
            if underway.is_none() {
                match self.next(closing) {
                    Next::Now(delivery) => underway = Some(self.begin(delivery)),
                    Next::At(at) => wake = Some(at),
                    Next::Nothing if closing.is_some() => return,
                    Next::Nothing => {}
                }
            }
            self.tell();
            tokio::select! {
                biased;
                delivery = taken(&mut underway) => {
                    underway = None;
                    self.on_taken(&delivery);
                }
                () = reached(closing) => return,
                () = reached(wake) => {}
                count = self.arriving.recv_many(&mut arrived, STORED_AT_ONCE), if closing.is_none() => {
                    if count == 0 {
                        closing = Some(Instant::now() + CLOSING);
                    }
                    self.store(&arrived);
                    arrived.clear();
                }
            }
        }
    }

    fn store(&mut self, arrived: &[Box<EventBatch>]) {
        if self.queue.len() == 0 {
            self.waiting_since = Instant::now();
        }
        if let Err(error) = self.queue.append(arrived, unix_ms()) {
            tracing::error!(%error, "events of sessions could not be stored and are lost");
        }
    }

    /// The next request, when it is full, or has waited for more events long enough.
    fn next(&mut self, closing: Option<Instant>) -> Next {
        if self.queue.len() == 0 {
            return Next::Nothing;
        }
        let now = Instant::now();
        let is_full = self.queue.len() >= self.events_max as u64
            || self.queue.bytes() >= REQUEST_BYTES as u64;
        let lingers_until =
            if is_full || closing.is_some() { now } else { self.waiting_since + self.linger };
        let ready_at = lingers_until.max(self.paused_until.unwrap_or(now));
        if ready_at > now {
            return Next::At(ready_at);
        }
        self.paused_until = None;
        match self.queue.peek(self.events_max, REQUEST_BYTES) {
            Ok(events) => self.delivery(&events),
            Err(error) => self.pause(&error),
        }
    }

    fn delivery(&self, events: &[(u64, Vec<u8>)]) -> Next {
        let (Some((first, _)), Some((last, _))) = (events.first(), events.last()) else {
            return Next::Nothing;
        };
        let name = self.queue.name();
        let id = format!("{name}-{first}-{last}");
        let body = delivery(name, events.iter().map(|(seq, json)| (*seq, json.as_slice())));
        let (events, last) = (events.len() as u64, *last);
        Next::Now(Delivery { id, body: Bytes::from(body), events, last })
    }

    fn begin(&self, delivery: Delivery) -> Underway {
        let delivery = Rc::new(delivery);
        let deliverer = Rc::clone(&self.deliverer);
        let (sent, facts) = (Rc::clone(&delivery), Rc::clone(&self.facts));
        let taken = Box::pin(async move { deliverer.deliver(&sent, &facts).await });
        Underway { delivery, taken }
    }

    fn on_taken(&mut self, delivery: &Delivery) {
        self.delivered += delivery.events;
        self.waiting_since = Instant::now();
        if let Err(error) = self.queue.forget(delivery.last, unix_ms()) {
            self.pause(&error);
        }
    }

    fn pause(&mut self, error: &QueueError) -> Next {
        tracing::error!(%error, "stored events of sessions are out of reach: trying again");
        let until = Instant::now() + DISK_PAUSE;
        self.paused_until = Some(until);
        Next::At(until)
    }

    /// Says how things stand, to whoever asks for `info` and to whoever reads the log.
    fn tell(&mut self) {
        let (queue, delivered) = (&self.queue, self.delivered);
        self.facts.send_if_modified(|facts| {
            let now = WebhookFacts {
                waiting: queue.len(),
                waiting_bytes: queue.bytes(),
                oldest_ms: queue.oldest_ms().unwrap_or_default(),
                stored: queue.stored(),
                delivered,
                lost: queue.lost(),
                failures: facts.failures,
            };
            let is_news = *facts != now;
            *facts = now;
            is_news
        });
        let said = &mut self.lost_said;
        let is_due = said.at.is_none_or(|at| at.elapsed() >= LOST_INTERVAL);
        if queue.lost() > said.events && is_due {
            let (lost, waiting) = (queue.lost() - said.events, queue.len());
            tracing::warn!(lost, waiting, "no room for events of sessions: a `gap` tells of them");
            *said = LostSaid { events: queue.lost(), at: Some(Instant::now()) };
        }
    }
}

/// Waits until the request that is on its way is taken.
async fn taken(underway: &mut Option<Underway>) -> Rc<Delivery> {
    match underway {
        Some(Underway { delivery, taken }) => {
            taken.await;
            Rc::clone(delivery)
        }
        None => std::future::pending().await,
    }
}

async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
