//! The process of the server under test.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::kind::Launch;
use super::{LOOK, PATIENCE_NS};
use crate::clock::now_ns;
use crate::failure::{Context, Failure};
use crate::interrupt;
use crate::report::progress;

/// Bytes of the server's log shown when it fails.
const LOG_TAIL: usize = 2_000;

/// The server process; killed if the run fails.
pub(super) struct Server {
    child: Child,
    /// Configuration and log.
    dir: TempDir,
}

impl Server {
    pub(super) fn start(binary: &Path, launch: &Launch) -> Result<Self, Failure> {
        let dir = TempDir::with_prefix("rollcall-loadtest-").during("making a directory")?;
        interrupt::made(dir.path());
        // A file, not a pipe: a pipe nobody empties would stop the server.
        let log = File::create(dir.path().join("log")).during("creating the server's log")?;
        let mut command = Command::new(binary);
        if let Some(config) = &launch.config {
            let path = dir.path().join("config.json");
            std::fs::write(&path, config.to_string()).during("writing the configuration")?;
            command.arg("-c").arg(path);
        }
        let child = command
            .args(&launch.arguments)
            .envs(
                launch.environment.iter().chain(&launch.secrets).map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone().during("sharing the server's log")?)
            .stderr(log)
            .spawn()
            .during(&format!("starting {}", binary.display()))?;
        interrupt::started(child.id());
        Ok(Self { child, dir })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn check_alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait().during("looking at the server")? {
            None => Ok(()),
            Some(status) => {
                Err(Failure::new(format!("the server has ended {}", how_it_ended(status))))
            }
        }
    }

    pub(super) fn stop(mut self) -> Result<(), Failure> {
        progress("the server is told to end");
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child has a pid"), Signal::TERM).during("sending SIGTERM")?;
        let give_up = now_ns() + PATIENCE_NS;
        while now_ns() < give_up {
            match self.child.try_wait().during("waiting for the server")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let (how, log) = (how_it_ended(status), self.log_tail());
                    let text = format!("after SIGTERM the server ended {how}\n{log}");
                    return Err(Failure::new(text));
                }
                None => sleep(LOOK),
            }
        }
        Err(Failure::new("the server does not end after SIGTERM"))
    }

    /// The end of its log, under a heading; empty if it said nothing.
    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned();
        if tail.is_empty() { tail } else { format!("the end of the server's log:\n{tail}") }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("with code {code}"),
        (None, signal) => format!("by signal {}", signal.unwrap_or_default()),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, as it should.
        drop(self.child.kill());
        interrupt::ended(self.pid());
        drop(self.child.wait());
    }
}
