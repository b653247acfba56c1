//! The truths, on several shards, under concurrency, on every driver and both parking designs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server, Stream, eventually, listed, token};

/// Every way a shard can run.
const BODIES: [(&str, &str); 6] = [
    ("io_uring", "poll_set"),
    ("io_uring_plain", "poll_set"),
    ("epoll", "poll_set"),
    ("io_uring", "task"),
    ("io_uring_plain", "task"),
    ("epoll", "task"),
];

pub(crate) fn on_every_body(test: impl Fn(&Server)) {
    on_every_body_with(&json!({}), test);
}

/// The same, with options beside those of the shards.
fn on_every_body_with(options: &Value, test: impl Fn(&Server)) {
    for (driver, parking) in BODIES {
        eprintln!("on {driver}, parked by {parking}");
        let mut options = options.clone();
        options["shards"] = json!({"driver": driver, "parking": parking});
        test(&Server::start(&options));
    }
}

/// API connections until every shard has accepted at least one, with high probability.
const API_CONNS: usize = 24;

#[test]
fn acknowledged_connect_is_listed_on_every_shard() {
    on_every_body(|server| {
        std::thread::scope(|scope| {
            for worker in 0..4 {
                scope.spawn(move || {
                    let mut conns: Vec<_> = (0..API_CONNS).map(|_| server.connect()).collect();
                    for round in 0..30 {
                        let user = format!("user-{worker}-{round}");
                        let stream = server.session(&user);
                        let conn = &mut conns[round % API_CONNS];
                        assert_eq!(listed(conn, &user), [stream.client()]);
                    }
                    let stream = server.session("everywhere");
                    for conn in &mut conns {
                        assert!(listed(conn, "everywhere").contains(&stream.client()));
                    }
                });
            }
        });
    });
}

#[test]
fn acknowledged_disconnect_is_never_listed_again_and_its_stream_ends() {
    on_every_body(|server| {
        std::thread::scope(|scope| {
            for worker in 0..4 {
                scope.spawn(move || {
                    let mut conns: Vec<_> = (0..API_CONNS).map(|_| server.connect()).collect();
                    for round in 0..20 {
                        let user = format!("user-{worker}-{round}");
                        let mut streams: Vec<_> = (0..5).map(|_| server.session(&user)).collect();
                        let conn = &mut conns[round % API_CONNS];
                        assert_eq!(listed(conn, &user).len(), 5);
                        conn.call("disconnect", json!({"user": user}));
                        let other = &mut conns[(round + 7) % API_CONNS];
                        assert_eq!(listed(other, &user), [""; 0]);
                        for stream in &mut streams {
                            let last = stream.push_after_pings().expect("a last line");
                            let expected = json!({"code": 3503, "reason": "force disconnect"});
                            assert_eq!(last["disconnect"], expected);
                            assert_eq!(stream.push(), None);
                        }
                    }
                });
            }
        });
    });
}

/// Time is part of this truth, as an operator experiences it: 100 ms for a whole FIN or RST,
/// without any traffic. The bound here is wider, for a busy machine; a ping (25 s) or a probe
/// (30 s) could not make it pass.
#[test]
fn a_dead_peer_is_unlisted_without_traffic() {
    on_every_body(|server| {
        let mut conn = server.connect();
        // A half-closed connection stays open on the client's side.
        let ends: [fn(Stream) -> Option<Stream>; 3] = [
            |stream| {
                stream.conn.finish();
                Some(stream)
            },
            |stream| {
                stream.conn.reset();
                None
            },
            |_dropped| None,
        ];
        for end in ends {
            for _ in 0..10 {
                let stream = server.session("leaver");
                assert_eq!(listed(&mut conn, "leaver").len(), 1);
                let _kept = end(stream);
                let start = Instant::now();
                eventually("the session is gone", || {
                    listed(&mut conn, "leaver").is_empty().then_some(())
                });
                assert!(start.elapsed() < Duration::from_secs(5), "not by the FIN or RST");
            }
        }
    });
}

#[test]
fn nobody_is_reported_twice_or_under_another_user_while_sessions_come_and_go() {
    on_every_body(|server| {
        let over = AtomicBool::new(false);
        let checked = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let churn: Vec<_> = (0..3)
                .map(|worker| {
                    scope.spawn(move || {
                        for round in 0..150 {
                            let user = format!("user-{}", (worker + round) % 4);
                            let meta = json!({"meta": {"owner": user}});
                            let connect = json!({"token": token(&user, meta), "name": user});
                            let stream = server.session_with(connect);
                            if round % 3 == 0 {
                                server.call("disconnect", json!({"client": stream.client()}));
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut conns: Vec<_> = (0..8).map(|_| server.connect()).collect();
                    while !over.load(Ordering::Relaxed) {
                        for (at, conn) in conns.iter_mut().enumerate() {
                            check_listing(conn, &format!("user-{}", at % 4));
                            checked.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            for worker in churn {
                worker.join().expect("churn");
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(checked.load(Ordering::Relaxed) > 100);
    });
}

fn check_listing(conn: &mut crate::harness::Conn, user: &str) {
    let body = json!({"method": "user_connections", "params": {"user": user}}).to_string();
    let response = conn.post("/api", &[("X-API-Key", crate::harness::KEY)], body.as_bytes());
    let text = response.text();
    let listing: Value = response.json();
    let connections = listing["result"]["connections"].as_object().expect("a listing");
    // A parser keeps one of two equal keys: count them in the text.
    assert_eq!(text.matches("\"uni_http_stream\"").count(), connections.len(), "{text}");
    for session in connections.values() {
        assert_eq!(session["app_name"], json!(user), "{text}");
        assert_eq!(session["meta"]["owner"], json!(user), "{text}");
    }
}

#[test]
fn after_a_storm_every_table_is_empty_and_the_memory_comes_back() {
    // Ended sessions are kept on purpose, up to a limit that these storms do not reach at once: what
    // fills up there is no leak.
    on_every_body_with(&json!({"closed_sessions": {"limit": 0}}), |server| {
        let storm = || {
            std::thread::scope(|scope| {
                for worker in 0..4 {
                    scope.spawn(move || {
                        let streams: Vec<_> = (0..250)
                            .map(|n| server.session(&format!("user-{worker}-{}", n % 50)))
                            .collect();
                        drop(streams);
                    });
                }
            });
            eventually("every table is empty", || {
                let info = server.call("info", json!({}));
                let node = &info["result"]["nodes"][0];
                (node["num_clients"] == 0 && node["num_users"] == 0).then_some(())
            });
        };
        storm();
        let after_first = eventually("memory settles", || settled(server));
        for _ in 0..4 {
            storm();
        }
        // Five times the sessions, the same memory: nothing of them is left. One MiB of slack
        // is 200 bytes for each session that came and went.
        let bound = after_first + 1024 * 1024;
        let start = Instant::now();
        while server.rss() > bound {
            assert!(start.elapsed() < PATIENCE, "{} is still above {bound}", server.rss());
            std::thread::sleep(Duration::from_millis(50));
        }
    });
}

fn settled(server: &Server) -> Option<u64> {
    let before = server.rss();
    std::thread::sleep(Duration::from_millis(300));
    (server.rss() == before).then_some(before)
}
