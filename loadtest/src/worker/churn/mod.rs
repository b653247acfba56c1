//! Sessions that come and go at a constant rate while queries run about them: the same process
//! does both, so that it knows at every answer who must be listed, who may be and who must not.

mod visitors;

use std::rc::Rc;

use super::call::Caller;
use super::control::Control;
use super::query::{Asked, Querying, Truth};
use super::schedule::Schedule;
use crate::clock::{NS_PER_S, Timer, now_ns};
use crate::failure::Failure;
use crate::orders::{ChurnOrder, Churned, Reply};
use crate::population::{Random, user_id};
use crate::question::Wrong;
pub(super) use visitors::Visitors;

/// How often somebody looks who waits for something else than an instant.
const LOOK_NS: u64 = 1_000_000;

/// Has the visitors come and go for as long as queries run, saying when the lead is
/// over and when they do no more.
pub(super) async fn run(visitors: Rc<Visitors>, control: &mut Control) -> Result<Churned, Failure> {
    let ChurnOrder { query, grace_s, .. } = visitors.order();
    let truth = Box::new(Known(Rc::clone(&visitors)));
    let querying = Querying::start(query, truth).await?;
    let turnover = monoio::spawn(turn_over(Rc::clone(&visitors)));
    querying.lead(control).await?;
    control.send(&Reply::Measuring).await?;
    let queries = querying.measure(control).await?;
    turnover.await?;
    control.send(&Reply::LoadOver).await?;
    let timer = Timer::new()?;
    while visitors.is_anybody_coming() {
        timer.until(now_ns() + LOOK_NS).await?;
    }
    timer.until(now_ns() + grace_s * NS_PER_S).await?;
    let swept = sweep(&visitors).await?;
    Ok(Churned { queries, swept, ..visitors.outcome() })
}

/// One comes and one goes whenever one is due.
async fn turn_over(visitors: Rc<Visitors>) -> Result<(), Failure> {
    let ChurnOrder { rate, query, .. } = visitors.order();
    let now = now_ns();
    let schedule = Schedule::new(now, *rate);
    let first = schedule.count(query.lead_s);
    let end = first + schedule.count(query.duration_s);
    let end_ns = schedule.due_ns(end);
    visitors.begin(now, schedule.due_ns(first));
    let timer = Timer::new()?;
    for n in 0..end {
        let due_ns = schedule.due_ns(n);
        if now_ns() < due_ns {
            timer.until(due_ns).await?;
        }
        if !visitors.has_room() {
            visitors.delay();
        }
        while !visitors.has_room() {
            timer.until(now_ns() + LOOK_NS).await?;
        }
        if now_ns() > end_ns {
            return Ok(());
        }
        visitors.send_one_away(now_ns());
        Rc::clone(&visitors).invite(due_ns);
    }
    Ok(())
}

/// Asks for every user once, when nobody comes or goes any more; how many there are.
async fn sweep(visitors: &Visitors) -> Result<u64, Failure> {
    let ChurnOrder { query, .. } = visitors.order();
    let mut caller = Caller::connect(query.address, &query.key).await?;
    let users = visitors.users();
    let count = users.len();
    for user in users {
        let sent_ns = now_ns();
        let answer = caller.ask(query.question, &user_id(user)).await?;
        visitors.judge_last(match answer {
            Ok(body) => visitors.judge(user, sent_ns, &body),
            Err(wrong) => vec![wrong],
        });
    }
    visitors.judge_last(visitors.unclaimed());
    Ok(count as u64)
}

/// What the visitors knows of its users.
struct Known(Rc<Visitors>);

impl Truth for Known {
    fn pick(&mut self, random: &mut Random) -> u32 {
        let users = self.0.users();
        users.start + random.below(users.end - users.start)
    }

    fn judge(&mut self, asked: Asked, body: &[u8]) -> Vec<Wrong> {
        self.0.judge(asked.user, asked.sent_ns, body)
    }
}
