//! One file per question an operator asks. A scenario brings a target and workers up, lets them
//! work, measures, and reports; it opens no session itself.

pub(crate) mod churn;
pub(crate) mod connect_storm;
pub(crate) mod disconnect_all;
pub(crate) mod idle;
mod meter;
pub(crate) mod query;
pub(crate) mod slow_clients;
mod storm;
pub(crate) mod synthetic;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::cli::CommonArgs;
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::fleet::{Holders, Worker, unasked};
use crate::latency::Percentiles;
use crate::limits;
use crate::orders::{Measured, OpenOrder, Order, QueryOrder, Reply, Tally};
use crate::population::{Crowd, Population, user_id};
use crate::procfs::Cpu;
use crate::report::{Line, Passing, Plot, Report, Unit, duration, grouped, pause, progress, ratio};
use crate::sampler::Sampler;
use crate::target::{Kind, Target};
use crate::transport::Transport;
use crate::versus::Headline;

/// A question as it was asked on the command line, of whichever server.
pub(crate) trait Scenario {
    const NAME: &'static str;
    /// The results two servers are compared by; none if only Rollcall can be asked.
    const HEADLINES: &'static [Headline];

    /// Whether a server of this kind has what is asked for.
    fn can_ask(kind: Kind) -> bool {
        kind == Kind::Rollcall || !Self::HEADLINES.is_empty()
    }

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

/// So many sessions, dealt to users as the flags say.
const fn population(args: &CommonArgs, sessions: u32, transport: Transport) -> Population {
    Population { sessions, per_user: args.per_user, transport, seed: args.seed }
}

/// How this server is asked for users of a crowd; how often and how long is for the caller to say.
fn asking(args: &CommonArgs, target: &Target, crowd: Crowd) -> QueryOrder {
    QueryOrder {
        address: target.address,
        question: target.question,
        key: target.key.clone(),
        crowd,
        connections: 0,
        rate: 0,
        lead_s: 0,
        duration_s: 0,
        seed: args.seed,
    }
}

/// Another network of local addresses for each worker: workers do not look for the same ports.
fn apart(first: Ipv4Addr, index: u32) -> Ipv4Addr {
    let [a, b, c, d] = first.octets();
    let network = (u32::from(b) + index) % 250 + 1;
    Ipv4Addr::new(a, u8::try_from(network).expect("at most 250"), c, d)
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
        Ok(Self::of(target, holders, population(args, sessions, transport)))
    }

    /// A server with records of these sessions instead of the sessions.
    fn filled(args: &CommonArgs, sessions: u32, transport: Transport) -> Result<Self, Failure> {
        let population = population(args, sessions, transport);
        let target = Target::filled(args, population)?;
        let holders = Holders::start(0, opening(args, &target, transport))?;
        Ok(Self::of(target, holders, population))
    }

    fn of(target: Target, holders: Holders, population: Population) -> Self {
        let sampler = Sampler::start(target.pid);
        Self { target, holders, population, sampler }
    }

    /// As many sessions, dealt to users as the rig's.
    const fn population(&self, sessions: u32) -> Population {
        Population { sessions, ..self.population }
    }

    /// Asks for some users while only the first `held` sessions are there; what was wrong, by
    /// name.
    fn check_listings(&self, held: u32) -> Result<BTreeMap<String, u64>, Failure> {
        let population = self.population(held);
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
        let tally = self.judge_held(report)?;
        for (why, count) in self.check_listings(self.population.sessions)? {
            report.fail(format!("{count} of the users checked at the end: {why}"));
        }
        Ok(tally)
    }

    /// Reports sessions that did not stay.
    fn judge_held(&mut self, report: &mut Report) -> Result<Tally, Failure> {
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
        Ok(tally)
    }

    /// Ends sessions and server, which must end well; draws how it went over time.
    fn down(self, report: &mut Report) {
        let at = |(ns, held): &(u64, u32)| (self.sampler.seconds(*ns), f64::from(*held));
        let mut grown: Vec<_> = self.holders.grown().iter().map(at).collect();
        let last = grown.last().map(|(_, held)| (self.sampler.seconds(now_ns()), *held));
        grown.extend(last);
        if !grown.is_empty() {
            let grown = Line::new("opened", grown);
            report.plot(self.sampler.over_time("Sessions opened", Unit::Sessions, vec![grown]));
        }
        self.sampler.finish().tell(report);
        drop(self.holders);
        if let Err(failure) = self.target.down() {
            report.fail(failure.to_string());
        }
    }
}

/// Has a worker carry out a load of queries, and waits for it.
fn query_load(worker: &mut Worker, order: QueryOrder) -> Result<Measured, Failure> {
    query_load_from(worker, order, || Ok(())).map(|(measured, ())| measured)
}

/// The same; `begin` is done when the lead is over.
fn query_load_from<T>(
    worker: &mut Worker,
    order: QueryOrder,
    begin: impl FnOnce() -> Result<T, Failure>,
) -> Result<(Measured, T), Failure> {
    let (lead, work) = (Duration::from_secs(order.lead_s), Duration::from_secs(order.duration_s));
    worker.send(&Order::Query(order))?;
    let passing = Passing::new(lead + work, "queries");
    let done = |count| passing.done(count);
    let Reply::Measuring = worker.receive_telling(lead, done)? else { return Err(unasked()) };
    let begun = begin()?;
    let Reply::Measured(measured) = worker.receive_telling(work, done)? else {
        return Err(unasked());
    };
    Ok((measured, begun))
}

/// What the two loads of [`tell_beside`] are called.
struct Sides {
    alone: &'static str,
    beside: &'static str,
}

/// Tells two loads of queries side by side; every wrong answer of either fails the run.
fn tell_beside(
    report: &mut Report,
    sides: &Sides,
    alone: &Measured,
    beside: &Measured,
) -> Result<(), Failure> {
    let (quiet, busy) = (Percentiles::of(&alone.latency)?, Percentiles::of(&beside.latency)?);
    for ((label, ns), (_, alone_ns)) in busy.labelled().into_iter().zip(quiet.labelled()) {
        let note = format!("{}; {} {}", sides.beside, duration(alone_ns), sides.alone);
        report.figure(label, duration(ns), &note);
    }
    report.figure("answered", grouped(beside.answered), sides.beside);
    report.result("latency_alone", json!(quiet));
    report.result("latency", json!(busy));
    report.result("latency_alone_buckets_ns", json!(alone.latency));
    report.result("latency_buckets_ns", json!(beside.latency));
    report.plot(Plot::percentiles(
        "Latency of user_connections by percentile",
        &[(sides.alone, &alone.latency), (sides.beside, &beside.latency)],
    ));
    for (side, measured) in [(sides.alone, alone), (sides.beside, beside)] {
        for (why, count) in &measured.errors {
            report.fail(format!("{} queries {side}: {why}", grouped(*count)));
        }
        if measured.unsent > 0 {
            report.warn(format!("{} queries {side} were due and never sent", measured.unsent));
        }
    }
    Ok(())
}

/// A pace was kept when at least this share of what was asked was reached.
const KEPT: f64 = 0.99;

/// Share of its CPU time a server may have been kept waiting before its figures are doubted.
const KEPT_WAITING: f64 = 0.1;

/// Doubts figures taken while other work had the server's cores.
fn doubt_shared_cores(report: &mut Report, server: Cpu) {
    report.result("server_kept_waiting_share", kept_waiting(server));
    if let Some(doubt) = doubt_of_cores(server) {
        report.warn(doubt);
    }
}

/// For each moment the server ran, how long it waited for a core.
fn kept_waiting(server: Cpu) -> f64 {
    ratio(server.kept_waiting_ns, server.used_ns.max(1))
}

fn doubt_of_cores(server: Cpu) -> Option<String> {
    let share = kept_waiting(server);
    (share > KEPT_WAITING).then(|| {
        format!(
            "for each second it ran the server waited {share:.1} s for a core: the machine was \
             busy with something else"
        )
    })
}

/// Waits and says so.
fn rest(seconds: u64, why: &str) {
    if seconds > 0 {
        progress(&format!("{seconds} s: {why}"));
        pause(Duration::from_secs(seconds), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_start_from_other_addresses() {
        let first = Ipv4Addr::new(127, 250, 0, 2);
        assert_eq!(apart(first, 0), Ipv4Addr::new(127, 1, 0, 2));
        assert_ne!(apart(first, 0), apart(first, 1));
    }
}
