//! What shards ask of the outside: each inquiry is a task of this thread, until it is answered or
//! nobody waits for it any more.
//!
//! Used by `control`; `server` says who can be asked.

mod backend;
mod breaker;
mod complaints;
mod http;
mod keys;
mod tls;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use self::backend::{BackendError, BackendOptions, WayOptions};
pub(super) use self::backend::{client, endpoint};
pub use self::breaker::BreakerOptions;
pub(super) use self::complaints::Complaints;
pub(super) use self::http::{HttpClient, Version};
pub use self::keys::{KEY_SEARCH_MAX, fetch_keys};
pub use self::tls::{TlsError, TlsOptions};

use self::backend::Backend;
use self::keys::KeyFetcher;
use crate::auth::Jwks;
use crate::ids::InquiryId;
use crate::messages::{Finding, Inquiry, Message};

/// Who is asked; nobody by default.
#[derive(Clone, Default, Debug)]
pub struct OutsideOptions {
    /// Who a client is that brings no token.
    pub connect: Option<BackendOptions>,
    /// Whether a session whose time is over goes on.
    pub refresh: Option<BackendOptions>,
}

/// Who is asked, ready to be.
#[derive(Debug)]
pub struct Sources {
    connect: Option<Backend>,
    refresh: Option<Backend>,
    keys: Option<KeyFetcher>,
}

impl Sources {
    /// Those of the options, and whoever publishes the keys of tokens.
    ///
    /// # Errors
    /// Somebody cannot be asked.
    pub fn new(options: OutsideOptions, jwks: Option<Jwks>) -> Result<Self, BackendError> {
        let keys = jwks.map(KeyFetcher::new).transpose()?;
        let OutsideOptions { connect, refresh } = options;
        let [connect, refresh] =
            [connect, refresh].map(|asked| asked.map(Backend::new).transpose());
        Ok(Self { connect: connect?, refresh: refresh?, keys })
    }
}

/// Who can be asked.
struct Sought {
    connect: Option<Backend>,
    refresh: Option<Backend>,
    keys: Option<Rc<KeyFetcher>>,
}

impl Sought {
    async fn find(&self, about: Inquiry) -> Finding {
        match about {
            Inquiry::Connect(question) => match &self.connect {
                Some(backend) => backend.connect(*question).await,
                None => Finding::NotAsked,
            },
            Inquiry::Refresh(question) => match &self.refresh {
                Some(backend) => backend.refresh(*question).await,
                None => Finding::NotAsked,
            },
            Inquiry::Key(needed) => match &self.keys {
                Some(keys) => keys.find(&needed).await,
                None => Finding::NotAsked,
            },
        }
    }
}

/// An inquiry, and the shard that made it.
type Name = (usize, InquiryId);

/// All inquiries of the node. Shards bound how many there are.
pub(super) struct Outside {
    sought: Rc<Sought>,
    running: HashMap<Name, AbortHandle>,
    /// What shards have not been told yet, oldest first.
    found: Rc<RefCell<VecDeque<(Name, Finding)>>>,
    /// Wakes whoever holds the mesh.
    news: Rc<Notify>,
}

impl Outside {
    /// To be called inside a `LocalSet`.
    pub(super) fn new(sources: Sources, news: Rc<Notify>) -> Self {
        let Sources { connect, refresh, keys } = sources;
        let keys = keys.map(Rc::new);
        if let Some(keys) = &keys {
            tokio::task::spawn_local(Rc::clone(keys).keep_fresh());
        }
        let sought = Rc::new(Sought { connect, refresh, keys });
        Self { sought, running: HashMap::new(), found: Rc::default(), news }
    }

    /// A shard wants to know something. To be called inside a `LocalSet`.
    pub(super) fn ask(&mut self, shard: usize, inquiry: InquiryId, about: Inquiry) {
        let name = (shard, inquiry);
        let (found, news) = (Rc::clone(&self.found), Rc::clone(&self.news));
        let sought = Rc::clone(&self.sought);
        let task = tokio::task::spawn_local(async move {
            let finding = sought.find(about).await;
            found.borrow_mut().push_back((name, finding));
            news.notify_one();
        });
        self.running.insert(name, task.abort_handle());
    }

    /// Nobody waits for it any more.
    pub(super) fn dismiss(&mut self, shard: usize, inquiry: InquiryId) {
        if let Some(task) = self.running.remove(&(shard, inquiry)) {
            task.abort();
        }
        self.shrink();
    }

    /// Tells shards what has been found; what finds no room is told later.
    pub(super) fn tell(&mut self, mut send: impl FnMut(usize, Message) -> Result<(), Message>) {
        let mut found = self.found.borrow_mut();
        for _ in 0..found.len() {
            let Some((name, finding)) = found.pop_front() else { break };
            let (shard, inquiry) = name;
            match send(shard, Message::Found { inquiry, finding }) {
                Ok(()) => drop(self.running.remove(&name)),
                Err(Message::Found { finding, .. }) => found.push_back((name, finding)),
                Err(_) => unreachable!("it comes back as it was sent"),
            }
        }
        drop(found);
        self.shrink();
    }

    /// Whether some shard had no room to be told.
    pub(super) fn has_to_tell(&self) -> bool {
        !self.found.borrow().is_empty()
    }

    /// After a storm the memory goes back.
    fn shrink(&mut self) {
        if self.running.is_empty() {
            self.running.shrink_to_fit();
        }
    }
}
