//! What is done to sets of sessions, and the receipts for it.

use super::{PLAIN, World};
use crate::session::Opening;

fn world() -> World {
    let terminal = Opening { app_name: "terminal", ..PLAIN };
    World::new().opens(0, &PLAIN).opens(1, &terminal).opens(0, &Opening { user: "", ..terminal })
}

fn check(cases: &[(&str, &str, &str, usize)]) {
    for (command, params, receipt, left) in cases {
        let mut world = world();
        let reply = world.call(&format!("/api/{command}"), params);
        assert_eq!(reply, format!(r#"200 {{"result":{receipt}}}"#), "{command} {params}");
        let info = world.call("/api/info", "{}");
        assert!(info.contains(&format!("\"num_clients\":{left},")), "{command} {params}: {info}");
    }
}

#[test]
fn everybody_is_meant_by_all_users_alone_and_conditions_narrow() {
    check(&[
        ("disconnect", r#"{"all_users":true}"#, r#"{"matched":3,"closed":3,"scanned":3}"#, 0),
        (
            "disconnect",
            r#"{"user":"","all_users":true,"app_name":"terminal"}"#,
            r#"{"matched":2,"closed":2}"#,
            1,
        ),
        // With a user, all_users has no meaning.
        (
            "disconnect",
            r#"{"user":"42","all_users":true,"app_name":"terminal"}"#,
            r#"{"matched":1,"closed":1}"#,
            2,
        ),
        ("disconnect", r#"{"user":""}"#, r#"{"matched":1,"closed":1}"#, 2),
        ("disconnect", r#"{"users":["42",""]}"#, r#"{"matched":3,"closed":3}"#, 0),
        (
            "disconnect",
            r#"{"all_users":true,"expression":"user != ''","whitelist":["<0>"]}"#,
            r#"{"matched":1,"closed":1,"scanned":3}"#,
            2,
        ),
        (
            "refresh",
            r#"{"all_users":true,"expired":true,"whitelist":["<0>"]}"#,
            r#"{"matched":2,"refreshed":2,"scanned":3}"#,
            1,
        ),
        (
            "refresh",
            r#"{"all_users":true,"app_name":"terminal"}"#,
            r#"{"matched":2,"refreshed":2}"#,
            3,
        ),
    ]);
}

#[test]
fn a_rehearsal_does_nothing_and_names_whom_it_would_have_meant() {
    check(&[
        ("disconnect", r#"{"user":"42","dry_run":true}"#, r#"{"matched":2,"closed":0}"#, 3),
        (
            "disconnect",
            r#"{"client":"<1>","dry_run":true,"return_clients":true}"#,
            r#"{"matched":1,"closed":0,"clients":["<1>"]}"#,
            3,
        ),
        (
            "disconnect",
            r#"{"user":"42","return_clients":true}"#,
            r#"{"matched":2,"closed":2,"clients":["<0>","<1>"]}"#,
            1,
        ),
        (
            "refresh",
            r#"{"user":"nobody","return_clients":true}"#,
            r#"{"matched":0,"refreshed":0,"clients":[]}"#,
            3,
        ),
    ]);
}

#[test]
fn a_fence_is_for_those_whom_a_connect_can_be_known_by_and_for_an_hour_at_most() {
    let range = "key \\\"fence\\\": expected from 1 to 3600 seconds, got";
    let whom = "key \\\"fence\\\": a connect can be known by its user, its labels or its token";
    let filter = r#""label_filter":{"key":"plan","cmp":"eq","val":"trial"}"#;
    for (params, why) in [
        (r#""user":"42","fence":-1"#, range),
        (r#""user":"42","fence":3601"#, range),
        (r#""user":"42","whitelist":["<1>"],"fence":5"#, whom),
        (r#""user":"42","transport":"sse","fence":5"#, whom),
        (r#""all_users":true,"fence":5"#, whom),
        (&format!(r#""user":"42",{filter},"fence":5"#), whom),
        (&format!(r#""all_users":true,"app_name":"a",{filter},"fence":5"#), whom),
    ] {
        let mut world = world();
        let reply = world.call("/api/disconnect", &format!("{{{params}}}"));
        let refused = format!(r#"200 {{"error":{{"code":107,"message":"bad request: {why}"#);
        assert!(reply.starts_with(&refused), "{params}: {reply}");
        assert!(world.call("/api/info", "{}").contains("\"num_clients\":3,"), "{params}");
    }
    for params in
        [r#""user":"42","fence":3600"#, &format!(r#""all_users":true,{filter},"fence":1"#)]
    {
        let reply = world().call("/api/disconnect", &format!("{{{params}}}"));
        assert!(reply.starts_with(r#"200 {"result":{"matched":"#), "{params}: {reply}");
    }
}
