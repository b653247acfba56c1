//! What callers get, as text.

use std::net::IpAddr;

use super::{PLAIN, World};
use crate::session::Opening;

/// The founding page's two sessions, on different shards.
fn page() -> World {
    let terminal = Opening { app_name: "terminal", ..PLAIN };
    World::new().opens(0, &terminal).opens(1, &terminal)
}

/// A session with everything, and its user.
fn rich() -> World {
    let labels = [("ü\"<", "a>&\n"), ("", ""), ("plan", "pro")];
    let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    World::new().opens(
        0,
        &Opening {
            user: "ünï<&>",
            app_name: "a \"quoted\" app",
            app_version: "1.2.3",
            token_uid: "jti-1",
            token_issued_at: Some(1_690_000_000),
            remote_addr: Some(IpAddr::from([192, 0, 2, 7])),
            user_agent: "curl/8 \"x\"",
            meta: Some(br#"{"device":"phone"}"#),
            labels: &labels.collect(),
            ..PLAIN
        },
    )
}

fn check(mut world: World, cases: &[(&str, &str, &str)]) {
    for (path, body, expected) in cases {
        assert_eq!(world.call(path, body), *expected, "{path} {body}");
    }
}

const INFO: &str = r#"{"uid":"uid","name":"host_8000","version":"0.1.0","num_clients":2,"num_users":2,"num_channels":0,"uptime":9,"num_subs":0}"#;

#[test]
fn the_founding_page_is_answered_as_it_shows() {
    check(
        page(),
        &[(
            "/api",
            r#"{"method": "user_connections", "params": {"user": "42"}}"#,
            concat!(
                r#"200 {"result":{"connections":{"#,
                r#""<0>":{"app_name":"terminal","transport":"uni_http_stream","protocol":"json"},"#,
                r#""<1>":{"app_name":"terminal","transport":"uni_http_stream","protocol":"json"}"#,
                r#"}}}"#
            ),
        )],
    );
}

#[test]
fn every_field_of_a_session_has_its_place_in_both_forms() {
    check(
        rich(),
        &[
            (
                "/api/user_connections",
                r#"{"user":"ünï<&>"}"#,
                concat!(
                    r#"200 {"result":{"connections":{"<0>":{"app_name":"a \"quoted\" app","#,
                    r#""app_version":"1.2.3","transport":"uni_http_stream","protocol":"json","#,
                    r#""token_uid":"jti-1","token_issued_at":1690000000,"#,
                    r#""meta":{"device":"phone"}}}}}"#
                ),
            ),
            (
                "/api/connections",
                r#"{"user":"ünï<&>","expression":""}"#,
                concat!(
                    r#"200 {"result":{"connections":{"<0>":{"app_name":"a \"quoted\" app","#,
                    r#""app_version":"1.2.3","transport":"uni_http_stream","protocol":"json","#,
                    r#""user":"ünï\u003c\u0026\u003e","state":{"#,
                    r#""connection_token":{"uid":"jti-1","issued_at":1690000000},"#,
                    r#""meta":{"device":"phone"}},"#,
                    r#""connected_at_ms":1700000000123,"ping_pong_latency_ms":-1,"#,
                    r#""labels":{"":"","plan":"pro","ü\"\u003c":"a\u003e\u0026\n"},"#,
                    r#""remote_addr":"192.0.2.7","user_agent":"curl/8 \"x\""}}}}"#
                ),
            ),
        ],
    );
}

#[test]
fn a_state_without_content_is_left_out() {
    let bare = r#""transport":"uni_http_stream","protocol":"json""#;
    let tail = r#""connected_at_ms":1700000000123,"ping_pong_latency_ms":-1"#;
    let only_meta = Opening { meta: Some(b"null"), ..PLAIN };
    let only_time = Opening { user: "7", token_issued_at: Some(5), ..PLAIN };
    let world = World::new().opens(0, &only_meta).opens(1, &PLAIN).opens(0, &only_time);
    let first = format!(r#""<0>":{{{bare},"user":"42","state":{{"meta":null}},{tail}}}"#);
    let second = format!(r#""<1>":{{{bare},"user":"42",{tail}}}"#);
    let state = r#""state":{"connection_token":{"issued_at":5}}"#;
    let seventh = format!(r#""<2>":{{{bare},"user":"7",{state},{tail}}}"#);
    check(
        world,
        &[
            (
                "/api/connections",
                r#"{"user":"42"}"#,
                &format!(r#"200 {{"result":{{"connections":{{{first},{second}}}}}}}"#),
            ),
            (
                "/api/connections",
                r#"{"user":"7"}"#,
                &format!(r#"200 {{"result":{{"connections":{{{seventh}}}}}}}"#),
            ),
        ],
    );
}

#[test]
fn nobody_is_an_empty_map_and_an_empty_user_is_the_anonymous_one() {
    let anonymous = Opening { user: "", ..PLAIN };
    check(
        World::new().opens(1, &anonymous),
        &[
            ("/api/user_connections", r#"{"user":"42"}"#, r#"200 {"result":{"connections":{}}}"#),
            (
                "/api/user_connections",
                r#"{"user":""}"#,
                r#"200 {"result":{"connections":{"<0>":{"transport":"uni_http_stream","protocol":"json"}}}}"#,
            ),
            (
                "/api/connections",
                r#"{"user":"","expression":""}"#,
                r#"200 {"error":{"code":107,"message":"bad request: nothing is asked for, expected \"user\", \"users\", \"expression\", \"label_filter\", another condition, \"limit\", \"count_only\" or \"group_by\""}}"#,
            ),
        ],
    );
}

#[test]
fn legacy_commands_are_answered_line_by_line_with_their_ids() {
    check(
        page(),
        &[
            (
                "/api",
                r#"{"id":7,"method":"info"}"#,
                &format!(r#"200 {{"id":7,"result":{{"nodes":[{INFO}]}}}}"#),
            ),
            (
                "/api",
                concat!(
                    r#"{"id":1,"method":9,"params":"ignored"}{"method":"INFO"}"#,
                    "\n\r\t ",
                    r#"{"ID":3,"Method":"disconnect","PARAMS":{"USER":"nobody {\"}"}}"#,
                    "\n",
                    r#"{"id":4,"method":14,"params":{"user":"nobody"}}{"id":5,"method":99}"#
                ),
                &format!(
                    concat!(
                        r#"200 {{"id":1,"result":{{"nodes":[{INFO}]}}}}"#,
                        "\n",
                        r#"{{"result":{{"nodes":[{INFO}]}}}}"#,
                        "\n",
                        r#"{{"id":3,"result":{{"matched":0,"closed":0}}}}"#,
                        "\n",
                        r#"{{"id":4,"result":{{"connections":{{}}}}}}"#,
                        "\n",
                        r#"{{"id":5,"error":{{"code":104,"message":"not found: there is no command of number 99"}}}}"#
                    ),
                    INFO = INFO
                ),
            ),
            (
                "/api",
                r#"{"method":"user_connections"}{"method":"user_connections","params":null}{"method":"user_connections","params":[1]}{"method":"user_connections","params":{"user":42}}"#,
                concat!(
                    r#"200 {"error":{"code":107,"message":"bad request: key \"params\" is missing, expected an object with the command's parameters"}}"#,
                    "\n",
                    r#"{"error":{"code":107,"message":"bad request: key \"user\" is missing, expected a user id (\"\" is anonymous)"}}"#,
                    "\n",
                    r#"{"error":{"code":107,"message":"bad request: key \"params\": expected an object, got an array"}}"#,
                    "\n",
                    r#"{"error":{"code":107,"message":"bad request: key \"user\": expected a string, got a number"}}"#
                ),
            ),
        ],
    );
}

#[test]
fn without_channels_none_is_listed_and_nobody_is_subscribed() {
    let unknown = r#"{"code":102,"message":"unknown channel: this server has no channels"}"#;
    let missing = r#"{"code":107,"message":"bad request: key \"channel\" is missing or empty, expected the name of a channel"}"#;
    let error = |error: &str| format!(r#"200 {{"error":{error}}}"#);
    check(
        World::new(),
        &[
            ("/api/channels", "{}", r#"200 {"result":{"channels":{}}}"#),
            ("/api/channels", r#"{"pattern":"news:*"}"#, r#"200 {"result":{"channels":{}}}"#),
            ("/api/unsubscribe", r#"{"user":"42","channel":"a"}"#, r#"200 {"result":{}}"#),
            ("/api/unsubscribe", r#"{"user":"42"}"#, r#"200 {"result":{}}"#),
            ("/api/subscribe", r#"{"user":"42","channel":"a"}"#, &error(unknown)),
            ("/api/subscribe", r#"{"user":"42"}"#, &error(missing)),
            ("/api", r#"{"method":8,"params":{}}"#, r#"200 {"result":{"channels":{}}}"#),
            (
                "/api/batch",
                r#"{"commands":[{"channels":{}},{"unsubscribe":{}},{"subscribe":{"channel":"a"}}]}"#,
                &format!(
                    r#"200 {{"replies":[{{"channels":{{"channels":{{}}}}}},{{"unsubscribe":{{}}}},{{"error":{unknown}}}]}}"#
                ),
            ),
        ],
    );
}

#[test]
fn known_commands_that_are_not_there_say_so() {
    let channels = r#"{"code":108,"message":"not available: \"publish\" needs channels, and this server has none yet"}"#;
    let absent = r#"{"code":104,"message":"not found: this server has no \"device_list\" yet"}"#;
    check(
        World::new(),
        &[
            (
                "/api",
                r#"{"method":"publish","params":{"channel":"a","data":1}}"#,
                &format!(r#"200 {{"error":{channels}}}"#),
            ),
            ("/api", r#"{"method":0}"#, &format!(r#"200 {{"error":{channels}}}"#)),
            ("/api/publish", "{}", &format!(r#"200 {{"error":{channels}}}"#)),
            ("/api/device_list", r#"{"user":"42"}"#, &format!(r#"200 {{"error":{absent}}}"#)),
            (
                "/api/batch",
                r#"{"commands":[{"publish":{}},{"device_list":{}}]}"#,
                &format!(r#"200 {{"replies":[{{"error":{channels}}},{{"error":{absent}}}]}}"#),
            ),
        ],
    );
}

#[test]
fn a_batch_is_answered_in_order_and_keyed_by_the_command() {
    check(
        page(),
        &[
            ("/api/batch", "{}", r#"200 {"replies":[]}"#),
            (
                "/api/batch",
                r#"{"parallel":true,"commands":[{"info":{}},null,{"nonsense":{}},{"user_connections":{"user":"x"},"disconnect":{"user":"x"}},{"disconnect":null,"connections":{"user":"x"}},{"connections":{}}]}"#,
                &format!(
                    concat!(
                        r#"200 {{"replies":[{{"info":{{"nodes":[{INFO}]}}}},"#,
                        r#"{{"error":{{"code":107,"message":"bad request: a command is null, expected an object keyed by the command's name"}}}},"#,
                        r#"{{"error":{{"code":104,"message":"not found: no key of this command is the name of a command"}}}},"#,
                        r#"{{"disconnect":{{"matched":0,"closed":0}}}},{{"connections":{{"connections":{{}}}}}},"#,
                        r#"{{"error":{{"code":107,"message":"bad request: nothing is asked for, expected \"user\", \"users\", \"expression\", \"label_filter\", another condition, \"limit\", \"count_only\" or \"group_by\""}}}}]}}"#
                    ),
                    INFO = INFO
                ),
            ),
            (
                "/api/batch",
                r#"{"commands":[{"info":{}},{"connections":{"user":1}}]}"#,
                "400 Bad Request: command 2: key \"user\": expected a string, got a number\n",
            ),
            (
                "/api/batch",
                r#"{"commands":{}}"#,
                "400 Bad Request: key \"commands\": expected an array, got an object\n",
            ),
        ],
    );
}

#[test]
fn a_disconnect_ends_what_all_selectors_name_and_a_later_command_sees_it() {
    let flat = r#"{"transport":"uni_http_stream","protocol":"json"}"#;
    let cases = [
        (r#"{"user":"42"}"#, ""),
        (r#"{"user":"42","whitelist":["<1>"]}"#, "<1>"),
        (r#"{"user":"42","client":"<0>"}"#, "<1>"),
        (r#"{"client":"<1>"}"#, "<0>"),
        (r#"{"session":"(1)"}"#, "<0>"),
        (r#"{"user":"42","client":"<1>","session":"(1)"}"#, "<0>"),
        (r#"{"client":"<1>","session":"(0)"}"#, "<0><1>"),
        (r#"{"user":"7","client":"<1>"}"#, "<0><1>"),
        (r#"{"user":"","client":"<1>","all_users":false,"label_filter":null}"#, "<0><1>"),
        (r#"{"client":"<1>","whitelist":["<1>"]}"#, "<0><1>"),
        (r#"{"client":"db8bc772-2654-4283-851a-f29b888ace74"}"#, "<0><1>"),
    ];
    for (params, left) in cases {
        let mut world = World::new().opens(0, &PLAIN).opens(1, &PLAIN);
        let list = r#"{"id":2,"method":"user_connections","params":{"user":"42"}}"#;
        let body = format!(r#"{{"id":1,"method":"disconnect","params":{params}}}{list}"#);
        let closed = 2 - left.matches('<').count();
        let ended = format!(r#"{{"id":1,"result":{{"matched":{closed},"closed":{closed}}}}}"#);
        let left: Vec<_> = (0..2)
            .filter(|at| left.contains(&format!("<{at}>")))
            .map(|at| format!(r#""<{at}>":{flat}"#))
            .collect();
        let left = left.join(",");
        let expected =
            format!("200 {ended}\n{{\"id\":2,\"result\":{{\"connections\":{{{left}}}}}}}");
        assert_eq!(world.call("/api", &body), expected, "{params}");
    }
}

#[test]
fn a_disconnect_that_cannot_be_meant_is_refused_and_ends_nobody() {
    let long = "x".repeat(124);
    let cases = [
        ("{}", "107 bad request: nobody is selected"),
        (r#"{"whitelist":["<0>"]}"#, "107 bad request: nobody is selected"),
        (r#"{"client":"","session":""}"#, "107 bad request: nobody is selected"),
        (r#"{"user":"42","client":"x"}"#, "107 bad request: key \\\"client\\\": expected a UUID"),
        (r#"{"session":"x"}"#, "107 bad request: key \\\"session\\\": expected a UUID"),
        (
            r#"{"user":"42","whitelist":["x"]}"#,
            "107 bad request: an element of \\\"whitelist\\\": expected a UUID",
        ),
        (r#"{"transport":"sse"}"#, "107 bad request: nobody is selected, only conditions"),
        (r#"{"expression":"true"}"#, "107 bad request: nobody is selected, only conditions"),
        (r#"{"user":"42","transport":"tcp"}"#, "107 bad request: key \\\"transport\\\": expected"),
        (r#"{"user":"42","older_than":-1}"#, "107 bad request: key \\\"older_than\\\": expected"),
        (r#"{"user":"42","expression":"usr"}"#, "107 bad request: key \\\"expression\\\": 1:1:"),
        (
            r#"{"user":"42","disconnect":{"code":2999}}"#,
            "107 bad request: key \\\"disconnect.code\\\": expected a code from 3000 to 4999, got",
        ),
        (
            r#"{"user":"42","disconnect":{"code":5000}}"#,
            "107 bad request: key \\\"disconnect.code\\\": expected a code from 3000 to 4999, got",
        ),
        (
            r#"{"user":"42","disconnect":{"reason":"true"}}"#,
            "107 bad request: key \\\"disconnect.reason\\\": expected a text that is not JSON",
        ),
        (
            &format!(r#"{{"user":"42","disconnect":{{"reason":"{long}"}}}}"#),
            "107 bad request: key \\\"disconnect.reason\\\": expected at most 123 bytes, got 124",
        ),
    ];
    for (params, expected) in cases {
        let mut world = World::new().opens(0, &PLAIN).opens(1, &PLAIN);
        let (code, text) = expected.split_once(' ').unwrap();
        let reply = world.call("/api/disconnect", params);
        let expected = format!(r#"200 {{"error":{{"code":{code},"message":"{text}"#);
        assert!(reply.starts_with(&expected), "{params}: {reply}");
        let info = world.call("/api/info", "{}");
        assert!(info.contains("\"num_clients\":2"), "{params}: {info}");
    }
}

#[test]
fn a_shard_that_is_silent_makes_listings_partial_and_a_disconnect_fail() {
    let mut world = page();
    world.silent = 0b10;
    let one = r#"{"<0>":{"app_name":"terminal","transport":"uni_http_stream","protocol":"json"}}"#;
    check(
        world,
        &[
            (
                "/api/user_connections",
                r#"{"user":"42"}"#,
                &format!(r#"200 {{"result":{{"connections":{one},"partial":true}}}}"#),
            ),
            (
                "/api/info",
                "{}",
                &format!(
                    r#"200 {{"result":{{"nodes":[{}],"partial":true}}}}"#,
                    INFO.replace("\"num_clients\":2", "\"num_clients\":1")
                ),
            ),
            (
                "/api/disconnect",
                r#"{"user":"42"}"#,
                r#"200 {"error":{"code":100,"message":"internal server error: not every part of the server answered in time, sessions that should end may still be there, send it again"}}"#,
            ),
        ],
    );
}

#[test]
fn transport_error_mode_is_for_single_commands_only() {
    let mut world = World::new();
    world.header = "X-Centrifugo-Error-Mode: transport";
    let text = r#"nothing is asked for, expected \"user\", \"users\", \"expression\", \"label_filter\", another condition, \"limit\", \"count_only\" or \"group_by\""#;
    let bare = format!(r#"{{"code":107,"message":"bad request: {text}"}}"#);
    check(
        world,
        &[
            ("/api/connections", "{}", &format!("400 {bare}")),
            (
                "/api/device_list",
                "{}",
                r#"404 {"code":104,"message":"not found: this server has no \"device_list\" yet"}"#,
            ),
            ("/api/disconnect", r#"{"user":"x"}"#, r#"200 {"result":{"matched":0,"closed":0}}"#),
            (
                "/api/batch",
                r#"{"commands":[{"connections":{}}]}"#,
                &format!(r#"200 {{"replies":[{{"error":{bare}}}]}}"#),
            ),
            (
                "/api",
                r#"{"method":"connections","params":{}}"#,
                &format!(r#"200 {{"error":{bare}}}"#),
            ),
        ],
    );
}
