//! What is due: pings, expiries and deadlines, a bounded number at a time.

use super::Shard;
use super::conns::{NEVER, State};
use super::timers::Tick;
use crate::connection::close::CloseReason;
use crate::ids::ConnId;
use crate::time::Now;
use crate::wire::http1::{self, Response, Status, Version};

/// Entries of the wheel handled before other events get their turn: about 4 ms of pings.
const SWEEP_MAX: usize = 512;

/// How long an API connection may stay without a request, and take to read its last reply.
pub(super) const KEEP_ALIVE_MS: u64 = 75_000;

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
                if live.expires <= tick {
                    let slot = live.slot;
                    self.end_session(slot, &CloseReason::Expired, now);
                    return;
                }
                let stream = live.stream;
                if live.next_ping <= tick {
                    live.next_ping = Tick::at_or_after(now.mono_ms + self.options.ping_interval_ms);
                    self.counters.pings_sent += 1;
                    self.effects.send(conn, |out| stream.ping(out));
                }
                let due = live.next_ping.min(live.expires);
                debug_assert_ne!(due, NEVER, "it had a timer");
                self.wheel.arm(conn.index, due);
            }
            // Nothing was asked, or the peer does not read its last bytes.
            Some(State::Idle | State::Closing(_)) => self.abort(conn),
            Some(State::Busy(exchange)) => {
                let replying = !exchange.owed.is_empty() || exchange.connecting.is_some();
                let deadline_ms = if replying {
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

    /// A request that did not become whole in time (RFC 9110 §15.5.9).
    fn time_out(&mut self, conn: ConnId, now: Now) {
        self.counters.requests_timed_out += 1;
        let date = self.date.at(now.unix_s());
        let response = Response {
            status: Status(408),
            content_type: super::http::PLAIN,
            keep_alive: false,
            version: Version::Http11,
            date,
            extra: &[],
        };
        let body = b"the request did not become whole in time\n";
        self.effects.send(conn, |out| http1::write_response(out, &response, body));
        self.finish(conn, now);
    }
}
