//! The worker processes, seen from the coordinator.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::clock::now_ns;
use crate::failure::{Context, Failure};
use crate::interrupt;
use crate::orders::{OpenOrder, Order, Reply, SessionEnd, Tally};
use crate::report::Growing;

/// How long a worker may be silent beyond what its order takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sessions opened per order, over all workers: so that progress can be told.
const SESSIONS_PER_STEP: u32 = 2_500;

/// One worker process; it ends when this is dropped, and with it all it holds.
pub(crate) struct Worker {
    child: Child,
    control: BufReader<UnixStream>,
}

impl Worker {
    pub(crate) fn start() -> Result<Self, Failure> {
        let (ours, theirs) = UnixStream::pair().during("making a control socket")?;
        let program = std::env::current_exe().during("finding this program")?;
        let child = Command::new(program)
            .arg("worker")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .during("starting a worker")?;
        interrupt::started(child.id());
        Ok(Self { child, control: BufReader::new(ours) })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&mut self, order: &Order) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(order).during("writing an order")?;
        line.push(b'\n');
        self.control.get_mut().write_all(&line).during("sending an order to a worker")
    }

    /// The next reply, which `work` of the worker precedes.
    pub(crate) fn receive(&mut self, work: Duration) -> Result<Reply, Failure> {
        self.receive_telling(work, |_| ())
    }

    /// The same, hearing how much is done whenever the worker says it.
    pub(crate) fn receive_telling(
        &mut self,
        work: Duration,
        done: impl FnMut(u64),
    ) -> Result<Reply, Failure> {
        self.receive_before(now_ns() + nanoseconds(work + PATIENCE), done)
    }

    /// One deadline for all lines: a worker that tells of progress for ever is no nearer its end.
    fn receive_before(
        &mut self,
        deadline_ns: u64,
        mut done: impl FnMut(u64),
    ) -> Result<Reply, Failure> {
        loop {
            let reply = self.receive_line(deadline_ns)?;
            if let Reply::Progress { done: count } = reply {
                done(count);
            } else if let Reply::Failed(why) = reply {
                return Err(Failure::new(why));
            } else {
                return Ok(reply);
            }
        }
    }

    fn receive_line(&mut self, deadline_ns: u64) -> Result<Reply, Failure> {
        let left = deadline_ns.checked_sub(now_ns()).filter(|left| *left > 0);
        let left = left.ok_or_else(overdue)?;
        let within = Some(Duration::from_nanos(left));
        self.control.get_ref().set_read_timeout(within).during("setting a deadline")?;
        let mut line = String::new();
        match self.control.read_line(&mut line) {
            Ok(0) => return Err(Failure::new("a worker has ended; its own words stand above")),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(overdue()),
            Err(error) => return Err(error).during("waiting for a worker"),
        }
        serde_json::from_str(&line).during("reading a worker's reply")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already: nothing is lost by that.
        drop(self.control.get_ref().shutdown(Shutdown::Both));
        drop(self.child.kill());
        interrupt::ended(self.pid());
        drop(self.child.wait());
    }
}

fn overdue() -> Failure {
    Failure::new("a worker did not reply in time")
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a run ends within centuries")
}

/// Sends each worker its own order, by its index and how many there are.
pub(crate) fn send_all(
    workers: &mut [Worker],
    order: impl Fn(u32, u32) -> Order,
) -> Result<(), Failure> {
    let count = u32::try_from(workers.len()).expect("counted as u32");
    (0..count).zip(workers).try_for_each(|(index, worker)| worker.send(&order(index, count)))
}

/// Waits until each worker has given this reply, which `work` precedes.
pub(crate) fn await_all(
    workers: &mut [Worker],
    expected: &Reply,
    work: Duration,
    done: impl FnMut(u64),
) -> Result<(), Failure> {
    let replies = receive_all(workers, work, done)?;
    if replies.iter().all(|reply| reply == expected) { Ok(()) } else { Err(unasked()) }
}

/// The process ids of some workers.
pub(crate) fn pids(workers: &[Worker]) -> Vec<u32> {
    workers.iter().map(Worker::pid).collect()
}

/// The next reply of each worker, which `work` precedes; hears how much all have done together
/// whenever one says it.
pub(crate) fn receive_all(
    workers: &mut [Worker],
    work: Duration,
    mut done: impl FnMut(u64),
) -> Result<Vec<Reply>, Failure> {
    let mut counts = vec![0; workers.len()];
    std::thread::scope(|scope| {
        let (told, hears) = channel();
        let receivers: Vec<_> = (0..)
            .zip(workers)
            .map(|(index, worker): (usize, _)| {
                let told = told.clone();
                let tell = move |count| told.send((index, count)).expect("it is heard below");
                scope.spawn(move || worker.receive_telling(work, tell))
            })
            .collect();
        drop(told);
        // Ends when all workers have replied, or failed.
        for (index, count) in hears {
            counts[index] = count;
            done(counts.iter().sum());
        }
        let replies = receivers.into_iter().map(|thread| thread.join().expect("does not panic"));
        replies.collect()
    })
}

/// The workers that hold sessions.
pub(crate) struct Holders {
    workers: Vec<Worker>,
    /// What every order has in common.
    template: OpenOrder,
    /// How many sessions were held when: instants of the monotonic clock.
    grown: Vec<(u64, u32)>,
}

impl Holders {
    pub(crate) fn start(count: u32, template: OpenOrder) -> Result<Self, Failure> {
        let workers = (0..count).map(|_| Worker::start()).collect::<Result<_, _>>()?;
        Ok(Self { workers, template, grown: Vec::new() })
    }

    pub(crate) fn workers(&mut self) -> &mut [Worker] {
        &mut self.workers
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        pids(&self.workers)
    }

    /// How many sessions had been opened when, in nanoseconds of the monotonic clock.
    pub(crate) fn grown(&self) -> &[(u64, u32)] {
        &self.grown
    }

    /// Opens sessions `first..end`, shared among all workers; the ping interval in seconds.
    pub(crate) fn open(&mut self, first: u32, end: u32) -> Result<u32, Failure> {
        let mut ping_s = 0;
        let growing = Growing::new("sessions are held", first.into(), end.into());
        let mut at = first;
        self.grown.push((now_ns(), at));
        while at < end {
            let step_end = end.min(at.saturating_add(SESSIONS_PER_STEP));
            send_all(&mut self.workers, |index, count| {
                let (first, end) = share(at, step_end, index, count);
                Order::Open(OpenOrder { first, end, ..self.template.clone() })
            })?;
            for worker in &mut self.workers {
                let Reply::Opened { ping_s: seen } = worker.receive(Duration::ZERO)? else {
                    return Err(unasked());
                };
                // A worker without a share of this step has seen no connect line.
                ping_s = ping_s.max(seen);
            }
            at = step_end;
            self.grown.push((now_ns(), at));
            growing.at(at.into());
        }
        Ok(ping_s)
    }

    /// Ends the workers, and all they hold.
    pub(crate) fn dismiss(&mut self) {
        self.workers.clear();
    }

    /// The sessions the server has ended since this was asked last, in no order.
    pub(crate) fn ends(&mut self) -> Result<Vec<SessionEnd>, Failure> {
        let mut all = Vec::new();
        for worker in &mut self.workers {
            worker.send(&Order::Ends)?;
            let Reply::Ends(ends) = worker.receive(Duration::ZERO)? else { return Err(unasked()) };
            all.extend(ends);
        }
        Ok(all)
    }

    /// How all held sessions are.
    pub(crate) fn tally(&mut self) -> Result<Tally, Failure> {
        let mut sum = Tally::default();
        for worker in &mut self.workers {
            worker.send(&Order::Tally)?;
            let Reply::Tally(tally) = worker.receive(Duration::ZERO)? else {
                return Err(unasked());
            };
            sum.add(&tally);
        }
        Ok(sum)
    }
}

/// The reply does not belong to the order.
pub(crate) fn unasked() -> Failure {
    Failure::new("a worker answered something else than it was asked")
}

/// The part of `first..end` that falls to worker `index` of `count`.
pub(crate) fn share(first: u32, end: u32, index: u32, count: u32) -> (u32, u32) {
    let at = |index: u32| {
        let offset = u64::from(end - first) * u64::from(index) / u64::from(count);
        first + u32::try_from(offset).expect("at most the whole")
    };
    (at(index), at(index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_leave_nothing_out() {
        let shares: Vec<_> = (0..3).map(|index| share(10, 20, index, 3)).collect();
        assert_eq!(shares, [(10, 13), (13, 16), (16, 20)]);
        let tiny: Vec<_> = (0..3).map(|index| share(0, 1, index, 3)).collect();
        assert_eq!(tiny, [(0, 0), (0, 0), (0, 1)]);
    }

    #[test]
    fn progress_does_not_put_the_deadline_off() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let child = Command::new("true").spawn().unwrap();
        let mut worker = Worker { child, control: BufReader::new(ours) };
        let mut line = serde_json::to_vec(&Reply::Progress { done: 1 }).unwrap();
        line.push(b'\n');
        theirs.write_all(&line.repeat(3)).unwrap();
        let mut told = 0;
        let failure = worker.receive_before(now_ns() + 20_000_000, |_| told += 1).unwrap_err();
        assert_eq!((failure, told), (overdue(), 3));
        theirs.write_all(&line).unwrap();
        assert_eq!(worker.receive_before(now_ns(), |_| ()).unwrap_err(), overdue());
    }

    #[test]
    fn orders_and_replies_are_one_line_each() {
        let reply = Reply::Failed("two\nlines".into());
        let line = serde_json::to_string(&reply).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
        assert_eq!(serde_json::to_string(&Order::Tally).unwrap(), "\"tally\"");
    }
}
