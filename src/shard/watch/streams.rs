//! The side of a watch where the watcher is connected: a response that does not end by itself.

use std::borrow::Cow;

use super::super::conns::State;
use super::super::http::Step;
use super::super::{EFFECT_BYTES_MAX, Shard};
use crate::api::watch::{self, Resync, Unread};
use crate::api::{self, ApiError, Refusal, Selector};
use crate::connection::Exchange;
use crate::connection::open::STREAM_HEADERS;
use crate::ids::{ConnId, ShardId};
use crate::messages::{WatchId, WatchMessage};
use crate::protocol::Encoding;
use crate::time::Now;
use crate::transport::{Body, Events};
use crate::wire::http1::Head;

/// Time between two signs of life: proxies cut what is silent for half a minute.
const HEARTBEAT_MS: u64 = 15_000;

/// Bytes that wait for a watcher before the next pieces of its snapshot do.
const PAUSE_BYTES: usize = 64 * 1024;

/// A watcher's connection.
#[derive(Debug)]
pub(in crate::shard) struct Watching {
    id: WatchId,
    pub(in crate::shard) events: Events,
    /// Shards whose snapshot is not whole, as a mask.
    incomplete: u64,
    /// Shards that wait for the watcher to read before they go on with their snapshot, as a mask.
    paused: u64,
    is_backlogged: bool,
    /// Sessions in the snapshot so far.
    sessions: u64,
}

impl Shard {
    /// A whole request to watch. `None`: it was answered, read on.
    pub(in crate::shard) fn watch(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        (options, body): (&api::Options, &[u8]),
        now: Now,
    ) -> Option<Step> {
        let selector =
            self.may_watch(options, body).map_err(|unread| unread.into_plan(options, head));
        match selector {
            Ok(selector) => {
                let mut body = Body::new(head);
                if exchange.more {
                    body.spoil();
                }
                self.begin_watch(conn, Events::Sse(body), selector, now);
                Some(Step::Left)
            }
            Err(plan) => {
                self.answer_plan(conn, exchange, head, plan, now);
                None
            }
        }
    }

    /// Whose sessions a body asks to watch, if it may.
    pub(in crate::shard) fn may_watch(
        &mut self,
        options: &api::Options,
        body: &[u8],
    ) -> Result<Selector, Unread> {
        let selector = watch::read(options, body, &mut self.api_scratch, &self.hasher)?;
        let watches_max = self.options.watches_max;
        if self.draining.is_some() {
            Err(Unread::Refused(Refusal::shutting_down()))
        } else if self.watches.own.len() >= watches_max {
            let why = format_args!(
                "{watches_max} watches are open on this shard, see the option watch.limit"
            );
            Err(Unread::Error(ApiError::not_available(why)))
        } else {
            Ok(selector)
        }
    }

    pub(in crate::shard) fn begin_watch(
        &mut self,
        conn: ConnId,
        events: Events,
        selector: Selector,
        now: Now,
    ) {
        self.counters.watches_opened += 1;
        let date = self.date.at(now.unix_s());
        self.effects.send(conn, |out| events.head(out, date, &STREAM_HEADERS));
        let id = self.watches.own.open(conn);
        let incomplete = u64::MAX >> (64 - self.shards);
        let watching =
            Watching { id, events, incomplete, paused: 0, is_backlogged: false, sessions: 0 };
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Watching(Box::new(watching));
        }
        self.arm_at(conn, now.mono_ms + HEARTBEAT_MS);
        for shard in self.others() {
            self.tell_shard(shard, id, WatchMessage::Begin(Box::new(selector.clone())));
        }
        self.watch_here((self.id, id), Box::new(selector), now);
    }

    /// Something for one of the watchers connected here.
    /// `from` is where the sessions are.
    pub(super) fn on_watched(
        &mut self,
        (from, id): (ShardId, WatchId),
        about: WatchMessage,
        now: Now,
    ) {
        let Some(conn) = self.watches.own.conn(id) else { return };
        let Some(State::Watching(watching)) = self.conns.state_mut(conn) else {
            unreachable!("a watch without a watcher")
        };
        match about {
            WatchMessage::Event(event) => self.send_event(conn, &event),
            WatchMessage::Piece { event, sessions, is_last } => {
                watching.sessions += u64::from(sessions);
                if is_last {
                    watching.incomplete &= !from.bit();
                }
                let ready = (watching.incomplete == 0).then_some(watching.sessions);
                let goes_on = !is_last && !watching.is_backlogged;
                if !is_last && !goes_on {
                    watching.paused |= from.bit();
                }
                if let Some(event) = event {
                    self.send_event(conn, &event);
                }
                if let Some(sessions) = ready {
                    self.send_event(conn, &watch::ready(sessions));
                }
                if goes_on {
                    self.want_piece(from, id);
                }
            }
            WatchMessage::Gap => return self.cut_watch(conn, Resync::Overflow, now),
            WatchMessage::Begin(_) | WatchMessage::More | WatchMessage::End => {
                unreachable!("not for a watcher")
            }
        }
        // What one turn leads to waits here before the engine can say how much waits for whom.
        let of_all = self.options.watch_bytes_max.saturating_mul(self.watches.own.len());
        if self.effects.bytes_len() > EFFECT_BYTES_MAX.saturating_add(of_all) {
            self.cut_watch(conn, Resync::Slow, now);
        }
    }

    /// `event` is one of `api::watch`.
    fn send_event(&mut self, conn: ConnId, event: &[u8]) {
        let Some(State::Watching(watching)) = self.conns.state_mut(conn) else { return };
        let events = watching.events;
        let event = match events.encoding() {
            Encoding::Json => Cow::Borrowed(event),
            Encoding::Protobuf => Cow::Owned(watch::in_protobuf(event)),
        };
        self.effects.send(conn, |out| events.event(out, &event));
    }

    /// Bytes wait for a watcher.
    pub(in crate::shard) fn on_watch_backlog(&mut self, conn: ConnId, bytes: usize, now: Now) {
        let Some(State::Watching(watching)) = self.conns.state_mut(conn) else { return };
        watching.is_backlogged = bytes > PAUSE_BYTES;
        if bytes > self.options.watch_bytes_max {
            self.cut_watch(conn, Resync::Slow, now);
        }
    }

    /// A watcher has read everything.
    pub(in crate::shard) fn on_watch_flushed(&mut self, conn: ConnId) {
        let Some(State::Watching(watching)) = self.conns.state_mut(conn) else { return };
        watching.is_backlogged = false;
        let (id, paused) = (watching.id, std::mem::take(&mut watching.paused));
        for index in 0..self.shards {
            let shard = ShardId::new(index);
            if paused & shard.bit() != 0 {
                self.want_piece(shard, id);
            }
        }
    }

    /// The watcher has taken a piece of this shard's snapshot.
    fn want_piece(&mut self, from: ShardId, watch: WatchId) {
        if from == self.id {
            // In a turn of its own: it would ask and answer itself without end.
            self.watches.watchers.due(self.id, watch);
        } else {
            self.tell_shard(from, watch, WatchMessage::More);
        }
    }

    /// A sign of life is due.
    pub(in crate::shard) fn on_watch_due(&mut self, conn: ConnId, now: Now) {
        let Some(State::Watching(watching)) = self.conns.state_mut(conn) else { return };
        let events = watching.events;
        self.effects.send(conn, |out| events.heartbeat(out));
        self.arm_at(conn, now.mono_ms + HEARTBEAT_MS);
    }

    /// Ends a watch and says why.
    pub(in crate::shard) fn cut_watch(&mut self, conn: ConnId, why: Resync, now: Now) {
        let Some(State::Watching(watching)) = self.conns.state_mut(conn) else { return };
        let (id, events) = (watching.id, watching.events);
        self.counters.watches_cut += 1;
        self.send_event(conn, &watch::resync(why));
        self.effects.send(conn, |out| events.end(out));
        self.unwatch(id);
        self.finish(conn, now);
    }

    /// A watcher has left.
    pub(in crate::shard) fn on_watcher_gone(&mut self, watching: &Watching) {
        self.unwatch(watching.id);
    }

    pub(super) fn unwatch(&mut self, watch: WatchId) {
        self.watches.own.close(watch);
        _ = self.watches.watchers.remove((self.id, watch));
        for shard in self.others() {
            self.tell_shard(shard, watch, WatchMessage::End);
        }
    }

    /// Every shard but this one.
    fn others(&self) -> impl Iterator<Item = ShardId> + use<> {
        let this = self.id;
        (0..self.shards).map(ShardId::new).filter(move |shard| *shard != this)
    }
}
