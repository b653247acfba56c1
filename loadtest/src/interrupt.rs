//! What must not outlive this program when SIGINT or SIGTERM ends it: the processes it started, and
//! the directory with the secrets of the server.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Context, Failure};

/// Tells the thread that waits for a signal; empty where nobody waits for one.
static LISTENER: OnceLock<Sender<Told>> = OnceLock::new();

#[derive(Clone, PartialEq, Eq, Debug)]
enum Told {
    Started(u32),
    Ended(u32),
    Directory(PathBuf),
}

/// What there is to clean up.
#[derive(Default, PartialEq, Eq, Debug)]
struct Remains {
    processes: Vec<u32>,
    directories: Vec<PathBuf>,
}

/// From now on either signal cleans up and ends this program, with 128 and its number.
pub(crate) fn watch() -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).during("watching for signals")?;
    let (tells, told) = channel();
    LISTENER.set(tells).expect("it is watched once");
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            Remains::of(&told).clean_up();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// A process was started that is to end with this one.
pub(crate) fn started(pid: u32) {
    tell(Told::Started(pid));
}

/// A process has ended, or was killed; told before its number can be given to another.
pub(crate) fn ended(pid: u32) {
    tell(Told::Ended(pid));
}

/// A directory was made that is to go with this program.
pub(crate) fn made(directory: &Path) {
    tell(Told::Directory(directory.to_owned()));
}

fn tell(told: Told) {
    if let Some(listener) = LISTENER.get() {
        listener.send(told).expect("the thread listens for as long as this program runs");
    }
}

impl Remains {
    /// What is left of all that was told so far.
    fn of(told: &Receiver<Told>) -> Self {
        let mut remains = Self::default();
        for told in told.try_iter() {
            match told {
                Told::Started(pid) => remains.processes.push(pid),
                Told::Ended(pid) => remains.processes.retain(|started| *started != pid),
                Told::Directory(path) => remains.directories.push(path),
            }
        }
        remains
    }

    fn clean_up(&self) {
        for pid in &self.processes {
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw).expect("a child has a pid");
            // It may be ending by itself.
            let _gone = kill_process(pid, Signal::KILL);
        }
        for directory in &self.directories {
            // Those of earlier servers are gone.
            let _gone = std::fs::remove_dir_all(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_was_started_and_has_not_ended_is_cleaned_up() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), "s").unwrap();
        let sleeper = || Command::new("sleep").arg("600").spawn().unwrap();
        let [mut left, mut ended] = [sleeper(), sleeper()];
        let (tells, told) = channel();
        for one in [
            Told::Started(left.id()),
            Told::Started(ended.id()),
            Told::Directory(directory.path().to_owned()),
            Told::Ended(ended.id()),
        ] {
            tells.send(one).unwrap();
        }
        let remains = Remains::of(&told);
        assert_eq!(remains.processes, [left.id()]);
        remains.clean_up();
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        assert!(!directory.path().exists());
        assert_eq!(ended.try_wait().unwrap(), None);
        ended.kill().unwrap();
        ended.wait().unwrap();
    }
}
