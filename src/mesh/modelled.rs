//! The mesh in every interleaving: the same source files, compiled against the model checker's
//! atomics, fences and tasks, and a ring that has nothing but its two indices.
//!
//! The ring itself is not what is tested here (it is `rtrb`'s): only what its indices publish,
//! in the orderings `rtrb` uses, is modelled.

#[expect(clippy::duplicate_mod, reason = "it is the very file that is tested")]
#[path = "doorbell.rs"]
mod doorbell;
#[expect(clippy::duplicate_mod, reason = "it is the very file that is tested")]
#[path = "endpoint.rs"]
mod endpoint;
#[expect(clippy::duplicate_mod, reason = "it is the very file that is tested")]
#[path = "lane.rs"]
mod lane;

use std::task::Poll;

use endpoint::{Endpoint, mesh};
use loom::future::block_on;

mod sync {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::task::Waker;

    use loom::sync::Mutex;
    use loom::sync::atomic::AtomicUsize;

    pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};

    /// One waker, registered and taken in one order, as `atomic_waker` does it.
    #[derive(Debug, Default)]
    pub(super) struct AtomicWaker(Mutex<Option<Waker>>);

    impl AtomicWaker {
        pub(super) fn register(&self, waker: &Waker) {
            *self.0.lock().unwrap() = Some(waker.clone());
        }

        pub(super) fn wake(&self) {
            let waker = self.0.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    #[derive(Debug)]
    struct Ring<M> {
        /// The checker runs its threads one at a time: no one else is in here.
        messages: RefCell<VecDeque<M>>,
        slots: usize,
        head: AtomicUsize,
        tail: AtomicUsize,
        abandoned: AtomicBool,
    }

    #[derive(Debug)]
    pub(super) struct Producer<M>(Arc<Ring<M>>);
    #[derive(Debug)]
    pub(super) struct Consumer<M>(Arc<Ring<M>>);

    pub(super) fn ring<M>(slots: usize) -> (Producer<M>, Consumer<M>) {
        let ring = Arc::new(Ring {
            messages: RefCell::default(),
            slots,
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        });
        (Producer(Arc::clone(&ring)), Consumer(ring))
    }

    impl<M> Producer<M> {
        pub(super) fn is_full(&self) -> bool {
            let tail = self.0.tail.load(Ordering::Relaxed);
            tail - self.0.head.load(Ordering::Acquire) == self.0.slots
        }

        pub(super) fn is_abandoned(&self) -> bool {
            self.0.abandoned.load(Ordering::Acquire)
        }

        pub(super) fn push(&mut self, message: M) -> Result<(), M> {
            if self.is_full() {
                return Err(message);
            }
            self.0.messages.borrow_mut().push_back(message);
            let tail = self.0.tail.load(Ordering::Relaxed);
            self.0.tail.store(tail + 1, Ordering::Release);
            Ok(())
        }
    }

    impl<M> Consumer<M> {
        pub(super) fn is_empty(&self) -> bool {
            self.0.head.load(Ordering::Relaxed) == self.0.tail.load(Ordering::Acquire)
        }

        pub(super) fn pop(&mut self) -> Result<M, ()> {
            if self.is_empty() {
                return Err(());
            }
            let message = self.0.messages.borrow_mut().pop_front().expect("published");
            let head = self.0.head.load(Ordering::Relaxed);
            self.0.head.store(head + 1, Ordering::Release);
            Ok(message)
        }
    }

    impl<M> Drop for Consumer<M> {
        fn drop(&mut self) {
            self.0.abandoned.store(true, Ordering::Release);
        }
    }
}

/// Runs two endpoints, each on a thread of its own, in every interleaving with at most this many
/// preemptions. A thread that sleeps for ever fails the test.
fn check(
    (ring_slots, overflow_max, preemptions): (usize, usize, usize),
    first: fn(Endpoint<usize>),
    second: fn(Endpoint<usize>),
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let mut endpoints = mesh(2, ring_slots, overflow_max);
        let theirs = endpoints.pop().expect("two endpoints");
        let ours = endpoints.pop().expect("two endpoints");
        let thread = loom::thread::spawn(move || second(theirs));
        first(ours);
        thread.join().expect("no panic");
    });
}

/// Sleeps until `count` more messages are there; they are numbered from `next`.
fn receive(endpoint: &mut Endpoint<usize>, next: usize, count: usize) {
    let mut next = next;
    let end = next + count;
    block_on(std::future::poll_fn(|cx| {
        loop {
            while let Some((_, message)) = endpoint.receive() {
                assert_eq!(message, next, "in order");
                next += 1;
            }
            endpoint.flush();
            if next == end {
                return Poll::Ready(());
            }
            if endpoint.poll_ready(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }));
}

/// Sleeps until nothing waits for room any more.
fn settle(endpoint: &mut Endpoint<usize>) {
    block_on(std::future::poll_fn(|cx| {
        while endpoint.waiting() > 0 {
            if endpoint.poll_ready(cx).is_pending() && endpoint.waiting() > 0 {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }));
}

#[test]
fn a_sleeper_never_misses_a_message() {
    check(
        (2, 0, 3),
        |mut sender| {
            for message in 0..2 {
                sender.send(1, message).expect("room for both");
                sender.flush();
            }
        },
        |mut receiver| receive(&mut receiver, 0, 2),
    );
}

#[test]
fn a_message_that_waits_for_room_is_never_forgotten() {
    check(
        // Three preemptions: with two, a flag that the receiver clears looks right.
        (1, 2, 3),
        |mut sender| {
            for message in 0..3 {
                sender.send(1, message).expect("room for all");
            }
            settle(&mut sender);
        },
        |mut receiver| receive(&mut receiver, 0, 3),
    );
}

#[test]
fn a_sleeping_sender_is_woken_for_what_another_task_of_its_thread_sent() {
    check(
        (1, 2, 2),
        |mut sender| {
            let mut asleep = false;
            block_on(std::future::poll_fn(|cx| {
                if asleep {
                    return Poll::Ready(());
                }
                // The mesh's task goes to sleep; then another task of the thread sends. This
                // one may only go on when it is woken.
                assert!(sender.poll_ready(cx).is_pending(), "nothing is there");
                asleep = true;
                for message in 0..3 {
                    sender.send(1, message).expect("room for all");
                }
                sender.flush();
                if sender.waiting() == 0 { Poll::Ready(()) } else { Poll::Pending }
            }));
            settle(&mut sender);
        },
        |mut receiver| receive(&mut receiver, 0, 3),
    );
}

#[test]
fn two_that_talk_at_once_wake_each_other() {
    let talk = |mut endpoint: Endpoint<usize>| {
        let peer = 1 - endpoint.index();
        endpoint.send(peer, 0).expect("room");
        endpoint.flush();
        receive(&mut endpoint, 0, 1);
    };
    check((1, 0, 3), talk, talk);
}

#[test]
fn a_sender_is_not_left_waiting_for_a_peer_that_has_gone() {
    check(
        (1, 2, 3),
        |mut sender| {
            for message in 0..2 {
                // Refused when the peer has gone already.
                let _refused = sender.send(1, message);
            }
            settle(&mut sender);
        },
        drop,
    );
}
