//! Looking for the sessions that a selector means, a stretch at a time: a shard does something else
//! in between.
//!
//! A session that lives from the first stretch to the last is looked at exactly once
//! ([`Table::walk`]); what came or went meanwhile is looked at once at most, as it is then.

use std::ops::ControlFlow;

use roaring::RoaringBitmap;

use super::expression::{Asked, Evaluator, Said};
use super::narrowing::Sight;
use super::selector::{Candidates, Selector};
use crate::ids::SessionSlot;
use crate::session::{Session, Table, Trail, Walk};

/// Steps that are left of a turn; one is what reading a record takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    left: usize,
}

impl Budget {
    /// So many steps.
    #[must_use]
    pub const fn new(steps: usize) -> Self {
        Self { left: steps }
    }

    /// Steps that are left.
    #[must_use]
    pub const fn left(self) -> usize {
        self.left
    }

    /// Takes steps; those that are not there any more are taken from nobody.
    pub const fn spend(&mut self, steps: usize) {
        self.left = self.left.saturating_sub(steps);
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_spent(self) -> bool {
        self.left == 0
    }
}

/// How far a look is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is more to look at.
    Resting,
    /// All has been looked at, or there is no use in going on.
    Done,
}

/// A look at all sessions that may be meant.
#[derive(Debug)]
pub struct Looking {
    source: Source,
    evaluator: Option<Evaluator>,
    /// Sessions looked at.
    looked: u64,
    /// Whether an index could tell where they are.
    is_exact: bool,
}

#[derive(Debug)]
enum Source {
    /// This one of the selector's users, from here on.
    Users(usize, Trail),
    One(Option<SessionSlot>),
    /// These slots, from this one on.
    Indexed(RoaringBitmap, u32),
    Walk(Walk),
    Over,
}

impl Looking {
    /// Begins. What finding out where to look takes is taken from the budget.
    #[must_use]
    pub fn begin(selector: &Selector, table: &Table, budget: &mut Budget) -> Self {
        let (source, is_exact) = match selector.candidates(table, budget) {
            Candidates::Users => (Source::Users(0, Trail::default()), true),
            Candidates::One(slot) => (Source::One(slot), true),
            Candidates::Indexed { slots, is_exact } => (Source::Indexed(slots, 0), is_exact),
            Candidates::Everybody => (Source::Walk(Walk::default()), false),
        };
        Self { source, evaluator: selector.begin(), looked: 0, is_exact }
    }

    /// Looks at sessions until the budget is spent or `found` breaks off: it is told of those that
    /// are meant, and of those of which the expression says nothing (`None`).
    pub fn advance<'t>(
        &mut self,
        selector: &Selector,
        table: &'t Table,
        sight: &Sight<'_>,
        budget: &mut Budget,
        mut found: impl FnMut(Option<Session<'t>>) -> ControlFlow<()>,
    ) -> Progress {
        let Self { source, evaluator, looked, .. } = self;
        let mut look = |session: Option<Session<'t>>| {
            budget.spend(1);
            let mut flow = ControlFlow::Continue(());
            if let Some(session) = session {
                *looked += 1;
                let Asked { said, steps } = selector.judge(&session, sight, evaluator.as_ref());
                budget.spend(steps);
                flow = match said {
                    Said::Yes => found(Some(session)),
                    Said::Nothing => found(None),
                    Said::No => flow,
                };
            }
            if budget.is_spent() { ControlFlow::Break(()) } else { flow }
        };
        let is_over = match source {
            Source::Users(at, trail) => loop {
                let Some((user, hash)) = selector.users().get(*at) else { break true };
                if table.walk_user((user, *hash), trail, |session| look(Some(session))) {
                    break false;
                }
                (*at, *trail) = (*at + 1, Trail::default());
                if look(None).is_break() {
                    break *at == selector.users().len();
                }
            },
            Source::One(slot) => {
                _ = look(slot.and_then(|slot| table.get(slot)));
                true
            }
            Source::Indexed(slots, from) => {
                let mut rest = slots.range(*from..);
                _ = rest.try_for_each(|slot| look(table.get(SessionSlot(slot))));
                match rest.next() {
                    Some(next) => {
                        *from = next;
                        false
                    }
                    None => true,
                }
            }
            Source::Walk(from) => match table.walk(*from, look) {
                Some(next) => {
                    *from = next;
                    false
                }
                None => true,
            },
            Source::Over => true,
        };
        if !is_over {
            return Progress::Resting;
        }
        *source = Source::Over;
        Progress::Done
    }

    /// How many sessions were looked at, when no index could tell which ones are meant.
    #[must_use]
    pub fn scanned(&self) -> Option<u64> {
        (!self.is_exact).then_some(self.looked)
    }
}
