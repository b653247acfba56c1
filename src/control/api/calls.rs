//! Calls between callers and shards: who waits for which reply.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::{Notify, oneshot};

use crate::api::{Refusal, Route};
use crate::ids::CallId;
use crate::messages::{Call, CallReply, Message};

/// Calls that may wait for a shard at once. Beyond it one is refused with `UNAVAILABLE`.
const CALLS_MAX: usize = 4096;

/// All calls of the node that wait for a shard.
pub(in crate::control) struct Calls {
    waiting: HashMap<CallId, oneshot::Sender<Answer>>,
    /// What shards have not been told yet, in the order it came.
    untold: Vec<(usize, Box<Call>)>,
    shards: usize,
    /// Wakes whoever holds the mesh.
    news: Rc<Notify>,
    last: u64,
}

/// A reply in JSON, or why there is none.
pub(super) type Answer = Result<Box<[u8]>, Unanswered>;

/// Why a call has no reply.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Too many calls wait.
    TooMany,
    /// The shard whose turn it is takes no more.
    Busy,
    /// The shard understood it, and refused it.
    Refused(Refusal),
}

impl Calls {
    pub(in crate::control) fn new(shards: usize, news: Rc<Notify>) -> Self {
        Self { waiting: HashMap::new(), untold: Vec::new(), shards, news, last: 0 }
    }

    /// Puts a call to the shard whose turn it is.
    fn put(&mut self, route: Route, body: Vec<u8>) -> Option<(CallId, oneshot::Receiver<Answer>)> {
        if self.waiting.len() >= CALLS_MAX {
            return None;
        }
        self.last += 1;
        let id = CallId(self.last);
        let shard = usize::try_from(id.0 % self.shards as u64).expect("one of the shards");
        let (answer, answered) = oneshot::channel();
        self.waiting.insert(id, answer);
        self.untold.push((shard, Box::new(Call { id, route, body: body.into() })));
        self.news.notify_one();
        Some((id, answered))
    }

    /// A shard has replied. Whoever asked may have gone in the meantime.
    pub(in crate::control) fn replied(&mut self, reply: CallReply) {
        let CallReply { id, reply } = reply;
        self.answer(id, reply.map_err(Unanswered::Refused));
    }

    /// Tells the shards what they have not heard; where there is no room, the caller hears it.
    pub(in crate::control) fn tell(
        &mut self,
        mut send: impl FnMut(usize, Message) -> Result<(), Message>,
    ) {
        for (shard, call) in std::mem::take(&mut self.untold) {
            let id = call.id;
            if send(shard, Message::Call(call)).is_err() {
                self.answer(id, Err(Unanswered::Busy));
            }
        }
    }

    fn answer(&mut self, id: CallId, answer: Answer) {
        if let Some(caller) = self.waiting.remove(&id) {
            // It gave up: nobody wants to know.
            let _gone = caller.send(answer);
        }
        if self.waiting.is_empty() {
            // After a storm the memory goes back.
            self.waiting.shrink_to_fit();
        }
    }
}

/// Puts a call to a shard and waits for the reply. Dropped earlier, nobody waits any more.
pub(super) async fn ask(calls: &RefCell<Calls>, route: Route, body: Vec<u8>) -> Answer {
    let put = calls.borrow_mut().put(route, body);
    let Some((id, answered)) = put else { return Err(Unanswered::TooMany) };
    let waiting = Waiting { id, calls };
    let answer = answered.await.unwrap_or(Err(Unanswered::Busy));
    drop(waiting);
    answer
}

/// A caller that waits.
struct Waiting<'c> {
    id: CallId,
    calls: &'c RefCell<Calls>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.calls.borrow_mut().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> RefCell<Calls> {
        RefCell::new(Calls::new(3, Rc::default()))
    }

    #[test]
    fn calls_go_round_the_shards_and_replies_find_their_callers() {
        let calls = calls();
        let put = |body: &[u8]| calls.borrow_mut().put(Route::Batch, body.to_vec()).unwrap();
        let (first, second) = (put(b"1"), put(b"2"));
        let mut sent = Vec::new();
        calls.borrow_mut().tell(|shard, message| {
            let Message::Call(call) = message else { panic!("{message:?}") };
            sent.push((shard, call.id, call.body));
            Ok(())
        });
        let expected =
            [(1, first.0, b"1".as_slice().into()), (2, second.0, b"2".as_slice().into())];
        assert_eq!(sent, expected);
        for (id, text) in [(second.0, "b"), (first.0, "a")] {
            let reply = Ok(text.as_bytes().into());
            calls.borrow_mut().replied(CallReply { id, reply });
        }
        for ((_, mut answered), text) in [(first, "a"), (second, "b")] {
            assert_eq!(*answered.try_recv().unwrap().unwrap(), *text.as_bytes());
        }
        // A late one is nobody's.
        let late = CallReply { id: CallId(1), reply: Ok(Box::default()) };
        calls.borrow_mut().replied(late);
    }

    #[test]
    fn a_full_ring_is_told_to_its_caller_and_to_nobody_else() {
        let calls = calls();
        let put = || calls.borrow_mut().put(Route::Batch, Vec::new()).unwrap();
        let ((_, mut first), (_, mut second)) = (put(), put());
        calls.borrow_mut().tell(|shard, message| if shard == 1 { Err(message) } else { Ok(()) });
        assert!(matches!(first.try_recv(), Ok(Err(Unanswered::Busy))));
        assert!(second.try_recv().is_err());
    }

    #[test]
    fn no_more_calls_wait_than_may() {
        let calls = calls();
        let put = || calls.borrow_mut().put(Route::Batch, Vec::new());
        let waiting: Vec<_> = (0..CALLS_MAX).map(|_| put().unwrap()).collect();
        assert!(put().is_none());
        drop(Waiting { id: waiting[7].0, calls: &calls });
        assert!(put().is_some());
    }
}
