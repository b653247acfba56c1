//! ③④ From a connect request to a session: the order of table, directory and bytes is decided
//! here.

use std::rc::Rc;

use rand::{Rng, RngExt};

use super::answers::{After, Plain};
use super::conns::{Live, Marks, NEVER, State};
use super::expiry::ttl_s;
use super::timers::Tick;
use super::{LINGER_MS, Shard};
use crate::api::watch::Told;
use crate::connection::connect::{self, Identified, Refused};
use crate::connection::open;
use crate::connection::opening::{Applying, Caller, Connecting, Opening, Stage};
use crate::connection::options::StreamEndpoint;
use crate::ids::{ClientId, ConnId, SessionId, UserHash};
use crate::messages::SessionChange;
use crate::protocol::codes;
use crate::protocol::{self, ConnectPush, ConnectRequest, ConnectResult, Dialect, Encoding, Reply};
use crate::session::{self, Opened, Protocol, Transport};
use crate::time::Now;
use crate::transport::{Out, PongBy, Wire};
use crate::wire::http1::Status;

impl Shard {
    /// A connect request. When this returns the client is in, refused, or waits for a verdict.
    pub(super) fn begin(
        &mut self,
        conn: ConnId,
        wire: Wire,
        mut caller: Caller,
        (id, mut request): (u32, ConnectRequest),
        now: Now,
    ) {
        if !self.options.shown.is_empty() {
            let said = std::mem::take(&mut request.headers);
            caller.carried = self.options.shown.with_emulated(caller.carried, &said);
        }
        let verdict = if self.draining.is_some() {
            Err(Refused::Disconnect(codes::SHUTDOWN))
        } else {
            let user = caller.header_user.as_deref();
            connect::authenticate(&self.options, &self.verifier, &request, user, now)
        };
        let credentials = match verdict {
            Ok(Identified::Known(credentials)) => credentials,
            Ok(Identified::AskBackend) => {
                return self.ask_backend(conn, wire, (id, request), caller, now);
            }
            Ok(Identified::FetchKey(needed)) => {
                let applying = Applying { request, caller, id, promise: None };
                return self.fetch_key(conn, wire, applying, needed, now);
            }
            Err(refused) => return self.refuse_connect(conn, wire, &caller, (id, refused), now),
        };
        let connecting = Connecting::new(credentials, request, (wire, caller, id), None);
        self.let_in(conn, connecting, now);
    }

    /// Tells a client why it may not come in, in the way of its transport.
    pub(super) fn refuse_connect(
        &mut self,
        conn: ConnId,
        wire: Wire,
        caller: &Caller,
        (id, refused): (u32, Refused),
        now: Now,
    ) {
        self.counters.connects_refused += 1;
        if wire.encoding().is_none() {
            return self.refuse_uni(conn, wire, caller, refused, now);
        }
        let error = match refused {
            Refused::Disconnect(disconnect) => {
                return self.say_last(conn, wire, &disconnect, now);
            }
            Refused::Error(error) => error,
        };
        // The client reads the error and closes; a close frame now would hide it.
        self.send(conn, |out| wire.reply(out, id, &Reply::from(&error)));
        self.become_opening(conn, Opening { wire, stage: Stage::Refused });
        let wait_ms =
            if wire.is_emulated() { self.options.stale_close_ms } else { REFUSED_LINGER_MS };
        self.arm_at(conn, now.mono_ms + wait_ms);
    }

    /// A stream with one last push, or a plain answer when the operator wants HTTP statuses.
    fn refuse_uni(
        &mut self,
        conn: ConnId,
        wire: Wire,
        caller: &Caller,
        refused: Refused,
        now: Now,
    ) {
        let options = Rc::clone(&self.options);
        let endpoint = match wire {
            Wire::UniHttpStream(..) => options.endpoints.uni_http_stream.as_ref(),
            Wire::UniSse(..) => options.endpoints.uni_sse.as_ref(),
            Wire::UniWebSocket(..)
            | Wire::UniGrpc
            | Wire::WebSocket(..)
            | Wire::HttpStream(..)
            | Wire::Sse(_) => None,
        };
        if let (Some(endpoint), Some(body)) = (endpoint, wire.body())
            && let Some((status, text)) = http_refusal(endpoint, &refused)
        {
            let cors = borrowed(&caller.cors);
            let after = After { version: body.version(), keep_alive: body.is_reusable() };
            self.send_plain(conn, Plain::text(status, text).with(&cors), after, now);
            return self.settle(conn, wire, now);
        }
        let disconnect = refused.into_uni_disconnect(&options);
        self.begin_stream(conn, wire, &caller.cors, now);
        self.say_last(conn, wire, &disconnect, now);
    }

    /// The head of the response, for transports that are one.
    pub(super) fn begin_stream(
        &mut self,
        conn: ConnId,
        wire: Wire,
        cors: &[(String, String)],
        now: Now,
    ) {
        if wire.body().is_none() {
            return;
        }
        let mut extra: open::Cors<'_> = open::STREAM_HEADERS.into_iter().collect();
        extra.extend(borrowed(cors));
        let date = self.date.at(now.unix_s());
        self.effects.send(conn, |bytes| {
            wire.head(&mut Out { bytes, deflater: None }, date, &extra);
        });
    }

    /// ④ Registers the session, then acknowledges it: the directory says so and the table has it
    /// before a byte of the reply can leave.
    pub(super) fn open_session(&mut self, conn: ConnId, connecting: Connecting, now: Now) {
        let Connecting { credentials, app_name, app_version, wire, caller, id, promise, .. } =
            connecting;
        let hash = self.hasher.hash(&credentials.user);
        self.reply.clear();
        if let Some(meta) = &credentials.meta {
            protocol::json::write_raw(&mut self.reply, meta);
        }
        let (transport, protocol) = names(wire);
        let opening = session::Opening {
            user: &credentials.user,
            app_name: &app_name,
            app_version: &app_version,
            transport,
            protocol,
            token_uid: &credentials.token_uid,
            token_issued_at: credentials.token_issued_at,
            meta: credentials.meta.as_ref().map(|_| self.reply.as_slice()),
            labels: &credentials.labels,
            remote_addr: caller.remote_addr,
            user_agent: &caller.user_agent,
            connected_at_ms: now.unix_ms,
            conn,
        };
        let salt = promise.unwrap_or_else(|| self.rng.next_u64() >> 1);
        let Ok(opened) = self.table.open(&opening, salt) else {
            // Four billion sessions in one shard: descriptors run out long before.
            if !credentials.user.is_empty() {
                self.admission.leave_seat(hash);
            }
            self.abort(conn);
            return;
        };
        self.enlist(&opened, hash);

        let ttl = credentials.expire_at.map(|at| ttl_s(at, now));
        self.greet(
            conn,
            (wire, id, &caller.cors),
            &opened,
            (ttl, credentials.data.as_deref()),
            now,
        );
        let live = Live {
            slot: opened.slot,
            next: self.first_ping(now),
            expires: self.end_of(ttl, now),
            wire,
            marks: Marks::new(credentials.own_sessions),
        };
        self.become_live(conn, live);
        self.keep_for_refresh(conn, &caller.carried);
        self.tell_watchers(opened.slot, Told::Opened, now);
        self.tell_webhook_opened(opened.slot, credentials.expire_at, now);
        if self.watched {
            self.report(opened.slot, SessionChange::Opened);
        }
    }

    /// What the node must know of a session that the table has taken in.
    pub(super) fn enlist(&mut self, opened: &Opened, hash: UserHash) {
        if opened.first_of_user {
            self.directory.add(hash, self.id);
        }
        self.admission.opened(self.id);
        self.counters.sessions_opened += 1;
    }

    /// The first thing a client hears.
    fn greet(
        &mut self,
        conn: ConnId,
        (wire, id, cors): (Wire, u32, &[(String, String)]),
        opened: &Opened,
        (ttl, data): (Option<u32>, Option<&[u8]>),
        now: Now,
    ) {
        let options = Rc::clone(&self.options);
        let ping_s = u32::try_from(options.ping_interval_ms / 1000).unwrap_or(u32::MAX);
        let time_ms = options.connect_time.then_some(now.unix_ms);
        let version = options.version.as_str();
        let (client, session): (ClientId, SessionId) = (opened.client, opened.session);
        // Its backend is asked, not the client.
        let ttl = ttl.filter(|_| options.refresh_proxy.is_none());
        let (expires, ttl) = (ttl.is_some(), ttl.unwrap_or(0));
        if wire.encoding().is_none() {
            self.begin_stream(conn, wire, cors, now);
            let push =
                ConnectPush { client, session, version, data, expires, ttl, ping_s, time_ms };
            return self.send(conn, |out| wire.connect(out, &push));
        }
        // Who is pinged by frames need not know of it.
        let ping_s = if wire.pong_by() == PongBy::Command { ping_s } else { 0 };
        let result = ConnectResult {
            client,
            version,
            expires,
            ttl,
            data,
            ping_s,
            pong: ping_s > 0 && options.pong_timeout_ms > 0,
            session: wire.is_emulated().then_some(session),
            node: if wire.is_emulated() { &self.node_uid } else { "" },
            time_ms,
        };
        self.effects.send(conn, |bytes| {
            let mut out = Out { bytes, deflater: self.deflater.as_mut() };
            wire.reply(&mut out, id, &Reply::Connect(result));
        });
    }

    fn become_live(&mut self, conn: ConnId, live: Live) {
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Live(live);
        }
        self.arm_live(conn);
    }

    /// Sets the one timer of a session to what is due first.
    pub(super) fn arm_live(&mut self, conn: ConnId) {
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        let due = live.next.min(live.expires);
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
}

/// How long a client that was told an error may take to leave (client protocol v6).
const REFUSED_LINGER_MS: u64 = 5_000;

const _: () = assert!(REFUSED_LINGER_MS > LINGER_MS, "a client has to read before it leaves");

/// What a plain HTTP refusal says, when the operator wants those.
fn http_refusal<'a>(
    endpoint: &'a StreamEndpoint,
    refused: &'a Refused,
) -> Option<(Status, &'a str)> {
    let table = endpoint.http_refusals.as_ref()?;
    let code = refused.code();
    Some(match table.iter().find(|line| line.code == code) {
        Some(line) => (Status(line.status), connect::refusal_body(&line.body, refused)),
        None => (Status(500), "Internal Server Error"),
    })
}

fn borrowed(headers: &[(String, String)]) -> open::Cors<'_> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// How a session is listed.
pub(super) const fn names(wire: Wire) -> (Transport, Protocol) {
    match wire {
        Wire::WebSocket(Encoding::Json, _) => (Transport::WebSocket, Protocol::Json),
        Wire::WebSocket(Encoding::Protobuf, _) => (Transport::WebSocket, Protocol::Protobuf),
        Wire::HttpStream(Encoding::Json, _) => (Transport::HttpStream, Protocol::Json),
        Wire::HttpStream(Encoding::Protobuf, _) => (Transport::HttpStream, Protocol::Protobuf),
        Wire::Sse(_) => (Transport::Sse, Protocol::Json),
        Wire::UniWebSocket(..) => (Transport::UniWebSocket, Protocol::Json),
        Wire::UniHttpStream(..) => (Transport::UniHttpStream, Protocol::Json),
        Wire::UniSse(..) => (Transport::UniSse, Protocol::Json),
        Wire::UniGrpc => (Transport::UniGrpc, Protocol::Protobuf),
    }
}

/// The push form of a unidirectional client: what it asks for, else what is configured. Unknown
/// values are ignored, as they are from v5 on.
pub(super) fn dialect(default: Dialect, asked: Option<&str>) -> Dialect {
    match asked {
        Some("v1") => Dialect::V1,
        Some("v2") => Dialect::V2,
        _ => default,
    }
}
