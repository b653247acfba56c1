//! `docs/config.md`, written from the table of options and compared with it.

use super::declare::Declared;
use super::setting::Kind;
use super::table::{Config, OPTIONS, SECTIONS};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by `ROLLCALL_WRITE_DOCS=1 cargo test --lib config::docs` from src/config/table.rs. -->

An option has one value. What is higher in this list wins:

1. a flag (`rollcall --http_server.port 9000`),
2. an environment variable: `ROLLCALL_HTTP_SERVER_PORT`, else `CENTRIFUGO_HTTP_SERVER_PORT`,
3. a variable of the same names in a file `.env` in the working directory,
4. the configuration file (`-c`, `config.json` when nothing is said): JSON, YAML or TOML by its
   extension,
5. the default.

In a file, sections may be nested (`\"http_server\": {\"port\": 9000}`) or dotted
(`\"http_server.port\": 9000`), and the flat names of Centrifugo v3 to v5 work beside those of v6.
In the environment an older name is written the same way: `CENTRIFUGO_PORT`. Two names of one
option in one place must agree.

A key or variable that means nothing is warned of; what only Centrifugo knows is ignored with a
warning. `rollcall checkconfig --strict` refuses the former.

| type | written |
|---|---|
| boolean | `true`, `false`; also `1`, `t`, `T`, `TRUE`, `True`, `0`, `f`, `F`, `FALSE`, `False`. A flag alone is true |
| duration | `25s`, `1m30s`, `500ms`, `1.5h`. A number without a unit is **nanoseconds**, as in Go, and is warned of |
| list | a list; in the environment texts separated by spaces |
| objects | a list of objects; in the environment JSON text |

An empty variable is not set. Secrets have no flag: everyone on a machine can read the arguments of
a process.
";

fn render() -> String {
    let defaults = Config::default();
    let mut text = INTRODUCTION.to_owned();
    for (at, about) in SECTIONS {
        let section: String = at.chars().filter(|char| !"() ".contains(*char)).collect();
        let inside = OPTIONS.iter().filter(|option| {
            option.path.rsplit_once('.').map_or("", |(parent, _)| parent) == section
        });
        let title = if section.is_empty() { String::new() } else { format!(": `{section}`") };
        let about: Vec<_> = about.iter().map(|line| line.trim()).collect();
        let about = about.join(" ");
        text += &format!("\n## {}{title}\n", about.trim_end_matches('.'));
        for option in inside {
            text += &entry(option, &defaults);
        }
    }
    text
}

fn entry(option: &Declared, defaults: &Config) -> String {
    let kind = match option.kind {
        Kind::Bool => "boolean",
        Kind::Integer => "whole number",
        Kind::Text => "text",
        Kind::Secret => "secret text",
        Kind::Duration => "duration",
        Kind::List => "list of texts",
        Kind::Word => "word",
        Kind::Objects => "list of objects",
    };
    let code = |names: Vec<String>| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let default = match (option.show)(defaults).as_str() {
        "null" => "unset".to_owned(),
        "\"\"" => "empty".to_owned(),
        value => format!("`{value}`"),
    };
    let mut text = format!("\n### `{}`\n\n{}\n\n", option.path, option.text());
    text += &format!("- {kind}, default {default}\n");
    text += &format!("- environment: `{}`\n", super::env::variable("ROLLCALL_", option.path));
    let flags = option
        .flag_names()
        .map(|name| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") });
    let flags = code(flags.collect());
    if !flags.is_empty() {
        text += &format!("- flags: {flags}\n");
    }
    let older = code(option.legacy.iter().map(ToString::to_string).collect());
    if !older.is_empty() && option.legacy != [option.path] {
        text += &format!("- older names: {older}\n");
    }
    text
}

#[test]
fn the_page_about_options_says_what_the_table_says() {
    let rendered = render();
    if std::env::vars_os().any(|(name, _)| name == "ROLLCALL_WRITE_DOCS") {
        std::fs::write(PATH, &rendered).expect("docs/config.md can be written");
    }
    let written = std::fs::read_to_string(PATH).expect("docs/config.md exists");
    assert!(
        written == rendered,
        "docs/config.md is not what src/config/table.rs says; write it again with \
         `ROLLCALL_WRITE_DOCS=1 cargo test --lib config::docs`"
    );
    for option in OPTIONS {
        assert!(written.contains(&format!("### `{}`", option.path)), "{}", option.path);
    }
}
