//! Descriptors: one per session on either side, so this limit is met before any other.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;

/// Descriptors of a process that are no session: listeners, polls, files, API connections.
const OTHERS: u64 = 192;

/// Most sessions one holding process takes even where more descriptors are allowed: it has one
/// thread.
const PER_WORKER_MAX: u64 = 200_000;

/// Raises the soft limit to the hard one, for this process and those it starts; the limit now.
pub(crate) fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // Refused: then the old limit stands, and is what is checked against.
        let _refused = setrlimit(Resource::Nofile, wanted);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether a server started with this limit can hold these sessions.
pub(crate) fn check_server(sessions: u32, descriptors: u64) -> Result<(), Failure> {
    let needed = u64::from(sessions) + OTHERS;
    if needed <= descriptors {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{sessions} sessions need {needed} descriptors in the server process, but the limit is \
         {descriptors}: raise it (`ulimit -n {needed}`, as root if the hard limit is lower) or \
         hold at most {} sessions",
        descriptors.saturating_sub(OTHERS)
    )))
}

/// How many processes hold these sessions: as asked if that is enough.
pub(crate) fn workers(sessions: u32, asked: Option<u32>, descriptors: u64) -> Result<u32, Failure> {
    let each = descriptors.saturating_sub(OTHERS).min(PER_WORKER_MAX);
    if each == 0 {
        return Err(Failure::new(format!("{descriptors} descriptors are too few for any session")));
    }
    let needed = u32::try_from(u64::from(sessions).div_ceil(each)).expect("at most `sessions`");
    match asked {
        None => Ok(needed.max(1)),
        Some(asked) if asked >= needed => Ok(asked),
        Some(asked) => Err(Failure::new(format!(
            "{asked} workers with {descriptors} descriptors each cannot hold {sessions} sessions: \
             give --workers {needed} or raise the limit (`ulimit -n`)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_thousand_sessions_fit_one_process_under_twenty_thousand_descriptors() {
        assert_eq!(workers(15_000, None, 20_000), Ok(1));
        assert_eq!(check_server(15_000, 20_000), Ok(()));
        assert_eq!(workers(20_000, None, 20_000), Ok(2));
        assert_eq!(workers(1_000_000, None, u64::MAX), Ok(5));
    }

    #[test]
    fn too_low_a_limit_is_refused_with_what_is_needed() {
        let error = check_server(15_000, 1024).unwrap_err().to_string();
        assert!(error.contains("15192") && error.contains("1024"), "{error}");
        let error = workers(15_000, Some(2), 1024).unwrap_err().to_string();
        assert!(error.contains("--workers 19"), "{error}");
        assert!(workers(1, None, 10).is_err());
    }
}
