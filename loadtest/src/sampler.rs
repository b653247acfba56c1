//! Looks at the server's process at a steady pace while a scenario runs: its memory and CPU over
//! time, with the instants at which something began.

use std::cell::RefCell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use crate::clock::{NS_PER_S, now_ns};
use crate::failure::Failure;
use crate::procfs::{Cpu, Memory};
use crate::report::{Line, Mark, Plot, Report, Unit, ratio, server_now};

/// Nanoseconds between two looks.
const INTERVAL_NS: u64 = 500_000_000;

/// Samples kept; a longer run keeps every second one and looks half as often.
const SAMPLES_MAX: usize = 2_000;

/// A thread that looks at the server until it is told to finish, or dropped.
pub(crate) struct Sampler {
    start_ns: u64,
    /// What has begun so far.
    marks: RefCell<Vec<Mark>>,
    /// Nothing is ever sent: the thread ends when this is gone.
    alive: Sender<()>,
    thread: JoinHandle<Samples>,
}

/// What was seen of one run.
pub(crate) struct Sampled {
    samples: Samples,
    marks: Vec<Mark>,
}

struct Samples {
    interval_ns: u64,
    seen: Vec<Sample>,
    /// Why the process could not be looked at any longer.
    blind: Option<Failure>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sample {
    /// Since the run began.
    at_ns: u64,
    rss: u64,
    /// CPU used so far: so that a sample can be left out and the next one still tells all.
    cpu_ns: u64,
}

impl Sampler {
    /// Begins to look at this process; where it is not known, only marks are kept. The time axis
    /// of the run begins now.
    pub(crate) fn start(pid: Option<u32>) -> Self {
        let start_ns = now_ns();
        let (alive, until) = channel();
        let thread = spawn(move || Samples::new(INTERVAL_NS).take(pid, start_ns, &until));
        Self { start_ns, marks: RefCell::default(), alive, thread }
    }

    /// Remembers that something begins now: a line across the drawings.
    pub(crate) fn mark(&self, name: &str) {
        let mark = Mark { x: self.seconds(now_ns()), name: name.to_owned() };
        self.marks.borrow_mut().push(mark);
    }

    /// Where an instant of the monotonic clock is on the time axis.
    pub(crate) fn seconds(&self, at_ns: u64) -> f64 {
        ratio(at_ns.saturating_sub(self.start_ns), NS_PER_S)
    }

    /// A drawing on the time axis of this run, with the marks so far.
    pub(crate) fn over_time(&self, title: &str, unit: Unit, lines: Vec<Line>) -> Plot {
        Plot::over_time(title, unit, lines).marked(&self.marks.borrow())
    }

    pub(crate) fn finish(self) -> Sampled {
        drop(self.alive);
        let samples = self.thread.join().expect("the sampling thread does not panic");
        Sampled { samples, marks: self.marks.into_inner() }
    }
}

impl Sampled {
    /// Adds what was seen of the server: its memory and CPU over time.
    pub(crate) fn tell(&self, report: &mut Report) {
        let Samples { seen, blind, .. } = &self.samples;
        if let Some(why) = blind {
            report.warn(format!("the server could not be watched to the end: {why}"));
        }
        if seen.len() < 2 {
            return;
        }
        let rss = seen.iter().map(|sample| (ratio(sample.at_ns, NS_PER_S), ratio(sample.rss, 1)));
        let memory = Line::new("resident (VmRSS)", rss.collect());
        let drawn = Plot::over_time("Server memory", Unit::Bytes, vec![memory]);
        report.plot(drawn.marked(&self.marks));
        let cpu = Line::new("user and system, all threads", cores(seen));
        let drawn = Plot::over_time("Server CPU", Unit::Cores, vec![cpu]);
        report.plot(drawn.marked(&self.marks));
    }
}

impl Samples {
    const fn new(interval_ns: u64) -> Self {
        Self { interval_ns, seen: Vec::new(), blind: None }
    }

    /// Looks until the other end of the channel is gone.
    fn take(mut self, pid: Option<u32>, start_ns: u64, until: &Receiver<()>) -> Self {
        let mut due_ns = start_ns;
        loop {
            match until.recv_timeout(Duration::from_nanos(due_ns.saturating_sub(now_ns()))) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {
                    if let Some(pid) = pid {
                        self.look(pid, start_ns);
                    }
                    due_ns = now_ns().max(due_ns + self.interval_ns);
                }
                Err(RecvTimeoutError::Disconnected) => return self,
            }
        }
    }

    fn look(&mut self, pid: u32, start_ns: u64) {
        if self.blind.is_some() {
            return;
        }
        match Sample::of(pid, start_ns) {
            Ok(sample) => {
                self.keep(sample);
                let cores = cores(&self.seen[self.seen.len().saturating_sub(2)..]);
                server_now(sample.rss, cores.last().map_or(0.0, |(_, cores)| *cores));
            }
            Err(failure) => self.blind = Some(failure),
        }
    }

    fn keep(&mut self, sample: Sample) {
        self.seen.push(sample);
        if self.seen.len() == SAMPLES_MAX {
            let mut index = 0;
            self.seen.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.interval_ns *= 2;
        }
    }
}

impl Sample {
    fn of(pid: u32, start_ns: u64) -> Result<Self, Failure> {
        let (memory, cpu) = (Memory::of(pid)?, Cpu::of(pid)?);
        Ok(Self { at_ns: now_ns() - start_ns, rss: memory.rss, cpu_ns: cpu.used_ns })
    }
}

/// Cores used between each two samples, at the later of the two.
fn cores(seen: &[Sample]) -> Vec<(f64, f64)> {
    let between = |pair: &[Sample]| {
        let [before, after] = pair else { unreachable!("windows of two") };
        let (used, passed) =
            (after.cpu_ns.saturating_sub(before.cpu_ns), after.at_ns - before.at_ns);
        (ratio(after.at_ns, NS_PER_S), ratio(used, passed.max(1)))
    };
    seen.windows(2).map(between).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(at_s: u64, cpu_ms: u64) -> Sample {
        Sample { at_ns: at_s * NS_PER_S, rss: 1, cpu_ns: cpu_ms * 1_000_000 }
    }

    #[test]
    fn cpu_is_told_per_interval() {
        let seen = [sample(0, 100), sample(1, 350), sample(3, 350)];
        assert_eq!(cores(&seen), [(1.0, 0.25), (3.0, 0.0)]);
    }

    #[test]
    fn a_long_run_is_thinned_evenly_and_keeps_its_first_sample() {
        let mut samples = Samples::new(1);
        for at_s in 0..SAMPLES_MAX as u64 {
            samples.keep(sample(at_s, 0));
        }
        assert_eq!((samples.seen.len(), samples.interval_ns), (SAMPLES_MAX / 2, 2));
        let ends = [samples.seen[0], *samples.seen.last().unwrap()].map(|s| s.at_ns / NS_PER_S);
        assert_eq!(ends, [0, SAMPLES_MAX as u64 - 2]);
    }

    /// What a report says of a process that is looked at twice.
    fn told(pid: u32) -> Report {
        let mut samples = Samples::new(1);
        samples.look(pid, 0);
        samples.look(pid, 0);
        let mut report = Report::new("idle", json!({}));
        Sampled { samples, marks: Vec::new() }.tell(&mut report);
        report
    }

    #[test]
    fn memory_and_cpu_of_a_process_are_drawn() {
        let report = told(std::process::id()).json();
        assert_eq!(report["warnings"], json!([]));
        assert_eq!(report["plots"][0]["title"], "Server memory");
        assert!(report["plots"][0]["lines"][0]["points"][1][1].as_f64().unwrap() > 0.0);
        assert_eq!(report["plots"][1]["y"]["unit"], "cores");
    }

    #[test]
    fn what_begins_is_marked_on_every_drawing_of_the_run() {
        let sampler = Sampler::start(None);
        sampler.mark("first");
        sampler.mark("second");
        let plot = sampler.over_time("x", Unit::Bytes, Vec::new());
        let names: Vec<_> = plot.marks.iter().map(|mark| mark.name.as_str()).collect();
        assert_eq!(names, ["first", "second"]);
        assert!(plot.marks[0].x <= plot.marks[1].x);
        assert!(sampler.seconds(now_ns()) >= plot.marks[1].x);
        assert_eq!(sampler.finish().marks, plot.marks);
    }

    #[test]
    fn a_process_that_is_gone_is_said_to_be() {
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        let pid = gone.id();
        gone.wait().unwrap();
        let report = told(pid);
        assert_eq!(report.warnings().len(), 1);
        assert_eq!(report.json()["plots"], json!([]));
    }
}
