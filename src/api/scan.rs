//! A question that selects, being answered a stretch at a time.

use std::ops::ControlFlow;

use super::answer::{Answer, Listing};
use super::connections;
use super::detail::Detail;
use super::groups::{GroupBy, Groups};
use super::looking::{Budget, Looking, Progress};
use super::narrowing::Sight;
use super::page::Picked;
use super::question::Question;
use super::search::Shape;
use super::selector::Selector;
use super::terms::Receipt;
use crate::ids::{ClientId, SessionSlot};
use crate::session::{Session, Table};

/// A question being answered.
#[derive(Debug)]
pub struct Scan {
    looking: Looking,
    gathered: Gathered,
    is_cut: bool,
}

/// What was found so far.
#[derive(Debug)]
struct Gathered {
    harvest: Harvest,
    groups: Option<(GroupBy, Groups)>,
    matched: u32,
    unsaid: u64,
}

#[derive(Debug)]
enum Harvest {
    Listing(Listing),
    Page(Picked),
    Nothing,
    Targets(Vec<Target>),
}

/// A session that something is to be done to. Its id tells it from whoever has the slot later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Where it stands.
    pub slot: SessionSlot,
    /// Who it is.
    pub client: ClientId,
}

impl Scan {
    /// Begins to answer a question. What finding out where to look takes is taken from the budget.
    ///
    /// # Panics
    /// For a question that does not select.
    #[must_use]
    pub fn begin(question: &Question, table: &Table, budget: &mut Budget) -> Self {
        let looking = Looking::begin(selector(question), table, budget);
        let (harvest, group_by) = if let Question::Search(search) = question {
            let harvest = match &search.shape {
                Shape::Whole => Harvest::Listing(Listing::default()),
                Shape::Count => Harvest::Nothing,
                Shape::Page { sort, after, limit } => {
                    Harvest::Page(Picked::new(*sort, after.clone(), *limit))
                }
            };
            (harvest, search.group_by.clone())
        } else {
            (Harvest::Targets(Vec::new()), None)
        };
        let groups = group_by.map(|by| (by, Groups::default()));
        let gathered = Gathered { harvest, groups, matched: 0, unsaid: 0 };
        Self { looking, gathered, is_cut: false }
    }

    /// Looks at sessions until the budget is spent.
    pub fn advance(
        &mut self,
        question: &Question,
        table: &Table,
        sight: &Sight<'_>,
        budget: &mut Budget,
    ) -> Progress {
        let Self { looking, gathered, .. } = self;
        let progress = looking.advance(selector(question), table, sight, budget, |found| {
            match found {
                Some(session) => gathered.add(&session),
                None => gathered.unsaid += 1,
            }
            if gathered.is_too_large() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if gathered.is_too_large() { Progress::Done } else { progress }
    }

    /// How many sessions were looked at, when no index could tell which ones are meant.
    #[must_use]
    pub fn scanned(&self) -> Option<u64> {
        self.looking.scanned()
    }

    /// Its time is over: the answer says that it is not whole.
    pub const fn cut(&mut self) {
        self.is_cut = true;
    }

    /// What can be said of an order while its sessions are still looked for: those found so far are
    /// pending.
    #[must_use]
    pub fn interim(&self) -> Answer {
        let detail = Detail {
            scanned: self.scanned(),
            unsaid: self.gathered.unsaid,
            is_cut: true,
            ..Detail::default()
        };
        let receipt = Receipt { pending: self.gathered.matched, ..Receipt::default() };
        Answer::found(self.gathered.matched, Listing::default(), detail).with_receipt(receipt)
    }

    /// Sessions that were found to do something to.
    pub fn take_targets(&mut self) -> Vec<Target> {
        match &mut self.gathered.harvest {
            Harvest::Targets(targets) => std::mem::take(targets),
            Harvest::Listing(_) | Harvest::Page(_) | Harvest::Nothing => Vec::new(),
        }
    }

    /// What was found so far.
    #[must_use]
    pub fn into_answer(self, table: &Table) -> Answer {
        let scanned = self.scanned();
        let Gathered { harvest, groups, matched, unsaid } = self.gathered;
        let (listing, rows) = match harvest {
            Harvest::Listing(listing) => (listing, None),
            Harvest::Page(picked) => match picked.rows(table) {
                None => (Listing::too_large(), None),
                rows => (Listing::default(), rows),
            },
            Harvest::Nothing | Harvest::Targets(_) => (Listing::default(), None),
        };
        let detail = Detail {
            scanned,
            unsaid,
            is_cut: self.is_cut,
            rows,
            groups: groups.map(|(_, groups)| groups),
            ..Detail::default()
        };
        Answer::found(matched, listing, detail)
    }
}

impl Gathered {
    fn add(&mut self, session: &Session<'_>) {
        self.matched = self.matched.saturating_add(1);
        if let Some((by, groups)) = &mut self.groups {
            groups.count(by, session);
        }
        match &mut self.harvest {
            Harvest::Listing(listing) => listing.push(|out| connections::write_entry(session, out)),
            Harvest::Page(picked) => picked.look_at(session),
            Harvest::Nothing => {}
            Harvest::Targets(targets) => {
                targets.push(Target { slot: session.slot(), client: session.client() });
            }
        }
    }

    const fn is_too_large(&self) -> bool {
        matches!(&self.harvest, Harvest::Listing(listing) if listing.is_too_large())
    }
}

fn selector(question: &Question) -> &Selector {
    question.selector().expect("only what selects is scanned for")
}
