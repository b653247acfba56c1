//! Replies arrive whole and in their own time, however their client reads, waits or leaves.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Server, listed, request};

/// Time is part of this test: a client that is never late is not told that it was.
#[test]
fn a_client_that_asks_other_shards_again_and_again_is_not_timed_out() {
    let server = Server::start(&json!({"client": {"stale_close_delay": "300ms"}}));
    let _streams: Vec<_> = (0..16).map(|_| server.session("42")).collect();
    let mut conn = server.connect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        assert_eq!(listed(&mut conn, "42").len(), 16);
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(listed(&mut conn, "42").len(), 16, "idle for longer than a request may take");
}

#[test]
fn a_head_request_is_answered_without_a_body_and_the_next_reply_is_its_own() {
    let server = Server::start(&json!({"health": {"enabled": true}}));
    for (path, status, length) in [("/health", 200, "2"), ("/nothing", 404, "19")] {
        let mut conn = server.connect();
        conn.send(&request("HEAD", path, &[], b""));
        let head = conn.head();
        assert_eq!((head.status, head.header("content-length")), (status, Some(length)), "{path}");
        assert_eq!(conn.request("GET", "/health", &[], b"").status, 200, "{path}");
    }
}
