//! Sessions whose time is over and that a backend may let go on: it is asked, and the session stays
//! until it answers. While it cannot be asked the session goes on, for as long as the operator gives
//! it.

use std::collections::{HashMap, HashSet};

use rand::RngExt;

use super::Shard;
use super::conns::{NEVER, State};
use super::inquiries::Inquirer;
use super::timers::Tick;
use crate::auth::TTL_S_MAX;
use crate::connection::close::CloseReason;
use crate::connection::options::Choice;
use crate::ids::{ClientId, ConnId, SessionSlot};
use crate::messages::{Finding, Inquiry, Message, Peer};
use crate::protocol::{Encoding, codes};
use crate::proxy::{Carried, RefreshAnswer, RefreshQuestion, Renewed};
use crate::session::Protocol;
use crate::time::Now;

/// What is kept of sessions for their backend, by the places of their connections. Empty where no
/// backend is asked.
#[derive(Default, Debug)]
pub(super) struct Renewals {
    kept: HashMap<u32, Box<Kept>, ahash::RandomState>,
    /// Whose backend is being asked, and which have not been given another end since.
    asked: HashSet<u32, ahash::RandomState>,
}

/// What is kept of one session.
#[derive(Default, Debug)]
struct Kept {
    /// What its backend is shown of its client's request.
    carried: Carried,
    /// Since when it has gone on because its backend cannot be asked.
    overdue_since_ms: Option<u64>,
}

impl Renewals {
    /// The session at this place has ended.
    pub(super) fn forget(&mut self, index: u32) {
        self.asked.remove(&index);
        if !self.kept.is_empty() {
            self.kept.remove(&index);
            if self.kept.is_empty() {
                self.kept.shrink_to_fit();
            }
        }
    }

    /// It is known when the session at this place ends, or that it does not: what its backend says
    /// to an earlier question comes too late, and the next time it cannot be asked the grace is whole.
    pub(super) fn end_is_known(&mut self, index: u32) {
        self.asked.remove(&index);
        if let Some(kept) = self.kept.get_mut(&index) {
            kept.overdue_since_ms = None;
            if kept.carried.is_empty() {
                self.forget(index);
            }
        }
    }

    /// Whether nothing is kept.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.asked.is_empty()
    }
}

impl Shard {
    /// Keeps of a new session's request what its backend is shown later.
    pub(super) fn keep_for_refresh(&mut self, conn: ConnId, carried: &Carried) {
        let Some(proxy) = &self.options.refresh_proxy else { return };
        let carried = proxy.shown.only(carried);
        if !carried.is_empty() {
            let kept = Kept { carried, overdue_since_ms: None };
            self.renewals.kept.insert(conn.index, Box::new(kept));
        }
    }

    /// A session's time is over.
    pub(super) fn on_expired(&mut self, conn: ConnId, slot: SessionSlot, now: Now) {
        let Some(proxy) = &self.options.refresh_proxy else {
            return self.end_session(slot, &CloseReason::Expired, now);
        };
        let session = self.table.view(slot);
        let client = session.client();
        self.renewals.asked.insert(conn.index);
        let inquirer = Inquirer::Session { conn, client };
        let Some(inquiry) = self.inquiries.open(inquirer, now.mono_ms) else {
            return self.on_renewal((conn, client), Finding::NotAsked, now);
        };
        let kept = self.renewals.kept.get(&conn.index);
        let labels = session.labels().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let question = RefreshQuestion {
            client,
            transport: session.transport().name(),
            encoding: match session.protocol() {
                Protocol::Json => Encoding::Json,
                Protocol::Protobuf => Encoding::Protobuf,
            },
            user: session.user().to_owned(),
            meta: session.meta().filter(|_| proxy.meta == Choice::Allow).map(Into::into),
            labels: labels.collect(),
            carried: kept.map_or_else(Carried::default, |kept| kept.carried.clone()),
        };
        self.counters.inquiries += 1;
        let about = Inquiry::Refresh(Box::new(question));
        self.effects.message(Peer::Control, Message::Inquire { inquiry, about });
        self.set_end(conn, NEVER);
    }

    /// What a session's backend says, or that it cannot be asked. The session may have ended in the
    /// meantime, or been given another end.
    pub(super) fn on_renewal(
        &mut self,
        (conn, client): (ConnId, ClientId),
        finding: Finding,
        now: Now,
    ) {
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        let slot = live.slot;
        if self.table.view(slot).client() != client || !self.renewals.asked.remove(&conn.index) {
            return;
        }
        let answer = match finding {
            Finding::Refresh(answer) => answer,
            Finding::Nothing => {
                self.counters.inquiries_failed += 1;
                let after_ms = self.retry_ms();
                return self.go_on_unasked(conn, slot, after_ms, now);
            }
            Finding::NotAsked => {
                self.counters.inquiries_refused += 1;
                // Very many wait: they do not all come back at once.
                let retry_ms = self.retry_ms();
                let after_ms = self.rng.random_range(retry_ms / 8..=retry_ms);
                return self.go_on_unasked(conn, slot, after_ms, now);
            }
            Finding::Connect(_) | Finding::Key(_) => unreachable!("a session asks for a refresh"),
        };
        match answer {
            RefreshAnswer::GoesOn(renewed) if renewed.expire_at > now.unix_s() => {
                self.renew(conn, slot, *renewed, now);
            }
            RefreshAnswer::GoesOn(_) | RefreshAnswer::Ended => {
                self.end_session(slot, &CloseReason::Expired, now);
            }
            RefreshAnswer::Broken => {
                let told = CloseReason::Client(codes::INTERNAL_SERVER_ERROR);
                self.end_session(slot, &told, now);
            }
        }
    }

    fn renew(&mut self, conn: ConnId, slot: SessionSlot, renewed: Renewed, now: Now) {
        let Renewed { expire_at, meta, labels } = renewed;
        if meta.is_some() || labels.is_some() {
            self.change_told(slot, now, |table| {
                if let Some(meta) = &meta {
                    table.set_meta(slot, Some(meta));
                }
                if let Some(labels) = &labels {
                    table.set_labels(slot, labels);
                }
                true
            });
        }
        let ttl_s = expire_at.saturating_sub(now.unix_s()).min(TTL_S_MAX);
        let ttl_s = u32::try_from(ttl_s).expect("positive, and a year at most");
        self.set_expiry(conn, Some(ttl_s), now);
    }

    /// Its backend cannot be asked: it is asked again later, unless the session's grace is over.
    fn go_on_unasked(&mut self, conn: ConnId, slot: SessionSlot, after_ms: u64, now: Now) {
        let grace_ms = self.options.refresh_proxy.as_ref().map_or(0, |proxy| proxy.grace_ms);
        let kept = self.renewals.kept.entry(conn.index).or_default();
        let since_ms = *kept.overdue_since_ms.get_or_insert(now.mono_ms);
        let left_ms = match grace_ms {
            0 => u64::MAX,
            _ => (since_ms + grace_ms).saturating_sub(now.mono_ms),
        };
        if left_ms == 0 {
            return self.end_session(slot, &CloseReason::Expired, now);
        }
        self.set_end(conn, Tick::at_or_after(now.mono_ms + after_ms.min(left_ms)));
    }

    fn retry_ms(&self) -> u64 {
        self.options.refresh_proxy.as_ref().map_or(0, |proxy| proxy.retry_ms)
    }
}
