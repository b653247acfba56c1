//! When and by which command a report came to be.

use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use serde::Serialize;

use crate::clock::unix_s;

/// Flags whose value is nobody's business.
const SECRET_FLAGS: [&str; 2] = ["--secret", "--key"];

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Origin {
    /// What was typed, ready to be typed again but for its secrets.
    pub(super) command: String,
    pub(super) began: String,
}

impl Origin {
    pub(super) fn of_this_process() -> Self {
        let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        Self { command: command(words), began: date(unix_s().unsigned_abs()) }
    }
}

fn date(unix_s: u64) -> String {
    HttpDate::from(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s)).to_string()
}

/// The command line as a shell takes it, the program by its name alone.
fn command(mut words: impl Iterator<Item = String>) -> String {
    let program = words.next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    let mut line = quoted(name);
    let mut hides_next = false;
    for word in words {
        let flag = word.split('=').next().unwrap_or_default();
        let is_secret = SECRET_FLAGS.contains(&flag);
        let told = match (hides_next, is_secret, word.contains('=')) {
            (true, _, _) => "…".to_owned(),
            (false, true, true) => format!("{flag}=…"),
            (false, _, _) => quoted(&word),
        };
        hides_next = !hides_next && is_secret && !word.contains('=');
        line.push(' ');
        line.push_str(&told);
    }
    line
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> String {
        command(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn a_command_can_be_typed_again() {
        let words = ["/a/b/x", "idle", "-n", "10", "--server-arg", "--a=it's $1", ""];
        assert_eq!(told(&words), r"x idle -n 10 --server-arg '--a=it'\''s $1' ''");
    }

    #[test]
    fn secrets_of_a_command_are_not_told() {
        let told = told(&["x", "idle", "--secret", "s3cret", "--key=k3y", "--pid", "1"]);
        assert_eq!(told, "x idle --secret … --key=… --pid 1");
        let odd = self::told(&["x", "--secret", "--key", "-n"]);
        assert_eq!(odd, "x --secret … -n", "the value of a flag is no flag");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
