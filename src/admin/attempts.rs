//! How often a password may be tried: wrong ones are counted, by address and all together.
//!
//! Shared by all shards, because an attacker who opens many connections meets each of them. Memory
//! is fixed: addresses share cells, chosen by a hash that nobody outside knows, so whoever shares one
//! with an attacker waits with them. What has been let in needs no password and never waits.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;

use super::door::LoginError;
use crate::ids::Network;
use crate::time::{Now, Rate};

/// Addresses are counted in so many cells of eight bytes.
const CELLS: usize = 4_096;

const MINUTE_US: u64 = 60_000_000;

/// Wrong passwords of one address.
const OF_ADDRESS: Rate = Rate::new(10, MINUTE_US);

/// Wrong passwords of all together: an attacker has more than one address.
const OF_ALL: Rate = Rate::new(100, MINUTE_US);

/// What is kept of the wrong ones.
#[derive(Default)]
struct Cell(AtomicU64);

pub(super) struct Attempts {
    hasher: RandomState,
    of_address: Box<[Cell]>,
    of_all: Cell,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            of_address: (0..CELLS).map(|_| Cell::default()).collect(),
            of_all: Cell::default(),
        }
    }
}

impl Attempts {
    /// Whether somebody at this address may try a password now. Shards that ask in the same moment
    /// may each let one in.
    pub(super) fn may_try(&self, from: Option<IpAddr>, now: Now) -> Result<(), LoginError> {
        let wait_us =
            self.cell(from).wait_us(OF_ADDRESS, now).max(self.of_all.wait_us(OF_ALL, now));
        if wait_us == 0 {
            return Ok(());
        }
        Err(LoginError::TooMany { retry_after_s: wait_us.div_ceil(1_000_000) })
    }

    /// A password from this address was wrong.
    pub(super) fn note_wrong(&self, from: Option<IpAddr>, now: Now) {
        self.cell(from).note(OF_ADDRESS, now);
        self.of_all.note(OF_ALL, now);
    }

    fn cell(&self, from: Option<IpAddr>) -> &Cell {
        let network = Network::of(from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let at = self.hasher.hash_one(network) % CELLS as u64;
        &self.of_address[usize::try_from(at).expect("below CELLS")]
    }
}

impl Cell {
    fn wait_us(&self, rate: Rate, now: Now) -> u64 {
        // Relaxed: the word stands alone, only its own modification order matters.
        rate.wait_us(self.0.load(Ordering::Relaxed), now.mono_us())
    }

    fn note(&self, rate: Rate, now: Now) {
        let next = |kept_us: u64| Some(rate.after(kept_us, now.mono_us()));
        // Relaxed: as above.
        _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_000;

    fn at(mono_ms: u64) -> Now {
        Now { mono_ms, unix_ms: 0 }
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// Wrong passwords until one more is refused, and how long the next must wait.
    fn tries(attempts: &Attempts, from: Option<IpAddr>, now: Now) -> (u64, u64) {
        for tried in 0..10_000 {
            if let Err(error) = attempts.may_try(from, now) {
                let LoginError::TooMany { retry_after_s } = error else { panic!("{error}") };
                return (tried, retry_after_s);
            }
            attempts.note_wrong(from, now);
        }
        panic!("no limit");
    }

    #[test]
    fn an_address_may_err_ten_times_and_then_once_in_six_seconds() {
        let attempts = Attempts::default();
        let from = address("192.0.2.1");
        assert_eq!(tries(&attempts, from, at(START_MS)), (10, 6));
        assert_eq!(tries(&attempts, from, at(START_MS + 5_000)), (0, 1));
        assert_eq!(tries(&attempts, from, at(START_MS + 6_000)), (1, 6));
        assert_eq!(tries(&attempts, from, at(START_MS + 3_600_000)), (10, 6));
    }

    #[test]
    fn whoever_has_many_addresses_meets_the_limit_of_all() {
        let attempts = Attempts::default();
        let tried: u64 = (0..=255_u8)
            .map(|last| tries(&attempts, Some(IpAddr::from([10, 0, 0, last])), at(START_MS)).0)
            .sum();
        assert_eq!(tried, 100);
        assert_eq!(tries(&attempts, address("198.51.100.1"), at(START_MS)), (0, 1));
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one() {
        let attempts = Attempts::default();
        assert_eq!(tries(&attempts, address("2001:db8:1:2::1"), at(START_MS)).0, 10);
        assert_eq!(tries(&attempts, address("2001:db8:1:2:ffff::9"), at(START_MS)).0, 0);
        assert_eq!(tries(&attempts, None, at(START_MS)).0, 10);
        assert_eq!(tries(&attempts, address("::ffff:192.0.2.1"), at(START_MS)).0, 10);
        assert_eq!(tries(&attempts, address("192.0.2.1"), at(START_MS)).0, 0);
    }
}
