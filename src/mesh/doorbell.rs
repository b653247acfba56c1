//! The doorbell of one endpoint: whoever has done something for a sleeper wakes it, whoever
//! finds it awake pays two loads and a fence.
//!
//! ```text
//!   owner:                           others:
//!     register the waker               push (or pop: room is news too)
//!     sleeping = true                  fence
//!     fence                            sleeping? take it and wake
//!     look at the rings once more
//! ```
//! The two fences are in one order. If the owner's is first, the other sees `sleeping` and
//! wakes; if the other's is first, the owner's last look sees what was done. Both is harmless: a
//! wake too many. Neither cannot be, and `modelled.rs` tries every interleaving.

use std::task::Waker;

use super::sync::{AtomicBool, AtomicWaker, Ordering, fence};

/// Shared by its owner and everyone who may ring.
#[derive(Debug, Default)]
pub(super) struct Doorbell {
    sleeping: AtomicBool,
    waker: AtomicWaker,
}

impl Doorbell {
    /// For others: wakes each owner that sleeps. One fence serves all bells.
    pub(super) fn ring_all<'a>(bells: impl Iterator<Item = &'a Self>) {
        // Between what the caller did to the rings and the loads of `sleeping` below; pairs with
        // the fence in `Endpoint::poll_ready`.
        fence(Ordering::SeqCst);
        for bell in bells {
            // The load keeps the line shared while the owner is awake, which is the rule under
            // load. It may be out of date in one direction only: what was stored before the
            // owner's fence is seen.
            if bell.sleeping.load(Ordering::Relaxed) && bell.claim() {
                bell.waker.wake();
            }
        }
    }

    /// For others: wakes the owner if it sleeps.
    pub(super) fn ring(&self) {
        Self::ring_all(std::iter::once(self));
    }

    /// Of several that see the owner asleep, lets one wake it.
    fn claim(&self) -> bool {
        // Acquire, with the release in `listen`: the waker registered before is the one that is
        // woken. One that comes too late writes nothing, least of all over a newer `true`.
        self.sleeping.compare_exchange(true, false, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// For the owner: from now on it may be woken. It must put up a fence and look at its rings
    /// once more before it sleeps.
    pub(super) fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
        self.sleeping.store(true, Ordering::Release);
    }

    /// For the owner: it is awake, nobody needs to wake it.
    pub(super) fn stay_awake(&self) {
        // Only the owner sets the flag, so this read cannot miss one; not writing leaves the
        // line with those who look at it. Relaxed: a wake too many is harmless.
        if self.sleeping.load(Ordering::Relaxed) {
            self.sleeping.store(false, Ordering::Relaxed);
        }
    }
}
