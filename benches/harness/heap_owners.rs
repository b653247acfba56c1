//! Whose each live byte of a heap profile is: of the innermost function on its backtrace that one
//! of the owners has.

use std::path::Path;

use serde::Deserialize;

/// Owners and where their functions are. The first that matches a function has it.
pub(crate) const OWNERS: [(&str, &[&str]); 15] = [
    ("session records", &["rollcall::session::pages"]),
    ("user index", &["rollcall::session::by_user"]),
    ("names, versions, user agents", &["rollcall::session::interner"]),
    ("directory of users and shards", &["rollcall::shard::directory"]),
    ("connections", &["rollcall::shard::conns"]),
    ("timers", &["rollcall::shard::timers"]),
    ("places of sockets", &["rollcall::engine::sockets"]),
    ("parking", &["rollcall::engine::parking"]),
    ("buffers of the engine", &["rollcall::engine"]),
    ("rest of the shard", &["rollcall::shard", "rollcall::connection", "rollcall::session"]),
    ("mesh", &["rollcall::mesh"]),
    ("runtime: tasks", &["monoio"]),
    ("driver: io_uring", &["io_uring"]),
    ("control thread", &["rollcall::control", "tokio"]),
    ("start: configuration, log, threads", &[""]),
];

/// Live bytes of each of [`OWNERS`].
pub(crate) type Owned = [u64; OWNERS.len()];

/// The parts of DHAT's format that are needed.
#[derive(Deserialize)]
struct Profile {
    /// Places that allocate.
    pps: Vec<Place>,
    /// Frames, as `address: function (file:line:column)`.
    ftbl: Vec<String>,
}

#[derive(Deserialize)]
struct Place {
    /// Bytes that were live when the profile was written.
    eb: u64,
    /// Its backtrace, innermost first: indexes of `ftbl`.
    fs: Vec<usize>,
}

/// Reads a profile that the crate `dhat` wrote.
pub(crate) fn read(path: &Path) -> Owned {
    let text = std::fs::read(path).expect("the profile was written");
    let Profile { pps, ftbl } = serde_json::from_slice(&text).expect("DHAT's format");
    let owners: Vec<Option<usize>> = ftbl.iter().map(|frame| owner(frame)).collect();
    let mut owned = [0; OWNERS.len()];
    for Place { eb, fs } in pps {
        let innermost = fs.iter().find_map(|frame| owners[*frame]);
        owned[innermost.unwrap_or(OWNERS.len() - 1)] += eb;
    }
    owned
}

/// Who has this frame's function, but for the last owner, who has what nobody else has.
fn owner(frame: &str) -> Option<usize> {
    let (_, function) = frame.split_once(": ")?;
    let path = function.trim_start_matches(['<', '&']);
    let named = &OWNERS[..OWNERS.len() - 1];
    named.iter().position(|(_, modules)| {
        modules
            .iter()
            .any(|module| path.strip_prefix(module).is_some_and(|rest| rest.starts_with("::")))
    })
}
