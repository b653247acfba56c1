//! Sessions whose time is over, and that a backend may let go on.

use super::super::super::inquiries::SESSIONS_MAX;
use super::*;
use crate::auth::{self, NewClaims, TokenOptions};
use crate::connection::options::RefreshProxy;
use crate::proxy::{CarriedNames, RefreshAnswer, RefreshQuestion, Renewed};

const RETRY_MS: u64 = 60_000;
const GRACE_MS: u64 = 150_000;

fn world() -> World {
    let shown = CarriedNames::new(&["Cookie".to_owned()], &[], &["X-Said".to_owned()]);
    let refresh_proxy = RefreshProxy {
        shown: shown.clone(),
        meta: Choice::Allow,
        retry_ms: RETRY_MS,
        grace_ms: GRACE_MS,
    };
    let token = TokenOptions { hmac_secret: Some("secret".to_owned()), ..TokenOptions::default() };
    let refresh_proxy = Some(refresh_proxy);
    // Without pings only a session's end has a timer.
    let ping_interval_ms = 0;
    World::with(Options { token, refresh_proxy, shown, ping_interval_ms, ..Options::default() })
}

impl World {
    /// A session that has so many seconds.
    fn session(&mut self, index: u32, seconds: i64) -> ConnId {
        let expires_at = Some(self.now.unix_s() + seconds);
        let claims = NewClaims { user: "ann", expires_at, ..NewClaims::default() };
        let connect = json!({"token": auth::sign("secret", &claims), "headers": {"x-said": "s"}});
        let conn = self.websocket(index, &[&json!({"id": 1, "connect": connect}).to_string()]);
        let said = self.said(conn);
        assert!(said.text.contains(r#""connect":{"client""#), "{}", said.text);
        assert!(!said.text.contains("expires") && !said.text.contains("ttl"), "{}", said.text);
        conn
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ms += ms;
        while !self.shard.on_tick(self.now) {}
    }

    /// The one refresh that was asked for.
    fn refreshed(&mut self, conn: ConnId) -> (InquiryId, RefreshQuestion) {
        let mut said = self.said(conn);
        assert_eq!(said.inquiries.len(), 1, "{}", said.text);
        let (inquiry, Inquiry::Refresh(question)) = said.inquiries.remove(0) else {
            panic!("asked for something else")
        };
        (inquiry, *question)
    }

    fn goes_on(&mut self, inquiry: InquiryId, seconds: i64) {
        let expire_at = self.now.unix_s() + seconds;
        let renewed = Box::new(Renewed { expire_at, meta: None, labels: None });
        self.found(inquiry, Finding::Refresh(RefreshAnswer::GoesOn(renewed)));
    }
}

#[test]
fn a_session_goes_on_as_its_backend_says_and_what_it_is_shown_is_kept() {
    let mut world = world();
    let conn = world.session(0, 60);
    world.pass(59_000);
    assert!(world.said(conn).inquiries.is_empty(), "before its time is over");
    world.pass(1_100);
    let (inquiry, question) = world.refreshed(conn);
    assert_eq!((question.user.as_str(), question.transport), ("ann", "websocket"));
    assert_eq!(question.meta, None);
    let carried = [(Box::from("x-said"), Box::from(b"s".as_slice()))];
    assert_eq!(question.carried.emulated, carried);
    assert_eq!(world.users(), ["ann"], "it stays while its backend is asked");
    let renewed = Renewed {
        expire_at: world.now.unix_s() + 10,
        meta: Some(b"{\"m\":1}".as_slice().into()),
        labels: Some([("k".to_owned(), "v".to_owned())].into()),
    };
    world.found(inquiry, Finding::Refresh(RefreshAnswer::GoesOn(Box::new(renewed))));
    world.pass(9_000);
    let said = world.said(conn);
    assert_eq!((said.text.as_str(), said.inquiries.len()), ("", 0), "its client hears nothing");
    world.pass(1_100);
    let (inquiry, question) = world.refreshed(conn);
    assert_eq!(question.meta.as_deref(), Some(b"{\"m\":1}".as_slice()));
    assert_eq!(question.labels, [("k".to_owned(), "v".to_owned())].into());
    world.found(inquiry, Finding::Refresh(RefreshAnswer::Ended));
    assert!(world.said(conn).text.contains("connection expired"));
    assert_eq!(world.users(), [""; 0]);
    assert!(world.shard.renewals.is_empty() && world.shard.inquiries.is_empty());
}

#[test]
fn an_end_that_is_not_in_the_future_or_broken_ends_the_session() {
    for (seconds, told) in [(Some(0), "connection expired"), (None, "internal server error")] {
        let mut world = world();
        let conn = world.session(0, 5);
        world.pass(5_100);
        let (inquiry, _) = world.refreshed(conn);
        match seconds {
            Some(seconds) => world.goes_on(inquiry, seconds),
            None => world.found(inquiry, Finding::Refresh(RefreshAnswer::Broken)),
        }
        let text = world.said(conn).text;
        assert!(text.contains(told), "{text}");
        assert_eq!(world.users(), [""; 0]);
    }
}

#[test]
fn a_backend_that_cannot_be_asked_ends_no_session_before_its_grace_is_over() {
    let mut world = world();
    let conn = world.session(0, 5);
    world.pass(5_100);
    for _ in 0..2 {
        let (inquiry, _) = world.refreshed(conn);
        world.found(inquiry, Finding::Nothing);
        world.pass(RETRY_MS - 1_000);
        assert!(world.said(conn).inquiries.is_empty());
        world.pass(1_100);
    }
    // Nobody answers at all.
    let (inquiry, _) = world.refreshed(conn);
    world.pass(Options::default().inquiry_timeout_ms);
    assert_eq!(world.said(conn).dismissed, [inquiry]);
    assert_eq!(world.users(), ["ann"]);
    // The rest of its grace is shorter than the interval.
    world.pass(GRACE_MS - 2 * RETRY_MS);
    let (inquiry, _) = world.refreshed(conn);
    world.found(inquiry, Finding::NotAsked);
    assert!(world.said(conn).text.contains("connection expired"));
    assert_eq!(world.users(), [""; 0]);
}

#[test]
fn a_success_gives_the_whole_grace_back() {
    let mut world = world();
    let conn = world.session(0, 5);
    world.pass(5_100);
    for _ in 0..5 {
        let (inquiry, _) = world.refreshed(conn);
        world.found(inquiry, Finding::Nothing);
        world.pass(RETRY_MS + 100);
        let (inquiry, _) = world.refreshed(conn);
        world.goes_on(inquiry, 5);
        world.pass(5_100);
    }
    assert_eq!(world.users(), ["ann"]);
}

#[test]
fn an_end_that_an_operator_sets_counts_from_then_on() {
    let mut world = world();
    let conn = world.session(0, 5);
    world.pass(5_100);
    let (inquiry, _) = world.refreshed(conn);
    world.shard.set_expiry(conn, None, world.now);
    world.found(inquiry, Finding::Refresh(RefreshAnswer::Ended));
    assert_eq!(world.users(), ["ann"], "it was made endless before its backend answered");

    world.shard.set_expiry(conn, Some(5), world.now);
    world.pass(5_100);
    let (inquiry, _) = world.refreshed(conn);
    world.found(inquiry, Finding::Nothing);
    world.shard.set_expiry(conn, Some(3_600), world.now);
    world.pass(3_600_100);
    let (inquiry, _) = world.refreshed(conn);
    world.found(inquiry, Finding::Nothing);
    assert_eq!(world.users(), ["ann"], "its grace begins anew");
}

#[test]
fn sessions_whose_time_is_over_leave_room_for_who_wants_to_come_in() {
    let mut world = world();
    let sessions = u32::try_from(SESSIONS_MAX).unwrap() + 1;
    let conns: Vec<_> = (0..sessions).map(|index| world.session(index, 5)).collect();
    world.pass(5_100);
    let mut said = world.said(conns[0]);
    assert_eq!(said.inquiries.len(), SESSIONS_MAX, "one is put off");
    assert_eq!(world.shard.counters().inquiries_refused, 1);
    assert_eq!(world.shard.sessions(), conns.len());
    for (inquiry, _) in said.inquiries.drain(..) {
        world.goes_on(inquiry, 3_600);
    }
    // It is asked about when there is room.
    world.pass(RETRY_MS + 100);
    world.refreshed(conns[0]);
}

#[test]
fn a_session_that_ends_while_its_backend_is_asked_is_not_brought_back() {
    let mut world = world();
    let conn = world.session(0, 5);
    world.pass(5_100);
    let (inquiry, _) = world.refreshed(conn);
    world.shard.on_closed(conn, Gone::Reset, world.now);
    world.goes_on(inquiry, 60);
    world.assert_empty();
}

#[test]
fn a_client_is_not_asked_for_tokens_and_must_not_bring_one() {
    let mut world = world();
    let conn = world.session(0, 60);
    let refresh = json!({"id": 2, "refresh": {"token": "a.b.c"}}).to_string();
    world.bytes(conn, &frame(0x81, refresh.as_bytes()));
    let text = world.said(conn).text;
    assert!(text.contains("bad request"), "{text}");
    assert_eq!(world.users(), [""; 0]);
}
