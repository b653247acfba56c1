//! What clients of bidirectional transports ask: commands in order, each decided by
//! `connection/commands`, and the calls that other shards must help to answer.

use super::ask::Asked;
use super::conns::State;
use super::expiry::ttl_s;
use super::gather::Asker;
use super::{EFFECT_BYTES_MAX, Shard};
use crate::api::{
    DisconnectParams, Merged, OwnSessions, Question, Selector, StatusOrder, Statuses,
};
use crate::connection::close::CloseReason;
use crate::connection::commands::{self, Answer, SessionsCall};
use crate::connection::connect::{self, Refreshed, Refused, Renewal};
use crate::connection::opening::Stage;
use crate::ids::{ClientId, ConnId};
use crate::protocol::codes::{self, Disconnect};
use crate::protocol::{self, Command, Commands, ConnectRequest, Encoding, Reply, Request};
use crate::time::Now;
use crate::transport::PongBy;

/// The reply to a call that has nothing to tell.
const NOTHING: &[u8] = b"{}";

impl Shard {
    /// The commands of one message, in order. They stop where the client is told to go.
    pub(super) fn run_commands(
        &mut self,
        conn: ConnId,
        encoding: Encoding,
        message: &[u8],
        now: Now,
    ) {
        let mut commands = protocol::commands(encoding, message);
        while self.is_heard(conn) {
            match commands.next() {
                None => return,
                Some(Ok(command)) => {
                    self.run_command(conn, command, now);
                    self.limit_replies(conn, now);
                }
                Some(Err(_malformed)) => self.end_client(conn, codes::BAD_REQUEST, now),
            }
        }
        self.keep_commands(conn, &commands);
    }

    /// A few bytes can ask for a large listing, and again: who asks for more at once than may wait
    /// for it is cut as if it did not read.
    fn limit_replies(&mut self, conn: ConnId, now: Now) {
        let bytes_max = EFFECT_BYTES_MAX + self.options.queue_bytes_max;
        if self.effects.bytes_len() > bytes_max
            && let Some(State::Live(live)) = self.conns.state_mut(conn)
        {
            let slot = live.slot;
            self.end_session(slot, &CloseReason::Slow, now);
        }
    }

    /// What came behind a connect that has to wait, waits with it.
    fn keep_commands(&mut self, conn: ConnId, commands: &Commands<'_>) {
        if let Some(State::Opening(opening)) = self.conns.state_mut(conn)
            && let Stage::Deciding(deciding) = &mut opening.stage
        {
            let rest = commands.rest();
            if !rest.is_empty() {
                deciding.held.push(rest);
            }
        }
    }

    fn run_command(&mut self, conn: ConnId, command: Command<'_>, now: Now) {
        self.counters.commands += 1;
        let Command { id, request } = command;
        let may_manage_sessions = match self.conns.state_mut(conn) {
            Some(State::Live(live)) => live.marks.own_sessions(),
            Some(State::Opening(_)) => {
                let Request::Connect(request) = request else {
                    return self.end_client(conn, codes::BAD_REQUEST, now);
                };
                return self.begin_silent(conn, (id, request), now);
            }
            Some(State::Idle | State::Busy(_) | State::Watching(_) | State::Closing(_)) | None => {
                return;
            }
        };
        match commands::answer(&request, may_manage_sessions) {
            Answer::Unsubscribed => self.reply_to(conn, id, &Reply::Unsubscribe),
            Answer::Error(error) => self.reply_to(conn, id, &Reply::from(&error)),
            Answer::Close(disconnect) => self.end_client(conn, disconnect, now),
            Answer::Pong => self.on_pong_command(conn, now),
            Answer::Refresh(token) => self.refresh(conn, id, token, now),
            Answer::Sessions(call) => self.call_sessions(conn, id, call, now),
        }
    }

    /// The connect of a client that has not asked for anything yet.
    pub(super) fn begin_silent(
        &mut self,
        conn: ConnId,
        (id, request): (u32, ConnectRequest),
        now: Now,
    ) {
        let Some(State::Opening(opening)) = self.conns.state_mut(conn) else { return };
        let wire = opening.wire;
        if let Stage::Silent(caller) = &mut opening.stage {
            let caller = std::mem::take(caller);
            self.begin(conn, wire, caller, (id, request), now);
        }
    }

    /// One pong per ping; another is out of step.
    fn on_pong_command(&mut self, conn: ConnId, now: Now) {
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        if live.wire.pong_by() == PongBy::Command && live.marks.awaits_pong() {
            self.on_pong(conn, now);
        } else {
            self.end_client(conn, codes::BAD_REQUEST, now);
        }
    }

    /// A new token for the session.
    fn refresh(&mut self, conn: ConnId, id: u32, token: &str, now: Now) {
        if self.options.refresh_proxy.is_some() {
            // It was told that its session does not end.
            return self.end_client(conn, codes::BAD_REQUEST, now);
        }
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        let user = self.table.view(live.slot).user();
        let verdict =
            connect::refresh(&self.options, (&self.verifier, &self.rules), user, token, now);
        let refreshed = match verdict {
            Ok(Renewal::Granted(refreshed)) => refreshed,
            Ok(Renewal::FetchKey(needed)) => {
                // The client asks again, and the key is here by then.
                self.fetch_key_ahead(needed, now);
                return self.reply_to(conn, id, &Reply::from(&codes::ERROR_INTERNAL));
            }
            Err(Refused::Error(error)) => return self.reply_to(conn, id, &Reply::from(&error)),
            Err(Refused::Disconnect(disconnect)) => return self.end_client(conn, disconnect, now),
        };
        let Refreshed { expire_at, own_sessions, token_uid, token_issued_at } = refreshed;
        live.marks.set_own_sessions(own_sessions);
        let (slot, ttl) = (live.slot, expire_at.map(|at| ttl_s(at, now)));
        // Rules made from now on are carried out on this token.
        self.change_told(slot, now, |table| table.set_token(slot, &token_uid, token_issued_at));
        self.set_expiry(conn, ttl, now);
        self.reply_to(conn, id, &Reply::Refresh { ttl });
    }

    /// A user looks after their own sessions, wherever they are.
    fn call_sessions(&mut self, conn: ConnId, id: u32, call: SessionsCall, now: Now) {
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        let view = self.table.view(live.slot);
        let (user, current) = (view.user(), view.client());
        if user.is_empty() {
            // Nobody in particular: their sessions are not each other's.
            return self.reply_to(conn, id, &Reply::from(&codes::ERROR_PERMISSION_DENIED));
        }
        if call == SessionsCall::BeActive && self.options.user_status == Statuses::NotKept {
            return self.reply_to(conn, id, &Reply::from(&codes::ERROR_NOT_AVAILABLE));
        }
        if !live.marks.start_call() {
            return self.reply_to(conn, id, &Reply::from(&codes::ERROR_TOO_MANY_REQUESTS));
        }
        let hash = self.hasher.hash(user);
        let close = |selector| {
            let Disconnect { code, reason } = &codes::FORCE_DISCONNECT;
            Question::Disconnect(Box::new(DisconnectParams::new(selector, *code, reason)))
        };
        let question = match call {
            SessionsCall::List => Question::OwnSessions(Box::new(OwnSessions {
                user: user.into(),
                hash,
                current,
                shown: self.options.own_sessions,
            })),
            SessionsCall::Close(client) => close(Selector::one(user, hash, client)),
            SessionsCall::CloseOthers => close(Selector::all_but(user, hash, current)),
            SessionsCall::BeActive => {
                let users = vec![user.into()];
                Question::Status(Box::new(StatusOrder::Update { users, state: None }))
            }
        };
        let asker = Asker::Call { conn, client: current, id, call };
        let asked = if question.is_stored_first() {
            self.ask_control(&question, asker, now)
        } else {
            self.ask(&question, asker, now)
        };
        match asked {
            Asked::Answered(merged) => self.on_called((conn, current), id, call, &merged),
            Asked::Waiting => {}
        }
    }

    /// The answer to a call is in. The session may have ended in the meantime, and its connection
    /// may carry another: the answer is not for that one.
    pub(super) fn on_called(
        &mut self,
        (conn, client): (ConnId, ClientId),
        id: u32,
        call: SessionsCall,
        merged: &Merged,
    ) {
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        if self.table.view(live.slot).client() != client {
            return;
        }
        live.marks.end_call();
        let mut listing = Vec::new();
        let data = match call {
            // It would be cut on its way.
            SessionsCall::List
                if merged.is_too_large()
                    || merged.listing_bytes() > self.options.queue_bytes_max =>
            {
                return self.reply_to(conn, id, &Reply::from(&codes::ERROR_LIMIT_EXCEEDED));
            }
            SessionsCall::List => {
                merged.write_own_sessions(&mut listing);
                listing.as_slice()
            }
            SessionsCall::Close(_) | SessionsCall::CloseOthers | SessionsCall::BeActive
                if !merged.is_done() =>
            {
                return self.reply_to(conn, id, &Reply::from(&codes::ERROR_INTERNAL));
            }
            SessionsCall::Close(_) | SessionsCall::CloseOthers | SessionsCall::BeActive => NOTHING,
        };
        self.reply_to(conn, id, &Reply::Rpc { data });
    }

    fn reply_to(&mut self, conn: ConnId, id: u32, reply: &Reply<'_>) {
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        let wire = live.wire;
        self.send(conn, |out| wire.reply(out, id, reply));
    }
}
