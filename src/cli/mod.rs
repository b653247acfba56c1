//! What a person types: the commands, and what each prints. Results go to stdout, errors and
//! warnings to stderr; an error ends with exit code 1.
//!
//! Commands map the configuration to the options of each layer; nothing imports them.

mod serve;

mod checkconfig;
mod checktoken;
mod dev;
mod genconfig;
mod gentoken;

mod admin;
mod options;
mod proxy;
mod usage;
mod webhook;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;

use crate::config::{self, ConfigFile, LoadError, LoadErrors, Loaded, Sources};
use crate::time::Now;

/// Runs the command that the arguments of this process name.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let program = arguments.first().and_then(|path| Path::new(path).file_name()?.to_str());
    let program = program.unwrap_or("rollcall").to_owned();
    let matches = match usage::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(usage) if usage.use_stderr() => {
            // Nothing is left to tell it to when stderr is gone.
            let _unheard = write!(io::stderr(), "{usage}");
            return ExitCode::FAILURE;
        }
        Err(help) => return print(&help.to_string()),
    };
    match matches.subcommand() {
        None => serve_command(&matches),
        Some(("dev", matches)) => dev_command(matches),
        Some(("genconfig", matches)) => genconfig::genconfig(config_path(matches)),
        Some(("gentoken", matches)) => gentoken::gentoken(matches, &program, now()),
        Some(("checktoken", matches)) => checktoken::checktoken(matches, &program, now()),
        Some(("checkconfig", matches)) => checkconfig::checkconfig(matches),
        Some(("version", _)) => say(&format!("Rollcall v{}", env!("CARGO_PKG_VERSION"))),
        Some((other, _)) => fail(&format!("unknown command {other}")),
    }
}

fn serve_command(matches: &ArgMatches) -> ExitCode {
    match load(matches, Vec::new()) {
        Ok(asked) => {
            let warnings = asked.warnings();
            let file = match &asked.file_used {
                Some(path) => Ok(path.as_str()),
                None => Err(config_path(matches)),
            };
            serve::serve(&asked.loaded.config, file, &warnings)
        }
        Err(errors) => fail(&errors.to_string()),
    }
}

fn dev_command(matches: &ArgMatches) -> ExitCode {
    let base = match dev::base() {
        Ok(base) => base,
        Err(error) => return fail(&error),
    };
    match load(matches, base) {
        Ok(asked) => {
            if let (Some(path), None) = (asked_path(matches), &asked.file_used) {
                return fail(&format!("config file {path} not found"));
            }
            dev::dev(&asked.loaded.config, now().unix_s(), &asked.warnings())
        }
        Err(errors) => fail(&errors.to_string()),
    }
}

/// A configuration and the file it came from, when that exists.
struct Asked {
    loaded: Loaded,
    file_used: Option<String>,
}

impl Asked {
    /// Everything a server started so should warn of.
    fn warnings(&self) -> Vec<String> {
        let Loaded { config, warnings, .. } = &self.loaded;
        warnings.iter().cloned().chain(config::dangers(config)).collect()
    }
}

/// Loads what file, environment and flags say. A file that does not exist says nothing.
fn load(matches: &ArgMatches, base: Vec<(&'static str, String)>) -> Result<Asked, LoadErrors> {
    let read = asked_path(matches).map_or(Ok(None), ConfigFile::read);
    let file = read.map_err(|error| LoadErrors(vec![error]))?;
    let file_used = file.as_ref().map(|file| file.path.clone());
    let dotenv = ConfigFile::read(".env").map_err(|error| LoadErrors(vec![error]))?;
    let dotenv = dotenv.as_ref().map(|file| file.text.as_str());
    let environment = config::environment(std::env::vars_os(), dotenv);
    let flags = usage::flags(matches);
    let mut loaded = config::load(&Sources { base, file, environment, flags })?;
    let ignored = usage::ignored_flags(matches);
    if let Some(flag) = ignored.iter().find(|flag| flag.starts_with("--tls")) {
        let place = format!("`{flag}` on the command line");
        return Err(LoadErrors(vec![LoadError::tls(place)]));
    }
    if !ignored.is_empty() {
        loaded.warnings.push(format!(
            "known to Centrifugo, not (yet) in Rollcall, on the command line, ignored: {}",
            ignored.join(", ")
        ));
    }
    Ok(Asked { loaded, file_used })
}

fn asked_path(matches: &ArgMatches) -> Option<&str> {
    matches.get_one::<String>("config").map(String::as_str)
}

fn config_path(matches: &ArgMatches) -> &str {
    asked_path(matches).unwrap_or(usage::CONFIG_FILE)
}

/// The time, for the commands about tokens: no shard is involved, so no monotonic clock.
fn now() -> Now {
    #[expect(clippy::disallowed_methods, reason = "a command looks at the clock once")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Now { mono_ms: 0, unix_ms: u64::try_from(millis).unwrap_or(u64::MAX) }
}

/// Writes a line to stdout, and gives the exit code for it.
fn say(text: &str) -> ExitCode {
    print(&format!("{text}\n"))
}

/// Writes to stdout, and gives the exit code for it. A reader that went away (`rollcall dev |
/// head`) is no error.
fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write to stdout: {error}"))
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Writes an error to stderr, each of its lines by itself, and gives the exit code for it.
fn fail(text: &str) -> ExitCode {
    complain("error", text);
    ExitCode::FAILURE
}

fn complain(what: &str, text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        // Nothing is left to tell it to when stderr is gone.
        let _unheard = writeln!(stderr, "{what}: {line}");
    }
}
