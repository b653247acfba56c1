//! What a shard measures of itself for whoever looks at the node.

use super::Shard;
use crate::api::{Carrier, ProcessUse, ShardStats};
use crate::observe::Recent;
use crate::time::Now;

/// Requests answered in one batch whose time is taken; further ones are not. A batch is a few hundred
/// events.
const ANSWERED_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Measured {
    carrier: Option<Carrier>,
    process: Option<ProcessUse>,
    /// When the batch in hand began, in microseconds of the engine's clock.
    batch_us: u64,
    /// When the requests came that have been answered in it.
    answered: Vec<u64>,
    requests: Recent,
}

impl Measured {
    fn note_answered(&mut self, since_us: u64) {
        if self.answered.len() < ANSWERED_MAX {
            self.answered.push(since_us);
        }
    }

    fn finish_batch(&mut self, mono_us: u64, now: Now) {
        for since_us in self.answered.drain(..) {
            self.requests.note(mono_us.saturating_sub(since_us), now.mono_ms);
        }
    }
}

impl Shard {
    /// What carries its events.
    pub const fn on_carrier(&mut self, carrier: Carrier) {
        self.measured.carrier = Some(carrier);
    }

    /// What the process uses now. One shard is told.
    pub const fn on_process(&mut self, process: Option<ProcessUse>) {
        self.measured.process = process;
    }

    /// A batch of events begins, on a clock in microseconds.
    pub const fn on_batch(&mut self, mono_us: u64) {
        self.measured.batch_us = mono_us;
    }

    /// Whether the batch answered requests: then it wants to know when it was carried out.
    #[must_use]
    pub const fn has_answered(&self) -> bool {
        !self.measured.answered.is_empty()
    }

    /// What the batch led to has been carried out.
    pub fn on_batch_done(&mut self, mono_us: u64, now: Now) {
        self.measured.finish_batch(mono_us, now);
    }

    /// When a request came that is whole now.
    pub(super) const fn request_came_us(&self) -> u64 {
        self.measured.batch_us
    }

    /// A request that came then has its reply.
    pub(super) fn note_answered(&mut self, since_us: u64) {
        self.measured.note_answered(since_us);
    }

    pub(super) fn stats(&self, now: Now) -> ShardStats {
        ShardStats {
            shard: self.id,
            sessions: self.table.len() as u64,
            users: self.table.users() as u64,
            connections: self.conns.len() as u64,
            counters: self.counters,
            requests: self.measured.requests.last_minute(now.mono_ms),
            carrier: self.measured.carrier,
            process: self.measured.process,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_the_time_of_so_many_requests_and_no_more() {
        let now = Now { mono_ms: 2_000, unix_ms: 0 };
        let mut measured = Measured::default();
        for _ in 0..ANSWERED_MAX + 1 {
            measured.note_answered(1_999_900);
        }
        assert!(measured.requests.last_minute(now.mono_ms).is_empty(), "not carried out yet");
        measured.finish_batch(2_000_000, now);
        let spread = measured.requests.last_minute(now.mono_ms);
        assert_eq!((spread.len(), spread.max_us()), (ANSWERED_MAX as u64, 100));
        measured.finish_batch(3_000_000, now);
        assert_eq!(measured.requests.last_minute(now.mono_ms).len(), ANSWERED_MAX as u64);
    }
}
