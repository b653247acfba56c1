//! The sessions of some users, all of them known: who is in, who comes, who goes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use rollcall::ids::ClientId;

use super::super::dial::{Goodbye, source};
use super::super::hold::Holder;
use super::super::open::Door;
use super::super::session::{Over, Session};
use super::super::word::Word;
use crate::clock::{NS_PER_S, now_ns};
use crate::failure::Failure;
use crate::latency::Latencies;
use crate::ledger::Ledger;
use crate::orders::{ChurnOrder, Churned, Connects, Leaver, OpenOrder, Parting};
use crate::population::{Mint, Population, Random, user_id};
use crate::question::{Expected, TokenUids, Wrong};

pub(in super::super) struct Visitors {
    order: ChurnOrder,
    users: Range<u32>,
    mint: Mint,
    /// For those who will close and those who will reset.
    doors: [Door; 2],
    holder: Rc<Holder>,
    ledger: RefCell<Ledger>,
    /// Who is in, oldest first unless members are chosen at random.
    members: RefCell<VecDeque<Member>>,
    random: RefCell<Random>,
    /// Connects begun.
    begun: Cell<u32>,
    /// Connects on their way.
    coming: Cell<u32>,
    /// Seconds between pings as the server promised.
    ping_s: Cell<u32>,
    /// When they began to come and go, and when it began to count.
    begin_ns: Cell<u64>,
    counts_ns: Cell<u64>,
    found: RefCell<Found>,
}

struct Member {
    user: u32,
    client: ClientId,
    leave: Word,
}

struct Found {
    churned: Churned,
    times: Latencies,
}

impl Visitors {
    /// Opens all sessions the order begins with.
    pub(in super::super) async fn gather(
        order: ChurnOrder,
        holder: &Rc<Holder>,
    ) -> Result<Rc<Self>, Failure> {
        let visitors = Rc::new(Self::new(order, holder));
        let next = Rc::new(Cell::new(visitors.order.open.first));
        let lanes: Vec<_> = (0..visitors.order.open.concurrency)
            .map(|_| monoio::spawn(gather(Rc::clone(&visitors), Rc::clone(&next))))
            .collect();
        for lane in lanes {
            lane.await?;
        }
        // What came before does not count.
        visitors.found.borrow_mut().churned = Churned::default();
        Ok(visitors)
    }

    fn new(order: ChurnOrder, holder: &Rc<Holder>) -> Self {
        let open = &order.open;
        let users = open.first / open.per_user..open.end.div_ceil(open.per_user);
        let count = users.end - users.start;
        let door = |goodbye| Door::new(open.address, open.transport, goodbye);
        Self {
            users,
            mint: Mint::new(&open.secret, open.per_user, open.seed, crate::clock::unix_s()),
            doors: [door(Goodbye::Fin), door(Goodbye::Reset)],
            holder: Rc::clone(holder),
            ledger: RefCell::new(Ledger::new(count, order.grace_s * NS_PER_S)),
            members: RefCell::default(),
            random: RefCell::new(Random::new(open.seed)),
            begun: Cell::new(0),
            coming: Cell::new(0),
            ping_s: Cell::new(0),
            begin_ns: Cell::new(0),
            counts_ns: Cell::new(u64::MAX),
            found: RefCell::new(Found { churned: Churned::default(), times: Latencies::new() }),
            order,
        }
    }

    pub(super) const fn order(&self) -> &ChurnOrder {
        &self.order
    }

    pub(super) fn users(&self) -> Range<u32> {
        self.users.clone()
    }

    pub(in super::super) fn ping_s(&self) -> u32 {
        self.ping_s.get()
    }

    /// They come and go from now on; what happens after `counts_ns` counts.
    pub(super) fn begin(&self, now: u64, counts_ns: u64) {
        self.begin_ns.set(now);
        self.counts_ns.set(counts_ns);
    }

    pub(super) fn has_room(&self) -> bool {
        self.coming.get() < self.order.open.concurrency
    }

    pub(super) fn is_anybody_coming(&self) -> bool {
        self.coming.get() > 0
    }

    /// Somebody must wait for others.
    pub(super) fn delay(&self) {
        if now_ns() >= self.counts_ns.get() {
            self.found.borrow_mut().churned.delayed += 1;
        }
    }

    /// A session of any user comes, at once and beside whatever else happens.
    pub(super) fn invite(self: Rc<Self>, due_ns: u64) {
        let count = self.users.end - self.users.start;
        let user = self.users.start + self.random.borrow_mut().below(count);
        monoio::spawn(async move {
            let outcome = self.come(user).await;
            self.count(outcome.err(), due_ns, now_ns());
        });
    }

    /// One session goes, if there is one.
    pub(super) fn send_one_away(&self, now: u64) {
        let Some(Member { user, client, leave }) = self.take_leaver() else { return };
        self.ledger.borrow_mut().closing(self.local(user), client, now);
        leave.say();
        self.found.borrow_mut().churned.departures += u64::from(now >= self.counts_ns.get());
        self.ledger.borrow_mut().forget(now);
    }

    fn take_leaver(&self) -> Option<Member> {
        let mut members = self.members.borrow_mut();
        match self.order.leaver {
            Leaver::Oldest => members.pop_front(),
            Leaver::Random => {
                let count = u32::try_from(members.len()).expect("counted as u32").max(1);
                let at = self.random.borrow_mut().below(count);
                members.swap_remove_back(at as usize)
            }
        }
    }

    /// Connects a session of this user and has it stay until it is sent away.
    async fn come(self: &Rc<Self>, user: u32) -> Result<(), Failure> {
        let open = &self.order.open;
        let index = self.begun.get();
        self.begun.set(index.wrapping_add(1));
        let token = self.mint.token_of(user, index)?;
        let from = open.source.map(|first| source(first, index));
        self.coming.set(self.coming.get() + 1);
        self.ledger.borrow_mut().connecting(self.local(user));
        let opened = self.door(index).open(from, &token).await;
        self.coming.set(self.coming.get() - 1);
        let opened = match opened {
            Ok(opened) => opened,
            Err(failure) => {
                self.ledger.borrow_mut().failed(self.local(user));
                return Err(failure);
            }
        };
        let client = opened.connected.client;
        self.ping_s.set(opened.connected.ping_s);
        let wrong = self.ledger.borrow_mut().connected(self.local(user), client, now_ns());
        self.judge_last(wrong.into_iter().collect());
        let emulation = self.holder.emulation(open.address);
        let session = Session::new(opened, open.transport, emulation, self.holder.shared())?;
        let leave = Word::default();
        self.members.borrow_mut().push_back(Member { user, client, leave: leave.clone() });
        monoio::spawn(stay(Rc::clone(self), session, (user, client), leave));
        Ok(())
    }

    fn door(&self, index: u32) -> &Door {
        let [close, reset] = &self.doors;
        match self.order.parting {
            Parting::Close => close,
            Parting::Reset => reset,
            Parting::Both if index.is_multiple_of(2) => close,
            Parting::Both => reset,
        }
    }

    /// A session ended that nobody sent away.
    fn lose(&self, user: u32, client: ClientId, now: u64) {
        self.members.borrow_mut().retain(|member| member.client != client);
        self.ledger.borrow_mut().closing(self.local(user), client, now);
    }

    fn count(&self, failure: Option<Failure>, due_ns: u64, now: u64) {
        let mut found = self.found.borrow_mut();
        let arrivals = &mut found.churned.arrivals;
        if let Some(failure) = failure {
            *arrivals.errors.entry(failure.to_string()).or_default() += 1;
            return;
        }
        arrivals.per_second.count(now - self.begin_ns.get());
        if now >= self.counts_ns.get() {
            arrivals.accepted += 1;
            arrivals.elapsed_ns = now - self.counts_ns.get();
            found.times.record(now - due_ns);
        }
    }

    /// Judges the body of an answer that has just been read.
    pub(super) fn judge(&self, user: u32, asked_ns: u64, body: &[u8]) -> Vec<Wrong> {
        let OpenOrder { per_user, transport, end, seed, .. } = self.order.open;
        let population = Population { sessions: end, per_user, transport, seed };
        let user_id = user_id(user);
        // Which sessions they are the ledger knows.
        let expected =
            Expected { token_uids: TokenUids::Any, ..population.expected(user, &user_id) };
        match self.order.query.question.ids(body, &expected) {
            Ok(listed) => self.ledger.borrow_mut().judge(self.local(user), asked_ns, &listed),
            Err(wrong) => vec![wrong],
        }
    }

    /// Ids that were listed and never given to anybody.
    pub(super) fn unclaimed(&self) -> Vec<Wrong> {
        self.ledger.borrow().unclaimed()
    }

    /// Keeps what is wrong beside the answers to the load of queries.
    pub(super) fn judge_last(&self, wrong: Vec<Wrong>) {
        let mut found = self.found.borrow_mut();
        for wrong in wrong {
            *found.churned.wrong.entry(wrong.to_string()).or_default() += 1;
        }
    }

    /// What happened since they were gathered.
    pub(super) fn outcome(&self) -> Churned {
        let found = self.found.borrow();
        let arrivals = Connects {
            begun: self.begun.get().into(),
            times: found.times.buckets(),
            ..found.churned.arrivals.clone()
        };
        Churned { arrivals, judged: self.ledger.borrow().judged(), ..found.churned.clone() }
    }

    /// The ledger's number of a user.
    const fn local(&self, user: u32) -> u32 {
        user - self.users.start
    }
}

/// Opens one session after the other until all of the order are, or one fails anywhere.
async fn gather(visitors: Rc<Visitors>, next: Rc<Cell<u32>>) -> Result<(), Failure> {
    let open = &visitors.order.open;
    while next.get() < open.end {
        let session = next.get();
        next.set(session + 1);
        if let Err(failure) = visitors.come(session / open.per_user).await {
            // The other lanes need not go on.
            next.set(open.end);
            return Err(Failure::new(format!("session {session}: {failure}")));
        }
    }
    Ok(())
}

async fn stay(
    visitors: Rc<Visitors>,
    session: Session,
    (user, client): (u32, ClientId),
    leave: Word,
) {
    if let Over::Lost(lost) = session.live(leave.said()).await {
        visitors.lose(user, client, now_ns());
        lost.gone().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::QueryOrder;
    use crate::population::Crowd;
    use crate::question::Question;
    use crate::transport::Transport;

    fn visitors(leaver: Leaver) -> Visitors {
        let address = "127.0.0.1:1".parse().unwrap();
        let transport = Transport::Websocket;
        let open = OpenOrder {
            address,
            transport,
            secret: "s".into(),
            first: 30,
            end: 37,
            per_user: 3,
            seed: 1,
            concurrency: 2,
            source: None,
        };
        let query = QueryOrder {
            address,
            key: "k".into(),
            question: Question::UserConnections,
            crowd: Crowd::Held(Population { sessions: 37, per_user: 3, transport, seed: 1 }),
            connections: 1,
            rate: 1,
            lead_s: 0,
            duration_s: 1,
            seed: 1,
        };
        let parting = Parting::Both;
        let order = ChurnOrder { open, rate: 1, parting, leaver, grace_s: 1, query };
        let visitors = Visitors::new(order, &Rc::new(Holder::new()));
        for letter in [1, 2, 3] {
            let (user, client) = (11, ClientId([letter; 16]));
            visitors.ledger.borrow_mut().connecting(1);
            visitors.ledger.borrow_mut().connected(1, client, 0);
            let leave = Word::default();
            visitors.members.borrow_mut().push_back(Member { user, client, leave });
        }
        visitors
    }

    /// An answer that lists these sessions.
    fn listing(letters: &[u8]) -> Vec<u8> {
        let entry = |letter: &u8| {
            let client = ClientId([*letter; 16]);
            format!(r#""{client}":{{"app_name":"ios","transport":"websocket","protocol":"json"}}"#)
        };
        let entries: Vec<String> = letters.iter().map(entry).collect();
        format!(r#"{{"result":{{"connections":{{{}}}}}}}"#, entries.join(",")).into_bytes()
    }

    #[test]
    fn visitors_know_their_users_alone() {
        let visitors = visitors(Leaver::Oldest);
        assert_eq!(visitors.users(), 10..13);
        assert_eq!(visitors.judge(11, 1, &listing(&[1, 2, 3])), []);
        assert_eq!(visitors.judge(12, 1, &listing(&[1])), [Wrong::Foreign]);
        assert_eq!(visitors.judge(12, 1, b"{}"), [Wrong::Shape]);
    }

    #[test]
    fn who_is_sent_away_is_no_longer_missed() {
        let visitors = visitors(Leaver::Oldest);
        visitors.begin(0, 5);
        visitors.send_one_away(6);
        assert_eq!(visitors.judge(11, 7, &listing(&[2, 3])), []);
        assert_eq!(visitors.judge(11, 6 + NS_PER_S, &listing(&[1])).len(), 3);
        assert_eq!((visitors.outcome().departures, visitors.members.borrow().len()), (1, 2));
    }

    #[test]
    fn anybody_may_be_sent_away_until_nobody_is_left() {
        let visitors = visitors(Leaver::Random);
        (0..5).for_each(|at| visitors.send_one_away(at));
        assert!(visitors.members.borrow().is_empty());
        assert_eq!(visitors.judge(11, 3, &listing(&[])), []);
    }

    #[test]
    fn who_is_lost_is_not_sent_away_again() {
        let visitors = visitors(Leaver::Oldest);
        visitors.lose(11, ClientId([1; 16]), 1);
        assert_eq!(visitors.members.borrow().len(), 2);
        assert_eq!(visitors.take_leaver().map(|member| member.client), Some(ClientId([2; 16])));
    }

    #[test]
    fn only_arrivals_after_the_lead_count() {
        let visitors = visitors(Leaver::Oldest);
        visitors.begin(0, 100);
        visitors.count(None, 50, 90);
        visitors.count(None, 95, 110);
        visitors.count(Some(Failure::new("refused")), 50, 90);
        let Connects { accepted, errors, elapsed_ns, times, .. } = visitors.outcome().arrivals;
        assert_eq!((accepted, errors["refused"], elapsed_ns, times), (1, 1, 10, vec![(15, 1)]));
    }
}
