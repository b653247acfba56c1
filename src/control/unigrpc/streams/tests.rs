//! The table against shards that have room or not, and clients that read, wait or leave.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const SHARDS: usize = 2;

/// A table, and what its shards have been told.
struct World {
    streams: Streams,
    runtime: tokio::runtime::Runtime,
    told: BTreeMap<u64, Vec<&'static str>>,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let streams = Streams::new(SHARDS, Rc::new(Notify::new()));
        Self { streams, runtime, told: BTreeMap::new() }
    }

    fn open(&mut self) -> StreamId {
        let cut = self.runtime.spawn(pending::<()>()).abort_handle();
        let (remote_addr, user_agent) = (Ipv4Addr::LOCALHOST.into(), "".into());
        let call = Call {
            kind: StreamKind::Session,
            request: Box::default(),
            remote_addr,
            user_agent,
            metadata: Vec::new(),
            cut,
        };
        self.streams.open(call).expect("not a million")
    }

    fn poll(&mut self, id: StreamId) -> Poll<Next> {
        self.streams.poll_next(id, &Context::from_waker(Waker::noop()))
    }

    fn send(&mut self, id: StreamId, bytes: &[u8]) {
        self.streams.send(id, bytes.into());
    }

    /// Lets so many messages through.
    fn tell(&mut self, mut room: usize) {
        let told = &mut self.told;
        self.streams.tell(|shard, message| {
            if room == 0 {
                return Err(message);
            }
            room -= 1;
            let (id, what) = if let Message::StreamOpen(open) = &message {
                (open.stream.0, "open")
            } else if let Message::StreamBacklog { stream, .. } = message {
                (stream.0, "backlog")
            } else if let Message::StreamGone { stream } = message {
                (stream.0, "gone")
            } else {
                panic!("not for a shard: {message:?}")
            };
            assert_eq!(shard as u64, id % SHARDS as u64, "a stream stays with its shard");
            told.entry(id).or_default().push(what);
            Ok(())
        });
    }

    fn told(&self, id: StreamId) -> &[&'static str] {
        self.told.get(&id.0).map_or(&[], Vec::as_slice)
    }
}

#[test]
fn bytes_come_whole_and_the_end_behind_them() {
    let mut world = World::new();
    let id = world.open();
    world.tell(9);
    assert_eq!(world.poll(id), Poll::Pending);
    world.send(id, b"one");
    world.streams.end(id, StreamEnd::Regular);
    assert_eq!(world.poll(id), Poll::Ready(Next::Bytes(Bytes::from_static(b"one"))));
    assert_eq!(world.poll(id), Poll::Ready(Next::End(StreamEnd::Regular)));
    world.streams.left(id);
    world.tell(9);
    assert_eq!(world.told(id), ["open", "gone"]);
    assert!(world.streams.open.is_empty());
}

#[test]
fn a_shard_hears_of_a_client_that_does_not_read_and_of_no_other() {
    let mut world = World::new();
    let (slow, quick) = (world.open(), world.open());
    for _ in 0..3 {
        world.send(slow, b"x");
        world.send(quick, b"x");
        assert!(world.poll(quick).is_ready());
        world.tell(9);
    }
    assert_eq!(world.told(slow), ["open", "backlog", "backlog"]);
    assert_eq!(world.told(quick), ["open"]);
    world.streams.end(slow, StreamEnd::Cut);
    assert_eq!(world.poll(slow), Poll::Ready(Next::End(StreamEnd::Cut)), "what waited is gone");
    world.streams.left(slow);
    world.tell(9);
    assert_eq!(world.told(slow), ["open", "backlog", "backlog"], "the shard knows");
}

#[test]
fn a_client_that_leaves_before_its_shard_has_heard_of_it_was_never_there() {
    let mut world = World::new();
    let id = world.open();
    world.tell(0);
    world.streams.left(id);
    world.tell(9);
    assert_eq!(world.told(id), [""; 0]);
}

proptest! {
    #[test]
    fn shards_hear_everything_once_and_in_order_whatever_room_there_is(
        steps in prop::collection::vec((0u8..7, any::<prop::sample::Index>(), 0usize..3), 1..200),
    ) {
        let mut world = World::new();
        let mut live: Vec<StreamId> = Vec::new();
        for (step, which, room) in steps {
            if step == 0 || live.is_empty() {
                live.push(world.open());
                continue;
            }
            let at = which.index(live.len());
            let id = live[at];
            // Shards speak only of streams they have heard of.
            let is_known = world.told(id).first() == Some(&"open");
            match step {
                1 | 2 if is_known => world.send(id, b"bytes"),
                3 => drop(world.poll(id)),
                4 if is_known => world.streams.end(id, StreamEnd::Regular),
                5 => {
                    world.streams.left(id);
                    live.swap_remove(at);
                }
                _ => world.tell(room),
            }
        }
        for id in live {
            world.streams.left(id);
        }
        world.tell(usize::MAX);
        prop_assert!(world.streams.open.is_empty());
        prop_assert!(world.streams.untold.iter().all(VecDeque::is_empty));
        for told in world.told.values() {
            prop_assert_eq!(told.first(), Some(&"open"));
            prop_assert_eq!(told.last(), Some(&"gone"));
            let between = &told[1..told.len() - 1];
            prop_assert!(between.iter().all(|what| *what == "backlog"), "{:?}", told);
        }
    }
}
