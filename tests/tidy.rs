//! The rules of this house as a test: who may know whom, and how a file looks.

use std::fs;
use std::path::{Path, PathBuf};

/// Rank by rank: a module and everything of ours it may import (design: docs/architecture.md).
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("ids", &["limits"]),
    ("time", &[]),
    ("wire", BASE),
    ("protocol", BASE),
    ("session", BASE),
    ("auth", BASE),
    ("mesh", BASE),
    ("observe", BASE),
    ("transport", &["ids", "time", "limits", "wire", "protocol"]),
    ("proxy", &["ids", "time", "limits", "protocol"]),
    ("api", &["ids", "time", "limits", "session", "protocol", "auth", "wire", "observe"]),
    ("admin", &["ids", "time", "limits", "api", "auth", "observe", "wire"]),
    (
        "connection",
        &[
            "ids",
            "time",
            "limits",
            "admin",
            "transport",
            "proxy",
            "auth",
            "session",
            "protocol",
            "api",
            "observe",
            "wire",
        ],
    ),
    ("messages", &["ids", "time", "limits", "api", "auth", "protocol", "proxy"]),
    (
        "shard",
        &[
            "ids",
            "time",
            "limits",
            "wire",
            "protocol",
            "session",
            "auth",
            "mesh",
            "observe",
            "transport",
            "proxy",
            "api",
            "admin",
            "connection",
            "messages",
        ],
    ),
    ("engine", &["ids", "time", "limits", "shard", "mesh", "messages", "connection"]),
    (
        "control",
        &[
            "ids",
            "time",
            "limits",
            "messages",
            "mesh",
            "transport",
            "proxy",
            "api",
            "auth",
            "protocol",
            "wire",
        ],
    ),
    (
        "server",
        &[
            "ids",
            "time",
            "limits",
            "engine",
            "control",
            "mesh",
            "messages",
            "shard",
            "session",
            "auth",
            "connection",
        ],
    ),
    ("config", &["ids", "time", "limits", "auth", "api", "connection", "engine", "control"]),
    (
        "cli",
        &[
            "ids",
            "time",
            "limits",
            "config",
            "server",
            "admin",
            "auth",
            "api",
            "connection",
            "control",
            "engine",
            "messages",
            "protocol",
            "proxy",
            "shard",
            "session",
            "wire",
        ],
    ),
];

const BASE: &[&str] = &["ids", "time", "limits"];

/// Words that may stand in a few places only: where, and why not elsewhere.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("monoio", &["src/engine/"], "the engine is the only place that knows the runtime"),
    ("tokio", &["src/control/"], "the control thread is the only place that knows tokio"),
    ("tonic", &["src/control/"], "gRPC is spoken on the control thread"),
    ("hyper", &["src/control/"], "gRPC is spoken on the control thread"),
    (
        "papaya",
        &[
            "src/shard/directory.rs",
            "src/shard/seats.rs",
            "src/auth/rules.rs",
            "src/auth/key_ring.rs",
        ],
        "no guard may escape; what all shards look up is there, everything else is a message",
    ),
    (
        "redb",
        &["src/control/store.rs", "src/control/store_redb.rs", "src/control/webhook/queue/"],
        "one file knows each file",
    ),
    (
        "redis::",
        &["src/control/shared/", "src/control/store.rs"],
        "what is shared is spoken of with Redis in one folder",
    ),
    ("seize", &["src/shard/directory.rs"], "no guard may escape the directory"),
    (
        "sync::atomic",
        &[
            "src/mesh/",
            "src/shard/directory.rs",
            "src/shard/admission.rs",
            "src/shard/rates.rs",
            "src/auth/rules.rs",
            "src/admin/attempts.rs",
        ],
        "what crosses threads is a message",
    ),
    ("cel", &["src/api/expression/"], "expressions are read and asked in one place"),
    (
        "simd_json",
        &["src/api/"],
        "it must never meet types with raw JSON, which it silently writes wrong",
    ),
];

/// Words that stand nowhere in src.
const NOWHERE: &[(&str, &str)] = &[
    ("todo!(", "unfinished"),
    ("unimplemented!(", "unfinished"),
    ("#[allow(", "use #[expect(.., reason = \"..\")]"),
    ("#[ignore", "a test that does not run protects nothing"),
    ("should_panic", "say what was expected instead"),
    ("thread::sleep", "a shard never blocks"),
    ("crate::{", "name each module on its own line, so that this test can read it"),
];

const FILE_LINES_MAX: usize = 600;
const SCRIPT_LINES_MAX: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(under: &str) -> Vec<(String, String)> {
    let mut todo: Vec<PathBuf> = vec![root().join(under)];
    let mut files = Vec::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).expect("a folder").map(|e| e.expect("entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("source is text");
            let name = path.strip_prefix(root()).expect("below the root").display().to_string();
            files.push((name, text));
        }
    }
    files.sort();
    assert!(!files.is_empty(), "nothing under {under}");
    files
}

/// The module of `src` a file belongs to: its folder or its own name.
fn module_of(file: &str) -> &str {
    let below = file.strip_prefix("src/").expect("a file of src");
    below.split('/').next().expect("a name").trim_end_matches(".rs")
}

fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("crate::").map(|(at, word)| {
        let rest = &text[at + word.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// Whether this stands in a line, not as a part of longer words.
fn stands(code: &str, phrase: &str) -> bool {
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(phrase).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + phrase.len()..]);
        !before.ends_with(in_word) && (phrase.ends_with(':') || !after.starts_with(in_word))
    })
}

fn complain(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn layers_know_only_those_below() {
    let mut complaints = Vec::new();
    for (file, text) in rust_files("src") {
        let module = module_of(&file);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            complaints.push(format!("{file}: module `{module}` has no line in MAY_IMPORT"));
            continue;
        };
        for import in imports(&text) {
            if import != module && !allowed.contains(&import) {
                complaints.push(format!("{file}: `{module}` must not import `{import}`"));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn the_import_table_has_no_cycle_and_no_dead_line() {
    let mut seen: Vec<&str> = Vec::new();
    for (module, allowed) in MAY_IMPORT {
        for import in *allowed {
            assert!(
                seen.contains(import),
                "`{module}` may import `{import}`, which stands above it or nowhere"
            );
        }
        let path = root().join("src").join(module);
        assert!(path.is_dir() || path.with_extension("rs").is_file(), "no module `{module}`");
        seen.push(module);
    }
}

#[test]
fn words_stand_where_they_may() {
    let mut complaints = Vec::new();
    for (file, text) in rust_files("src") {
        for (word, places, why) in ONLY_IN {
            let uses = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or_default();
                stands(code, &format!("{word}::"))
                    || stands(code, &format!("use {word}"))
                    || stands(code, &format!("std::{word}"))
            });
            if uses && !places.iter().any(|place| file.starts_with(place)) {
                complaints.push(format!("{file}: `{word}` belongs in {places:?}: {why}"));
            }
        }
        for (word, why) in NOWHERE {
            if text.contains(word) {
                complaints.push(format!("{file}: `{word}`: {why}"));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn every_file_says_what_it_is_and_is_not_too_long() {
    let mut complaints = Vec::new();
    for folder in ["src", "tests", "benches", "loadtest/src"] {
        for (file, text) in rust_files(folder) {
            if !text.starts_with("//! ") {
                complaints.push(format!("{file}: its first line does not say what it is"));
            }
            let lines = text.lines().count();
            if lines > FILE_LINES_MAX {
                complaints.push(format!("{file}: {lines} lines, more than {FILE_LINES_MAX}"));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn the_walk_of_a_newcomer_is_numbered_in_its_files() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).expect("the map");
    for number in ["①", "②", "③", "④", "⑤", "⑥"] {
        assert!(map.contains(number), "docs/architecture.md has no step {number}");
        let stands = rust_files("src")
            .iter()
            .any(|(_, text)| text.lines().next().is_some_and(|first| first.contains(number)));
        assert!(stands, "no file's first line carries {number}");
    }
}

#[test]
fn every_module_has_its_place_on_the_map() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).expect("the map");
    for (module, _) in MAY_IMPORT {
        assert!(map.contains(&format!("`{module}`")), "docs/architecture.md lacks `{module}`");
    }
}

/// Every truth of the architecture page names tests, and those tests exist.
#[test]
fn every_truth_names_a_test_that_exists() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).expect("the map");
    let truths = map.split("## The truths").nth(1).expect("a section on the truths");
    let truths = truths.split("\n## ").next().unwrap_or_default();
    let all: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| rust_files(folder))
        .map(|(_, text)| text)
        .collect();
    let mut named = 0;
    for word in truths.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() >= 3) {
        assert!(all.contains(&format!("fn {word}(")), "no test `{word}`");
        named += 1;
    }
    assert!(named >= 8, "only {named} tests named for eight truths");
}

fn files_in(folder: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(root().join(folder)).expect(folder);
    let paths = entries.map(|entry| entry.expect("entry").path()).filter(|path| path.is_file());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut files: Vec<_> =
        paths.map(|path| (name(&path), fs::read(&path).expect("it can be read"))).collect();
    files.sort();
    files
}

/// What others wrote and the admin page serves is what was taken from them.
#[test]
fn vendored_files_have_the_checksums_that_are_written_down() {
    let files = files_in("src/admin/web/vendor");
    let (_, list) = files.iter().find(|(name, _)| name == "README.md").expect("a list");
    let list = String::from_utf8_lossy(list);
    let mut checked = 0;
    for (name, bytes) in &files {
        if name == "README.md" || name.ends_with(".txt") {
            continue;
        }
        let start = format!("| `{name}` |");
        let line = list.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{name} is not in the list"));
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(line.contains(&format!("`{sum}`")), "{name} is another file: {sum}");
        checked += 1;
    }
    assert_eq!(checked, list.lines().filter(|line| line.starts_with("| `")).count());
}

#[test]
fn every_script_says_what_it_is_and_is_not_too_long() {
    let mut complaints = Vec::new();
    for folder in ["src/admin/web", "tests/sdk/browser", "tests/sdk/browser/admin", "tests/sdk/js"]
    {
        for (name, bytes) in files_in(folder) {
            let (text, lines_max) = (String::from_utf8_lossy(&bytes), SCRIPT_LINES_MAX);
            if name.ends_with(".js") && !text.starts_with("// ") {
                complaints.push(format!("{folder}/{name}: its first line does not say what it is"));
            }
            if text.lines().count() > lines_max {
                complaints.push(format!("{folder}/{name}: more than {lines_max} lines"));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn documents_name_no_code_lines() {
    for file in ["README.md", "docs/architecture.md", "docs/decisions.md", "docs/operating.md"] {
        let text = fs::read_to_string(root().join(file)).expect(file);
        assert!(!text.contains(".rs:"), "{file} points into a line, which will move");
    }
}
