//! `rollcall-loadtest`: opens sessions against a real server process, holds them, queries them,
//! has them come and go, and prints what each costs.
//!
//! Reading order: [`cli`] (what can be asked), [`scenarios`] (one file per question), [`versus`]
//! (two servers side by side), [`target`] (the server under test), [`fleet`] and [`worker`]
//! (processes that make the load), [`transport`] (the ways to connect), [`stream`], [`protocol`],
//! [`http`], [`websocket`], [`http2`], [`population`], [`synthetic`], [`question`] (what goes over
//! the wire, written here and not taken from the library, so that the two check each other),
//! [`ledger`] (what must be listed when sessions come and go), [`procfs`], [`latency`] and
//! [`rate`] (what is measured), [`interrupt`] (nothing is left behind), [`sampler`] (how it went over time), [`report`] (how it is told).

mod cli;
mod clock;
mod failure;
mod fleet;
mod http;
mod http2;
mod interrupt;
mod latency;
mod ledger;
mod limits;
mod orders;
mod population;
mod procfs;
mod protocol;
mod question;
mod rate;
mod report;
mod sampler;
mod scenarios;
mod stream;
mod synthetic;
mod target;
mod transport;
mod versus;
mod websocket;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Wrong) => ExitCode::FAILURE,
        Err(failure) => {
            report::progress(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether the server did what it must, apart from how fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Every answer was right and every session stayed.
    Clean,
    /// Some were not; the report says which.
    Wrong,
}

fn run(command: Command) -> Result<Verdict, Failure> {
    if !matches!(command, Command::Worker) {
        interrupt::watch()?;
    }
    let (report, common) = match command {
        Command::Idle(args) => (versus::run(&args)?, args.common),
        Command::ConnectStorm(args) => (versus::run(&args)?, args.common),
        Command::Churn(args) => (versus::run(&args)?, args.common),
        Command::DisconnectAll(args) => (versus::run(&args)?, args.common),
        Command::SlowClients(args) => (versus::run(&args)?, args.common),
        Command::Query(args) => (versus::run(&args)?, args.common),
        Command::Synthetic(args) => (versus::run(&args)?, args.common),
        Command::Table(args) => (scenarios::table::run(&args)?, args.common),
        Command::Worker => return worker::run().map(|()| Verdict::Clean),
    };
    // The files first: whoever reads the table may stop reading.
    if let Some(path) = common.json {
        report.write_json(&path)?;
    }
    if let Some(path) = common.html {
        report.write_html(&path)?;
    }
    report.print()?;
    Ok(if report.has_failures() { Verdict::Wrong } else { Verdict::Clean })
}
