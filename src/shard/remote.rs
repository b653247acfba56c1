//! ⑤ Requests to the server API that came by the control thread: planned, asked and answered as
//! those over HTTP, and their replies go back the way they came.

use std::rc::Rc;

use super::Shard;
use super::gather::Caller;
use crate::api::{self, Refusal};
use crate::connection::exchange::Underway;
use crate::ids::CallId;
use crate::messages::{Call, CallReply, Message, Peer};
use crate::time::Now;

impl Shard {
    /// A request. It is answered now, or when other shards have said their part.
    pub(super) fn on_call(&mut self, call: Call, now: Now) {
        let Call { id, route, body } = call;
        let options = Rc::clone(&self.options);
        let Some(options) = options.grpc_api.as_ref().filter(|_| self.draining.is_none()) else {
            return self.reply_call(id, Err(Refusal::shutting_down()));
        };
        let plan = api::plan_call(options, &route, &body, &mut self.api_scratch, &self.hasher);
        let mut plan = match plan {
            Ok(plan) => plan,
            Err(refusal) => {
                self.counters.requests_malformed += 1;
                return self.reply_call(id, Err(refusal));
            }
        };
        plan.made_at(now);
        let underway = self.begin_plan(plan, Caller::Remote(id), now);
        self.remote.insert(id, underway);
        self.flush_call(id, now);
    }

    /// Replies when every step has its outcome.
    pub(super) fn flush_call(&mut self, id: CallId, now: Now) {
        if !self.remote.get(&id).is_some_and(Underway::is_ready) {
            return;
        }
        let Some(underway) = self.remote.remove(&id) else { return };
        self.note_answered(underway.since_us);
        let mut reply = Vec::new();
        // Nothing is told by a status: the plan was made for a caller who reads none.
        let _head = self.write_reply(underway, now, &mut reply);
        self.reply_call(id, Ok(reply.into()));
    }

    fn reply_call(&mut self, id: CallId, reply: Result<Box<[u8]>, Refusal>) {
        let reply = Message::CallReply(Box::new(CallReply { id, reply }));
        self.effects.message(Peer::Control, reply);
    }
}
