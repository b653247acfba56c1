//! A storm: everybody connects from one instant on, as after a restart, and stays.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;

use super::connect::Prepared;
use super::dial::source;
use super::hold::Holder;
use super::session::Session;
use crate::clock::{Timer, now_ns};
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::orders::{Connects, Stormed};

struct Storm {
    prepared: Prepared,
    /// When it begins.
    at_ns: u64,
    holder: Rc<Holder>,
    /// Connects begun.
    begun: Cell<u32>,
    found: RefCell<Found>,
}

struct Found {
    connects: Connects,
    times: Latencies,
    waits: Latencies,
}

/// Connects all sessions whose tokens are made, as fast as their concurrency allows, each once.
pub(super) async fn run(
    prepared: Prepared,
    at_ns: u64,
    holder: &Rc<Holder>,
) -> Result<Stormed, Failure> {
    Timer::new()?.until(at_ns).await?;
    let lanes = prepared.open.concurrency;
    let found =
        Found { connects: Connects::default(), times: Latencies::new(), waits: Latencies::new() };
    let storm = Rc::new(Storm {
        prepared,
        at_ns,
        holder: Rc::clone(holder),
        begun: Cell::new(0),
        found: RefCell::new(found),
    });
    let lanes: Vec<_> = (0..lanes).map(|_| monoio::spawn(lane(Rc::clone(&storm)))).collect();
    for lane in lanes {
        lane.await;
    }
    Ok(storm.outcome())
}

/// One connect after the other until all have been begun.
async fn lane(storm: Rc<Storm>) {
    while let Some((session, from, token)) = storm.next() {
        let start = now_ns();
        let opened = storm.prepared.door.open(from, token).await;
        let now = now_ns();
        let held = opened.and_then(|opened| {
            let open = &storm.prepared.open;
            let emulation = storm.holder.emulation(open.address);
            Session::new(opened, open.transport, emulation, storm.holder.shared())
        });
        storm.found.borrow_mut().done(held.as_ref().err(), now - start, now - storm.at_ns);
        if let Ok(held) = held {
            storm.holder.adopt(held, session);
        }
    }
}

impl Storm {
    /// The next session, with where it connects from and its token.
    fn next(&self) -> Option<(u32, Option<Ipv4Addr>, &str)> {
        let open = &self.prepared.open;
        let index = self.begun.get();
        let token = self.prepared.tokens.get(index as usize)?;
        self.begun.set(index + 1);
        Some((open.first + index, open.source.map(|first| source(first, index)), token))
    }

    fn outcome(&self) -> Stormed {
        let found = self.found.borrow();
        let connects = Connects {
            begun: self.begun.get().into(),
            times: found.times.buckets(),
            ..found.connects.clone()
        };
        Stormed { connects, waits: found.waits.buckets() }
    }
}

impl Found {
    /// Counts one connect that is over: how long it took, and how long after the begin of the
    /// storm it was in.
    fn done(&mut self, failure: Option<&Failure>, took_ns: u64, waited_ns: u64) {
        if let Some(failure) = failure {
            *self.connects.errors.entry(failure.to_string()).or_default() += 1;
            return;
        }
        self.connects.accepted += 1;
        self.connects.elapsed_ns = waited_ns;
        self.times.record(took_ns);
        self.waits.record(waited_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::OpenOrder;
    use crate::transport::Transport;

    #[test]
    fn every_session_is_begun_once_and_refusals_are_kept_apart() {
        let open = OpenOrder {
            address: "127.0.0.1:1".parse().unwrap(),
            secret: "s".into(),
            transport: Transport::Websocket,
            first: 5,
            end: 8,
            per_user: 3,
            seed: 1,
            concurrency: 2,
            source: Some(Ipv4Addr::new(127, 1, 0, 2)),
        };
        let found = Found {
            connects: Connects::default(),
            times: Latencies::new(),
            waits: Latencies::new(),
        };
        let storm = Storm {
            prepared: Prepared::new(open).unwrap(),
            at_ns: 0,
            holder: Rc::new(Holder::new()),
            begun: Cell::new(0),
            found: RefCell::new(found),
        };
        let sessions: Vec<u32> =
            std::iter::from_fn(|| storm.next()).map(|(session, ..)| session).collect();
        assert_eq!(sessions, [5, 6, 7]);
        storm.found.borrow_mut().done(None, 10, 100);
        storm.found.borrow_mut().done(Some(&Failure::new("refused")), 10, 200);
        let Stormed { connects, waits } = storm.outcome();
        assert_eq!((connects.begun, connects.accepted, connects.elapsed_ns), (3, 1, 100));
        assert_eq!((connects.errors["refused"], waits), (1, vec![(100, 1)]));
    }
}
