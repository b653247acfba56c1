//! ⑤ The steps of a plan, whoever gave it: put in order, and one that something must be done before
//! holds up those behind it.

use super::Shard;
use super::ask::Asked;
use super::conns::State;
use super::gather::{Asker, Caller};
use crate::api::{self, Learned, Merged, Outcome, Plan, Question, StatusOrder};
use crate::connection::exchange::Underway;
use crate::messages::{Message, Peer};
use crate::time::Now;

impl Shard {
    /// Puts the steps of a new plan.
    pub(super) fn begin_plan(&mut self, plan: Plan, caller: Caller, now: Now) -> Underway {
        self.counters.api_commands += plan.steps.len() as u64;
        let mut underway = Underway::new(plan, self.request_came_us());
        self.put_steps(caller, &mut underway, now);
        underway
    }

    /// Puts the steps of a plan that have not been put, up to one that must be done before the
    /// next may be, and until the turn is used up: the next turn goes on with them.
    fn put_steps(&mut self, caller: Caller, underway: &mut Underway, now: Now) {
        for step in underway.outcomes.len()..underway.plan.steps.len() {
            if self.works.turn.has_enough(now) {
                underway.is_resting = true;
                return self.resting_plans.push_back(caller);
            }
            let mut holds_up = false;
            let outcome = match &mut underway.plan.steps[step] {
                api::Step::Done(error) => Some(Outcome::Failed(error.clone())),
                api::Step::Ask(question) => {
                    let step = u16::try_from(step).expect("a plan has at most 10,000 steps");
                    match self.put(question, caller, step, now) {
                        Asked::Answered(merged) => Some(Outcome::Answered(merged)),
                        Asked::Waiting => {
                            holds_up = question.is_stored_first() || question.fence().is_some();
                            None
                        }
                    }
                }
            };
            underway.push(outcome);
            if holds_up {
                return;
            }
        }
    }

    /// Puts a question, or first what must be done before it.
    fn put(&mut self, question: &mut Question, caller: Caller, step: u16, now: Now) -> Asked {
        let before = Asker::Before { caller, step };
        if question.is_stored_first() {
            return self.ask_control(question, before, now);
        }
        if let Some(asks_token) = question.asks_token() {
            match self.ask(&asks_token, before, now) {
                Asked::Waiting => return Asked::Waiting,
                Asked::Answered(mut merged) => {
                    if question.learn_token(&mut merged) == Learned::Nothing {
                        return Asked::Answered(merged);
                    }
                }
            }
        }
        self.put_behind_fence(question, caller, step, now)
    }

    /// Puts a question when its fence, if it wants one, stands on every shard.
    fn put_behind_fence(
        &mut self,
        question: &Question,
        caller: Caller,
        step: u16,
        now: Now,
    ) -> Asked {
        if let Some(fence) = question.fence() {
            let fence = Question::Fence(Box::new(fence.clone()));
            match self.ask(&fence, Asker::Before { caller, step }, now) {
                Asked::Answered(merged) if merged.is_done() => {}
                asked @ (Asked::Answered(_) | Asked::Waiting) => return asked,
            }
        }
        self.ask(question, Asker::Step { caller, step }, now)
    }

    /// Hands the control thread what it must store. In the gather its answer stands for this
    /// shard's own, which no message ever brings.
    pub(super) fn ask_control(&mut self, question: &Question, asker: Asker, now: Now) -> Asked {
        let open = self.gathers.open(asker, Merged::default(), self.id.bit(), now.mono_ms);
        let gather = match open {
            Ok(gather) => gather,
            Err(mut merged) => {
                merged.missing |= self.id.bit();
                return Asked::Answered(merged);
            }
        };
        let question = question.clone();
        self.effects.message(Peer::Control, Message::Ask { gather, question });
        Asked::Waiting
    }

    /// What must be done before a step is done, or is not. Of what the control thread does nothing
    /// is left to do.
    pub(super) fn on_prepared(&mut self, caller: Caller, step: u16, mut merged: Merged, now: Now) {
        let Some(underway) = self.underway_mut(caller) else { return };
        let api::Step::Ask(question) = &mut underway.plan.steps[usize::from(step)] else {
            return self.on_answered(caller, step, merged, now);
        };
        let asked_token = question.asks_token().is_some();
        if asked_token && question.learn_token(&mut merged) == Learned::Nothing || !merged.is_done()
        {
            return self.on_answered(caller, step, merged, now);
        }
        let question = question.clone();
        if let Question::Status(order) = &question {
            self.tell_online(order, &mut merged, now);
        }
        let asked = if question.is_stored_first() {
            Asked::Answered(merged)
        } else if asked_token {
            self.put_behind_fence(&question, caller, step, now)
        } else {
            self.ask(&question, Asker::Step { caller, step }, now)
        };
        if let Asked::Answered(merged) = asked {
            self.on_answered(caller, step, merged, now);
        }
    }

    /// Who has a session is online now, whatever is stored.
    fn tell_online(&self, order: &StatusOrder, merged: &mut Merged, now: Now) {
        for (user, status) in order.users().iter().zip(merged.statuses_mut()) {
            if self.directory.shards(self.hasher.hash(user)) != 0 {
                status.online = now.unix_s();
            }
        }
    }

    /// The answer to a step is in. When others waited for it, they are put. Whoever gave the plan
    /// may have gone in the meantime: then nobody waits any more.
    pub(super) fn on_answered(&mut self, caller: Caller, step: u16, merged: Merged, now: Now) {
        let Some(underway) = self.underway_mut(caller) else { return };
        underway.resolve(step, merged);
        if underway.can_put_more() {
            self.put_more(caller, now);
        }
        self.flush(caller, now);
    }

    /// Goes on with the plans that rest, one after the other, as far as the turn goes.
    pub(super) fn put_resting_plans(&mut self, now: Now) {
        for _ in 0..self.resting_plans.len() {
            if self.works.turn.has_enough(now) {
                return;
            }
            let Some(caller) = self.resting_plans.pop_front() else { return };
            // Whoever gave it may have gone.
            let Some(underway) = self.underway_mut(caller) else { continue };
            underway.is_resting = false;
            self.put_more(caller, now);
            self.flush(caller, now);
        }
    }

    fn flush(&mut self, caller: Caller, now: Now) {
        match caller {
            Caller::Http { conn, .. } => self.flush_owed(conn, now),
            Caller::Remote(call) => self.flush_call(call, now),
        }
    }

    fn underway_mut(&mut self, caller: Caller) -> Option<&mut Underway> {
        match caller {
            Caller::Http { conn, seq } => match self.conns.state_mut(conn) {
                Some(State::Busy(exchange)) => {
                    exchange.owed_mut(seq).map(|owed| &mut owed.underway)
                }
                _ => None,
            },
            Caller::Remote(call) => self.remote.get_mut(&call),
        }
    }

    /// The plan leaves its place while its steps are put, which takes the whole shard.
    fn put_more(&mut self, caller: Caller, now: Now) {
        match caller {
            Caller::Http { conn, seq } => {
                let Some(State::Busy(exchange)) = self.conns.state_mut(conn) else { return };
                let Some((place, mut owed)) = exchange.take_owed(seq) else { return };
                self.put_steps(caller, &mut owed.underway, now);
                let Some(State::Busy(exchange)) = self.conns.state_mut(conn) else { return };
                exchange.owed.insert(place, owed);
            }
            Caller::Remote(call) => {
                let Some(mut underway) = self.remote.remove(&call) else { return };
                self.put_steps(caller, &mut underway, now);
                self.remote.insert(call, underway);
            }
        }
    }
}
