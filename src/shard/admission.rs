//! Node-wide ceilings on connects: how many sessions, and how fast they may come.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::rates::{Rates, TooOften};
use super::seats::{Seat, Seats};
use crate::ids::{ShardId, UserHash};
use crate::time::Rate;

pub use super::rates::ConnectRates;

/// What is allowed; 0 means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AdmissionOptions {
    /// Sessions on this node (`client.connection_limit`).
    pub sessions_max: u64,
    /// Connects per second on this node (`client.connection_rate_limit`).
    pub connects_per_second_max: u64,
    /// Whether sessions are counted by user: when there may be a limit for each.
    pub counts_users: bool,
    /// How often each user and each address may connect (`client.connect_rate_limit`).
    pub rates: ConnectRates,
}

/// Whose limit lets no connect in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoConnect {
    /// That of one address.
    OfAddress(TooOften),
    /// That of all there are.
    OfNode,
}

/// Shared by all shards: one counter per shard, each written by its shard alone, and one word
/// for the rate.
#[derive(Debug)]
pub struct Admission {
    options: AdmissionOptions,
    sessions: Box<[CachePadded<AtomicU64>]>,
    /// What is kept of the connects admitted, where their rate is limited.
    rate_clock_us: AtomicU64,
    seats: Option<Seats>,
    rates: Rates,
}

/// As many connects as a second allows may come at once after a quiet one.
const SECOND_US: u64 = 1_000_000;

impl Admission {
    /// Counters for `shards` shards.
    #[must_use]
    pub fn new(options: AdmissionOptions, shards: usize) -> Self {
        Self {
            options,
            sessions: (0..shards).map(|_| CachePadded::new(AtomicU64::new(0))).collect(),
            rate_clock_us: AtomicU64::new(0),
            seats: options.counts_users.then(Seats::new),
            rates: Rates::new(options.rates),
        }
    }

    /// Whether one more connect from this address may be tried now; `address` is asked for only
    /// where that is limited. Counts against both rates even when the connect is refused later, as
    /// every attempt costs; but an address that is refused takes nothing from all others.
    pub(super) fn admits_connect(
        &self,
        address: impl FnOnce() -> Option<IpAddr>,
        now_mono_ms: u64,
    ) -> Result<(), NoConnect> {
        self.admits_address(address, now_mono_ms).map_err(NoConnect::OfAddress)?;
        if self.admits(now_mono_ms) { Ok(()) } else { Err(NoConnect::OfNode) }
    }

    fn admits(&self, now_mono_ms: u64) -> bool {
        self.has_room() && self.admits_rate(now_mono_ms)
    }

    fn admits_address(
        &self,
        address: impl FnOnce() -> Option<IpAddr>,
        now_mono_ms: u64,
    ) -> Result<(), TooOften> {
        if !self.rates.limits_addresses() {
            return Ok(());
        }
        address().map_or(Ok(()), |address| self.rates.admits_address(address, now_mono_ms))
    }

    /// Whether this user may connect once more now.
    pub(super) fn admits_user(&self, user: UserHash, now_mono_ms: u64) -> Result<(), TooOften> {
        self.rates.admits_user(user, now_mono_ms)
    }

    /// Whether one more session may be opened now. A connect that was admitted asks again: any
    /// number of handshakes may have been admitted before the first of them became a session.
    ///
    /// The limit may be passed by as many sessions as shards open in the same moment.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.options.sessions_max == 0 || self.sessions() < self.options.sessions_max
    }

    /// One more session of this user, who may have `sessions_max`; 0 is no limit. Exact: nobody
    /// comes in between.
    pub(super) fn take_seat(&self, user: UserHash, sessions_max: u32) -> Seat {
        debug_assert!(sessions_max == 0 || self.seats.is_some(), "a limit, and nobody counts");
        self.seats.as_ref().map_or(Seat::Taken, |seats| seats.take(user, sessions_max))
    }

    /// One session of this user less.
    pub(super) fn leave_seat(&self, user: UserHash) {
        if let Some(seats) = &self.seats {
            seats.leave(user);
        }
    }

    /// Users whose sessions are counted.
    #[must_use]
    pub fn users(&self) -> usize {
        self.seats.as_ref().map_or(0, Seats::users)
    }

    /// Sessions on this node.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        // Relaxed: a count that other shards change at any time needs no order with other data.
        self.sessions.iter().map(|cell| cell.load(Ordering::Relaxed)).sum()
    }

    /// Counts a session in. Called by its shard alone.
    pub(super) fn opened(&self, shard: ShardId) {
        self.store(shard, |count| count + 1);
    }

    /// Counts a session out. Called by its shard alone.
    pub(super) fn closed(&self, shard: ShardId) {
        self.store(shard, |count| count - 1);
    }

    fn store(&self, shard: ShardId, change: impl FnOnce(u64) -> u64) {
        // One writer per cell: a plain load and store cannot lose an update.
        let cell = &self.sessions[shard.index()];
        cell.store(change(cell.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    fn admits_rate(&self, now_mono_ms: u64) -> bool {
        let most = self.options.connects_per_second_max;
        if most == 0 {
            return true;
        }
        let (rate, now_us) = (Rate::new(most, SECOND_US), now_mono_ms * 1_000);
        // Relaxed: the word stands alone, only its own modification order matters.
        self.rate_clock_us
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |clock_us| {
                (rate.wait_us(clock_us, now_us) == 0).then(|| rate.after(clock_us, now_us))
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_a_true_rate_with_a_burst_of_one_second() {
        let options = AdmissionOptions { connects_per_second_max: 10, ..Default::default() };
        let admission = Admission::new(options, 1);
        let admitted = |ms: u64| (0..100).filter(|_| admission.admits(ms)).count();
        assert_eq!(admitted(5_000), 10);
        assert_eq!(admitted(5_000), 0);
        assert_eq!(admitted(5_100), 1);
        assert_eq!(admitted(5_600), 5);
        assert_eq!(admitted(60_000), 10);
    }

    #[test]
    fn an_address_that_is_refused_takes_nothing_from_all_others() {
        let interval_ms = 24 * 3_600_000;
        let options = AdmissionOptions {
            connects_per_second_max: 5,
            rates: ConnectRates { per_user: 0, per_address: 1, interval_ms },
            ..Default::default()
        };
        let admission = Admission::new(options, 1);
        let connect = |address: &str| admission.admits_connect(|| address.parse().ok(), 5_000);
        assert_eq!(connect("192.0.2.1"), Ok(()));
        for _ in 0..100 {
            let refused = connect("192.0.2.1");
            assert!(matches!(refused, Err(NoConnect::OfAddress(_))), "{refused:?}");
        }
        for last in 2..6 {
            assert_eq!(connect(&format!("192.0.2.{last}")), Ok(()));
        }
        assert_eq!(connect("192.0.2.6"), Err(NoConnect::OfNode));
    }

    #[test]
    fn the_session_limit_counts_all_shards() {
        let options = AdmissionOptions { sessions_max: 2, ..Default::default() };
        let admission = Admission::new(options, 2);
        admission.opened(ShardId::new(0));
        assert!(admission.admits(0));
        admission.opened(ShardId::new(1));
        assert!(!admission.admits(0) && !admission.has_room());
        admission.closed(ShardId::new(0));
        assert!(admission.admits(0));
    }
}
