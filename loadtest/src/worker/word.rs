//! The word by which one task tells others that it is time: to leave, or to begin.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Said once, heard by all who wait for it, then or later. Copies are the same word.
#[derive(Clone, Default)]
pub(super) struct Word(Rc<RefCell<State>>);

enum State {
    /// Who waits for it.
    Unsaid(Vec<Waker>),
    Said,
}

impl Default for State {
    fn default() -> Self {
        Self::Unsaid(Vec::new())
    }
}

impl Word {
    pub(super) fn say(&self) {
        if let State::Unsaid(waiting) = self.0.replace(State::Said) {
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits until it is said.
    pub(super) fn said(&self) -> impl Future<Output = ()> {
        poll_fn(|context| match &mut *self.0.borrow_mut() {
            State::Said => Poll::Ready(()),
            State::Unsaid(waiting) => {
                if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    waiting.push(context.waker().clone());
                }
                Poll::Pending
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    /// Counts how often it is woken.
    struct Sleeper(AtomicUsize);

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_word_wakes_all_who_wait_once_and_is_heard_later_too() {
        let word = Word::default();
        let sleepers = [0, 1].map(|_| Arc::new(Sleeper(AtomicUsize::new(0))));
        for sleeper in &sleepers {
            let waker = Waker::from(Arc::clone(sleeper));
            let mut heard = pin!(word.said());
            for _ in 0..2 {
                assert!(heard.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            }
        }
        word.say();
        assert_eq!(sleepers.map(|sleeper| sleeper.0.load(Ordering::Relaxed)), [1, 1]);
        assert!(pin!(word.said()).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
