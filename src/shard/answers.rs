//! ② Plain HTTP answers: what is not a reply of the API and not a stream.

use super::Shard;
use super::http::Step;
use crate::api::Refusal;
use crate::connection::Exchange;
use crate::ids::ConnId;
use crate::time::Now;
use crate::wire::http1::{self, Head, HeadError, Response, Shown, Status, Version};

/// Content type of answers for people.
const PLAIN: Option<&str> = Some("text/plain; charset=utf-8");

/// A plain answer, to be written in one piece.
#[derive(Clone, Copy)]
pub(super) struct Plain<'a> {
    status: Status,
    content_type: Option<&'a str>,
    extra: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

impl<'a> Plain<'a> {
    /// Nothing but a status.
    pub(super) const fn empty(status: Status) -> Self {
        Self { status, content_type: None, extra: &[], body: &[] }
    }

    /// A text for people.
    pub(super) const fn text(status: Status, text: &'a str) -> Self {
        let content_type = if text.is_empty() { None } else { PLAIN };
        Self { status, content_type, extra: &[], body: text.as_bytes() }
    }

    /// JSON.
    pub(super) const fn json(body: &'a [u8]) -> Self {
        let content_type = Some("application/json");
        Self { status: Status(200), content_type, extra: &[], body }
    }

    /// A page, or a file of it.
    pub(super) const fn page(shown: &'a Shown<'a>) -> Self {
        let Shown { status, content_type, headers, body } = shown;
        Self { status: *status, content_type: *content_type, extra: headers, body }
    }

    /// With more headers.
    pub(super) const fn with(self, extra: &'a [(&'a str, &'a str)]) -> Self {
        Self { extra, ..self }
    }
}

/// Whether and how the connection goes on after an answer.
#[derive(Clone, Copy)]
pub(super) struct After {
    pub(super) version: Version,
    pub(super) keep_alive: bool,
}

impl After {
    /// As the request wants it.
    pub(super) const fn request(head: &Head<'_>) -> Self {
        Self { version: head.version, keep_alive: head.keep_alive }
    }

    /// The connection closes.
    pub(super) const CLOSE: Self = Self { version: Version::Http11, keep_alive: false };
}

impl Shard {
    pub(super) fn send_plain(&mut self, conn: ConnId, plain: Plain<'_>, after: After, now: Now) {
        self.send_plain_to(conn, plain, after, "GET", now);
    }

    fn send_plain_to(
        &mut self,
        conn: ConnId,
        plain: Plain<'_>,
        after: After,
        method: &str,
        now: Now,
    ) {
        let Plain { status, content_type, extra, body } = plain;
        let After { version, keep_alive } = after;
        let date = self.date.at(now.unix_s());
        let response = Response { status, content_type, keep_alive, version, date, extra };
        self.effects.send(conn, |out| {
            if method == "HEAD" {
                http1::write_response_head(out, &response, body);
            } else {
                http1::write_response(out, &response, body);
            }
        });
    }

    /// Answers a whole request. Nothing older may be owed.
    pub(super) fn respond(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        plain: Plain<'_>,
        now: Now,
    ) {
        debug_assert!(exchange.owed.is_empty(), "an older reply would be overtaken");
        self.send_plain_to(conn, plain, After::request(head), head.method, now);
        exchange.last |= !head.keep_alive;
    }

    pub(super) fn refuse_head(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        error: &HeadError,
        now: Now,
    ) -> Step {
        self.refuse_unread(conn, exchange, error.status(), &error.to_string(), now)
    }

    /// Refuses what cannot be read any further: the answer says why and the connection closes.
    pub(super) fn refuse_unread(
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
        self.send_plain(conn, Plain::text(status, &format!("{why}\n")), After::CLOSE, now);
        self.finish(conn, now);
        Step::Left
    }

    /// Refuses a request whose head could be read; the connection survives when all of it is here
    /// to be skipped: `whole` bytes.
    pub(super) fn refuse(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        (refusal, headers): (&Refusal, &[(&str, &str)]),
        whole: Option<usize>,
        now: Now,
    ) -> Step {
        if wait_for_older(exchange) {
            return Step::NeedMore;
        }
        let keep_alive = head.keep_alive && whole.is_some();
        let after = After { version: head.version, keep_alive };
        let plain = Plain::text(refusal.status, &refusal.body).with(headers);
        self.send_plain(conn, plain, after, now);
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

    /// A request that did not become whole in time (RFC 9110 §15.5.9).
    pub(super) fn time_out(&mut self, conn: ConnId, now: Now) {
        self.counters.requests_timed_out += 1;
        let late = Plain::text(Status(408), "the request did not become whole in time\n");
        self.send_plain(conn, late, After::CLOSE, now);
        self.finish(conn, now);
    }
}

/// Whether older replies are owed; then nothing more is read before they have left.
pub(super) fn wait_for_older(exchange: &mut Exchange) -> bool {
    exchange.behind = !exchange.owed.is_empty();
    exchange.behind
}
