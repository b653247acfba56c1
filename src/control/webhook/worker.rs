//! The thread of the webhook: stores what arrives, sends what is stored, one request at a time, so
//! that events come in their order.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::WebhookOptions;
use super::deliver::{Deliverer, Delivery, Outcome};
use super::queue::{Queue, QueueError};
use crate::api::WebhookFacts;
use crate::api::webhook::{EventBatch, delivery, is_event};
use crate::control::endpoint::unix_ms;

/// Messages of shards that are stored in one transaction.
const STORED_AT_ONCE: usize = 256;

/// Bytes of events in one request, the last of them whole: many a proxy takes no body of more than
/// 1 MiB.
const REQUEST_BYTES: usize = 512 * 1024;

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
    /// Events that arrived and were stored, or are counted as lost by the queue.
    handled: watch::Sender<u64>,
    events_max: usize,
    /// The same for the next request: fewer after one that was too large.
    next_events_max: usize,
    linger: Duration,
    delivered: u64,
    /// Since when events wait that might be sent.
    waiting_since: Instant,
    /// Until when a disk is left alone that could not be read, or could not forget.
    paused_until: Option<Instant>,
    /// Until when one is that could not be written: each try reads the whole file again.
    unwritten_until: Option<Instant>,
    lost_said: LostSaid,
}

/// What has been said of lost events, and when.
#[derive(Default)]
struct LostSaid {
    events: u64,
    at: Option<Instant>,
}

/// A request on its way: until it is taken, or is to be cut.
struct Underway {
    delivery: Rc<Delivery>,
    ended: Pin<Box<dyn Future<Output = Outcome>>>,
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
        handled: watch::Sender<u64>,
        options: &WebhookOptions,
    ) -> Self {
        Self {
            queue,
            deliverer: Rc::new(deliverer),
            arriving,
            facts: Rc::new(facts),
            handled,
            events_max: options.events_max,
            next_events_max: options.events_max,
            linger: options.linger,
            delivered: 0,
            waiting_since: Instant::now(),
            paused_until: None,
            unwritten_until: None,
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
                (delivery, outcome) = ended(&mut underway) => {
                    underway = None;
                    match outcome {
                        Outcome::Taken => self.on_taken(&delivery),
                        Outcome::TooLarge => self.on_too_large(&delivery),
                    }
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
        let happened: u64 = arrived.iter().map(|batch| batch.happened()).sum();
        if self.unwritten_until.is_some_and(|until| Instant::now() < until) {
            self.queue.lose(happened);
        } else if let Err(error) = self.queue.append(arrived, unix_ms()) {
            tracing::error!(%error, "events of sessions could not be stored and are lost");
            self.unwritten_until = Some(Instant::now() + DISK_PAUSE);
        }
        self.handled.send_modify(|handled| *handled += happened);
    }

    /// The next request, when it is full, or has waited for more events long enough.
    fn next(&mut self, closing: Option<Instant>) -> Next {
        if self.queue.len() == 0 {
            return Next::Nothing;
        }
        let now = Instant::now();
        let is_full = self.queue.len() >= self.next_events_max as u64
            || self.queue.bytes() >= REQUEST_BYTES as u64;
        let lingers_until =
            if is_full || closing.is_some() { now } else { self.waiting_since + self.linger };
        let ready_at = lingers_until.max(self.paused_until.unwrap_or(now));
        if ready_at > now {
            return Next::At(ready_at);
        }
        self.paused_until = None;
        match self.queue.peek(self.next_events_max, REQUEST_BYTES) {
            Ok(events) => self.delivery(&events),
            Err(error) => self.pause(&error),
        }
    }

    fn delivery(&mut self, events: &[(u64, Vec<u8>)]) -> Next {
        let (Some((first, _)), Some((last, _))) = (events.first(), events.last()) else {
            return Next::Nothing;
        };
        let name = self.queue.name();
        let id = format!("{name}-{first}-{last}");
        let body = delivery(name, events.iter().map(|(seq, json)| (*seq, json.as_slice())));
        let whole = events.iter().filter(|(_, json)| is_event(json)).count() as u64;
        let (damaged, last) = (events.len() as u64 - whole, *last);
        let delivery = Delivery { id, body: Bytes::from(body), events: whole, last, damaged };
        if whole == 0 {
            // There is nothing to send, and something to forget.
            self.on_taken(&delivery);
            return Next::At(Instant::now());
        }
        Next::Now(delivery)
    }

    fn begin(&self, delivery: Delivery) -> Underway {
        let delivery = Rc::new(delivery);
        let deliverer = Rc::clone(&self.deliverer);
        let (sent, facts) = (Rc::clone(&delivery), Rc::clone(&self.facts));
        let ended = Box::pin(async move { deliverer.deliver(&sent, &facts).await });
        Underway { delivery, ended }
    }

    fn on_taken(&mut self, delivery: &Delivery) {
        self.delivered += delivery.events;
        self.waiting_since = Instant::now();
        // Slowly: the backend may still find too large what it did before.
        let more = self.next_events_max + self.next_events_max / 8 + 1;
        self.next_events_max = more.min(self.events_max);
        if let Err(error) = self.queue.forget(delivery.last, unix_ms()) {
            self.pause(&error);
        } else if delivery.damaged > 0 {
            let damaged = delivery.damaged;
            tracing::error!(damaged, "events of sessions were damaged in their file and are lost");
            self.queue.lose(damaged);
        }
    }

    /// The same events come again in smaller requests.
    fn on_too_large(&mut self, delivery: &Delivery) {
        let (events, bytes) = (delivery.events, delivery.body.len());
        tracing::warn!(events, bytes, "the webhook is too large for the backend: status 413");
        self.next_events_max = usize::try_from(events / 2).unwrap_or(self.events_max).max(1);
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

/// Waits until it is known what becomes of the request that is on its way.
async fn ended(underway: &mut Option<Underway>) -> (Rc<Delivery>, Outcome) {
    match underway {
        Some(Underway { delivery, ended }) => {
            let outcome = ended.await;
            (Rc::clone(delivery), outcome)
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

#[cfg(test)]
mod tests {
    use super::super::queue::QueueOptions;
    use super::super::tests::options;
    use super::*;

    fn worker(dir: &tempfile::TempDir) -> Worker {
        let path = dir.path().join("queue.redb");
        let queue = QueueOptions { path, bytes_max: 1 << 20 };
        let options = WebhookOptions { events_max: 8, queue, ..options("http://a/") };
        let queue = Queue::open(&options.queue, ("n1", "name"), 1_000).unwrap();
        let (_batches, arriving) = mpsc::channel(1);
        let (facts, _told) = watch::channel(WebhookFacts::default());
        let deliverer = Deliverer::new(&options).unwrap();
        Worker::new(queue, deliverer, (arriving, facts), watch::Sender::new(0), &options)
    }

    fn batch(events: &[&str]) -> [Box<EventBatch>; 1] {
        let mut batch = EventBatch::default();
        events.iter().for_each(|event| batch.push_raw(event.as_bytes()));
        [Box::new(batch)]
    }

    fn next(worker: &mut Worker) -> Delivery {
        let Next::Now(delivery) = worker.next(Some(Instant::now())) else { panic!("nothing") };
        delivery
    }

    #[test]
    fn a_disk_that_could_not_be_written_is_left_alone_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir);
        let path = worker.queue.moved_to(dir.path().to_owned());
        worker.store(&batch(&["{}"]));
        assert!(worker.unwritten_until.is_some());
        worker.queue.moved_to(path);
        worker.unwritten_until = Some(Instant::now() + Duration::from_secs(3_600));
        worker.store(&batch(&["{}"]));
        assert_eq!((worker.queue.lost(), worker.queue.stored()), (2, 1));
        worker.unwritten_until = Some(Instant::now());
        worker.store(&batch(&["{}"]));
        assert_eq!((worker.queue.lost(), worker.queue.stored()), (2, 3), "with the gap");
        assert_eq!(*worker.handled.borrow(), 3);
    }

    #[test]
    fn what_was_damaged_is_left_out_and_counted_when_the_rest_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir);
        worker.store(&batch(&["damaged"]));
        let delivery = next(&mut worker);
        assert_eq!((delivery.events, delivery.damaged, delivery.last), (1, 1, 2));
        worker.on_taken(&delivery);
        assert_eq!((worker.queue.lost(), worker.queue.len()), (1, 0));
        worker.store(&batch(&["damaged"]));
        // The gap came before it.
        let delivery = next(&mut worker);
        assert_eq!((delivery.events, delivery.damaged), (1, 1));
        worker.on_taken(&delivery);
        assert_eq!(worker.queue.len(), 0);
    }

    #[test]
    fn fewer_events_come_after_a_request_that_was_too_large_and_then_more_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = worker(&dir);
        worker.store(&batch(&["{}"; 20]));
        for events in [8, 4, 2, 1] {
            let delivery = next(&mut worker);
            assert_eq!((delivery.events, delivery.last), (events, events));
            worker.on_too_large(&delivery);
        }
        for events in [1, 2, 3, 4] {
            let delivery = next(&mut worker);
            assert_eq!(delivery.events, events);
            worker.on_taken(&delivery);
        }
    }
}
