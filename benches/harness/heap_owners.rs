//! Whose each live byte of a heap profile is: of the innermost function on its backtrace that is in
//! a file of one of the owners.

use std::path::Path;

use serde::Deserialize;

/// Owners and their files. The first that matches a function's file has it; the last has what
/// nobody else has.
pub(crate) const OWNERS: [(&str, &[&str]); 14] = [
    ("session records", &["src/session/pages.rs"]),
    ("user index", &["src/session/by_user.rs"]),
    ("names, versions, user agents", &["src/session/interner.rs"]),
    ("directory of users and shards", &["src/shard/directory.rs"]),
    ("connections", &["src/shard/conns.rs"]),
    ("timers", &["src/shard/timers.rs"]),
    ("places of sockets", &["src/engine/sockets.rs"]),
    ("parking", &["src/engine/parking.rs"]),
    ("runtime, driver, tasks of a shard", &["src/engine/boot.rs", "src/engine/accept.rs"]),
    ("buffers of the engine", &["src/engine/"]),
    ("rest of the shard", &["src/shard/", "src/session/", "src/connection/", "src/auth/"]),
    ("mesh", &["src/mesh/"]),
    ("control thread", &["src/control/"]),
    ("configuration, log, threads", &[]),
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

/// Who has the file of this frame's function, if it is one of the named.
fn owner(frame: &str) -> Option<usize> {
    let (_, place) = frame.rsplit_once(" (")?;
    OWNERS.iter().position(|(_, files)| files.iter().any(|file| place.starts_with(file)))
}
