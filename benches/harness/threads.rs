//! Threads on cores of their own, and what they cost.

use std::path::Path;

/// Keeps this thread on one core, where there are two at least: as shards are.
#[expect(clippy::print_stdout, reason = "a benchmark says when it is not what it seems")]
pub(crate) fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        println!("not pinned to core {core}: {error}");
    }
}

/// Nanoseconds a thread has been on a processor, by the scheduler's own account (Linux).
/// `thread` is its folder under /proc.
pub(crate) fn cpu_ns(thread: &Path) -> f64 {
    std::fs::read_to_string(thread.join("schedstat"))
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(f64::NAN)
}
