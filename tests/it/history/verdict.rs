//! A history against the truths.

use std::collections::{HashMap, HashSet};

use super::{Block, History, Listing, Order, Session, Time};

/// How much was looked at.
#[derive(Default, Debug)]
pub(super) struct Counted {
    pub(super) sessions: usize,
    pub(super) listed: usize,
    pub(super) ended_by_order: usize,
    pub(super) refused: usize,
}

/// What is known of when a session was there.
struct Life<'h> {
    session: &'h Session,
    /// From here on something may have ended it.
    may_end: Time,
    /// From here on it must not be there.
    must_end: Time,
}

impl<'h> Life<'h> {
    fn new(session: &'h Session, orders: &[Order]) -> Self {
        let meant = || orders.iter().filter(|order| order.which.means(session));
        let touching = meant().filter(|order| order.to > session.asked).map(|order| order.from);
        let may_end = touching.chain(session.leaves).min().unwrap_or(Time::MAX);
        // Told last, unlisted first.
        let told = session.ended.map(|(at, _)| at);
        let obeyed = meant().filter(|order| order.from >= session.acknowledged);
        let must_end = obeyed.map(|order| order.to).chain(told).min().unwrap_or(Time::MAX);
        Self { session, may_end, must_end }
    }

    fn must_be_in(&self, listing: &Listing) -> bool {
        self.session.acknowledged <= listing.from && listing.to <= self.may_end
    }

    fn must_not_be_in(&self, listing: &Listing) -> bool {
        listing.to < self.session.asked || self.must_end <= listing.from
    }
}

pub(super) fn check(history: &History) -> Counted {
    let History { sessions, listings, orders, blocks, refusals, partial } = history;
    eprintln!("{} orders, {} listings, {partial} partial", orders.len(), listings.len());
    let lives: Vec<_> = sessions.iter().map(|session| Life::new(session, orders)).collect();
    let by_client: HashMap<_, _> =
        lives.iter().map(|life| (life.session.client.as_str(), life)).collect();
    assert_eq!(by_client.len(), sessions.len(), "a client id was given twice");
    let mut counted =
        Counted { sessions: sessions.len(), refused: refusals.len(), ..Counted::default() };
    for life in &lives {
        counted.ended_by_order += usize::from(ended_as_ordered(life.session, orders));
    }
    for block in blocks {
        let let_in = sessions.iter().find(|session| {
            session.facts.user == block.user
                && session.asked >= block.to
                && session.acknowledged <= block.lifted_from
        });
        assert!(let_in.is_none(), "let in in spite of {block:?}: {let_in:?}");
    }
    for refusal in refusals {
        let by = |block: &Block| {
            block.user == refusal.user && block.from < refusal.to && refusal.from < block.lifted_to
        };
        assert!(blocks.iter().any(by), "refused by nobody: {refusal:?}");
    }
    for listing in listings {
        counted.listed += listing.clients.len();
        check_listing(listing, &lives, &by_client);
    }
    counted
}

/// Whether it was ended by an order; by nothing else may the server end it.
fn ended_as_ordered(session: &Session, orders: &[Order]) -> bool {
    let Some((at, code)) = session.ended else { return false };
    let by = |order: &&Order| {
        order.code == code
            && order.which.means(session)
            && order.from <= at
            && order.to > session.asked
    };
    assert!(orders.iter().any(|order| by(&order)), "ended by nobody: {session:?}");
    true
}

fn check_listing(listing: &Listing, lives: &[Life<'_>], by_client: &HashMap<&str, &Life<'_>>) {
    let listed: HashSet<_> = listing.clients.iter().map(String::as_str).collect();
    assert_eq!(listed.len(), listing.clients.len(), "listed twice: {listing:?}");
    for client in &listed {
        let life = by_client.get(client);
        let life = life.unwrap_or_else(|| panic!("{client} was invented: {listing:?}"));
        let session = life.session;
        assert!(listing.which.means(session), "not asked for: {session:?} in {listing:?}");
        assert!(!life.must_not_be_in(listing), "gone: {session:?} in {listing:?}");
    }
    for life in lives.iter().filter(|life| life.must_be_in(listing)) {
        let (session, is_listed) = (life.session, listed.contains(life.session.client.as_str()));
        let is_missing = listing.which.means(session) && !is_listed;
        assert!(!is_missing, "missing: {session:?} in {listing:?}");
    }
}

/// A session of user 1 from 10 on, listed at 20 and 30.
fn small() -> History {
    let facts = super::Facts { user: "1".to_owned(), region: "eu" };
    let session = Session {
        client: "a".to_owned(),
        facts,
        asked: 5,
        acknowledged: 10,
        leaves: Some(40),
        ended: None,
    };
    let listing = |from: Time, clients: &[&str]| Listing {
        which: super::Which::User("1".to_owned()),
        from,
        to: from + 5,
        clients: clients.iter().map(|client| (*client).to_owned()).collect(),
    };
    let listings = vec![listing(20, &["a"]), listing(30, &["a"])];
    History { sessions: vec![session], listings, ..History::default() }
}

fn order(from: Time) -> Order {
    Order { which: super::Which::User("1".to_owned()), from, to: from + 3, code: 4001 }
}

#[test]
fn a_history_that_breaks_a_truth_is_found_out() {
    check(&small());
    let block = |from: Time| Block {
        user: "1".to_owned(),
        from,
        to: from + 1,
        lifted_from: 50,
        lifted_to: 51,
    };
    type Lie = (&'static str, Box<dyn Fn(&mut History)>);
    let lies: [Lie; 8] = [
        ("missing", Box::new(|it| it.listings[1].clients.clear())),
        ("invented", Box::new(|it| it.listings[1].clients.push("b".to_owned()))),
        ("listed twice", Box::new(|it| it.listings[1].clients.push("a".to_owned()))),
        ("not asked for", Box::new(|it| it.sessions[0].facts.user = "2".to_owned())),
        ("gone", Box::new(|it| it.orders.push(order(26)))),
        ("ended by nobody", Box::new(|it| it.sessions[0].ended = Some((60, 3503)))),
        ("let in in spite", Box::new(move |it| it.blocks.push(block(2)))),
        (
            "refused by nobody",
            Box::new(|it| {
                it.refusals.push(super::Refusal { user: "2".to_owned(), from: 1, to: 2 });
            }),
        ),
    ];
    for (what, lie) in lies {
        let mut history = small();
        lie(&mut history);
        let found = std::panic::catch_unwind(|| check(&history)).expect_err(what);
        let told = found.downcast::<String>().expect("a message");
        assert!(told.contains(what), "{what}: {told}");
    }
}
