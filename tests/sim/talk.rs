//! What clients say in a storm: calls, tokens good and bad, pings, nonsense, goodbyes.

use rand::RngExt;
use serde_json::json;

use crate::client::{Client, Phase, PongBy};
use crate::frames;
use crate::model::{ClientKey, Whom};
use crate::speech::{self, Ask, Means, Token};
use crate::storm::{below, pick};
use crate::world::World;

/// Lists that one client asks for in one breath: more than may wait at once.
const BURST: usize = 12;

/// A client that may speak decides what to say, or says it with frames.
pub(crate) fn say_something(world: &mut World) {
    let may_speak = |client: &Client| {
        let is_there = !client.finishes && !client.left && !client.broken;
        let is_open = client.is_upgraded() && client.phase != Phase::Over;
        client.kind.is_client() && is_there && (is_open || client.phase == Phase::Live)
    };
    let Some(key) = pick(world, may_speak) else { return };
    if world.client(key).is_upgraded() && below(world, 4) == 0 {
        return say_by_frame(world, key);
    }
    if !world.client(key).kind.is_socket() && below(world, 12) == 0 {
        return world.spoil(key);
    }
    let client = world.client(key);
    if !client.kind.has_commands() {
        if client.phase == Phase::Live {
            world.emulates_in_vain(key);
        }
        return;
    }
    // Whoever says something else first is told to go.
    let asked = client.calls.values().any(|(ask, _)| matches!(ask, Ask::Connect { .. }));
    if matches!(client.phase, Phase::Silent { .. }) && client.saying.is_empty() && !asked {
        client.sins.insert(3501);
    }
    say_command(world, key);
}

fn say_by_frame(world: &mut World, key: ClientKey) {
    match below(world, 16) {
        0 => {
            let which = below(world, 5);
            world.write_broken_frame(key, which);
        }
        1 => {
            let code = 1_000_u16.to_be_bytes();
            world.write_frame(key, frames::CLOSE, &code, vec![Means::Leave]);
        }
        2..6 => {
            let means = match world.client(key).kind.pong_by() {
                PongBy::Frame => Means::Pong,
                PongBy::Command | PongBy::Nothing => return,
            };
            world.write_frame(key, frames::PONG, b"", vec![means]);
        }
        _ => world.write_ping(key),
    }
}

/// Adds a command to what a client is about to say.
pub(crate) fn say_command(world: &mut World, key: ClientKey) {
    let which = below(world, 7);
    let id = world.client(key).id();
    let command = match below(world, 40) {
        0 => speech::sinful(id, which),
        1 => unasked_pong(world, key),
        2 => {
            for _ in 0..BURST {
                let list = world.call_of(key, None);
                world.client(key).saying.push(list);
            }
            return;
        }
        3..9 => refresh(world, key, id),
        9..15 => speech::harmless(id, which),
        15..17 => {
            let caller = world.model.of(key).map_or(String::new(), |(id, _)| id.clone());
            world.call_of(key, Some(&Whom::AllBut(caller)))
        }
        17..19 => bad_call(world, key, id),
        19..28 => match some_session(world, key) {
            None => return,
            Some(client) => world.call_of(key, Some(&Whom::One(client))),
        },
        _ => world.call_of(key, None),
    };
    world.client(key).saying.push(command);
}

/// A pong out of step ends the session, where pongs are commands.
fn unasked_pong(world: &mut World, key: ClientKey) -> speech::Command {
    let client = world.client(key);
    let (means, sin) = match client.kind.pong_by() {
        PongBy::Command => (Means::Pong, Some(3501)),
        PongBy::Frame | PongBy::Nothing => (Means::End, Some(3501)),
    };
    speech::Command { means, sin, ..speech::pong() }
}

fn refresh(world: &mut World, key: ClientKey, id: u32) -> speech::Command {
    let token = match below(world, 20) {
        0 => Token::Expired,
        1 => Token::Ended,
        2 => Token::Forged,
        3 => Token::Stranger,
        4..6 => Token::Forever,
        6..14 => Token::Lives(1 + world.rng.random_range(0..20)),
        _ => Token::Lives(3_600),
    };
    speech::refresh(id, token, world.who(key))
}

/// A call that nobody may make, or that says nothing.
fn bad_call(world: &mut World, key: ClientKey, id: u32) -> speech::Command {
    let client = world.client(key);
    let may = client.manages && !client.user.is_empty();
    let (method, code) = match id % 2 {
        0 => ("sessions.open", 104),
        _ => ("sessions.close", if may { 107 } else { 103 }),
    };
    speech::call(id, method, &json!({"client": "nobody"}), Ask::Fails { code })
}

/// Somebody's session, there or gone; mostly one of the same user.
fn some_session(world: &mut World, key: ClientKey) -> Option<String> {
    let user = world.client(key).user.clone();
    let any = below(world, 3) == 0;
    let ids: Vec<String> = if any {
        world.model.ids().cloned().collect()
    } else {
        let own = world.model.open().filter(|(_, session)| session.user == user);
        own.map(|(id, _)| id.clone()).collect()
    };
    (!ids.is_empty()).then(|| ids[below(world, ids.len())].clone())
}
