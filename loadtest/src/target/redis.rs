//! Redis: a hash per user, with the id of each session as a field and its record as the value.
//! It keeps records somebody writes; that they are true is nobody's business there.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::kind::{Launch, Program, Wanted};
use crate::failure::{Context, Failure};
use crate::population::{Mint, Population, user_id};
use crate::question::command;

pub(super) const PROGRAM: Program =
    Program { file: "redis-server", built_by: "apt-get install redis-server" };

/// Records on the way at once, or those of one user.
const RECORDS_AT_ONCE: u32 = 10_000;

/// Records of one user at most: they are one command.
const PER_USER_MAX: u32 = 10_000;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// In memory only, or a snapshot would be measured with it.
pub(super) fn launch(wanted: &Wanted<'_>) -> Launch {
    let (ip, port) = (wanted.address.ip().to_string(), wanted.address.port().to_string());
    let words = ["--bind", &ip, "--port", &port, "--save", "", "--appendonly", "no"];
    Launch { arguments: words.map(str::to_owned).to_vec(), ..Launch::default() }
}

/// Fails if a user has more records than one command is to carry.
pub(super) fn check(per_user: u32) -> Result<(), Failure> {
    if per_user <= PER_USER_MAX {
        return Ok(());
    }
    Err(Failure::new(format!("--per-user may be {PER_USER_MAX} with --target redis at most")))
}

/// Stores the records of all these sessions.
pub(super) fn fill(
    address: SocketAddr,
    mint: &Mint,
    population: Population,
) -> Result<(), Failure> {
    let mut writer = TcpStream::connect(address).during("connecting to Redis")?;
    writer.set_read_timeout(Some(ANSWER_TIMEOUT)).during("setting a time-out")?;
    writer.set_write_timeout(Some(ANSWER_TIMEOUT)).during("setting a time-out")?;
    let mut reader = BufReader::new(writer.try_clone().during("connecting to Redis")?);
    let users = population.users();
    let users_at_once = (RECORDS_AT_ONCE / population.per_user).max(1);
    for first in (0..users).step_by(users_at_once as usize) {
        let batch = first..users.min(first.saturating_add(users_at_once));
        let commands: Vec<u8> =
            batch.clone().flat_map(|user| store(user, mint, population)).collect();
        writer.write_all(&commands).during("storing records")?;
        for user in batch {
            let mut line = String::new();
            reader.read_line(&mut line).during("storing records")?;
            if line != format!(":{}\r\n", population.sessions_of(user)) {
                return Err(Failure::new(format!("storing records: {}", line.trim_end())));
            }
        }
    }
    Ok(())
}

/// The command that stores all records of a user.
fn store(user: u32, mint: &Mint, population: Population) -> Vec<u8> {
    let first = user * population.per_user;
    let sessions = first..first + population.sessions_of(user);
    let records: Vec<_> = sessions.map(|session| mint.record(session, population)).collect();
    let user = user_id(user);
    let mut words = vec!["HSET", &user];
    words.extend(records.iter().flat_map(|(id, record)| [id.as_str(), record]));
    command(&words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Question;
    use crate::transport::Transport;

    #[test]
    fn a_user_with_more_records_than_a_command_carries_is_refused() {
        assert_eq!(check(10_000), Ok(()));
        let error = check(10_001).unwrap_err().to_string();
        assert!(error.contains("--per-user may be 10000"), "{error}");
    }

    #[test]
    fn what_is_stored_is_a_right_answer() {
        let population = Population {
            sessions: 5,
            per_user: 3,
            transport: Transport::WebsocketProtobuf,
            seed: 1,
        };
        let mint = Mint::new("s", population.per_user, 1, 0);
        for number in [0, 1] {
            let stored = String::from_utf8(store(number, &mint, population)).unwrap();
            let words = 2 + 2 * population.sessions_of(number);
            let user = user_id(number);
            // A command is an array, as an answer is: without its first two words it is one.
            let head = format!("*{words}\r\n$4\r\nHSET\r\n$10\r\n{user}\r\n");
            let fields = stored.strip_prefix(&head).unwrap();
            let answer = format!("*{}\r\n{fields}", words - 2);
            let expected = population.expected(number, &user);
            assert_eq!(Question::Hash.check(answer.as_bytes(), &expected), Ok(()));
        }
    }
}
