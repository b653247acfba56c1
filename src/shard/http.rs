//! ②③ Bytes to requests, requests to what they open. One loop per connection event; the next
//! request is looked at only when there is room for its reply.

use std::borrow::Cow;
use std::rc::Rc;

use super::admission::NoConnect;
use super::answers::{Plain, wait_for_older};
use super::{EFFECT_BYTES_MAX, Shard};
use crate::api::{self, Refusal};
use crate::connection::Exchange;
use crate::connection::exchange::{Chunked, Reading};
use crate::connection::open::{self, Target};
use crate::ids::ConnId;
use crate::time::Now;
use crate::wire::http1::{self, BodyError, ChunkedBody, Framing, Head, HeadScan, Status, Version};

/// How long the body of a request may take after its head was whole.
const BODY_MS: u64 = 30_000;

/// Why a request does not go on to its body.
struct NotAdmitted {
    refusal: Refusal,
    /// Seconds, where it would do so later.
    retry_after: Option<String>,
}

impl From<Refusal> for NotAdmitted {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, retry_after: None }
    }
}

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
        if exchange.last && exchange.owed.is_empty() {
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
                    Err(BodyError::TooLarge) => {
                        let why = chunked.limit.to_string();
                        self.refuse_unread(conn, exchange, Status(413), &why, now)
                    }
                    Err(error @ BodyError::Malformed(_)) => {
                        self.refuse_unread(conn, exchange, Status(400), &error.to_string(), now)
                    }
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
        let overlaps = target.api().is_some_and(|(_, route)| !route.is_stream())
            && head.framing != Framing::Chunked;
        if !overlaps && wait_for_older(exchange) {
            return Step::NeedMore;
        }
        let limit = target.body_limit();
        if let Err(NotAdmitted { refusal, retry_after }) = self.admit(&target, &head, exchange, now)
        {
            let retry_after = retry_after.as_deref().map(|after| [("Retry-After", after)]);
            let headers = retry_after.as_ref().map_or(refusal.headers(), |header| header);
            let skipped = match head.framing {
                Framing::Empty => Some(0),
                Framing::Length(len) if len <= rest.len() => Some(len),
                Framing::Length(_) | Framing::Chunked => None,
            };
            return self.refuse(
                conn,
                exchange,
                &head,
                (&refusal, headers),
                skipped.map(|s| head_bytes + s),
                now,
            );
        }
        let body_bytes = match head.framing {
            Framing::Empty => 0,
            Framing::Length(len) if len > limit.bytes_max => {
                return self.refuse_unread(conn, exchange, Status(413), &limit.to_string(), now);
            }
            Framing::Length(len) => len,
            Framing::Chunked => {
                self.expect(conn, exchange, &head, now);
                exchange.reading = Reading::Chunked(Box::new(Chunked {
                    head: head_slice.to_vec(),
                    limit,
                    decoder: ChunkedBody::new(limit.bytes_max),
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
        if let Some((api, route)) = target.api() {
            return if route.is_stream() {
                self.watch(conn, exchange, head, (api, body), now)
            } else {
                self.call(conn, exchange, head, (api, &route), body, now)
            };
        }
        let plain = match target {
            Target::Connect(endpoint) => {
                return self.connect(conn, exchange, head, *endpoint, body, now);
            }
            Target::Emulation(_) => return self.emulate(conn, exchange, head, body, now),
            Target::Preflight => {
                let options = Rc::clone(&self.options);
                let mut extra =
                    open::cors_headers(options.origins.check(head.header("origin")), head);
                extra.extend(open::PREFLIGHT_HEADERS);
                self.respond(conn, exchange, head, Plain::empty(Status(204)).with(&extra), now);
                return None;
            }
            Target::Swagger(page) => {
                let shown = page.shown(head);
                self.respond(conn, exchange, head, Plain::page(&shown), now);
                return None;
            }
            Target::Admin(admin, route) => {
                self.administer(conn, exchange, head, (admin, route), body, now);
                return None;
            }
            Target::Api(..) => unreachable!("it is called above"),
            Target::Health => Plain::json(b"{}"),
            Target::MethodNotAllowed => Plain::empty(Status(405)),
            Target::Nothing => Plain::text(Status(404), open::plain_body(Status(404))),
        };
        self.respond(conn, exchange, head, plain, now);
        None
    }

    /// Whether this request may go on to its body.
    fn admit(
        &mut self,
        target: &Target<'_>,
        head: &Head<'_>,
        exchange: &Exchange,
        now: Now,
    ) -> Result<(), NotAdmitted> {
        match target {
            Target::Api(options, _) => {
                let admitted = api::admit(options, &self.api_key, head);
                if admitted.as_ref().is_err_and(|refusal| refusal.status == Status(401)) {
                    self.counters.api_unauthorized += 1;
                }
                Ok(admitted?)
            }
            Target::Admin(admin, route) => {
                let admitted = admin.admit(route, head, now);
                if admitted.as_ref().is_err_and(|refusal| refusal.status == Status(401)) {
                    self.counters.admin_unauthorized += 1;
                }
                Ok(admitted?)
            }
            Target::Connect(_) => {
                let proxies = &self.options.trusted_proxies;
                let address = || proxies.remote_addr(exchange.peer, head);
                let refusal = |status| Refusal { status: Status(status), body: Cow::Borrowed("") };
                self.admission.admits_connect(address, now.mono_ms).map_err(|why| match why {
                    NoConnect::OfNode => {
                        self.counters.connects_limited += 1;
                        refusal(503).into()
                    }
                    NoConnect::OfAddress(too_often) => {
                        self.counters.connects_limited_by_address += 1;
                        let retry_after = Some(too_often.retry_after_s.to_string());
                        NotAdmitted { refusal: refusal(429), retry_after }
                    }
                })
            }
            Target::Emulation(_)
            | Target::Preflight
            | Target::Swagger(_)
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
}
