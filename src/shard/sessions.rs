//! ③④⑥ From a connect request to a session, and from a session to nothing: the order of table,
//! directory and bytes is decided here.

use std::borrow::Cow;
use std::rc::Rc;

use rand::{Rng, RngExt};

use super::conns::{Live, NEVER, State};
use super::gather::Asker;
use super::http::{PLAIN, Step};
use super::timers::Tick;
use super::{Shard, ask::Asked};
use crate::api::Question;
use crate::connection::Exchange;
use crate::connection::close::CloseReason;
use crate::connection::connect::{self, Refused};
use crate::connection::exchange::Connecting;
use crate::connection::open;
use crate::connection::options::StreamEndpoint;
use crate::ids::{ConnId, SessionSlot};
use crate::messages::{Message, Peer, SessionChange, SessionEvent};
use crate::protocol::codes;
use crate::protocol::{self, ConnectPush, ConnectRequest, Dialect};
use crate::session::{Opening, Protocol, Transport};
use crate::time::Now;
use crate::transport::http_stream::Stream;
use crate::wire::http1::{self, Head, Status};

impl Shard {
    /// A whole connect request. `None`: refused, and the connection can carry another request.
    pub(super) fn connect(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        endpoint: &StreamEndpoint,
        body: &[u8],
        now: Now,
    ) -> Option<Step> {
        let options = Rc::clone(&self.options);
        let cors = open::cors_headers(options.origins.check(head.header("origin")), head);
        let request = match ConnectRequest::parse(body) {
            Ok(request) => request,
            Err(error) => {
                self.counters.requests_malformed += 1;
                let text = format!("{error}\n");
                let status = Status(400);
                return self.respond(
                    conn,
                    exchange,
                    head,
                    status,
                    PLAIN,
                    &cors,
                    text.as_bytes(),
                    now,
                );
            }
        };
        let header_user = options.user_id_header.as_deref().and_then(|name| head.header(name));
        let stream = Stream {
            dialect: dialect(&options, head),
            version: head.version,
            keep_alive: head.keep_alive && !exchange.more,
        };
        let verdict = if self.draining.is_some() {
            Err(Refused::Disconnect(codes::SHUTDOWN))
        } else {
            connect::authenticate(&options, &self.verifier, &request, header_user, now)
        };
        let credentials = match verdict {
            Ok(credentials) => credentials,
            Err(refused) => {
                let why = Refusing { refused, endpoint, stream, cors: &cors };
                return self.refuse_connect(conn, exchange, why, now);
            }
        };
        let connecting = Box::new(Connecting {
            credentials,
            app_name: request.name,
            app_version: request.version,
            stream,
            cors: cors.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        });
        let limited = options.user_sessions_max > 0 && !connecting.credentials.user.is_empty();
        if limited {
            return self.count_first(conn, exchange, connecting, now);
        }
        self.open_session(conn, &connecting, now);
        Some(Step::Left)
    }

    /// The user's other sessions are counted, wherever they are, before this one is let in.
    fn count_first(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        connecting: Box<Connecting>,
        now: Now,
    ) -> Option<Step> {
        let user = connecting.credentials.user.as_str();
        let question = Question::Count { user: user.into(), hash: self.hasher.hash(user) };
        exchange.connecting = Some(connecting);
        match self.ask(&question, Asker::Connect { conn }, now) {
            Asked::Waiting => None,
            Asked::Answered(merged) => {
                let connecting = exchange.connecting.take().expect("put there above");
                self.decide_counted(conn, &connecting, merged.matched(), now);
                Some(Step::Left)
            }
        }
    }

    /// The count is in: at the limit the connect is refused, below it becomes a session. Shards
    /// that did not answer in time are not counted: a slow shard must not keep users out.
    pub(super) fn decide_counted(
        &mut self,
        conn: ConnId,
        connecting: &Connecting,
        sessions: u32,
        now: Now,
    ) {
        if sessions < self.options.user_sessions_max {
            self.open_session(conn, connecting, now);
            return;
        }
        self.counters.connects_refused += 1;
        let options = Rc::clone(&self.options);
        let refused = Refused::Disconnect(codes::CONNECTION_LIMIT);
        let endpoint =
            options.endpoints.uni_http_stream.as_ref().expect("the request came through it");
        let cors: open::Cors<'_> =
            connecting.cors.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let why = Refusing { refused, endpoint, stream: connecting.stream, cors: &cors };
        self.write_refusal(conn, why, now);
        self.settle(conn, connecting.stream, now);
    }

    fn refuse_connect(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        why: Refusing<'_>,
        now: Now,
    ) -> Option<Step> {
        self.counters.connects_refused += 1;
        exchange.last |= !why.stream.is_reusable();
        self.write_refusal(conn, why, now);
        None
    }

    /// A refused connect is a stream with one last line, or a plain answer when the operator
    /// wants HTTP statuses.
    fn write_refusal(&mut self, conn: ConnId, why: Refusing<'_>, now: Now) {
        let date = self.date.at(now.unix_s());
        if let Some(table) = &why.endpoint.http_refusals {
            let code = why.refused.code();
            let (status, body) = match table.iter().find(|line| line.code == code) {
                Some(line) => {
                    (Status(line.status), connect::refusal_body(&line.body, &why.refused))
                }
                None => (Status(500), Cow::Borrowed("Internal Server Error")),
            };
            let response = http1::Response {
                status,
                content_type: PLAIN,
                keep_alive: why.stream.is_reusable(),
                version: why.stream.version,
                date,
                extra: why.cors,
            };
            self.effects.send(conn, |out| http1::write_response(out, &response, body.as_bytes()));
            return;
        }
        let disconnect = why.refused.into_uni_disconnect(&self.options);
        let mut extra: open::Cors<'_> = open::STREAM_HEADERS.into_iter().collect();
        extra.extend_from_slice(why.cors);
        self.effects.send(conn, |out| {
            why.stream.head(out, date, &extra);
            why.stream.disconnect(out, &disconnect);
            why.stream.end(out);
        });
    }

    /// ④ Registers the session, then acknowledges it: the directory says so and the table has it
    /// before a byte of the reply can leave.
    pub(super) fn open_session(&mut self, conn: ConnId, connecting: &Connecting, now: Now) {
        let credentials = &connecting.credentials;
        let hash = self.hasher.hash(&credentials.user);
        self.reply.clear();
        if let Some(meta) = &credentials.meta {
            protocol::json::write_raw(&mut self.reply, meta);
        }
        let opening = Opening {
            user: &credentials.user,
            app_name: &connecting.app_name,
            app_version: &connecting.app_version,
            transport: Transport::UniHttpStream,
            protocol: Protocol::Json,
            token_uid: &credentials.token_uid,
            token_issued_at: credentials.token_issued_at,
            remote_addr: None,
            user_agent: "",
            meta: credentials.meta.as_ref().map(|_| self.reply.as_slice()),
            connected_at_ms: now.unix_ms,
            conn,
        };
        let Ok(opened) = self.table.open(&opening, self.rng.next_u64()) else {
            // Four billion sessions in one shard: descriptors run out long before.
            self.abort(conn);
            return;
        };
        if opened.first_of_user {
            self.directory.add(hash, self.id);
        }
        self.admission.opened(self.id);
        self.counters.sessions_opened += 1;

        let ttl = credentials.expire_at.map(|at| (at - now.unix_s()).max(0));
        let push = ConnectPush {
            client: opened.client,
            session: opened.session,
            version: &self.options.version,
            data: None,
            expires: ttl.is_some(),
            ttl: ttl.map_or(0, |ttl| u32::try_from(ttl).unwrap_or(u32::MAX)),
            ping_s: u32::try_from(self.options.ping_interval_ms / 1000).unwrap_or(u32::MAX),
            time_ms: self.options.connect_time.then_some(now.unix_ms),
        };
        let mut extra: open::Cors<'_> = open::STREAM_HEADERS.into_iter().collect();
        extra.extend(connecting.cors.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        let date = self.date.at(now.unix_s());
        let stream = connecting.stream;
        self.effects.send(conn, |out| {
            stream.head(out, date, &extra);
            stream.connect(out, &push);
        });

        let expires = ttl.map_or(NEVER, |ttl| {
            let after_ms = ttl.unsigned_abs() * 1000 + self.options.expired_close_delay_ms;
            Tick::at_or_after(now.mono_ms + after_ms)
        });
        let live = Live { slot: opened.slot, next_ping: self.first_ping(now), expires, stream };
        self.become_live(conn, live);
        if self.watched {
            self.report(opened.slot, SessionChange::Opened);
        }
    }

    fn become_live(&mut self, conn: ConnId, live: Live) {
        let due = live.next_ping.min(live.expires);
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Live(live);
        }
        if due == NEVER {
            self.wheel.disarm(conn.index);
        } else {
            self.wheel.arm(conn.index, due);
        }
    }

    /// The first ping comes after a random part of the interval, so that sessions that came
    /// together are not pinged together (client protocol, [interval/2, interval)).
    fn first_ping(&mut self, now: Now) -> Tick {
        let interval_ms = self.options.ping_interval_ms;
        if interval_ms == 0 {
            return NEVER;
        }
        let delay_ms = self.rng.random_range(interval_ms / 2..interval_ms);
        Tick::at_or_after(now.mono_ms + delay_ms)
    }

    /// ⑥ Ends a session: unlisted first, then told, so that whoever hears of it cannot find it
    /// any more.
    pub(super) fn end_session(&mut self, slot: SessionSlot, reason: &CloseReason, now: Now) {
        let view = self.table.view(slot);
        let conn = view.conn();
        let lived_ms = now.unix_ms.saturating_sub(view.connected_at_ms());
        if self.watched {
            let told = reason.last_message().map_or("".into(), |last| last.reason);
            let change = SessionChange::Closed { code: reason.code(), reason: told, lived_ms };
            self.report(slot, change);
        }
        let closed = self.table.close(slot);
        if closed.last_of_user {
            self.directory.remove(closed.hash, self.id);
        }
        self.admission.closed(self.id);
        self.count_close(reason);

        let Some(state) = self.conns.state_mut(conn) else { return };
        let State::Live(live) = *state else {
            unreachable!("a session's connection is live: {state:?}")
        };
        *state = State::Idle;
        match reason.last_message() {
            None if *reason == CloseReason::Slow => self.abort(conn),
            None => {}
            Some(last) => {
                self.effects.send(conn, |out| {
                    live.stream.disconnect(out, &last);
                    live.stream.end(out);
                });
                self.settle(conn, live.stream, now);
            }
        }
    }

    /// After a stream's regular end: the connection waits for another request, or closes.
    fn settle(&mut self, conn: ConnId, stream: Stream, now: Now) {
        if !stream.is_reusable() || self.draining.is_some() {
            self.finish(conn, now);
            return;
        }
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Idle;
        }
        self.arm_at(conn, now.mono_ms + super::sweep::KEEP_ALIVE_MS);
    }

    fn count_close(&mut self, reason: &CloseReason) {
        self.counters.sessions_closed += 1;
        match reason {
            CloseReason::PeerGone => self.counters.sessions_closed_by_peer += 1,
            CloseReason::Api { .. } => self.counters.sessions_closed_by_api += 1,
            CloseReason::Expired => self.counters.sessions_expired += 1,
            CloseReason::Slow => self.counters.sessions_slow += 1,
            CloseReason::Shutdown => {}
        }
    }

    fn report(&mut self, slot: SessionSlot, change: SessionChange) {
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

/// A refusal and how the endpoint says it.
struct Refusing<'a> {
    refused: Refused,
    endpoint: &'a StreamEndpoint,
    stream: Stream,
    cors: &'a [(&'a str, &'a str)],
}

/// The push form: what the client asks for, else what is configured. Unknown values are ignored,
/// as they are from v5 on.
fn dialect(options: &crate::connection::Options, head: &Head<'_>) -> Dialect {
    let asked = head.query().and_then(|query| http1::query_value(query, "cf_protocol_version"));
    match asked.as_deref() {
        Some("v1") => Dialect::V1,
        Some("v2") => Dialect::V2,
        _ => options.dialect,
    }
}
