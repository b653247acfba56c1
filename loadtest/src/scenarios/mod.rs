//! One file per question an operator asks. A scenario brings a target and workers up, lets them
//! work, measures, and reports; it opens no session itself.

pub(crate) mod connect;
pub(crate) mod idle;
pub(crate) mod query;
pub(crate) mod synthetic;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::CommonArgs;
use crate::failure::Failure;
use crate::fleet::Holders;
use crate::limits;
use crate::orders::{OpenOrder, Tally};
use crate::population::{Population, user_id};
use crate::procfs::Cpu;
use crate::report::{Line, Report, Unit, pause, progress, ratio};
use crate::sampler::Sampler;
use crate::target::Target;
use crate::transport::Transport;
use crate::versus::Headline;

/// A question as it was asked on the command line, of whichever server.
pub(crate) trait Scenario {
    const NAME: &'static str;
    /// The results two servers are compared by; none if only Rollcall can be asked.
    const HEADLINES: &'static [Headline];

    fn common(&self) -> &CommonArgs;

    /// The transport a server must have; none if no session is to connect.
    fn transport(&self) -> Option<Transport>;

    /// The same question of another server.
    fn on(&self, common: CommonArgs) -> Self;

    fn run(&self) -> Result<Report, Failure>;
}

/// Users whose listing is checked besides the load.
const USERS_CHECKED: u32 = 200;

/// How sessions are opened on this server; which ones is for the caller to say.
fn opening(args: &CommonArgs, target: &Target, transport: Transport) -> OpenOrder {
    OpenOrder {
        address: target.door(transport),
        transport,
        secret: target.secret.clone(),
        first: 0,
        end: 0,
        per_user: args.per_user,
        seed: args.seed,
        concurrency: args.concurrency,
        source: target.loopback_source(),
    }
}

/// A server and the workers that will hold sessions on it.
struct Rig {
    target: Target,
    holders: Holders,
    population: Population,
    sampler: Sampler,
}

impl Rig {
    fn up(args: &CommonArgs, sessions: u32, transport: Transport) -> Result<Self, Failure> {
        let descriptors = limits::raise_descriptors();
        let workers = limits::workers(sessions, args.workers, descriptors)?;
        if args.starts_a_server() {
            limits::check_server(sessions, descriptors)?;
        }
        let target = Target::up(args, transport)?;
        let holders = Holders::start(workers, opening(args, &target, transport))?;
        let population = Population { sessions, per_user: args.per_user, transport };
        let sampler = Sampler::start(target.pid);
        Ok(Self { target, holders, population, sampler })
    }

    /// A server with records of these sessions instead of the sessions.
    fn filled(args: &CommonArgs, sessions: u32, transport: Transport) -> Result<Self, Failure> {
        let population = Population { sessions, per_user: args.per_user, transport };
        let target = Target::filled(args, population)?;
        let holders = Holders::start(0, opening(args, &target, transport))?;
        let sampler = Sampler::start(target.pid);
        Ok(Self { target, holders, population, sampler })
    }

    /// Asks for some users while only the first `held` sessions are there; what was wrong, by
    /// name.
    fn check_listings(&self, held: u32) -> Result<BTreeMap<String, u64>, Failure> {
        let population = Population { sessions: held, ..self.population };
        let users = population.users();
        let step = usize::try_from(users.div_ceil(USERS_CHECKED).max(1)).expect("fits");
        let mut api = self.target.api()?;
        let mut wrong = BTreeMap::new();
        for user in (0..users).step_by(step) {
            if let Err(why) = api.check(&population.expected(user, &user_id(user)))? {
                *wrong.entry(why.to_string()).or_default() += 1;
            }
        }
        Ok(wrong)
    }

    /// Reports sessions that did not stay and users that were not listed rightly.
    fn judge(&mut self, report: &mut Report) -> Result<Tally, Failure> {
        self.target.check_alive()?;
        let tally = self.holders.tally()?;
        for (why, count) in &tally.ended {
            report.fail(format!("{count} sessions did not stay: {why}"));
        }
        if tally.unexpected > 0 {
            report.fail(format!("{} messages nobody expected on held sessions", tally.unexpected));
        }
        for (why, count) in &tally.pongs_wrong {
            report.fail(format!("{count} times: {why}"));
        }
        for (why, count) in self.check_listings(self.population.sessions)? {
            report.fail(format!("{count} of the users checked at the end: {why}"));
        }
        Ok(tally)
    }

    /// Ends sessions and server, which must end well; draws how it went over time.
    fn down(self, report: &mut Report) {
        let at = |(ns, held): &(u64, u32)| (self.sampler.seconds(*ns), f64::from(*held));
        let grown = Line::new("opened", self.holders.grown().iter().map(at).collect());
        report.plot(self.sampler.over_time("Sessions opened", Unit::Sessions, vec![grown]));
        self.sampler.finish().tell(report);
        drop(self.holders);
        if let Err(failure) = self.target.down() {
            report.fail(failure.to_string());
        }
    }
}

/// Share of its CPU time a server may have been kept waiting before its figures are doubted.
const KEPT_WAITING: f64 = 0.1;

/// Doubts figures taken while other work had the server's cores.
fn doubt_shared_cores(report: &mut Report, server: Cpu) {
    let share = ratio(server.kept_waiting_ns, server.used_ns.max(1));
    report.result("server_kept_waiting_share", share);
    if share > KEPT_WAITING {
        report.warn(format!(
            "the server was ready to run but had no core for {:.0} % of the time it ran: the \
             machine was busy with something else",
            share * 100.0
        ));
    }
}

/// Waits and says so.
fn rest(seconds: u64, why: &str) {
    if seconds > 0 {
        progress(&format!("{seconds} s: {why}"));
        pause(Duration::from_secs(seconds), why);
    }
}
