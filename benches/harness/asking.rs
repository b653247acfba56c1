//! The price of a question put in vain: two shards on two threads, joined by the mesh. The first
//! asks the second only when the directory has been told that a user is there, who is not.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rollcall::connection::open::Scope;
use rollcall::ids::{ConnId, ShardId};
use rollcall::mesh::{Endpoint, mesh};
use rollcall::messages::{Message, Peer};
use rollcall::session::UserHasher;
use rollcall::shard::Shard;
use rollcall::shard::directory::Directory;
use rollcall::shard::effects::{Effect, Effects};

use super::deal::user_of;
use super::machine::{NOW, shard};
use super::mode::is_measuring;
use super::node::{connect_request, query_request};
use super::random::random;
use super::spread::Spread;
use super::threads;
use super::users::{SESSIONS_PER_USER, user};

/// Questions of one connection that are on their way together.
pub(crate) const IN_FLIGHT: usize = 32;

/// What the question costs, over what the query costs without it.
pub(crate) struct Price {
    /// CPU nanoseconds of both shards, [`IN_FLIGHT`] questions at once.
    pub loaded_cpu_ns: Spread,
    /// CPU nanoseconds of both shards, one question at a time.
    pub alone_cpu_ns: Spread,
    /// Nanoseconds until the reply is there, one question at a time.
    pub alone_ns: Spread,
}

const USERS: u64 = 1_000;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A shard with its place in the mesh. It sleeps as a thread does, where the engine's sleeps in
/// its ring.
struct Body {
    shard: Shard,
    mesh: Endpoint<Message>,
    effects: Effects,
    waker: Waker,
}

impl Body {
    fn new(shard: Shard, mesh: Endpoint<Message>) -> Self {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        Self { shard, mesh, effects: Effects::default(), waker }
    }

    fn on_bytes(&mut self, conn: ConnId, input: &mut Vec<u8>) -> usize {
        self.shard.on_bytes(conn, input, NOW);
        self.carry_out()
    }

    /// Sleeps until messages come and handles them. Returns how many bytes were sent to
    /// connections for them; `None` when the other thread said that this was the last.
    fn serve(&mut self) -> Option<usize> {
        while self.mesh.poll_ready(&mut Context::from_waker(&self.waker)).is_pending() {
            thread::park();
        }
        let mut sent = 0;
        while let Some((from, message)) = self.mesh.receive() {
            if matches!(message, Message::Drained) {
                return None;
            }
            self.shard.on_message(Peer::Shard(ShardId::new(from)), message, NOW);
            sent += self.carry_out();
        }
        self.mesh.flush();
        Some(sent)
    }

    fn carry_out(&mut self) -> usize {
        self.shard.take_effects(&mut self.effects);
        let (list, bytes) = self.effects.drain();
        let sent = bytes.len();
        for effect in list {
            if let Effect::Message { to: Peer::Shard(to), message } = effect {
                self.mesh.send(to.index(), message).expect("room for what is in flight");
            }
        }
        self.effects.clear();
        sent
    }
}

/// Measures the price in a few rounds, each with and without the question.
pub(crate) fn price(directory: &Arc<Directory>) -> Price {
    let hasher = UserHasher::new([11, 22, 33, 44]);
    let mut ends = mesh::<Message>(2, 1024, 1024).into_iter();
    let (here, there) = (ends.next().expect("two ends"), ends.next().expect("two ends"));
    let other = thread::spawn({
        let (directory, hasher) = (Arc::clone(directory), hasher.clone());
        move || {
            threads::pin(1);
            let mut body = Body::new(shard(1, 2, &directory, &hasher), there);
            while body.serve().is_some() {}
        }
    });
    let asking = thread::spawn({
        let directory = Arc::clone(directory);
        move || {
            threads::pin(0);
            measure(Body::new(shard(0, 2, &directory, &hasher), here), &directory, &hasher)
        }
    });
    let price = asking.join().expect("no panic");
    other.join().expect("no panic");
    price
}

fn measure(mut body: Body, directory: &Directory, hasher: &UserHasher) -> Price {
    let conn = |index| ConnId { index, generation: 0 };
    let sessions = u32::try_from(USERS * SESSIONS_PER_USER).expect("a few thousand");
    for index in 0..=sessions {
        body.shard.on_open(conn(index), Scope::All, NOW);
        if index < sessions {
            let n = u64::from(index);
            let mut request = connect_request(&user(user_of(n, USERS * SESSIONS_PER_USER)), n);
            body.on_bytes(conn(index), &mut request);
        }
    }
    let requests: Vec<Vec<u8>> = (0..USERS).map(|n| query_request(&user(n))).collect();
    let mut asker = Asker { body, api: conn(sessions), requests, reply_bytes: 0 };
    asker.reply_bytes = asker.batch(1, 0);
    let [mut loaded_cpu_ns, mut alone_cpu_ns, mut alone_ns] = [const { Vec::new() }; 3];
    let (rounds, queries) = if is_measuring() { (9, 128_000) } else { (1, 640) };
    for _ in 0..rounds {
        let mut cost = || {
            let [_, loaded_cpu] = asker.run(IN_FLIGHT, queries / IN_FLIGHT);
            let [alone, alone_cpu] = asker.run(1, queries / 64);
            [loaded_cpu, alone_cpu, alone]
        };
        let without = cost();
        let users = || (0..USERS).map(|n| hasher.hash(&user(n)));
        users().for_each(|user| directory.add(user, ShardId::new(1)));
        let with = cost();
        users().for_each(|user| directory.remove(user, ShardId::new(1)));
        loaded_cpu_ns.push(with[0] - without[0]);
        alone_cpu_ns.push(with[1] - without[1]);
        alone_ns.push(with[2] - without[2]);
    }
    let Body { mut mesh, shard, .. } = asker.body;
    assert_eq!(shard.counters().gathers_partial, 0, "every question was answered");
    assert!(mesh.send(1, Message::Drained).is_ok(), "room for the last word");
    mesh.flush();
    let [loaded_cpu_ns, alone_cpu_ns, alone_ns] =
        [loaded_cpu_ns, alone_cpu_ns, alone_ns].map(|rounds: Vec<f64>| Spread::of(&rounds));
    Price { loaded_cpu_ns, alone_cpu_ns, alone_ns }
}

/// A backend with one connection.
struct Asker {
    body: Body,
    api: ConnId,
    requests: Vec<Vec<u8>>,
    /// Of one reply: all have one length, because users, versions and meta have.
    reply_bytes: usize,
}

impl Asker {
    /// Puts queries in batches of `together`: nanoseconds until the reply is there, and CPU
    /// nanoseconds of this process, for each. Before one that goes alone there is a rest, so that
    /// the other shard is asleep.
    fn run(&mut self, together: usize, batches: usize) -> [f64; 2] {
        const REST: Duration = Duration::from_micros(100);
        let mut waited = Duration::ZERO;
        let before = process_cpu_ns();
        for batch in 0..batches {
            if together == 1 {
                thread::sleep(REST);
            }
            let start = Instant::now();
            let sent = self.batch(together, batch);
            waited += start.elapsed();
            assert_eq!(sent, self.reply_bytes * together, "every query was answered");
        }
        let cpu = process_cpu_ns() - before;
        let queries = (batches * together) as f64;
        [waited.as_nanos() as f64 / queries, cpu / queries]
    }

    /// One batch for random users, until all its replies are there; their bytes.
    fn batch(&mut self, together: usize, batch: usize) -> usize {
        let mut input = Vec::new();
        for at in 0..together {
            let n = random((batch * together + at) as u64) % USERS;
            input.extend_from_slice(&self.requests[usize::try_from(n).expect("below 1,000")]);
        }
        let mut sent = self.body.on_bytes(self.api, &mut input);
        self.body.mesh.flush();
        while sent < self.reply_bytes * together {
            sent += self.body.serve().expect("only this thread says the last word");
        }
        sent
    }
}

/// Nanoseconds all threads of this process have been on a processor.
fn process_cpu_ns() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux tells");
    threads.map(|thread| threads::cpu_ns(Path::new(&thread.expect("an entry").path()))).sum()
}
