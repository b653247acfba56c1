//! The resident memory of a process by what it is for.

/// Kinds of mappings.
pub(crate) const KINDS: [&str; 4] =
    ["heap", "stacks", "rings shared with the kernel", "program and libraries"];

/// Resident bytes of each of [`KINDS`].
pub(crate) type Resident = [u64; KINDS.len()];

/// What `std` gives a thread that is not told otherwise, behind a page that nobody may touch.
const STACK_BYTES: u64 = 2 * 1024 * 1024;

/// Reads `/proc/PID/smaps` (proc(5)).
pub(crate) fn of(pid: u32) -> Resident {
    let path = format!("/proc/{pid}/smaps");
    parse(&std::fs::read_to_string(&path).expect("Linux tells of our children"))
}

fn parse(smaps: &str) -> Resident {
    let mut resident = [0; KINDS.len()];
    let (mut kind, mut after_guard) = (0, false);
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if first == "Rss:" {
            let kib: u64 = words.next().and_then(|kib| kib.parse().ok()).expect("a number");
            resident[kind] += kib * 1024;
        } else if let Some((start, end)) = first.split_once('-') {
            let address = |hex| u64::from_str_radix(hex, 16).expect("an address");
            let bytes = address(end) - address(start);
            let rights = words.next().unwrap_or_default();
            let name = words.nth(3).unwrap_or_default();
            kind = match name {
                "" if after_guard && bytes == STACK_BYTES => 1,
                "" | "[heap]" => 0,
                "[stack]" => 1,
                _ if name.starts_with("anon_inode:") => 2,
                _ => 3,
            };
            after_guard = rights == "---p";
        }
    }
    resident
}
