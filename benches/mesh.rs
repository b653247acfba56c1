//! What a message between two threads costs: our mesh beside a crossbeam channel and beside
//! crossbeam's `ArrayQueue`. 160 bytes a message, as large as the server's.
//!
//! `cargo bench --bench mesh`. The first table is criterion's (one thread); the others come from
//! two threads, each pinned to a core of its own as shards are, all contenders taking turns in
//! every round. They print the median of the rounds, the lowest and the highest, and the ratio
//! to the mesh. CPU is both threads', from the scheduler's own account (Linux).
//!
//! A shard waits for many things at once, so it cannot sleep in a channel's `recv`. "+ doorbell"
//! is that queue with the mesh's handshake around it: only the queue differs. "recv" is the
//! channel as it comes: its receiver spins before it sleeps.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads clocks")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use crossbeam_queue::ArrayQueue;
use rollcall::mesh::{Endpoint, mesh};

use harness::mode::is_measuring;
use harness::spread::Spread;
use harness::threads;
use harness::timing;

mod harness {
    pub(crate) mod mode;
    pub(crate) mod spread;
    pub(crate) mod threads;
    pub(crate) mod timing;
}

/// As large as the server's message.
type Message = [u64; 20];

/// As many as the server's rings have.
const SLOTS: usize = 256;

/// Messages of one batch: one flush, at most one wake-up.
const BATCH: u64 = 64;

/// One end of a two-way link between two threads.
trait Link: Send {
    /// Hands a message over; false when there is no room.
    fn send(&mut self, message: Message) -> bool;
    /// Ends a batch.
    fn flush(&mut self);
    /// The next message, if one is there.
    fn receive(&mut self) -> Option<Message>;
    /// Sleeps until a message is there.
    fn sleep(&mut self);
}

type Ends = (Box<dyn Link>, Box<dyn Link>);
type Contender = (&'static str, fn() -> Ends);

const CONTENDERS: [Contender; 5] = [
    ("mesh", || Meshed::pair(SLOTS)),
    ("mesh, four times the slots", || Meshed::pair(4 * SLOTS)),
    ("ArrayQueue + doorbell", || Belled::pair(|| ArrayQueue::new(SLOTS))),
    ("crossbeam-channel + doorbell", || Belled::pair(|| crossbeam_channel::bounded(SLOTS))),
    ("crossbeam-channel, recv", || Channel::pair(SLOTS)),
];

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

struct Meshed(Endpoint<Message>);

impl Meshed {
    fn pair(slots: usize) -> Ends {
        // No overflow: like the others it refuses when its ring is full.
        let mut ends = mesh(2, slots, 0).into_iter().map(|end| Box::new(Self(end)));
        (ends.next().expect("two ends"), ends.next().expect("two ends"))
    }
}

impl Link for Meshed {
    fn send(&mut self, message: Message) -> bool {
        let peer = 1 - self.0.index();
        self.0.send(peer, message).is_ok()
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn receive(&mut self) -> Option<Message> {
        self.0.receive().map(|(_, message)| message)
    }

    fn sleep(&mut self) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while self.0.poll_ready(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
        }
    }
}

/// Wakes on its own: its receiver spins a little, then parks.
struct Channel {
    to: Sender<Message>,
    from: Receiver<Message>,
    first: Option<Message>,
}

impl Channel {
    fn pair(slots: usize) -> Ends {
        let (there, here) = crossbeam_channel::bounded(slots);
        let (back, again) = crossbeam_channel::bounded(slots);
        let end = |to, from| Box::new(Self { to, from, first: None });
        (end(there, again), end(back, here))
    }
}

impl Link for Channel {
    fn send(&mut self, message: Message) -> bool {
        !matches!(self.to.try_send(message), Err(TrySendError::Full(_)))
    }

    fn flush(&mut self) {}

    fn receive(&mut self) -> Option<Message> {
        self.first.take().or_else(|| self.from.try_recv().ok())
    }

    fn sleep(&mut self) {
        if self.first.is_none() {
            self.first = self.from.recv().ok();
        }
    }
}

/// A queue for [`Belled`].
trait Queue: Send + Sync + 'static {
    fn push(&self, message: Message) -> bool;
    fn pop(&self) -> Option<Message>;
    fn is_empty(&self) -> bool;
}

impl Queue for ArrayQueue<Message> {
    fn push(&self, message: Message) -> bool {
        self.push(message).is_ok()
    }

    fn pop(&self) -> Option<Message> {
        self.pop()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl Queue for (Sender<Message>, Receiver<Message>) {
    fn push(&self, message: Message) -> bool {
        self.0.try_send(message).is_ok()
    }

    fn pop(&self) -> Option<Message> {
        self.1.try_recv().ok()
    }

    fn is_empty(&self) -> bool {
        self.1.is_empty()
    }
}

/// The mesh's handshake around another queue.
struct Belled<Q> {
    to: Arc<Inbox<Q>>,
    from: Arc<Inbox<Q>>,
}

struct Inbox<Q> {
    messages: Q,
    sleeping: AtomicBool,
    waker: atomic_waker::AtomicWaker,
}

impl<Q: Queue> Belled<Q> {
    fn pair(queue: fn() -> Q) -> Ends {
        let inbox = || {
            let waker = atomic_waker::AtomicWaker::new();
            Arc::new(Inbox { messages: queue(), sleeping: AtomicBool::new(false), waker })
        };
        let (one, two) = (inbox(), inbox());
        let first = Self { to: Arc::clone(&one), from: Arc::clone(&two) };
        (Box::new(first), Box::new(Self { to: two, from: one }))
    }
}

impl<Q: Queue> Link for Belled<Q> {
    fn send(&mut self, message: Message) -> bool {
        self.to.messages.push(message)
    }

    fn flush(&mut self) {
        fence(Ordering::SeqCst);
        if self.to.sleeping.load(Ordering::Relaxed)
            && self.to.sleeping.swap(false, Ordering::Acquire)
        {
            self.to.waker.wake();
        }
    }

    fn receive(&mut self) -> Option<Message> {
        self.from.messages.pop()
    }

    fn sleep(&mut self) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while self.from.messages.is_empty() {
            self.from.waker.register(&waker);
            self.from.sleeping.store(true, Ordering::Release);
            fence(Ordering::SeqCst);
            if self.from.messages.is_empty() {
                thread::park();
            }
        }
        self.from.sleeping.store(false, Ordering::Relaxed);
    }
}

/// The number itself, or one that only shows that the benchmark runs.
fn scaled(number: u64) -> u64 {
    if is_measuring() { number } else { number / 100 }
}

/// Nanoseconds this thread has been on a processor.
fn cpu_ns() -> f64 {
    threads::cpu_ns(Path::new("/proc/thread-self"))
}

/// Runs both ends, each on a thread; returns what the first measured and the CPU of both.
fn run<T: Send + 'static>(
    (first, second): Ends,
    one: impl FnOnce(Box<dyn Link>) -> T + Send + 'static,
    two: impl FnOnce(Box<dyn Link>) + Send + 'static,
) -> (T, f64) {
    let other = thread::spawn(move || {
        threads::pin(1);
        let before = cpu_ns();
        two(second);
        cpu_ns() - before
    });
    let this = thread::spawn(move || {
        threads::pin(0);
        let before = cpu_ns();
        let measured = one(first);
        (measured, cpu_ns() - before)
    });
    let (measured, cpu) = this.join().expect("no panic");
    (measured, cpu + other.join().expect("no panic"))
}

/// One way as fast as it goes, in batches: nanoseconds and CPU nanoseconds per message.
fn stream(ends: Ends) -> [f64; 2] {
    let messages = scaled(1_000_000);
    let (elapsed, cpu) = run(
        ends,
        move |mut link| {
            let start = Instant::now();
            for number in 0..messages {
                while !link.send([number; 20]) {
                    link.flush();
                    thread::yield_now();
                }
                if number % BATCH == BATCH - 1 {
                    link.flush();
                }
            }
            link.flush();
            link.sleep();
            start.elapsed()
        },
        move |mut link| {
            let mut next = 0;
            while next < messages {
                link.sleep();
                while let Some(message) = link.receive() {
                    assert_eq!(black_box(message)[7], next, "in order");
                    next += 1;
                }
            }
            link.send([0; 20]);
            link.flush();
        },
    );
    [elapsed.as_nanos() as f64 / messages as f64, cpu / messages as f64]
}

fn echo(mut link: Box<dyn Link>, messages: u64) {
    let mut echoed = 0;
    while echoed < messages {
        link.sleep();
        while let Some(message) = link.receive() {
            assert!(link.send(message), "at most a batch is on its way");
            echoed += 1;
        }
        link.flush();
    }
}

/// Round trips with a batch of them always on its way: nanoseconds and CPU nanoseconds each.
fn loaded(ends: Ends) -> [f64; 2] {
    let trips = scaled(300_000);
    let (elapsed, cpu) = run(
        ends,
        move |mut link| {
            let start = Instant::now();
            for number in 0..BATCH {
                assert!(link.send([number; 20]), "room for a batch");
            }
            link.flush();
            let (mut sent, mut back) = (BATCH, 0);
            while back < trips {
                link.sleep();
                while let Some(message) = link.receive() {
                    back += 1;
                    if sent < trips {
                        assert!(link.send(message), "one came back");
                        sent += 1;
                    }
                }
                link.flush();
            }
            start.elapsed()
        },
        move |link| echo(link, trips),
    );
    [elapsed.as_nanos() as f64 / trips as f64, cpu / trips as f64]
}

/// Single round trips with both threads asleep before each: median, 99th percentile and CPU
/// nanoseconds of one.
fn idle(ends: Ends) -> [f64; 3] {
    const TRIPS: usize = 1_000;
    const REST: Duration = Duration::from_micros(200);
    let (mut times, cpu) = run(
        ends,
        |mut link| {
            let trip = |_| {
                thread::sleep(REST);
                let start = Instant::now();
                assert!(link.send([1; 20]), "room for one");
                link.flush();
                while link.receive().is_none() {
                    link.sleep();
                }
                start.elapsed().as_nanos() as f64
            };
            (0..TRIPS).map(trip).collect::<Vec<f64>>()
        },
        |link| echo(link, TRIPS as u64),
    );
    times.sort_by(f64::total_cmp);
    [times[TRIPS / 2], times[TRIPS * 99 / 100], cpu / TRIPS as f64]
}

/// Runs every contender once per round and prints a table.
fn table<const N: usize>(
    title: &str,
    columns: [&str; N],
    rounds: usize,
    one: fn(Ends) -> [f64; N],
) {
    let mut samples: Vec<[Vec<f64>; N]> =
        CONTENDERS.iter().map(|_| std::array::from_fn(|_| Vec::new())).collect();
    for _ in 0..rounds {
        for ((_, make), own) in CONTENDERS.iter().zip(&mut samples) {
            for (column, value) in own.iter_mut().zip(one(make())) {
                column.push(value);
            }
        }
    }
    println!("\n{title}; median of {rounds} rounds [lowest … highest], ratio to the first line");
    for (at, name) in columns.iter().enumerate() {
        println!("  {name}");
        let mut base = None;
        for ((contender, _), own) in CONTENDERS.iter().zip(&samples) {
            let spread = Spread::of(&own[at]);
            let ratio = spread.median / *base.get_or_insert(spread.median);
            println!("    {contender:<28} {spread}  ×{ratio:.2}");
        }
    }
}

/// Both ends on one thread: what a message costs when no cache line moves.
fn same_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh, same thread, batch of 64");
    group.throughput(Throughput::Elements(BATCH));
    for (name, make) in CONTENDERS {
        let (mut one, mut two) = make();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for number in 0..BATCH {
                    one.send(black_box([number; 20]));
                }
                one.flush();
                for _ in 0..BATCH {
                    black_box(two.receive());
                }
                two.flush();
            });
        });
    }
    group.finish();
}

fn main() {
    timing::run(same_thread);
    let rounds = if is_measuring() { 9 } else { 1 };
    table("one way, batches of 64", ["ns per message", "CPU ns per message"], rounds, stream);
    table("64 round trips on their way", ["ns per trip", "CPU ns per trip"], rounds, loaded);
    table("both asleep", ["ns, p50", "ns, p99", "CPU ns per trip"], rounds, idle);
}
