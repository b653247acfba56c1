//! ⑤ Questions that select: answered in one turn when there is little to look at, else a stretch at a
//! time, so that nothing else waits for long.
//!
//! ```text
//!   begin ── little to look at, few to act on ─────────────────────────────▶ answer
//!     ├─▶ queue ──turn: a stretch──▶ … ──▶ all looked at ──▶ orders ──▶ all done ──▶ answer
//!     │     ▲                        └── time is over: the answer says what is missing or pending
//!     └─▶ waiting: the turn has been used up by others
//! ```
//!
//! What begins in one turn, a batch of a thousand commands or the messages of all other shards,
//! shares one budget of steps: so does what goes on in it. Questions about users or sessions that are
//! named have a budget of their own and do not wait for those that look at many; when it is used up,
//! the rest of a batch waits for the next turn (`resting_plans`), and messages for the next moment
//! ([`Shard::takes_messages`]).

use std::borrow::Cow;
use std::collections::VecDeque;

use super::Shard;
use super::conns::Conns;
use super::orders::{ACTS_PER_TURN, Doing, Pace};
use super::sweep::PongTimes;
use crate::api::{Answer, Budget, Progress, Question, Scan, Sight, State};
use crate::messages::{GatherId, Message, Peer};
use crate::session::{Session, Table};
use crate::time::Now;

/// Steps of one turn: half a millisecond or one. Few in tests, so that a scan rests.
pub(super) const TURN_STEPS: usize = if cfg!(test) { 8 } else { 8_000 };

/// Steps that a question about users or sessions that are named always has, whatever the turn has
/// already taken: so what is ordered of each of many users is done in the order it was asked.
const NAMED_STEPS: usize = if cfg!(test) { 4 } else { 64 };

/// Questions of one shard that are in the middle of their look, or act on what they found.
pub(super) const WORKS_MAX: usize = 64;

/// Questions that wait for their first look: those of the largest body that an operator may allow. A
/// further one is answered with error 100 (`too_many_scans_at_once_are_refused`).
pub(super) const WAITING_MAX: usize = if cfg!(test) { 16 } else { 10_000 };

/// Whom an answer is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyTo {
    pub(super) peer: Peer,
    pub(super) gather: GatherId,
}

/// A question that takes more than one turn.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) question: Question,
    stage: Stage,
    deadline_ms: u64,
    /// `None` once it has been answered: what it does goes on.
    reply_to: Option<ReplyTo>,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Scanning(Scan),
    Doing(Doing),
}

/// What follows when all sessions have been looked at.
enum Then {
    Say(Answer),
    Do(Doing),
}

/// What became of a question that was begun.
pub(super) enum Begun {
    /// It is answered.
    Answered(Answer),
    /// It goes on: somebody must be told of whom it is.
    Going(Box<Work>),
}

/// All questions of a shard that take more than one turn.
#[derive(Debug, Default)]
pub(super) struct Works {
    queue: VecDeque<Box<Work>>,
    waiting: VecDeque<Box<Work>>,
    pub(super) turn: Turn,
}

/// What all questions may do in one turn.
#[derive(Debug)]
pub(super) struct Turn {
    /// The engine reads the clock once for all the events of a turn.
    at_ms: u64,
    /// For those that look at many.
    budget: Budget,
    /// For those about users or sessions that are named.
    named: Budget,
}

impl Default for Turn {
    fn default() -> Self {
        let whole = Budget::new(TURN_STEPS);
        Self { at_ms: 0, budget: whole, named: whole }
    }
}

impl Turn {
    fn begin(&mut self, now: Now) {
        *self = Self { at_ms: now.mono_ms, ..Self::default() };
    }

    /// So many sessions were acted on.
    pub(super) const fn spend_acts(&mut self, acts: usize) {
        let steps = acts * TURN_STEPS.div_ceil(ACTS_PER_TURN);
        self.budget.spend(steps);
        self.named.spend(steps);
    }

    /// This turn, or the one that begins now.
    fn at(&mut self, now: Now) -> &mut Self {
        if self.at_ms != now.mono_ms {
            self.begin(now);
        }
        self
    }

    /// Whether questions about users or sessions that are named have used up their part.
    pub(super) fn has_enough(&mut self, now: Now) -> bool {
        self.at(now).named.is_spent()
    }
}

impl Works {
    fn is_full(&self) -> bool {
        self.queue.len() >= WORKS_MAX
    }

    pub(super) fn push(&mut self, mut work: Box<Work>, reply_to: ReplyTo) {
        work.reply_to = Some(reply_to);
        if work.is_waiting() { self.waiting.push_back(work) } else { self.queue.push_back(work) }
    }

    /// The question whose turn it is: those that wait begin as soon as there is room.
    fn take_next(&mut self, pace: &Pace) -> Option<Box<Work>> {
        if !self.is_full()
            && let Some(work) = self.waiting.pop_front()
        {
            return Some(work);
        }
        let may_act = pace.has_leave();
        let next = self.queue.iter().position(|work| may_act || !work.is_paced())?;
        self.queue.remove(next)
    }

    /// Whether something waits for leave to act.
    pub(super) fn any_paced(&self) -> bool {
        self.queue.iter().any(|work| work.is_paced())
    }
}

impl Work {
    const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    fn is_paced(&self) -> bool {
        matches!(&self.stage, Stage::Doing(doing) if doing.is_paced())
    }
}

impl Shard {
    /// Begins to answer. What is asked to change has changed when this returns an answer.
    pub(super) fn begin_work(&mut self, question: Cow<'_, Question>, now: Now) -> Begun {
        let Some(selector) = question.selector() else {
            let answer = self.answer(&question, now);
            self.works.turn.at(now).named.spend(1 + answer.matched() as usize);
            return Begun::Answered(answer);
        };
        let is_named = selector.is_named();
        let turn = self.works.turn.at(now);
        let mut budget = turn.budget;
        if is_named {
            budget = Budget::new(turn.named.left().max(NAMED_STEPS));
        } else if budget.is_spent() {
            if self.works.waiting.len() >= WAITING_MAX {
                return Begun::Answered(Answer::refused());
            }
            return Begun::Going(Box::new(self.work(question, Stage::Waiting, now)));
        }
        let given = budget.left();
        let table = self.table_of(question.state());
        let mut scan = Scan::begin(&question, table, &mut budget);
        let progress = self.look(&question, &mut scan, &mut budget, now);
        let turn = &mut self.works.turn;
        let spent = if is_named { &mut turn.named } else { &mut turn.budget };
        spent.spend(given - budget.left());
        if progress == Progress::Resting {
            // Before anything is done: what is refused has changed nothing.
            if self.works.is_full() {
                return Begun::Answered(Answer::refused());
            }
            return Begun::Going(Box::new(self.work(question, Stage::Scanning(scan), now)));
        }
        let mut doing = match self.conclude(&question, scan, now) {
            Then::Say(answer) => return Begun::Answered(answer),
            Then::Do(doing) => doing,
        };
        if self.works.is_full() && !doing.fits_one_turn() {
            return Begun::Answered(Answer::refused());
        }
        self.act(&question, &mut doing, now);
        match doing.take_answer_if_done() {
            Some(answer) => Begun::Answered(answer),
            None => Begun::Going(Box::new(self.work(question, Stage::Doing(doing), now))),
        }
    }

    /// Whether messages of others are taken now, or only when what has begun is done with: they may be
    /// orders, each about sessions that are named.
    #[must_use]
    pub fn takes_messages(&mut self, now: Now) -> bool {
        !self.works.turn.has_enough(now)
    }

    fn work(&self, question: Cow<'_, Question>, stage: Stage, now: Now) -> Work {
        let question = question.into_owned();
        Work { question, stage, deadline_ms: now.mono_ms + self.work_ms, reply_to: None }
    }

    /// Whether there is something to go on with at once ([`Self::on_turn`]).
    #[must_use]
    pub fn is_working(&self) -> bool {
        let may_act = self.pace.has_leave();
        let works = &self.works;
        !self.enforcing.is_idle()
            || !self.resting_plans.is_empty()
            || !works.waiting.is_empty() && !works.is_full()
            || works.queue.iter().any(|work| may_act || !work.is_paced())
    }

    /// A stretch of the questions whose turn it is, and of the rules that came. Returns whether there
    /// is nothing left that can go on; when there is, the engine lets other events through and calls
    /// again.
    pub fn on_turn(&mut self, now: Now) -> bool {
        self.enforce_more(now);
        self.works.turn.begin(now);
        self.put_resting_plans(now);
        // One after the other, as far as the turn goes: many small ones are done in few turns.
        while !self.works.turn.budget.is_spent()
            && let Some(mut work) = self.works.take_next(&self.pace)
        {
            match self.stretch(&mut work, now) {
                Some(answer) => self.deliver(work.reply_to, answer, now),
                None => self.works.queue.push_back(work),
            }
        }
        !self.is_working()
    }

    /// One stretch. Returns the answer when it was the last one.
    fn stretch(&mut self, work: &mut Work, now: Now) -> Option<Answer> {
        let mut scan = match std::mem::replace(&mut work.stage, Stage::Waiting) {
            Stage::Doing(doing) => {
                work.stage = Stage::Doing(doing);
                return self.carry_on(work, now);
            }
            Stage::Scanning(scan) => scan,
            Stage::Waiting => {
                let table = self.table_of(work.question.state());
                let mut budget = self.works.turn.budget;
                let scan = Scan::begin(&work.question, table, &mut budget);
                self.works.turn.budget = budget;
                scan
            }
        };
        let mut budget = self.works.turn.budget;
        let progress = self.look(&work.question, &mut scan, &mut budget, now);
        self.works.turn.budget = budget;
        if progress == Progress::Resting {
            work.stage = Stage::Scanning(scan);
            return None;
        }
        match self.conclude(&work.question, scan, now) {
            Then::Say(answer) => Some(answer),
            Then::Do(doing) => {
                work.stage = Stage::Doing(doing);
                self.carry_on(work, now)
            }
        }
    }

    /// Looks at the next sessions.
    fn look(
        &self,
        question: &Question,
        scan: &mut Scan,
        budget: &mut Budget,
        now: Now,
    ) -> Progress {
        let times = PongTimes::of(&self.options);
        let conns: &Conns = &self.conns;
        let silent_ms = |session: &Session<'_>| times.silent_ms(conns, session, now);
        let sight = Sight { now, silent_ms: &silent_ms };
        scan.advance(question, self.table_of(question.state()), &sight, budget)
    }

    /// All has been looked at: the answer, or what there is to do before it.
    fn conclude(&mut self, question: &Question, mut scan: Scan, now: Now) -> Then {
        let targets = scan.take_targets();
        let found = scan.into_answer(self.table_of(question.state()));
        match self.order(question, targets, now) {
            None => Then::Say(found),
            Some(doing) => Then::Do(doing.of(found)),
        }
    }

    /// Acts on the next of the sessions that were found. Returns the answer when it was the last.
    fn carry_on(&mut self, work: &mut Work, now: Now) -> Option<Answer> {
        let Stage::Doing(doing) = &mut work.stage else { return None };
        self.act(&work.question, doing, now);
        doing.take_answer_if_done()
    }

    fn table_of(&self, state: State) -> &Table {
        match state {
            State::Open => &self.table,
            State::Closed => self.closed.table(),
        }
    }

    /// Answers the questions whose time is over.
    pub(super) fn answer_overdue(&mut self, now: Now) {
        let is_overdue = |work: &Work| work.reply_to.is_some() && work.deadline_ms <= now.mono_ms;
        // In the order in which they came.
        while let Some(work) = self.works.waiting.pop_front_if(|work| is_overdue(work)) {
            self.deliver(work.reply_to, Answer::refused(), now);
        }
        for _ in 0..self.works.queue.len() {
            let Some(work) = self.works.queue.pop_front() else { return };
            if is_overdue(&work) {
                self.answer_early(work, now);
            } else {
                self.works.queue.push_back(work);
            }
        }
    }

    /// Answers with what there is to tell; an order goes on.
    fn answer_early(&mut self, mut work: Box<Work>, now: Now) {
        let reply_to = work.reply_to.take();
        let answer = match &mut work.stage {
            Stage::Scanning(scan) if matches!(work.question, Question::Search(_)) => {
                scan.cut();
                let Stage::Scanning(scan) = work.stage else { unreachable!("matched above") };
                let answer = scan.into_answer(self.table_of(work.question.state()));
                return self.deliver(reply_to, answer, now);
            }
            // It goes on: all that are meant will be found, and what is ordered be done.
            Stage::Scanning(scan) => scan.interim(),
            Stage::Doing(doing) => doing.take_interim(),
            Stage::Waiting => unreachable!("what is in the queue has begun"),
        };
        self.works.queue.push_back(work);
        self.deliver(reply_to, answer, now);
    }

    pub(super) fn deliver(&mut self, reply_to: Option<ReplyTo>, answer: Answer, now: Now) {
        let Some(ReplyTo { peer, gather }) = reply_to else { return };
        if peer == Peer::Shard(self.id) {
            if let Some(gathered) = self.gathers.answer(gather, self.id, answer) {
                self.resolve(gathered, now);
            }
        } else {
            self.effects.message(peer, Message::Answer { gather, answer });
        }
    }
}

#[cfg(test)]
mod tests;
