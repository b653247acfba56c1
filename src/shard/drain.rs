//! ⑥ The paced goodbye: no new connections, then every session is told 3001, a batch at a time.

use super::conns::State;
use super::timers::TICK_MS;
use super::{DRAIN_MS, Shard};
use crate::api::watch::Resync;
use crate::connection::close::CloseReason;
use crate::connection::opening::{Stage, Waiting};
use crate::messages::{Message, Peer};
use crate::protocol::codes;
use crate::time::Now;

/// Fewest connections said goodbye to per tick. The pace spreads all goodbyes over the time there
/// is, so that clients do not all come back to another node in the same millisecond.
const GOODBYES_PER_TICK_MIN: usize = 128;

/// How far the goodbye has come.
#[derive(Debug)]
pub(super) struct Draining {
    /// The next place in the connection table to look at.
    next: u32,
    /// How many are looked after per tick.
    per_tick: usize,
    /// Whether the control thread has been told that nothing is left.
    told: bool,
}

impl Shard {
    /// Starts the goodbye; it is spread over `within_ms`.
    pub(super) fn start_drain(&mut self, within_ms: u64, now: Now) {
        if self.draining.is_none() {
            let ticks = usize::try_from(within_ms / TICK_MS).unwrap_or(usize::MAX).max(1);
            let per_tick = self.conns.len().div_ceil(ticks).max(GOODBYES_PER_TICK_MIN);
            self.draining = Some(Draining { next: 0, per_tick, told: false });
            self.effects.stop_accepting();
            self.continue_drain(now);
        }
    }

    /// The last word did not reach the control thread: say it again on the next tick.
    pub(super) fn retry_drained(&mut self) {
        if let Some(draining) = &mut self.draining {
            draining.told = false;
        }
    }

    /// Says the next goodbyes. Returns true: the pace is one batch per tick.
    pub(super) fn continue_drain(&mut self, now: Now) -> bool {
        let Some(draining) = &self.draining else { return true };
        let (mut next, per_tick) = (draining.next, draining.per_tick);
        let mut said = 0;
        while said < per_tick && next < self.conns.places() {
            if let Some(conn) = self.conns.at(next) {
                said += 1;
                self.say_goodbye(conn, now);
            }
            next += 1;
        }
        if next >= self.conns.places() {
            // Busy ones may still be waiting for answers: go round again.
            next = 0;
        }
        let empty = self.conns.is_empty() && self.remote.is_empty();
        let Some(draining) = &mut self.draining else { return true };
        draining.next = next;
        // What has happened is told in a turn before, so that what finds no room then is told again
        // before it is said that nothing more will come.
        if empty && !draining.told && self.events.happened() == 0 {
            draining.told = true;
            self.effects.message(Peer::Control, Message::Drained);
        }
        true
    }

    fn say_goodbye(&mut self, conn: crate::ids::ConnId, now: Now) {
        match self.conns.state_mut(conn) {
            Some(State::Live(live)) => {
                let slot = live.slot;
                self.end_session(slot, &CloseReason::Shutdown, now);
            }
            Some(State::Opening(opening)) => match &opening.stage {
                Stage::Deciding(deciding) => match deciding.waiting {
                    // Its seat comes before the query deadline.
                    Waiting::Seat(_) => {}
                    Waiting::Finding(..) => self.refuse_waiting(conn, now),
                },
                Stage::Silent(_) | Stage::Refused => self.end_client(conn, codes::SHUTDOWN, now),
            },
            Some(State::Watching(_)) => self.cut_watch(conn, Resync::Shutdown, now),
            Some(State::Busy(exchange)) if !exchange.owed.is_empty() => exchange.last = true,
            Some(State::Busy(exchange)) if exchange.deadline_ms > 0 => {
                let latest_ms = now.mono_ms + DRAIN_MS;
                if exchange.deadline_ms > latest_ms {
                    exchange.deadline_ms = latest_ms;
                    self.arm_at(conn, latest_ms);
                }
            }
            // The last reply may still be on its way.
            Some(State::Idle | State::Busy(_)) => self.finish(conn, now),
            Some(State::Closing(_)) | None => {}
        }
    }
}
