//! Whose end a backend moves, and to when.

use super::{PLAIN, World, planned};
use crate::api::{Expiry, Question, Step};

fn expiry(params: &str) -> Expiry {
    let mut plan = planned("/api/refresh", params.as_bytes()).unwrap();
    match plan.steps.pop() {
        Some(Step::Ask(Question::Refresh(params))) => params.expiry,
        other => panic!("{params}: {other:?}"),
    }
}

#[test]
fn expired_counts_before_expire_at_and_nothing_above_0_is_no_end() {
    for (given, expected) in [
        (r#""expired":true"#, Expiry::Reached),
        (r#""expired":true,"expire_at":9000000000"#, Expiry::Reached),
        (r#""expired":false,"expire_at":9000000000"#, Expiry::At(9_000_000_000)),
        (r#""EXPIRE_AT":1"#, Expiry::At(1)),
        (r#""expire_at":9223372036854775807,"info":{"a":[1]}"#, Expiry::At(i64::MAX)),
        (r#""expire_at":0"#, Expiry::Never),
        (r#""expire_at":-1,"info":"any JSON""#, Expiry::Never),
        (r#""expire_at":null,"expired":null,"info":null"#, Expiry::Never),
    ] {
        assert_eq!(expiry(&format!(r#"{{"user":"42",{given}}}"#)), expected, "{given}");
    }
}

#[test]
fn sessions_that_have_ended_are_those_that_all_selectors_name() {
    for (selectors, left) in [
        (r#""user":"42""#, 0),
        (r#""user":"42","client":"<0>""#, 1),
        (r#""client":"<1>""#, 1),
        (r#""session":"(1)","client":"","label_filter":null"#, 1),
        (r#""client":"<1>","session":"(0)""#, 2),
        (r#""user":"7","client":"<1>""#, 2),
        (r#""user":"""#, 2),
        (r#""client":"db8bc772-2654-4283-851a-f29b888ace74""#, 2),
    ] {
        for end in [r#""expired":true"#, r#""expire_at":1700000000"#] {
            let mut world = World::new().opens(0, &PLAIN).opens(1, &PLAIN);
            let refresh = format!(r#"{{"refresh":{{{selectors},{end}}}}}"#);
            let body = format!(r#"{{"commands":[{refresh},{{"info":{{}}}}]}}"#);
            let reply = world.call("/api/batch", &body);
            let ended = 2 - left;
            let receipt = format!(r#"{{"matched":{ended},"refreshed":{ended}}}"#);
            let start = format!(r#"200 {{"replies":[{{"refresh":{receipt}}},{{"info""#);
            assert!(reply.starts_with(&start), "{reply}");
            let clients = format!(r#""num_clients":{left},"#);
            assert!(reply.contains(&clients), "{selectors} {end}: {reply}");
        }
    }
}

#[test]
fn sessions_that_go_on_are_left_in_their_place() {
    let mut world = World::new().opens(0, &PLAIN).opens(1, &PLAIN);
    for (body, reply) in [
        (
            r#"{"id":3,"method":"refresh","params":{"user":"42"}}"#,
            r#"{"id":3,"result":{"matched":2,"refreshed":2}}"#,
        ),
        (
            r#"{"method":12,"params":{"user":"42","expire_at":1700000001}}"#,
            r#"{"result":{"matched":2,"refreshed":2}}"#,
        ),
    ] {
        assert_eq!(world.call("/api", body), format!("200 {reply}"), "{body}");
    }
    assert!(world.call("/api/info", "{}").contains("\"num_clients\":2,"));
}

#[test]
fn a_refresh_that_cannot_be_meant_is_refused() {
    for (params, error) in [
        ("{}", "107,\"message\":\"bad request: nobody is selected"),
        (r#"{"expired":true}"#, "107,\"message\":\"bad request: nobody is selected"),
        (r#"{"whitelist":[]}"#, "107,\"message\":\"bad request: nobody is selected"),
        (r#"{"client":"x"}"#, "107,\"message\":\"bad request: key \\\"client\\\": expected a UUID"),
        (r#"{"older_than":5}"#, "107,\"message\":\"bad request: nobody is selected, only cond"),
    ] {
        let reply = World::new().call("/api/refresh", params);
        assert!(reply.starts_with(&format!(r#"200 {{"error":{{"code":{error}"#)), "{reply}");
    }
}

#[test]
fn a_refresh_is_whole_or_an_error() {
    let mut world = World::new().opens(0, &PLAIN);
    world.silent = 0b10;
    assert_eq!(
        world.call("/api/refresh", r#"{"user":"42","expire_at":1800000000}"#),
        r#"200 {"error":{"code":100,"message":"internal server error: not every part of the server answered in time, sessions may still end when they would have, send it again"}}"#
    );
}
