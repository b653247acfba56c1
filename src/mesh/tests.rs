//! The mesh with real threads and with wakers that count: order, loss, room, turns, and ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use proptest::prelude::*;

use super::endpoint::TURN_MESSAGES;
use super::{Endpoint, Full, mesh};

/// Counts how often it was woken.
#[derive(Default)]
struct Rung(AtomicUsize);

impl Wake for Rung {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Rung {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

fn poll<M>(endpoint: &mut Endpoint<M>, rung: &Arc<Rung>) -> Poll<()> {
    let waker = Waker::from(Arc::clone(rung));
    endpoint.poll_ready(&mut Context::from_waker(&waker))
}

fn pair(ring_slots: usize, overflow_max: usize) -> (Endpoint<usize>, Endpoint<usize>) {
    let mut endpoints = mesh(2, ring_slots, overflow_max);
    let second = endpoints.pop().unwrap();
    (endpoints.pop().unwrap(), second)
}

fn received(endpoint: &mut Endpoint<usize>) -> Vec<usize> {
    std::iter::from_fn(|| endpoint.receive()).map(|(_, message)| message).collect()
}

#[test]
fn a_sleeper_is_woken_once_per_flush_and_not_before() {
    let (mut a, mut b) = pair(8, 0);
    let rung = Arc::new(Rung::default());
    assert!(poll(&mut b, &rung).is_pending());
    a.send(1, 1).unwrap();
    a.send(1, 2).unwrap();
    assert_eq!(rung.take(), 0, "not before the batch is whole");
    a.flush();
    a.flush();
    assert_eq!(rung.take(), 1);
    a.send(1, 3).unwrap();
    a.flush();
    assert_eq!(rung.take(), 0, "it has been woken and has not gone to sleep again");
    assert!(poll(&mut b, &rung).is_ready());
    assert_eq!(received(&mut b), [1, 2, 3]);
    assert!(poll(&mut b, &rung).is_pending());
}

#[test]
fn what_the_ring_cannot_take_waits_in_order_and_beyond_that_is_given_back() {
    let (mut a, mut b) = pair(2, 3);
    for message in 0..5 {
        a.send(1, message).unwrap();
    }
    assert_eq!((a.send(1, 5), a.waiting()), (Err(Full(5)), 3));
    assert_eq!(received(&mut b), [0, 1]);
    a.send(1, 6).expect("it moves what waits before it refuses");
    a.flush();
    assert_eq!(received(&mut b), [2, 3]);
    a.flush();
    assert_eq!(received(&mut b), [4, 6]);
    assert_eq!(a.waiting(), 0);
}

#[test]
fn room_wakes_the_sender_and_makes_it_ready() {
    let (mut a, mut b) = pair(1, 9);
    let (rung_a, rung_b) = (Arc::new(Rung::default()), Arc::new(Rung::default()));
    for message in 0..3 {
        a.send(1, message).unwrap();
    }
    assert!(poll(&mut a, &rung_a).is_pending());
    for message in 0..3 {
        let more = message < 2;
        assert!(poll(&mut b, &rung_b).is_ready());
        assert_eq!(received(&mut b), [message]);
        assert_eq!(rung_a.take(), usize::from(more), "only while something waits");
        assert!(poll(&mut b, &rung_b).is_pending());
        assert_eq!(poll(&mut a, &rung_a).is_ready(), more);
        assert_eq!((rung_b.take(), a.waiting()), (usize::from(more), 1 - message.min(1)));
        assert!(poll(&mut a, &rung_a).is_pending());
    }
}

#[test]
fn a_chatty_peer_takes_turns_with_the_others() {
    let mut endpoints = mesh::<usize>(3, 256, 0);
    for message in 0..200 {
        endpoints[1].send(0, message).unwrap();
    }
    endpoints[2].send(0, 7).unwrap();
    let first: Vec<usize> =
        (0..=TURN_MESSAGES).map(|_| endpoints[0].receive().unwrap().0).collect();
    assert!(first.contains(&2), "heard within one turn: {first:?}");
    let rest = std::iter::from_fn(|| endpoints[0].receive()).count();
    assert_eq!(first.len() + rest, 201);
}

#[test]
fn a_peer_that_has_gone_refuses_and_what_it_said_still_arrives() {
    let (mut a, mut b) = pair(2, 9);
    let rung = Arc::new(Rung::default());
    for message in 0..4 {
        a.send(1, message).unwrap();
    }
    assert!(poll(&mut a, &rung).is_pending());
    b.send(0, 9).unwrap();
    drop(b);
    assert_ne!(rung.take(), 0, "nobody will make room any more");
    assert!(poll(&mut a, &rung).is_ready());
    assert_eq!((received(&mut a), a.waiting()), (vec![9], 0));
    assert_eq!(a.send(1, 4), Err(Full(4)));
    a.flush();
    assert!(poll(&mut a, &rung).is_pending());
}

#[test]
fn a_mesh_of_one_has_nobody_to_talk_to() {
    let mut only = mesh::<usize>(1, 1, 1).pop().unwrap();
    assert_eq!((only.index(), only.peers(), only.receive()), (0, 1, None));
    only.flush();
    assert!(poll(&mut only, &Arc::default()).is_pending());
}

proptest! {
    /// Tasks run only when they were woken, as in a runtime. Whatever was done in whatever
    /// order, when all sleep everything accepted has arrived.
    #[test]
    fn when_all_sleep_everything_has_arrived(
        ring_slots in 1usize..4,
        overflow_max in 0usize..6,
        steps in prop::collection::vec((0usize..3, 0usize..4, 1usize..8), 1..120),
    ) {
        let mut endpoints = mesh::<usize>(3, ring_slots, overflow_max);
        let rung: Vec<Arc<Rung>> = (0..3).map(|_| Arc::default()).collect();
        let mut sent: Vec<VecDeque<usize>> = vec![VecDeque::new(); 9];
        let mut number = 0;
        for (at, what, count) in steps {
            for _ in 0..count {
                match what {
                    0 | 1 => {
                        number += 1;
                        let to = (at + 1 + what) % 3;
                        if endpoints[at].send(to, number).is_ok() {
                            sent[at * 3 + to].push_back(number);
                        }
                    }
                    2 => if let Some((from, message)) = endpoints[at].receive() {
                        prop_assert_eq!(sent[from * 3 + at].pop_front(), Some(message));
                    }
                    _ => { let _ready = poll(&mut endpoints[at], &rung[at]); }
                }
            }
            // Every batch ends with a flush; the tasks themselves stay where they are.
            endpoints[at].flush();
        }
        // Each task is polled once more, then only when it is woken or has not slept.
        let mut runnable = vec![0, 1, 2];
        while let Some(at) = runnable.pop() {
            while poll(&mut endpoints[at], &rung[at]).is_ready() {
                while let Some((from, message)) = endpoints[at].receive() {
                    prop_assert_eq!(sent[from * 3 + at].pop_front(), Some(message));
                }
                endpoints[at].flush();
            }
            runnable.extend((0..3).filter(|at| rung[*at].take() > 0));
        }
        prop_assert!(sent.iter().all(VecDeque::is_empty), "{:?}", sent);
    }
}

/// Sleeps as a runtime's thread would; a wake-up that does not come fails the test.
fn block_on<M>(endpoint: &mut Endpoint<M>) {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut idle = 0;
    while endpoint.poll_ready(&mut Context::from_waker(&waker)).is_pending() {
        std::thread::park_timeout(Duration::from_millis(100));
        idle += 1;
        assert!(idle < 100, "it slept for ever, or was woken for nothing again and again");
    }
}

/// Sends `count` numbers to everyone else in batches of uneven size and receives as many.
fn chat(mut endpoint: Endpoint<usize>, count: usize) -> Endpoint<usize> {
    let (own, peers) = (endpoint.index(), endpoint.peers());
    let mut next_out = vec![0; peers];
    let mut next_in = vec![0; peers];
    let done = |next: &[usize]| next.iter().enumerate().all(|(at, n)| at == own || *n == count);
    let mut batch = own + 1;
    loop {
        batch = batch * 7 % 31 + 1;
        for to in (0..peers).filter(|to| *to != own) {
            for _ in 0..batch.min(count - next_out[to]) {
                if endpoint.send(to, next_out[to]).is_err() {
                    break;
                }
                next_out[to] += 1;
            }
        }
        for _ in 0..batch {
            let Some((from, message)) = endpoint.receive() else { break };
            assert_eq!(message, next_in[from], "from {from} to {own}");
            next_in[from] += 1;
        }
        endpoint.flush();
        if done(&next_out) && done(&next_in) && endpoint.waiting() == 0 {
            return endpoint;
        }
        // Nothing left to say, or no room for it: sleep until there is something to do.
        if done(&next_out) || endpoint.waiting() > 0 {
            block_on(&mut endpoint);
        }
    }
}

#[test]
fn nothing_is_lost_doubled_or_reordered_between_real_threads() {
    for (peers, ring_slots, overflow_max, count) in
        [(2, 1, 1, 20_000), (2, 64, 64, 100_000), (3, 2, 5, 10_000), (4, 7, 1, 5_000)]
    {
        std::thread::scope(|scope| {
            let threads: Vec<_> = mesh(peers, ring_slots, overflow_max)
                .into_iter()
                .map(|endpoint| scope.spawn(move || chat(endpoint, count)))
                .collect();
            // An endpoint lives until all are done: whoever is dropped is not read any more.
            let ends: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert!(ends.iter().all(|endpoint| endpoint.waiting() == 0));
        });
    }
}
