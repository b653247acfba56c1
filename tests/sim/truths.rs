//! What must hold after every event and after every tick, and why a session may end.

use std::collections::BTreeMap;

use rollcall::connection::options::WhenFull;
use rollcall::ids::ShardId;
use rollcall::messages::{SessionChange, SessionEvent};
use rollcall::shard::TICK_MS;

use crate::client::{Kind, Phase};
use crate::model::{ClientKey, EXPIRED};
use crate::options::EXPIRED_CLOSE_DELAY_MS;
use crate::said::{BLOCKED, FORCED, ORDERED};
use crate::speech::Ask;
use crate::world::{QUERY_TIMEOUT_MS, World};

/// Questions that a connect may have to wait for when others make room at the same time.
const ROUNDS_MAX: u64 = 40;

/// What a session is told that made room, and a connect for which none is made.
const FULL: u32 = 3504;

/// What those are told who are fenced out, where no error can be told.
const FENCED: u32 = 3013;

/// How long a client that was told an error may take to leave.
const REFUSED_LINGER_MS: u64 = 5_000;

/// How long a client may keep its side open once the server has closed its own.
const LINGER_MS: u64 = 2_000;

/// How long the body of a request may take.
const BODY_MS: u64 = 30_000;

impl World {
    /// The truths, after an event and all that followed from it.
    pub(crate) fn check(&mut self) {
        for key in std::mem::take(&mut self.doomed) {
            let phase = self.clients.get(&key).map(|client| &client.phase);
            assert!(matches!(phase, None | Some(Phase::Over)), "{key:?} goes on: {phase:?}");
        }
        assert!(self.parcels.is_empty(), "commands are passed on at once: {:?}", self.parcels);
        let mut open = vec![0; self.nodes.len()];
        let most = self.choices.user_sessions_max as usize;
        let mut of_user = BTreeMap::<&str, usize>::new();
        for (id, session) in self.model.open() {
            open[session.key.0] += 1;
            if most > 0 && !session.user.is_empty() {
                let sessions = of_user.entry(&session.user).or_default();
                *sessions += 1;
                assert!(*sessions <= most, "{} has more than {most} sessions", session.user);
            }
            let mask = self.directory.shards(self.hasher.hash(&session.user));
            let bit = ShardId::new(session.key.0).bit();
            assert_ne!(mask & bit, 0, "truth 5: the directory does not know where {id} is");
        }
        for (node, open) in self.nodes.iter().zip(&open) {
            // Truths 1, 2 and 4: what was acknowledged and has not ended is there, once.
            assert_eq!(node.shard.sessions(), *open, "sessions of shard {}", node.shard.id());
        }
        assert_eq!(self.admission.sessions(), open.iter().sum::<usize>() as u64);
        if most > 0 {
            assert_eq!(self.admission.users(), of_user.len(), "who has a seat has a session");
        }
    }

    // ---- why sessions end ------------------------------------------------------------------

    /// A shard reports that a session came or went.
    pub(crate) fn is_reported(&mut self, shard: usize, event: &SessionEvent) {
        let id = event.client.to_string();
        assert_eq!(event.shard.index(), shard);
        match event.change {
            SessionChange::Opened => {
                if self.model.by_id_mut(&id).is_none() {
                    // Its client had gone when it was told.
                    self.model.is_ghost(id, self.step);
                }
            }
            SessionChange::Closed { code, .. } => self.is_reported_closed(&id, event, code),
        }
    }

    fn is_reported_closed(&mut self, id: &str, event: &SessionEvent, code: u32) {
        self.note(&format!("{id} is closed with {code}"));
        self.tallies("sessions closed", code);
        let Some(session) = self.model.by_id_mut(id) else { return };
        assert_eq!(session.user, event.user, "{id}");
        assert_eq!(session.transport, event.transport, "{id}");
        assert_eq!(session.closed, None, "{id} ends twice");
        session.closed = Some(code);
        let key = session.key;
        assert!(self.may_end(key, id, code), "{id} of {key:?} ends with {code} for nothing");
    }

    /// Whether there is a reason for a session to end so.
    fn may_end(&self, key: ClientKey, id: &str, code: u32) -> bool {
        let Some(session) = self.model.by_id(id) else { return false };
        let Some(client) = self.clients.get(&key) else { return false };
        match code {
            3000 => client.left,
            3001 => self.nodes[key.0].drains,
            EXPIRED => {
                let is_old = |at| self.now.unix_ms >= at * 1_000 + EXPIRED_CLOSE_DELAY_MS;
                let is_refreshed_late = client
                    .calls
                    .values()
                    .any(|(ask, _)| matches!(ask, Ask::Refresh { .. }) && self.is_over(ask));
                let is_ordered = self.model.is_ordered(id, session, code, self.now_s());
                session.expire_at.is_some_and(is_old) || is_refreshed_late || is_ordered
            }
            FULL => self.makes_room() && !session.user.is_empty(),
            3008 => client.clogged,
            3012 => {
                let limit_ms = self.choices.pong_timeout_ms;
                let is_late = |pinged_ms| self.now.mono_ms >= pinged_ms + limit_ms;
                // Half a message is not waited for longer than from ping to ping.
                let interval_ms = self.choices.ping_interval_ms;
                let is_half = |since_ms| self.now.mono_ms >= since_ms + interval_ms;
                (session.awaits_pong && session.pinged_ms.is_some_and(is_late))
                    || (client.kind.is_socket() && client.cut_since_ms.is_some_and(is_half))
            }
            BLOCKED | FORCED | ORDERED => self.model.is_ordered(id, session, code, self.now_s()),
            sin => client.sins.contains(&sin),
        }
    }

    /// Whether room is made for newer sessions of a user.
    pub(crate) fn makes_room(&self) -> bool {
        self.choices.when_full == WhenFull::EvictOldest && self.choices.user_sessions_max > 0
    }

    /// Whether there is a reason not to let a client in, or to wait for it no longer.
    pub(crate) fn may_be_turned_away(&self, key: ClientKey, code: u32) -> bool {
        let client = &self.clients[&key];
        let stale_ms = self.choices.stale_close_ms;
        match (code, &client.phase) {
            (3001, _) => self.nodes[key.0].drains,
            (3502, Phase::Silent { since_ms } | Phase::Refused { since_ms }) => {
                self.now.mono_ms >= since_ms + stale_ms
            }
            (FULL, Phase::Connecting { since_step, .. }) => {
                let seen = self.model.seen_since(&client.user, *since_step);
                let most = self.choices.user_sessions_max as usize;
                most > 0 && seen >= most && self.choices.when_full == WhenFull::Reject
            }
            // Somebody did not say in time which session is the oldest, or it did not end.
            (3004, Phase::Connecting { .. }) if client.kind.is_uni() => self.makes_room(),
            (FENCED, Phase::Connecting { .. }) if client.kind.is_uni() => {
                self.model.may_be_fenced_out(client)
            }
            (BLOCKED, Phase::Connecting { since_step, .. }) => {
                self.model.may_be_blocked(&client.user, *since_step)
            }
            // Where no error can be told, the nearest disconnect is.
            (3005, _) if client.kind.is_uni() => {
                let is_late = client.calls.values().any(|(ask, _)| self.is_over(ask));
                is_late || client.sins.contains(&109) || client.sins.contains(&110)
            }
            (sin, _) => client.sins.contains(&sin),
        }
    }

    // ---- time ------------------------------------------------------------------------------

    /// A shard has done everything that was due: nothing of its clients is late.
    pub(crate) fn nobody_is_late(&self, shard: usize) {
        for (key, client) in self.clients.iter().filter(|(key, _)| key.0 == shard) {
            let Some((since_ms, allowed_ms, what)) = self.deadline(*key) else { continue };
            let late_ms = self.now.mono_ms.saturating_sub(since_ms + allowed_ms);
            assert!(late_ms < TICK_MS, "{key:?}: {what} is {late_ms} ms late: {client:?}");
        }
        for (id, session) in self.model.open().filter(|(_, session)| session.key.0 == shard) {
            let Some(expire_at) = session.expire_at else { continue };
            // A token may end while its connect waits. Seconds are whole: one more may pass.
            let opened_ms = self.now.unix_ms - (self.now.mono_ms - session.opened_ms);
            let end_ms = opened_ms.max(expire_at * 1_000) + EXPIRED_CLOSE_DELAY_MS + 1_000;
            let late_ms = self.now.unix_ms.saturating_sub(end_ms);
            assert!(late_ms < TICK_MS, "{id} lives {late_ms} ms after its token ended");
        }
    }

    /// What must happen next to a client by itself: since when, within how long, and what.
    fn deadline(&self, key: ClientKey) -> Option<(u64, u64, &'static str)> {
        let client = &self.clients[&key];
        let choices = &self.choices;
        if let Some(finished_ms) = client.finished_ms {
            return Some((finished_ms, LINGER_MS, "the end of a connection"));
        }
        match client.phase {
            Phase::Live => {
                let (_, session) = self.model.of(key).expect("it is in");
                let since_ms = session.pinged_ms.unwrap_or(session.opened_ms);
                if session.awaits_pong {
                    Some((since_ms, choices.pong_timeout_ms, "the end after no pong"))
                } else {
                    (choices.ping_interval_ms > 0).then_some((
                        since_ms,
                        choices.ping_interval_ms,
                        "a ping",
                    ))
                }
            }
            Phase::Silent { since_ms } => {
                Some((since_ms, choices.stale_close_ms, "the end of a silent client"))
            }
            Phase::Connecting { since_ms, .. } => {
                let rounds = if self.makes_room() { ROUNDS_MAX } else { 1 };
                Some((since_ms, rounds * QUERY_TIMEOUT_MS, "the verdict on a connect"))
            }
            Phase::Refused { since_ms } if client.kind.is_socket() => {
                Some((since_ms, REFUSED_LINGER_MS, "the end of a refused client"))
            }
            Phase::Refused { since_ms } => {
                Some((since_ms, choices.stale_close_ms, "the end of a refused client"))
            }
            // Half a head, then half a body.
            Phase::Before if client.kind.is_client() && client.first_read_ms.is_some() => {
                let whole_ms = choices.stale_close_ms + BODY_MS;
                let since_ms = client.first_read_ms?.max(self.nodes[key.0].runs_since_ms);
                Some((since_ms, whole_ms, "the end of half a request"))
            }
            Phase::Before if client.first_read_ms.is_none() && !client.is_reused => {
                Some((client.opened_ms, choices.stale_close_ms, "the end of who says nothing"))
            }
            Phase::Before | Phase::Over => None,
        }
    }

    /// Pings come neither too early nor to somebody who is to be told something else.
    pub(crate) fn pinged_in_time(&self, key: ClientKey) {
        let (id, session) = self.model.of(key).expect("only sessions are pinged");
        let interval_ms = self.choices.ping_interval_ms;
        let (since_ms, least_ms) = match session.pinged_ms {
            None => (session.opened_ms, interval_ms / 2),
            Some(pinged_ms) => (pinged_ms, interval_ms - TICK_MS),
        };
        let after_ms = self.now.mono_ms - since_ms;
        assert!(after_ms >= least_ms, "{id} is pinged after {after_ms} ms");
        assert_ne!(self.clients[&key].kind, Kind::Emulation);
    }
}
