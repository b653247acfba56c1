//! ② The operators' page: what it asks before it calls the API.

use super::Shard;
use super::answers::Plain;
use crate::admin::{Admin, LoginError, Route};
use crate::connection::Exchange;
use crate::ids::ConnId;
use crate::time::Now;
use crate::wire::http1::{Head, Status};

/// Who is signed in is nobody else's to keep.
const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");

impl Shard {
    /// A whole request of the page, but for the API.
    pub(super) fn administer(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        (admin, route): (&Admin, &Route<'_>),
        body: &[u8],
        now: Now,
    ) {
        match route {
            Route::Page(place) => {
                let shown = place.shown(head);
                self.respond(conn, exchange, head, Plain::page(&shown), now);
            }
            Route::Init if !matches!(head.method, "GET" | "HEAD") => {
                let refusal = Plain::empty(Status(405)).with(&[("Allow", "GET, HEAD")]);
                self.respond(conn, exchange, head, refusal, now);
            }
            Route::Init => {
                let facts = admin.init(head, now);
                let plain = Plain::json(facts.as_bytes()).with(&[NO_STORE]);
                self.respond(conn, exchange, head, plain, now);
            }
            Route::Login => self.sign_in(conn, exchange, head, (admin, body), now),
            Route::Api(_) => unreachable!("it is called as the API is"),
        }
    }

    fn sign_in(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        (admin, body): (&Admin, &[u8]),
        now: Now,
    ) {
        let from = self.options.trusted_proxies.remote_addr(exchange.peer, head);
        let error = match admin.login(head.header("content-type"), body, from, now) {
            Ok(token) => {
                self.counters.admin_logins += 1;
                let plain = Plain::json(token.as_bytes()).with(&[NO_STORE]);
                return self.respond(conn, exchange, head, plain, now);
            }
            Err(error) => error,
        };
        self.counters.admin_logins_refused += 1;
        let why = format!("{error}\n");
        let plain = Plain::text(error.status(), &why);
        if let LoginError::TooMany { retry_after_s } = error {
            let seconds = retry_after_s.to_string();
            let headers = [("Retry-After", seconds.as_str()), NO_STORE];
            self.respond(conn, exchange, head, plain.with(&headers), now);
        } else {
            self.respond(conn, exchange, head, plain.with(&[NO_STORE]), now);
        }
    }
}
