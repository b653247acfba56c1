//! What shards ask of the outside: each inquiry is a task of this thread, until it is answered or
//! nobody waits for it any more.
//!
//! Used by `control`; `server` says who can be asked.

mod backend;
mod breaker;
mod http;
mod tls;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use self::backend::{BackendError, BackendOptions};
pub use self::breaker::BreakerOptions;
pub use self::tls::{TlsError, TlsOptions};

use self::backend::Backend;
use crate::ids::InquiryId;
use crate::messages::{Finding, Inquiry, Message};

/// Who is asked; nobody by default.
#[derive(Clone, Default, Debug)]
pub struct OutsideOptions {
    /// Who a client is that brings no token.
    pub connect: Option<BackendOptions>,
}

/// Who is asked, ready to be.
#[derive(Debug)]
pub struct Sources {
    connect: Option<Backend>,
}

impl Sources {
    /// # Errors
    /// Somebody cannot be asked.
    pub fn new(options: OutsideOptions) -> Result<Self, BackendError> {
        Ok(Self { connect: options.connect.map(Backend::new).transpose()? })
    }

    async fn find(&self, about: Inquiry) -> Finding {
        match (about, &self.connect) {
            (Inquiry::Connect(question), Some(backend)) => backend.connect(*question).await,
            (Inquiry::Connect(_), None) => Finding::NotAsked,
        }
    }
}

/// An inquiry, and the shard that made it.
type Name = (usize, InquiryId);

/// All inquiries of the node. Shards bound how many there are.
pub(super) struct Outside {
    sources: Rc<Sources>,
    running: HashMap<Name, AbortHandle>,
    /// What shards have not been told yet, oldest first.
    found: Rc<RefCell<VecDeque<(Name, Finding)>>>,
    /// Wakes whoever holds the mesh.
    news: Rc<Notify>,
}

impl Outside {
    pub(super) fn new(sources: Sources, news: Rc<Notify>) -> Self {
        Self { sources: Rc::new(sources), running: HashMap::new(), found: Rc::default(), news }
    }

    /// A shard wants to know something. To be called inside a `LocalSet`.
    pub(super) fn ask(&mut self, shard: usize, inquiry: InquiryId, about: Inquiry) {
        let name = (shard, inquiry);
        let (found, news) = (Rc::clone(&self.found), Rc::clone(&self.news));
        let sources = Rc::clone(&self.sources);
        let task = tokio::task::spawn_local(async move {
            let finding = sources.find(about).await;
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
