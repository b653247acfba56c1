//! ②③ WebSockets: the opening handshake, and frames to messages.

use std::rc::Rc;

use super::Shard;
use super::answers::{After, Plain};
use super::conns::State;
use super::http::Step;
use super::streams::{caller, cors, query};
use crate::connection::Exchange;
use crate::connection::close::CloseReason;
use crate::connection::open::Endpoint;
use crate::connection::opening::{Opening, Stage};
use crate::connection::options::{Choice, UniWebSocketEndpoint};
use crate::connection::origin::OriginCheck;
use crate::ids::ConnId;
use crate::protocol::{ConnectRequest, Dialect, Encoding, codes};
use crate::time::Now;
use crate::transport::{Frames, PongBy, Wire};
use crate::wire::http1::{Head, Status};
use crate::wire::websocket::{
    self, Decoder, DeflateAnswer, Event, FrameError, Handshake, HandshakeError, Limits,
};

/// A WebSocket in the middle of a frame or a message.
#[derive(Debug)]
pub(super) struct CutFrames {
    decoder: Decoder,
    /// When its last whole message came, or its first bytes, on the monotonic clock.
    since_ms: u64,
}

/// Subprotocols by the name clients ask for them (client protocol, "WebSocket").
const SUBPROTOCOLS: [&str; 2] = ["centrifuge-json", "centrifuge-protobuf"];

/// A request to open a WebSocket. `None`: refused, and the connection can carry another request.
pub(super) fn upgrade(
    shard: &mut Shard,
    conn: ConnId,
    exchange: &mut Exchange,
    head: &Head<'_>,
    (endpoint, form): (Endpoint<'_>, Dialect),
    now: Now,
) -> Option<Step> {
    let options = Rc::clone(&shard.options);
    let handshake = match Handshake::read(head) {
        Ok(handshake) => handshake,
        Err(error) => return shard.refuse_handshake(conn, exchange, head, error, now),
    };
    if options.origins.check(head.header("origin")) == OriginCheck::Refused {
        shard.respond(conn, exchange, head, Plain::text(Status(403), FORBIDDEN), now);
        return None;
    }
    if exchange.more {
        // They would be frames of a client that does not know yet whether it may send any.
        let early = Plain::text(Status(400), EARLY);
        shard.send_plain(conn, early, After::CLOSE, now);
        shard.finish(conn, now);
        return Some(Step::Left);
    }
    let (socket, uni) = match endpoint {
        Endpoint::WebSocket(socket) => (socket, None),
        Endpoint::UniWebSocket(uni) => (&uni.socket, Some(uni)),
        Endpoint::HttpStream(_)
        | Endpoint::Sse(_)
        | Endpoint::UniHttpStream(_)
        | Endpoint::UniSse(_) => unreachable!("no WebSocket endpoint: {endpoint:?}"),
    };
    let asked = match query(head, "cf_connect").as_deref() {
        Some(json) if uni.is_some() && !json.is_empty() => {
            match ConnectRequest::parse(json.as_bytes()) {
                Ok(request) => Some(request),
                Err(error) => return shard.refuse_malformed(conn, exchange, head, &error, now),
            }
        }
        Some(_) | None => None,
    };
    let deflate = socket.compression.and_then(|_| DeflateAnswer::negotiate(head));
    let frames = Frames::default().with_deflate(deflate);
    let protocol = websocket::choose_protocol(head, &SUBPROTOCOLS).filter(|_| uni.is_none());
    let by_frame = query(head, "cf_ws_frame_ping_pong").as_deref() == Some("true");
    let wire = match uni {
        Some(uni) => Wire::UniWebSocket(form, uni_frames(uni, frames)),
        None if by_frame => Wire::WebSocket(encoding(head, protocol), frames.with_ping_by_frame()),
        None => Wire::WebSocket(encoding(head, protocol), frames),
    };
    shard.effects.send(conn, |out| {
        websocket::write_handshake_response(out, &handshake, protocol, deflate);
    });
    let stage = Stage::Silent(caller(&options, exchange, head));
    shard.become_opening(conn, Opening { wire, stage });
    shard.arm_at(conn, now.mono_ms + options.stale_close_ms);
    if let Some(request) = asked {
        shard.begin_silent(conn, (0, request), now);
    } else if shard.draining.is_some() {
        shard.end_client(conn, codes::SHUTDOWN, now);
    }
    Some(Step::Left)
}

const FORBIDDEN: &str = "pages of this origin may not connect: add it to client.allowed_origins\n";

const EARLY: &str = "bytes follow the request: wait for the answer before you send frames\n";

fn uni_frames(uni: &UniWebSocketEndpoint, mut frames: Frames) -> Frames {
    if uni.disconnect_push == Choice::Refuse {
        frames = frames.without_disconnect_push();
    }
    if uni.closing_handshake == Choice::Refuse {
        frames = frames.without_close_frame();
    }
    frames
}

/// The query wins over the subprotocol (client protocol, "WebSocket").
fn encoding(head: &Head<'_>, protocol: Option<&str>) -> Encoding {
    let asks = |name| query(head, name).as_deref() == Some("protobuf");
    if protocol == Some(SUBPROTOCOLS[1]) || asks("format") || asks("cf_protocol") {
        Encoding::Protobuf
    } else {
        Encoding::Json
    }
}

impl Shard {
    fn refuse_handshake(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        error: HandshakeError,
        now: Now,
    ) -> Option<Step> {
        self.counters.requests_malformed += 1;
        let options = Rc::clone(&self.options);
        let mut extra = cors(&options, head);
        extra.extend_from_slice(error.headers());
        let text = format!("{error}\n");
        self.respond(conn, exchange, head, Plain::text(error.status(), &text).with(&extra), now);
        None
    }

    /// Bytes of a WebSocket.
    pub(super) fn read_frames(&mut self, conn: ConnId, mut input: &mut [u8], now: Now) {
        let Some((wire, frames)) = self.wire_of(conn).and_then(|wire| Some((wire, wire.frames()?)))
        else {
            return;
        };
        let limits = self.frame_limits(wire);
        let cut = self.cut_frames.remove(&conn);
        let fresh = || CutFrames { decoder: Decoder::new(frames.deflate()), since_ms: now.mono_ms };
        let mut cut = cut.unwrap_or_else(fresh);
        // Events lie in it while the shard handles them.
        let mut scratch = std::mem::take(&mut self.frame_scratch);
        while self.is_read(conn) {
            match cut.decoder.next(&mut input, &limits, &mut scratch) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    if matches!(event, Event::Message { .. }) {
                        cut.since_ms = now.mono_ms;
                    }
                    self.on_frame(conn, (wire, frames), event, now);
                }
                Err(error) => self.refuse_frames(conn, error, now),
            }
        }
        self.frame_scratch = scratch;
        match self.conns.state_mut(conn) {
            // What came behind a connect waits with it.
            Some(State::Opening(opening)) => {
                if let Stage::Deciding(deciding) = &mut opening.stage {
                    deciding.held.frames.extend_from_slice(input);
                }
            }
            Some(State::Live(_)) => {}
            Some(State::Idle | State::Busy(_) | State::Watching(_) | State::Closing(_)) | None => {
                return;
            }
        }
        if cut.decoder.is_amid() {
            self.cut_frames.insert(conn, cut);
        }
    }

    /// Whether a client has been in the middle of one message for longer than a ping interval: one
    /// that answers pings by frames could hold half a message for ever.
    pub(super) fn holds_half_a_message(&self, conn: ConnId, now: Now) -> bool {
        let cut = self.cut_frames.get(&conn);
        cut.is_some_and(|cut| cut.since_ms + self.options.ping_interval_ms <= now.mono_ms)
    }

    fn wire_of(&mut self, conn: ConnId) -> Option<Wire> {
        match self.conns.state_mut(conn)? {
            State::Live(live) => Some(live.wire),
            State::Opening(opening) => Some(opening.wire),
            State::Idle | State::Busy(_) | State::Watching(_) | State::Closing(_) => None,
        }
    }

    /// Whether frames of a client are read now: of one that was told an error, to see it leave.
    fn is_read(&mut self, conn: ConnId) -> bool {
        match self.conns.state_mut(conn) {
            Some(State::Opening(opening)) => !opening.holds_all_it_may(),
            Some(State::Live(_)) => true,
            Some(State::Idle | State::Busy(_) | State::Watching(_) | State::Closing(_)) | None => {
                false
            }
        }
    }

    /// Whether what a client asks is looked at now.
    pub(super) fn is_heard(&mut self, conn: ConnId) -> bool {
        match self.conns.state_mut(conn) {
            Some(State::Live(_)) => true,
            Some(State::Opening(opening)) => matches!(opening.stage, Stage::Silent(_)),
            Some(State::Idle | State::Busy(_) | State::Watching(_) | State::Closing(_)) | None => {
                false
            }
        }
    }

    fn frame_limits(&self, wire: Wire) -> Limits {
        let endpoints = &self.options.endpoints;
        let uni = || endpoints.uni_websocket.as_ref().map(|uni| &uni.socket);
        let endpoint = match wire {
            Wire::UniWebSocket(..) => uni(),
            Wire::WebSocket(..)
            | Wire::HttpStream(..)
            | Wire::Sse(_)
            | Wire::UniHttpStream(..)
            | Wire::UniSse(..)
            | Wire::UniGrpc => endpoints.websocket.as_ref(),
        };
        endpoint.expect("the client came through it").limits
    }

    fn on_frame(
        &mut self,
        conn: ConnId,
        (wire, frames): (Wire, Frames),
        event: Event<'_>,
        now: Now,
    ) {
        match event {
            Event::Message { payload, .. } => match wire.encoding() {
                Some(encoding) if !self.hold(conn, payload) => {
                    self.run_commands(conn, encoding, payload, now);
                }
                Some(_) => {}
                None if self.is_heard(conn) => self.read_uni_message(conn, frames, payload, now),
                None => {}
            },
            Event::Ping(payload) => {
                self.effects.send(conn, |out| websocket::write_pong(out, payload));
            }
            // One that nobody asked for may come all the same (RFC 6455 §5.5.3).
            Event::Pong(_) if wire.pong_by() == PongBy::Frame => self.on_pong(conn, now),
            Event::Pong(_) => {}
            Event::Close { code, .. } => {
                if let Some(State::Live(live)) = self.conns.state_mut(conn) {
                    let slot = live.slot;
                    self.end_session(slot, &CloseReason::PeerGone, now);
                }
                self.effects.send(conn, |out| websocket::write_close(out, code, ""));
                self.finish(conn, now);
            }
        }
    }

    /// Keeps a message behind a connect that waits. Returns whether there is such a connect.
    fn hold(&mut self, conn: ConnId, message: &[u8]) -> bool {
        if let Some(State::Opening(opening)) = self.conns.state_mut(conn)
            && let Stage::Deciding(deciding) = &mut opening.stage
        {
            deciding.held.push(message);
            return true;
        }
        false
    }

    /// The first message of a unidirectional client is its connect request; it has nothing more
    /// to say.
    fn read_uni_message(&mut self, conn: ConnId, frames: Frames, payload: &[u8], now: Now) {
        if let Some(State::Live(_)) = self.conns.state_mut(conn) {
            return;
        }
        match ConnectRequest::parse(payload) {
            Ok(request) => self.begin_silent(conn, (0, request), now),
            Err(_malformed) => {
                self.counters.connects_refused += 1;
                // The close frame alone.
                let wire = Wire::UniWebSocket(Dialect::V2, frames.without_disconnect_push());
                self.say_last(conn, wire, &codes::BAD_REQUEST, now);
            }
        }
    }

    fn refuse_frames(&mut self, conn: ConnId, error: FrameError, now: Now) {
        if let Some(State::Live(live)) = self.conns.state_mut(conn) {
            let slot = live.slot;
            self.end_session(slot, &CloseReason::Frames(error), now);
            return;
        }
        self.counters.connects_refused += 1;
        self.close_frames(conn, error, now);
    }

    /// The last words to a client whose frames cannot be read any further.
    pub(super) fn close_frames(&mut self, conn: ConnId, error: FrameError, now: Now) {
        self.effects.send(conn, |out| {
            websocket::write_close(out, error.close_code(), error.close_reason());
        });
        self.finish(conn, now);
    }
}
