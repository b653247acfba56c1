//! One pinned thread, one ring: the ladder of drivers, and the few tasks a shard consists of.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use super::accept::{self, Accepting, Listener};
use super::breath::breathe;
use super::drive::{self, Drive};
use super::parking::{Parking, PollSet, Tasks};
use super::process::Process;
use crate::mesh::Endpoint;
use crate::messages::Message;
use crate::shard::{Carrier, Setup, Shard, TICK_MS};

pub use super::drive::Clock;

/// What carries a shard's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driver {
    /// io_uring that delivers completions to one thread when it asks (`DEFER_TASKRUN`, Linux
    /// 6.1): cheapest.
    IoUringDeferred,
    /// io_uring without those flags.
    IoUring,
    /// epoll, where io_uring is missing or forbidden.
    Epoll,
}

impl Driver {
    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUringDeferred => "io_uring (deferred task run)",
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// Which drivers may be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DriverChoice {
    /// The best that works.
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// io_uring without flags that need a recent kernel, or nothing.
    IoUringPlain,
    /// epoll.
    Epoll,
}

/// How idle sockets wait; see `parking.rs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParkingChoice {
    /// One nested poll set per shard.
    PollSet,
    /// One small task per socket.
    Task,
}

/// What one engine is given besides its shard.
#[derive(Debug)]
pub struct Boot {
    /// The core to run on, if it shall stay there.
    pub core: Option<usize>,
    /// Which drivers may be tried.
    pub driver: DriverChoice,
    /// How idle sockets wait.
    pub parking: ParkingChoice,
    /// Entries of the submission queue.
    pub ring_entries: u32,
    /// Where connections come from.
    pub listeners: Vec<Listener>,
    /// Its place in the mesh.
    pub mesh: Endpoint<Message>,
    /// The clock all shards share.
    pub clock: Clock,
    /// Says when to accept: not before everything else of the process is set up, because the
    /// first clients may take every descriptor there is.
    pub begin: mpsc::Receiver<()>,
}

/// Runs one shard on the current thread until it has said goodbye. `ready` is told once, when
/// the shard holds all it needs, which driver runs, or why none does.
///
/// # Errors
/// No driver could be started, or the shard's listeners could not be watched.
pub fn run(
    setup: Setup,
    boot: Boot,
    ready: impl FnOnce(&io::Result<Driver>),
) -> io::Result<Driver> {
    if let Some(core) = boot.core
        && let Err(error) = monoio::utils::bind_to_cpu_set([core])
    {
        tracing::warn!(%error, core, "a shard could not be pinned to its core");
    }
    match boot.parking {
        ParkingChoice::PollSet => climb::<PollSet>(setup, boot, ready),
        ParkingChoice::Task => climb::<Tasks>(setup, boot, ready),
    }
}

/// Tries the drivers from the best to the most common one.
fn climb<P: Parking>(
    setup: Setup,
    boot: Boot,
    ready: impl FnOnce(&io::Result<Driver>),
) -> io::Result<Driver> {
    let entries = boot.ring_entries;
    let mut errors = Vec::new();
    for driver in boot.driver.ladder() {
        match driver {
            Driver::IoUringDeferred | Driver::IoUring => {
                let mut uring = io_uring::IoUring::builder();
                if *driver == Driver::IoUringDeferred {
                    uring.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun();
                }
                let runtime = RuntimeBuilder::<IoUringDriver>::new()
                    .with_entries(entries)
                    .uring_builder(uring)
                    .enable_timer()
                    .build();
                match runtime {
                    Ok(mut runtime) => {
                        let live = live::<P>(setup, boot, *driver, ready);
                        return runtime.block_on(live).map(|()| *driver);
                    }
                    Err(error) => errors.push(format!("{}: {error}", driver.name())),
                }
            }
            Driver::Epoll => {
                let runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build();
                match runtime {
                    Ok(mut runtime) => {
                        let live = live::<P>(setup, boot, *driver, ready);
                        return runtime.block_on(live).map(|()| *driver);
                    }
                    Err(error) => errors.push(format!("{}: {error}", driver.name())),
                }
            }
        }
    }
    let failed = Err(io::Error::other(errors.join("; ")));
    ready(&failed);
    failed
}

impl DriverChoice {
    const fn ladder(self) -> &'static [Driver] {
        match self {
            Self::Auto => &[Driver::IoUringDeferred, Driver::IoUring, Driver::Epoll],
            Self::IoUring => &[Driver::IoUringDeferred, Driver::IoUring],
            Self::IoUringPlain => &[Driver::IoUring],
            Self::Epoll => &[Driver::Epoll],
        }
    }
}

/// A shard's whole life: its tasks run beside the tick, which ends when the goodbye is over.
async fn live<P: Parking>(
    setup: Setup,
    boot: Boot,
    driver: Driver,
    ready: impl FnOnce(&io::Result<Driver>),
) -> io::Result<()> {
    let Boot { listeners, mesh, clock, begin, .. } = boot;
    // One shard looks at the process, for all.
    let process = (setup.id.index() == 0).then(Process::start);
    let mut shard = Shard::new(setup, clock.now());
    shard.on_carrier(carrier(driver, boot.driver));
    let (shared, accepting) = match equip::<P>(shard, mesh, clock, listeners) {
        Ok(equipped) => equipped,
        Err(error) => {
            let failed = Err(error);
            ready(&failed);
            return failed.map(|_: Driver| ());
        }
    };
    ready(&Ok(driver));
    if begin.recv().is_err() {
        // The process could not be set up as a whole.
        return Ok(());
    }
    for accepting in accepting {
        let shared = Rc::clone(&shared);
        monoio::spawn(async move {
            if let Err(error) = accept::run(accepting, shared).await {
                tracing::error!(%error, "a listener failed: this shard accepts nothing more");
            }
        });
    }
    monoio::spawn(drive::run_mesh(Rc::clone(&shared)));
    let mut ticks = monoio::time::interval(Duration::from_millis(TICK_MS));
    ticks.set_missed_tick_behavior(monoio::time::MissedTickBehavior::Delay);
    for number in 0_u64.. {
        ticks.tick().await;
        if let Some(process) = process.as_ref().filter(|_| number % TICKS_PER_LOOK == 0) {
            shared.borrow_mut().shard.on_process(process.now());
        }
        while !tick(&shared) {
            breathe(&shared).await;
        }
        if shared.borrow().is_drained() {
            break;
        }
    }
    Ok(())
}

/// The process is looked at every so many ticks: once in a second.
const TICKS_PER_LOOK: u64 = 1_000 / TICK_MS;

const fn carrier(driver: Driver, choice: DriverChoice) -> Carrier {
    match (driver, choice) {
        (Driver::IoUringDeferred | Driver::IoUring, _) => Carrier::IoUring,
        (Driver::Epoll, DriverChoice::Epoll) => Carrier::Epoll,
        (Driver::Epoll, _) => Carrier::EpollInstead,
    }
}

/// Takes every descriptor a shard needs besides its connections.
fn equip<P: Parking>(
    shard: Shard,
    mesh: Endpoint<Message>,
    clock: Clock,
    listeners: Vec<Listener>,
) -> io::Result<(super::Shared<P>, Vec<Accepting>)> {
    let mut drive = Drive::new(shard, P::new()?, mesh, clock);
    for listener in &listeners {
        drive.listens_on(listener)?;
    }
    let shared = Rc::new(RefCell::new(drive));
    P::start(&shared)?;
    let accepting = listeners.into_iter().map(Accepting::new).collect::<io::Result<_>>()?;
    Ok((shared, accepting))
}

fn tick<P: Parking>(shared: &super::Shared<P>) -> bool {
    shared.borrow_mut().tick(shared)
}
