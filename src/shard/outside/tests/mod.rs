//! One shard, clients that a backend must name, and a control thread that is played by the test.

mod keys;
mod renewals;

use serde_json::json;

use super::super::effects::{Effect, Effects};
use super::super::inquiries::INQUIRIES_MAX;
use super::super::tests::{NOW, alone};
use super::super::{Gone, Shard};
use super::*;
use crate::connection::Options;
use crate::connection::open::Scope;
use crate::connection::options::{Choice, Endpoints, StreamEndpoint, WebSocketEndpoint};
use crate::protocol::Encoding;
use crate::proxy::{Accepted, ConnectAnswer};
use crate::wire::websocket::Limits;

const CONNECT: &str = r#"{"id":1,"connect":{"data":{"key":7},"name":"app"}}"#;

/// What a shard has said since it was last asked.
#[derive(Default)]
struct Said {
    text: String,
    inquiries: Vec<(InquiryId, Inquiry)>,
    dismissed: Vec<InquiryId>,
    is_drained: bool,
}

struct World {
    shard: Shard,
    now: Now,
}

impl World {
    fn new() -> Self {
        Self::with(Options { connect_proxy: Choice::Allow, ..Options::default() })
    }

    fn with(options: Options) -> Self {
        let stream =
            StreamEndpoint { path: "/uni".to_owned(), body_bytes_max: 65_536, http_refusals: None };
        let websocket = WebSocketEndpoint {
            path: "/ws".to_owned(),
            limits: Limits { message_bytes_max: 65_536, inflated_bytes_max: 65_536 },
            compression: None,
        };
        let endpoints = Endpoints {
            websocket: Some(websocket),
            uni_http_stream: Some(stream),
            ..Endpoints::default()
        };
        let options = Options { endpoints, ..options };
        Self { shard: Shard::new(alone(options), NOW), now: NOW }
    }

    fn bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        self.shard.on_bytes(conn, &mut bytes.to_vec(), self.now);
    }

    /// A WebSocket that has said this much.
    fn websocket(&mut self, index: u32, messages: &[&str]) -> ConnId {
        let conn = ConnId { index, generation: 1 };
        self.shard.on_open(conn, Scope::All, self.now);
        self.bytes(
            conn,
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        );
        for message in messages {
            self.bytes(conn, &frame(0x81, message.as_bytes()));
        }
        conn
    }

    /// A unidirectional stream that has asked to connect.
    fn uni(&mut self, index: u32) -> ConnId {
        let conn = ConnId { index, generation: 1 };
        self.shard.on_open(conn, Scope::All, self.now);
        self.bytes(conn, b"POST /uni HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
        conn
    }

    /// A client that has asked to connect: one with an odd number is unidirectional.
    fn client(&mut self, index: u32) -> ConnId {
        if index.is_multiple_of(2) { self.websocket(index, &[CONNECT]) } else { self.uni(index) }
    }

    /// What it has said, as far as text goes to this connection.
    fn said(&mut self, to: ConnId) -> Said {
        let (mut said, mut effects) = (Said::default(), Effects::default());
        self.shard.take_effects(&mut effects);
        let (list, bytes) = effects.drain();
        for effect in list {
            match effect {
                Effect::Send { conn, bytes: range } if conn == to => {
                    said.text.push_str(&String::from_utf8_lossy(&bytes[range]));
                }
                Effect::Message { message: Message::Inquire { inquiry, about }, .. } => {
                    said.inquiries.push((inquiry, about));
                }
                Effect::Message { message: Message::Dismiss { inquiry }, .. } => {
                    said.dismissed.push(inquiry);
                }
                Effect::Message { message: Message::Drained, .. } => said.is_drained = true,
                Effect::Send { .. }
                | Effect::Resume { .. }
                | Effect::Finish { .. }
                | Effect::Abort { .. }
                | Effect::Message { .. }
                | Effect::StopAccepting => {}
            }
        }
        said
    }

    /// The one inquiry that was made.
    fn asked(&mut self, conn: ConnId) -> (InquiryId, ConnectQuestion) {
        let mut said = self.said(conn);
        assert_eq!((said.inquiries.len(), said.text.contains("connect\":{\"client")), (1, false));
        let (inquiry, Inquiry::Connect(question)) = said.inquiries.remove(0) else {
            panic!("asked for something else")
        };
        (inquiry, *question)
    }

    fn answer(&mut self, inquiry: InquiryId, answer: ConnectAnswer) {
        self.found(inquiry, Finding::Connect(answer));
    }

    fn found(&mut self, inquiry: InquiryId, finding: Finding) {
        self.shard.on_message(Peer::Control, Message::Found { inquiry, finding }, self.now);
    }

    fn users(&self) -> Vec<String> {
        self.shard.table.iter().map(|session| session.user().to_owned()).collect()
    }

    /// Nothing is left of anybody.
    fn assert_empty(&self) {
        assert_eq!((self.shard.sessions(), self.shard.connections()), (0, 0));
        assert!(self.shard.inquiries.is_empty() && self.shard.renewals.is_empty());
    }
}

/// A frame of a client, its mask zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(len @ 0..126) => bytes.push(0x80 | len),
        Ok(_) | Err(_) => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

fn accepted(user: &str) -> ConnectAnswer {
    let accepted = Accepted { user: user.to_owned(), ..Accepted::default() };
    ConnectAnswer::Accepted(Box::new(accepted))
}

#[test]
fn a_client_is_who_its_backend_says_and_hears_what_it_has_for_it() {
    let mut world = World::new();
    let conn = world.websocket(0, &[CONNECT]);
    let (inquiry, question) = world.asked(conn);
    assert_eq!(question.data.as_deref(), Some(b"{\"key\":7}".as_slice()));
    assert_eq!((question.transport, question.encoding), ("websocket", Encoding::Json));
    assert_eq!((question.name.as_str(), question.version.as_str()), ("app", ""));
    assert_eq!(world.users(), [""; 0], "listed before it is known");
    let accepted = Accepted {
        user: "ann".to_owned(),
        expire_at: Some(NOW.unix_s() + 60),
        data: Some(br#"{"hello":1}"#.as_slice().into()),
        meta: Some(br#"{"secret":2}"#.as_slice().into()),
        labels: [("region".to_owned(), "eu".to_owned())].into(),
        ..Accepted::default()
    };
    world.answer(inquiry, ConnectAnswer::Accepted(Box::new(accepted)));
    let text = world.said(conn).text;
    for part in [r#"{"id":1,"connect":{"client":""#, r#""expires":true,"ttl":60"#] {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.contains(r#""data":{"hello":1}"#) && !text.contains("secret"), "{text}");
    assert_eq!(world.users(), ["ann"]);
    let session = world.shard.table.iter().next().unwrap();
    assert_eq!(session.client(), question.client, "its backend was told another id");
    let named = world.shard.table.by_client(question.client).unwrap();
    assert_eq!(named.user(), "ann");
    assert_eq!(session.meta(), Some(br#"{"secret":2}"#.as_slice()));
    assert_eq!(session.labels().collect::<Vec<_>>(), [("region", "eu")]);
}

#[test]
fn commands_behind_the_connect_wait_for_it_in_order() {
    let mut world = World::new();
    let first = format!("{CONNECT}\n{}", r#"{"id":2,"rpc":{"method":"a"}}"#);
    let conn = world.websocket(0, &[&first, r#"{"id":3,"rpc":{"method":"b"}}"#]);
    world.bytes(conn, &frame(0x89, b"are you there"));
    let mut said = world.said(conn);
    assert!(said.text.ends_with("are you there"), "pings are answered: {}", said.text);
    let (inquiry, _) = said.inquiries.pop().unwrap();
    world.answer(inquiry, accepted("ann"));
    let text = world.said(conn).text;
    let at = |part| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
    assert!(at(r#""id":1,"connect""#) < at(r#""id":2,"error""#), "{text}");
    assert!(at(r#""id":2,"error""#) < at(r#""id":3,"error""#), "{text}");
}

#[test]
fn a_client_that_talks_behind_its_connect_is_held_up_at_a_limit() {
    let mut world = World::new();
    let conn = world.websocket(0, &[CONNECT]);
    let (inquiry, _) = world.asked(conn);
    let mut frames = Vec::new();
    for id in 2..200 {
        let command = format!(r#"{{"id":{id},"rpc":{{"method":"m"}}}}"#);
        frames.extend_from_slice(&frame(0x81, command.as_bytes()));
    }
    assert!(world.shard.wants_bytes(conn));
    world.bytes(conn, &frames);
    assert!(!world.shard.wants_bytes(conn), "it reads on and on");
    world.answer(inquiry, accepted("ann"));
    let text = world.said(conn).text;
    let mut from = 0;
    for id in 1..200 {
        let found = text[from..].find(&format!(r#"{{"id":{id},"#));
        from += found.unwrap_or_else(|| panic!("{id} is lost or late"));
    }
    assert!(world.shard.wants_bytes(conn));
}

#[test]
fn a_client_that_leaves_takes_its_inquiry_with_it() {
    for gone in [Gone::Finished, Gone::Reset] {
        let mut world = World::new();
        for index in 0..2 {
            let conn = world.client(index);
            let (inquiry, _) = world.asked(conn);
            world.shard.on_closed(conn, gone, world.now);
            assert_eq!(world.said(conn).dismissed, [inquiry], "{gone:?}");
            world.answer(inquiry, accepted("ann"));
            assert_eq!(world.said(conn).text, "", "{gone:?}");
        }
        world.assert_empty();
    }
}

#[test]
fn a_client_that_says_goodbye_does_not_wait_for_its_backend() {
    let mut world = World::new();
    let conn = world.websocket(0, &[CONNECT]);
    let (inquiry, _) = world.asked(conn);
    world.bytes(conn, &frame(0x88, &1000_u16.to_be_bytes()));
    let said = world.said(conn);
    assert_eq!(said.dismissed, [inquiry]);
    assert!(said.text.starts_with('\u{fffd}'), "no close frame: {:?}", said.text);
    world.answer(inquiry, accepted("ann"));
    assert_eq!(world.users(), [""; 0]);
}

#[track_caller]
fn check_refused(text: &str, conn: ConnId) {
    let refusal = if !conn.index.is_multiple_of(2) {
        r#"{"disconnect":{"code":3004,"reason":"internal server error"}}"#
    } else {
        r#"{"id":1,"error":{"code":100,"message":"internal server error","temporary":true}}"#
    };
    assert!(text.contains(refusal), "{text}");
}

#[test]
fn more_connects_than_may_wait_are_refused_for_now() {
    let mut world = World::new();
    for index in 0..u32::try_from(INQUIRIES_MAX).unwrap() {
        let conn = world.uni(index);
        world.asked(conn);
    }
    for index in [100, 101] {
        let conn = world.client(index);
        let said = world.said(conn);
        assert!(said.inquiries.is_empty());
        check_refused(&said.text, conn);
    }
    assert_eq!(world.shard.counters().inquiries_refused, 2);
    let first = world.shard.conns.at(0).unwrap();
    world.shard.on_closed(first, Gone::Reset, world.now);
    let conn = world.uni(0);
    world.asked(conn);
}

#[test]
fn who_waits_too_long_or_in_vain_is_refused_for_now() {
    for is_uni in [false, true] {
        let mut world = World::new();
        let connect = |world: &mut World, nth: u32| world.client(2 * nth + u32::from(is_uni));
        // The outside says nothing that helps.
        let conn = connect(&mut world, 0);
        let (inquiry, _) = world.asked(conn);
        let finding = Finding::Nothing;
        world.shard.on_message(Peer::Control, Message::Found { inquiry, finding }, NOW);
        check_refused(&world.said(conn).text, conn);
        // There is no room to ask.
        let conn = connect(&mut world, 1);
        let (inquiry, question) = world.asked(conn);
        let about = Inquiry::Connect(Box::new(question));
        let message = Message::Inquire { inquiry, about };
        world.shard.on_undeliverable(Peer::Control, message, NOW);
        check_refused(&world.said(conn).text, conn);
        // Nobody answers.
        let conn = connect(&mut world, 2);
        let (inquiry, _) = world.asked(conn);
        world.now.mono_ms += Options::default().inquiry_timeout_ms;
        world.shard.on_tick(world.now);
        let said = world.said(conn);
        assert_eq!(said.dismissed, [inquiry]);
        check_refused(&said.text, conn);
        let counters = world.shard.counters();
        assert_eq!((counters.inquiries_failed, counters.inquiries_refused), (2, 1));
        assert!(world.shard.inquiries.is_empty());
    }
}

#[test]
fn a_goodbye_does_not_wait_for_a_backend() {
    let mut world = World::new();
    let conn = world.uni(0);
    let (inquiry, _) = world.asked(conn);
    world.shard.on_message(Peer::Control, Message::Drain { within_ms: 1_000 }, world.now);
    let said = world.said(conn);
    assert!(said.text.contains("3001"), "{}", said.text);
    assert_eq!(said.dismissed, [inquiry]);
}

#[test]
fn what_a_backend_refuses_is_told_and_what_it_does_not_know_is_a_bad_request() {
    for (answer, told) in [
        (ConnectAnswer::Nobody, "3501"),
        (
            ConnectAnswer::Disconnect(codes::Disconnect { code: 4501, reason: "no way".into() }),
            "no way",
        ),
        (
            ConnectAnswer::Error(codes::ErrorCode {
                code: 777,
                message: "not today".into(),
                temporary: true,
            }),
            r#""error":{"code":777,"message":"not today","temporary":true}"#,
        ),
        (
            ConnectAnswer::Accepted(Box::new(Accepted {
                expire_at: Some(NOW.unix_s()),
                ..Accepted::default()
            })),
            r#""error":{"code":110,"message":"expired"}"#,
        ),
    ] {
        let mut world = World::new();
        let conn = world.websocket(0, &[CONNECT]);
        let (inquiry, _) = world.asked(conn);
        world.answer(inquiry, answer);
        let text = world.said(conn).text;
        let close = told == "3501" && text.contains("bad request");
        assert!(text.contains(told) || close, "{told}: {text}");
        assert_eq!(world.users(), [""; 0]);
    }
}

#[test]
fn a_token_is_never_shown_to_a_backend() {
    let mut world = World::new();
    let connect = json!({"id": 1, "connect": {"token": "a.b.c"}}).to_string();
    let conn = world.websocket(0, &[&connect]);
    let said = world.said(conn);
    assert!(said.inquiries.is_empty() && said.text.contains("invalid token"), "{}", said.text);
}
