//! ⑥ How connections and sessions end: unlisted first, then told, then gone.

use super::conns::{Closing, State};
use super::{DRAIN_MS, Shard, sweep};
use crate::api::Statuses;
use crate::connection::close::CloseReason;
use crate::connection::opening::Stage;
use crate::ids::{ConnId, SessionSlot};
use crate::messages::{Message, Peer, SessionChange, SessionEvent};
use crate::protocol::codes::{self, Disconnect};
use crate::session::Ended;
use crate::time::Now;
use crate::transport::Wire;

impl Shard {
    /// Ends a session: unlisted first, then told, so that whoever hears of it cannot find it any
    /// more.
    pub(super) fn end_session(&mut self, slot: SessionSlot, reason: &CloseReason, now: Now) {
        let view = self.table.view(slot);
        let conn_index = view.conn_index();
        let has_user = !view.user().is_empty();
        let keeps_status = has_user && self.options.user_status == Statuses::Kept;
        let left: Option<Box<str>> = keeps_status.then(|| view.user().into());
        let lived_ms = now.unix_ms.saturating_sub(view.connected_at_ms());
        if self.watched {
            let told = reason.last_message().map_or("".into(), |last| last.reason);
            let change = SessionChange::Closed { code: reason.code(), reason: told, lived_ms };
            self.report(slot, change);
        }
        self.tell_watchers_closed(slot, (reason, lived_ms), now);
        self.tell_webhook_closed(slot, (reason, lived_ms), now);
        let ended = Ended { at_ms: now.unix_ms, code: reason.code(), reason: reason.text() };
        self.closed.remember(&self.table.view(slot), ended);
        let closed = self.table.close(slot);
        if closed.last_of_user {
            self.directory.remove(closed.hash, self.id);
            if let Some(user) = left
                && self.directory.shards(closed.hash) == 0
            {
                let at_s = now.unix_s();
                self.effects.message(Peer::Control, Message::UserLeft { user, at_s });
            }
        }
        self.renewals.forget(conn_index);
        self.admission.closed(self.id);
        if has_user {
            self.admission.leave_seat(closed.hash);
        }
        self.count_close(reason);

        let Some(conn) = self.conns.at(conn_index) else { return };
        let Some(state) = self.conns.state_mut(conn) else { return };
        let State::Live(live) = *state else {
            unreachable!("a session's connection is live: {state:?}")
        };
        debug_assert_eq!(live.slot, slot, "a place is given to one connection at a time");
        *state = State::Idle;
        match reason {
            CloseReason::PeerGone => {}
            CloseReason::Slow => self.abort(conn),
            CloseReason::Frames(error) => self.close_frames(conn, *error, now),
            CloseReason::Api { .. }
            | CloseReason::Client(_)
            | CloseReason::NoPong
            | CloseReason::Expired
            | CloseReason::Shutdown => {
                if let Some(last) = reason.last_message() {
                    self.say_last(conn, live.wire, &last, now);
                }
            }
        }
    }

    /// Ends a client that broke the rules, whether it is in already or not.
    pub(super) fn end_client(&mut self, conn: ConnId, disconnect: Disconnect, now: Now) {
        match self.conns.state_mut(conn) {
            Some(State::Live(live)) => {
                let slot = live.slot;
                self.end_session(slot, &CloseReason::Client(disconnect), now);
            }
            Some(State::Opening(opening)) => {
                let wire = opening.wire;
                self.counters.connects_refused += 1;
                self.say_last(conn, wire, &disconnect, now);
            }
            Some(State::Idle | State::Busy(_) | State::Watching(_) | State::Closing(_)) | None => {}
        }
    }

    /// A client that is not in has used up its time.
    pub(super) fn end_silence(&mut self, conn: ConnId, now: Now) {
        let Some(State::Opening(opening)) = self.conns.state_mut(conn) else { return };
        let wire = opening.wire;
        match opening.stage {
            // What it waits for has its own deadline.
            Stage::Deciding(_) => self.arm_at(conn, now.mono_ms + self.options.stale_close_ms),
            // It was told an error and should have left by itself.
            Stage::Refused if !wire.is_emulated() => self.finish(conn, now),
            Stage::Silent(_) | Stage::Refused => {
                self.counters.connects_stale += 1;
                self.say_last(conn, wire, &codes::STALE, now);
            }
        }
    }

    /// The disconnect, and the regular end.
    pub(super) fn say_last(&mut self, conn: ConnId, wire: Wire, disconnect: &Disconnect, now: Now) {
        self.send(conn, |out| wire.disconnect(out, disconnect));
        self.settle(conn, wire, now);
    }

    /// After a regular end: the connection waits for another request, or closes.
    pub(super) fn settle(&mut self, conn: ConnId, wire: Wire, now: Now) {
        self.dismiss_inquiry(conn);
        let is_reusable = wire.body().is_some_and(crate::transport::Body::is_reusable);
        if !is_reusable || self.draining.is_some() {
            self.finish(conn, now);
            return;
        }
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Idle;
        }
        self.arm_at(conn, now.mono_ms + sweep::KEEP_ALIVE_MS);
    }

    /// The connection is gone, and so is its session.
    pub(super) fn forget(&mut self, conn: ConnId, now: Now) {
        if let Some(State::Live(live)) = self.conns.state_mut(conn) {
            let slot = live.slot;
            self.end_session(slot, &CloseReason::PeerGone, now);
        }
        self.abort(conn);
    }

    /// Closes a connection that holds no session.
    pub(super) fn abort(&mut self, conn: ConnId) {
        self.dismiss_inquiry(conn);
        let state = self.conns.close(conn);
        debug_assert!(!matches!(state, Some(State::Live(_))), "its session would stay listed");
        if let Some(State::Watching(watching)) = &state {
            self.on_watcher_gone(watching);
        }
        if state.is_some() {
            self.cut_frames.remove(&conn);
            self.wheel.disarm(conn.index);
            self.effects.abort(conn);
        }
        if self.conns.is_empty() {
            debug_assert!(self.cut_frames.is_empty(), "decoders of nobody");
            self.wheel.shrink();
            self.cut_frames.shrink_to_fit();
        }
    }

    /// Lets the last bytes leave, then closes.
    pub(super) fn finish(&mut self, conn: ConnId, now: Now) {
        self.dismiss_inquiry(conn);
        let sending_ms = if self.draining.is_some() { DRAIN_MS } else { sweep::KEEP_ALIVE_MS };
        if let Some(state) = self.conns.state_mut(conn) {
            let finished = matches!(state, State::Busy(exchange) if exchange.finished);
            let closing = if finished { Closing::PeerFinished } else { Closing::BothOpen };
            *state = State::Closing(closing);
            self.cut_frames.remove(&conn);
            self.effects.finish(conn);
            self.arm_at(conn, now.mono_ms + sending_ms);
        }
    }

    fn count_close(&mut self, reason: &CloseReason) {
        self.counters.sessions_closed += 1;
        match reason {
            CloseReason::PeerGone => self.counters.sessions_closed_by_peer += 1,
            CloseReason::Api { .. } => self.counters.sessions_closed_by_api += 1,
            CloseReason::Client(_) | CloseReason::Frames(_) => {
                self.counters.sessions_misbehaved += 1;
            }
            CloseReason::NoPong => self.counters.sessions_no_pong += 1,
            CloseReason::Expired => self.counters.sessions_expired += 1,
            CloseReason::Slow => self.counters.sessions_slow += 1,
            CloseReason::Shutdown => {}
        }
    }

    pub(super) fn report(&mut self, slot: SessionSlot, change: SessionChange) {
        let view = self.table.view(slot);
        let event = SessionEvent {
            client: view.client(),
            user: view.user().to_owned(),
            app_name: view.app_name().to_owned(),
            app_version: view.app_version().to_owned(),
            transport: view.transport().name(),
            shard: self.id,
            change,
        };
        self.effects.message(Peer::Control, Message::Event(Box::new(event)));
    }
}
