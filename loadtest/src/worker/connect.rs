//! A closed loop of connects: as many as asked are in flight at any time, each session is closed
//! once accepted, or once enough newer ones are open.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::control::Control;
use super::dial::{Goodbye, source};
use super::open::{Door, Opened};
use crate::clock::{NS_PER_S, Timer, now_ns};
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::orders::{ConnectOrder, Connects, OpenOrder, Reply};
use crate::population::Mint;

/// A load whose tokens are made: what signing costs the harness is not part of a connect.
pub(super) struct Prepared {
    pub(super) open: OpenOrder,
    pub(super) door: Door,
    pub(super) tokens: Vec<String>,
}

impl Prepared {
    pub(super) fn new(open: OpenOrder) -> Result<Self, Failure> {
        let mint = Mint::new(&open.secret, open.per_user, open.seed, crate::clock::unix_s());
        let tokens = (open.first..open.end).map(|session| mint.token(session));
        let tokens = tokens.collect::<Result<_, _>>()?;
        // What ends by a reset leaves no port in TIME-WAIT: there are too few for this pace.
        let door = Door::new(open.address, open.transport, Goodbye::Reset);
        Ok(Self { open, door, tokens })
    }
}

/// Connects for as long as was asked, saying when the lead is over.
pub(super) async fn run(
    prepared: Prepared,
    order: ConnectOrder,
    control: &mut Control,
) -> Result<Connects, Failure> {
    let timer = Timer::new()?;
    let load = Rc::new(Load::new(prepared, order, now_ns()));
    let lanes: Vec<_> = (0..load.prepared.open.concurrency)
        .map(|_| monoio::spawn(lane(Rc::clone(&load))))
        .collect();
    let done = || load.found.borrow().per_second.total();
    control.telling(done, timer.until(load.counts_ns)).await?;
    control.send(&Reply::Measuring).await?;
    let rest = async {
        for lane in lanes {
            lane.await;
        }
        Ok(())
    };
    control.telling(done, rest).await?;
    Ok(load.outcome())
}

struct Load {
    prepared: Prepared,
    /// Sessions kept open.
    keep: usize,
    begin_ns: u64,
    /// What is accepted from then on counts.
    counts_ns: u64,
    /// Nothing is begun from then on.
    end_ns: u64,
    /// How many connects have been begun.
    begun: Cell<u32>,
    /// Sessions not closed yet, oldest first.
    kept: RefCell<VecDeque<Opened>>,
    found: RefCell<Connects>,
    times: RefCell<Latencies>,
}

impl Load {
    fn new(prepared: Prepared, order: ConnectOrder, now: u64) -> Self {
        let counts_ns = now + order.lead_s * NS_PER_S;
        Self {
            begin_ns: now,
            counts_ns,
            end_ns: counts_ns + order.duration_s * NS_PER_S,
            begun: Cell::new(0),
            kept: RefCell::default(),
            found: RefCell::default(),
            times: RefCell::new(Latencies::new()),
            keep: order.keep as usize,
            prepared,
        }
    }

    /// The number of the next connect.
    fn begin(&self) -> u32 {
        let index = self.begun.get();
        // Repeating numbers after four thousand million only repeats source addresses.
        self.begun.set(index.wrapping_add(1));
        index
    }

    fn token(&self, index: u32) -> &str {
        let tokens = &self.prepared.tokens;
        &tokens[index as usize % tokens.len()]
    }

    /// Counts one connect that is over.
    fn done(&self, opened: Result<Opened, Failure>, start: u64, now: u64) {
        let mut found = self.found.borrow_mut();
        match opened {
            Ok(opened) => {
                found.per_second.count(now - self.begin_ns);
                if now >= self.counts_ns {
                    found.accepted += 1;
                    found.elapsed_ns = now - self.counts_ns;
                    self.times.borrow_mut().record(now - start);
                }
                let mut kept = self.kept.borrow_mut();
                kept.push_back(opened);
                if kept.len() > self.keep {
                    kept.pop_front();
                }
            }
            Err(failure) => *found.errors.entry(failure.to_string()).or_default() += 1,
        }
    }

    fn outcome(&self) -> Connects {
        Connects {
            begun: self.begun.get().into(),
            times: self.times.borrow().buckets(),
            ..self.found.borrow().clone()
        }
    }
}

/// One connect after the other.
async fn lane(load: Rc<Load>) {
    loop {
        let start = now_ns();
        if start >= load.end_ns {
            return;
        }
        let index = load.begin();
        let from = load.prepared.open.source.map(|first| source(first, index));
        let opened = load.prepared.door.open(from, load.token(index)).await;
        load.done(opened, start, now_ns());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Transport;

    fn load() -> Load {
        let open = OpenOrder {
            address: "127.0.0.1:1".parse().unwrap(),
            secret: "s".into(),
            transport: Transport::Websocket,
            first: 5,
            end: 8,
            per_user: 3,
            seed: 1,
            concurrency: 2,
            source: None,
        };
        let order = ConnectOrder { lead_s: 1, duration_s: 2, keep: 0 };
        Load::new(Prepared::new(open).unwrap(), order, 0)
    }

    #[test]
    fn tokens_are_made_before_and_used_in_turn() {
        let load = load();
        assert_eq!(load.prepared.tokens.len(), 3);
        let used: Vec<_> = (0..4).map(|_| load.token(load.begin()).to_owned()).collect();
        assert_eq!(used[0], used[3]);
        assert_ne!(used[0], used[1]);
        assert_eq!(load.outcome().begun, 4);
    }

    #[test]
    fn failed_connects_are_no_part_of_a_second() {
        let load = load();
        load.done(Err(Failure::new("refused")), 0, NS_PER_S);
        assert_eq!(load.outcome().per_second.line("", 0.0, 2).points, [(0.5, 0.0), (1.5, 0.0)]);
    }

    #[test]
    fn a_connect_that_fails_is_counted_by_what_was_seen() {
        let load = load();
        load.done(Err(Failure::new("refused")), 0, 1);
        let outcome = load.outcome();
        assert_eq!((outcome.accepted, outcome.errors["refused"]), (0, 1));
        assert!(outcome.times.is_empty());
        assert_eq!((load.counts_ns, load.end_ns), (NS_PER_S, 3 * NS_PER_S));
    }
}
