//! The load without a runtime: connections are pairs of real sockets, time is a number.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};

use super::*;
use crate::population::Population;
use crate::transport::Transport;

const LISTING: &str = r#"{"result":{"connections":{}}}"#;

fn crowd(sessions: u32) -> Crowd {
    Crowd::Held(Population { sessions, per_user: 3, transport: Transport::Sse, seed: 1 })
}

fn order() -> QueryOrder {
    QueryOrder {
        address: (Ipv4Addr::LOCALHOST, 1).into(),
        question: Question::UserConnections,
        key: "k".into(),
        crowd: crowd(0),
        connections: 2,
        rate: 10,
        lead_s: 1,
        duration_s: 2,
        seed: 1,
    }
}

/// A load that began at 0 of the monotonic clock, so that everything is due, and the far ends.
fn load(conns: usize) -> (Load, Vec<TcpStream>) {
    load_of(&order(), conns)
}

fn load_of(order: &QueryOrder, conns: usize) -> (Load, Vec<TcpStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut near = Vec::new();
    let mut far = Vec::new();
    for _ in 0..conns {
        let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.push(Conn { writer: Some(writer), asked: None });
        far.push(listener.accept().unwrap().0);
    }
    let truth = Steady { crowd: order.crowd, question: order.question };
    (Load::new(order, Box::new(truth), near, 0), far)
}

fn listing() -> Answer<'static> {
    Answer { body: Ok(LISTING.as_bytes().into()), len: LISTING.len() }
}

/// When query `n` is due.
fn due(n: u64) -> u64 {
    n * 100_000_000
}

#[test]
fn latency_counts_from_the_instant_a_query_was_due_not_from_its_sending() {
    let (mut load, _far) = load(1);
    load.end = 30;
    load.next = 10;
    load.send(0, due(10));
    // Answered two intervals late: the next query goes out at once, its clock already running.
    load.answered(0, listing(), due(12));
    assert_eq!(load.measured.delayed, 1);
    load.answered(0, listing(), due(12));
    let measured = load.take_measured(due(30));
    let slowest: Vec<u64> = measured.latency.iter().rev().map(|(ns, _)| *ns).collect();
    assert_eq!(measured.answered, 2);
    assert!(slowest.iter().any(|ns| ns.abs_diff(due(2)) < due(2) / 500), "{slowest:?}");
}

#[test]
fn what_was_never_sent_or_answered_counts_with_the_time_it_waited() {
    let (mut load, _far) = load(1);
    load.end = 30;
    load.next = 10;
    load.send(0, due(10));
    let measured = load.take_measured(due(30));
    assert_eq!((measured.due, measured.answered), (20, 0));
    assert_eq!((measured.unanswered, measured.unsent), (1, 19));
    assert_eq!(measured.errors, [(NO_ANSWER.to_owned(), 1)].into(), "only the server's fault");
    assert_eq!(measured.latency.iter().map(|(_, count)| count).sum::<u64>(), 20);
}

#[test]
fn the_lead_is_not_measured() {
    let (mut load, _far) = load(2);
    load.end = 10;
    load.send_due();
    assert_eq!((load.next, load.free.len()), (2, 0));
    for index in [0, 1] {
        load.answered(index, listing(), due(5));
    }
    let measured = load.take_measured(due(30));
    assert_eq!((measured.answered, measured.tardiness.len()), (0, 0));
    let seconds = measured.per_second.line("", 0.0, 2).points;
    assert_eq!(seconds, [(0.5, 2.0), (1.5, 0.0)], "drawn, the lead is there too");
}

#[test]
fn a_request_names_a_user_of_the_population() {
    let order = QueryOrder { crowd: crowd(3), ..order() };
    let (mut load, mut far) = load_of(&order, 1);
    load.end = 1;
    load.send_due();
    let mut bytes = vec![0; load.request.len()];
    far[0].read_exact(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with(r#""params":{"user":"u000000000"}}"#), "{text}");
    load.answered(0, listing(), due(1));
    assert_eq!(load.errors(), ["too few sessions listed"]);
}

#[test]
fn a_broken_connection_is_never_used_again() {
    let (mut load, _far) = load(2);
    load.broke(0, "reset".to_owned());
    load.broke(0, "reset".to_owned());
    load.end = 30;
    load.send_due();
    assert_eq!((load.next, load.measured.errors["reset"]), (1, 1));
    assert!(load.conns[0].asked.is_none() && load.conns[1].asked.is_some());
}

#[test]
fn a_load_that_is_stopped_owes_only_what_was_due_by_then() {
    let (load, _far) = load(1);
    let load = Rc::new(RefCell::new(load));
    load.borrow_mut().end = 30;
    load.borrow_mut().schedule = Schedule::new(now_ns() - due(12), 10);
    Stop(Rc::clone(&load)).now();
    let mut load = load.borrow_mut();
    // Queries 0 to 12 were due, of which the first ten belong to the lead.
    assert_eq!((load.end, load.last_end), (13, 13));
    load.send_due();
    let measured = load.take_measured(now_ns());
    assert_eq!((measured.due, measured.unanswered, measured.unsent), (3, 0, 3));
}
