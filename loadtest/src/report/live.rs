//! What is going on, on standard error: lines that stay and, on a terminal, one below them that
//! shows how far things are, how fast they go and how the server is.

use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{grouped, ratio, size};
use crate::clock::{NS_PER_S, now_ns};

/// Between two looks at the clock while time passes, and two pictures of the moving line.
const TICK: Duration = Duration::from_millis(250);

/// Nanoseconds counted as one step of the line that shows time.
const NS_PER_STEP: u64 = 1_000_000;

static LIVE: LazyLock<Live> = LazyLock::new(|| Live::new(ProgressDrawTarget::stderr()));

/// Says what is going on: a line that stays.
pub(crate) fn progress(text: &str) {
    LIVE.progress(text);
}

/// How the server is now: shown beside whatever goes on.
pub(crate) fn server_now(rss: u64, cores: f64) {
    LIVE.server.set(rss, cores);
}

/// Waits.
pub(crate) fn pause(time: Duration, why: &str) {
    LIVE.passing(time, why).wait();
}

/// The terminal, and what is known of the server.
struct Live {
    bars: MultiProgress,
    server: Arc<ServerNow>,
}

/// Written by the thread that looks at the server, read by whoever draws. The two numbers need not
/// be of one instant.
#[derive(Default)]
struct ServerNow {
    rss: AtomicU64,
    cores: AtomicU64,
}

impl ServerNow {
    fn set(&self, rss: u64, cores: f64) {
        self.rss.store(rss, Ordering::Relaxed);
        self.cores.store(cores.to_bits(), Ordering::Relaxed);
    }

    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let rss = self.rss.load(Ordering::Relaxed);
        if rss == 0 {
            return Ok(());
        }
        let cores = f64::from_bits(self.cores.load(Ordering::Relaxed));
        write!(out, " · server {}, {cores:.2} cores", size(ratio(rss, 1)))
    }
}

impl Live {
    fn new(terminal: ProgressDrawTarget) -> Self {
        Self { bars: MultiProgress::with_draw_target(terminal), server: Arc::default() }
    }

    fn progress(&self, text: &str) {
        let line = format!("loadtest: {text}");
        // Nobody reads it: then nobody misses it.
        if self.bars.is_hidden() {
            let _unread = writeln!(std::io::stderr(), "{line}");
        } else {
            let _unread = self.bars.println(line);
        }
    }

    fn growing(&'static self, what: &str, begin: u64, goal: u64) -> Growing {
        let done = |state: &ProgressState, out: &mut dyn fmt::Write| {
            let goal = state.len().unwrap_or_default();
            // The line is lost that cannot be written; the next one may do.
            let _lost = write!(out, "{} of {}", grouped(state.pos()), grouped(goal));
        };
        let bar = self.bar(what, begin, goal, done);
        Growing { rate: Rate::new(begin), bar, live: self }
    }

    fn passing(&self, time: Duration, what: &str) -> Passing {
        let steps = |ns: u64| ns / NS_PER_STEP;
        let done = move |state: &ProgressState, out: &mut dyn fmt::Write| {
            let seconds = |steps: u64| steps / (NS_PER_S / NS_PER_STEP);
            let goal = seconds(state.len().unwrap_or_default());
            let _lost = write!(out, "{} of {goal} s", seconds(state.pos()));
        };
        let time_ns = u64::try_from(time.as_nanos()).expect("centuries");
        let bar = self.bar(what, 0, steps(time_ns), done);
        Passing { begin_ns: now_ns(), time_ns, rate: Rate::new(0), bar }
    }

    fn bar<Done>(&self, what: &str, begin: u64, goal: u64, done: Done) -> ProgressBar
    where
        Done: Fn(&ProgressState, &mut dyn fmt::Write) + Send + Sync + Clone + 'static,
    {
        let server = Arc::clone(&self.server);
        let template = "{spinner} {prefix} {bar:20.cyan/dim} {done}{msg}{server}";
        let style = ProgressStyle::with_template(template)
            .expect("the template is well-formed")
            .progress_chars("━╸─")
            .with_key("done", done)
            .with_key("server", move |_: &ProgressState, out: &mut dyn fmt::Write| {
                let _lost = server.write(out);
            });
        let bar = self.bars.add(ProgressBar::new(goal).with_position(begin));
        bar.set_style(style);
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(TICK);
        bar
    }
}

/// A number that grows towards a goal.
pub(crate) struct Growing {
    rate: Rate,
    bar: ProgressBar,
    live: &'static Live,
}

impl Growing {
    pub(crate) fn new(what: &str, begin: u64, goal: u64) -> Self {
        LIVE.growing(what, begin, goal)
    }

    /// How far it is: a line of its own where nobody sees the bar, or where it says the last word.
    pub(crate) fn at(&self, count: u64) {
        self.bar.set_position(count);
        self.rate.show(&self.bar, count);
        if self.bar.is_hidden() || self.bar.length() == Some(count) {
            self.live.progress(&format!("{count} {}", self.bar.prefix()));
        }
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A time that passes.
pub(crate) struct Passing {
    begin_ns: u64,
    time_ns: u64,
    rate: Rate,
    bar: ProgressBar,
}

impl Passing {
    pub(crate) fn new(time: Duration, what: &str) -> Self {
        LIVE.passing(time, what)
    }

    /// So much has been done by now.
    pub(crate) fn done(&self, count: u64) {
        self.move_on();
        self.rate.show(&self.bar, count);
    }

    /// Waits until the time has passed.
    fn wait(&self) {
        loop {
            let left_ns = (self.begin_ns + self.time_ns).saturating_sub(now_ns());
            if left_ns == 0 {
                return;
            }
            let left = Duration::from_nanos(left_ns);
            std::thread::sleep(if self.bar.is_hidden() { left } else { left.min(TICK) });
            self.move_on();
        }
    }

    fn move_on(&self) {
        let passed_ns = (now_ns() - self.begin_ns).min(self.time_ns);
        self.bar.set_position(passed_ns / NS_PER_STEP);
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How fast a count grows.
struct Rate {
    /// When it was how much; not younger than it must be to tell a rate.
    last: Cell<(u64, u64)>,
}

/// Nanoseconds a rate is taken over at least: several workers may speak at once.
const RATE_NS: u64 = NS_PER_S;

impl Rate {
    fn new(count: u64) -> Self {
        Self { last: Cell::new((now_ns(), count)) }
    }

    fn show(&self, bar: &ProgressBar, count: u64) {
        if let Some(rate) = self.per_second(now_ns(), count) {
            bar.set_message(format!(" · {rate:.0} /s"));
        }
    }

    /// Per second since it was told before; `None` if that is too short a while ago.
    fn per_second(&self, now: u64, count: u64) -> Option<f64> {
        let (before, had) = self.last.get();
        let passed_ns = now.checked_sub(before).filter(|ns| *ns >= RATE_NS)?;
        self.last.set((now, count));
        Some(ratio(count.saturating_sub(had), 1) / ratio(passed_ns, NS_PER_S))
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    /// A terminal one can read, and what draws on it.
    fn terminal() -> (InMemoryTerm, &'static Live) {
        let screen = InMemoryTerm::new(10, 120);
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        (screen, Box::leak(Box::new(Live::new(target))))
    }

    #[test]
    fn the_moving_line_shows_how_far_how_fast_and_how_the_server_is_below_what_stays() {
        let (screen, live) = terminal();
        live.progress("it begins");
        live.server.set(21_700_000, 0.254);
        let growing = live.growing("sessions are held", 0, 10_000);
        growing.rate.last.set((now_ns() - 2 * NS_PER_S, 0));
        growing.at(2_500);
        growing.bar.force_draw();
        live.progress("and goes on");
        let lines: Vec<_> = screen.contents().lines().map(str::to_owned).collect();
        assert_eq!(lines[..2], ["loadtest: it begins", "loadtest: and goes on"]);
        assert!(lines[2].contains("sessions are held ━━━━━"), "{lines:?}");
        assert!(lines[2].contains(" 2,500 of 10,000 · "), "{lines:?}");
        assert!(lines[2].ends_with(" /s · server 21.7 MB, 0.25 cores"), "{lines:?}");
    }

    #[test]
    fn only_lines_that_stay_are_left_in_the_end() {
        let (screen, live) = terminal();
        let growing = live.growing("sessions are held", 0, 10);
        growing.at(4);
        growing.at(10);
        drop(growing);
        let passing = live.passing(Duration::from_secs(7), "resting");
        passing.bar.force_draw();
        assert!(screen.contents().contains("resting"), "{}", screen.contents());
        assert!(screen.contents().contains("0 of 7 s"), "{}", screen.contents());
        drop(passing);
        assert_eq!(screen.contents(), "loadtest: 10 sessions are held");
    }

    #[test]
    fn a_rate_is_that_of_the_last_while() {
        let rate = Rate { last: Cell::new((0, 0)) };
        assert_eq!(rate.per_second(NS_PER_S, 100), Some(100.0));
        assert_eq!(rate.per_second(NS_PER_S + 1, 200), None);
        assert_eq!(rate.per_second(3 * NS_PER_S, 500), Some(200.0));
        assert_eq!(rate.per_second(4 * NS_PER_S, 500), Some(0.0));
    }
}
