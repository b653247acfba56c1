//! What server and harness used over a part of a run.

use super::doubt_shared_cores;
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::procfs::Cpu;
use crate::report::{Report, ratio};
use crate::target::Target;

/// Share of one core above which a worker is the bottleneck.
pub(super) const BUSY: f64 = 0.85;

fn cpus(pids: &[u32]) -> Result<Vec<Cpu>, Failure> {
    pids.iter().map(|pid| Cpu::of(*pid)).collect()
}

/// Reads CPU at the begin of a part; workers by their process ids.
pub(super) struct Meter {
    server: Option<Cpu>,
    workers: Vec<Cpu>,
    start_ns: u64,
}

/// What was used between begin and end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Used {
    /// Where the server's process is known.
    pub(super) server: Option<Cpu>,
    pub(super) workers: Vec<Cpu>,
    /// When it began, by the monotonic clock.
    pub(super) start_ns: u64,
    pub(super) elapsed_ns: u64,
}

impl Meter {
    pub(super) fn start(target: &Target, workers: &[u32]) -> Result<Self, Failure> {
        let server = target.pid.map(Cpu::of).transpose()?;
        Ok(Self { server, workers: cpus(workers)?, start_ns: now_ns() })
    }

    /// The same processes again, in the same order.
    pub(super) fn stop(self, target: &Target, workers: &[u32]) -> Result<Used, Failure> {
        let server = target.pid.map(Cpu::of).transpose()?;
        let elapsed_ns = now_ns() - self.start_ns;
        let workers = cpus(workers)?;
        Ok(Used {
            server: server.zip(self.server).map(|(end, start)| end.since(start)),
            workers: workers.iter().zip(&self.workers).map(|(end, at)| end.since(*at)).collect(),
            start_ns: self.start_ns,
            elapsed_ns,
        })
    }
}

impl Used {
    /// Cores the server kept busy.
    pub(super) fn server_cores(&self) -> Option<f64> {
        self.server.map(|cpu| ratio(cpu.used_ns, self.elapsed_ns.max(1)))
    }

    /// Nanoseconds of CPU the busiest worker used.
    pub(super) fn busiest_ns(&self) -> u64 {
        self.workers.iter().map(|cpu| cpu.used_ns).max().unwrap_or(0)
    }

    /// Share of one core it needed.
    pub(super) fn busiest(&self) -> f64 {
        ratio(self.busiest_ns(), self.elapsed_ns.max(1))
    }

    /// Nanoseconds of CPU all workers used.
    pub(super) fn harness_ns(&self) -> u64 {
        self.workers.iter().map(|cpu| cpu.used_ns).sum()
    }

    /// Says how many cores the server needed, where its process is known, for work of this kind.
    pub(super) fn tell_server(&self, report: &mut Report, work: &str) {
        let Some((server, cores)) = self.server.zip(self.server_cores()) else { return };
        report.heading("what it costs the server");
        let note = format!("{work} together; loopback bills receiving to the sender");
        report.figure("CPU", format!("{cores:.2} cores"), &note);
        report.result("server_cores", cores);
        doubt_shared_cores(report, server);
    }

    /// Says how busy the harness was, and what that makes of the figures if it was the bottleneck.
    pub(super) fn tell_harness(&self, report: &mut Report, bottleneck: &str) {
        let share = self.busiest();
        report.heading("the harness itself");
        report.figure("CPU", format!("{:.0} %", share * 100.0), "of one core, the busiest worker");
        report.result("harness_core_share_max", share);
        if share > BUSY {
            report.warn(format!("the harness was the bottleneck: {bottleneck}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_busiest_worker_decides_whether_the_harness_was_the_bottleneck() {
        let cpu = |used_ns| Cpu { used_ns, kept_waiting_ns: 0 };
        for (busiest, warnings) in [(800, 0), (900, 1)] {
            let used = Used {
                server: Some(cpu(1500)),
                workers: vec![cpu(100), cpu(busiest)],
                start_ns: 0,
                elapsed_ns: 1000,
            };
            let mut report = Report::new("x", json!({}));
            used.tell_harness(&mut report, "more workers");
            assert_eq!(report.warnings().len(), warnings);
            assert_eq!((used.server_cores(), used.harness_ns()), (Some(1.5), 100 + busiest));
        }
    }
}
