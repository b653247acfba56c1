//! ⑤ Questions that select: answered in one turn when there is little to look at, else a stretch at a
//! time, so that nothing else waits for long.
//!
//! ```text
//!   begin ── little to look at, few to act on ─────────────────────────────▶ answer
//!     └─▶ queue ──turn: a stretch──▶ … ──▶ all looked at ──▶ orders ──▶ all done ──▶ answer
//!                                    └── time is over: the answer says what is missing or pending
//! ```

use std::collections::VecDeque;

use super::Shard;
use super::conns::Conns;
use super::orders::Doing;
use super::sweep::PongTimes;
use crate::api::{Answer, Progress, Question, Scan, Sight, State};
use crate::messages::{GatherId, Message, Peer};
use crate::session::{Session, Table};
use crate::time::Now;

/// Sessions looked at in one turn: half a millisecond or one. Few in tests, so that a scan rests.
const SCAN_STEPS: usize = if cfg!(test) { 8 } else { 8_000 };

/// Questions of one shard that take more than one turn at once. A further one is answered with
/// error 100 (`too_many_scans_at_once_are_refused`).
pub(super) const WORKS_MAX: usize = 64;

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
    Scanning(Scan),
    Doing(Doing),
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
}

impl Works {
    fn is_full(&self) -> bool {
        self.queue.len() >= WORKS_MAX
    }

    pub(super) fn push(&mut self, mut work: Box<Work>, reply_to: ReplyTo) {
        work.reply_to = Some(reply_to);
        self.queue.push_back(work);
    }

    /// Whether something waits for leave to act.
    pub(super) fn any_paced(&self) -> bool {
        self.queue.iter().any(|work| work.is_paced())
    }
}

impl Work {
    /// Whether there is only to do what is done in one turn.
    fn is_done_at_once(&self) -> bool {
        matches!(&self.stage, Stage::Doing(doing) if doing.is_at_once())
    }

    fn is_paced(&self) -> bool {
        matches!(&self.stage, Stage::Doing(doing) if doing.is_paced())
    }
}

impl Shard {
    /// Begins to answer. What is asked to change has changed when this returns an answer.
    pub(super) fn begin_work(&mut self, question: &Question, now: Now) -> Begun {
        if question.selector().is_none() {
            return Begun::Answered(self.answer(question, now));
        }
        let mut work = Work {
            stage: Stage::Scanning(Scan::begin(question, self.table_of(question.state()))),
            question: question.clone(),
            deadline_ms: now.mono_ms + self.work_ms,
            reply_to: None,
        };
        if let Some(answer) = self.look(&mut work, now) {
            return Begun::Answered(answer);
        }
        // Before anything is done: what is refused has changed nothing.
        if self.works.is_full() && !work.is_done_at_once() {
            return Begun::Answered(Answer::refused());
        }
        match self.carry_on(&mut work, now) {
            Some(answer) => Begun::Answered(answer),
            None => Begun::Going(Box::new(work)),
        }
    }

    /// Whether there is something to go on with at once ([`Self::on_turn`]).
    #[must_use]
    pub fn is_working(&self) -> bool {
        let may_act = self.pace.has_leave();
        !self.enforcing.is_idle() || self.works.queue.iter().any(|work| may_act || !work.is_paced())
    }

    /// A stretch of the question whose turn it is, and of the rules that came. Returns whether there is nothing left that can
    /// go on; when there is, the engine lets other events through and calls again.
    pub fn on_turn(&mut self, now: Now) -> bool {
        self.enforce_more(now);
        let may_act = self.pace.has_leave();
        let next = self.works.queue.iter().position(|work| may_act || !work.is_paced());
        if let Some(mut work) = next.and_then(|next| self.works.queue.remove(next)) {
            match self.stretch(&mut work, now) {
                Some(answer) => self.deliver(work.reply_to, answer, now),
                None => self.works.queue.push_back(work),
            }
        }
        !self.is_working()
    }

    /// One stretch. Returns the answer when it was the last one.
    fn stretch(&mut self, work: &mut Work, now: Now) -> Option<Answer> {
        self.look(work, now).or_else(|| self.carry_on(work, now))
    }

    /// Looks at the next sessions, if not all have been looked at. Returns the answer when that is
    /// all there is to do.
    fn look(&mut self, work: &mut Work, now: Now) -> Option<Answer> {
        if let Stage::Scanning(scan) = &mut work.stage {
            let times = PongTimes::of(&self.options);
            let conns: &Conns = &self.conns;
            let silent_ms = |session: &Session<'_>| times.silent_ms(conns, session, now);
            let sight = Sight { now, silent_ms: &silent_ms };
            let table = self.table_of(work.question.state());
            if scan.advance(&work.question, table, &sight, SCAN_STEPS) == Progress::Resting {
                return None;
            }
            let Stage::Scanning(mut scan) = std::mem::replace(&mut work.stage, Stage::over())
            else {
                unreachable!("matched above")
            };
            let targets = scan.take_targets();
            let found = scan.into_answer(self.table_of(work.question.state()));
            match self.order(&work.question, targets, now) {
                None => return Some(found),
                Some(doing) => work.stage = Stage::Doing(doing.of(found)),
            }
        }
        None
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
        for _ in 0..self.works.queue.len() {
            let Some(mut work) = self.works.queue.pop_front() else { return };
            if !is_overdue(&work) {
                self.works.queue.push_back(work);
                continue;
            }
            let reply_to = work.reply_to.take();
            let answer = match &mut work.stage {
                Stage::Doing(doing) => {
                    let answer = doing.take_interim();
                    self.works.queue.push_back(work);
                    answer
                }
                Stage::Scanning(scan) if matches!(work.question, Question::Search(_)) => {
                    scan.cut();
                    let Stage::Scanning(scan) = work.stage else { unreachable!("matched above") };
                    scan.into_answer(self.table_of(work.question.state()))
                }
                // It goes on: all that are meant will be found, and what is ordered be done.
                Stage::Scanning(scan) => {
                    let answer = scan.interim();
                    self.works.queue.push_back(work);
                    answer
                }
            };
            self.deliver(reply_to, answer, now);
        }
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

impl Stage {
    fn over() -> Self {
        Self::Doing(Doing::default())
    }
}

#[cfg(test)]
mod tests;
