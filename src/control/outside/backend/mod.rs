//! A backend that is asked about clients: how many questions it gets at once, how long it may take,
//! what its answers mean, and when it is left alone.

mod ways;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Uri};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tonic::Code;

use self::ways::Way;
use super::breaker::{Breaker, BreakerOptions, Turned};
use super::complaints::Complaints;
use super::http::{HttpAnswer, HttpClient, Version};
use super::tls::{TlsError, TlsOptions};
use crate::limits::LabelLimits;
use crate::messages::Finding;
use crate::proxy::{
    AnswerError, CarriedNames, ConnectQuestion, DataForm, Denied, Question, RefreshQuestion,
};
use crate::transport::grpc;

/// What an operator said of a backend.
#[derive(Clone)]
pub struct BackendOptions {
    /// The section of the configuration that says it.
    pub section: &'static str,
    /// Its URL: `http://`, `https://`, or `grpc://`, which may be left out.
    pub endpoint: String,
    /// How long it may take, its turn included.
    pub timeout: Duration,
    /// What it is shown of a client's request.
    pub shown: CarriedNames,
    /// How a client's data is sent.
    pub form: DataForm,
    /// HTTP statuses that are refusals.
    pub refusals: Vec<(u16, Denied)>,
    /// What is said of it if it speaks HTTP.
    pub http: WayOptions,
    /// What is said of it if it speaks gRPC.
    pub grpc: WayOptions,
    /// Questions at once; more wait for their turn.
    pub concurrency_max: usize,
    /// Questions that may wait for their turn.
    pub waiting_max: usize,
    /// Bytes of the longest answer.
    pub answer_bytes_max: usize,
    /// When it is left alone.
    pub breaker: BreakerOptions,
    /// What labels may be.
    pub labels: LabelLimits,
}

/// How a backend is asked in one of the ways there are.
#[derive(Clone, Default)]
pub struct WayOptions {
    /// Headers that go with every question.
    pub added: Vec<(String, String)>,
    /// TLS, when something is said of it.
    pub tls: Option<TlsOptions>,
}

/// Headers that are added may be keys.
impl std::fmt::Debug for BackendOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendOptions").field("section", &self.section).finish_non_exhaustive()
    }
}

/// Why a backend cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Its URL is none.
    #[error("{section}.endpoint is no URL such as http://backend:3000/path")]
    Endpoint {
        /// Of which backend.
        section: &'static str,
    },
    /// The same, of one that may be asked over gRPC too.
    #[error(
        "{section}: expected an endpoint such as http://backend:3000/path or grpc://backend:3000"
    )]
    Proxy {
        /// Of which backend.
        section: &'static str,
    },
    /// A header that goes with every request is none.
    #[error("{section}: `{name}` or its value can be no header")]
    Header {
        /// Of which backend.
        section: &'static str,
        /// Its name.
        name: String,
    },
    /// TLS cannot be set up.
    #[error("{section}: {why}")]
    Tls {
        /// For which backend.
        section: &'static str,
        /// Why.
        why: TlsError,
    },
}

/// Reads the URL of a backend.
///
/// # Errors
/// It is none.
pub(in crate::control) fn endpoint(section: &'static str, text: &str) -> Result<Uri, BackendError> {
    let no_url = BackendError::Endpoint { section };
    let Ok(endpoint) = text.parse::<Uri>() else { return Err(no_url) };
    let scheme = endpoint.scheme_str().unwrap_or_default();
    let is_url = matches!(scheme, "http" | "https") && endpoint.authority().is_some();
    // Who may ask would stand in every log: static headers are the place for that.
    if !is_url || endpoint.authority().is_some_and(|host| host.as_str().contains('@')) {
        return Err(no_url);
    }
    Ok(endpoint)
}

/// What a backend at this URL is asked with; `https` has TLS without being told.
///
/// # Errors
/// TLS cannot be set up.
pub(in crate::control) fn client(
    version: Version,
    (section, endpoint): (&'static str, &Uri),
    tls: Option<&TlsOptions>,
    answer_bytes_max: usize,
) -> Result<HttpClient, BackendError> {
    let is_secure = endpoint.scheme_str() == Some("https");
    let said = tls.cloned().or_else(|| is_secure.then(TlsOptions::default));
    HttpClient::new(version, said.as_ref(), answer_bytes_max)
        .map_err(|why| BackendError::Tls { section, why })
}

/// A backend.
pub(super) struct Backend {
    options: BackendOptions,
    way: Way,
    /// Headers that go with every question.
    added: Vec<(String, String)>,
    endpoint: Uri,
    client: HttpClient,
    turns: Semaphore,
    waiting: Cell<usize>,
    breaker: RefCell<Breaker>,
    complaints: Complaints,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// It was not put.
    #[error("too many wait")]
    Crowded,
    /// It was not put, and nobody need hear of it: everybody has heard.
    #[error("left alone")]
    LeftAlone,
    /// It cannot be put.
    #[error("{0}")]
    Unsaid(String),
    /// The backend did not answer.
    #[error("{0}")]
    Unanswered(String),
    /// The answer makes no sense.
    #[error("{0}")]
    Senseless(#[from] AnswerError),
    /// The status is neither success nor a refusal that was agreed on.
    #[error("status {0}")]
    Status(StatusCode),
    /// The same, over gRPC.
    #[error("gRPC status {0:?}")]
    Code(Code),
}

/// An answer, or a refusal by the status.
enum Heard {
    Body(Bytes),
    Denied(Denied),
}

impl Backend {
    /// # Errors
    /// Why it cannot be asked.
    pub(super) fn new(options: BackendOptions) -> Result<Self, BackendError> {
        let section = options.section;
        let (way, endpoint) = Way::to(&options)?;
        let WayOptions { added, tls } = match way {
            Way::Http => options.http.clone(),
            Way::Grpc => options.grpc.clone(),
        };
        let at = (section, &endpoint);
        let client = client(way.version(), at, tls.as_ref(), options.answer_bytes_max)?;
        Ok(Self {
            way,
            added,
            endpoint,
            client,
            turns: Semaphore::new(options.concurrency_max),
            waiting: Cell::new(0),
            breaker: RefCell::new(Breaker::new(options.breaker)),
            complaints: Complaints::default(),
            options,
        })
    }

    /// Who a client is.
    pub(super) async fn connect(&self, question: ConnectQuestion) -> Finding {
        self.find(self.ask(&question).await.map(Finding::Connect))
    }

    /// Whether a session goes on.
    pub(super) async fn refresh(&self, question: RefreshQuestion) -> Finding {
        self.find(self.ask(&question).await.map(Finding::Refresh))
    }

    fn find(&self, found: Result<Finding, Failed>) -> Finding {
        match found {
            Ok(finding) => finding,
            Err(Failed::LeftAlone) => Finding::NotAsked,
            Err(failed) => {
                self.complain(&failed);
                match failed {
                    Failed::Crowded | Failed::Unsaid(_) => Finding::NotAsked,
                    Failed::LeftAlone
                    | Failed::Unanswered(_)
                    | Failed::Senseless(_)
                    | Failed::Status(_)
                    | Failed::Code(_) => Finding::Nothing,
                }
            }
        }
    }

    /// Puts a question and reads the answer.
    async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Answer, Failed> {
        let (form, limits) = (self.options.form, self.options.labels);
        match self.way {
            Way::Http => {
                let body = question.json(form);
                let body = body.map_err(|error| Failed::Unsaid(error.to_string()))?;
                let request = self.request(body, question.carried());
                match self.post(request, Self::heard).await? {
                    Heard::Denied(denied) => Ok(denied.into()),
                    Heard::Body(body) => Ok(question.read_json(&body, limits)?),
                }
            }
            Way::Grpc => {
                let mut body = Vec::new();
                let message = question.protobuf(form);
                grpc::message(&mut body, |out| out.extend_from_slice(&message));
                let request = self.call(Q::METHOD, body, question.carried());
                match self.post(request, Self::heard_call).await? {
                    Heard::Denied(denied) => Ok(denied.into()),
                    Heard::Body(body) => Ok(question.read_protobuf(&body, limits)?),
                }
            }
        }
    }

    /// Puts a question when it is its turn.
    async fn post(
        &self,
        request: Request<Full<Bytes>>,
        read: impl FnOnce(&Self, &HttpAnswer) -> Result<Heard, Failed>,
    ) -> Result<Heard, Failed> {
        let deadline = Instant::now() + self.options.timeout;
        if !self.breaker.borrow().may_admit(Instant::now().into_std()) {
            return Err(Failed::LeftAlone);
        }
        let _turn = self.wait_for_turn(deadline).await?;
        if !self.breaker.borrow_mut().admits(Instant::now().into_std()) {
            return Err(Failed::LeftAlone);
        }
        let mut outcome = Outcome { backend: self, is_told: false };
        let answer = match tokio::time::timeout_at(deadline, self.client.ask(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(outcome.failed(error.to_string())),
            Err(_elapsed) => return Err(outcome.failed("no answer in time".to_owned())),
        };
        match read(self, &answer) {
            Err(Failed::Unanswered(why)) => Err(outcome.failed(why)),
            heard => {
                outcome.succeeded();
                heard
            }
        }
    }

    async fn wait_for_turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Failed> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let _in_line = InLine::join(&self.waiting, self.options.waiting_max)?;
        let turn = tokio::time::timeout_at(deadline, self.turns.acquire()).await;
        turn.map(|turn| turn.expect("nobody closes it")).map_err(|_elapsed| Failed::Crowded)
    }

    /// Tells whoever reads the log, without a word of what was asked or answered.
    fn complain(&self, failed: &Failed) {
        if let Some(untold) = self.complaints.is_due(Instant::now()) {
            let backend = self.options.section;
            tracing::warn!(backend, untold, why = %failed, "a backend was of no help");
        }
    }

    fn note(&self, turned: Turned) {
        let backend = self.options.section;
        match turned {
            Turned::No => {}
            Turned::Off => tracing::warn!(
                backend,
                "a backend does not answer: it is left alone for a while, and whoever needs it is \
                 refused for now"
            ),
            Turned::On => tracing::info!(backend, "a backend answers again"),
        }
    }
}

/// A question that waits for its turn.
struct InLine<'b>(&'b Cell<usize>);

impl<'b> InLine<'b> {
    fn join(waiting: &'b Cell<usize>, waiting_max: usize) -> Result<Self, Failed> {
        if waiting.get() >= waiting_max {
            return Err(Failed::Crowded);
        }
        waiting.set(waiting.get() + 1);
        Ok(Self(waiting))
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A question on its way. Dropped without an outcome, its client has left.
struct Outcome<'b> {
    backend: &'b Backend,
    is_told: bool,
}

impl Outcome<'_> {
    fn succeeded(&mut self) {
        self.is_told = true;
        let turned = self.backend.breaker.borrow_mut().succeeded();
        self.backend.note(turned);
    }

    fn failed(&mut self, why: String) -> Failed {
        self.is_told = true;
        let turned = self.backend.breaker.borrow_mut().failed(Instant::now().into_std());
        self.backend.note(turned);
        Failed::Unanswered(why)
    }
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.backend.breaker.borrow_mut().abandoned(Instant::now().into_std());
        }
    }
}
