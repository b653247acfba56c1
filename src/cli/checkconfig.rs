//! `checkconfig`: whether a configuration can be used; silent when there is nothing to say.

use std::process::ExitCode;

use clap::ArgMatches;

use super::options;

/// Says nothing of a configuration whose every word means something; warns of what would be
/// ignored, and fails where the start would fail; with `--strict` also for keys and variables
/// that mean nothing.
pub(super) fn checkconfig(matches: &ArgMatches) -> ExitCode {
    let asked = match super::load(matches, Vec::new()) {
        Ok(asked) => asked,
        Err(errors) => return super::fail(&errors.to_string()),
    };
    if asked.file_used.is_none() {
        return super::fail(&format!("config file not found: {}", super::config_path(matches)));
    }
    for warning in &asked.loaded.warnings {
        super::complain("warning", warning);
    }
    if let Err(error) = options::connection(&asked.loaded.config) {
        return super::fail(&format!("error validating config: {error}"));
    }
    let unknown = &asked.loaded.unknown;
    if matches.get_flag("strict") && !unknown.is_empty() {
        return super::fail(&format!("unknown keys in config: {}", unknown.join(", ")));
    }
    ExitCode::SUCCESS
}
