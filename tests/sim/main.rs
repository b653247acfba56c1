//! The truths of docs/architecture.md from a seed: several shards, virtual time, a network that
//! delays and loses, clients that come, ask and vanish; every reply is held against a model.
//!
//! `ROLLCALL_SIM_SEED=7 cargo test --test sim` runs that seed alone; without it seeds are chosen
//! at random and printed when something fails.

// Clients and what passes between them and the shards.
mod client;
mod frames;
mod said;
mod speech;
mod told;

// What must be true.
mod fences;
mod looks;
mod model;
mod truths;

// The node, played in one thread.
mod engine;
mod options;
mod world;

// What happens in it.
mod pages;
mod sentences;
mod storm;
mod talk;

use std::collections::BTreeSet;

use rollcall::connection::options::WhenFull;

use client::{Kind, Phase, Request};
use fences::Fenced;
use model::{ClientKey, Whom};
use options::Choices;
use speech::{Means, Token};
use world::{Faults, Tally, World};

const CALM: Faults = Faults { loses_one_in: 0 };

/// What storms must have led to, or they prove little: what was answered, told or done, by code.
const SEEN: &[(&str, &[u32])] = &[
    ("api answered", &[0]),
    ("connect", &[0, 109, 110, 111]),
    ("list", &[0, 111]),
    ("close", &[0]),
    ("refresh", &[0]),
    ("refused call", &[103, 104, 107, 108, 110]),
    ("pings", &[0]),
    ("ends moved", &[0]),
    ("left before the verdict", &[0]),
    ("more to say after a verdict", &[0]),
    ("commands lost", &[0]),
    (
        "sessions closed",
        &[1002, 3000, 3001, 3005, 3008, 3012, 3500, 3501, 3503, 3504, 3507, 3508, 4001],
    ),
    ("turned away", &[3001, 3005, 3013, 3500, 3501, 3502, 3504, 3507]),
];

#[test]
fn storms_from_many_seeds_leave_every_truth_whole() {
    // As many as it takes to see what is rare.
    run_many(300, storm::run, SEEN);
}

/// Runs worlds from seeds nobody chose, or the one that is asked for.
fn run_many(worlds: u64, run: fn(u64) -> Tally, seen: &[(&'static str, &[u32])]) {
    #[expect(clippy::disallowed_methods, reason = "how a failing seed is run again")]
    let asked = std::env::var("ROLLCALL_SIM_SEED").ok();
    if let Some(seed) = asked {
        run(seed.parse().expect("ROLLCALL_SIM_SEED is a number"));
        return;
    }
    let first = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    let mut tally = Tally::new();
    for number in 0..worlds {
        for (what, times) in run(first.wrapping_add(number)) {
            *tally.entry(what).or_default() += times;
        }
    }
    for (what, codes) in seen {
        for code in *codes {
            assert!(
                tally.contains_key(&(*what, *code)),
                "no {what} {code} from {first}: {tally:?}"
            );
        }
    }
}

#[test]
fn a_session_is_listed_by_every_shard_from_its_first_line_to_its_end() {
    let mut world = World::new(1, 3, Choices::default(), CALM);
    let client = world.connects(1, Kind::UniHttpStream, "42");
    for shard in 0..3 {
        assert_eq!(world.lists(shard, "42").sessions, [client.as_str()]);
    }
    assert_eq!(world.disconnects(2, "42"), Ok(()));
    for shard in 0..3 {
        assert!(world.lists(shard, "42").sessions.is_empty());
    }
    world.everyone_leaves();
}

#[test]
fn a_stalled_shard_makes_a_reply_partial_in_time_and_its_late_answer_is_ignored() {
    let mut world = World::new(2, 3, Choices::default(), CALM);
    let here = world.connects(0, Kind::UniHttpStream, "42");
    let there = world.connects(1, Kind::UniHttpStream, "42");
    world.stalls(1);
    let listing = world.lists(0, "42");
    assert_eq!((listing.sessions, listing.partial), (vec![here.clone()], true));
    world.runs_again(1);
    world.settle();
    let listing = world.lists(0, "42");
    let mut both = [here, there];
    both.sort_unstable();
    assert_eq!((listing.sessions.as_slice(), listing.partial), (both.as_slice(), false));
    world.everyone_leaves();
}

#[test]
fn a_question_that_finds_no_room_is_partial_at_once_and_a_disconnect_says_it_failed() {
    let mut world = World::new(3, 2, Choices::default(), Faults { loses_one_in: 1 });
    world.connects(1, Kind::UniHttpStream, "42");
    let before = world.time_ms();
    let listing = world.lists(0, "42");
    assert_eq!((listing.sessions.len(), listing.partial), (0, true));
    assert!(world.disconnects(0, "42").is_err());
    assert_eq!(world.time_ms(), before, "nobody had to wait");
    world.everyone_leaves();
}

#[test]
fn a_connect_over_the_limit_of_its_user_is_refused_wherever_the_others_are() {
    let choices = Choices { user_sessions_max: 2, ..Choices::default() };
    let mut world = World::new(4, 3, choices, CALM);
    world.connects(0, Kind::UniHttpStream, "42");
    let second = world.connects(1, Kind::UniHttpStream, "42");
    assert_eq!(world.is_refused(2, Kind::UniHttpStream, "42"), Some(3504));
    world.leaves(&second);
    world.connects(2, Kind::UniHttpStream, "42");
    world.everyone_leaves();
}

/// The newest session of a user is its only one.
const EVICTS_FROM_ONE: Choices = Choices {
    user_sessions_max: 1,
    when_full: WhenFull::EvictOldest,
    ping_interval_ms: 25_000,
    pong_timeout_ms: 8_000,
    stale_close_ms: 10_000,
};

#[test]
fn the_oldest_session_makes_room_wherever_it_is() {
    let choices = Choices { user_sessions_max: 3, ..EVICTS_FROM_ONE };
    let mut world = World::new(16, 3, choices, CALM);
    let mut sessions = Vec::new();
    for shard in [2, 0, 1, 1, 2, 0, 0] {
        world.pass(100);
        sessions.push(world.connects(shard, Kind::UniHttpStream, "42"));
        let mut newest = sessions[sessions.len().saturating_sub(3)..].to_vec();
        newest.sort_unstable();
        assert_eq!(world.lists(1, "42").sessions, newest);
    }
    world.everyone_leaves();
}

#[test]
fn many_connects_at_once_end_as_many_sessions_as_come_in_and_no_more() {
    let choices = Choices { user_sessions_max: 3, ..EVICTS_FROM_ONE };
    let mut world = World::new(17, 4, choices, CALM);
    let keys: Vec<_> = (0..60)
        .map(|number| {
            let key = world.open(number % 4, Kind::WebSocket, "42");
            let connect = world.connect_of(key, Token::Forever);
            world.client(key).saying.push(connect);
            world.write_first(key);
            key
        })
        .collect();
    world.settle();
    let inside = keys.iter().filter(|key| world.model.of(**key).is_some()).count();
    assert_eq!((inside, world.tally[&("sessions closed", 3504)]), (3, 57));
    world.everyone_leaves();
}

#[test]
fn an_oldest_session_that_cannot_be_asked_keeps_nobody_out_for_good() {
    let mut world = World::new(18, 2, EVICTS_FROM_ONE, CALM);
    world.connects(1, Kind::UniHttpStream, "42");
    world.stalls(1);
    let key = world.comes(0, Kind::HttpStream, "42");
    world.pass(1_000 + rollcall::shard::TICK_MS);
    assert_eq!(world.client(key).told, Some(100));
    world.runs_again(1);
    world.settle();
    world.connects(0, Kind::UniHttpStream, "42");
    assert_eq!(world.lists(0, "42").sessions.len(), 1);
    world.everyone_leaves();
}

#[test]
fn a_goodbye_reaches_every_session_and_leaves_nothing() {
    let mut world = World::new(5, 3, Choices::default(), CALM);
    for shard in [0, 1, 1, 2] {
        world.connects(shard, Kind::UniHttpStream, "42");
    }
    world.drains();
}

#[test]
fn who_is_fenced_out_comes_in_on_no_shard_until_the_fence_is_over() {
    for whom in [0, 1, 2] {
        let mut world = World::new(20, 3, Choices::default(), CALM);
        let comes = |world: &mut World, shard, user| {
            let key = world.open(shard, Kind::WebSocket, user);
            let client = world.client(key);
            (client.uid, client.is_trial) = (format!("token of {user}"), user == "42");
            world.asks_to_connect(key);
            key
        };
        let key = comes(&mut world, 1, "42");
        let other = comes(&mut world, 1, "43");
        let id = world.model.of(key).expect("it is in").0.clone();
        let whom =
            [Fenced::User("42".to_owned()), Fenced::TokenOf(id), Fenced::Trial][whom].clone();
        assert_eq!(world.fences_out(0, whom.clone(), 5), Ok(()), "{whom:?}");
        assert!(world.model.of(key).is_none() && world.model.of(other).is_some(), "{whom:?}");
        for shard in 0..3 {
            let back = comes(&mut world, shard, "42");
            assert_eq!(world.client(back).told, Some(111), "{whom:?}");
        }
        world.pass(5_000);
        for shard in 0..3 {
            let back = comes(&mut world, shard, "42");
            assert!(world.model.of(back).is_some(), "{whom:?} is over");
        }
        world.everyone_leaves();
    }
}

#[test]
fn a_fence_that_a_stalled_shard_has_not_put_up_sends_nobody_away() {
    let mut world = World::new(21, 3, Choices::default(), CALM);
    let client = world.connects(1, Kind::WebSocket, "42");
    let key = world.key_of(&client);
    world.stalls(2);
    assert_eq!(world.fences_out(0, Fenced::User("42".to_owned()), 60), Err(()));
    assert!(world.model.of(key).is_some(), "it stays");
    world.runs_again(2);
    world.settle();
    assert!(world.model.of(key).is_some(), "it stays");
    world.everyone_leaves();
}

#[test]
fn a_session_that_takes_another_token_while_its_last_is_fenced_out_stays() {
    let mut stayed = BTreeSet::new();
    for deliveries in 0..8 {
        let mut world = World::new(22, 3, Choices::default(), CALM);
        let key = world.open(1, Kind::WebSocket, "42");
        "first".clone_into(&mut world.client(key).uid);
        world.asks_to_connect(key);
        let id = world.model.of(key).expect("it is in").0.clone();
        let api = world.open(0, Kind::Api, "");
        world.write_request(api, Request::Fence { whom: Fenced::TokenOf(id), stands_s: 60 });
        world.feed(api, usize::MAX);
        for _ in 0..deliveries {
            let pairs: Vec<_> = world.network.keys().copied().collect();
            let next = pairs.into_iter().find(|pair| !world.network[pair].is_empty());
            next.into_iter().for_each(|pair| world.deliver(pair));
        }
        "second".clone_into(&mut world.client(key).uid);
        let goes_on = speech::refresh(9, Token::Forever, world.who(key));
        world.client(key).saying.push(goes_on);
        world.settle();
        let stays = world.model.of(key).is_some();
        assert_eq!(world.last_failed, stays, "after {deliveries}: sent away, or told that not");
        stayed.insert(stays);
        if !stays {
            // The token that it had at its end is the one that lets nobody in.
            let uid = if world.tally.contains_key(&("refresh", 0)) { "second" } else { "first" };
            let back = world.open(2, Kind::WebSocket, "42");
            uid.clone_into(&mut world.client(back).uid);
            world.asks_to_connect(back);
            assert_eq!(world.client(back).told, Some(111), "after {deliveries}");
        }
        world.everyone_leaves();
    }
    assert_eq!(stayed.len(), 2, "the moment was met");
}

#[test]
fn a_blocked_user_is_out_on_every_shard_and_comes_in_again_when_unblocked() {
    let mut world = World::new(12, 3, Choices::default(), CALM);
    for shard in [0, 1, 1, 2] {
        world.connects(shard, Kind::UniHttpStream, "42");
    }
    let other = world.connects(2, Kind::WebSocket, "43");
    assert_eq!(world.blocks(0, "42"), Ok(()));
    assert!(world.lists(1, "42").sessions.is_empty());
    for shard in 0..3 {
        assert_eq!(world.is_refused(shard, Kind::UniHttpStream, "42"), Some(3507));
    }
    assert_eq!(world.lists(0, "43").sessions, [other]);
    world.unblocks(2, "42");
    world.connects(1, Kind::Sse, "42");
    world.everyone_leaves();
}

#[test]
fn a_block_that_a_stalled_shard_has_not_carried_out_says_that_it_failed_and_lets_none_in() {
    let mut world = World::new(15, 2, Choices::default(), CALM);
    let there = world.connects(1, Kind::UniHttpStream, "42");
    world.stalls(1);
    assert_eq!(world.blocks(0, "42"), Err(()));
    assert_eq!(world.is_refused(0, Kind::UniHttpStream, "42"), Some(3507));
    world.runs_again(1);
    world.settle();
    assert!(world.lists(1, "42").sessions.is_empty(), "{there} hears of it late");
    world.everyone_leaves();
}

/// Every kind of client that has commands.
const TALKING: [Kind; 4] = [Kind::WebSocket, Kind::FramePinged, Kind::HttpStream, Kind::Sse];

#[test]
fn users_see_and_close_their_own_sessions_over_every_transport_and_nobody_elses() {
    for kind in TALKING {
        let mut world = World::new(6, 3, Choices::default(), CALM);
        let caller = world.connects(0, kind, "42");
        let other = world.connects(1, Kind::UniWebSocket, "42");
        let third = world.connects(2, kind, "42");
        let stranger = world.connects(1, kind, "43");
        assert_eq!(world.lists_own(&caller).sessions.len(), 3);
        world.closes(&caller, &Whom::One(stranger.clone()));
        world.closes(&caller, &Whom::One(other));
        assert_eq!(world.lists_own(&caller).sessions.len(), 2);
        world.closes(&third, &Whom::AllBut(third.clone()));
        assert_eq!(world.lists_own(&third).sessions, [third]);
        assert_eq!(world.lists_own(&stranger).sessions, [stranger]);
        world.everyone_leaves();
    }
}

#[test]
fn who_answers_its_pings_stays_and_who_does_not_is_cut() {
    for kind in [Kind::WebSocket, Kind::FramePinged, Kind::HttpStream, Kind::UniWebSocket] {
        let mut world = World::new(7, 2, Choices::default(), CALM);
        let answers = world.connects(0, kind, "42");
        let silent = world.connects(1, kind, "42");
        let key = world.key_of(&silent);
        world.client(key).answers = false;
        for _ in 0..700 {
            world.pass(100);
            world.settle();
        }
        assert_eq!(world.lists(1, "42").sessions, [answers], "{kind:?}");
        world.everyone_leaves();
    }
}

#[test]
fn a_pong_that_nobody_asked_for_puts_off_no_ping() {
    let mut world = World::new(8, 1, Choices::default(), CALM);
    let client = world.connects(0, Kind::FramePinged, "42");
    let key = world.key_of(&client);
    for _ in 0..60 {
        world.write_frame(key, frames::PONG, b"", vec![Means::Pong]);
        world.settle();
        world.pass(1_000);
    }
    assert!(world.tally[&("pings", 0)] >= 2, "{:?}", world.tally);
    world.everyone_leaves();
}

#[test]
fn an_answer_that_comes_late_is_not_told_to_the_next_session_of_the_connection() {
    for kind in [Kind::HttpStream, Kind::Sse] {
        let mut world = World::new(9, 2, Choices::default(), CALM);
        let first = world.connects(0, kind, "42");
        world.connects(1, kind, "42");
        let key = world.key_of(&first);
        world.stalls(1);
        let call = world.call_of(key, None);
        world.client(key).saying.push(call);
        world.settle();
        // It does not wait for the answer and says what ends it.
        world.client(key).saying.push(speech::sinful(7, 0));
        world.settle();
        let client = world.client(key);
        client.begins_anew();
        "43".clone_into(&mut client.user);
        world.asks_to_connect(key);
        world.runs_again(1);
        world.settle();
        assert_eq!(world.lists(1, "43").sessions.len(), 1);
        world.everyone_leaves();
    }
}

#[test]
fn who_leaves_while_room_is_made_for_it_leaves_nothing() {
    let choices = EVICTS_FROM_ONE;
    for kind in TALKING.into_iter().chain([Kind::UniWebSocket, Kind::UniHttpStream]) {
        // An RST is heard at once; whoever leaves otherwise is let in first, in another's place.
        type Leaves = fn(&mut World, ClientKey);
        let ways: [(Leaves, usize); 3] = [
            (World::reset, 1),
            (World::breaks, 0),
            (|world, key| world.client(key).finishes = true, 0),
        ];
        for (how, others) in ways {
            let mut world = World::new(10, 2, choices, CALM);
            world.connects(1, Kind::UniHttpStream, "42");
            world.stalls(1);
            let key = world.comes(0, kind, "42");
            assert!(matches!(world.client(key).phase, Phase::Connecting { .. }), "{kind:?}");
            how(&mut world, key);
            world.runs_again(1);
            world.settle();
            assert_eq!(world.lists(0, "42").sessions.len(), others, "{kind:?}");
            world.everyone_leaves();
        }
    }
}

#[test]
fn what_is_said_behind_a_connect_waits_for_its_verdict() {
    let choices = EVICTS_FROM_ONE;
    for kind in TALKING {
        let mut world = World::new(11, 2, choices, CALM);
        world.connects(1, Kind::UniHttpStream, "42");
        world.stalls(1);
        let key = world.open(0, kind, "42");
        world.client(key).manages = true;
        let (connect, list) = (world.connect_of(key, Token::Forever), world.call_of(key, None));
        world.client(key).saying.extend([connect, list]);
        world.write_first(key);
        world.settle();
        assert!(world.last_listing.is_none(), "{kind:?} is not in yet");
        world.runs_again(1);
        world.settle();
        let listing = world.last_listing.take().expect("it is in");
        assert_eq!((listing.sessions.len(), listing.partial), (1, false));
        world.everyone_leaves();
    }
}
