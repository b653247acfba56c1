//! Looking at sessions, a stretch at a time: a shard does something else in between.
//!
//! A session that lives from the first stretch to the last is looked at exactly once
//! ([`Table::walk`]); what came or went meanwhile is looked at once at most, as it is then.

use roaring::RoaringBitmap;

use super::connections;
use super::detail::Detail;
use super::expression::{Evaluator, Said};
use super::groups::{GroupBy, Groups};
use super::narrowing::Sight;
use super::page::Picked;
use super::question::{Answer, Listing, Question, write_key};
use super::search::Shape;
use super::selector::{Candidates, Selector};
use super::terms::Receipt;
use crate::ids::{ClientId, SessionSlot};
use crate::session::{Session, Table, Walk};

/// A question being answered.
#[derive(Debug)]
pub struct Scan {
    source: Source,
    harvest: Harvest,
    groups: Option<(GroupBy, Groups)>,
    matched: u32,
    scanned: u64,
    unsaid: u64,
    is_cut: bool,
}

#[derive(Debug)]
enum Source {
    Slots(std::vec::IntoIter<SessionSlot>),
    /// These slots, from this one on.
    Indexed(RoaringBitmap, u32),
    Walk(Walk),
    /// All were looked at, whoever came from where.
    Over {
        was_walk: bool,
    },
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

/// How far a scan is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is more to look at.
    Resting,
    /// All has been looked at, or there is no use in going on.
    Done,
}

impl Scan {
    /// Begins to answer a question.
    ///
    /// # Panics
    /// For a question that does not select.
    #[must_use]
    pub fn begin(question: &Question, table: &Table) -> Self {
        let selector = selector(question);
        let source = match selector.candidates(table) {
            Candidates::Slots(slots) => Source::Slots(slots.into_iter()),
            Candidates::Indexed(slots) => Source::Indexed(slots, 0),
            Candidates::Everybody => Source::Walk(Walk::default()),
        };
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
        Self { source, harvest, groups, matched: 0, scanned: 0, unsaid: 0, is_cut: false }
    }

    /// Looks at sessions for so many steps; one is what reading a record takes.
    pub fn advance(
        &mut self,
        question: &Question,
        table: &Table,
        sight: &Sight<'_>,
        steps: usize,
    ) -> Progress {
        let selector = selector(question);
        let evaluator = selector.begin();
        let places = (steps / selector.steps()).max(1);
        let mut source = std::mem::replace(&mut self.source, Source::Over { was_walk: false });
        let look = |scan: &mut Self, session: Session<'_>| {
            scan.look_at(&session, selector, sight, evaluator.as_ref());
        };
        source = match source {
            Source::Slots(mut slots) => {
                for slot in slots.by_ref().take(places) {
                    if let Some(session) = table.get(slot) {
                        look(self, session);
                    }
                }
                if slots.len() == 0 {
                    Source::Over { was_walk: false }
                } else {
                    Source::Slots(slots)
                }
            }
            Source::Indexed(slots, from) => {
                let mut rest = slots.range(from..);
                for slot in rest.by_ref().take(places) {
                    if let Some(session) = table.get(SessionSlot(slot)) {
                        look(self, session);
                    }
                }
                match rest.next() {
                    Some(next) => Source::Indexed(slots, next),
                    None => Source::Over { was_walk: false },
                }
            }
            Source::Walk(from) => {
                let mut seen = 0;
                let next = table.walk(from, places, |session| {
                    seen += 1;
                    look(self, session);
                });
                self.scanned += seen;
                next.map_or(Source::Over { was_walk: true }, Source::Walk)
            }
            over @ Source::Over { .. } => over,
        };
        let is_over = matches!(source, Source::Over { .. }) || self.is_too_large();
        self.source = source;
        if is_over { Progress::Done } else { Progress::Resting }
    }

    fn look_at(
        &mut self,
        session: &Session<'_>,
        selector: &Selector,
        sight: &Sight<'_>,
        evaluator: Option<&Evaluator<'_>>,
    ) {
        match selector.judge(session, sight, evaluator) {
            Said::No => return,
            Said::Nothing => {
                self.unsaid += 1;
                return;
            }
            Said::Yes => self.matched = self.matched.saturating_add(1),
        }
        if let Some((by, groups)) = &mut self.groups {
            groups.count(by, session);
        }
        match &mut self.harvest {
            Harvest::Listing(listing) => listing.push(|out| {
                write_key(session, out);
                connections::write(session, out);
            }),
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

    /// Its time is over: the answer says that it is not whole.
    pub const fn cut(&mut self) {
        self.is_cut = true;
    }

    /// What can be said of an order while its sessions are still looked for: those found so far are
    /// pending.
    #[must_use]
    pub fn interim(&self) -> Answer {
        let detail = Detail {
            scanned: self.was_walk().then_some(self.scanned),
            unsaid: self.unsaid,
            is_cut: true,
            ..Detail::default()
        };
        let receipt = Receipt { pending: self.matched, ..Receipt::default() };
        Answer::found(self.matched, Listing::default(), detail).with_receipt(receipt)
    }

    const fn was_walk(&self) -> bool {
        matches!(self.source, Source::Walk(_) | Source::Over { was_walk: true })
    }

    /// Sessions that were found to do something to.
    pub fn take_targets(&mut self) -> Vec<Target> {
        match &mut self.harvest {
            Harvest::Targets(targets) => std::mem::take(targets),
            Harvest::Listing(_) | Harvest::Page(_) | Harvest::Nothing => Vec::new(),
        }
    }

    /// What was found so far.
    #[must_use]
    pub fn into_answer(self, table: &Table) -> Answer {
        let was_walk = self.was_walk();
        let (listing, rows) = match self.harvest {
            Harvest::Listing(listing) => (listing, None),
            Harvest::Page(picked) => {
                let rows = picked.rows(table, |session, out| {
                    write_key(session, out);
                    connections::write(session, out);
                });
                (Listing::default(), Some(rows))
            }
            Harvest::Nothing | Harvest::Targets(_) => (Listing::default(), None),
        };
        let detail = Detail {
            scanned: was_walk.then_some(self.scanned),
            unsaid: self.unsaid,
            is_cut: self.is_cut,
            rows,
            groups: self.groups.map(|(_, groups)| groups),
            ..Detail::default()
        };
        Answer::found(self.matched, listing, detail)
    }
}

fn selector(question: &Question) -> &Selector {
    question.selector().expect("only what selects is scanned for")
}
