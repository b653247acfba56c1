//! `synthetic`: how do memory and queries grow from a thousand to ten million sessions?
//!
//! The server fills itself with sessions that have no socket (`test.synthetic_sessions`), and is
//! asked over real sockets by real requests. One server per size, one after the other.

use serde_json::{Value, json};

use super::{Scenario, asking, doubt_of_cores, kept_waiting, query};
use crate::cli::{CommonArgs, SyntheticArgs};
use crate::failure::Failure;
use crate::latency::{Buckets, Percentiles};
use crate::orders::QueryOrder;
use crate::population::Crowd;
use crate::procfs::Memory;
use crate::report::{Line, Plot, Report, Unit, bytes, duration, grouped, growth, progress, ratio};
use crate::sampler::{Sampled, Sampler};
use crate::synthetic::Ranks;
use crate::target::Target;
use crate::transport::Transport;
use crate::versus::Headline;

/// Users that are asked for, by how many sessions they have.
struct Users {
    name: &'static str,
    /// Its name in the results.
    result: &'static str,
    least: u64,
    most: u64,
    /// One of so many queries of `--rate` is sent: large answers take longer.
    one_in: u64,
}

const USERS: [Users; 4] = [
    Users { name: "a user with 1 session", result: "users_with_1", least: 1, most: 1, one_in: 1 },
    Users { name: "a user with 3 sessions", result: "users_with_3", least: 3, most: 3, one_in: 1 },
    Users {
        name: "a user with 50 to 100 sessions",
        result: "users_with_50_to_100",
        least: 50,
        most: 100,
        one_in: 50,
    },
    Users {
        name: "a user with 1,000 sessions",
        result: "users_with_1000",
        least: 1_000,
        most: 1_000,
        one_in: 200,
    },
];

/// One server of one size.
struct Size {
    sessions: u64,
    memory: Memory,
    /// As [`USERS`]; `None` where no user has so many sessions.
    asked: Vec<Option<Asked>>,
    /// The server while it was asked.
    sampled: Sampled,
}

struct Asked {
    latency: Percentiles,
    buckets: Buckets,
    cpu_us: f64,
    kept_waiting: f64,
}

impl Scenario for SyntheticArgs {
    const NAME: &'static str = "synthetic";
    const HEADLINES: &'static [Headline] = &[];

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn transport(&self) -> Option<Transport> {
        None
    }

    fn on(&self, common: CommonArgs) -> Self {
        Self { common, ..self.clone() }
    }

    fn run(&self) -> Result<Report, Failure> {
        run(self)
    }
}

fn run(args: &SyntheticArgs) -> Result<Report, Failure> {
    if !args.common.starts_a_server() {
        let text = "synthetic fills a Rollcall it starts itself: it takes no --target";
        return Err(Failure::new(text));
    }
    let settings = json!({
        "sizes": args.sizes, "rate": args.rate, "connections": args.connections,
        "duration_s": args.duration, "lead_s": args.lead, "shards": args.common.shards,
    });
    let mut report = Report::new("synthetic", settings);
    let empty = filled(&args.common, 0)?;
    let base = memory(&empty)?;
    empty.down()?;
    let mut sizes = Vec::new();
    let mut ascending = args.sizes.clone();
    ascending.sort_unstable();
    for sessions in ascending {
        sizes.push(measure(args, sessions, &mut report)?);
    }
    tell_memory(&mut report, base, &sizes);
    for (index, users) in USERS.iter().enumerate() {
        tell_queries(&mut report, users, index, &sizes);
    }
    draw(&mut report, base, &sizes);
    Ok(report)
}

/// A server that is filled with so many sessions.
fn filled(common: &CommonArgs, sessions: u64) -> Result<Target, Failure> {
    let mut common = common.clone();
    common.server_arg.push(format!("--test.synthetic_sessions={sessions}"));
    Target::up(&common, Transport::Websocket)
}

fn memory(target: &Target) -> Result<Memory, Failure> {
    Memory::of(target.pid.expect("it was started here"))
}

fn measure(args: &SyntheticArgs, sessions: u64, report: &mut Report) -> Result<Size, Failure> {
    progress(&format!("a server fills itself with {} sessions", grouped(sessions)));
    let mut target = filled(&args.common, sessions)?;
    let memory = memory(&target)?;
    let sampler = Sampler::start(target.pid);
    let mut asked = Vec::new();
    for users in &USERS {
        let ranks = Ranks::with(sessions, users.least, users.most);
        let ask = |ranks| ask(args, &target, users, ranks, (&sampler, report));
        asked.push(ranks.map(ask).transpose()?);
    }
    target.check_alive()?;
    let sampled = sampler.finish();
    if let Err(failure) = target.down() {
        report.fail(failure.to_string());
    }
    Ok(Size { sessions, memory, asked, sampled })
}

fn ask(
    args: &SyntheticArgs,
    target: &Target,
    users: &Users,
    ranks: Ranks,
    (sampler, report): (&Sampler, &mut Report),
) -> Result<Asked, Failure> {
    let rate = (args.rate / users.one_in).max(1);
    progress(&format!("{rate} queries per second for {}", users.name));
    let order = QueryOrder {
        connections: args.connections,
        rate,
        lead_s: args.lead,
        duration_s: args.duration,
        ..asking(&args.common, target, Crowd::Synthetic(ranks))
    };
    let (measured, used) = query::measure(order, target, sampler)?;
    let about = format!("{} sessions, {}", grouped(ranks.sessions), users.name);
    for (why, count) in &measured.errors {
        report.fail(format!("{about}: {count} queries: {why}"));
    }
    let server = used.server.expect("its process is known");
    let doubts = query::doubts_of_pace(rate, &measured).into_iter();
    let doubts = doubts.chain(query::doubts_of_harness(&measured, &used)?);
    for doubt in doubts.chain(doubt_of_cores(server)) {
        report.warn(format!("{about}: {doubt}"));
    }
    Ok(Asked {
        latency: Percentiles::of(&measured.latency)?,
        cpu_us: ratio(server.used_ns, measured.answered.max(1)) / 1000.0,
        kept_waiting: kept_waiting(server),
        buckets: measured.latency,
    })
}

fn tell_memory(report: &mut Report, base: Memory, sizes: &[Size]) {
    report.heading("server memory (VmRSS) of sessions without sockets: index, record, directory");
    let note = "before the first session";
    report.figure("0 sessions", bytes(ratio(base.rss, 1)), note);
    let mut rows = Vec::new();
    for size in sizes {
        let per_session = per_session(base, size);
        let label = format!("{} sessions", grouped(size.sessions));
        let note = format!("{} in all", bytes(ratio(size.memory.rss, 1)));
        report.figure(&label, format!("{} each", bytes(per_session)), &note);
        rows.push(json!({"sessions": size.sessions, "rss": size.memory.rss,
                         "bytes_per_session": per_session}));
    }
    report.result("memory", Value::from(rows));
}

fn per_session(base: Memory, size: &Size) -> f64 {
    growth(base.rss, size.memory.rss, size.sessions)
}

fn tell_queries(report: &mut Report, users: &Users, index: usize, sizes: &[Size]) {
    report.heading(format!("user_connections for {}", users.name));
    let mut rows = Vec::new();
    let mut first: Option<f64> = None;
    for size in sizes {
        let Some(asked) = &size.asked[index] else { continue };
        let smallest = *first.get_or_insert(asked.cpu_us);
        let Percentiles { count, p50_ns, p99_ns, .. } = asked.latency;
        let note = format!(
            "p50 {}, p99 {} of {}; CPU {:.2} times that of the smallest",
            duration(p50_ns),
            duration(p99_ns),
            grouped(count),
            asked.cpu_us / smallest
        );
        let label = format!("{} sessions", grouped(size.sessions));
        report.figure(&label, format!("{:.2} µs of CPU", asked.cpu_us), &note);
        rows.push(json!({
            "sessions": size.sessions, "latency": asked.latency,
            "server_cpu_us_per_query": asked.cpu_us, "ratio_to_smallest": asked.cpu_us / smallest,
            "server_kept_waiting_share": asked.kept_waiting,
        }));
    }
    report.result(users.result, Value::from(rows));
}

fn draw(report: &mut Report, base: Memory, sizes: &[Size]) {
    let memory = sizes.iter().map(|size| (ratio(size.sessions, 1), per_session(base, size)));
    let memory = Line::new("index, record, directory", memory.collect());
    report.plot(Plot::growth("Memory per session", Unit::Bytes, vec![memory]));
    let lines = |of: fn(&Asked) -> f64| {
        let line = |(index, users): (usize, &Users)| {
            let points = sizes.iter().filter_map(|size| {
                Some((ratio(size.sessions, 1), of(size.asked[index].as_ref()?)))
            });
            Line::new(users.name, points.collect())
        };
        USERS.iter().enumerate().map(line).collect::<Vec<_>>()
    };
    let cpu = lines(|asked| asked.cpu_us);
    report.plot(Plot::growth("Server CPU per query", Unit::Microseconds, cpu).by_factors());
    let median = lines(|asked| ratio(asked.latency.p50_ns, 1));
    report.plot(Plot::growth("Median latency", Unit::Nanoseconds, median).by_factors());
    let tail = lines(|asked| ratio(asked.latency.p99_ns, 1));
    report.plot(Plot::growth("p99 latency", Unit::Nanoseconds, tail).by_factors());
    if let Some(largest) = sizes.last() {
        largest.sampled.tell(report);
        let asked = USERS.iter().zip(&largest.asked);
        let lines: Vec<_> = asked
            .filter_map(|(users, asked)| Some((users.name, &asked.as_ref()?.buckets)))
            .collect();
        let title = format!("Latency by percentile, {} sessions", grouped(largest.sessions));
        report.plot(Plot::percentiles(&title, &lines));
    }
}
