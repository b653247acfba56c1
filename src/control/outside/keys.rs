//! The published keys of identity providers: fetched when a token needs one that is not here, and
//! again when they have grown old. Whoever asks for what cannot be fetched now hears so at once.
//!
//! ```text
//!                 needed                 keys came
//!   not asked ──────────────▶ asked ──────────────────▶ fetched ──a key is needed that is not among
//!       ▲                    ▲     │                    │    ▲    them: after COOLDOWN, or when they
//!       │                    └─────│────────────────────┘    │    are old──▶ asked
//!       └──after PAUSE── failed ◀──┘ (keys that came before stay)
//! ```
//!
//! A key is said not to exist only when its address has been asked since somebody first needed it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};

use super::backend::BackendError;
use super::complaints::Complaints;
use super::http::{HttpClient, HttpError, Version};
use super::tls::TlsOptions;
use crate::auth::{Jwks, KeyNeeded, KeySearch, KeySet, KeySetFault};
use crate::messages::Finding;

/// How long one attempt may take, and how many there are (Centrifugo v6).
const ATTEMPT_MAX: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 2;

/// How long a fetch takes at most, once it is its turn.
pub const KEY_SEARCH_MAX: Duration = Duration::from_secs(2);

/// Bytes of the longest set of keys; a longer one is a failure.
const SET_BYTES_MAX: usize = 512 * 1024;

/// Addresses that are known at once. Beyond it those that never answered are forgotten; when all
/// have, whoever needs another is refused for now.
const ADDRESSES_MAX: usize = 256;

/// Fetches at once; more wait for their turn.
const FETCHES_MAX: usize = 16;

/// How long after a fetch nobody is asked for a key that is not among what came: tokens that name
/// keys at random are no reason to ask (`tokens_of_unknown_keys_are_no_flood_for_the_provider`).
const COOLDOWN: Duration = Duration::from_secs(5);

/// How long after a failure nobody is asked.
const PAUSE: Duration = Duration::from_secs(1);

/// Keys of one address that are known not to exist; beyond it the oldest is asked for again.
const ABSENT_MAX: usize = 64;

/// How often it is looked whether keys have grown old.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Fetches keys, and puts them where every shard finds them.
pub(super) struct KeyFetcher {
    jwks: Jwks,
    client: HttpClient,
    addresses: RefCell<HashMap<Box<str>, Address>>,
    turns: Semaphore,
    complaints: Complaints,
}

/// What is known of one address.
#[derive(Default)]
struct Address {
    /// When its keys last came.
    fetched: Option<Instant>,
    /// When it failed, if it has since.
    failed: Option<Instant>,
    /// Keys that were needed and were not among what came.
    absent: VecDeque<Box<str>>,
    /// Closed when the fetch under way has ended.
    fetch: Option<watch::Receiver<()>>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("this is no URL")]
    Address,
    #[error("no answer in time")]
    Late,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("{0}")]
    Set(#[from] KeySetFault),
}

impl std::fmt::Debug for KeyFetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFetcher").field("jwks", &self.jwks).finish_non_exhaustive()
    }
}

impl KeyFetcher {
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn new(jwks: Jwks) -> Result<Self, BackendError> {
        let tls = jwks.endpoint.is_https().then(TlsOptions::default);
        let client = client(tls.as_ref())?;
        Ok(Self {
            jwks,
            client,
            addresses: RefCell::default(),
            turns: Semaphore::new(FETCHES_MAX),
            complaints: Complaints::default(),
        })
    }

    /// Looks for a key. The fetch goes on when nobody waits for it any more.
    pub(super) async fn find(self: &Rc<Self>, needed: &KeyNeeded) -> Finding {
        let KeyNeeded { address, id } = needed;
        if self.jwks.ring.has(address, id) {
            return Finding::Key(KeySearch::Found);
        }
        let fetch = self.join(needed);
        let has_asked = fetch.is_some();
        if let Some(mut fetch) = fetch {
            // It ends with its sender.
            while fetch.changed().await.is_ok() {}
        }
        if self.jwks.ring.has(address, id) {
            return Finding::Key(KeySearch::Found);
        }
        let addresses = self.addresses.borrow();
        match addresses.get(address) {
            Some(known) if known.failed.is_some() && has_asked => Finding::Nothing,
            Some(known) if known.failed.is_none() && known.absent.contains(id) => {
                Finding::Key(KeySearch::Unknown)
            }
            Some(_) | None => Finding::NotAsked,
        }
    }

    /// Fetches the keys that every token needs, then whatever has grown old. Never ends.
    pub(super) async fn keep_fresh(self: Rc<Self>) {
        if let Some(address) = self.jwks.endpoint.fixed() {
            self.begin(
                self.addresses.borrow_mut().entry(address.into()).or_default(),
                address,
                None,
            );
        }
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL.min(self.jwks.age_max));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            sweep.tick().await;
            for (address, known) in self.addresses.borrow_mut().iter_mut() {
                let is_old = known.fetched.is_some_and(|at| at.elapsed() >= self.jwks.age_max);
                if is_old && known.fetch.is_none() {
                    self.begin(known, address, None);
                }
            }
        }
    }

    /// The fetch that a key must wait for; none when nobody is asked now.
    fn join(self: &Rc<Self>, needed: &KeyNeeded) -> Option<watch::Receiver<()>> {
        let KeyNeeded { address, id } = needed;
        let mut addresses = self.addresses.borrow_mut();
        if let Some(known) = addresses.get_mut(address) {
            if known.fetch.is_some() {
                return known.fetch.clone();
            }
            if known.rests(self.jwks.age_max) {
                return None;
            }
            known.absent.retain(|absent| absent != id);
        } else if !has_room(&mut addresses) {
            self.complain(address, "too many addresses");
            return None;
        }
        Some(self.begin(addresses.entry(address.clone()).or_default(), address, Some(id)))
    }

    /// Asks an address, perhaps for the sake of one key.
    fn begin(
        self: &Rc<Self>,
        known: &mut Address,
        address: &str,
        wanted: Option<&str>,
    ) -> watch::Receiver<()> {
        let (ends, fetch) = watch::channel(());
        known.fetch = Some(fetch.clone());
        let (fetcher, address) = (Rc::clone(self), Box::<str>::from(address));
        let wanted = wanted.map(Box::<str>::from);
        tokio::task::spawn_local(async move {
            let fetched = fetcher.fetch(&address).await;
            fetcher.note(&address, wanted, fetched);
            drop(ends);
        });
        fetch
    }

    async fn fetch(&self, address: &str) -> Result<KeySet, FetchError> {
        let _turn = self.turns.acquire().await.expect("nobody closes it");
        let mut last = FetchError::Late;
        for _ in 0..ATTEMPTS {
            match ask(&self.client, address).await {
                Ok(set) => return Ok(set),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn note(&self, address: &str, wanted: Option<Box<str>>, fetched: Result<KeySet, FetchError>) {
        let mut addresses = self.addresses.borrow_mut();
        let known = addresses.get_mut(address).expect("one that is asked is not forgotten");
        known.fetch = None;
        match fetched {
            Ok(set) => {
                let ring = &self.jwks.ring;
                ring.put(address, set);
                if known.failed.take().is_some() {
                    tracing::info!(address, "the keys of tokens can be fetched again");
                }
                known.fetched = Some(Instant::now());
                known.absent.retain(|id| !ring.has(address, id));
                known.absent.extend(wanted.filter(|id| !ring.has(address, id)));
                if known.absent.len() > ABSENT_MAX {
                    known.absent.pop_front();
                }
            }
            Err(why) => {
                known.failed = Some(Instant::now());
                self.complain(address, &why.to_string());
            }
        }
    }

    fn complain(&self, address: &str, why: &str) {
        if let Some(untold) = self.complaints.is_due(Instant::now()) {
            tracing::warn!(address, untold, why, "the keys of tokens cannot be fetched");
        }
    }
}

impl Address {
    /// Whether nobody is asked now.
    fn rests(&self, age_max: Duration) -> bool {
        let is_within =
            |since: Option<Instant>, pause| since.is_some_and(|at| at.elapsed() < pause);
        is_within(self.failed, PAUSE) || is_within(self.fetched, COOLDOWN.min(age_max))
    }
}

/// Whether one more address may be known, perhaps in the place of one that never answered.
fn has_room(addresses: &mut HashMap<Box<str>, Address>) -> bool {
    if addresses.len() < ADDRESSES_MAX {
        return true;
    }
    let useless =
        addresses.iter().find(|(_, known)| known.fetch.is_none() && known.fetched.is_none());
    let useless = useless.map(|(address, _)| address.clone());
    useless.is_some_and(|address| addresses.remove(&address).is_some())
}

/// Fetches the keys of one address, and waits for them: for the command line.
///
/// # Errors
/// Why there are none, for a person.
pub fn fetch_keys(address: &str) -> Result<KeySet, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| why.to_string())?;
    let tls = address.starts_with("https:").then(TlsOptions::default);
    let client = client(tls.as_ref()).map_err(|why| why.to_string())?;
    runtime.block_on(ask(&client, address)).map_err(|why| why.to_string())
}

async fn ask(client: &HttpClient, address: &str) -> Result<KeySet, FetchError> {
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = address.parse::<Uri>().map_err(|_why| FetchError::Address)?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = timeout(ATTEMPT_MAX, client.ask(request)).await;
    let answer = answer.map_err(|_elapsed| FetchError::Late)??;
    match answer.status {
        StatusCode::OK => Ok(KeySet::parse(&answer.body)?),
        other => Err(FetchError::Status(other)),
    }
}

fn client(tls: Option<&TlsOptions>) -> Result<HttpClient, BackendError> {
    HttpClient::new(Version::One, tls, SET_BYTES_MAX)
        .map_err(|why| BackendError::Tls { section: "client.token.jwks_public_endpoint", why })
}
