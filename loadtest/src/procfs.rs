//! What the kernel says in `/proc` about a process, its sockets and its own memory.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::failure::{Context, Failure};

/// The most a process has had resident so far, in bytes.
pub(crate) fn memory_peak(pid: u32) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).during(&format!("reading {path}"))?;
    status_bytes(&text, "VmHWM:").ok_or_else(|| Failure::new(format!("{path} names no peak")))
}

/// A line of `/proc/…/status` that is an amount of memory.
fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Resident memory of a process in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Memory {
    /// All resident pages: what `top` shows and what is reported.
    pub(crate) rss: u64,
    /// Of these, anonymous ones: heap and stacks, without the program text.
    pub(crate) anon: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        let path = format!("/proc/{pid}/status");
        let text = std::fs::read_to_string(&path).during(&format!("reading {path}"))?;
        Self::parse(&text).ok_or_else(|| Failure::new(format!("{path} names no memory")))
    }

    fn parse(status: &str) -> Option<Self> {
        let bytes = |name| status_bytes(status, name);
        Some(Self { rss: bytes("VmRSS:")?, anon: bytes("RssAnon:")? })
    }
}

/// Descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> Result<usize, Failure> {
    let path = format!("/proc/{pid}/fd");
    Ok(std::fs::read_dir(&path).during(&format!("reading {path}"))?.count())
}

/// CPU of a process so far, over all threads that live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cpu {
    /// Nanoseconds on a core.
    pub(crate) used_ns: u64,
    /// Nanoseconds ready to run while other work had the core; 0 where the kernel does not say.
    pub(crate) kept_waiting_ns: u64,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        // `schedstat` counts to the nanosecond but is kept per thread; `stat` counts whole ticks.
        threads_cpu(pid).map_or_else(|| Self::from_ticks(pid), Ok)
    }

    fn from_ticks(pid: u32) -> Result<Self, Failure> {
        let path = format!("/proc/{pid}/stat");
        let text = std::fs::read_to_string(&path).during(&format!("reading {path}"))?;
        let ticks =
            parse_stat(&text).ok_or_else(|| Failure::new(format!("{path} names no CPU")))?;
        let used_ns = ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second();
        Ok(Self { used_ns, kept_waiting_ns: 0 })
    }

    /// What was used since `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            used_ns: self.used_ns.saturating_sub(earlier.used_ns),
            kept_waiting_ns: self.kept_waiting_ns.saturating_sub(earlier.kept_waiting_ns),
        }
    }
}

fn threads_cpu(pid: u32) -> Option<Cpu> {
    let mut sum = Cpu::default();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = thread.ok()?.path().join("schedstat");
        let cpu = parse_schedstat(&std::fs::read_to_string(path).ok()?)?;
        sum.used_ns += cpu.used_ns;
        sum.kept_waiting_ns += cpu.kept_waiting_ns;
    }
    Some(sum)
}

/// Time on a core, time waiting for one, number of turns (Documentation/scheduler/sched-stats).
fn parse_schedstat(text: &str) -> Option<Cpu> {
    let mut words = text.split_whitespace();
    let mut next = || words.next()?.parse().ok();
    Some(Cpu { used_ns: next()?, kept_waiting_ns: next()? })
}

/// `utime + stime` in clock ticks: fields 14 and 15 (proc(5)), after a name that may hold
/// anything.
fn parse_stat(text: &str) -> Option<u64> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Slab caches that grow with sockets and with what waits for them.
const SOCKET_CACHES: [&str; 13] = [
    "TCP",
    "TCPv6",
    "sock_inode_cache",
    "dentry",
    "filp",
    "lsm_file_cache",
    "lsm_inode_cache",
    "eventpoll_epi",
    "eventpoll_pwq",
    "ep_head",
    "io_kiocb",
    "async_poll",
    "tcp_bind_bucket",
];

/// What sockets cost the kernel of this machine, at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Kernel {
    /// TCP sockets that exist (`TCP: alloc` of `/proc/net/sockstat`).
    pub(crate) tcp_sockets: Option<u64>,
    /// Bytes of packets queued in sockets (`TCP: mem`, whole pages).
    pub(crate) tcp_queued_bytes: Option<u64>,
    /// Bytes of objects in use per cache of [`SOCKET_CACHES`]; `None` where not readable (root
    /// only).
    pub(crate) slabs: Option<BTreeMap<String, u64>>,
}

impl Kernel {
    /// What is readable; the rest is `None`.
    pub(crate) fn now() -> Self {
        let sockstat = std::fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
        let page = rustix::param::page_size() as u64;
        Self {
            tcp_sockets: parse_sockstat(&sockstat, "alloc"),
            tcp_queued_bytes: parse_sockstat(&sockstat, "mem").map(|pages| pages * page),
            slabs: std::fs::read_to_string("/proc/slabinfo").ok().map(|text| parse_slabs(&text)),
        }
    }

    /// Growth of each socket cache since `before`, in bytes; shrinking counts as none.
    pub(crate) fn slab_growth(&self, before: &Self) -> Option<BTreeMap<String, u64>> {
        let (now, before) = (self.slabs.as_ref()?, before.slabs.as_ref()?);
        let growth = |(name, bytes): (&String, &u64)| {
            let grown = bytes.saturating_sub(before.get(name).copied().unwrap_or(0));
            (name.clone(), grown)
        };
        Some(now.iter().map(growth).filter(|(_, bytes)| *bytes > 0).collect())
    }
}

fn parse_sockstat(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace();
    words.by_ref().find(|word| *word == field)?;
    words.next()?.parse().ok()
}

/// `name active_objs num_objs objsize …` (slabinfo(5)).
fn parse_slabs(text: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| SOCKET_CACHES.contains(name))?;
        let active: u64 = words.next()?.parse().ok()?;
        let size: u64 = words.nth(1)?.parse().ok()?;
        Some((name.to_owned(), active * size))
    };
    text.lines().filter_map(line).collect()
}

/// The machine a figure was measured on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        Self {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cpu: model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':'])).into(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t    1234 kB\nRssAnon:\t     200 kB\n";
        assert_eq!(Memory::parse(status), Some(Memory { rss: 1234 * 1024, anon: 200 * 1024 }));
        assert_eq!(Memory::parse("Name:\tx\n"), None);
        let own = std::process::id();
        assert!(Memory::of(own).unwrap().rss > 0);
        assert!(memory_peak(own).unwrap() > 0);
    }

    #[test]
    fn open_files_are_counted() {
        let pid = std::process::id();
        let before = descriptors(pid).unwrap();
        let _open: Vec<_> = (0..40).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        // Other tests open and close some meanwhile.
        assert!(descriptors(pid).unwrap() >= before.max(40));
        assert!(descriptors(u32::MAX).is_err());
    }

    #[test]
    fn cpu_time_is_found_behind_any_process_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 9 9 9";
        assert_eq!(parse_stat(stat), Some(300));
        assert_eq!(parse_stat("7 (a"), None);
        let cpu = Cpu { used_ns: 123_456, kept_waiting_ns: 7 };
        assert_eq!(parse_schedstat("123456 7 8\n"), Some(cpu));
        assert_eq!(parse_schedstat("123456\n"), None);
        assert_eq!(cpu.since(Cpu { used_ns: 456, kept_waiting_ns: 9 }).used_ns, 123_000);
        // A process that has just started may not have been billed for anything yet.
        let is_billed = || Cpu::of(std::process::id()).unwrap().used_ns > 0;
        assert!((0..100_000).any(|_| is_billed()));
        assert!(Cpu::from_ticks(std::process::id()).is_ok());
    }

    #[test]
    fn sockets_and_their_pages_are_counted() {
        let text = "sockets: used 16\nTCP: inuse 1 orphan 0 tw 4 alloc 3 mem 271\nUDP: mem 9\n";
        assert_eq!(parse_sockstat(text, "alloc"), Some(3));
        assert_eq!(parse_sockstat(text, "mem"), Some(271));
        assert_eq!(parse_sockstat("UDP: mem 9\n", "mem"), None);
    }

    #[test]
    fn only_growth_of_socket_caches_counts() {
        let slabs = |tcp: u64| Kernel {
            slabs: Some(parse_slabs(&format!(
                "slabinfo - version: 2.1\n# name <active_objs> …\nTCP {tcp} 20 2368 13 8 : x\n\
                 dentry 50 60 192 21 1 : x\nbtrfs_inode 9 9 9 1 1 : x\n"
            ))),
            ..Kernel::default()
        };
        let growth = slabs(12).slab_growth(&slabs(2)).unwrap();
        assert_eq!(growth, BTreeMap::from([("TCP".to_owned(), 23_680)]));
        assert_eq!(slabs(12).slab_growth(&Kernel::default()), None);
    }
}
