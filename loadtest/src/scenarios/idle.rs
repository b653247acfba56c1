//! `idle`: what does a session cost that does nothing?
//!
//! ```text
//! start ─ 0 sessions ─► open W ─ W sessions ─► open N-W ─ N sessions ─► hold ─ N, pinged
//!         read memory            read memory              read memory          read memory, CPU
//! ```
//! `whole` is everything the N sessions added, fixed buffers included; `marginal` is what one
//! more costs between W and N, where fixed buffers exist already.

use std::time::Duration;

use serde_json::{Value, json};

use super::meter::{Meter, Used};
use super::{Rig, Scenario, doubt_shared_cores, rest};
use crate::cli::{CommonArgs, IdleArgs};
use crate::clock::NS_PER_S;
use crate::failure::Failure;
use crate::orders::Tally;
use crate::procfs::{Kernel, Memory};
use crate::report::{Report, Unit, bytes, duration, grouped, growth, pause, progress, ratio};
use crate::transport::{Demand, Transport};
use crate::versus::Headline;

/// Share of one core above which a holding worker may have been late to read.
const BUSY: f64 = 0.8;

/// The state of things at one number of sessions.
struct Point {
    sessions: u32,
    memory: Memory,
    kernel: Kernel,
}

/// What the hold showed.
struct Held {
    seconds: f64,
    used: Used,
    /// What came and was answered meanwhile.
    pings: u64,
    pongs: u64,
    frame_pings: u64,
    pings_expected: f64,
}

impl Scenario for IdleArgs {
    const NAME: &'static str = "idle";
    const HEADLINES: &'static [Headline] = &[
        Headline {
            result: "/rss_bytes_per_session_whole",
            label: "memory per session, whole",
            unit: Unit::Bytes,
        },
        Headline {
            result: "/rss_bytes_per_session_marginal",
            label: "memory per session, marginal",
            unit: Unit::Bytes,
        },
        Headline {
            result: "/cpu_us_per_session_second",
            label: "CPU per session and second",
            unit: Unit::Microseconds,
        },
    ];

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn transport(&self) -> Option<Transport> {
        Some(self.transport)
    }

    fn on(&self, common: CommonArgs) -> Self {
        Self { common, ..self.clone() }
    }

    fn run(&self) -> Result<Report, Failure> {
        run(self)
    }
}

fn run(args: &IdleArgs) -> Result<Report, Failure> {
    let sessions = args.sessions;
    let warmup = args.warmup.unwrap_or((sessions / 3).max(1));
    if warmup >= sessions {
        return Err(Failure::new(format!(
            "--warmup {warmup} must be below the number of sessions, {sessions}: the marginal \
             cost is taken between the two"
        )));
    }
    if !args.common.starts_a_server() && args.common.pid.is_none() {
        return Err(Failure::new(
            "idle measures the server's process: give its --pid besides --target (and run where \
             it runs)",
        ));
    }
    let mut rig = Rig::up(&args.common, sessions, args.transport)?;
    let pid = rig.target.pid.expect("a started server has one, a target was asked for it");
    let settings = json!({
        "transport": args.transport, "sessions": sessions, "warmup": warmup,
        "per_user": args.common.per_user,
        "settle_s": args.settle, "seed": args.common.seed, "server": rig.target.told,
    });
    let mut report = Report::new("idle", settings);

    rest(args.settle, "the server settles before the first session");
    let empty = point(0, pid)?;
    rig.sampler.mark("first session");
    rig.holders.open(0, warmup)?;
    rest(args.settle, "memory settles");
    let small = point(warmup, pid)?;
    let ping_s = u64::from(rig.holders.open(warmup, sessions)?);
    rig.sampler.mark("all sessions");
    rest(args.settle, "memory settles");
    let full = point(sessions, pid)?;
    let held = hold(args, &mut rig, ping_s)?;
    let pinged = point(sessions, pid)?;
    let tally = rig.judge(&mut report)?;

    report.result("sessions_held", tally.held);
    tell_memory(&mut report, args.transport, [&empty, &small, &full, &pinged]);
    if rig.target.is_local() {
        tell_kernel(&mut report, &empty, &full, tally.connections);
    }
    tell_cpu(&mut report, sessions, &held, ping_s);
    tell_pings(&mut report, sessions, &held, &tally);
    rig.down(&mut report);
    Ok(report)
}

fn point(sessions: u32, pid: u32) -> Result<Point, Failure> {
    Ok(Point { sessions, memory: Memory::of(pid)?, kernel: Kernel::now() })
}

/// Holds all sessions for a while in which each gets its share of pings.
fn hold(args: &IdleArgs, rig: &mut Rig, ping_s: u64) -> Result<Held, Failure> {
    // The first ping of a session comes within the first interval, at random; from then on each
    // interval brings exactly one.
    rest(ping_s, "until every session has had its first ping");
    let seconds = args.hold.unwrap_or(if ping_s == 0 { 30 } else { 2 * ping_s });
    progress(&format!("CPU is measured for {seconds} s"));
    rig.sampler.mark("CPU measured from here");
    let pids = rig.holders.pids();
    let before = rig.holders.tally()?;
    let meter = Meter::start(&rig.target, &pids)?;
    pause(Duration::from_secs(seconds), "CPU is measured");
    let used = meter.stop(&rig.target, &pids)?;
    let after = rig.holders.tally()?;
    let elapsed_s = ratio(used.elapsed_ns, NS_PER_S);
    let expected = if ping_s == 0 { 0.0 } else { elapsed_s / ratio(ping_s, 1) };
    Ok(Held {
        seconds: elapsed_s,
        used,
        pings: after.pings - before.pings,
        pongs: after.pongs - before.pongs,
        frame_pings: after.frame_pings - before.frame_pings,
        pings_expected: expected * f64::from(args.sessions),
    })
}

fn tell_memory(
    report: &mut Report,
    transport: Transport,
    [empty, small, full, pinged]: [&Point; 4],
) {
    report.heading("server memory (VmRSS)");
    for (point, when) in [
        (empty, "before the first session"),
        (small, "warm-up"),
        (full, "all sessions"),
        (pinged, "all sessions, after the hold"),
    ] {
        let label = format!("{} sessions", grouped(point.sessions.into()));
        report.figure(&label, bytes(ratio(point.memory.rss, 1)), when);
    }
    let per = |from: &Point, to: &Point, of: fn(&Memory) -> u64| {
        growth(of(&from.memory), of(&to.memory), u64::from(to.sessions - from.sessions))
    };
    let rss = |memory: &Memory| memory.rss;
    let anon = |memory: &Memory| memory.anon;
    let whole = per(empty, full, rss);
    let after_hold = per(empty, pinged, rss);
    let marginal = per(small, full, rss);
    let Demand { must_bytes, aim_bytes } = transport.demand();
    let aim = aim_bytes.map(|aim| format!(", aim {aim} B")).unwrap_or_default();
    let demand = format!("must {} B{aim}", grouped(must_bytes.into()));
    report.heading(format!("server memory per {transport} session ({demand} at 15,000)"));
    let note = format!("{demand}; all growth ÷ sessions, fixed buffers included");
    report.figure("whole", bytes(whole), &note);
    report.figure("whole, after the hold", bytes(after_hold), "the same once pings have gone out");
    report.figure("marginal", bytes(marginal), "one more session, from warm-up to all");
    report.result("demand", json!(transport.demand()));
    report.result("rss_bytes_per_session_whole", whole);
    report.result("rss_bytes_per_session_whole_after_hold", after_hold);
    report.result("rss_bytes_per_session_marginal", marginal);
    report.result("anon_bytes_per_session_whole", per(empty, full, anon));
    report.result("anon_bytes_per_session_marginal", per(small, full, anon));
    let points = [empty, small, full, pinged]
        .map(|Point { sessions, memory, .. }| json!({"sessions": sessions, "memory": memory}));
    report.result("points", Value::from(points.to_vec()));
}

fn tell_kernel(report: &mut Report, empty: &Point, full: &Point, connections: u64) {
    report.heading(format!(
        "kernel memory per socket (both ends are on this machine: two per connection, {} of them)",
        grouped(connections)
    ));
    let per = 2 * connections.max(1);
    report.result("connections", connections);
    if let (Some(before), Some(after)) =
        (empty.kernel.tcp_queued_bytes, full.kernel.tcp_queued_bytes)
    {
        let queued = growth(before, after, per);
        report.figure(
            "queued packets",
            bytes(queued),
            "TCP mem of /proc/net/sockstat, whole pages",
        );
        report.result("kernel_queued_bytes_per_socket", queued);
    }
    if let (Some(before), Some(after)) = (empty.kernel.tcp_sockets, full.kernel.tcp_sockets) {
        report.result("kernel_tcp_sockets", after.saturating_sub(before));
    }
    let Some(slabs) = full.kernel.slab_growth(&empty.kernel) else {
        report.warn("/proc/slabinfo is not readable (root only): kernel memory is not complete");
        return;
    };
    let sum = ratio(slabs.values().sum(), per);
    report.figure("objects", bytes(sum), "/proc/slabinfo, the caches below; other work shows too");
    for (name, grown) in &slabs {
        let each = ratio(*grown, per);
        if each >= 1.0 {
            report.figure(&format!("  {name}"), bytes(each), "");
        }
    }
    report.result("kernel_slab_bytes_per_socket", sum);
    report.result("kernel_slab_growth_bytes", json!(slabs));
}

fn tell_cpu(report: &mut Report, sessions: u32, held: &Held, ping_s: u64) {
    let session_seconds = f64::from(sessions) * held.seconds;
    let server = held.used.server.expect("idle is told the process");
    let cpu_ns = ratio(server.used_ns, 1);
    let per_session = cpu_ns / session_seconds / 1000.0;
    report.heading(format!("server CPU over {:.0} s, pinged every {ping_s} s", held.seconds));
    report.figure(
        "per session and second",
        format!("{per_session:.3} µs"),
        "must 0.7 µs, aim 0.35 µs at 25 s; loopback bills the client's receive work to the server",
    );
    report.result("cpu_us_per_session_second", per_session);
    if held.pings > 0 {
        let per_ping = cpu_ns / ratio(held.pings, 1) / 1000.0;
        report.figure("per ping", format!("{per_ping:.2} µs"), "all CPU ÷ pings that arrived");
        report.result("cpu_us_per_ping", per_ping);
    }
    report.result("ping_interval_s", ping_s);
    report.result("hold_s", held.seconds);
    let share = held.used.busiest();
    let note = format!("busiest worker, {} of CPU", duration(held.used.busiest_ns()));
    report.figure("harness", format!("{:.1} %", share * 100.0), &note);
    report.result("harness_core_share_max", share);
    doubt_shared_cores(report, server);
    if share > BUSY {
        report.warn("a worker was busy all the time: give more --workers");
    }
}

fn tell_pings(report: &mut Report, sessions: u32, held: &Held, tally: &Tally) {
    report.heading("pings over the hold");
    let due = format!("{:.0} were due", held.pings_expected);
    report.figure("pings", grouped(held.pings), &due);
    report.figure(
        "pongs",
        grouped(held.pongs),
        "sent by the sessions, where the protocol has them",
    );
    report.result("pings", held.pings);
    report.result("pongs", held.pongs);
    report.result("frame_pings", held.frame_pings);
    if held.frame_pings > 0 {
        let note = "pings of WebSocket itself, each answered";
        report.figure("frame pings", grouped(held.frame_pings), note);
    }
    let closed: u64 = tally.ended.values().sum();
    report.figure("closed by the server", grouped(closed), "any such session fails the run");
    report.result("closed_by_server", closed);
    // Pings may be spread over a second or so: what falls over either edge is at most that share.
    if ratio(held.pings, 1) < held.pings_expected * 0.9 - f64::from(sessions) * 0.1 {
        report.fail(format!("only {} of {:.0} pings came", held.pings, held.pings_expected));
    }
}
