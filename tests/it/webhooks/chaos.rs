//! The worst that can happen: the backend fails, hangs, takes events without saying so and dies;
//! the server is killed. Nothing that was stored is lost, and the order of each session is kept.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{fact, server, wait_fact};
use crate::harness::{Server, Stream, eventually};

/// Sessions of one run of the server.
const SESSIONS: usize = 60;

/// Runs that end with SIGKILL.
const RUNS: u64 = 4;

/// What a run did to its sessions.
struct Run {
    node: String,
    clients: Vec<String>,
}

/// Sessions come, some get more time, some go, while requests fail in every way; then the server is
/// killed, when all that happened is stored.
fn run(mut server: Server, receiver: &mut Receiver, seed: u64) -> Run {
    let node = server.call("info", json!({}))["result"]["nodes"][0]["uid"].clone();
    let mut streams: Vec<Stream> = Vec::new();
    for n in 0..SESSIONS {
        streams.push(server.session(&format!("{seed}-{n}")));
        if n == SESSIONS / 2 {
            receiver.kill();
            receiver.restart(seed);
            receiver.answers("chaos");
        }
    }
    let clients: Vec<_> = streams.iter().map(Stream::client).collect();
    for n in (0..SESSIONS).step_by(2) {
        server.call(
            "refresh",
            json!({"user": format!("{seed}-{n}"), "expire_at": 4_000_000_000_u32}),
        );
    }
    // Every third goes.
    let mut at = 0;
    streams.retain(|_| {
        at += 1;
        (at - 1) % 3 != 0
    });
    let happened = SESSIONS + SESSIONS / 2 + SESSIONS / 3;
    wait_fact(&server, "stored", |stored| stored == happened as u64 + 1);
    // Some of it has been taken before the end.
    eventually("something is taken", || (fact(&server, "delivered") > 0).then_some(()));
    server.child.kill().expect("SIGKILL");
    server.child.wait().expect("a child");
    receiver.listen();
    drop(streams);
    Run { node: node.as_str().expect("a uid").to_owned(), clients }
}

#[test]
fn nothing_stored_is_lost_and_the_order_of_a_session_is_kept_whoever_dies() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut receiver = Receiver::start();
    let more = json!({
        "queue_path": dir.path().join("queue.redb"), "batch_size": 7, "timeout": "100ms",
    });
    let mut runs = Vec::new();
    for seed in 1..=RUNS {
        receiver.answers("chaos");
        runs.push(run(server(&receiver, &more), &mut receiver, seed));
    }
    receiver.answers("ok");
    let last = server(&receiver, &more);
    let started = usize::try_from(RUNS + 1).expect("few");
    receiver.wait("everything came", |receiver| receiver.of("node_started").len() == started);
    wait_fact(&last, "waiting", |waiting| waiting == 0);

    println!("refused: {}, repeated: {}", receiver.refused, receiver.repeated());
    assert!(receiver.refused > 0, "nothing went wrong: the test is none");
    let events = receiver.events();
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64()).collect();
    assert_eq!(
        seqs,
        (1..=seqs.len() as u64).map(Some).collect::<Vec<_>>(),
        "lost, or out of order"
    );
    assert!(receiver.of("gap").is_empty());
    let mut lives: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in &events {
        if let Some(client) = event["client"].as_str() {
            lives.entry(client).or_default().push(event["type"].as_str().expect("a type"));
        }
    }
    for Run { clients, .. } in &runs {
        for (n, client) in clients.iter().enumerate() {
            let mut expected = vec!["session_opened"];
            if n % 2 == 0 {
                expected.push("session_refreshed");
            }
            if n % 3 == 0 {
                expected.push("session_closed");
            }
            assert_eq!(lives.remove(client.as_str()), Some(expected), "{client}");
        }
    }
    assert!(lives.is_empty(), "sessions of nobody: {lives:?}");
    // Each run says which one ended without a word.
    let nodes = runs.iter().map(|run| Value::from(run.node.as_str()));
    let previous: Vec<_> =
        receiver.of("node_started").iter().map(|event| event["previous_node"].clone()).collect();
    assert_eq!(previous, std::iter::once(Value::Null).chain(nodes).collect::<Vec<_>>());
}
