//! The directory of users and shards beside one map of another kind, and the question whether it
//! pays to have one at all.
//!
//! `cargo bench --bench directory`. All contenders are full at the same time and take turns in
//! every round; all use the key, a hash already, as it is. Threads are pinned to cores of their
//! own, as shards are. "ns" is what one thread waits for one operation, also where two work.
//!
//! The second part asks what one more shard costs that has nothing to say: two shards on two
//! threads, joined by the real mesh, sockets left out. The first asks the second only because the
//! directory was told too much.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads clocks")]
#![expect(clippy::disallowed_types, reason = "a lock is one of the rivals")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::hint::black_box;
use std::sync::{Arc, Barrier, RwLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use rollcall::ids::{ShardId, UserHash};
use rollcall::shard::directory::{AlreadyHashed, Directory};

use harness::asking::{self, IN_FLIGHT, Price};
use harness::mode::is_measuring;
use harness::random::random;
use harness::spread::Spread;
use harness::threads::pin;

mod harness {
    pub(crate) mod asking;
    pub(crate) mod credentials;
    pub(crate) mod deal;
    pub(crate) mod limits;
    pub(crate) mod machine;
    pub(crate) mod mode;
    pub(crate) mod node;
    pub(crate) mod random;
    pub(crate) mod spread;
    pub(crate) mod threads;
    pub(crate) mod token;
    pub(crate) mod users;
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a directory does.
trait Map: Send + Sync {
    fn add(&self, user: u64, shard: ShardId);
    fn remove(&self, user: u64, shard: ShardId);
    fn shards(&self, user: u64) -> u64;
}

impl Map for Directory {
    fn add(&self, user: u64, shard: ShardId) {
        self.add(UserHash(user), shard);
    }

    fn remove(&self, user: u64, shard: ShardId) {
        self.remove(UserHash(user), shard);
    }

    fn shards(&self, user: u64) -> u64 {
        self.shards(UserHash(user))
    }
}

type Keyed = BuildHasherDefault<AlreadyHashed>;

impl Map for papaya::HashMap<u64, u64, Keyed> {
    fn add(&self, user: u64, shard: ShardId) {
        self.pin().update_or_insert(user, |mask| mask | shard.bit(), shard.bit());
    }

    fn remove(&self, user: u64, shard: ShardId) {
        self.pin().compute(user, |entry| match entry.map(|(_, mask)| mask & !shard.bit()) {
            None => papaya::Operation::Abort(()),
            Some(0) => papaya::Operation::Remove,
            Some(rest) => papaya::Operation::Insert(rest),
        });
    }

    fn shards(&self, user: u64) -> u64 {
        self.pin().get(&user).copied().unwrap_or(0)
    }
}

impl Map for DashMap<u64, u64, Keyed> {
    fn add(&self, user: u64, shard: ShardId) {
        *self.entry(user).or_insert(0) |= shard.bit();
    }

    fn remove(&self, user: u64, shard: ShardId) {
        if let dashmap::Entry::Occupied(mut entry) = self.entry(user) {
            *entry.get_mut() &= !shard.bit();
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn shards(&self, user: u64) -> u64 {
        self.get(&user).map_or(0, |mask| *mask)
    }
}

impl Map for RwLock<HashMap<u64, u64, Keyed>> {
    fn add(&self, user: u64, shard: ShardId) {
        *self.write().expect("not poisoned").entry(user).or_insert(0) |= shard.bit();
    }

    fn remove(&self, user: u64, shard: ShardId) {
        let mut map = self.write().expect("not poisoned");
        if let std::collections::hash_map::Entry::Occupied(mut entry) = map.entry(user) {
            *entry.get_mut() &= !shard.bit();
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn shards(&self, user: u64) -> u64 {
        self.read().expect("not poisoned").get(&user).copied().unwrap_or(0)
    }
}

type Contender = (&'static str, fn() -> Box<dyn Map>);

const CONTENDERS: [Contender; 5] = [
    ("directory: papaya, 256 parts, blocking", || Box::new(Directory::new())),
    ("papaya, one map, its defaults", || {
        Box::new(papaya::HashMap::<u64, u64, Keyed>::with_hasher(Keyed::default()))
    }),
    ("papaya, one map, blocking", || {
        Box::new(
            papaya::HashMap::<u64, u64>::builder()
                .hasher(Keyed::default())
                .resize_mode(papaya::ResizeMode::Blocking)
                .build(),
        )
    }),
    ("DashMap", || Box::new(DashMap::<u64, u64, Keyed>::default())),
    ("RwLock<HashMap>", || Box::new(RwLock::<HashMap<u64, u64, Keyed>>::default())),
];

/// Users of one thread: a window over an endless list of random keys, which moves as users leave
/// and come.
struct Window {
    shard: ShardId,
    /// A list of its own per shard: the high half of the number of each key.
    list: u64,
    first: u64,
    users: u64,
}

impl Window {
    fn new(thread: usize, users: u64) -> Self {
        Self { shard: ShardId::new(thread), list: (thread as u64) << 40, first: 0, users }
    }

    fn key(&self, n: u64) -> u64 {
        random(self.list + n)
    }

    /// Nanoseconds per user added, and the longest time eight of them took.
    fn fill(&self, map: &dyn Map) -> [f64; 2] {
        const CHUNK: u64 = 8;
        let start = Instant::now();
        let (mut last, mut longest) = (start, Duration::ZERO);
        for chunk in 0..self.users / CHUNK {
            for n in chunk * CHUNK..(chunk + 1) * CHUNK {
                // Not in the order in which they will leave.
                map.add(self.key(n.wrapping_mul(1_000_003) % self.users), self.shard);
            }
            let now = Instant::now();
            longest = longest.max(now - last);
            last = now;
        }
        [(last - start).as_nanos() as f64 / self.users as f64, longest.as_secs_f64() * 1e3]
    }

    /// Lookups of random users of this window: nanoseconds of one.
    fn look_up(&mut self, map: &dyn Map, for_ms: u64) -> f64 {
        let mut asked = 0;
        timed(for_ms, || {
            asked += 1;
            let user = self.key(self.first + random(asked) % self.users);
            debug_assert_ne!(map.shards(user), 0, "it was added");
            black_box(map.shards(user));
        })
    }

    /// One user's last session ends, another's first begins: nanoseconds of both together.
    fn churn(&mut self, map: &dyn Map, for_ms: u64) -> f64 {
        timed(for_ms, || {
            map.remove(self.key(self.first), self.shard);
            map.add(self.key(self.first + self.users), self.shard);
            self.first += 1;
        })
    }
}

/// Repeats `once` for so long; nanoseconds of one time.
fn timed(for_ms: u64, mut once: impl FnMut()) -> f64 {
    const BETWEEN_LOOKS: u32 = 512;
    let start = Instant::now();
    let mut times = 0;
    loop {
        for _ in 0..BETWEEN_LOOKS {
            once();
        }
        times += BETWEEN_LOOKS;
        let elapsed = start.elapsed();
        if elapsed >= Duration::from_millis(for_ms) {
            return elapsed.as_nanos() as f64 / f64::from(times);
        }
    }
}

/// Runs `work` on a thread for each window, all starting together.
fn together<T: Send>(windows: &mut [Window], work: impl Fn(&mut Window) -> T + Sync) -> Vec<T> {
    let barrier = &Barrier::new(windows.len());
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = windows
            .iter_mut()
            .enumerate()
            .map(|(core, window)| {
                scope.spawn(move || {
                    pin(core);
                    barrier.wait();
                    work(window)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

const COLUMNS: [&str; 8] = [
    "add, one thread: ns",
    "add, two threads: ns",
    "add, two threads: longest stop of one, ms",
    "lookup, one thread: ns",
    "lookup, two threads: ns",
    "lookup, while another thread removes and adds: ns",
    "remove one, add another, one thread: ns",
    "remove one, add another, two threads: ns",
];

/// One contender with what was measured of it, by column.
struct Measured {
    name: &'static str,
    map: Box<dyn Map>,
    windows: [Window; 2],
    columns: [Vec<f64>; COLUMNS.len()],
}

/// What the directory costs each of two threads, in nanoseconds.
#[derive(Clone, Copy)]
struct Costs {
    lookup_ns: f64,
    /// A user's first session and its last.
    stay_ns: f64,
}

/// Fills all contenders, measures them in turns, prints the tables.
fn compare(users: u64, fills: usize, rounds: usize, for_ms: u64) -> Costs {
    let mut all: Vec<Measured> = Vec::new();
    for (name, make) in CONTENDERS {
        let mut columns: [Vec<f64>; COLUMNS.len()] = Default::default();
        let mut map = make();
        for _ in 0..fills {
            map = make();
            let mut alone = [Window::new(0, users)];
            columns[0].extend(together(&mut alone, |w| w.fill(&*map)).iter().map(|[ns, _]| ns));
            map = make();
            let mut windows = [0, 1].map(|thread| Window::new(thread, users / 2));
            let filled = together(&mut windows, |window| window.fill(&*map));
            columns[1].push(mean(filled.iter().map(|[ns, _]| *ns)));
            columns[2].push(filled.iter().map(|[_, longest]| *longest).fold(0.0, f64::max));
        }
        let windows = [0, 1].map(|thread| Window::new(thread, users / 2));
        all.push(Measured { name, map, windows, columns });
    }
    for _ in 0..rounds {
        for Measured { map, windows, columns, .. } in &mut all {
            let map = &**map;
            for (threads, lookup, churn) in [(1, 3, 6), (2, 4, 7)] {
                let found = together(&mut windows[..threads], |w| w.look_up(map, for_ms));
                columns[lookup].push(mean(found.into_iter()));
                let moved = together(&mut windows[..threads], |w| w.churn(map, for_ms));
                columns[churn].push(mean(moved.into_iter()));
            }
            let mixed = together(windows, |window| match window.shard.index() {
                0 => window.look_up(map, for_ms),
                _ => window.churn(map, for_ms),
            });
            columns[5].push(mixed[0]);
        }
    }
    println!(
        "\n{users} users; median [lowest … highest] of {fills} fills and {rounds} rounds, ratio \
         to the first line"
    );
    for (at, column) in COLUMNS.iter().enumerate() {
        println!("  {column}");
        let base = Spread::of(&all[0].columns[at]).median;
        for Measured { name, columns, .. } in &all {
            let spread = Spread::of(&columns[at]);
            println!("    {name:<40} {spread}  ×{:.2}", spread.median / base);
        }
    }
    let of = |column: usize| Spread::of(&all[0].columns[column]).median;
    Costs { lookup_ns: of(4), stay_ns: of(7) }
}

/// From how many shards on the directory costs less than asking everybody.
fn decide(Costs { lookup_ns, stay_ns }: Costs, ask: &Price) {
    println!("\nwhat one more shard costs that has nothing to say, both shards together");
    println!("  {IN_FLIGHT} questions in flight");
    println!("    CPU, ns      {:.0}", ask.loaded_cpu_ns);
    println!("  one question at a time, the other shard asleep");
    println!("    CPU, ns      {:.0}", ask.alone_cpu_ns);
    println!("    latency, ns  {:.0}", ask.alone_ns);
    let ask_ns = ask.loaded_cpu_ns.median;
    println!(
        "\nCPU of a query without the directory: shards asked in vain × {ask_ns:.0} ns; with it: \
         {lookup_ns:.0} ns for the lookup,\nand {stay_ns:.0} ns once for a user's first and last \
         session. In brackets: queries per stay of a user that pay for that"
    );
    println!("  shards    no session      1 session       3 sessions");
    let mut pays_from = [[None; 2]; 3];
    for shards in [2_i32, 3, 4, 6, 8, 16, 32, 64] {
        print!("  {shards:>6}");
        for (pays, sessions) in pays_from.iter_mut().zip([0, 1, 3]) {
            // Sessions are where the kernel put them: each other shard holds none of them with
            // the same chance. The shard that is asked by the backend answers in any case.
            let others = f64::from(shards - 1);
            let vain_ns = others * (1.0 - 1.0 / f64::from(shards)).powi(sessions) * ask_ns;
            let gain_ns = vain_ns - lookup_ns;
            // A user without a session has no first and no last one.
            let stay_ns = if sessions == 0 { 0.0 } else { stay_ns };
            if gain_ns > 0.0 {
                pays[0].get_or_insert(shards);
                print!("{vain_ns:>10.0} ({:>3.0})", (stay_ns / gain_ns).ceil());
            } else {
                print!("{vain_ns:>10.0} (  -)");
            }
            if gain_ns > stay_ns {
                pays[1].get_or_insert(shards);
            }
        }
        println!();
    }
    let [none, one, three] = pays_from.map(|from| {
        from.map(|from| from.map_or("no number of".to_owned(), |from| from.to_string()))
    });
    println!(
        "between busy shards a lookup costs less than the questions it saves from {} shards on \
         for users with no session, {} for one session, {} for three;\nits upkeep too, with a \
         single query per stay, from {} for one session, {} for three. When the others sleep, a \
         question in vain\ncosts as much CPU as {:.0} lookups, and the reply waits for it",
        none[0],
        one[0],
        three[0],
        one[1],
        three[1],
        ask.alone_cpu_ns.median / lookup_ns
    );
}

fn main() {
    let costs = if is_measuring() {
        compare(1_000_000, 3, 5, 150);
        compare(10_000_000, 1, 5, 150)
    } else {
        compare(10_000, 1, 1, 1)
    };
    decide(costs, &asking::price(&Arc::new(Directory::new())));
}
