//! How often each user and each address connects, over all shards, in memory that does not grow.
//!
//! ```text
//!   key ──hash──▶ one cell in each of four rows; a cell says when the last connect of all keys
//!                 that meet there would have come, had they come evenly
//! ```
//!
//! The cell that is behind the others is the key's own, or nearly: it is what counts (a count-min
//! sketch of generic cell rates, ITU-T I.371). No key is let in more often than it may, apart from
//! connects that come in the same moment on several shards; a key is held back for others' sake only
//! where all of its four cells are shared with keys that are near their limit.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ids::{Network, UserHash};
use crate::time::Rate;

/// Cells of a key.
const ROWS: usize = 4;

/// Cells of a row: 4 MiB in all rows. As many keys as this within one interval still have cells that
/// are not near their limit
/// (`very_many_addresses_that_connect_once_do_not_hold_each_other_back`).
const CELLS: usize = 1 << 17;

/// What is allowed of connects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectRates {
    /// Connects of one user in any interval; 0: no limit.
    pub per_user: u32,
    /// Connects of one address in any interval; 0: no limit.
    pub per_address: u32,
    /// Milliseconds.
    pub interval_ms: u64,
}

impl Default for ConnectRates {
    /// No limit.
    fn default() -> Self {
        Self { per_user: 0, per_address: 0, interval_ms: 60_000 }
    }
}

/// Comes too often: how long it should wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooOften {
    /// In seconds, one at least.
    pub(super) retry_after_s: u64,
}

/// Connects of users and of addresses, each where it is limited.
#[derive(Debug)]
pub(super) struct Rates {
    users: Option<Sketch>,
    addresses: Option<Sketch>,
}

impl Rates {
    pub(super) fn new(rates: ConnectRates) -> Self {
        let ConnectRates { per_user, per_address, interval_ms } = rates;
        let sketch = |most: u32| (most > 0).then(|| Sketch::new(most, interval_ms));
        Self { users: sketch(per_user), addresses: sketch(per_address) }
    }

    /// One more connect of this user.
    pub(super) fn admits_user(&self, user: UserHash, now_ms: u64) -> Result<(), TooOften> {
        self.users.as_ref().map_or(Ok(()), |users| users.admits(&user, now_ms))
    }

    /// One more connect of this address.
    pub(super) fn admits_address(&self, address: IpAddr, now_ms: u64) -> Result<(), TooOften> {
        let admits = |addresses: &Sketch| addresses.admits(&Network::of(address), now_ms);
        self.addresses.as_ref().map_or(Ok(()), admits)
    }

    /// Whether addresses are limited.
    pub(super) const fn limits_addresses(&self) -> bool {
        self.addresses.is_some()
    }
}

/// The rates of very many keys.
#[derive(Debug)]
struct Sketch {
    /// Row after row; microseconds of the monotonic clock.
    cells: Box<[AtomicU64]>,
    /// Keyed by the system's random bytes: nobody can choose keys that meet.
    hasher: RandomState,
    rate: Rate,
}

impl Sketch {
    fn new(most: u32, interval_ms: u64) -> Self {
        Self {
            cells: (0..ROWS * CELLS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            rate: Rate::new(u64::from(most), interval_ms * 1_000),
        }
    }

    fn admits(&self, key: &impl Hash, now_ms: u64) -> Result<(), TooOften> {
        let cells = self.cells_of(key);
        let now_us = now_ms * 1_000;
        // Relaxed: each word stands alone, only its own modification order matters.
        let told_us = cells.iter().map(|cell| cell.load(Ordering::Relaxed)).min().unwrap_or(0);
        let wait_us = self.rate.wait_us(told_us, now_us);
        if wait_us > 0 {
            return Err(TooOften { retry_after_s: wait_us.div_ceil(1_000_000) });
        }
        let next_us = self.rate.after(told_us, now_us);
        for cell in cells {
            cell.fetch_max(next_us, Ordering::Relaxed);
        }
        Ok(())
    }

    fn cells_of(&self, key: &impl Hash) -> [&AtomicU64; ROWS] {
        let first = self.hasher.hash_one(key);
        // Odd, so that the rows of a key differ (Kirsch and Mitzenmacher, "Less hashing").
        let second = self.hasher.hash_one(first) | 1;
        std::array::from_fn(|row| {
            let hash = first.wrapping_add(second.wrapping_mul(row as u64));
            let within = usize::try_from(hash % CELLS as u64).expect("below CELLS");
            &self.cells[row * CELLS + within]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserHash = UserHash(7);

    fn rates(per_user: u32, per_address: u32) -> Rates {
        Rates::new(ConnectRates { per_user, per_address, interval_ms: 10_000 })
    }

    fn admitted(rates: &Rates, user: UserHash, now_ms: u64, times: usize) -> usize {
        (0..times).filter(|_| rates.admits_user(user, now_ms).is_ok()).count()
    }

    #[test]
    fn a_user_comes_as_often_as_allowed_at_once_and_then_evenly() {
        let rates = rates(5, 0);
        assert_eq!(admitted(&rates, USER, 1_000, 9), 5);
        assert_eq!(rates.admits_user(USER, 1_000), Err(TooOften { retry_after_s: 2 }));
        assert_eq!(rates.admits_user(USER, 2_999), Err(TooOften { retry_after_s: 1 }));
        assert_eq!(admitted(&rates, USER, 3_000, 9), 1);
        assert_eq!(admitted(&rates, USER, 9_000, 9), 3);
        assert_eq!(admitted(&rates, USER, 100_000, 9), 5);
        assert_eq!(admitted(&rates, UserHash(8), 1_000, 9), 5, "another user has their own");
    }

    #[test]
    fn who_is_refused_does_not_wait_longer_for_having_asked() {
        let rates = rates(1, 0);
        assert_eq!(admitted(&rates, USER, 1_000, 1_000), 1);
        assert_eq!(admitted(&rates, USER, 11_000, 1_000), 1);
    }

    #[test]
    fn the_addresses_of_one_network_of_ipv6_are_one_and_ipv4_is_itself_however_it_is_written() {
        let rates = rates(0, 1);
        let admits = |text: &str| rates.admits_address(text.parse().unwrap(), 1_000).is_ok();
        for (address, expected) in [
            ("2001:db8:1:2::1", true),
            ("2001:db8:1:2:ffff::9", false),
            ("2001:db8:1:3::1", true),
            ("192.0.2.1", true),
            ("192.0.2.2", true),
            ("::ffff:192.0.2.1", false),
        ] {
            assert_eq!(admits(address), expected, "{address}");
        }
    }

    #[test]
    fn nothing_is_limited_and_nothing_kept_where_nothing_is_said() {
        let rates = rates(0, 0);
        assert!(rates.users.is_none() && !rates.limits_addresses());
        assert_eq!(admitted(&rates, USER, 0, 100), 100);
        assert_eq!(rates.admits_address(IpAddr::from([1; 4]), 0), Ok(()));
    }

    #[test]
    fn very_many_addresses_that_connect_once_do_not_hold_each_other_back() {
        let rates = rates(0, 10);
        let many = u32::try_from(CELLS).unwrap();
        let refused = (0..many).filter(|n| {
            let address = IpAddr::from(n.wrapping_mul(2_654_435_761).to_be_bytes());
            rates.admits_address(address, 1_000).is_err()
        });
        assert_eq!(refused.count(), 0);
    }

    #[test]
    fn shards_that_ask_at_once_let_in_little_more_than_allowed() {
        const MOST: usize = 100;
        const THREADS: usize = 4;
        let rates = rates(100, 0);
        let ask = || admitted(&rates, USER, 1_000, 10_000);
        let admitted: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!((MOST..=MOST * THREADS).contains(&admitted), "{admitted}");
    }
}
