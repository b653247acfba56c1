//! The control thread's end of the mesh: signals become messages, messages become reports.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::mesh::Endpoint;
use crate::messages::{Message, SessionEvent};

/// What the control thread does with a session that came or went.
pub type OnEvent = Box<dyn FnMut(&SessionEvent) + Send>;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Every shard said its goodbye.
    Drained,
    /// Some did not within `shutdown.timeout`.
    TimedOut,
    /// A second signal did not want to wait.
    Interrupted,
}

/// What the control thread works on.
pub struct Work {
    /// Its place in the mesh.
    pub mesh: Endpoint<Message>,
    /// Told of every session that comes or goes, when somebody watches.
    pub on_event: Option<OnEvent>,
    /// How long the goodbye may take.
    pub shutdown_timeout: Duration,
}

/// Everything the control thread holds, its descriptors included.
pub struct Control {
    runtime: Runtime,
    signals: Signals,
    work: Work,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("shutdown_timeout", &self.work.shutdown_timeout)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Takes what it needs of the system. To be called before a shard accepts: the first clients
    /// may take every descriptor there is, and a signal must be heard from the beginning.
    ///
    /// # Errors
    /// The runtime or the signal handlers could not be set up.
    pub fn new(work: Work) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        Ok(Self { runtime, signals, work })
    }

    /// Runs on the current thread until a signal asks to stop and the shards have said goodbye.
    #[must_use]
    pub fn run(self) -> Ended {
        let Self { runtime, mut signals, mut work } = self;
        runtime.block_on(async move {
            work.serve(&mut signals).await;
            work.drain(&mut signals).await
        })
    }
}

impl Work {
    /// Until somebody asks to stop.
    async fn serve(&mut self, signals: &mut Signals) {
        loop {
            tokio::select! {
                biased;
                asked = signals.next() => match asked {
                    Asked::Stop(signal) => {
                        tracing::info!(signal, "shutting down: saying goodbye to every session");
                        return;
                    }
                    Asked::Reload => tracing::warn!(
                        "SIGHUP: reloading the configuration is not supported, restart to apply it"
                    ),
                },
                () = std::future::poll_fn(|cx| self.mesh.poll_ready(cx)) => {
                    self.receive();
                }
            }
        }
    }

    /// Until every shard has said its goodbye, the time is over, or a second signal comes.
    async fn drain(&mut self, signals: &mut Signals) -> Ended {
        let shards = self.mesh.peers() - 1;
        // The goodbyes are spread over half of the time, so that the slowest can still end.
        let within_ms = u64::try_from(self.shutdown_timeout.as_millis() / 2).unwrap_or(u64::MAX);
        let mut untold: Vec<usize> = (0..shards).collect();
        let mut drained = 0;
        let deadline = tokio::time::sleep(self.shutdown_timeout);
        tokio::pin!(deadline);
        while drained < shards {
            untold.retain(|shard| self.mesh.send(*shard, Message::Drain { within_ms }).is_err());
            self.mesh.flush();
            tokio::select! {
                biased;
                () = &mut deadline => return Ended::TimedOut,
                asked = signals.next() => if let Asked::Stop(signal) = asked {
                    tracing::warn!(signal, "second signal: leaving at once");
                    return Ended::Interrupted;
                },
                () = std::future::poll_fn(|cx| self.mesh.poll_ready(cx)) => {
                    drained += self.receive();
                }
                () = tokio::time::sleep(Duration::from_millis(20)), if !untold.is_empty() => {}
            }
        }
        Ended::Drained
    }

    /// Takes what has arrived; returns how many shards said that nothing is left.
    fn receive(&mut self) -> usize {
        let mut drained = 0;
        while let Some((_, message)) = self.mesh.receive() {
            match message {
                Message::Event(event) => {
                    if let Some(on_event) = &mut self.on_event {
                        on_event(&event);
                    }
                }
                Message::Drained => drained += 1,
                Message::Ask { .. }
                | Message::Answer { .. }
                | Message::Emulate(_)
                | Message::Drain { .. } => {
                    debug_assert!(false, "not for the control thread: {message:?}");
                }
            }
        }
        self.mesh.flush();
        drained
    }
}

/// What a signal asks for.
enum Asked {
    Stop(&'static str),
    Reload,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
