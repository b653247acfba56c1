//! The commands and flags as data for the parser of arguments; every option's flags come from
//! the table of options.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{Declared, FLAGS_WITH_VALUE, FLAGS_WITHOUT_VALUE, Kind, OPTIONS};

/// Where the configuration is when nobody says.
pub(super) const CONFIG_FILE: &str = "config.json";

/// Everything this program can be told. Its texts call it by the name it was called by.
pub(super) fn command() -> Command {
    let with_options = |command: Command| command.args(option_args()).args(ignored_args());
    let root = Command::new("rollcall")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Knows, at every moment, who is connected. Without a command it runs the server.")
        .after_help("Every option can also be set in the configuration file or the environment.")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .args_override_self(true)
        .arg(config_arg().default_value(CONFIG_FILE))
        .subcommands(commands());
    let dev = Command::new("dev")
        .about("Runs a server on loopback with fresh secrets, and shows what to do with it")
        .args_override_self(true)
        .arg(config_arg());
    with_options(root).subcommand(with_options(dev))
}

fn commands() -> [Command; 5] {
    let config = || config_arg().default_value(CONFIG_FILE);
    let token = Arg::new("token").value_name("TOKEN");
    [
        Command::new("genconfig")
            .about("Writes a configuration file with fresh secrets")
            .arg(config().help("File to write: .json, .toml, .yaml or .yml")),
        Command::new("gentoken").about("Writes a token for a client").args([
            config(),
            value("user", 'u', "USER").help("User id; none is the anonymous user"),
            value("ttl", 't', "SECONDS")
                .help("Seconds until it expires; -1: never")
                .default_value("604800")
                .allow_negative_numbers(true)
                .value_parser(clap::value_parser!(i64)),
            Arg::new("sessions")
                .long("sessions")
                .value_name("WHOSE")
                .help("\"self\": its client may list and close the user's own sessions")
                .value_parser(["self"]),
            switch("quiet", 'q').help("Writes the token alone"),
        ]),
        Command::new("checktoken").about("Verifies a token").args([config(), token]),
        Command::new("checkconfig")
            .about("Says whether a configuration can be used")
            .args([config(), switch("strict", 's').help("Unknown keys are errors")]),
        Command::new("version").about("Writes the version"),
    ]
}

/// What the user said by flags about options: names without dashes, and values.
pub(super) fn flags(matches: &ArgMatches) -> Vec<(String, String)> {
    let names = OPTIONS.iter().flat_map(Declared::flag_names);
    names
        .filter_map(|name| {
            // A command without these flags has said nothing by them.
            let value = matches.try_get_one::<String>(name).ok().flatten()?;
            Some((name.to_owned(), value.clone()))
        })
        .collect()
}

/// Flags the user gave that only Centrifugo knows.
pub(super) fn ignored_flags(matches: &ArgMatches) -> Vec<String> {
    let names = FLAGS_WITHOUT_VALUE.iter().chain(FLAGS_WITH_VALUE);
    names
        .filter(|name| matches.try_get_one::<String>(name).is_ok_and(|value| value.is_some()))
        .map(|name| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") })
        .collect()
}

fn config_arg() -> Arg {
    value("config", 'c', "FILE").help("Configuration file")
}

fn value(name: &'static str, short: char, value_name: &'static str) -> Arg {
    Arg::new(name).long(name).short(short).value_name(value_name)
}

fn switch(name: &'static str, short: char) -> Arg {
    Arg::new(name).long(name).short(short).action(ArgAction::SetTrue)
}

fn option_args() -> impl Iterator<Item = Arg> {
    OPTIONS.iter().flat_map(|option| {
        option.flag_names().map(move |name| {
            let arg = named(name).help(option.summary()).help_heading("Server options");
            let arg = if option.kind == Kind::Bool { optional_value(arg) } else { arg };
            // The older names work and are not shown.
            arg.hide(name != option.path).value_name(value_name(option.kind))
        })
    })
}

fn ignored_args() -> impl Iterator<Item = Arg> {
    let without = FLAGS_WITHOUT_VALUE.iter().map(|name| optional_value(named(name)));
    without.chain(FLAGS_WITH_VALUE.iter().map(|name| named(name))).map(|arg| arg.hide(true))
}

/// A flag that takes a value; a name of one letter is short. Values are checked with all others
/// when the configuration is loaded.
fn named(name: &'static str) -> Arg {
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Arg::new(name).short(letter),
        _ => Arg::new(name).long(name),
    }
}

/// `--flag` is `--flag=true`; the value can only follow after `=` as in Go's flags.
fn optional_value(arg: Arg) -> Arg {
    arg.num_args(0..=1).require_equals(true).default_missing_value("true")
}

const fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "BOOL",
        Kind::Integer => "NUMBER",
        Kind::Text | Kind::Secret => "TEXT",
        Kind::Duration => "DURATION",
        Kind::List => "LIST",
        Kind::Word => "WORD",
        Kind::Objects => "JSON",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> ArgMatches {
        let arguments = std::iter::once("centrifugo").chain(line.split_whitespace());
        command().try_get_matches_from(arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    fn check(line: &str, expected: &[(&str, &str)]) {
        let mut expected: Vec<_> =
            expected.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let mut said = flags(&parse(line));
        said.sort();
        expected.sort();
        assert_eq!(said, expected, "{line}");
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn flags_of_every_version_are_heard_by_the_name_they_were_given() {
        check("-c config.json", &[]);
        check("-p 9000 -a ::1 -n x", &[("p", "9000"), ("a", "::1"), ("n", "x")]);
        check("--port=1 --http_server.port 2", &[("port", "1"), ("http_server.port", "2")]);
        check("--uni_http_stream", &[("uni_http_stream", "true")]);
        check("--uni_http_stream.enabled=0 -p 1", &[("uni_http_stream.enabled", "0"), ("p", "1")]);
        check("--health --log_level debug", &[("health", "true"), ("log_level", "debug")]);
        check("-p 1 -p 2", &[("p", "2")]);
    }

    #[test]
    fn flags_only_centrifugo_knows_are_ignored_and_told() {
        let matches = parse("--debug --engine redis --prometheus.enabled=true -p 1 -e memory");
        let ignored = ignored_flags(&matches);
        assert_eq!(ignored, ["--debug", "--prometheus.enabled", "-e", "--engine"]);
        assert_eq!(flags(&matches).len(), 1);
    }

    #[test]
    fn commands_take_their_own_arguments() {
        let matches = parse("dev -p 9000");
        let (_, dev) = matches.subcommand().expect("a command");
        assert_eq!(flags(dev), [("p".to_owned(), "9000".to_owned())]);
        let matches = parse("gentoken -u 42 -t -1 -q --sessions self");
        let (_, gentoken) = matches.subcommand().expect("a command");
        assert_eq!(gentoken.get_one::<i64>("ttl"), Some(&-1));
        assert_eq!(flags(gentoken), []);
        for wrong in [
            "--http_api.key x",
            "--uni_http_stream false",
            "frobnicate",
            "-p",
            "gentoken --sessions all",
        ] {
            let arguments = std::iter::once("rollcall").chain(wrong.split(' '));
            assert!(command().try_get_matches_from(arguments).is_err(), "{wrong}");
        }
    }
}
