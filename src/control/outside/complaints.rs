//! What is wrong with the outside, told to whoever reads the log without filling it.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How often complaints are told: a backend that is down is one of many, for each client.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

/// Complaints that have not been told.
#[derive(Default)]
pub(in crate::control) struct Complaints {
    last: Cell<Option<Instant>>,
    untold: Cell<u64>,
}

impl Complaints {
    /// Whether this one should be told now, and how many since the last were not.
    pub(in crate::control) fn is_due(&self, now: Instant) -> Option<u64> {
        if self.last.get().is_some_and(|last| now - last < COMPLAINT_INTERVAL) {
            self.untold.set(self.untold.get() + 1);
            return None;
        }
        self.last.set(Some(now));
        Some(self.untold.take())
    }
}
