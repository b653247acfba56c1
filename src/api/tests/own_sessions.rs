//! What a user sees of its own sessions and may close, over two shards.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{PLAIN, World, hasher};
use crate::api::{
    DisconnectParams, LISTINGS_BYTES_MAX, Merged, Outcome, OwnSessions, OwnSessionsShown, Question,
    Selector, Step,
};
use crate::ids::{ClientId, UserHash};
use crate::session::{Opening, Protocol, Table, Transport};

const EVERYTHING: OwnSessionsShown = OwnSessionsShown { remote_addr: true, user_agent: true };
const NOTHING: OwnSessionsShown = OwnSessionsShown { remote_addr: false, user_agent: false };

fn world() -> World {
    let labels = BTreeMap::from([("secret".to_owned(), "2".to_owned())]);
    let phone = Opening {
        labels: &labels,
        app_name: "a \"quoted\"\nname",
        app_version: "1.2",
        transport: Transport::WebSocket,
        protocol: Protocol::Protobuf,
        token_uid: "jti",
        token_issued_at: Some(5),
        remote_addr: Some(IpAddr::from([192, 0, 2, 7])),
        user_agent: "curl/8",
        meta: Some(b"{\"secret\":1}"),
        ..PLAIN
    };
    let stranger = Opening { user: "7", ..PLAIN };
    World::new().opens(0, &phone).opens(1, &PLAIN).opens(0, &stranger).opens(1, &PLAIN)
}

/// Sessions by name, as the `current` one sees them.
fn listed(world: &mut World, current: usize, shown: OwnSessionsShown) -> String {
    let (user, hash) = ("42".into(), hasher().hash("42"));
    let current = world.ids[current].0;
    let question = Question::OwnSessions(Box::new(OwnSessions { user, hash, current, shown }));
    let Outcome::Answered(merged) = world.outcome(&Step::Ask(question)) else {
        unreachable!("shards are asked")
    };
    let mut out = Vec::new();
    merged.write_own_sessions(&mut out);
    let mut text = String::from_utf8(out).unwrap();
    for (at, (client, _)) in world.ids.iter().enumerate() {
        text = text.replace(&client.to_string(), &format!("<{at}>"));
    }
    text
}

const PHONE: &str = r#""app_name":"a \"quoted\"\nname","app_version":"1.2","transport":"websocket","protocol":"protobuf","connected_at_ms":1700000000123"#;
const BARE: &str =
    r#""transport":"uni_http_stream","protocol":"json","connected_at_ms":1700000000123"#;

#[test]
fn users_see_their_own_sessions_newest_first_and_which_one_asks() {
    assert_eq!(
        listed(&mut world(), 1, NOTHING),
        format!(
            r#"{{"sessions":[{{"client":"<0>",{PHONE}}},{{"client":"<3>",{BARE}}},{{"client":"<1>","current":true,{BARE}}}]}}"#
        )
    );
}

#[test]
fn where_sessions_come_from_is_shown_when_the_operator_says_so() {
    let from = r#","remote_addr":"192.0.2.7","user_agent":"curl/8""#;
    let all = listed(&mut world(), 0, EVERYTHING);
    let phone = format!(r#"{{"sessions":[{{"client":"<0>","current":true,{PHONE}{from}}},"#);
    assert!(all.starts_with(&phone), "{all}");
    let agent = listed(&mut world(), 1, OwnSessionsShown { user_agent: true, ..NOTHING });
    assert!(agent.contains("curl/8") && !agent.contains("192.0.2.7"), "{agent}");
}

#[test]
fn a_shard_that_is_silent_makes_the_list_partial() {
    let mut world = world();
    world.silent = 0b10;
    let part = format!(r#"{{"sessions":[{{"client":"<0>",{PHONE}}}],"partial":true}}"#);
    assert_eq!(listed(&mut world, 1, NOTHING), part);
    world.silent = 0b11;
    assert_eq!(listed(&mut world, 1, NOTHING), r#"{"sessions":[],"partial":true}"#);
}

#[test]
fn a_list_without_end_is_refused() {
    let long = "a".repeat(1024 * 1024);
    let large = Opening { app_name: &long, ..PLAIN };
    let mut world = World::new();
    for _ in 0..=LISTINGS_BYTES_MAX / long.len() {
        world = world.opens(0, &large);
    }
    let own = OwnSessions {
        user: "42".into(),
        hash: hasher().hash("42"),
        current: world.ids[0].0,
        shown: NOTHING,
    };
    let mut merged = Merged::default();
    merged.add(world.answers(0, &Question::OwnSessions(Box::new(own))));
    assert!(merged.is_too_large());
}

#[test]
fn users_close_one_of_their_sessions_or_all_but_one_and_nobody_elses() {
    let close = |selector: fn(&str, UserHash, ClientId) -> Selector, at: usize| {
        let mut world = world();
        let selector = selector("42", hasher().hash("42"), world.ids[at].0);
        let params = DisconnectParams::new(selector, 3503, "closed by the user");
        let question = Question::Disconnect(Box::new(params));
        for shard in 0..2 {
            world.answers(shard, &question);
        }
        world.tables.each_ref().map(Table::len)
    };
    assert_eq!(close(Selector::one, 3), [2, 1]);
    assert_eq!(close(Selector::one, 2), [2, 2]);
    assert_eq!(close(Selector::all_but, 1), [1, 1]);
}
