//! How many sessions a user may have: `client.user_connection_limit`, by option and by token.

use serde_json::{Value, json};

use crate::harness::{Conn, Server, Stream, eventually, token};

const CLIENTS: usize = 60;
const SEATS: usize = 5;

fn limited(more: Value) -> Server {
    let mut client = json!({"user_connection_limit": SEATS});
    crate::harness::overlay(&mut client, &more);
    Server::start(&json!({"client": client}))
}

fn told(code: u32, reason: &str) -> Value {
    json!({"disconnect": {"code": code, "reason": reason}})
}

/// Sixty clients of one user connect in the same moment, each over a connection of its own.
/// Returns them, their first lines read.
fn connect_at_once(server: &Server) -> Vec<Stream> {
    let connect = &json!({"token": token("42", json!({}))});
    let start = &std::sync::Barrier::new(CLIENTS);
    let address = server.address;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(move || {
                    let conn = Conn::to(address);
                    start.wait();
                    let mut stream = Stream::open(conn, connect);
                    assert_eq!(stream.conn.head().status, 200);
                    stream.first = stream.push().expect("a first line");
                    stream
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    })
}

#[test]
fn of_sixty_connects_in_one_moment_exactly_as_many_get_in_as_may() {
    let server = limited(json!({}));
    for _ in 0..5 {
        let streams = connect_at_once(&server);
        let (inside, outside): (Vec<_>, Vec<_>) =
            streams.iter().partition(|stream| !stream.first["connect"].is_null());
        assert_eq!((inside.len(), server.listed("42").len()), (SEATS, SEATS));
        for stream in outside {
            assert_eq!(stream.first, told(3504, "connection limit"));
        }
        drop(streams);
        eventually("all have left", || server.listed("42").is_empty().then_some(()));
    }
}

#[test]
fn of_sixty_connects_in_one_moment_all_get_in_and_as_many_stay_as_may() {
    let server = limited(json!({"user_connection_limit_policy": "evict_oldest"}));
    for _ in 0..5 {
        let mut streams = connect_at_once(&server);
        let listed = server.listed("42");
        assert_eq!(listed.len(), SEATS);
        for stream in &mut streams {
            assert!(!stream.first["connect"].is_null(), "{}", stream.first);
            if !listed.contains(&stream.client()) {
                let last = stream.push_after_pings();
                assert_eq!(last, Some(told(3504, "replaced by a newer session")));
            }
        }
        drop(streams);
        eventually("all have left", || server.listed("42").is_empty().then_some(()));
    }
}

#[test]
fn a_token_says_how_many_sessions_its_user_may_have_when_tokens_are_asked() {
    let server = limited(json!({"user_connection_limit_by_token": true}));
    let connect = |limit: Value| {
        let claims = json!({"connection_limit": limit});
        let mut stream = Stream::open(server.connect(), &json!({"token": token("42", claims)}));
        assert_eq!(stream.conn.head().status, 200);
        stream.first = stream.push().expect("a first line");
        let is_in = !stream.first["connect"].is_null();
        (stream, is_in)
    };
    let (_first, is_in) = connect(json!(2));
    assert!(is_in);
    let (_second, is_in) = connect(json!(2));
    assert!(is_in);
    assert!(!connect(json!(2)).1);
    // Without a number the option counts; 0 is no limit.
    let more: Vec<_> = ["x", "", "7"].map(|text| connect(json!(text))).into();
    assert!(more.iter().all(|(_, is_in)| *is_in));
    assert!(!connect(json!("x")).1);
    assert!(!connect(json!(-1)).1);
    assert!(connect(json!(0)).1);

    let server = limited(json!({}));
    let claims = json!({"connection_limit": 1});
    let connect = json!({"token": token("42", claims)});
    let sessions: Vec<_> = (0..SEATS).map(|_| server.session_with(connect.clone())).collect();
    assert_eq!(server.listed("42").len(), sessions.len());
}

#[test]
fn the_anonymous_are_nobody_in_particular_and_not_limited() {
    let server = limited(json!({"allow_anonymous_connect_without_token": true}));
    let sessions: Vec<_> = (0..SEATS + 3).map(|_| server.session_with(json!({}))).collect();
    assert_eq!(server.listed("").len(), sessions.len());
}
