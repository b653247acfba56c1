//! The control thread's end of the mesh: signals and streams become messages, messages become
//! reports and bytes.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;

use super::api::{self, Calls, GrpcApi};
use super::grpc::Serving;
use super::keeper::{Keeper, Reply};
use super::outside::{Outside, Sources};
use super::unigrpc::{Listening, Streams, UniGrpc};
use super::webhook::Webhook;
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
    /// Clients that speak gRPC, when they are served.
    pub uni_grpc: Option<UniGrpc>,
    /// Backends that speak gRPC, when they are served.
    pub grpc_api: Option<GrpcApi>,
    /// Stores who is kept out.
    pub keeper: Keeper,
    /// Who is asked about clients.
    pub sources: Sources,
    /// Tells a backend what happens to sessions, when it wants to hear.
    pub webhook: Option<Webhook>,
}

/// Everything the control thread holds, its descriptors included.
pub struct Control {
    runtime: Runtime,
    signals: Signals,
    grpc: Option<Listening>,
    api: Option<api::Listening>,
    mesh: Endpoint<Message>,
    on_event: Option<OnEvent>,
    shutdown_timeout: Duration,
    keeper: Keeper,
    sources: Sources,
    webhook: Option<Webhook>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("shutdown_timeout", &self.shutdown_timeout)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Takes what it needs of the system. To be called before a shard accepts: the first clients
    /// may take every descriptor there is, and a signal must be heard from the beginning.
    ///
    /// # Errors
    /// The runtime, the signal handlers or the listener could not be set up.
    pub fn new(work: Work) -> io::Result<Self> {
        let Work { mesh, on_event, shutdown_timeout, keeper, sources, webhook, .. } = work;
        let (uni_grpc, grpc_api) = (work.uni_grpc, work.grpc_api);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (signals, grpc, api) = {
            let _inside = runtime.enter();
            let grpc = uni_grpc.map(UniGrpc::listen).transpose()?;
            (Signals::new()?, grpc, grpc_api.map(GrpcApi::listen).transpose()?)
        };
        Ok(Self {
            runtime,
            signals,
            grpc,
            api,
            mesh,
            on_event,
            shutdown_timeout,
            keeper,
            sources,
            webhook,
        })
    }

    /// Runs on the current thread until a signal asks to stop and the shards have said goodbye.
    #[must_use]
    pub fn run(self) -> Ended {
        let Self { runtime, mut signals, grpc, api, mesh, on_event, .. } = self;
        let Self { shutdown_timeout, keeper, sources, webhook, .. } = self;
        LocalSet::new().block_on(&runtime, async move {
            let news = Rc::new(Notify::new());
            let streams = Streams::new(mesh.peers() - 1, Rc::clone(&news));
            let streams = Rc::new(RefCell::new(streams));
            let calls = Calls::new(mesh.peers() - 1, Rc::clone(&news));
            let calls = Rc::new(RefCell::new(calls));
            let grpc = grpc.map(|grpc| grpc.serve(Rc::clone(&streams)));
            let api = api.map(|api| api.serve(Rc::clone(&calls), Rc::clone(&streams)));
            let outside = Outside::new(sources, Rc::clone(&news));
            let mut living = Living {
                mesh,
                on_event,
                news,
                streams,
                calls,
                grpc,
                api,
                keeper,
                outside,
                webhook,
            };
            living.serve(&mut signals).await;
            let ended = living.drain(&mut signals, shutdown_timeout).await;
            living.keeper.close(unix_s());
            // Who does not want to wait leaves what is stored to the next start.
            if let Some(webhook) = living.webhook.filter(|_| ended != Ended::Interrupted) {
                webhook.close().await;
            }
            ended
        })
    }
}

/// The control thread at work.
struct Living {
    mesh: Endpoint<Message>,
    on_event: Option<OnEvent>,
    /// Wakes it when a stream has something to tell its shard.
    news: Rc<Notify>,
    streams: Rc<RefCell<Streams>>,
    calls: Rc<RefCell<Calls>>,
    grpc: Option<Serving>,
    api: Option<api::Serving>,
    keeper: Keeper,
    outside: Outside,
    webhook: Option<Webhook>,
}

impl Living {
    /// Until somebody asks to stop.
    async fn serve(&mut self, signals: &mut Signals) {
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        let mut sweep_statuses = tokio::time::interval(SWEEP_STATUSES_INTERVAL);
        let mut write_left = tokio::time::interval(WRITE_LEFT_INTERVAL);
        write_left.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ask_webhook = tokio::time::interval(ASK_WEBHOOK_INTERVAL);
        ask_webhook.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                () = std::future::poll_fn(|cx| self.mesh.poll_ready(cx)) => {}
                () = self.news.notified() => {}
                report = self.keeper.report() => {
                    let reply = self.keeper.on_report(report, unix_s());
                    self.reply(reply);
                }
                () = tokio::time::sleep(RETRY_INTERVAL), if self.has_to_tell() => {}
                _ = sweep.tick() => self.keeper.sweep(unix_s()),
                _ = sweep_statuses.tick() => self.keeper.sweep_statuses(unix_s()),
                _ = ask_webhook.tick(), if self.webhook.is_some() => self.ask_webhook(),
                _ = write_left.tick(), if self.keeper.knows_who_left() => self.keeper.write_left(unix_s()),
            }
            self.exchange();
        }
    }

    /// Until every shard has said its goodbye, the time is over, or a second signal comes.
    async fn drain(&mut self, signals: &mut Signals, timeout: Duration) -> Ended {
        if let Some(grpc) = &self.grpc {
            grpc.stop();
        }
        if let Some(api) = &self.api {
            api.not_serving();
        }
        let shards = self.mesh.peers() - 1;
        // The goodbyes are spread over half of the time, so that the slowest can still end.
        let within_ms = u64::try_from(timeout.as_millis() / 2).unwrap_or(u64::MAX);
        let mut untold: Vec<usize> = (0..shards).collect();
        let mut drained = 0;
        let deadline = tokio::time::sleep(timeout);
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
                () = std::future::poll_fn(|cx| self.mesh.poll_ready(cx)) => {}
                () = self.news.notified() => {}
                report = self.keeper.report() => {
                    let reply = self.keeper.on_report(report, unix_s());
                    self.reply(reply);
                }
                () = tokio::time::sleep(RETRY_INTERVAL),
                    if !untold.is_empty() || self.has_to_tell() => {}
            }
            drained += self.exchange();
        }
        // Every stream has its last word and every call its answer; they may still be on their way
        // to the kernel.
        let rest = tokio::time::sleep(LAST_BYTES);
        tokio::select! {
            () = self.served() => {}
            () = rest => {}
            () = &mut deadline => {}
        }
        Ended::Drained
    }

    /// No room: the answer is dropped, and the asker's deadline says that it did not come.
    fn reply(&mut self, reply: Option<Reply>) {
        if let Some((shard, message)) = reply {
            let _no_room = self.mesh.send(shard, message);
        }
    }

    /// Whether some shard had no room to be told something.
    fn has_to_tell(&self) -> bool {
        self.keeper.has_to_tell()
            || self.outside.has_to_tell()
            || self.webhook.as_ref().is_some_and(Webhook::has_to_tell)
    }

    fn ask_webhook(&mut self) {
        if let Some(webhook) = &mut self.webhook {
            webhook.on_tick();
        }
    }

    /// Waits until no connection over gRPC is left.
    async fn served(&mut self) {
        if let Some(grpc) = &mut self.grpc {
            grpc.ended().await;
        }
        if let Some(api) = &mut self.api {
            api.stop();
            api.ended().await;
        }
    }

    /// Takes what has arrived and tells what there is to tell; returns how many shards said that
    /// nothing is left.
    fn exchange(&mut self) -> usize {
        let mut drained = 0;
        while let Some((from, message)) = self.mesh.receive() {
            match message {
                Message::Ask { gather, question } => {
                    let reply = self.keeper.ask((from, gather), question, unix_s());
                    self.reply(reply);
                }
                Message::Event(event) => {
                    if let Some(on_event) = &mut self.on_event {
                        on_event(&event);
                    }
                }
                Message::SessionEvents(batch) => {
                    if let Some(webhook) = &mut self.webhook {
                        webhook.on_events(batch);
                    }
                }
                Message::StreamBytes { stream, bytes } => {
                    self.streams.borrow_mut().send(stream, bytes);
                }
                Message::StreamEnd { stream, end } => self.streams.borrow_mut().end(stream, end),
                Message::UserLeft { user, at_s } => self.keeper.on_left(&user, at_s),
                Message::Drained => drained += 1,
                Message::CallReply(reply) => self.calls.borrow_mut().replied(*reply),
                Message::Answer { gather, answer } => {
                    let reply = self.keeper.on_answer(from, gather, answer);
                    self.reply(reply);
                }
                Message::Inquire { inquiry, about } => self.outside.ask(from, inquiry, about),
                Message::Dismiss { inquiry } => self.outside.dismiss(from, inquiry),
                Message::Call(_)
                | Message::Found { .. }
                | Message::Emulate(_)
                | Message::WebhookFacts(_)
                | Message::Watch { .. }
                | Message::StreamOpen(_)
                | Message::StreamBacklog { .. }
                | Message::StreamGone { .. }
                | Message::Drain { .. } => {
                    debug_assert!(false, "not for the control thread: {message:?}");
                }
            }
        }
        let mesh = &mut self.mesh;
        let mut send = |shard, message| mesh.send(shard, message).map_err(|full| full.0);
        self.keeper.tell(&mut send);
        self.outside.tell(&mut send);
        if let Some(webhook) = &mut self.webhook {
            webhook.tell(&mut send);
        }
        self.streams.borrow_mut().tell(&mut send);
        self.calls.borrow_mut().tell(send);
        mesh.flush();
        drained
    }
}

/// How soon a shard that had no room is told again.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How often rules that have ended are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How often statuses that have not changed for long are forgotten.
const SWEEP_STATUSES_INTERVAL: Duration = Duration::from_secs(3_600);

/// How often it is written down who has left: what a crash can lose.
const WRITE_LEFT_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is asked what has become of events of sessions: what `info` says may be so old.
const ASK_WEBHOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The time, as rules are told it.
pub(crate) fn unix_s() -> i64 {
    (unix_ms() / 1000).cast_signed()
}

/// The time in milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the place of the control thread that does")]
pub(crate) fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long the last bytes of clients over gRPC may take when every shard has gone.
const LAST_BYTES: Duration = Duration::from_secs(2);

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
