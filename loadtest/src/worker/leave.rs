//! The word by which one task tells another that it is time to leave.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Said once, heard whenever it is waited for. Copies are the same word.
#[derive(Clone, Default)]
pub(super) struct Leave(Rc<RefCell<State>>);

#[derive(Default)]
enum State {
    #[default]
    Unsaid,
    Awaited(Waker),
    Said,
}

impl Leave {
    pub(super) fn now(&self) {
        if let State::Awaited(waker) = self.0.replace(State::Said) {
            waker.wake();
        }
    }

    /// Waits until it is said.
    pub(super) fn said(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if matches!(*state, State::Said) {
                return Poll::Ready(());
            }
            *state = State::Awaited(context.waker().clone());
            Poll::Pending
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn the_word_is_heard_whether_it_was_said_before_or_is_said_later() {
        let mut context = Context::from_waker(Waker::noop());
        let leave = Leave::default();
        let mut early = pin!(leave.said());
        assert!(early.as_mut().poll(&mut context).is_pending());
        leave.clone().now();
        assert!(early.poll(&mut context).is_ready());
        assert!(pin!(leave.said()).poll(&mut context).is_ready());
    }
}
