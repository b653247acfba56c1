//! A world in which anything happens in any order, from a seed.

use rand::{Rng, RngExt, SeedableRng};

use crate::client::Request;
use crate::world::{ClientKey, Faults, World};

const STEPS: usize = 1_500;
const CLIENTS_MAX: usize = 60;
const USERS: usize = 6;

/// Runs one storm and lets it end: by everyone leaving, or by a goodbye. Returns how many replies
/// were held against the model.
pub(crate) fn run(seed: u64) -> u64 {
    let mut rng = rand::rngs::ChaCha12Rng::seed_from_u64(seed);
    let shards = rng.random_range(1..=5);
    let user_sessions_max = if rng.random() { 0 } else { rng.random_range(1..20) };
    let faults = Faults { loses_one_in: if rng.random() { 0 } else { rng.random_range(4..40) } };
    let mut world = World::new(seed, shards, user_sessions_max, faults);
    for _ in 0..STEPS {
        step(&mut world);
    }
    if world.rng.random() {
        world.drains()
    } else {
        world.everyone_leaves()
    }
    world.replies
}

fn step(world: &mut World) {
    match world.rng.random_range(0..100) {
        0..8 => arrive(world),
        8..20 => ask(world),
        20..60 => {
            let bytes_max = if world.rng.random() { usize::MAX } else { below(world, 200) + 1 };
            if let Some(key) = pick(world, |_| true) {
                world.feed(key, bytes_max);
            }
        }
        60..85 => {
            let nodes = &world.nodes;
            let ready: Vec<_> = world
                .network
                .iter()
                .filter(|((_, to), queue)| !queue.is_empty() && !nodes[*to].stalled)
                .map(|(pair, _)| *pair)
                .collect();
            if !ready.is_empty() {
                let pair = ready[below(world, ready.len())];
                world.deliver(pair);
            }
        }
        85..91 => {
            let ms = [7, 100, 400, 3_000][below(world, 4)];
            world.pass(ms);
        }
        91..93 => {
            let shard = below(world, world.nodes.len());
            world.nodes[shard].stalled ^= true;
        }
        93..96 => {
            if let Some(key) = pick(world, |_| true) {
                world.clients.get_mut(&key).expect("picked").finishes = true;
            }
        }
        96..98 => leave(world, World::reset),
        98..99 => leave(world, World::clog),
        _ => again(world),
    }
}

fn arrive(world: &mut World) {
    let shard = below(world, world.nodes.len());
    if world.clients.len() >= CLIENTS_MAX || world.nodes[shard].stalled {
        return;
    }
    if below(world, 4) == 0 {
        world.open(shard, None);
        return;
    }
    let user = user(world);
    let key = world.open(shard, Some(&user));
    let lives_s = if below(world, 4) == 0 { 2 + below(world, 30) as u64 } else { 3_600 };
    world.write_connect(key, lives_s);
}

/// A stream client whose session has ended tries again on the same connection.
fn again(world: &mut World) {
    if let Some(key) = pick(world, |client| client.told.is_some() && !client.finishes) {
        world.clients.get_mut(&key).expect("picked").told = None;
        world.write_connect(key, 3_600);
    }
}

fn ask(world: &mut World) {
    let Some(key) = pick(world, |client| client.user.is_none() && !client.finishes) else { return };
    let user = user(world);
    let what = match below(world, 10) {
        0 => Request::DisconnectUser { user },
        1 => match world.model.open().find(|(_, session)| session.user == user) {
            None => Request::List { user },
            Some((client, _)) => Request::DisconnectClient { user, client: client.clone() },
        },
        2 => {
            Request::Refresh { user, lives_s: [None, Some(0), Some(2), Some(60)][below(world, 4)] }
        }
        _ => Request::List { user },
    };
    world.write_request(key, what);
}

/// Something sudden happens to a client of a shard that runs.
fn leave(world: &mut World, how: fn(&mut World, ClientKey)) {
    if let Some(key) = pick(world, |_| true)
        && !world.nodes[key.0].stalled
    {
        how(world, key);
    }
}

fn pick(world: &mut World, which: impl Fn(&crate::client::Client) -> bool) -> Option<ClientKey> {
    let keys: Vec<ClientKey> =
        world.clients.iter().filter(|(_, client)| which(client)).map(|(key, _)| *key).collect();
    (!keys.is_empty()).then(|| keys[below(world, keys.len())])
}

fn user(world: &mut World) -> String {
    format!("user-{}", below(world, USERS))
}

fn below(world: &mut World, end: usize) -> usize {
    usize::try_from(world.rng.next_u64() % end as u64).expect("below a usize")
}
