//! Clients that do not do their part, each kind in its own file; what became of each.

mod handshake;
mod reader;
mod silent;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

use super::control::Control;
use super::dial::{Goodbye, source};
use super::open::Door;
use super::word::Word;
use crate::clock::{NS_PER_S, Timer, now_ns};
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::orders::{Reply, Slow, SlowOrder, Slowed};
use crate::population::Mint;

/// How much longer those are waited for that have not been cut in time: a machine may be busy.
const PATIENCE_NS: u64 = 20 * NS_PER_S;

/// Between two looks at whether anybody is left.
const LOOK_NS: u64 = 20_000_000;

/// Has all clients connect, then be slow until the time is over.
pub(super) async fn run(
    order: SlowOrder,
    control: &mut Control,
) -> Result<BTreeMap<Slow, Slowed>, Failure> {
    let duration_ns = order.duration_s * NS_PER_S;
    let clients = Rc::new(Clients::new(order));
    let begin = Word::default();
    let mut coming = Vec::new();
    for index in 0..clients.kinds() * clients.order.count {
        let client = Client { index, clients: Rc::clone(&clients), begin: begin.clone() };
        coming.push(monoio::spawn(client.connect()));
    }
    for client in coming {
        client.await?;
    }
    control.send(&Reply::Measuring).await?;
    begin.say();
    let timer = Timer::new()?;
    let end_ns = now_ns() + duration_ns;
    timer.until(end_ns).await?;
    while clients.is_anybody_left() && now_ns() < end_ns + PATIENCE_NS {
        timer.until(now_ns() + LOOK_NS).await?;
    }
    Ok(clients.outcome())
}

/// What all of them have in common.
struct Clients {
    order: SlowOrder,
    mint: Mint,
    door: Door,
    outcome: RefCell<BTreeMap<Slow, (Slowed, Latencies)>>,
}

/// One of them.
struct Client {
    index: u32,
    clients: Rc<Clients>,
    /// Said when all are there.
    begin: Word,
}

impl Clients {
    fn new(order: SlowOrder) -> Self {
        let open = &order.open;
        let begun = || Slowed { begun: order.count.into(), ..Slowed::default() };
        let kinds = order.kinds.iter().map(|kind| (*kind, (begun(), Latencies::new())));
        Self {
            mint: Mint::new(&open.secret, open.per_user, open.seed, crate::clock::unix_s()),
            door: Door::new(open.address, open.transport, Goodbye::Reset),
            outcome: RefCell::new(kinds.collect()),
            order,
        }
    }

    fn kinds(&self) -> u32 {
        u32::try_from(self.order.kinds.len()).expect("few kinds")
    }

    /// One has seen its end, this long after it began to be slow.
    fn cut(&self, kind: Slow, seen: String, after_ns: u64) {
        let mut outcome = self.outcome.borrow_mut();
        let (slowed, times) = outcome.get_mut(&kind).expect("only asked kinds connect");
        *slowed.seen.entry(seen).or_default() += 1;
        times.record(after_ns);
    }

    fn is_anybody_left(&self) -> bool {
        let is_left = |(slowed, times): &(Slowed, Latencies)| times.count() < slowed.begun;
        self.outcome.borrow().values().any(is_left)
    }

    fn outcome(&self) -> BTreeMap<Slow, Slowed> {
        let outcome = self.outcome.borrow();
        let told = |(kind, (slowed, times)): (&Slow, &(Slowed, Latencies))| {
            (*kind, Slowed { times: times.buckets(), ..slowed.clone() })
        };
        outcome.iter().map(told).collect()
    }
}

impl Client {
    /// Comes as far as its kind does, and goes on slowly by itself.
    async fn connect(self) -> Result<(), Failure> {
        let kinds = &self.clients.order.kinds;
        match kinds[(self.index % self.clients.kinds()) as usize] {
            Slow::Reader => reader::connect(self).await,
            Slow::Handshake => handshake::connect(self).await,
            Slow::Pong => silent::connect(self).await,
        }
    }

    fn from(&self) -> Option<Ipv4Addr> {
        self.clients.order.open.source.map(|first| source(first, self.index))
    }

    /// Its place among all of them, from 0 to 999.
    fn share_per_mille(&self) -> u64 {
        let all = self.clients.kinds() * self.clients.order.count;
        u64::from(self.index) * 1_000 / u64::from(all)
    }

    /// The number of the user all of them are.
    fn user(&self) -> u32 {
        let open = &self.clients.order.open;
        open.first / open.per_user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::OpenOrder;
    use crate::transport::Transport;

    #[test]
    fn what_became_of_each_kind_is_kept_apart() {
        let open = OpenOrder {
            address: "127.0.0.1:1".parse().unwrap(),
            transport: Transport::Websocket,
            secret: "s".into(),
            first: 600,
            end: 800,
            per_user: 200,
            seed: 1,
            concurrency: 1,
            source: None,
        };
        let kinds = vec![Slow::Reader, Slow::Pong];
        let clients = Rc::new(Clients::new(SlowOrder {
            open,
            count: 2,
            kinds,
            ask_every_ms: 20,
            duration_s: 1,
        }));
        clients.cut(Slow::Reader, "reset".into(), 5);
        clients.cut(Slow::Reader, "reset".into(), 7);
        assert!(clients.is_anybody_left(), "two others");
        let outcome = clients.outcome();
        assert_eq!((outcome[&Slow::Reader].seen["reset"], outcome[&Slow::Reader].begun), (2, 2));
        assert_eq!(outcome[&Slow::Reader].times, [(5, 1), (7, 1)]);
        assert_eq!(outcome[&Slow::Pong], Slowed { begun: 2, ..Slowed::default() });
        let client = Client { index: 0, clients, begin: Word::default() };
        assert_eq!((client.user(), client.share_per_mille()), (3, 0));
    }
}
