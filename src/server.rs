//! Builds shards, engines and control from their options, and stops them in order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::auth::Rules;
use crate::connection::Options;
use crate::control::api::{self, Errors, GrpcApi, Reflection};
use crate::control::endpoint::{Control, Ended, OnEvent, Work, unix_ms, unix_s};
use crate::control::keeper::Keeper;
use crate::control::outside::{BackendError, OutsideOptions, Sources};
use crate::control::store::{StoreError, StoreOptions};
use crate::control::unigrpc::UniGrpc;
use crate::control::webhook::{Webhook, WebhookError, WebhookOptions};
use crate::engine::accept::{self, ListenOn, Listener};
use crate::engine::boot::{self, Boot, Clock, Driver, DriverChoice, ParkingChoice};
use crate::ids::{ClientId, ShardId};
use crate::mesh::{Endpoint, mesh};
use crate::messages::Message;
use crate::session::{IdKeys, UserHasher};
use crate::shard::admission::{Admission, AdmissionOptions};
use crate::shard::directory::Directory;
use crate::shard::{Setup, Synthetic};

/// Slots of one ring between two threads: more messages than a shard answers between two looks
/// at its rings. 160 bytes each.
const RING_SLOTS: usize = 256;

/// Messages that may wait for a full ring, per pair; beyond it a message is refused and its
/// question answered `partial`.
const OVERFLOW_MAX: usize = 16 * 1024;

/// How the node is laid out.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Shards; 0 is one per core this process may use.
    pub shards: usize,
    /// Whether each shard stays on a core of its own.
    pub pin_to_cores: bool,
    /// Which drivers may be tried.
    pub driver: DriverChoice,
    /// How idle sockets wait.
    pub parking: ParkingChoice,
    /// Entries of each submission queue.
    pub ring_entries: u32,
    /// Milliseconds a question to other shards may take.
    pub query_timeout_ms: u64,
    /// How long the goodbye may take.
    pub shutdown_timeout: Duration,
    /// Where to listen.
    pub listen: Vec<ListenOn>,
    /// The unidirectional gRPC stream, when it is on.
    pub uni_grpc: Option<GrpcListen>,
    /// The server API over gRPC, when it is on.
    pub grpc_api: Option<GrpcApiListen>,
    /// Node-wide ceilings.
    pub admission: AdmissionOptions,
    /// Where rules are kept.
    pub store: StoreOptions,
    /// Who is asked about clients.
    pub outside: OutsideOptions,
    /// Who is told what happens to sessions, when somebody is.
    pub webhook: Option<WebhookOptions>,
    /// Sessions without a client to fill the shards with: for load tests.
    pub synthetic: Synthetic,
}

/// Where gRPC is served, and how much of it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GrpcListen {
    /// Address and port.
    pub address: SocketAddr,
    /// Bytes of the longest message a client may send; a longer one is refused.
    pub message_bytes_max: usize,
}

/// Where and how the server API is served over gRPC.
#[derive(Clone, PartialEq, Eq)]
pub struct GrpcApiListen {
    /// Where.
    pub listen: GrpcListen,
    /// What a caller must show; empty asks for nothing.
    pub key: String,
    /// How errors of commands are told.
    pub errors: Errors,
    /// Whether callers may ask what there is.
    pub reflection: Reflection,
}

impl std::fmt::Debug for GrpcApiListen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcApiListen").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Why a server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// The option that chose its port.
        option: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
    /// A shard found no driver to run on.
    #[error("shard {shard} cannot start: {cause}")]
    Shard {
        /// Which one.
        shard: ShardId,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// What must outlive the process cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A backend cannot be asked.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A backend cannot be told what happens to sessions.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The control thread could not be set up.
    #[error("the control thread cannot start: {0}")]
    Control(#[source] io::Error),
    /// Sessions were left when the time for the goodbye was over.
    #[error("shutdown did not finish within {0:?}")]
    ShutdownTimedOut(Duration),
    /// A second signal came during the goodbye.
    #[error("a second signal ended the goodbye early")]
    Interrupted,
}

/// A running node.
#[derive(Debug)]
pub struct Server {
    shards: Shards,
    control: Control,
    addresses: Vec<SocketAddr>,
    grpc_address: Option<SocketAddr>,
    grpc_api_address: Option<SocketAddr>,
    shutdown_timeout: Duration,
}

/// The threads of the shards.
#[derive(Debug, Default)]
struct Shards {
    threads: Vec<JoinHandle<()>>,
    /// Each lets one shard accept.
    begin: Vec<mpsc::Sender<()>>,
    drivers: Vec<Driver>,
}

/// Sets a node up: returns when every shard listens. Connections wait in the kernel until
/// [`Server::run`].
///
/// # Errors
/// The first thing that could not be set up; nothing is left running then but threads that end
/// with the process.
///
/// # Panics
/// If the mesh has not one endpoint more than there are shards: our own mistake.
pub fn start(
    options: &ServerOptions,
    connection: &Options,
    on_event: Option<OnEvent>,
) -> Result<Server, ServerError> {
    let cores = cores();
    let shards = if options.shards == 0 { cores.len() } else { options.shards }
        .min(crate::limits::SHARDS_MAX);
    let mut listeners: Vec<Vec<Listener>> = (0..shards).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for on in &options.listen {
        let option = "http_server.port";
        let failed = |cause| ServerError::Listen { address: on.address, option, cause };
        let opened = accept::listen(on, shards).map_err(failed)?;
        addresses.push(opened[0].local_addr().map_err(failed)?);
        for (own, listener) in listeners.iter_mut().zip(opened) {
            own.push(listener);
        }
    }
    let uni_grpc = options.uni_grpc.as_ref().map(|on| listen_uni_grpc(on, connection));
    let (uni_grpc, grpc_address) = uni_grpc.transpose()?.unzip();
    let grpc_api = options.grpc_api.as_ref().map(|on| listen_grpc_api(on, options, connection));
    let (grpc_api, grpc_api_address) = grpc_api.transpose()?.unzip();
    let mut endpoints = mesh::<Message>(shards + 1, RING_SLOTS, OVERFLOW_MAX);
    let mesh = endpoints.pop().expect("one more endpoint than shards");
    let shutdown_timeout = options.shutdown_timeout;
    let plan = Plan { options, cores: &cores, clock: Clock::start(), watched: on_event.is_some() };
    let rules = Arc::new(Rules::default());
    let node_uid = node_uid()?;
    let of = (Arc::clone(&rules), shards);
    let keeper = Keeper::open(options.store.clone(), of, (&node_uid, unix_s()))?;
    let setups = setups(&plan, connection, (&rules, &node_uid), shards)?;
    let sources = Sources::new(options.outside.clone(), connection.token.jwks.clone())?;
    let webhook = options.webhook.clone();
    let webhook = webhook.map(|webhook| Webhook::open(webhook, (&node_uid, unix_ms()), shards));
    let webhook = webhook.transpose()?;
    let control = Control::new(Work {
        mesh,
        on_event,
        shutdown_timeout,
        uni_grpc,
        grpc_api,
        keeper,
        sources,
        webhook,
    });
    let control = control.map_err(ServerError::Control)?;
    let shards = spawn_shards(&plan, setups, endpoints, listeners)?;
    Ok(Server { shards, control, addresses, grpc_address, grpc_api_address, shutdown_timeout })
}

fn listen_uni_grpc(
    on: &GrpcListen,
    connection: &Options,
) -> Result<(UniGrpc, SocketAddr), ServerError> {
    let (listener, address) = listen_grpc(on, "uni_grpc.port")?;
    let request_timeout = Duration::from_millis(connection.stale_close_ms);
    let shown = connection.shown.metadata.clone();
    let message_bytes_max = on.message_bytes_max;
    Ok((UniGrpc { listener, message_bytes_max, request_timeout, shown }, address))
}

/// What a shard may need beyond the time in which other shards answer it.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

fn listen_grpc_api(
    on: &GrpcApiListen,
    options: &ServerOptions,
    connection: &Options,
) -> Result<(GrpcApi, SocketAddr), ServerError> {
    let (listener, address) = listen_grpc(&on.listen, "grpc_api.port")?;
    let options = api::Options {
        key: on.key.clone(),
        errors: on.errors,
        reflection: on.reflection,
        message_bytes_max: on.listen.message_bytes_max,
        request_timeout: Duration::from_millis(connection.stale_close_ms),
        answer_timeout: Duration::from_millis(options.query_timeout_ms) + ANSWER_SLACK,
    };
    Ok((GrpcApi { listener, options }, address))
}

fn listen_grpc(
    on: &GrpcListen,
    option: &'static str,
) -> Result<(TcpListener, SocketAddr), ServerError> {
    let address = on.address;
    let failed = |cause| ServerError::Listen { address, option, cause };
    let listener = accept::listen_alone(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl Server {
    /// The addresses it listens on, in the order they were asked for.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address it speaks gRPC on, when it does.
    #[must_use]
    pub const fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc_address
    }

    /// The address it serves the API over gRPC on, when it does.
    #[must_use]
    pub const fn grpc_api_address(&self) -> Option<SocketAddr> {
        self.grpc_api_address
    }

    /// Which driver each shard runs on.
    #[must_use]
    pub fn drivers(&self) -> &[Driver] {
        &self.shards.drivers
    }

    /// Serves until a signal, then says goodbye.
    ///
    /// # Errors
    /// The goodbye took too long.
    pub fn run(self) -> Result<(), ServerError> {
        let Self { shards: Shards { threads, begin, .. }, control, shutdown_timeout, .. } = self;
        for begin in begin {
            // A shard that has ended took the process with it.
            let _ended = begin.send(());
        }
        match control.run() {
            Ended::TimedOut => return Err(ServerError::ShutdownTimedOut(shutdown_timeout)),
            Ended::Interrupted => return Err(ServerError::Interrupted),
            Ended::Drained => {}
        }
        for thread in threads {
            // A shard that panicked on its way out has been reported by its own thread.
            let _panicked = thread.join();
        }
        Ok(())
    }
}

struct Plan<'a> {
    options: &'a ServerOptions,
    cores: &'a [usize],
    clock: Clock,
    watched: bool,
}

fn setups(
    plan: &Plan<'_>,
    options: &Options,
    (rules, node_uid): (&Arc<Rules>, &str),
    shards: usize,
) -> Result<Vec<Setup>, ServerError> {
    let directory = Arc::new(Directory::new());
    let admission = Arc::new(Admission::new(plan.options.admission, shards));
    let hasher = UserHasher::new(random_words()?);
    let keys = IdKeys::new(random_bytes()?);
    let started = plan.clock.now();
    (0..shards)
        .map(|index| {
            Ok(Setup {
                id: ShardId::new(index),
                shards,
                options: options.clone(),
                directory: Arc::clone(&directory),
                admission: Arc::clone(&admission),
                rules: Arc::clone(rules),
                hasher: hasher.clone(),
                keys: keys.clone(),
                seed: random_bytes()?,
                node_uid: node_uid.to_owned(),
                query_timeout_ms: plan.options.query_timeout_ms,
                watched: plan.watched,
                started,
                synthetic: plan.options.synthetic,
            })
        })
        .collect()
}

fn spawn_shards(
    plan: &Plan<'_>,
    setups: Vec<Setup>,
    endpoints: Vec<Endpoint<Message>>,
    listeners: Vec<Vec<Listener>>,
) -> Result<Shards, ServerError> {
    let mut spawned = Shards::default();
    let mut reports = Vec::new();
    for ((setup, mesh), listeners) in setups.into_iter().zip(endpoints).zip(listeners) {
        let shard = setup.id;
        let core = plan.options.pin_to_cores.then(|| plan.cores[shard.index() % plan.cores.len()]);
        let (go, begin) = mpsc::channel();
        let boot = Boot {
            core,
            driver: plan.options.driver,
            parking: plan.options.parking,
            ring_entries: plan.options.ring_entries,
            listeners,
            mesh,
            clock: plan.clock,
            begin,
        };
        let (report, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(format!("shard-{shard}"))
            .spawn(move || run_shard(setup, boot, &report))
            .map_err(|cause| ServerError::Shard { shard, cause })?;
        spawned.threads.push(thread);
        spawned.begin.push(go);
        reports.push((shard, started));
    }
    for (shard, started) in reports {
        let report = started.recv().unwrap_or_else(|_| Err(io::Error::other("it panicked")));
        spawned.drivers.push(report.map_err(|cause| ServerError::Shard { shard, cause })?);
    }
    Ok(spawned)
}

/// A shard's thread. A shard that ends unasked takes the process with it: a node that silently
/// lacks a part of its sessions would answer wrongly.
fn run_shard(setup: Setup, boot: Boot, report: &mpsc::Sender<io::Result<Driver>>) {
    let shard = setup.id;
    let mut is_running = false;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        boot::run(setup, boot, |started| {
            is_running = started.is_ok();
            let told = match started {
                Ok(driver) => Ok(*driver),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // Nobody waits any more when another shard failed first.
            let _unheard = report.send(told);
        })
    }));
    let why = match outcome {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it panicked".to_owned(),
    };
    if is_running {
        tracing::error!(%shard, why, "a shard ended: the node stops rather than answer wrongly");
        std::process::exit(70);
    }
}

/// The cores this process may run on, in order.
fn cores() -> Vec<usize> {
    let fallback = || {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        (0..count).collect()
    };
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return fallback() };
    let allowed: Vec<usize> =
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    if allowed.is_empty() { fallback() } else { allowed }
}

fn random_bytes() -> Result<[u8; 32], ServerError> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| ServerError::Random(error.to_string()))?;
    Ok(bytes)
}

fn random_words() -> Result<[u64; 4], ServerError> {
    let bytes = random_bytes()?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(std::array::from_fn(|at| u64::from_le_bytes(words[at])))
}

/// A random UUID of version 4 (RFC 9562 §5.4) that names this run of this node.
fn node_uid() -> Result<String, ServerError> {
    let random = random_bytes()?;
    let mut bytes: [u8; 16] = std::array::from_fn(|at| random[at]);
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    Ok(ClientId(bytes).to_string())
}
