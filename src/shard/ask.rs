//! ⑤ A question from its request to its reply: own slice inline, one message to each other shard
//! that may know more, the reply in request order when the last answer is in. What must be stored
//! goes to the control thread before.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::Shard;
use super::conns::State;
use super::gather::{Asker, Caller, Gathered};
use super::http::Step;
use super::work::{Begun, ReplyTo};
use crate::api::{
    self, Answer, Merged, NodeFacts, Outcome, Plan, Question, Refusal, ReplyHead, RuleFacts,
    Subject,
};
use crate::auth::RuleKind;
use crate::connection::Exchange;
use crate::connection::exchange::{Owed, Underway};
use crate::ids::{ConnId, ShardId};
use crate::messages::{Message, Peer};
use crate::time::Now;
use crate::wire::http1::{self, Head, Response};

/// What became of a question.
pub(super) enum Asked {
    /// Only this shard had to be asked.
    Answered(Merged),
    /// Others owe an answer; the asker will be told.
    Waiting,
}

impl Shard {
    /// A whole API request. `None`: handled, read on.
    pub(super) fn call(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        (options, route): (&api::Options, &api::Route),
        body: &[u8],
        now: Now,
    ) -> Option<Step> {
        let plan = api::plan(options, route, head, body, &mut self.api_scratch, &self.hasher);
        // A refusal takes its turn too: an older reply may still be owed.
        let plan = match plan {
            Ok(mut plan) if self.draining.is_none() => {
                plan.made_at(now);
                plan
            }
            Ok(_) => Plan::refused(Refusal::shutting_down()),
            Err(refusal) => {
                self.counters.requests_malformed += 1;
                Plan::refused(refusal)
            }
        };
        self.answer_plan(conn, exchange, head, plan, now);
        None
    }

    /// Puts the questions of a plan, and answers when their answers are in and it is their turn.
    pub(super) fn answer_plan(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        plan: Plan,
        now: Now,
    ) {
        let seq = exchange.next_seq;
        exchange.next_seq = seq.wrapping_add(1);
        let caller = Caller::Http { conn, seq };
        let underway = self.begin_plan(plan, caller, now);
        let owed = Owed { seq, underway, keep_alive: head.keep_alive, version: head.version };
        exchange.last |= !head.keep_alive;
        if exchange.owed.is_empty() && owed.underway.is_ready() {
            self.reply(conn, owed, now);
        } else {
            exchange.owed.push_back(owed);
        }
    }

    /// Puts a question to every shard that may know something.
    pub(super) fn ask(&mut self, question: &Question, asker: Asker, now: Now) -> Asked {
        let mut shards = self.shards_to_ask(question);
        let mut merged = Merged::default();
        let mut own = None;
        if shards & self.id.bit() != 0 {
            match self.begin_work(Cow::Borrowed(question), now) {
                Begun::Going(work) => own = Some(work),
                Begun::Answered(answer) => {
                    merged.add(answer);
                    shards &= !self.id.bit();
                }
            }
        }
        if shards == 0 {
            return Asked::Answered(merged);
        }
        let gather = match self.gathers.open(asker, merged, shards, now.mono_ms) {
            Ok(gather) => gather,
            Err(mut merged) => {
                merged.missing |= shards;
                self.counters.gathers_partial += 1;
                return Asked::Answered(merged);
            }
        };
        self.counters.gathers += 1;
        if let Some(work) = own {
            self.works.push(work, ReplyTo { peer: Peer::Shard(self.id), gather });
            shards &= !self.id.bit();
        }
        for index in 0..self.shards {
            let shard = ShardId::new(index);
            if shards & shard.bit() != 0 {
                let question = question.clone();
                self.effects.message(Peer::Shard(shard), Message::Ask { gather, question });
            }
        }
        Asked::Waiting
    }

    /// The shards that may know something, as a mask. Ids name their shard; an id that names no
    /// shard of ours is nobody's.
    fn shards_to_ask(&self, question: &Question) -> u64 {
        let every = u64::MAX >> (64 - self.shards);
        // A directory look-up misses the caches of the processor; alone there is nobody else to ask.
        let of_user = |hash| if self.shards == 1 { every } else { self.directory.shards(hash) };
        let only = |shard: Option<ShardId>| shard.map_or(0, ShardId::bit);
        let shards = match question.subject() {
            Subject::User(hash) => of_user(hash),
            Subject::Users(users) => users.iter().fold(0, |mask, (_, hash)| mask | of_user(*hash)),
            Subject::Client(client) => only(self.keys.shard_of_client(client)),
            Subject::Session(session) => only(self.keys.shard_of_session(session)),
            Subject::Every => every,
            Subject::Here => self.id.bit(),
            Subject::Nobody => 0,
        };
        shards & every
    }

    /// This shard's own answer to a question that does not select. What is asked to change has
    /// changed when this returns.
    pub(super) fn answer(&mut self, question: &Question, now: Now) -> Answer {
        match question {
            Question::Fence(fence) => self.fence(fence, now),
            Question::KeepOut(_) | Question::Status(_) => {
                unreachable!("the control thread does it, or has it carried out")
            }
            Question::Info => Answer::info(self.table.len(), self.counters),
            Question::NodeStats => Answer::stats(self.stats(now)),
            Question::UserBlock(user) => {
                Answer::user_block(self.rules.block_of(user, now.unix_s()))
            }
            Question::Oldest { .. }
            | Question::UserConnections { .. }
            | Question::Connections { .. }
            | Question::OwnSessions(_)
            | Question::NoChannels(_)
            | Question::Search(_)
            | Question::Disconnect(_)
            | Question::Refresh(_)
            | Question::Update(_) => api::answer(question, &self.table),
        }
    }

    /// The last answer is in, or will not come.
    pub(super) fn resolve(&mut self, gathered: Gathered, now: Now) {
        let Gathered { asker, merged, .. } = gathered;
        if merged.missing != 0 {
            self.counters.gathers_partial += 1;
        }
        // Whoever asked may have gone in the meantime: then nobody waits any more.
        match asker {
            Asker::Connect { conn } => self.on_room(conn, &merged, now),
            Asker::Call { conn, client, id, call } => {
                self.on_called((conn, client), id, call, &merged);
            }
            Asker::Step { caller, step } => self.on_answered(caller, step, merged, now),
            Asker::Before { caller, step } => self.on_prepared(caller, step, merged, now),
        }
    }

    /// Sends every reply whose turn it is.
    pub(super) fn flush_owed(&mut self, conn: ConnId, now: Now) {
        loop {
            let Some(State::Busy(exchange)) = self.conns.state_mut(conn) else { return };
            let Some(owed) = exchange.owed.pop_front_if(|owed| owed.underway.is_ready()) else {
                break;
            };
            self.reply(conn, owed, now);
        }
        let Some(State::Busy(exchange)) = self.conns.state_mut(conn) else { return };
        if exchange.owed.is_empty() && exchange.last {
            self.finish(conn, now);
        } else if exchange.can_resume() {
            self.effects.resume(conn);
        }
    }

    fn reply(&mut self, conn: ConnId, owed: Owed, now: Now) {
        let Owed { underway, keep_alive, version, .. } = owed;
        self.note_answered(underway.since_us);
        let mut body = std::mem::take(&mut self.reply);
        body.clear();
        let reply = self.write_reply(underway, now, &mut body);
        let response = Response {
            status: reply.status,
            content_type: Some(reply.content_type),
            keep_alive,
            version,
            date: self.date.at(now.unix_s()),
            extra: &[],
        };
        self.effects.send(conn, |out| http1::write_response(out, &response, &body));
        if body.capacity() > REPLY_KEPT_BYTES {
            body = Vec::new();
        }
        self.reply = body;
    }

    /// Writes the reply to a plan whose every step has its outcome.
    pub(super) fn write_reply(&self, underway: Underway, now: Now, out: &mut Vec<u8>) -> ReplyHead {
        let Underway { plan, outcomes, .. } = underway;
        let outcomes: SmallVec<[Outcome; 1]> =
            outcomes.into_iter().map(|outcome| outcome.expect("the reply is ready")).collect();
        let options = &self.options;
        let asks_about_node = plan.asks_about_node();
        let facts = NodeFacts {
            uid: &self.node_uid,
            name: &options.node_name,
            version: &options.version,
            uptime_s: now.mono_ms.saturating_sub(self.started.mono_ms) / 1000,
            users: if asks_about_node { self.directory.users() as u64 } else { 0 },
            rules: if asks_about_node { self.rule_facts() } else { RuleFacts::default() },
            webhook: options
                .webhook
                .is_some()
                .then(|| (self.webhook_facts, self.webhook_facts.oldest_age_ms(now.unix_ms))),
            dangers: &options.dangers,
        };
        api::write_reply(&plan, &outcomes, &facts, out)
    }

    fn rule_facts(&self) -> RuleFacts {
        RuleFacts {
            blocked: self.rules.len_of(RuleKind::Blocked),
            revoked: self.rules.len_of(RuleKind::Revoked),
            invalidated: self.rules.len_of(RuleKind::Invalidated),
            stale: usize::from(self.rules.are_stale()),
            unstored: usize::from(self.rules.are_unstored()),
        }
    }
}

/// A reply buffer that grew beyond this is not kept.
const REPLY_KEPT_BYTES: usize = 256 * 1024;
