//! A history against the truths.

use std::collections::{HashMap, HashSet};

use super::timeline::Timeline;
use super::{
    BLOCKED, Block, Count, Ending, History, Listing, Order, Refusal, Session, Time, Which,
};

/// How much was looked at.
#[derive(Default, Debug)]
pub(super) struct Counted {
    pub(super) sessions: usize,
    pub(super) listed: usize,
    pub(super) ended_by_order: usize,
    pub(super) refused: usize,
    pub(super) walked: usize,
    pub(super) counts: usize,
    pub(super) ended_listed: usize,
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
    fn new(session: &'h Session, orders: &Timeline<'_, Order>) -> Self {
        let told = session.ended.map(|(at, _)| at);
        let known_end = session.leaves.or(told).unwrap_or(Time::MAX);
        let touching = orders.meeting(session.asked, known_end);
        let touching = touching.filter(|order| order.which.means(session));
        let touching = touching.filter(|order| order.to > session.asked).map(|order| order.from);
        let may_end = touching.chain(session.leaves).min().unwrap_or(Time::MAX);
        // Told last, unlisted first.
        let mut must_end = told.unwrap_or(Time::MAX);
        for order in orders.beginning(session.acknowledged) {
            if order.from >= must_end {
                break;
            }
            if order.which.means(session) {
                must_end = must_end.min(order.to);
            }
        }
        Self { session, may_end, must_end }
    }

    fn must_be_in(&self, (from, to): (Time, Time)) -> bool {
        self.session.acknowledged <= from && to <= self.may_end
    }

    fn must_not_be_in(&self, (from, to): (Time, Time)) -> bool {
        to < self.session.asked || self.must_end <= from
    }
}

/// All lives, by client and by when they surely are there.
struct Lives<'h> {
    by_client: HashMap<&'h str, &'h Life<'h>>,
    by_user: HashMap<&'h str, Timeline<'h, Life<'h>>>,
    /// By when they may be there at all.
    maybe: HashMap<&'h str, Timeline<'h, Life<'h>>>,
}

impl<'h> Lives<'h> {
    fn new(lives: &'h [Life<'h>]) -> Self {
        let by_client: HashMap<_, _> =
            lives.iter().map(|life| (life.session.client.as_str(), life)).collect();
        assert_eq!(by_client.len(), lives.len(), "a client id was given twice");
        let (mut by_user, mut maybe) = (HashMap::new(), HashMap::new());
        for life in lives {
            let Session { facts, asked, acknowledged, .. } = life.session;
            let of_user: &mut Timeline<'_, _> = by_user.entry(facts.user.as_str()).or_default();
            of_user.add(*acknowledged, life.may_end.max(*acknowledged), life);
            let of_user: &mut Timeline<'_, _> = maybe.entry(facts.user.as_str()).or_default();
            of_user.add(*asked, life.must_end, life);
        }
        Self { by_client, by_user: sorted(by_user), maybe: sorted(maybe) }
    }

    /// Those that must be among the sessions meant during all of this time.
    fn there(&self, which: &Which, (from, to): (Time, Time)) -> impl Iterator<Item = &'h Life<'h>> {
        let users = self.by_user.iter().filter(|(user, _)| which.is_of(user));
        let lives = users.flat_map(move |(_, lives)| lives.meeting(from, from));
        lives.filter(move |life| life.must_be_in((from, to)) && which.means(life.session))
    }
}

pub(super) fn check(history: &History) -> Counted {
    let History { sessions, listings, orders, blocks, refusals, counts, endings, partial } =
        history;
    eprintln!("{} orders, {} listings, {partial} partial", orders.len(), listings.len());
    let user_of: HashMap<_, _> =
        sessions.iter().map(|session| (&session.client, &session.facts.user)).collect();
    let mut by_user: HashMap<&str, Timeline<'_, Order>> =
        sessions.iter().map(|session| (session.facts.user.as_str(), Timeline::default())).collect();
    for order in orders {
        for (user, orders) in &mut by_user {
            let is_of = match &order.which {
                Which::Client(client) => user_of.get(client).is_some_and(|of| of == user),
                Which::User(_)
                | Which::UserBut(..)
                | Which::Region(_)
                | Which::UserIn(..)
                | Which::Users(_) => order.which.is_of(user),
            };
            if is_of {
                orders.add(order.from, order.to, order);
            }
        }
    }
    let by_user = sorted(by_user);
    let orders_of = |session: &Session| &by_user[session.facts.user.as_str()];
    let lives: Vec<_> =
        sessions.iter().map(|session| Life::new(session, orders_of(session))).collect();
    let lives = Lives::new(&lives);
    let mut counted =
        Counted { sessions: sessions.len(), refused: refusals.len(), ..Counted::default() };
    for session in sessions {
        counted.ended_by_order += usize::from(ended_as_ordered(session, orders_of(session)));
    }
    check_blocks(sessions, blocks, refusals);
    for listing in listings {
        counted.listed += listing.clients.len();
        counted.walked += usize::from(listing.pages > 1);
        check_listing(listing, &lives);
    }
    for count in counts {
        counted.counts += 1;
        check_count(count, &lives);
    }
    for ending in endings {
        counted.ended_listed += 1;
        check_ending(ending, &lives);
    }
    counted
}

fn sorted<'h, T>(all: HashMap<&'h str, Timeline<'h, T>>) -> HashMap<&'h str, Timeline<'h, T>> {
    all.into_iter().map(|(user, timeline)| (user, timeline.sorted())).collect()
}

fn check_blocks(sessions: &[Session], blocks: &[Block], refusals: &[Refusal]) {
    let mut by_user = HashMap::<&str, Timeline<'_, Block>>::new();
    for block in blocks {
        by_user.entry(&block.user).or_default().add(block.from, block.lifted_to, block);
    }
    let by_user = sorted(by_user);
    for session in sessions {
        let Some(blocks) = by_user.get(session.facts.user.as_str()) else { continue };
        let kept_out =
            |block: &&Block| session.asked >= block.to && session.acknowledged <= block.lifted_from;
        let block = blocks.meeting(session.asked, session.acknowledged).find(kept_out);
        assert!(block.is_none(), "let in in spite of {block:?}: {session:?}");
    }
    for refusal in refusals {
        let by = |block: &&Block| {
            block.code == refusal.code && block.from < refusal.to && refusal.from < block.lifted_to
        };
        let blocks = by_user.get(refusal.user.as_str());
        let is_by = blocks.is_some_and(|all| all.meeting(refusal.from, refusal.to).any(|b| by(&b)));
        assert!(is_by, "refused by nobody: {refusal:?}");
    }
}

/// Whether it was ended by an order; by nothing else may the server end it.
fn ended_as_ordered(session: &Session, orders: &Timeline<'_, Order>) -> bool {
    let Some((at, code)) = session.ended else { return false };
    let by = |order: &Order| {
        order.code == code
            && order.which.means(session)
            && order.from <= at
            && order.to > session.asked
    };
    let is_by = orders.meeting(session.asked, at).any(by);
    assert!(is_by, "ended by nobody: {session:?}");
    true
}

fn check_listing(listing: &Listing, lives: &Lives<'_>) {
    let during = (listing.from, listing.to);
    let listed: HashSet<_> = listing.clients.iter().map(String::as_str).collect();
    assert_eq!(listed.len(), listing.clients.len(), "listed twice: {listing:?}");
    for client in &listed {
        let life = lives.by_client.get(client);
        let life = life.unwrap_or_else(|| panic!("{client} was invented: {listing:?}"));
        let session = life.session;
        assert!(listing.which.means(session), "not asked for: {session:?} in {listing:?}");
        assert!(!life.must_not_be_in(during), "gone: {session:?} in {listing:?}");
    }
    let missing =
        lives.there(&listing.which, during).find(|life| !listed.contains(&*life.session.client));
    assert!(missing.is_none(), "missing: {:?} in {listing:?}", missing.map(|life| life.session));
}

fn check_count(count: &Count, lives: &Lives<'_>) {
    let during = (count.from, count.to);
    let least = lives.there(&count.which, during).count();
    assert!(count.counted >= least, "counted too few, there are {least}: {count:?}");
    let users = lives.maybe.iter().filter(|(user, _)| count.which.is_of(user));
    let may_be = users.flat_map(|(_, lives)| lives.meeting(count.from, count.to));
    let may_be = may_be.filter(|life| count.which.means(life.session));
    let most = may_be.filter(|life| !life.must_not_be_in(during)).count();
    assert!(count.counted <= most, "counted too many, there are {most}: {count:?}");
    assert_eq!(count.in_groups, count.counted, "groups do not add up: {count:?}");
}

fn check_ending(ending: &Ending, lives: &Lives<'_>) {
    let life = lives.by_client.get(ending.client.as_str());
    let life = life.unwrap_or_else(|| panic!("{} was invented: {ending:?}", ending.client));
    let session = life.session;
    assert_eq!(session.facts.user, ending.user, "ended is somebody else: {ending:?}");
    assert!(life.may_end <= ending.to, "told as ended while it lives: {session:?} {ending:?}");
    let told = session.ended.map(|(_, code)| code);
    assert!(told.is_none_or(|code| code == ending.code), "another end: {session:?} {ending:?}");
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
        which: Which::User("1".to_owned()),
        from,
        to: from + 5,
        clients: clients.iter().map(|client| (*client).to_owned()).collect(),
        pages: 1,
    };
    let listings = vec![listing(20, &["a"]), listing(30, &["a"])];
    History { sessions: vec![session], listings, ..History::default() }
}

fn order(from: Time) -> Order {
    Order { which: Which::User("1".to_owned()), from, to: from + 3, code: 4001 }
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
        code: BLOCKED,
    };
    let count = |counted: usize| Count {
        which: Which::User("1".to_owned()),
        from: 20,
        to: 25,
        counted,
        in_groups: 1,
    };
    let ending =
        |to: Time, code: u64| Ending { client: "a".to_owned(), user: "1".to_owned(), to, code };
    type Lie = (&'static str, Box<dyn Fn(&mut History)>);
    let lies: [Lie; 14] = [
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
                let user = "2".to_owned();
                it.refusals.push(Refusal { user, from: 1, to: 2, code: BLOCKED });
            }),
        ),
        ("counted too few", Box::new(move |it| it.counts.push(count(0)))),
        ("counted too many", Box::new(move |it| it.counts.push(count(2)))),
        (
            "groups do not add up",
            Box::new(move |it| it.counts.push(Count { in_groups: 0, ..count(1) })),
        ),
        ("while it lives", Box::new(move |it| it.endings.push(ending(30, 3000)))),
        (
            "somebody else",
            Box::new(move |it| {
                it.endings.push(Ending { user: "2".to_owned(), ..ending(50, 3000) });
            }),
        ),
        (
            "another end",
            Box::new(move |it| {
                (it.sessions[0].leaves, it.sessions[0].ended) = (None, Some((60, 4001)));
                it.orders.push(Order { to: 61, ..order(41) });
                it.endings.push(ending(70, 3000));
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
