//! A storm in which some look through the sessions, page by page, and count them.

use crate::CALM;
use crate::client::{Client, Kind, Request};
use crate::looks::{SORTS, Sought};
use crate::model::ClientKey;
use crate::options::Choices;
use crate::storm::{self, KINDS, USERS, below, pick};
use crate::world::{Tally, World};

/// What those who look through sessions must have met.
const LOOKED: &[(&str, &[u32])] = &[
    ("looked through in the storm", &[1, 2, 3, 4]),
    ("looked through", &[1, 2, 3, 4]),
    ("pages in part", &[0, 1]),
    ("numbers", &[0]),
    ("exact numbers", &[0]),
    ("turns", &[0]),
];

const STEPS: usize = 2_500;

/// Those who connect before the storm.
const CROWD: usize = 30;

/// Looks that go on at the same time.
const LOOKS_MAX: usize = 4;

/// What is looked for; what takes long is one of many.
const SOUGHT: [Sought; 8] = [
    Sought::Everybody,
    Sought::Everybody,
    Sought::Trial,
    Sought::Trial,
    Sought::TrialSlowly,
    Sought::On("websocket"),
    Sought::On("http_stream"),
    Sought::Of(&["user-1", "user-3", "user-5"]),
];

/// Runs one storm and lets everybody come to the last page. Returns what happened.
pub(crate) fn run(seed: u64) -> Tally {
    let mut world = storm::world(seed);
    for number in 0..CROWD {
        let shard = number % world.nodes.len();
        let user = USERS[below(&mut world, USERS.len())];
        let kind = KINDS[below(&mut world, KINDS.len())];
        let key = world.open(shard, kind, user);
        world.client(key).is_trial = below(&mut world, 2) == 0;
        world.asks_to_connect(key);
    }
    for _ in 0..STEPS {
        step(&mut world);
    }
    let mut tally = Tally::new();
    for look in world.model.looks.all.iter().filter(|look| look.is_over()) {
        *tally.entry(("looked through in the storm", look.pages.min(4))).or_default() += 1;
    }
    world.quiet();
    for look in 0..world.model.looks.all.len() {
        world.looks_through(look);
    }
    tally.append(&mut world.tally);
    let looks = &world.model.looks;
    for look in &looks.all {
        *tally.entry(("looked through", look.pages.min(4))).or_default() += 1;
        *tally.entry(("pages in part", look.partial_pages.min(1))).or_default() += 1;
    }
    tally.insert(("numbers", 0), looks.counts.into());
    tally.insert(("exact numbers", 0), looks.exact_counts.into());
    world.everyone_leaves();
    tally
}

fn step(world: &mut World) {
    match below(world, 100) {
        0..25 => storm::step(world),
        25..45 => storm::feed(world, None),
        45..75 => storm::deliver(world, None),
        75..85 => storm::go_on(world),
        85..95 => look(world),
        // What a shard does late is late, not lost.
        _ => (0..world.nodes.len()).for_each(|shard| world.runs_again(shard)),
    }
}

/// Somebody wants the next page, or a first one, or a number.
fn look(world: &mut World) {
    let Some(key) = backend(world) else { return };
    let sought = SOUGHT[below(world, SOUGHT.len())];
    let looks = world.model.looks.all.iter().enumerate();
    let under_way = looks.filter(|(_, look)| !look.is_over()).map(|(number, _)| number);
    let under_way: Vec<usize> = under_way.collect();
    let is_asked = |look: usize| {
        let mut asked = world.clients.values().flat_map(|client| &client.asked);
        asked.any(|asked| asked.what == Request::Page { look })
    };
    let ready: Vec<usize> = under_way.iter().copied().filter(|look| !is_asked(*look)).collect();
    let what = if below(world, 6) == 0 {
        Request::Count { sought }
    } else if !ready.is_empty() {
        Request::Page { look: ready[below(world, ready.len())] }
    } else if under_way.len() < LOOKS_MAX {
        let (sort, limit) = (SORTS[below(world, SORTS.len())], 1 + below(world, 4));
        Request::Page { look: world.begins_look(sought, sort, limit) }
    } else {
        return;
    };
    world.write_request(key, what);
}

/// Any connection of a backend, on any shard.
fn backend(world: &mut World) -> Option<ClientKey> {
    let is_free = |client: &Client| client.kind == Kind::Api && !client.finishes && !client.broken;
    if let Some(key) = pick(world, is_free) {
        return Some(key);
    }
    let shard = below(world, world.nodes.len());
    let node = &world.nodes[shard];
    (!node.stalled && node.accepting).then(|| world.open(shard, Kind::Api, ""))
}

#[test]
fn whoever_looks_through_the_sessions_in_a_storm_meets_each_that_stays_once() {
    crate::run_many(25, run, LOOKED);
}

#[test]
fn a_number_is_what_a_look_through_finds_when_nothing_changes() {
    let mut world = World::new(23, 3, Choices::default(), CALM);
    for number in 0..12 {
        let kind = [Kind::WebSocket, Kind::HttpStream, Kind::UniHttpStream][number % 3];
        let key = world.open(number % 2, kind, ["user-1", "user-2", "user-3"][number / 4]);
        world.client(key).is_trial = number % 4 == 0;
        world.asks_to_connect(key);
        world.pass(number as u64 % 2);
    }
    let users = &["user-1", "user-3"];
    let some = [Sought::On("websocket"), Sought::Of(users), Sought::Trial, Sought::TrialSlowly];
    for (sought, pages) in [Sought::Everybody].into_iter().chain(some).zip([6, 2, 4, 2, 2]) {
        for sort in SORTS {
            let look = world.begins_look(sought, sort, 2);
            world.looks_through(look);
            world.counts(0, sought);
            assert_eq!(world.model.looks.all[look].pages, pages, "{sought:?} by {sort}");
        }
    }
    assert_eq!(world.model.looks.exact_counts, world.model.looks.counts);
    world.everyone_leaves();
}

#[test]
fn a_page_that_a_stalled_shard_is_missing_in_says_so_and_the_next_one_misses_nobody() {
    let mut world = World::new(24, 2, Choices::default(), CALM);
    for number in 0..6 {
        world.connects(number % 2, Kind::UniHttpStream, "42");
    }
    let look = world.begins_look(Sought::Everybody, "-user", 2);
    world.turns_page(0, look);
    world.stalls(1);
    world.turns_page(0, look);
    world.runs_again(1);
    world.settle();
    world.looks_through(look);
    let look = &world.model.looks.all[look];
    assert_eq!((look.pages, look.partial_pages), (3, 1));
    world.everyone_leaves();
}
