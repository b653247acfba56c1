//! The two clocks of the harness as plain numbers, and a timer finer than the runtime's.

use std::net::TcpStream;
use std::os::fd::OwnedFd;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use crate::failure::{Context, Failure};

/// Nanoseconds of a second.
pub(crate) const NS_PER_S: u64 = 1_000_000_000;

/// Nanoseconds of the monotonic clock.
pub(crate) fn now_ns() -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    tv_sec.unsigned_abs() * NS_PER_S + tv_nsec.unsigned_abs()
}

/// Seconds since the Unix epoch.
pub(crate) fn unix_s() -> i64 {
    clock_gettime(ClockId::Realtime).tv_sec
}

/// Waits inside the runtime for an instant, to the microsecond: the runtime's own timers tick in
/// milliseconds, which would be the larger part of every latency measured here.
pub(crate) struct Timer {
    timer: OwnedFd,
    waitable: monoio::net::TcpStream,
}

impl Timer {
    pub(crate) fn new() -> Result<Self, Failure> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)
            .during("creating a timer")?;
        // The runtime knows sockets only: the descriptor travels as one. Nothing but its
        // readability is ever asked for.
        let copy = timer.try_clone().during("creating a timer")?;
        let waitable =
            monoio::net::TcpStream::from_std(TcpStream::from(copy)).during("watching a timer")?;
        Ok(Self { timer, waitable })
    }

    /// Waits until the monotonic clock shows `at_ns`.
    pub(crate) async fn until(&self, at_ns: u64) -> Result<(), Failure> {
        let part = |ns: u64| i64::try_from(ns).expect("fits until the year 2262");
        let it_value = Timespec { tv_sec: part(at_ns / NS_PER_S), tv_nsec: part(at_ns % NS_PER_S) };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Setting it also clears an expiry nobody has read.
        timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::ABSTIME,
            &Itimerspec { it_interval, it_value },
        )
        .during("setting a timer")?;
        self.waitable.readable(false).await.during("waiting for a timer")
    }
}
