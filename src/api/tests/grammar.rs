//! Bodies that are refused, and what is true of every body.

use proptest::prelude::*;

use super::planned;
use crate::api::body::{Objects, Scratch};
use crate::api::plan::Layout;
use crate::api::{BODY_DEPTH_MAX, QueryLimits, Question, Step};

fn refused(path: &str, body: &[u8]) -> String {
    match planned(path, body) {
        Err(refusal) => refusal,
        Ok(plan) => panic!("{path} accepted {}: {plan:?}", String::from_utf8_lossy(body)),
    }
}

#[test]
fn a_body_that_breaks_the_grammar_is_refused_with_a_reason() {
    for (path, body, why) in [
        ("/api", "", "the body is empty"),
        ("/api", " \n", "the body is blank"),
        ("/api", "nonsense", "command 1: expected an object that starts with '{'"),
        ("/api", "[]", "command 1: expected an object, got an array"),
        ("/api", "null", "command 1: expected an object, got null"),
        ("/api", r#"{"method":"info""#, "command 1: the body ends in the middle of it"),
        ("/api", r#"{"method":"info"}{"#, "command 2: the body ends in the middle of it"),
        ("/api", r#"{"method":"info"},{"method":"info"}"#, "command 2: expected an object that"),
        ("/api", r#"{"method":"info"}{"method":}"#, "command 2: malformed JSON"),
        ("/api", r#"{"method":"info"}{"method":"nope"}"#, "command 2: key \"method\": there is no"),
        ("/api", r#"{"method":"9"}"#, "command 1: key \"method\": \"9\" is a number in quotes"),
        ("/api", r#"{"params":{}}"#, "command 1: key \"method\" is missing"),
        ("/api", r#"{"method":null}"#, "command 1: key \"method\" is missing"),
        ("/api", r#"{"method":-1}"#, "command 1: key \"method\": expected a name or a whole"),
        ("/api", r#"{"method":9.0}"#, "command 1: key \"method\": expected a name or a whole"),
        ("/api", r#"{"id":"1","method":9}"#, "command 1: key \"id\": expected a whole number"),
        ("/api", r#"{"id":-1,"method":9}"#, "command 1: key \"id\": expected a whole number"),
        ("/api", r#"{"id":4294967296,"method":9}"#, "command 1: key \"id\": expected a whole"),
        ("/api/info", "", "the body is empty"),
        ("/api/info", "{}{}", "malformed JSON"),
        ("/api/info", "[]", "the body: expected an object, got an array"),
        ("/api/info", "{\"a\":99999999999999999999}", "a number that is malformed or does not fit"),
        ("/api/publish", "{", "malformed JSON"),
        ("/api/connections", r#"{"user":42}"#, "key \"user\": expected a string, got a number"),
        (
            "/api/disconnect",
            r#"{"user":"42","disconnect":{"code":4000.5}}"#,
            "key \"disconnect.code\": expected a whole number from 0 to 4294967295, got a number \
             with a fraction",
        ),
        (
            "/api/disconnect",
            r#"{"user":"42","whitelist":[null]}"#,
            "an element of \"whitelist\": expected a string, got null",
        ),
        ("/api/refresh", r#"{"user":"42","expired":1}"#, "key \"expired\": expected true or false"),
        (
            "/api/refresh",
            r#"{"user":"42","expire_at":1.5}"#,
            "key \"expire_at\": expected a whole number of 64 bits, got a number with a fraction",
        ),
        (
            "/api/refresh",
            r#"{"user":"42","expire_at":9223372036854775808}"#,
            "key \"expire_at\": expected a whole number of 64 bits, got a number",
        ),
        ("/api/batch", "[]", "the body: expected an object, got an array"),
        ("/api/batch", r#"{"commands":[1]}"#, "command 1: expected an object, got a number"),
        ("/api/batch", r#"{"parallel":1}"#, "key \"parallel\": expected true or false"),
    ] {
        let refusal = refused(path, body.as_bytes());
        assert!(
            refusal.starts_with(&format!("400 Bad Request: {why}")),
            "{path} {body}: {refusal}"
        );
        assert!(refusal.ends_with('\n') && refusal.matches('\n').count() == 1, "{refusal}");
    }
}

#[test]
fn nesting_ends_at_its_limit_and_bad_text_is_named() {
    let nested = |levels: usize| {
        let inner = levels - 1;
        format!("{{\"user\":\"42\",\"x\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
    };
    assert!(planned("/api/connections", nested(BODY_DEPTH_MAX).as_bytes()).is_ok());
    let too_deep = refused("/api/connections", nested(BODY_DEPTH_MAX + 1).as_bytes());
    assert_eq!(too_deep, "400 Bad Request: nested more than 64 levels deep\n");
    let million = vec![b'['; 1 << 20];
    assert!(refused("/api/info", &million).starts_with("400"));
    assert!(refused("/api", &million).starts_with("400"));
    assert!(refused("/api", &vec![b'{'; 1 << 20]).starts_with("400"));
    assert!(refused("/api/batch", &vec![0xff; 1 << 20]).starts_with("400"));
    let bad = b"{\"user\":\"\xff\"}";
    assert_eq!(refused("/api/connections", bad), "400 Bad Request: not valid UTF-8\n");
}

#[test]
fn a_body_has_at_most_as_many_commands_as_it_may() {
    let commands_max = QueryLimits::default().commands_max;
    let legacy = |commands: usize| "{\"method\":\"info\"}".repeat(commands);
    let batch =
        |commands: usize| format!("{{\"commands\":[{}]}}", vec!["null"; commands].join(","));
    for (path, body) in [("/api", legacy(commands_max)), ("/api/batch", batch(commands_max))] {
        assert_eq!(planned(path, body.as_bytes()).unwrap().steps.len(), commands_max);
    }
    for refusal in [
        refused("/api", legacy(commands_max + 1).as_bytes()),
        refused("/api/batch", batch(commands_max + 1).as_bytes()),
    ] {
        let text = "400 Bad Request: more than 1000 commands (http_api.max_commands) in one b";
        assert!(refusal.starts_with(text), "{refusal}");
    }
}

/// The one question of a body.
fn question(path: &str, body: &str) -> Question {
    let mut plan = planned(path, body.as_bytes()).unwrap();
    assert_eq!(plan.steps.len(), 1);
    match plan.steps.pop() {
        Some(Step::Ask(question)) => question,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn keys_are_read_in_any_case_and_the_last_one_wins_unless_it_is_null() {
    let expected = question("/api/user_connections", r#"{"user":"42"}"#);
    for body in [
        r#"{"USER":"42"}"#,
        r#"{"user":"7","User":"42"}"#,
        r#"{"user":"42","user":null}"#,
        r#"{"other":{"user":"7"},"user":"\u0034\u0032"}"#,
    ] {
        assert_eq!(question("/api/user_connections", body), expected, "{body}");
    }
    let legacy = r#"{"method":"info","params":{"user":"7"},"METHOD":"user_connections","Params":{"user":"42"}}"#;
    assert_eq!(question("/api", legacy), expected);
}

#[test]
fn what_a_client_is_told_has_the_documented_defaults() {
    let told = |params: &str| {
        let Question::Disconnect(params) = question("/api/disconnect", params) else {
            panic!("a disconnect")
        };
        (params.code, params.reason.to_string())
    };
    for (disconnect, code, reason) in [
        ("null", 3503, "force disconnect"),
        ("{}", 3503, "force disconnect"),
        (r#"{"code":0}"#, 3503, "force disconnect"),
        (r#"{"reason":"bye"}"#, 3503, "bye"),
        (r#"{"code":4001,"reason":"bye","reconnect":true}"#, 4001, "bye"),
        (r#"{"code":3000}"#, 3000, "connection closed"),
        (r#"{"code":4999,"reason":""}"#, 4999, "disconnect"),
    ] {
        let params = format!(r#"{{"user":"42","disconnect":{disconnect}}}"#);
        assert_eq!(told(&params), (code, reason.to_owned()), "{disconnect}");
    }
}

/// Values of all kinds, with strings that look like structure.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        r#"[a-z{}\[\]",:\\ \n\u{1f600}]{0,12}"#.prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into), object(inner),]
    })
}

fn object(
    value: impl Strategy<Value = serde_json::Value>,
) -> impl Strategy<Value = serde_json::Value> {
    let key = r#"[a-z{}\[\]"\\ ]{0,6}"#;
    prop::collection::vec((key, value), 0..4)
        .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into())
}

fn command() -> impl Strategy<Value = serde_json::Value> {
    let method = prop_oneof![
        Just(serde_json::json!("user_connections")),
        Just(serde_json::json!("Disconnect")),
        Just(serde_json::json!("refresh")),
        Just(serde_json::json!(9)),
        Just(serde_json::json!("publish")),
        json(),
    ];
    let user = r#"[a-z{}"\\]{0,30}"#;
    (method, user, json(), any::<u32>()).prop_map(|(method, user, extra, id)| {
        serde_json::json!({"id": id, "method": method, "params": {"user": user, "extra": extra}})
    })
}

fn gap() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just(" "), Just("\n"), Just("\r\n\t")]
}

fn steps_and_ids(body: &str) -> Result<(Vec<Step>, Vec<u32>), String> {
    let plan = planned("/api", body.as_bytes())?;
    let Layout::Legacy { ids } = plan.layout else { panic!("of the legacy route") };
    Ok((plan.steps.into_iter().collect(), ids.to_vec()))
}

proptest! {
    #[test]
    fn a_body_is_cut_exactly_between_its_objects(
        objects in prop::collection::vec((object(json()), gap()), 1..6),
    ) {
        let texts: Vec<_> = objects.iter().map(|(object, _)| object.to_string()).collect();
        let body: String =
            objects.iter().map(|(object, gap)| format!("{gap}{object}{gap}")).collect();
        let cut: Result<Vec<_>, _> = Objects::of(body.as_bytes()).collect();
        let cut: Vec<_> = cut.unwrap().into_iter().map(|o| str::from_utf8(o).unwrap()).collect();
        prop_assert_eq!(cut, texts);
    }

    #[test]
    fn a_body_of_several_commands_means_what_each_means_alone(
        commands in prop::collection::vec((command(), gap()), 1..5),
    ) {
        let body: String =
            commands.iter().map(|(command, gap)| format!("{command}{gap}")).collect();
        let alone: Result<Vec<_>, _> =
            commands.iter().map(|(command, _)| steps_and_ids(&command.to_string())).collect();
        match (steps_and_ids(&body), alone) {
            (Ok((steps, ids)), Ok(alone)) => {
                let (alone_steps, alone_ids): (Vec<_>, Vec<_>) = alone.into_iter().unzip();
                prop_assert_eq!(steps, alone_steps.into_iter().flatten().collect::<Vec<_>>());
                prop_assert_eq!(ids, alone_ids.concat());
            }
            (Err(_), Err(_)) => {}
            (together, alone) => prop_assert!(false, "{together:?} but alone {alone:?}"),
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for path in ["", "/batch", "/disconnect", "/refresh", "/connections", "/info"] {
            drop(planned(&format!("/api{path}"), &bytes));
        }
    }

    #[test]
    fn any_damage_to_a_good_body_is_answered_and_what_is_accepted_is_json(
        command in command(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut body = command.to_string().into_bytes();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let short = &body[..cut.index(body.len() + 1)];
        for body in [body.as_slice(), short] {
            drop(planned("/api", body));
            let accepted = Scratch::default().parse(body, |_| ()).is_ok();
            let is_json = serde_json::from_slice::<serde_json::Value>(body).is_ok();
            prop_assert!(!accepted || is_json, "{}", String::from_utf8_lossy(body));
        }
    }
}
