//! Has the server disconnect user after user while queries about the same users run, so that what
//! they list can be judged: all sessions before a call, none after its answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use rollcall::ids::ClientId;
use serde::Deserialize;

use super::call::Caller;
use super::control::Control;
use super::query::{Asked, Querying, Truth};
use super::schedule::Schedule;
use crate::clock::{NS_PER_S, Timer, now_ns};
use crate::failure::{Context, Failure};
use crate::orders::{Call, DisconnectOrder, Disconnected, Reply};
use crate::population::{Population, Random, user_id};
use crate::question::{self, Question, Wrong};

/// How long queries go on after the last call: its sockets may take their time to go.
const TAIL_NS: u64 = NS_PER_S;

/// Calls for every user, saying when the first is made; queries begin before it and end after the
/// last.
pub(super) async fn run(
    order: DisconnectOrder,
    control: &mut Control,
) -> Result<Disconnected, Failure> {
    let calls = Rc::new(Calls::new(order.population, order.query.question));
    let callers = connect(&order, calls.population.users()).await?;
    let querying = Querying::start(&order.query, Box::new(Known(Rc::clone(&calls)))).await?;
    let stop = querying.stop();
    control.send(&Reply::Measuring).await?;
    let calling = Rc::clone(&calls);
    let timer = Timer::new()?;
    let caller = monoio::spawn(async move {
        let called = call_all(callers, order, calling).await;
        let waited = timer.until(now_ns() + TAIL_NS).await;
        stop.now();
        called.and(waited)
    });
    let queries = querying.measure(control).await?;
    caller.await?;
    let made = calls.made.take();
    Ok(Disconnected { calls: made, errors: calls.errors.take(), queries })
}

/// The connections calls are made on.
async fn connect(order: &DisconnectOrder, users: u32) -> Result<Vec<Caller>, Failure> {
    let mut callers = Vec::new();
    for _ in 0..order.calls.min(users) {
        callers.push(Caller::connect(order.query.address, &order.query.key).await?);
    }
    Ok(callers)
}

async fn call_all(
    callers: Vec<Caller>,
    order: DisconnectOrder,
    calls: Rc<Calls>,
) -> Result<(), Failure> {
    let schedule = order.rate.map(|rate| Schedule::new(now_ns(), rate));
    let lanes: Vec<_> = callers
        .into_iter()
        .map(|caller| monoio::spawn(lane(caller, Rc::clone(&calls), schedule, order.code)))
        .collect();
    for lane in lanes {
        lane.await?;
    }
    while calls.next().is_some() {
        calls.error(&Failure::new("not made: no connection was left"));
    }
    Ok(())
}

/// One call after the other, none before it is due, until one is not answered.
async fn lane(
    mut caller: Caller,
    calls: Rc<Calls>,
    schedule: Option<Schedule>,
    code: u32,
) -> Result<(), Failure> {
    let timer = Timer::new()?;
    while let Some(user) = calls.next() {
        let due_ns = schedule.map_or_else(now_ns, |schedule| schedule.due_ns(user.into()));
        timer.until(due_ns).await?;
        let sent_ns = now_ns();
        calls.set(user, State::Called);
        let answer = match caller.call("/api/disconnect", &body(user, code)).await {
            Ok((status, body)) => success(status, &body),
            Err(failure) => {
                calls.error(&failure);
                return Ok(());
            }
        };
        let answered_ns = now_ns();
        match answer {
            Ok(()) => calls.set(user, State::Answered { at_ns: answered_ns }),
            Err(failure) => calls.error(&failure),
        }
        calls.made.borrow_mut().push(Call { user, due_ns, sent_ns, answered_ns });
    }
    Ok(())
}

fn body(user: u32, code: u32) -> String {
    let user = user_id(user);
    format!(r#"{{"user":"{user}","disconnect":{{"code":{code},"reason":"load test"}}}}"#)
}

/// Whether the server says that it has done so.
fn success(status: u16, body: &[u8]) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<Refusal>,
    }
    #[derive(Deserialize)]
    struct Refusal {
        code: u32,
    }
    if status != 200 {
        return Err(Failure::new(format!("HTTP status {status}")));
    }
    match serde_json::from_slice::<Answer>(body).during("reading an answer")?.error {
        Some(Refusal { code }) => Err(Failure::new(format!("API error {code}"))),
        None => Ok(()),
    }
}

/// How far each user is.
struct Calls {
    population: Population,
    question: Question,
    next: Cell<u32>,
    states: RefCell<Vec<State>>,
    made: RefCell<Vec<Call>>,
    errors: RefCell<BTreeMap<String, u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Untouched,
    /// A call was sent; if it fails, nobody knows what it did.
    Called,
    Answered {
        at_ns: u64,
    },
}

impl Calls {
    fn new(population: Population, question: Question) -> Self {
        let states = vec![State::Untouched; population.users() as usize];
        Self {
            population,
            question,
            next: Cell::new(0),
            states: RefCell::new(states),
            made: RefCell::default(),
            errors: RefCell::default(),
        }
    }

    /// The next user to disconnect.
    fn next(&self) -> Option<u32> {
        let user = self.next.get();
        self.next.set(user + 1);
        (user < self.population.users()).then_some(user)
    }

    fn set(&self, user: u32, state: State) {
        self.states.borrow_mut()[user as usize] = state;
    }

    fn error(&self, failure: &Failure) {
        *self.errors.borrow_mut().entry(failure.to_string()).or_default() += 1;
    }

    /// Judges the body of an answer that was asked for at `asked_ns` and has just been read.
    fn judge_body(&self, user: u32, asked_ns: u64, body: &[u8]) -> Vec<Wrong> {
        let user_id = user_id(user);
        match self.question.ids(body, &self.population.expected(user, &user_id)) {
            Ok(listed) => self.judge(user, asked_ns, &listed),
            Err(wrong) => vec![wrong],
        }
    }

    /// Centrifugo answers a call first, and has its sessions leave their channels then.
    const fn unlists_before_it_answers(&self) -> bool {
        !matches!(self.question, Question::Presence)
    }

    fn judge(&self, user: u32, asked_ns: u64, listed: &[ClientId]) -> Vec<Wrong> {
        let full = self.population.sessions_of(user);
        let counted = question::count(listed, full).err();
        match self.states.borrow()[user as usize] {
            State::Untouched => counted.into_iter().collect(),
            State::Answered { at_ns } if at_ns <= asked_ns && self.unlists_before_it_answers() => {
                vec![Wrong::Lingering; listed.len()]
            }
            State::Called | State::Answered { .. } => {
                counted.filter(|wrong| *wrong == Wrong::TooMany).into_iter().collect()
            }
        }
    }
}

struct Known(Rc<Calls>);

impl Truth for Known {
    fn pick(&mut self, random: &mut Random) -> u32 {
        random.below(self.0.population.users())
    }

    fn judge(&mut self, asked: Asked, body: &[u8]) -> Vec<Wrong> {
        self.0.judge_body(asked.user, asked.sent_ns, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::QueryOrder;
    use crate::population::Crowd;
    use crate::transport::Transport;

    #[test]
    fn all_are_listed_before_a_call_and_none_after_its_answer() {
        let population =
            Population { sessions: 4, per_user: 2, transport: Transport::Websocket, seed: 1 };
        let ids = [1, 2, 3].map(|letter| ClientId([letter; 16]));
        let answered = State::Answered { at_ns: 10 };
        for (state, asked_ns, listed, expected) in [
            (State::Untouched, 5, 2, vec![]),
            (State::Untouched, 5, 1, vec![Wrong::TooFew]),
            (State::Untouched, 5, 3, vec![Wrong::TooMany]),
            (State::Called, 5, 0, vec![]),
            (State::Called, 5, 1, vec![]),
            (State::Called, 5, 3, vec![Wrong::TooMany]),
            // Sent before the answer: both are right.
            (answered, 9, 2, vec![]),
            (answered, 9, 0, vec![]),
            (answered, 10, 0, vec![]),
            (answered, 10, 2, vec![Wrong::Lingering, Wrong::Lingering]),
        ] {
            let calls = Calls::new(population, Question::UserConnections);
            calls.set(1, state);
            let wrong = calls.judge(1, asked_ns, &ids[..listed]);
            assert_eq!(wrong, expected, "{state:?} at {asked_ns}: {listed} listed");
        }
    }

    #[test]
    fn who_answers_before_it_unlists_may_still_list_them() {
        let population =
            Population { sessions: 4, per_user: 2, transport: Transport::Websocket, seed: 1 };
        let calls = Calls::new(population, Question::Presence);
        calls.set(1, State::Answered { at_ns: 10 });
        let ids = [1, 2, 3].map(|letter| ClientId([letter; 16]));
        assert_eq!(calls.judge(1, 10, &ids[..2]), []);
        assert_eq!(calls.judge(1, 10, &ids), [Wrong::TooMany]);
    }

    #[test]
    fn every_user_is_called_for_once() {
        let population =
            Population { sessions: 5, per_user: 2, transport: Transport::Websocket, seed: 1 };
        let calls = Calls::new(population, Question::UserConnections);
        let users: Vec<u32> = std::iter::from_fn(|| calls.next()).collect();
        assert_eq!(users, [0, 1, 2]);
        assert_eq!(
            body(7, 4001),
            r#"{"user":"u000000007","disconnect":{"code":4001,"reason":"load test"}}"#
        );
    }

    #[test]
    fn calls_that_get_no_answer_fail_and_so_do_those_never_made() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let population =
            Population { sessions: 3, per_user: 1, transport: Transport::Websocket, seed: 1 };
        let calls = Rc::new(Calls::new(population, Question::UserConnections));
        super::super::deadline::tests::block_on(async {
            let caller = Caller::connect(address, "key").await.unwrap();
            // It is closed in place of an answer.
            drop(listener.accept().unwrap());
            let query = QueryOrder {
                address,
                question: Question::UserConnections,
                key: "key".into(),
                crowd: Crowd::Held(population),
                connections: 1,
                rate: 1,
                lead_s: 0,
                duration_s: 1,
                seed: 1,
            };
            let order = DisconnectOrder { population, calls: 1, rate: None, code: 4000, query };
            call_all(vec![caller], order, Rc::clone(&calls)).await.unwrap();
        });
        assert_eq!(calls.errors.borrow()["not made: no connection was left"], 2);
        assert_eq!(calls.errors.borrow().values().sum::<u64>(), 3);
        assert!(calls.made.borrow().is_empty());
    }

    #[test]
    fn only_success_is_success() {
        assert_eq!(success(200, br#"{"result":{}}"#), Ok(()));
        assert_eq!(success(200, b"{}"), Ok(()));
        let refused = br#"{"error":{"code":100,"message":"internal server error"}}"#;
        assert_eq!(success(200, refused).unwrap_err().to_string(), "API error 100");
        assert_eq!(success(401, b"").unwrap_err().to_string(), "HTTP status 401");
        assert!(success(200, b"gone").is_err());
    }
}
