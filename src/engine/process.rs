//! What the process uses, as the operating system tells it.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::shard::ProcessUse;

/// What does not change while the process lives.
#[derive(Debug)]
pub(super) struct Process {
    /// Resident before there was a session.
    rss_start_bytes: u64,
    memory_bytes_max: Option<u64>,
    descriptors_max: Option<u64>,
}

impl Process {
    pub(super) fn start() -> Self {
        Self {
            rss_start_bytes: rss_bytes().unwrap_or(0),
            memory_bytes_max: group_bytes_max().into_iter().chain(machine_bytes()).min(),
            descriptors_max: getrlimit(Resource::Nofile).current,
        }
    }

    /// What is used now; `None` where the operating system does not say. Two system calls that
    /// wait for nothing.
    pub(super) fn now(&self) -> Option<ProcessUse> {
        Some(ProcessUse {
            rss_bytes: rss_bytes()?,
            rss_start_bytes: self.rss_start_bytes,
            memory_bytes_max: self.memory_bytes_max,
            descriptors_max: self.descriptors_max,
        })
    }
}

/// `VmRSS` of proc_pid_status(5).
fn rss_bytes() -> Option<u64> {
    bytes_of("/proc/self/status", "VmRSS:")
}

/// What the control group of this process may use: the second version of them, or the first.
fn group_bytes_max() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let below = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let below = below.trim_start_matches('/');
    let places = [
        format!("/sys/fs/cgroup/{below}/memory.max"),
        // In a container its own group is the root.
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(),
    ];
    places.iter().find_map(|place| fs::read_to_string(place).ok()?.trim().parse().ok())
}

/// `MemTotal` of proc_meminfo(5).
fn machine_bytes() -> Option<u64> {
    bytes_of("/proc/meminfo", "MemTotal:")
}

/// The value of a line such as `VmRSS:  1024 kB`.
fn bytes_of(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
