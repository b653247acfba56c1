//! A world in which anything happens in any order, from a seed.

use rand::{Rng, RngExt, SeedableRng};

use rollcall::connection::options::WhenFull;

use crate::client::{Client, Kind, Phase, Request};
use crate::fences::Fenced;
use crate::model::ClientKey;
use crate::options::Choices;
use crate::speech::Token;
use crate::talk;
use crate::world::{Faults, Tally, World};

const STEPS: usize = 1_500;
const CLIENTS_MAX: usize = 60;

/// Users, the anonymous one among them.
pub(crate) const USERS: [&str; 7] =
    ["", "user-1", "user-2", "user-3", "user-4", "user-5", "user-6"];

pub(crate) const KINDS: [Kind; 6] = [
    Kind::WebSocket,
    Kind::FramePinged,
    Kind::HttpStream,
    Kind::Sse,
    Kind::UniWebSocket,
    Kind::UniHttpStream,
];

/// Runs one storm and lets it end: by everyone leaving, or by a goodbye. Returns what happened.
pub(crate) fn run(seed: u64) -> Tally {
    let mut world = world(seed);
    let goodbye = if below(&mut world, 4) == 0 { below(&mut world, STEPS) } else { STEPS };
    for number in 0..STEPS {
        if number >= goodbye {
            say_goodbye(&mut world);
        }
        step(&mut world);
    }
    if goodbye < STEPS || world.rng.random() {
        world.drains();
    } else {
        world.everyone_leaves();
    }
    std::mem::take(&mut world.tally)
}

/// A world of any size, with any faults and choices.
pub(crate) fn world(seed: u64) -> World {
    let mut rng = rand::rngs::ChaCha12Rng::seed_from_u64(seed);
    let shards = rng.random_range(1..=5);
    let user_sessions_max = if rng.random() { 0 } else { rng.random_range(1..8) };
    let faults = Faults { loses_one_in: if rng.random() { 0 } else { rng.random_range(4..40) } };
    let (ping_interval_ms, pong_timeout_ms) =
        [(0, 0), (25_000, 8_000), (10_000, 3_000), (4_000, 1_500), (3_000, 0)]
            [rng.random_range(0..5)];
    let stale_close_ms = [2_000, 10_000][rng.random_range(0..2)];
    let when_full = if rng.random() { WhenFull::Reject } else { WhenFull::EvictOldest };
    let choices =
        Choices { user_sessions_max, when_full, ping_interval_ms, pong_timeout_ms, stale_close_ms };
    World::new(seed, shards, choices, faults)
}

fn say_goodbye(world: &mut World) {
    for shard in 0..world.nodes.len() {
        if !world.nodes[shard].stalled && !world.nodes[shard].drains {
            world.say_goodbye(shard);
        }
    }
}

pub(crate) fn step(world: &mut World) {
    match world.rng.random_range(0..100) {
        0..8 => arrive(world),
        8..16 => ask(world),
        16..26 => talk::say_something(world),
        26..42 => {
            if let Some(key) = pick(world, |client| !client.saying.is_empty()) {
                world.utter(key);
            }
        }
        42..68 => feed(world, None),
        68..81 => deliver(world, None),
        81..87 => {
            let ms = [7, 50, 100, 100, 400, 3_000][below(world, 6)];
            world.pass(ms);
        }
        87..89 => {
            let shard = below(world, world.nodes.len());
            if world.nodes[shard].stalled {
                world.runs_again(shard);
            } else {
                world.stalls(shard);
            }
        }
        89..91 => {
            if let Some(key) = pick(world, |_| true) {
                world.client(key).finishes = true;
            }
        }
        91..92 => leave(world, World::reset),
        92..93 => leave(world, World::breaks),
        93..94 => leave(world, World::clog),
        94..96 => batch(world),
        96..97 => go_on(world),
        _ => again(world),
    }
}

/// A client of a shard has something for it: some of it arrives.
pub(crate) fn feed(world: &mut World, shard: Option<usize>) {
    let bytes_max = if world.rng.random() { usize::MAX } else { below(world, 200) + 1 };
    let has_something = |client: &Client| {
        !client.unsent.is_empty() || client.again || client.finishes || client.broken
    };
    let on = |key: ClientKey| shard.is_none_or(|shard| shard == key.0);
    let key = pick_keyed(world, |key, client| on(key) && has_something(client));
    if let Some(key) = key {
        world.feed(key, bytes_max);
    }
}

/// A message arrives.
pub(crate) fn deliver(world: &mut World, shard: Option<usize>) {
    let ready: Vec<_> = world
        .network
        .iter()
        .filter(|((_, to), queue)| !queue.is_empty() && !world.is_stalled(*to))
        .map(|(pair, _)| *pair)
        .filter(|(_, to)| shard.is_none_or(|shard| shard == *to))
        .collect();
    if !ready.is_empty() {
        let pair = ready[below(world, ready.len())];
        world.deliver(pair);
    }
}

/// A shard goes on with what takes more than one turn.
pub(crate) fn go_on(world: &mut World) {
    let shard = below(world, world.nodes.len());
    world.goes_on(shard);
}

/// A shard handles several events before what it asks for is done, as the engine does.
fn batch(world: &mut World) {
    let shard = below(world, world.nodes.len());
    if world.nodes[shard].stalled {
        return;
    }
    world.holding = true;
    for _ in 0..2 + below(world, 6) {
        if world.rng.random() {
            feed(world, Some(shard));
        } else {
            deliver(world, Some(shard));
        }
    }
    world.release(shard);
}

fn arrive(world: &mut World) {
    let shard = below(world, world.nodes.len());
    let node = &world.nodes[shard];
    if world.clients.len() >= CLIENTS_MAX || node.stalled || !node.accepting {
        return;
    }
    if below(world, 4) == 0 {
        world.open(shard, Kind::Api, "");
        return;
    }
    let kind = KINDS[below(world, KINDS.len())];
    let user = USERS[below(world, USERS.len())];
    let key = world.open(shard, kind, user);
    let (manages, answers, stubborn) =
        (world.rng.random(), below(world, 4) > 0, below(world, 8) == 0);
    let (token, is_trial) = (below(world, 4), below(world, 4) == 0);
    let client = world.client(key);
    (client.manages, client.answers, client.stubborn) = (manages, answers, stubborn);
    (client.uid, client.is_trial) = (uid_of(user, token), is_trial);
    let says_nothing = below(world, 12) == 0;
    if says_nothing && !kind.is_socket() {
        return;
    }
    if !says_nothing {
        say_connect(world, key);
    }
    world.write_first(key);
}

/// Several clients of a user have the same token; some tokens have no id.
fn uid_of(user: &str, token: usize) -> String {
    if token == 0 { String::new() } else { format!("{user}'s {token}") }
}

/// The connect, and sometimes what it will say behind it.
fn say_connect(world: &mut World, key: ClientKey) {
    let token = match below(world, 40) {
        0 => Token::Expired,
        1 => Token::Ended,
        2 => Token::Forged,
        3..5 => Token::Forever,
        5..12 => Token::Lives(2 + below(world, 30) as u64),
        _ => Token::Lives(3_600),
    };
    let connect = world.connect_of(key, token);
    world.client(key).saying.push(connect);
    if world.client(key).kind.has_commands() {
        for _ in 0..below(world, 6).saturating_sub(2) {
            talk::say_command(world, key);
        }
    }
}

/// A stream client whose session has ended tries again on the same connection.
fn again(world: &mut World) {
    let is_free = |client: &Client| {
        let is_leaving = client.finishes || client.left || client.finished_ms.is_some();
        let is_over = client.phase == Phase::Over && !client.is_spoiled;
        is_over && !client.kind.is_socket() && !is_leaving
    };
    if let Some(key) = pick(world, |client| client.kind.is_client() && is_free(client)) {
        world.client(key).begins_anew();
        say_connect(world, key);
        world.write_first(key);
    }
}

fn ask(world: &mut World) {
    let Some(key) = pick(world, |client| client.kind == Kind::Api && !client.finishes) else {
        return;
    };
    let user = USERS[below(world, USERS.len())].to_owned();
    let what = match below(world, 11) {
        0 => Request::DisconnectUser { user },
        1 => match world.model.open().find(|(_, session)| session.user == user) {
            None => Request::List { user },
            Some((client, _)) => Request::DisconnectClient { user, client: client.clone() },
        },
        2 => {
            Request::Refresh { user, lives_s: [None, Some(0), Some(2), Some(60)][below(world, 4)] }
        }
        3 if !user.is_empty() && below(world, 3) == 0 => Request::Block { user },
        4 if !user.is_empty() => Request::Unblock { user },
        5 => fence(world, user),
        _ => Request::List { user },
    };
    world.write_request(key, what);
}

/// Some are sent away and refused for a while.
fn fence(world: &mut World, user: String) -> Request {
    let of_user = world.model.open().find(|(_, session)| session.user == user);
    let client = of_user.map(|(client, _)| client.clone());
    let whom = match (below(world, 4), client) {
        (0, _) => Fenced::Trial,
        (1, _) | (_, None) => Fenced::User(user),
        (_, Some(client)) => Fenced::TokenOf(client),
    };
    Request::Fence { whom, stands_s: 1 + below(world, 4) as u64 }
}

/// Something sudden happens to a client of a shard that runs.
fn leave(world: &mut World, how: fn(&mut World, ClientKey)) {
    let is_connecting = |client: &Client| matches!(client.phase, Phase::Connecting { .. });
    let mut key = pick(world, |_| true);
    if below(world, 4) == 0 {
        key = pick(world, is_connecting).or(key);
    }
    if let Some(key) = key
        && !world.nodes[key.0].stalled
    {
        how(world, key);
    }
}

pub(crate) fn pick(world: &mut World, which: impl Fn(&Client) -> bool) -> Option<ClientKey> {
    pick_keyed(world, |_, client| which(client))
}

fn pick_keyed(world: &mut World, which: impl Fn(ClientKey, &Client) -> bool) -> Option<ClientKey> {
    let clients = world.clients.iter().filter(|(key, client)| which(**key, client));
    let keys: Vec<ClientKey> = clients.map(|(key, _)| *key).collect();
    (!keys.is_empty()).then(|| keys[below(world, keys.len())])
}

pub(crate) fn below(world: &mut World, end: usize) -> usize {
    usize::try_from(world.rng.next_u64() % end as u64).expect("below a usize")
}
