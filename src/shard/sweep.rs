//! What is due: pings, expiries and deadlines, a bounded number at a time.

use std::collections::VecDeque;

use super::Shard;
use super::conns::{Conns, NEVER, State};
use super::timers::Tick;
use crate::connection::Options;
use crate::connection::close::CloseReason;
use crate::ids::ConnId;
use crate::session::Session;
use crate::time::Now;
use crate::transport::PongBy;

/// Entries of the wheel handled before other events get their turn: about 4 ms of pings.
const SWEEP_MAX: usize = 512;

/// How long an API connection may stay without a request, and take to read its last reply.
pub(super) const KEEP_ALIVE_MS: u64 = 75_000;

/// How long clients have for their answers.
#[derive(Clone, Copy)]
pub(super) struct PongTimes {
    interval_ms: u64,
    timeout_ms: u64,
}

impl PongTimes {
    pub(super) const fn of(options: &Options) -> Self {
        Self { interval_ms: options.ping_interval_ms, timeout_ms: options.pong_timeout_ms }
    }

    /// How long ago a session was last heard of, as far as its timer tells: the last ping that it
    /// answered, or its connect. `None` for whoever never answers, and when no answer is awaited:
    /// of their silence nothing follows.
    pub(super) fn silent_ms(self, conns: &Conns, session: &Session<'_>, now: Now) -> Option<u64> {
        let live = conns.live(session.conn_index()).filter(|live| live.slot == session.slot())?;
        if live.wire.pong_by() == PongBy::Nothing || self.interval_ms == 0 || self.timeout_ms == 0 {
            return None;
        }
        let asked_after_ms = if live.marks.awaits_pong() { self.timeout_ms } else { 0 };
        let next_ms = live.next.mono_ms();
        let heard_ms = next_ms.saturating_sub(self.interval_ms + asked_after_ms);
        let age_ms = now.unix_ms.saturating_sub(session.connected_at_ms());
        Some(now.mono_ms.saturating_sub(heard_ms).min(age_ms))
    }
}

/// When pings were sent, by the tick in which their answers are due: that is known of each session,
/// so that no session has to keep more. Pings of one tick are sent at once, or shortly after when
/// there are many: then the first ones' time stands for all.
#[derive(Debug, Default)]
pub(super) struct Pings {
    by_due: VecDeque<(Tick, u64)>,
}

impl Pings {
    fn sent(&mut self, due: Tick, now_ms: u64) {
        if self.by_due.back().is_some_and(|(last, _)| *last >= due) {
            return;
        }
        let passed = Tick::reached_by(now_ms);
        while self.by_due.front().is_some_and(|(first, _)| *first < passed) {
            self.by_due.pop_front();
        }
        self.by_due.push_back((due, now_ms));
    }

    fn sent_ms(&self, due: Tick) -> Option<u64> {
        let place = self.by_due.binary_search_by_key(&due, |(due, _)| *due).ok()?;
        Some(self.by_due[place].1)
    }
}

impl Shard {
    /// Handles what is due. Returns whether all of it was.
    pub(super) fn sweep(&mut self, now: Now) -> bool {
        let mut fired = std::mem::take(&mut self.fired);
        let all = self.wheel.take_due(Tick::reached_by(now.mono_ms), SWEEP_MAX, &mut fired);
        for index in fired.drain(..) {
            if let Some(conn) = self.conns.at(index) {
                self.on_due(conn, now);
            }
        }
        self.fired = fired;
        all
    }

    pub(super) fn arm_at(&mut self, conn: ConnId, mono_ms: u64) {
        self.wheel.arm(conn.index, Tick::at_or_after(mono_ms));
    }

    fn on_due(&mut self, conn: ConnId, now: Now) {
        match self.conns.state_mut(conn) {
            None => {}
            Some(State::Live(live)) => {
                let tick = Tick::reached_by(now.mono_ms);
                let slot = live.slot;
                if live.expires <= tick {
                    self.on_expired(conn, slot, now);
                } else if live.next > tick {
                    let due = live.next.min(live.expires);
                    debug_assert_ne!(due, NEVER, "it had a timer");
                    self.wheel.arm(conn.index, due);
                } else if live.marks.awaits_pong() || self.holds_half_a_message(conn, now) {
                    self.end_session(slot, &CloseReason::NoPong, now);
                } else {
                    self.ping(conn, now);
                }
            }
            Some(State::Opening(_)) => self.end_silence(conn, now),
            Some(State::Watching(_)) => self.on_watch_due(conn, now),
            // Nothing was asked, or the peer does not read its last bytes.
            Some(State::Idle | State::Closing(_)) => self.abort(conn),
            Some(State::Busy(exchange)) => {
                let deadline_ms = if !exchange.owed.is_empty() {
                    // Answers have their own deadline; look again later.
                    now.mono_ms + KEEP_ALIVE_MS
                } else if exchange.deadline_ms > 0 {
                    exchange.deadline_ms
                } else {
                    exchange.active_ms + KEEP_ALIVE_MS
                };
                let half_read = exchange.deadline_ms > 0;
                if deadline_ms > now.mono_ms {
                    self.arm_at(conn, deadline_ms);
                } else if half_read {
                    self.time_out(conn, now);
                } else {
                    self.abort(conn);
                }
            }
        }
    }

    fn ping(&mut self, conn: ConnId, now: Now) {
        let (interval_ms, timeout_ms) =
            (self.options.ping_interval_ms, self.options.pong_timeout_ms);
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        let next_ms = if live.wire.pong_by() == PongBy::Nothing || timeout_ms == 0 {
            interval_ms
        } else {
            live.marks.await_pong();
            timeout_ms
        };
        live.next = Tick::at_or_after(now.mono_ms + next_ms);
        if live.marks.awaits_pong() {
            self.pings.sent(live.next, now.mono_ms);
        }
        let (wire, due) = (live.wire, live.next.min(live.expires));
        self.wheel.arm(conn.index, due);
        self.counters.pings_sent += 1;
        self.send(conn, |out| wire.ping(out));
    }

    /// The answer to the last ping: the next one comes when it would have come anyway. The timer
    /// is left as it is and set anew when it fires.
    pub(super) fn on_pong(&mut self, conn: ConnId, now: Now) {
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        if !live.marks.awaits_pong() {
            // Pong frames may come unasked (RFC 6455 §5.5.3), and must not put the next ping off.
            return;
        }
        live.marks.pong_came();
        if let Some(sent_ms) = self.pings.sent_ms(live.next) {
            self.table.set_latency(live.slot, now.mono_ms.saturating_sub(sent_ms));
        }
        let rest_ms = self.options.ping_interval_ms.saturating_sub(self.options.pong_timeout_ms);
        live.next = live.next.later(rest_ms);
    }
}
