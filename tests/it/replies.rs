//! Replies arrive whole and in their own time, however their client reads, waits or leaves.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Conn, KEY, Server, Stream, eventually, listed, request, token};

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

const EVERY_PARKING: [(&str, &str); 4] =
    [("io_uring", "poll_set"), ("epoll", "poll_set"), ("io_uring", "task"), ("epoll", "task")];

/// Sessions whose listing is about 12 MB: more than two sockets hold.
fn large_listing(server: &Server) -> Vec<Stream> {
    let claims = json!({"meta": "x".repeat(40_000)});
    let connect = json!({"token": token("large", claims)});
    (0..300).map(|_| server.session_with(connect.clone())).collect()
}

fn ask(server: &Server, headers: &[(&str, &str)]) -> Conn {
    let mut conn = server.connect();
    let headers = [headers, &[("X-API-Key", KEY)]].concat();
    conn.send(&request("POST", "/api/user_connections", &headers, br#"{"user":"large"}"#));
    conn
}

fn check_whole(conn: &mut Conn) {
    let reply = conn.response().json();
    assert_eq!(reply["result"]["connections"].as_object().expect("a listing").len(), 300);
}

#[test]
fn a_large_reply_arrives_whole_however_its_client_reads_it() {
    for (driver, parking) in EVERY_PARKING {
        eprintln!("on {driver}, parked by {parking}");
        let shards = json!({"driver": driver, "parking": parking, "count": 2});
        let mut server = Server::start(&json!({"shards": shards}));
        let streams = large_listing(&server);
        let mut half_closed = ask(&server, &[]);
        half_closed.finish();
        let mut closing = ask(&server, &[("Connection", "close")]);
        let mut closing_half_closed = ask(&server, &[("Connection", "close")]);
        closing_half_closed.finish();
        let mut kept = ask(&server, &[]);
        // Longer than a peer may take to close once it has everything.
        std::thread::sleep(Duration::from_secs(3));
        for conn in [&mut half_closed, &mut closing, &mut closing_half_closed] {
            check_whole(conn);
            assert!(conn.is_closed());
        }
        check_whole(&mut kept);
        assert!(listed(&mut kept, "nobody").is_empty());

        let mut last = ask(&server, &[]);
        assert!(!last.reader.fill_buf().expect("a reply").is_empty());
        server.signal("TERM");
        eventually("the goodbye begins", || {
            std::net::TcpStream::connect(server.address).is_err().then_some(())
        });
        check_whole(&mut last);
        assert!(last.is_closed());
        drop(streams);
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn half_a_request_does_not_hold_up_the_goodbye() {
    let mut server = Server::start(&json!({}));
    let path = "/connection/uni_http_stream";
    let mut half = server.connect();
    half.send(&request("POST", path, &[], b"{\"data\":1}")[..40]);
    let mut body = server.connect();
    body.send(request("POST", path, &[], &[b' '; 1000]).split_at(200).0);
    let start = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(15), "it waited for them");
}

#[test]
fn half_a_request_costs_its_own_bytes() {
    let server = Server::start(&json!({"shards": {"count": 1}}));
    let mut large = server.connect();
    let before = server.rss();
    let _halves: Vec<_> = (0..500)
        .map(|_| {
            // Makes the shard's read buffer as large as it gets.
            large.post("/nothing", &[], &[b'x'; 60_000]);
            let mut half = server.connect();
            half.reader.get_mut().write_all(b"P").expect("it is read");
            half
        })
        .collect();
    large.post("/nothing", &[], b"");
    let grown = server.rss().saturating_sub(before);
    assert!(grown < 10 * 1024 * 1024, "500 bytes took {grown}");
}

/// CPU time is what this test is about: a connection nobody reads must not keep a shard busy.
#[test]
fn a_client_that_asks_and_never_reads_costs_no_time() {
    for (driver, parking) in EVERY_PARKING {
        eprintln!("on {driver}, parked by {parking}");
        let shards = json!({"driver": driver, "parking": parking, "count": 1});
        let server = Server::start(&json!({"shards": shards}));
        let _streams = large_listing(&server);
        let mut deaf = ask(&server, &[]);
        deaf.reader.fill_buf().expect("a reply");
        deaf.send(&request("POST", "/api/info", &[("X-API-Key", KEY)], b"{}").repeat(10));
        let before = server.cpu_ticks();
        std::thread::sleep(Duration::from_secs(2));
        let ticks = server.cpu_ticks() - before;
        assert!(ticks < 50, "{ticks} of 200 ticks");
    }
}

#[test]
fn many_requests_for_a_large_listing_cost_a_few_listings() {
    for parking in ["poll_set", "task"] {
        let shards = json!({"parking": parking, "count": 1});
        let server = Server::start(&json!({"shards": shards}));
        let _streams = large_listing(&server);
        let one =
            request("POST", "/api/user_connections", &[("X-API-Key", KEY)], br#"{"user":"large"}"#);
        let mut conn = server.connect();
        conn.send(&one);
        check_whole(&mut conn);
        let before = server.rss();
        conn.send(&one.repeat(100));
        for _ in 0..100 {
            check_whole(&mut conn);
            let grown = server.rss().saturating_sub(before);
            assert!(grown < 100 * 1024 * 1024, "{grown} bytes for replies of 12 MB each");
        }
    }
}
