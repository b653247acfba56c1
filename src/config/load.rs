//! Sources to one configuration: what each layer says is laid over the one below, and everything
//! that is wrong is reported at once.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::centrifugo::{self, Foreign};
use super::declare::Declared;
use super::duration;
use super::env::{self, PREFIXES};
use super::file::{ConfigFile, Format, leaves};
use super::paths;
use super::setting::{Kind, Raw, Setting};
use super::suggest::nearest;
use super::table::{Config, OPTIONS};
use super::validate;

/// Everything a configuration is made of, from the lowest layer to the highest. Holds secrets, and
/// therefore has no debug output.
#[derive(Clone, Default)]
pub struct Sources {
    /// Paths and values a command puts in place of the defaults.
    pub base: Vec<(&'static str, String)>,
    /// The configuration file, if there is one.
    pub file: Option<ConfigFile>,
    /// Variables, see [`super::environment`].
    pub environment: BTreeMap<String, String>,
    /// Names and values of flags, without dashes.
    pub flags: Vec<(String, String)>,
}

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration itself.
    pub config: Config,
    /// What its author should know.
    pub warnings: Vec<String>,
    /// Keys and variables that mean nothing, as they were written; each is in a warning too.
    pub unknown: Vec<String>,
}

/// Where something was written.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Command,
    File(String),
    Environment,
    Flags,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command => f.write_str("set by this command"),
            Self::File(path) => write!(f, "in {path}"),
            Self::Environment => f.write_str("in the environment"),
            Self::Flags => f.write_str("on the command line"),
        }
    }
}

/// One reason why a configuration cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// The file exists and cannot be read.
    #[error("config file {path} cannot be read: {why}")]
    Unreadable {
        /// Its path.
        path: String,
        /// What the operating system says.
        why: String,
    },
    /// The file's name does not tell its format.
    #[error("config file {0} must end in .json, .yaml, .yml or .toml")]
    UnknownFormat(String),
    /// The file is not in its format.
    #[error("config file {path} is {what}")]
    Malformed {
        /// Its path.
        path: String,
        /// What it is not, and where.
        what: String,
    },
    /// A value is not of its option's type.
    #[error("`{key}` {place} is {value}: expected {expected}")]
    WrongType {
        /// The option as it was written.
        key: String,
        /// Where.
        place: String,
        /// The value, unless it is secret.
        value: String,
        /// What it should have been.
        expected: String,
    },
    /// Two names of one option say different things.
    #[error("`{first}` and `{second}` {place} are the same option with different values")]
    Contradiction {
        /// One name as it was written.
        first: String,
        /// The other.
        second: String,
        /// Where both are.
        place: String,
    },
    /// A value of the right type that cannot be meant.
    #[error("{option} {what}")]
    Invalid {
        /// The option and where its value comes from.
        option: String,
        /// What is wrong and what would be right.
        what: String,
    },
}

impl LoadError {
    /// What was written asks for TLS. To ignore it would send in clear text what was meant to be
    /// encrypted.
    pub(crate) fn tls(option: String) -> Self {
        let what = "asks for TLS, which is not supported yet: terminate it in a proxy in front and \
                    remove the option";
        Self::Invalid { option, what: what.to_owned() }
    }
}

/// Every reason why a configuration cannot be used, one line each.
#[derive(Debug)]
pub struct LoadErrors(pub Vec<LoadError>);

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

/// Makes a configuration of its sources.
///
/// # Errors
/// Everything that is wrong with them, not only the first.
///
/// # Panics
/// If `base` names an option that does not exist.
pub fn load(sources: &Sources) -> Result<Loaded, LoadErrors> {
    let mut loader = Loader::default();
    let base = sources.base.iter().map(|(path, value)| {
        let option = OPTIONS.iter().find(|option| option.path == *path);
        let option = option.expect("a command names options of the table");
        Given { option, key: (*path).to_owned(), raw: Raw::Text(value.clone()) }
    });
    loader.apply(&Place::Command, base.collect());
    if let Some(file) = &sources.file {
        loader.file(file);
    }
    for prefix in PREFIXES {
        loader.environment(prefix, &sources.environment);
    }
    let flags = sources.flags.iter().filter_map(|(name, value)| {
        let option = OPTIONS.iter().find(|option| option.flag_names().any(|flag| flag == name))?;
        let dashes = if name.len() == 1 { "-" } else { "--" };
        Some(Given { option, key: format!("{dashes}{name}"), raw: Raw::Text(value.clone()) })
    });
    loader.apply(&Place::Flags, flags.collect());
    loader.finish()
}

/// An option that a source says something about.
struct Given {
    option: &'static Declared,
    key: String,
    raw: Raw,
}

#[derive(Default)]
struct Loader {
    config: Config,
    /// Who said last what an option is, by path.
    origins: BTreeMap<&'static str, String>,
    warnings: Vec<String>,
    unknown: Vec<String>,
    errors: Vec<LoadError>,
}

impl Loader {
    fn file(&mut self, file: &ConfigFile) {
        let path = &file.path;
        let Some(format) = Format::of(path) else {
            return self.errors.push(LoadError::UnknownFormat(path.clone()));
        };
        let tree = match format.parse(&file.text) {
            Ok(tree @ (Value::Object(_) | Value::Null)) => tree,
            Ok(_) => {
                let what = "not an object at its top".to_owned();
                return self.errors.push(LoadError::Malformed { path: path.clone(), what });
            }
            Err(what) => {
                return self.errors.push(LoadError::Malformed { path: path.clone(), what });
            }
        };
        let place = Place::File(path.clone());
        let mut given = Vec::new();
        let mut foreign = Vec::new();
        for leaf in leaves(&tree, &is_section) {
            if let Some(option) = OPTIONS.iter().find(|o| o.names().any(|name| name == leaf.name)) {
                given.push(Given { option, key: leaf.written, raw: Raw::Json(leaf.value.clone()) });
                continue;
            }
            match centrifugo::in_file(&leaf.name) {
                // What is switched off is not missed.
                Foreign::Known if *leaf.value == Value::Bool(false) => {}
                Foreign::Known if centrifugo::asks_for_tls(&leaf.name, leaf.value) => {
                    self.refuse_tls(&leaf.written, &place);
                }
                Foreign::Known => foreign.push(leaf.written),
                Foreign::Unknown if is_section(&leaf.name) => {
                    self.errors.push(LoadError::WrongType {
                        key: leaf.written,
                        place: place.to_string(),
                        value: shown(Kind::Secret, &Raw::Json(leaf.value.clone())),
                        expected: "a section, that is an object".to_owned(),
                    });
                }
                Foreign::Unknown => {
                    let names: Vec<_> =
                        OPTIONS.iter().flat_map(Declared::names).chain(sections()).collect();
                    let meant = nearest(&leaf.written, &names).map(ToOwned::to_owned);
                    self.unknown("key", leaf.written, &place, meant);
                }
            }
        }
        self.ignored(&foreign, &place);
        self.apply(&place, given);
    }

    fn environment(&mut self, prefix: &str, variables: &BTreeMap<String, String>) {
        let place = Place::Environment;
        let mut given = Vec::new();
        let mut foreign = Vec::new();
        for (variable, value) in variables {
            let Some(rest) = variable.strip_prefix(prefix) else { continue };
            let named = |name: &str| env::variable("", name) == *rest;
            let not_ours = env::is_not_ours(rest);
            if let Some(option) = OPTIONS.iter().find(|option| option.names().any(named)) {
                if !(not_ours && env::is_service_link(value)) {
                    let raw = Raw::Text(value.clone());
                    given.push(Given { option, key: variable.clone(), raw });
                }
                continue;
            }
            let name = rest.to_ascii_lowercase();
            let on = Value::Bool(bool::from_text(value) == Ok(true));
            match centrifugo::in_environment(&name) {
                Foreign::Known if centrifugo::asks_for_tls(&name, &on) => {
                    self.refuse_tls(variable, &place);
                }
                Foreign::Known => foreign.push(variable.clone()),
                Foreign::Unknown if not_ours => {}
                Foreign::Unknown => {
                    let names: Vec<_> = OPTIONS.iter().flat_map(Declared::names).collect();
                    let meant = nearest(rest, &names).map(|name| env::variable(prefix, name));
                    self.unknown("variable", variable.clone(), &place, meant);
                }
            }
        }
        self.ignored(&foreign, &place);
        self.apply(&place, given);
    }

    /// Puts what one layer says in its place. Within a layer no name wins over another.
    fn apply(&mut self, place: &Place, layer: Vec<Given>) {
        let mut seen: Vec<(&str, String, String)> = Vec::new();
        for Given { option, key, raw } in layer {
            if let Err(expected) = (option.set)(&mut self.config, &raw) {
                let place = place.to_string();
                let value = shown(option.kind, &raw);
                self.errors.push(LoadError::WrongType { key, place, value, expected });
                continue;
            }
            if option.kind == Kind::Duration && is_nanoseconds(&raw) {
                self.warnings.push(format!(
                    "`{key}` {place} is {}: a number without a unit is nanoseconds; write a unit, \
                     as in 25s",
                    shown(option.kind, &raw),
                ));
            }
            let value = (option.show)(&self.config);
            let earlier = seen.iter().find(|(path, ..)| *path == option.path);
            if let Some((_, first, _)) = earlier.filter(|(.., other)| *other != value) {
                let (first, second, place) = (first.clone(), key.clone(), place.to_string());
                self.errors.push(LoadError::Contradiction { first, second, place });
            }
            self.origins.insert(option.path, format!("`{key}` {place}"));
            seen.push((option.path, key, value));
        }
    }

    fn unknown(&mut self, what: &str, written: String, place: &Place, meant: Option<String>) {
        let meant = meant.map_or_else(String::new, |name| format!(": did you mean `{name}`?"));
        self.warnings.push(format!("unknown {what} `{written}` {place} is ignored{meant}"));
        self.unknown.push(written);
    }

    fn refuse_tls(&mut self, written: &str, place: &Place) {
        self.errors.push(LoadError::tls(format!("`{written}` {place}")));
    }

    fn ignored(&mut self, foreign: &[String], place: &Place) {
        if !foreign.is_empty() {
            let names = foreign.join(", ");
            self.warnings.push(format!(
                "known to Centrifugo, not (yet) in Rollcall, {place}, ignored: {names}"
            ));
        }
    }

    fn finish(mut self) -> Result<Loaded, LoadErrors> {
        for path in paths::all_mut(&mut self.config) {
            // As Centrifugo does: paths match without it.
            path.truncate(path.trim_end_matches('/').len().max(1));
        }
        for (path, what) in validate::faults(&self.config) {
            let default = || format!("`{path}`");
            let option = self.origins.get(path).cloned().unwrap_or_else(default);
            self.errors.push(LoadError::Invalid { option, what });
        }
        if !self.errors.is_empty() {
            return Err(LoadErrors(self.errors));
        }
        let Self { config, warnings, unknown, .. } = self;
        Ok(Loaded { config, warnings, unknown })
    }
}

fn sections() -> impl Iterator<Item = &'static str> {
    let parents = |option: &Declared| {
        let path = option.path;
        path.match_indices('.').map(move |(at, _)| &path[..at])
    };
    OPTIONS.iter().flat_map(parents)
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name) || centrifugo::is_section(name)
}

fn is_nanoseconds(raw: &Raw) -> bool {
    let text = match raw {
        Raw::Text(text) => text.clone(),
        Raw::Json(value) => value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned),
    };
    text != "0" && duration::is_bare(&text)
}

/// A value as an error may show it.
fn shown(kind: Kind, raw: &Raw) -> String {
    /// More of a value helps nobody.
    const CHARS_MAX: usize = 60;
    let text = match raw {
        _ if kind == Kind::Secret => return "of the wrong type (value not shown)".to_owned(),
        Raw::Json(Value::Object(_)) => return "an object".to_owned(),
        Raw::Json(Value::Array(_)) => return "a list".to_owned(),
        Raw::Json(value) => value.to_string(),
        Raw::Text(text) => text.escape_debug().to_string(),
    };
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
