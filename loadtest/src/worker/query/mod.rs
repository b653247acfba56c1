//! An open-loop query load: each query has an instant at which it is due, and its latency counts
//! from then, so that a server that stalls cannot make the harness ask less (coordinated
//! omission).
//!
//! ```text
//! due ──► sent at once if a connection is free ──► answered, checked, recorded
//!    └──► waits for the first connection that becomes free (its clock runs)
//! ```

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::rc::Rc;

use monoio::io::AsyncReadRent;

use super::control::Control;
use super::dial::{Goodbye, dial};
use super::schedule::Schedule;
use crate::clock::{Timer, now_ns};
use crate::failure::{Context, Failure};
use crate::latency::Latencies;
use crate::orders::{Measured, QueryOrder, Reply};
use crate::population::{Crowd, NOBODY, Random, USER_LEN, user_id};
use crate::question::{Answer, Question, Wrong};

/// Bytes read at once from a connection.
const READ_BYTES: usize = 16 * 1024;

/// How often the pacer looks when it waits for something else than an instant.
const LOOK_NS: u64 = 1_000_000;

/// How long answers may be late after the last query was due.
const PATIENCE_NS: u64 = 5_000_000_000;

/// What a query is that was sent and got no answer within that time.
const NO_ANSWER: &str = "not answered within 5 s after the last query was due";

/// Carries an order out, saying when the lead is over.
pub(super) async fn run(order: QueryOrder, control: &mut Control) -> Result<Measured, Failure> {
    let truth = Steady { crowd: order.crowd, question: order.question };
    let querying = Querying::start(&order, Box::new(truth)).await?;
    querying.lead(control).await?;
    control.send(&Reply::Measuring).await?;
    querying.measure(control).await
}

/// Knows who is connected, as far as answers are judged.
pub(super) trait Truth {
    /// The number of a user to ask for.
    fn pick(&mut self, random: &mut Random) -> u32;

    /// The id of this user, always [`USER_LEN`] bytes.
    fn user_id(&self, user: u32) -> String {
        user_id(user)
    }

    /// Judges an answer the moment it is read; what is wrong.
    fn judge(&mut self, asked: Asked, body: &[u8]) -> Vec<Wrong>;
}

/// A crowd that neither comes nor goes.
struct Steady {
    crowd: Crowd,
    question: Question,
}

impl Truth for Steady {
    fn pick(&mut self, random: &mut Random) -> u32 {
        self.crowd.pick(random)
    }

    fn user_id(&self, user: u32) -> String {
        self.crowd.user_id(user)
    }

    fn judge(&mut self, asked: Asked, body: &[u8]) -> Vec<Wrong> {
        let user_id = self.user_id(asked.user);
        let expected = self.crowd.expected(asked.user, &user_id);
        self.question.check(body, &expected).err().into_iter().collect()
    }
}

/// A load of queries that is going on.
pub(super) struct Querying {
    load: Rc<RefCell<Load>>,
    timer: Timer,
}

impl Querying {
    pub(super) async fn start(order: &QueryOrder, truth: Box<dyn Truth>) -> Result<Self, Failure> {
        Ok(Self { timer: Timer::new()?, load: connect(order, truth).await? })
    }

    /// Queries until the lead is over, telling how many.
    pub(super) async fn lead(&self, control: &mut Control) -> Result<(), Failure> {
        let end = self.load.borrow().first;
        self.pace(control, end).await
    }

    /// Queries until the measured time is over, or [`Stop`] says so, telling how many.
    pub(super) async fn measure(self, control: &mut Control) -> Result<Measured, Failure> {
        let end = self.load.borrow().last_end;
        self.pace(control, end).await?;
        drain(&self.load, &self.timer).await?;
        let mut load = self.load.borrow_mut();
        Ok(load.take_measured(now_ns()))
    }

    pub(super) fn stop(&self) -> Stop {
        Stop(Rc::clone(&self.load))
    }

    async fn pace(&self, control: &mut Control, end: u64) -> Result<(), Failure> {
        let done = || self.load.borrow().measured.per_second.total();
        control.telling(done, pace(&self.load, &self.timer, end)).await
    }
}

/// Ends the measured time of a load early.
pub(super) struct Stop(Rc<RefCell<Load>>);

impl Stop {
    /// Nothing is due any more.
    pub(super) fn now(self) {
        let mut load = self.0.borrow_mut();
        let due = load.schedule.due_by(now_ns()).max(load.first);
        load.last_end = load.last_end.min(due);
        load.end = load.end.min(due);
    }
}

async fn connect(order: &QueryOrder, truth: Box<dyn Truth>) -> Result<Rc<RefCell<Load>>, Failure> {
    let mut conns = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..order.connections {
        // One descriptor for the pacer, which never waits, and one for the task that reads.
        let writer = dial(order.address, None, Goodbye::Fin)?;
        let reader = writer.try_clone().during("copying a socket")?;
        let reader = monoio::net::TcpStream::from_std(reader).during("watching a socket")?;
        reader.writable(false).await.during("connecting")?;
        if let Some(error) = writer.take_error().during("connecting")? {
            return Err(error).during("connecting");
        }
        conns.push(Conn { writer: Some(writer), asked: None });
        readers.push(reader);
    }
    let load = Rc::new(RefCell::new(Load::new(order, truth, conns, now_ns())));
    for (index, reader) in readers.into_iter().enumerate() {
        monoio::spawn(read_answers(Rc::clone(&load), index, reader));
    }
    Ok(load)
}

/// Sends what is due until query `end` is the next, or its instant has come.
async fn pace(load: &RefCell<Load>, timer: &Timer, end: u64) -> Result<(), Failure> {
    load.borrow_mut().end = end;
    loop {
        let wake_ns = {
            let mut load = load.borrow_mut();
            load.send_due();
            let now = now_ns();
            let end = load.end;
            if load.next >= end || now >= load.schedule.due_ns(end) {
                return Ok(());
            }
            if load.conns.iter().all(|conn| conn.writer.is_none()) {
                return Err(Failure::new(format!("every connection broke: {:?}", load.errors())));
            }
            if load.free.is_empty() { now + LOOK_NS } else { load.schedule.due_ns(load.next) }
        };
        timer.until(wake_ns).await?;
    }
}

/// Waits for answers still owed.
async fn drain(load: &RefCell<Load>, timer: &Timer) -> Result<(), Failure> {
    let give_up = now_ns() + PATIENCE_NS;
    // What is due and unsent stays so: the run is over.
    let end = load.borrow().next;
    load.borrow_mut().end = end;
    while load.borrow().conns.iter().any(|conn| conn.asked.is_some()) && now_ns() < give_up {
        timer.until(now_ns() + LOOK_NS).await?;
    }
    Ok(())
}

/// Reads the answers of one connection for as long as it lives.
async fn read_answers(load: Rc<RefCell<Load>>, index: usize, mut stream: monoio::net::TcpStream) {
    let question = load.borrow().question;
    let mut received = Vec::new();
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let why = loop {
        let read;
        (read, buffer) = stream.read(buffer).await;
        match read {
            Ok(0) => break "connection closed by the server".to_owned(),
            Ok(_) => received.extend_from_slice(&buffer),
            Err(error) => break error.to_string(),
        }
        let taken = match question.read(&received) {
            Ok(None) => continue,
            Ok(Some(answer)) => {
                let len = answer.len;
                load.borrow_mut().answered(index, answer, now_ns());
                len
            }
            Err(malformed) => break malformed.to_string(),
        };
        if taken < received.len() {
            break "bytes after an answer".to_owned();
        }
        received.clear();
    };
    load.borrow_mut().broke(index, why);
}

/// One keep-alive connection.
struct Conn {
    /// `None` once it has broken.
    writer: Option<TcpStream>,
    asked: Option<Asked>,
}

/// A query on its way.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Its number in the schedule.
    n: u64,
    pub(super) user: u32,
    /// When it was sent, by the monotonic clock.
    pub(super) sent_ns: u64,
}

struct Load {
    question: Question,
    truth: Box<dyn Truth>,
    schedule: Schedule,
    /// The queries `first..last_end` are measured.
    first: u64,
    last_end: u64,
    /// The next query to send.
    next: u64,
    /// The first query not to be sent for now.
    end: u64,
    conns: Vec<Conn>,
    /// Connections without a query, longest free first: so all are used, and all shards behind
    /// them.
    free: VecDeque<usize>,
    random: Random,
    /// A request with room for the user id.
    request: Vec<u8>,
    user_at: usize,
    last_answer_ns: u64,
    measured: Measured,
    latency: Latencies,
    tardiness: Latencies,
}

impl Load {
    fn new(order: &QueryOrder, truth: Box<dyn Truth>, conns: Vec<Conn>, now: u64) -> Self {
        let request = order.question.request(&order.address.to_string(), &order.key, NOBODY);
        let user_at = request.windows(USER_LEN).rposition(|text| text == NOBODY.as_bytes());
        let schedule = Schedule::new(now, order.rate);
        Self {
            question: order.question,
            truth,
            schedule,
            first: schedule.count(order.lead_s),
            last_end: schedule.count(order.lead_s + order.duration_s),
            next: 0,
            end: 0,
            free: (0..conns.len()).collect(),
            conns,
            random: Random::new(order.seed),
            request,
            user_at: user_at.expect("a request names the user"),
            last_answer_ns: now,
            measured: Measured::default(),
            latency: Latencies::new(),
            tardiness: Latencies::new(),
        }
    }

    /// Whether query `n` comes after the lead.
    const fn counts(&self, n: u64) -> bool {
        n >= self.first
    }

    fn is_due(&self, now: u64) -> bool {
        self.next < self.end && self.schedule.due_ns(self.next) <= now
    }

    /// Sends all that is due while connections are free.
    fn send_due(&mut self) {
        loop {
            let now = now_ns();
            if !self.is_due(now) {
                return;
            }
            let Some(index) = self.free.pop_front() else { return };
            if self.counts(self.next) {
                self.tardiness.record(now - self.schedule.due_ns(self.next));
            }
            self.send(index, now);
        }
    }

    /// Sends the next query on this connection.
    fn send(&mut self, index: usize, now: u64) {
        let n = self.next;
        self.next += 1;
        let user = self.truth.pick(&mut self.random);
        self.request[self.user_at..self.user_at + USER_LEN]
            .copy_from_slice(self.truth.user_id(user).as_bytes());
        let conn = &mut self.conns[index];
        conn.asked = Some(Asked { n, user, sent_ns: now });
        let Some(writer) = &mut conn.writer else { return };
        // The connection is empty: a request that does not fit at once means it is dead.
        match writer.write(&self.request) {
            Ok(len) if len == self.request.len() => {}
            Ok(_) => self.broke(index, "request not taken whole".to_owned()),
            Err(error) => self.broke(index, error.to_string()),
        }
    }

    fn answered(&mut self, index: usize, answer: Answer<'_>, now: u64) {
        let Some(asked) = self.conns[index].asked.take() else {
            return self.error("an answer nobody asked for".to_owned());
        };
        self.measured.per_second.count(now.saturating_sub(self.schedule.due_ns(0)));
        if self.counts(asked.n) {
            self.latency.record(now - self.schedule.due_ns(asked.n));
            self.measured.answered += 1;
            self.last_answer_ns = now;
        }
        let wrong = match answer.body {
            Ok(body) => self.truth.judge(asked, &body),
            Err(wrong) => vec![wrong],
        };
        for wrong in wrong {
            self.error(wrong.to_string());
        }
        if self.is_due(now) {
            if self.counts(self.next) {
                self.measured.delayed += 1;
            }
            self.send(index, now);
        } else {
            self.free.push_back(index);
        }
    }

    /// A connection is of no use any more; its query stays unanswered.
    fn broke(&mut self, index: usize, why: String) {
        if self.conns[index].writer.take().is_some() {
            self.free.retain(|free| *free != index);
            self.error(why);
        }
    }

    fn error(&mut self, why: String) {
        *self.measured.errors.entry(why).or_default() += 1;
    }

    fn errors(&self) -> Vec<&String> {
        self.measured.errors.keys().collect()
    }

    /// The outcome; what is still owed counts with the time it has waited.
    fn take_measured(&mut self, now: u64) -> Measured {
        let (first, end) = (self.first, self.last_end);
        let owed = self.conns.iter().filter_map(|conn| conn.asked.map(|asked| asked.n));
        let owed: Vec<u64> = owed.filter(|n| (first..end).contains(n)).collect();
        let unsent = self.next.clamp(first, end)..end;
        let mut measured = std::mem::take(&mut self.measured);
        measured.unanswered = owed.len() as u64;
        measured.unsent = unsent.end - unsent.start;
        measured.delayed += measured.unsent;
        if measured.unanswered > 0 {
            measured.errors.insert(NO_ANSWER.to_owned(), measured.unanswered);
        }
        for n in owed.into_iter().chain(unsent) {
            self.latency.record(now.saturating_sub(self.schedule.due_ns(n)));
        }
        measured.due = end - first;
        measured.elapsed_ns = self.last_answer_ns.saturating_sub(self.schedule.due_ns(first));
        measured.latency = self.latency.buckets();
        measured.tardiness = self.tardiness.buckets();
        measured
    }
}

#[cfg(test)]
mod tests;
