//! How a task that has more to do lets the runtime do everything else first.

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::Shared;
use super::parking::Parking;

/// Breaths that nobody takes at the moment: as many as ever were taken at once, which is as many
/// as a shard has tasks that go on by themselves.
#[derive(Default)]
pub(super) struct Breaths {
    idle: Vec<Breath>,
}

/// A bell that its owner rings to be woken by it: not before the runtime has asked the kernel.
struct Breath {
    bell: OwnedFd,
    heard: monoio::net::TcpStream,
}

impl Breath {
    fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // The runtime knows sockets only: the bell travels as one. Nothing but its readability is
        // ever asked for.
        let heard = TcpStream::from(bell.try_clone()?);
        Ok(Self { bell, heard: monoio::net::TcpStream::from_std(heard)? })
    }

    async fn take(&self) -> io::Result<()> {
        let mut heard = pin!(self.heard.readable(false));
        // Listens before it rings. The epoll driver remembers that the bell was readable until it is
        // found silent: it would say at once that it still is, and nobody else had a turn.
        let early = poll_fn(|cx| Poll::Ready(heard.as_mut().poll(cx))).await;
        rustix::io::write(&self.bell, &1_u64.to_ne_bytes())?;
        match early {
            Poll::Pending => heard.await?,
            Poll::Ready(error) => error?,
        }
        rustix::io::read(&self.bell, &mut [0_u8; 8])?;
        Ok(())
    }
}

/// Lets the runtime do everything else it has to do, timers and wakes from other threads
/// included. For work that found its budget used up and more to do.
///
/// monoio 0.2.4 looks at timers and foreign wakes only when no task is ready to run: a task that
/// merely wakes itself again, even from the back of the queue, would starve both. And a timer that
/// is due at once rests for two milliseconds, which one query in fifty then waited.
pub(super) async fn breathe<P: Parking>(shared: &Shared<P>) {
    let idle = shared.borrow_mut().breaths().idle.pop();
    let taken = match idle.map_or_else(Breath::new, Ok) {
        Ok(breath) => breath.take().await.map(|()| breath),
        Err(error) => Err(error),
    };
    match taken {
        Ok(breath) => shared.borrow_mut().breaths().idle.push(breath),
        // No descriptor is left: slower, and as sure.
        Err(_) => rest(Duration::from_millis(1)).await,
    }
}

#[expect(clippy::disallowed_methods, reason = "a turn of the thread, not a timer of a connection")]
async fn rest(duration: Duration) {
    monoio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

    use super::*;

    /// Two tasks that never have enough: how often each breathed before the other did.
    async fn longest_run(breaths: u32) -> u32 {
        let last = Rc::new(Cell::new((0, 0, 0)));
        let tasks: Vec<_> = (1..=2)
            .map(|who| {
                let last = Rc::clone(&last);
                monoio::spawn(async move {
                    let breath = Breath::new().expect("a descriptor");
                    for _ in 0..breaths {
                        breath.take().await.expect("it breathes");
                        let (before, run, longest) = last.get();
                        let run = 1 + run * u32::from(before == who);
                        last.set((who, run, run.max(longest)));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        last.get().2
    }

    #[test]
    fn tasks_that_never_have_enough_take_turns_on_every_driver() {
        let mut uring = RuntimeBuilder::<IoUringDriver>::new().build().expect("io_uring");
        let mut epoll = RuntimeBuilder::<LegacyDriver>::new().build().expect("epoll");
        let longest = [uring.block_on(longest_run(100)), epoll.block_on(longest_run(100))];
        assert!(longest.iter().all(|run| *run <= 3), "{longest:?}");
    }
}
