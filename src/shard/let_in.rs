//! ③ Who may come in now: the last look at the rules, a seat, and room made for it when the operator
//! wants the newest session of a user rather than the oldest.
//!
//! All that decides is asked in the turn that opens the session. Room is made in two steps: every
//! shard that may hold the user names its oldest session, then the oldest of all is ended where it
//! is. The seat it leaves is anybody's, so the connect tries again like any other: it never waits for
//! one that it was promised, and there are never more sessions than allowed.

use super::Shard;
use super::ask::Asked;
use super::gather::Asker;
use super::seats::Seat;
use crate::api::{DisconnectParams, Merged, Question, Selector};
use crate::connection::connect::Refused;
use crate::connection::opening::{Connecting, Waiting};
use crate::connection::options::WhenFull;
use crate::ids::ConnId;
use crate::protocol::codes::{self, Disconnect};
use crate::time::Now;

/// Sessions that one connect may put an end to, tries that others were faster at included. One
/// that is still not in is told to come back later: very many connects of one user come at once.
const TRIES_MAX: u8 = 100;

impl Shard {
    /// Lets a client in, refuses it, or has it wait for room.
    pub(super) fn let_in(&mut self, conn: ConnId, mut connecting: Connecting, now: Now) {
        let refused = loop {
            if !self.admission.has_room() {
                break Refused::Error(codes::ERROR_TOO_MANY_REQUESTS);
            }
            if connecting.tries == 0 && !self.admits_user(&connecting, now) {
                self.counters.connects_limited_by_user += 1;
                break Refused::Error(codes::ERROR_TOO_MANY_REQUESTS);
            }
            if self.fences.keep_out(&connecting.credentials, now.mono_ms) {
                self.counters.connects_fenced += 1;
                break Refused::Error(codes::ERROR_TOO_MANY_REQUESTS);
            }
            if let Some(told) = self.keep_out(&connecting.credentials.bearer(), now) {
                let is_blocked = told.code == codes::USER_BLOCKED.code;
                self.counters.connects_blocked += u64::from(is_blocked);
                self.counters.connects_revoked += u64::from(!is_blocked);
                break Refused::Disconnect(told);
            }
            if self.take_seat(&connecting) == Seat::Taken {
                return self.open_session(conn, connecting, now);
            }
            if self.options.when_full == WhenFull::Reject {
                break Refused::Disconnect(codes::CONNECTION_LIMIT);
            }
            if connecting.tries == TRIES_MAX {
                break Refused::Error(codes::ERROR_TOO_MANY_REQUESTS);
            }
            connecting.tries += 1;
            match self.name_oldest(conn, &connecting, now) {
                Asked::Answered(merged) => match self.end_oldest(conn, &connecting, &merged, now) {
                    Ok(Asked::Answered(_)) => {}
                    Ok(Asked::Waiting) => return self.wait_for_room(conn, connecting, now),
                    Err(refused) => break refused,
                },
                Asked::Waiting => return self.wait_for_room(conn, connecting, now),
            }
        };
        let Connecting { wire, caller, id, .. } = connecting;
        self.refuse_connect(conn, wire, &caller, (id, refused), now);
    }

    /// Whether this user may connect once more now. The anonymous user is nobody in particular.
    fn admits_user(&self, connecting: &Connecting, now: Now) -> bool {
        let user = connecting.credentials.user.as_str();
        user.is_empty() || self.admission.admits_user(self.hasher.hash(user), now.mono_ms).is_ok()
    }

    /// The anonymous user is nobody in particular and needs no seat.
    fn take_seat(&self, connecting: &Connecting) -> Seat {
        let credentials = &connecting.credentials;
        if credentials.user.is_empty() {
            return Seat::Taken;
        }
        let sessions_max = credentials.sessions_max.unwrap_or(self.options.user_sessions_max);
        self.admission.take_seat(self.hasher.hash(&credentials.user), sessions_max)
    }

    fn name_oldest(&mut self, conn: ConnId, connecting: &Connecting, now: Now) -> Asked {
        let user = connecting.credentials.user.as_str();
        let question = Question::Oldest { user: user.into(), hash: self.hasher.hash(user) };
        self.ask(&question, Asker::Connect { conn }, now)
    }

    /// Ends the oldest session that was named. When none was, everybody has left. When a shard did
    /// not say, an older one may be there, and nobody is sent away in its place.
    fn end_oldest(
        &mut self,
        conn: ConnId,
        connecting: &Connecting,
        named: &Merged,
        now: Now,
    ) -> Result<Asked, Refused> {
        if !named.is_done() {
            return Err(Refused::Error(codes::ERROR_INTERNAL));
        }
        let Some(client) = named.oldest() else { return Ok(Asked::Answered(Merged::default())) };
        let user = connecting.credentials.user.as_str();
        let selector = Selector::one(user, self.hasher.hash(user), client);
        let Disconnect { code, reason } = &codes::REPLACED;
        let params = DisconnectParams::new(selector, *code, reason);
        let question = Question::Disconnect(Box::new(params));
        Ok(self.ask(&question, Asker::Connect { conn }, now))
    }

    fn wait_for_room(&mut self, conn: ConnId, connecting: Connecting, now: Now) {
        self.wait(conn, connecting.wire, Waiting::Seat(connecting), now);
    }

    /// A connect that waits for room hears which session is the oldest, or that it has ended.
    pub(super) fn on_room(&mut self, conn: ConnId, merged: &Merged, now: Now) {
        self.go_on(conn, now, |shard, wire, waiting| {
            let Waiting::Seat(connecting) = waiting else {
                unreachable!("nothing else is asked for a connect, and one at a time")
            };
            let connecting = Connecting { wire, ..connecting };
            match shard.end_oldest(conn, &connecting, merged, now) {
                Ok(Asked::Waiting) => shard.wait_for_room(conn, connecting, now),
                Ok(Asked::Answered(_)) => shard.let_in(conn, connecting, now),
                Err(refused) => {
                    let Connecting { wire, caller, id, .. } = connecting;
                    shard.refuse_connect(conn, wire, &caller, (id, refused), now);
                }
            }
        });
    }
}
