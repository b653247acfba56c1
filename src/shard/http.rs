//! ②③ Bytes to requests, requests to what they open. One loop per connection event; the next
//! request is looked at only when there is room for its reply.

use std::borrow::Cow;
use std::rc::Rc;

use super::{EFFECT_BYTES_MAX, Shard};
use crate::api::{self, Refusal};
use crate::connection::Exchange;
use crate::connection::exchange::{Chunked, Reading};
use crate::connection::open::{self, Target};
use crate::ids::ConnId;
use crate::time::Now;
use crate::wire::http1::{
    self, BodyError, ChunkedBody, Framing, Head, HeadError, HeadScan, Response, Status, Version,
};

/// How long the body of a request may take after its head was whole.
const BODY_MS: u64 = 30_000;

/// What handling one step of input led to.
pub(super) enum Step {
    /// A request was handled; look for the next one after this many bytes.
    Handled(usize),
    /// More bytes are needed.
    NeedMore,
    /// The connection became something else: a session, closing, or gone.
    Left,
}

impl Shard {
    /// Reads as many requests as there are and as there is room for.
    pub(super) fn read(
        &mut self,
        conn: ConnId,
        mut exchange: Box<Exchange>,
        input: &mut Vec<u8>,
        now: Now,
    ) {
        exchange.active_ms = now.mono_ms;
        // Bytes kept from earlier come first; mostly there are none and nothing is copied.
        let mut kept = std::mem::take(&mut exchange.pending);
        let is_fresh = kept.is_empty();
        let buf = if is_fresh {
            input
        } else {
            kept.append(input);
            &mut kept
        };
        exchange.behind = false;
        let mut at = 0;
        // Replies leave before more are written: a few bytes can ask for a large listing.
        let is_full = |shard: &Self| shard.effects.bytes_len() >= EFFECT_BYTES_MAX;
        while !exchange.must_wait() && !exchange.last && !is_full(self) {
            match self.step(conn, &mut exchange, buf, at, now) {
                Step::Handled(bytes) => at += bytes,
                Step::NeedMore => break,
                Step::Left => return,
            }
        }
        exchange.paused = exchange.must_wait();
        if is_full(self) && !exchange.paused {
            exchange.paused = true;
            self.effects.resume(conn);
        }
        if at < buf.len() && !exchange.last {
            // A copy, because the read buffer is far larger than half a request; but what grows
            // by a few bytes at a time is not copied each time.
            let is_grown = !is_fresh && at == 0;
            exchange.pending = if is_grown { std::mem::take(buf) } else { buf[at..].to_vec() };
        }
        self.after_read(conn, exchange, now);
    }

    fn after_read(&mut self, conn: ConnId, mut exchange: Box<Exchange>, now: Now) {
        if exchange.last && exchange.owed.is_empty() && exchange.connecting.is_none() {
            self.put_back(conn, exchange);
            self.finish(conn, now);
            return;
        }
        // What waits for us is not late: only the client's own half of a request is.
        if !exchange.is_half_read() || exchange.paused {
            exchange.deadline_ms = 0;
        } else if exchange.deadline_ms == 0 {
            exchange.deadline_ms = now.mono_ms + self.options.stale_close_ms;
            self.arm_at(conn, exchange.deadline_ms);
        }
        self.put_back(conn, exchange);
    }

    fn step(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        buf: &mut Vec<u8>,
        at: usize,
        now: Now,
    ) -> Step {
        match &mut exchange.reading {
            Reading::Head(scan) => match scan.end(&buf[at..]) {
                Ok(Some(len)) => {
                    exchange.reading = Reading::Head(HeadScan::default());
                    self.on_head(conn, exchange, &buf[at..], len, now)
                }
                Ok(None) => Step::NeedMore,
                Err(error) => self.refuse_head(conn, exchange, &error, now),
            },
            Reading::Body { head_bytes, body_bytes } => {
                let (head_bytes, whole) = (*head_bytes, *head_bytes + *body_bytes);
                if buf.len() - at < whole {
                    return Step::NeedMore;
                }
                exchange.reading = Reading::Head(HeadScan::default());
                exchange.more = buf.len() - at > whole;
                let (head, body) = buf[at..at + whole].split_at(head_bytes);
                self.on_request(conn, exchange, head, body, now).unwrap_or(Step::Handled(whole))
            }
            Reading::Chunked(chunked) => {
                chunked.body.extend_from_slice(&buf[at..]);
                buf.truncate(at);
                match chunked.decoder.advance(&mut chunked.body) {
                    Ok(None) => Step::NeedMore,
                    Ok(Some(end)) => {
                        exchange.more = chunked.body.len() > end.consumed_len;
                        let Reading::Chunked(done) = std::mem::take(&mut exchange.reading) else {
                            unreachable!("matched above")
                        };
                        buf.extend_from_slice(&done.body[end.consumed_len..]);
                        let body = &done.body[..end.decoded_len];
                        self.on_request(conn, exchange, &done.head, body, now)
                            .unwrap_or(Step::Handled(0))
                    }
                    Err(error) => self.refuse_body(conn, exchange, &error, now),
                }
            }
        }
    }

    /// A head is whole. `bytes` starts with it.
    fn on_head(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        bytes: &[u8],
        head_bytes: usize,
        now: Now,
    ) -> Step {
        let (head_slice, rest) = bytes.split_at(head_bytes);
        let head = match http1::parse_head(head_slice) {
            Ok(head) => head,
            Err(error) => return self.refuse_head(conn, exchange, &error, now),
        };
        let options = Rc::clone(&self.options);
        let target = open::target(&options, self.conns.scope(conn), &head);
        // Only API calls with a body of known length overlap; anything else waits its turn here,
        // so that no answer overtakes an older one.
        let overlaps = matches!(target, Target::Api(..)) && head.framing != Framing::Chunked;
        if !overlaps && wait_for_older(exchange) {
            return Step::NeedMore;
        }
        let body_bytes_max = target.body_bytes_max();
        if let Err(refusal) = self.admit(&target, &head, now) {
            let skipped = match head.framing {
                Framing::Empty => Some(0),
                Framing::Length(len) if len <= rest.len() => Some(len),
                Framing::Length(_) | Framing::Chunked => None,
            };
            return self.refuse(
                conn,
                exchange,
                &head,
                &refusal,
                skipped.map(|s| head_bytes + s),
                now,
            );
        }
        let body_bytes = match head.framing {
            Framing::Empty => 0,
            Framing::Length(len) if len > body_bytes_max => {
                return self.refuse_body(conn, exchange, &BodyError::TooLarge, now);
            }
            Framing::Length(len) => len,
            Framing::Chunked => {
                self.expect(conn, exchange, &head, now);
                exchange.reading = Reading::Chunked(Box::new(Chunked {
                    head: head_slice.to_vec(),
                    decoder: ChunkedBody::new(body_bytes_max),
                    body: Vec::new(),
                }));
                return Step::Handled(head_bytes);
            }
        };
        let whole = head_bytes + body_bytes;
        exchange.more = rest.len() > body_bytes;
        if rest.len() < body_bytes {
            self.expect(conn, exchange, &head, now);
            exchange.reading = Reading::Body { head_bytes, body_bytes };
            return Step::NeedMore;
        }
        self.dispatch(conn, exchange, &head, &target, &rest[..body_bytes], now)
            .unwrap_or(Step::Handled(whole))
    }

    /// A request whose head had to wait for its body is whole.
    fn on_request(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &[u8],
        body: &[u8],
        now: Now,
    ) -> Option<Step> {
        let head = http1::parse_head(head).expect("parsed when it was whole");
        let options = Rc::clone(&self.options);
        let target = open::target(&options, self.conns.scope(conn), &head);
        self.dispatch(conn, exchange, &head, &target, body, now)
    }

    /// A whole request. `None`: handled, read on.
    fn dispatch(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        target: &Target<'_>,
        body: &[u8],
        now: Now,
    ) -> Option<Step> {
        exchange.deadline_ms = 0;
        match target {
            Target::Api(api, route) => self.call(conn, exchange, head, (*api, route), body, now),
            Target::UniHttpStream(endpoint) => {
                self.connect(conn, exchange, head, endpoint, body, now)
            }
            Target::Preflight => {
                let options = Rc::clone(&self.options);
                let mut extra =
                    open::cors_headers(options.origins.check(head.header("origin")), head);
                extra.extend(open::PREFLIGHT_HEADERS);
                self.respond(conn, exchange, head, Status(204), None, &extra, &[], now)
            }
            Target::Health => {
                let json = Some("application/json");
                self.respond(conn, exchange, head, Status(200), json, &[], b"{}", now)
            }
            Target::MethodNotAllowed => {
                self.respond(conn, exchange, head, Status(405), None, &[], &[], now)
            }
            Target::Nothing => {
                let body = open::plain_body(Status(404)).as_bytes();
                self.respond(conn, exchange, head, Status(404), PLAIN, &[], body, now)
            }
        }
    }

    /// A whole plain answer. Nothing older may be owed.
    #[expect(clippy::too_many_arguments, reason = "one answer, spelled out where it is decided")]
    pub(super) fn respond(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        status: Status,
        content_type: Option<&str>,
        extra: &[(&str, &str)],
        body: &[u8],
        now: Now,
    ) -> Option<Step> {
        debug_assert!(exchange.owed.is_empty(), "an older reply would be overtaken");
        let date = self.date.at(now.unix_s());
        let response = Response {
            status,
            content_type,
            keep_alive: head.keep_alive,
            version: head.version,
            date,
            extra,
        };
        self.effects.send(conn, |out| {
            if head.method == "HEAD" {
                http1::write_response_head(out, &response, body);
            } else {
                http1::write_response(out, &response, body);
            }
        });
        exchange.last |= !head.keep_alive;
        None
    }

    /// Whether this request may go on to its body.
    fn admit(&mut self, target: &Target<'_>, head: &Head<'_>, now: Now) -> Result<(), Refusal> {
        match target {
            Target::Api(options, _) => {
                let admitted = api::admit(options, &self.api_key, head);
                if admitted.as_ref().is_err_and(|refusal| refusal.status == Status(401)) {
                    self.counters.api_unauthorized += 1;
                }
                admitted
            }
            Target::UniHttpStream(_) if !self.admission.admits(now.mono_ms) => {
                self.counters.connects_limited += 1;
                Err(Refusal { status: Status(503), body: Cow::Borrowed("") })
            }
            Target::UniHttpStream(_)
            | Target::Preflight
            | Target::Health
            | Target::MethodNotAllowed
            | Target::Nothing => Ok(()),
        }
    }

    /// The client waits for leave to send the body (RFC 9110 §10.1.1).
    fn expect(&mut self, conn: ConnId, exchange: &mut Exchange, head: &Head<'_>, now: Now) {
        exchange.deadline_ms = now.mono_ms + BODY_MS;
        self.arm_at(conn, exchange.deadline_ms);
        if head.expect_continue && head.version == Version::Http11 && exchange.owed.is_empty() {
            self.effects.send(conn, |out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
    }

    fn refuse_head(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        error: &HeadError,
        now: Now,
    ) -> Step {
        self.refuse_unread(conn, exchange, error.status(), &error.to_string(), now)
    }

    fn refuse_body(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        error: &BodyError,
        now: Now,
    ) -> Step {
        let status = match error {
            BodyError::TooLarge => Status(413),
            BodyError::Malformed(_) => Status(400),
        };
        self.refuse_unread(conn, exchange, status, &error.to_string(), now)
    }

    /// Refuses what cannot be read any further: the answer says why and the connection closes.
    fn refuse_unread(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        status: Status,
        why: &str,
        now: Now,
    ) -> Step {
        if wait_for_older(exchange) {
            return Step::NeedMore;
        }
        self.counters.requests_malformed += 1;
        let date = self.date.at(now.unix_s());
        let response = Response {
            status,
            content_type: PLAIN,
            keep_alive: false,
            version: Version::Http11,
            date,
            extra: &[],
        };
        self.effects.send(conn, |out| {
            http1::write_response(out, &response, format!("{why}\n").as_bytes());
        });
        self.finish(conn, now);
        Step::Left
    }

    /// Refuses a request whose head could be read; the connection survives when all of it is here
    /// to be skipped: `whole` bytes.
    fn refuse(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        refusal: &Refusal,
        whole: Option<usize>,
        now: Now,
    ) -> Step {
        if wait_for_older(exchange) {
            return Step::NeedMore;
        }
        let keep_alive = head.keep_alive && whole.is_some();
        let content_type = if refusal.body.is_empty() { None } else { PLAIN };
        let date = self.date.at(now.unix_s());
        let response = Response {
            status: refusal.status,
            content_type,
            keep_alive,
            version: head.version,
            date,
            extra: &[],
        };
        let body = refusal.body.as_bytes();
        self.effects.send(conn, |out| http1::write_response(out, &response, body));
        match whole {
            Some(whole) if keep_alive => {
                exchange.deadline_ms = 0;
                Step::Handled(whole)
            }
            Some(_) | None => {
                self.finish(conn, now);
                Step::Left
            }
        }
    }
}

/// Whether older replies are owed; then nothing more is read before they have left.
fn wait_for_older(exchange: &mut Exchange) -> bool {
    exchange.behind = !exchange.owed.is_empty();
    exchange.behind
}

/// Content type of answers for people.
pub(super) const PLAIN: Option<&str> = Some("text/plain; charset=utf-8");
