//! One shard with sessions that nobody holds and some that somebody does, a stretch at a time.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::tests::{NOW, SECRET, alone, connect, post};
use super::{Stage, TURN_STEPS, WAITING_MAX, WORKS_MAX};
use crate::api::{self, Question};
use crate::auth::{Rule, TokenOptions, Until};
use crate::connection::Options;
use crate::connection::close::CloseReason;
use crate::connection::open::Scope;
use crate::connection::options::{Endpoints, StreamEndpoint};
use crate::ids::ConnId;
use crate::messages::{GatherId, Message, Peer};
use crate::session::Session;
use crate::shard::effects::{Effect, Effects};
use crate::shard::orders::ACTS_PER_TURN;
use crate::shard::{Setup, Shard, Synthetic};
use crate::time::Now;

const API: ConnId = ConnId { index: 0, generation: 1 };

/// Milliseconds after the beginning.
fn later(ms: u64) -> Now {
    Now { mono_ms: NOW.mono_ms + ms, unix_ms: NOW.unix_ms + ms }
}

/// A shard of its own with so many synthetic sessions.
fn shard(sessions: u64, disconnect_rate: u32) -> Shard {
    let endpoints = Endpoints {
        http_stream: Some(StreamEndpoint {
            path: "/stream".to_owned(),
            body_bytes_max: 65_536,
            http_refusals: None,
        }),
        ..Endpoints::default()
    };
    let options = Options {
        endpoints,
        token: TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..TokenOptions::default() },
        api: Some(api::Options {
            prefix: "/api".to_owned(),
            key: String::new(),
            insecure: true,
            error_mode_transport: false,
            body_bytes_max: 65_536,
            user_status: api::Statuses::NotKept,
            label_filter: Default::default(),
            queries: Default::default(),
            labels: Default::default(),
        }),
        disconnect_rate,
        ..Options::default()
    };
    let synthetic = Synthetic { sessions, labelled: false };
    let setup = Setup { synthetic, ..alone(options) };
    let mut shard = Shard::new(setup, NOW);
    shard.on_open(API, Scope::All, NOW);
    shard
}

/// What was sent to a connection since it was last looked at: the bodies of replies, in order.
fn replies(shard: &mut Shard, to: ConnId) -> Vec<Value> {
    let mut effects = Effects::default();
    shard.take_effects(&mut effects);
    let (list, bytes) = effects.drain();
    let mut sent = String::new();
    for effect in list {
        if let Effect::Send { conn, bytes: range } = effect
            && conn == to
        {
            sent.push_str(&String::from_utf8_lossy(&bytes[range]));
        }
    }
    let bodies = sent.split("\r\n\r\n").skip(1);
    bodies
        .map(|body| serde_json::from_str(body.split("HTTP/1.1").next().unwrap()).unwrap())
        .collect()
}

fn ask(shard: &mut Shard, command: &str, params: &Value) -> Vec<Value> {
    post(shard, API, &format!("/api/{command}"), params);
    replies(shard, API)
}

/// All stretches until nothing can go on; how many there were.
fn finish(shard: &mut Shard, now: Now) -> usize {
    let mut turns = 1;
    while !shard.on_turn(now) {
        turns += 1;
    }
    turns
}

#[test]
fn a_scan_rests_and_other_questions_are_answered_meanwhile() {
    let mut shard = shard(100, 0);
    assert!(!shard.is_working());
    assert_eq!(ask(&mut shard, "connections", &json!({"count_only": true})), Vec::<Value>::new());
    assert!(shard.is_working());
    let other = ConnId { index: 1, generation: 1 };
    shard.on_open(other, Scope::All, NOW);
    post(&mut shard, other, "/api/connections", &json!({"user": "s000000001"}));
    assert_eq!(replies(&mut shard, other).len(), 1, "it does not wait for the scan");

    let turns = finish(&mut shard, NOW);
    assert!(turns >= 100 / TURN_STEPS, "{turns}");
    let result = json!({"connections": {}, "count": 100, "scanned": 100});
    assert_eq!(replies(&mut shard, API), [json!({"result": result})]);
    assert!(shard.works.queue.is_empty());
    assert!(shard.on_turn(NOW), "there is nothing to do");
}

#[test]
fn who_stays_through_a_scan_is_listed_once_and_who_goes_at_most_once() {
    for seed in 0..20_usize {
        let mut shard = shard(60, 0);
        let at_first: Vec<_> = shard.table.iter().map(|one| (one.slot(), one.client())).collect();
        assert_eq!(ask(&mut shard, "connections", &json!({"expression": "true"})), [0_u8; 0]);
        let (mut next, mut gone, mut came) = (2, BTreeSet::new(), 0);
        while shard.works.queue.len() == 1 {
            // One goes, another takes its slot, and a third comes.
            let victim = (seed * 7 + gone.len() * 13) % at_first.len();
            let (slot, client) = at_first[victim];
            if gone.insert(client.to_string()) {
                shard.end_session(slot, &CloseReason::Expired, NOW);
            }
            for _ in 0..2 {
                let conn = ConnId { index: next, generation: 1 };
                shard.on_open(conn, Scope::All, NOW);
                post(&mut shard, conn, "/stream", &connect("new"));
                (next, came) = (next + 1, came + 1);
            }
            let mut effects = Effects::default();
            shard.take_effects(&mut effects);
            shard.effects = effects;
            shard.on_turn(NOW);
        }
        let replies = replies(&mut shard, API);
        let [reply] = replies.as_slice() else { panic!("{replies:?}") };
        let listed = reply["result"]["connections"].as_object().expect("a listing");
        let text = reply.to_string();
        for (_, client) in &at_first {
            let client = client.to_string();
            let times = text.matches(&client).count();
            let stayed = !gone.contains(&client);
            assert!(
                times == 1 || !stayed && times == 0,
                "{seed}: {client} is listed {times} times"
            );
        }
        assert!(came > 4 && gone.len() > 2, "the scan rested: {came} came");
        assert!(listed.len() <= at_first.len() + came, "{seed}");
    }
}

#[test]
fn a_scan_whose_time_is_over_says_that_it_is_not_whole() {
    let mut shard = shard(100, 0);
    assert_eq!(ask(&mut shard, "connections", &json!({"count_only": true})), [0_u8; 0]);
    shard.on_turn(NOW);
    shard.on_tick(later(700));
    assert_eq!(replies(&mut shard, API), [0_u8; 0], "there is time left");
    shard.on_tick(later(800));
    let replies = replies(&mut shard, API);
    let [reply] = replies.as_slice() else { panic!("{replies:?}") };
    let result = &reply["result"];
    assert_eq!(result["partial"], true, "{result}");
    assert_eq!(result["count"], result["scanned"], "{result}");
    assert!(result["count"].as_u64().is_some_and(|count| (1..100).contains(&count)), "{result}");
    assert!(shard.works.queue.is_empty(), "nobody waits for the rest");
}

#[test]
fn too_many_scans_at_once_are_refused() {
    let mut shard = shard(100, 0);
    let mut answered = Vec::new();
    let most = 1 + WAITING_MAX;
    for index in 0..=u32::try_from(most).unwrap() {
        let conn = ConnId { index: index + 1, generation: 1 };
        shard.on_open(conn, Scope::All, NOW);
        post(&mut shard, conn, "/api/connections", &json!({"count_only": true}));
        answered.extend(replies(&mut shard, conn));
    }
    let [refused] = answered.as_slice() else { panic!("{answered:?}") };
    assert_eq!(refused["error"]["code"], 100);
    assert_eq!((shard.works.queue.len(), shard.works.waiting.len()), (1, WAITING_MAX));
    // What needs no second turn is answered all the same.
    assert_eq!(ask(&mut shard, "disconnect", &json!({"user": "nobody"})).len(), 1);
}

#[test]
fn no_more_than_so_many_are_in_the_middle_of_their_look_and_all_are_answered() {
    let mut shard = shard(100, 0);
    let mut conns = Vec::new();
    for index in 0..u32::try_from(WORKS_MAX + WAITING_MAX).unwrap() {
        let conn = ConnId { index: index + 1, generation: 1 };
        shard.on_open(conn, Scope::All, NOW);
        post(&mut shard, conn, "/api/connections", &json!({"count_only": true}));
        conns.push(conn);
        shard.on_turn(NOW);
        assert!(shard.works.queue.len() <= WORKS_MAX);
    }
    let mut counted = 0;
    while !shard.works.waiting.is_empty() {
        shard.on_turn(NOW);
        assert!(shard.works.queue.len() <= WORKS_MAX);
    }
    finish(&mut shard, NOW);
    let mut effects = Effects::default();
    shard.take_effects(&mut effects);
    let (list, bytes) = effects.drain();
    for effect in list {
        if let Effect::Send { bytes: range, .. } = effect {
            counted += String::from_utf8_lossy(&bytes[range]).matches("\"count\":100").count();
        }
    }
    assert_eq!(counted, conns.len());
}

/// Sessions looked at in one turn for each question of a batch, when the first turn is over.
#[test]
fn a_batch_of_many_scans_looks_at_no_more_in_one_turn_than_one_scan() {
    let mut shard = shard(100, 0);
    let commands: Vec<_> =
        (0..WAITING_MAX).map(|_| json!({"connections": {"count_only": true}})).collect();
    assert_eq!(ask(&mut shard, "batch", &json!({"commands": commands})), [0_u8; 0]);
    let looked = |shard: &Shard| -> u64 {
        let works = shard.works.queue.iter();
        let scans = works.filter_map(|work| match &work.stage {
            Stage::Scanning(scan) => scan.scanned(),
            Stage::Waiting | Stage::Doing(_) => None,
        });
        scans.sum()
    };
    let mut before = looked(&shard);
    assert!(before <= TURN_STEPS as u64, "{before} in the turn that took the batch");
    for _ in 0..WAITING_MAX {
        shard.on_turn(NOW);
        let now = looked(&shard);
        assert!(now - before <= TURN_STEPS as u64, "{before} {now}");
        before = now;
    }
    finish(&mut shard, NOW);
    let replies = replies(&mut shard, API);
    let [reply] = replies.as_slice() else { panic!("{replies:?}") };
    let answers = reply["replies"].as_array().expect("replies");
    assert_eq!(answers.len(), WAITING_MAX);
    let counted = json!({"connections": {"connections": {}, "count": 100, "scanned": 100}});
    assert!(answers.iter().all(|answer| *answer == counted), "{reply}");
}

#[test]
fn orders_about_named_users_are_done_in_their_turn_whatever_came_before() {
    let mut shard = shard(100, 0);
    let user = |n: usize| format!("s{n:09}");
    let mut commands = vec![json!({"connections": {"count_only": true}})];
    for n in 4..10 {
        commands.push(json!({"disconnect": {"user": user(n)}}));
        commands.push(json!({"connections": {"user": user(n)}}));
    }
    assert_eq!(ask(&mut shard, "batch", &json!({"commands": commands})), [0_u8; 0]);
    finish(&mut shard, NOW);
    let replies = replies(&mut shard, API);
    let [reply] = replies.as_slice() else { panic!("{replies:?}") };
    for pair in reply["replies"].as_array().expect("replies")[1..].chunks(2) {
        let receipt = &pair[0]["disconnect"];
        assert!(receipt["closed"].as_u64() > Some(0), "{receipt}");
        assert_eq!(receipt["closed"], receipt["matched"], "{receipt}");
        assert_eq!(pair[1], json!({"connections": {"connections": {}}}));
    }
}

#[test]
fn a_batch_about_named_users_uses_up_one_turn_after_the_other_and_is_done_in_order() {
    let mut shard = shard(60, 0);
    let user = |n: usize| format!("s{n:09}");
    let mut commands: Vec<_> =
        (1..=12).map(|n| json!({"disconnect": {"user": user(n), "code": 3001 + n}})).collect();
    commands.push(json!({"info": {}}));
    let before = shard.sessions();
    assert_eq!(ask(&mut shard, "batch", &json!({"commands": commands})), [0_u8; 0]);
    let in_one_turn = before - shard.sessions();
    assert!((1..=ACTS_PER_TURN * 2).contains(&in_one_turn), "{in_one_turn}");
    assert!(!shard.takes_messages(NOW), "others wait for the next turn too");

    let mut turns = 1;
    while !shard.on_turn(NOW) {
        turns += 1;
        let left = shard.sessions();
        let done =
            |n: usize| shard.table.by_user(&user(n), shard.hasher.hash(&user(n))).count() == 0;
        let first_left = (1..=12).find(|n| !done(*n)).unwrap_or(13);
        assert!((first_left + 1..=12).all(|n| !done(n)), "out of order, with {left} left");
    }
    assert!(turns > 2, "{turns}");
    let replies = replies(&mut shard, API);
    let [reply] = replies.as_slice() else { panic!("{replies:?}") };
    let said = reply["replies"].as_array().expect("replies");
    assert_eq!(said.len(), 13);
    assert!(said[..12].iter().all(|one| {
        let receipt = &one["disconnect"];
        receipt["closed"].as_u64() > Some(0) && receipt["closed"] == receipt["matched"]
    }));
    assert!(said[12]["info"].is_object(), "{reply}");
}

#[test]
fn an_expression_that_takes_long_is_asked_of_one_session_in_a_turn() {
    let mut shard = shard(40, 0);
    let cheap = json!({"expression": "false", "count_only": true});
    let long = vec!["1"; 200].join(",");
    let dear = json!({"expression": format!("[{long}].exists(x, x == 2)"), "count_only": true});
    let mut turns = Vec::new();
    for question in [cheap, dear] {
        assert_eq!(ask(&mut shard, "connections", &question), [0_u8; 0]);
        turns.push(finish(&mut shard, NOW));
        let result = json!({"connections": {}, "count": 0, "scanned": 40});
        assert_eq!(replies(&mut shard, API), [json!({"result": result})]);
    }
    assert!(turns[0] < 40 && turns[1] >= 39, "{turns:?}");
}

#[test]
fn a_user_with_many_sessions_is_looked_at_in_pieces_and_each_that_stays_is_found_once() {
    for seed in 0..20_usize {
        let mut shard = shard(0, 0);
        let mut next = 1;
        let mut open = |shard: &mut Shard| {
            let conn = ConnId { index: next, generation: 1 };
            shard.on_open(conn, Scope::All, NOW);
            post(shard, conn, "/stream", &connect("one"));
            next += 1;
        };
        (0..50).for_each(|_| open(&mut shard));
        drop(replies(&mut shard, API));
        let at_first: Vec<_> = shard.table.iter().map(|one| (one.slot(), one.client())).collect();
        let params = json!({"user": "one", "expression": "true"});
        assert_eq!(ask(&mut shard, "connections", &params), [0_u8; 0]);
        let (mut gone, mut turns) = (BTreeSet::new(), 0);
        while !shard.works.queue.is_empty() {
            let victim = (seed * 7 + turns * (seed + 11)) % at_first.len();
            let (slot, client) = at_first[victim];
            if gone.insert(client.to_string()) {
                shard.end_session(slot, &CloseReason::Expired, NOW);
                open(&mut shard);
            }
            shard.on_turn(NOW);
            turns += 1;
        }
        assert!(turns > 4, "{turns}");
        let sent = {
            let mut effects = Effects::default();
            shard.take_effects(&mut effects);
            let (list, bytes) = effects.drain();
            let mut sent = String::new();
            for effect in list {
                if let Effect::Send { conn: API, bytes: range } = effect {
                    sent.push_str(&String::from_utf8_lossy(&bytes[range]));
                }
            }
            sent
        };
        for (_, client) in &at_first {
            let client = client.to_string();
            let times = sent.matches(&client).count();
            let stayed = !gone.contains(&client);
            assert!(times == 1 || !stayed && times == 0, "{seed}: {client} {times} times");
        }
    }
}

#[test]
fn a_few_sessions_end_at_once_and_many_at_the_pace() {
    let mut shard = shard(100, 50);
    let few = ask(&mut shard, "disconnect", &json!({"user": "s000000005"}));
    assert_eq!(few, [json!({"result": {"matched": 2, "closed": 2}})]);

    assert_eq!(ask(&mut shard, "disconnect", &json!({"all_users": true})), [0_u8; 0]);
    finish(&mut shard, NOW);
    assert_eq!(shard.sessions(), 98, "all are found, and there is no leave yet");
    let mut reply = Vec::new();
    for ms in (100..=800).step_by(100) {
        let before = shard.sessions();
        shard.on_tick(later(ms));
        finish(&mut shard, later(ms));
        let ended = before - shard.sessions();
        assert!(ended <= 8, "{ended} in a tenth of a second at fifty a second");
        reply.extend(replies(&mut shard, API));
    }
    let closed_then = 98 - shard.sessions();
    let [reply] = reply.as_slice() else { panic!("{reply:?}") };
    let receipt = &reply["result"];
    assert_eq!((&receipt["matched"], &receipt["scanned"]), (&json!(98), &json!(98)), "{receipt}");
    let closed = receipt["closed"].as_u64().expect("a number");
    assert_eq!(receipt["pending"], 98 - closed, "{receipt}");
    assert!(closed > 10 && closed <= closed_then as u64, "{receipt}");
    for ms in (900..20_000).step_by(100) {
        shard.on_tick(later(ms));
        finish(&mut shard, later(ms));
    }
    assert_eq!(shard.sessions(), 0, "the rest has followed");
    assert!(shard.works.queue.is_empty());
    assert_eq!(replies(&mut shard, API), [0_u8; 0], "it was answered once");
}

#[test]
fn without_a_pace_all_end_in_a_few_turns_and_a_refresh_has_none() {
    let mut shard = shard(40, 0);
    assert_eq!(ask(&mut shard, "refresh", &json!({"all_users": true})), [0_u8; 0]);
    finish(&mut shard, NOW);
    let receipt = json!({"matched": 40, "refreshed": 40, "scanned": 40});
    assert_eq!(replies(&mut shard, API), [json!({"result": receipt})]);
    assert_eq!(ask(&mut shard, "disconnect", &json!({"all_users": true})), [0_u8; 0]);
    finish(&mut shard, NOW);
    let receipt = json!({"matched": 40, "closed": 40, "scanned": 40});
    assert_eq!(replies(&mut shard, API), [json!({"result": receipt})]);
    assert_eq!(shard.sessions(), 0);
}

#[test]
fn many_are_changed_in_turns_and_the_answer_counts_all() {
    let mut shard = shard(100, 50);
    let order = json!({"all_users": true, "set": {"plan": "pro"}});
    assert_eq!(ask(&mut shard, "update_labels", &order), [0_u8; 0]);
    let turns = finish(&mut shard, NOW);
    // The stretch that finds the last session is the first that changes some.
    assert!(turns + 1 >= 100 / TURN_STEPS + 100 / ACTS_PER_TURN, "{turns}");
    let receipt = json!({"matched": 100, "updated": 100, "scanned": 100});
    assert_eq!(replies(&mut shard, API), [json!({"result": receipt})]);
    let is_pro = |session: Session<'_>| session.label("plan") == Some("pro");
    assert!(shard.table.iter().all(is_pro));
}

#[test]
fn an_order_whose_time_is_over_while_it_looks_goes_on_and_ends_all() {
    let mut shard = shard(100, 0);
    assert_eq!(ask(&mut shard, "disconnect", &json!({"all_users": true})), [0_u8; 0]);
    shard.on_tick(later(800));
    let replies = replies(&mut shard, API);
    let [reply] = replies.as_slice() else { panic!("{replies:?}") };
    let result = &reply["result"];
    assert_eq!((&result["closed"], &result["partial"]), (&json!(0), &json!(true)), "{result}");
    assert_eq!((&result["pending"], &result["matched"]), (&result["scanned"], &result["scanned"]));
    finish(&mut shard, later(800));
    assert_eq!(shard.sessions(), 0);
}

/// The control thread makes a rule hold and has it carried out.
fn keep_out(shard: &mut Shard, index: u32, rule: Rule, now: Now) {
    shard.rules.apply(&rule, now.unix_s());
    let (gather, question) = (GatherId { index, generation: 0 }, Question::KeepOut(Box::new(rule)));
    shard.on_message(Peer::Control, Message::Ask { gather, question }, now);
}

/// Rules that the control thread heard were carried out, in that order.
fn carried_out(shard: &mut Shard) -> Vec<u32> {
    let mut effects = Effects::default();
    shard.take_effects(&mut effects);
    let (list, _) = effects.drain();
    let mut rules = Vec::new();
    for effect in list {
        if let Effect::Message { to: Peer::Control, message: Message::Answer { gather, .. } } =
            effect
        {
            rules.push(gather.index);
        }
    }
    rules
}

fn revoke(uid: &str) -> Rule {
    Rule::Revoke { uid: uid.into(), until: Until::FOREVER }
}

fn uids(shard: &Shard) -> Vec<String> {
    shard.table.iter().map(|session| session.token_uid().to_string()).collect()
}

#[test]
fn a_token_is_revoked_in_stretches_and_answered_when_its_sessions_have_ended() {
    let mut shard = shard(100, 0);
    let all = uids(&shard);
    let (first, last) = (&all[0], &all[99]);
    keep_out(&mut shard, 0, revoke(last), NOW);
    assert_eq!((carried_out(&mut shard), shard.is_working()), (vec![], true));
    let found = ask(&mut shard, "connections", &json!({"user": "s000000001"}));
    assert_eq!(found.len(), 1, "it does not wait for the walk");
    // The walk has passed this one: it is looked for in the next, with any others.
    shard.on_turn(NOW);
    keep_out(&mut shard, 1, revoke(first), NOW);
    keep_out(&mut shard, 2, revoke(&all[50]), NOW);
    keep_out(&mut shard, 3, revoke("nobody's"), NOW);
    assert_eq!(shard.sessions(), 100);
    let mut answers = Vec::new();
    let mut turns = 0;
    while shard.is_working() {
        shard.on_turn(NOW);
        turns += 1;
        for rule in carried_out(&mut shard) {
            let uid = [last.as_str(), first, &all[50], ""][rule as usize];
            assert!(!uids(&shard).iter().any(|left| left == uid), "rule {rule} was carried out");
            answers.push(rule);
        }
    }
    assert_eq!((answers, shard.sessions()), (vec![0, 1, 2, 3], 97));
    // Places are looked at in pages of more than there are sessions.
    assert!((2..=2 * 1_000 / TURN_STEPS).contains(&turns), "two walks: {turns}");
}

#[test]
fn a_user_with_many_sessions_is_blocked_in_turns_and_answered_when_all_have_ended() {
    let mut shard = shard(0, 0);
    for index in 1..=20 {
        let conn = ConnId { index, generation: 1 };
        shard.on_open(conn, Scope::All, NOW);
        post(&mut shard, conn, "/stream", &connect("42"));
    }
    assert_eq!(shard.sessions(), 20);
    let block = Rule::Block { user: "42".into(), until: Until::FOREVER };
    keep_out(&mut shard, 7, block, NOW);
    assert_eq!((carried_out(&mut shard), shard.sessions()), (vec![], 20), "a first look at them");
    // The last look and the first acts share a turn.
    assert_eq!(finish(&mut shard, NOW), 20 / TURN_STEPS - 1 + 20 / ACTS_PER_TURN);
    assert_eq!((carried_out(&mut shard), shard.sessions()), (vec![7], 0));
    keep_out(&mut shard, 8, Rule::Unblock { user: "42".into() }, NOW);
    assert_eq!((carried_out(&mut shard), shard.is_working()), (vec![8], false));
}
