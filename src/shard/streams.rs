//! ②③ Requests that connect: which transport they open, and who calls.

use std::rc::Rc;

use super::answers::Plain;
use super::conns::State;
use super::http::Step;
use super::sessions::dialect;
use super::{Shard, frames};
use crate::connection::Exchange;
use crate::connection::open::{self, Endpoint};
use crate::connection::opening::{Caller, Opening, Stage};
use crate::connection::options::Options;
use crate::ids::ConnId;
use crate::protocol::{ConnectRequest, Encoding, ParseError};
use crate::proxy::{Carried, Header};
use crate::time::Now;
use crate::transport::{Body, Wire};
use crate::wire::http1::{self, Head, Status};

impl Shard {
    /// A whole connect request. `None`: refused, and the connection can carry another request.
    pub(super) fn connect(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        endpoint: Endpoint<'_>,
        body: &[u8],
        now: Now,
    ) -> Option<Step> {
        let options = Rc::clone(&self.options);
        let form = dialect(options.dialect, query(head, "cf_protocol_version").as_deref());
        let mut carrier = Body::new(head);
        if exchange.more {
            carrier.spoil();
        }
        match endpoint {
            Endpoint::WebSocket(_) | Endpoint::UniWebSocket(_) => {
                frames::upgrade(self, conn, exchange, head, (endpoint, form), now)
            }
            Endpoint::UniHttpStream(_) => {
                let wire = Wire::UniHttpStream(form, carrier);
                self.connect_uni(conn, exchange, head, (wire, body), now)
            }
            Endpoint::UniSse(_) => {
                let asked = asked(head, body);
                let body = if head.method == "GET" && asked.is_empty() { b"{}" } else { &*asked };
                let wire = Wire::UniSse(form, carrier);
                self.connect_uni(conn, exchange, head, (wire, body), now)
            }
            Endpoint::HttpStream(_) => {
                let encoding = encoding(head);
                let wire = Wire::HttpStream(encoding, carrier);
                self.connect_emulated(conn, exchange, head, (wire, encoding, body), now)
            }
            Endpoint::Sse(_) => {
                let asked = asked(head, body);
                if head.method == "GET" && asked.is_empty() {
                    return self.refuse_connect_request(conn, exchange, head, MISSING, now);
                }
                let wire = Wire::Sse(carrier);
                self.connect_emulated(conn, exchange, head, (wire, Encoding::Json, &asked), now)
            }
        }
    }

    /// A unidirectional stream: the body is the connect request.
    fn connect_uni(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        (wire, body): (Wire, &[u8]),
        now: Now,
    ) -> Option<Step> {
        let request = match ConnectRequest::parse(body) {
            Ok(request) => request,
            Err(error) => return self.refuse_malformed(conn, exchange, head, &error, now),
        };
        let caller = caller(&self.options, exchange, head);
        self.become_idle(conn);
        self.begin(conn, wire, caller, (0, request), now);
        Some(Step::Left)
    }

    /// A stream with commands: the body is the first of them.
    fn connect_emulated(
        &mut self,
        conn: ConnId,
        exchange: &Exchange,
        head: &Head<'_>,
        (wire, encoding, commands): (Wire, Encoding, &[u8]),
        now: Now,
    ) -> Option<Step> {
        let caller = caller(&self.options, exchange, head);
        self.begin_stream(conn, wire, &caller.cors, now);
        self.become_opening(conn, Opening { wire, stage: Stage::Silent(caller) });
        self.arm_at(conn, now.mono_ms + self.options.stale_close_ms);
        self.run_commands(conn, encoding, commands, now);
        Some(Step::Left)
    }

    pub(super) fn become_opening(&mut self, conn: ConnId, opening: Opening) {
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Opening(Box::new(opening));
        }
    }

    /// The request has been taken off the connection.
    fn become_idle(&mut self, conn: ConnId) {
        if let Some(state) = self.conns.state_mut(conn) {
            *state = State::Idle;
        }
    }

    pub(super) fn refuse_malformed(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        error: &ParseError,
        now: Now,
    ) -> Option<Step> {
        self.refuse_connect_request(conn, exchange, head, &format!("{error}\n"), now)
    }

    pub(super) fn refuse_connect_request(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        why: &str,
        now: Now,
    ) -> Option<Step> {
        self.counters.requests_malformed += 1;
        let options = Rc::clone(&self.options);
        let cors = cors(&options, head);
        self.respond(conn, exchange, head, Plain::text(Status(400), why).with(&cors), now);
        None
    }
}

const MISSING: &str = "no connect command: send one in the query parameter cf_connect\n";

/// What a request to connect says of its client.
pub(super) fn caller(options: &Options, exchange: &Exchange, head: &Head<'_>) -> Caller {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let header_user = options.user_id_header.as_deref().and_then(|name| head.header(name));
    // An empty one is what a proxy makes of a guest.
    let header_user = header_user.filter(|user| !user.is_empty());
    Caller {
        remote_addr: options.trusted_proxies.remote_addr(exchange.peer, head),
        user_agent: head.header("user-agent").unwrap_or_default().into(),
        header_user: header_user.map(Into::into),
        cors: cors(options, head).iter().map(owned).collect(),
        carried: Carried { headers: shown_headers(options, head), ..Carried::default() },
    }
}

/// What a backend is shown of the headers.
fn shown_headers(options: &Options, head: &Head<'_>) -> Vec<Header> {
    let mut shown = Vec::new();
    for name in &options.shown.headers {
        let values = head.header_values(name);
        shown.extend(values.map(|value| (name.as_str().into(), value.into())));
    }
    shown
}

pub(super) fn cors<'h>(options: &Options, head: &Head<'h>) -> open::Cors<'h> {
    open::cors_headers(options.origins.check(head.header("origin")), head)
}

/// A parameter of the query.
pub(super) fn query<'h>(head: &Head<'h>, name: &str) -> Option<std::borrow::Cow<'h, str>> {
    head.query().and_then(|query| http1::query_value(query, name))
}

/// What an event stream is asked with: the query of a GET, the body of a POST.
fn asked<'r>(head: &Head<'r>, body: &'r [u8]) -> std::borrow::Cow<'r, [u8]> {
    use std::borrow::Cow;
    if head.method != "GET" {
        return Cow::Borrowed(body);
    }
    match query(head, "cf_connect") {
        Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        None => Cow::Borrowed(b""),
    }
}

/// How the commands in a body are written: exactly this type is Protobuf, anything else JSON.
pub(super) fn encoding(head: &Head<'_>) -> Encoding {
    match head.header("content-type") {
        Some("application/octet-stream") => Encoding::Protobuf,
        _ => Encoding::Json,
    }
}
