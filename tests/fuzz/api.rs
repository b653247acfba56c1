//! Bodies of the server API: read the same by buffers that have read others before, JSON whenever
//! they are taken, as a plain reader reads them, and answered with JSON.

use rollcall::api::{
    Merged, NodeFacts, Options, Outcome, Plan, QueryLimits, Question, Refusal, Route, RuleFacts,
    Scratch, Step, Subject, plan, route, write_reply,
};
use rollcall::ids::UserHash;
use rollcall::limits::LabelLimits;
use rollcall::session::{FilterLimits, UserHasher};
use rollcall::wire::http1::parse_head;

use crate::input::{Input, compose};
use crate::json::{self, Failure, Json, Value};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "{\"method\":\"user_connections\",\"params\":{\"user\":\"42\"}}",
    "{\"id\":7,\"method\":14,\"params\":{\"user\":\"\"}}",
    "{\"method\":\"info\",\"params\":{}}",
    "{\"method\":3,\"params\":",
    "{\"method\":\"publish\",\"params\":{}}",
    "{\"commands\":[",
    "{\"connections\":{\"user\":\"u\"}}",
    "{\"disconnect\":{\"user\":\"u\",\"disconnect\":{\"code\":3500,\"reason\":\"r\"}}}",
    "\"parallel\":true",
    "]}",
    "\"user\":\"u\"",
    "\"USER\":",
    "\"client\":\"22222222-2222-4222-8222-222222222222\"",
    "\"session\":\"\"",
    "\"whitelist\":[\"22222222-2222-4222-8222-222222222222\"]",
    "\"disconnect\":{\"code\":4999}",
    "\"label_filter\":null",
    "\"all_users\":true",
    "\"expression\":\"\"",
    "\"id\":4294967295",
    "null",
    "18446744073709551616",
    "-1",
    "1.5",
    "\\u0041",
    "\\ud83d",
    "\n",
    " ",
    "é",
    "\0",
];

const PATHS: &[&str] = &[
    "/api",
    "/api/batch",
    "/api/user_connections",
    "/api/connections",
    "/api/disconnect",
    "/api/info",
    "/api/publish",
    "/api/block_user",
];

const HASHER: UserHasher = UserHasher::new([1, 2, 3, 4]);

/// A body on one of the paths.
pub(crate) fn body(input: &mut Input<'_>) {
    let path = input.pick(PATHS);
    let mode = input.below(3);
    let body = match mode {
        0 => input.rest().to_vec(),
        1 => compose(input, WORDS),
        _ => concatenated(input),
    };
    let mut used = Scratch::default();
    drop(read(&mut used, "/api", b"{\"method\":\"info\",\"params\":{\"a\":[\"\\u00e9\",{}]}}"));
    let planned = read(&mut used, path, &body);
    let again = read(&mut Scratch::default(), path, &body);
    assert_eq!(format!("{planned:?}"), format!("{again:?}"), "nothing is left from before");
    match planned {
        Ok(plan) => check_plan(path, &body, &plan),
        Err(refusal) => {
            assert_eq!(refusal.status.0, 400);
            assert!(refusal.body.starts_with("Bad Request: ") && refusal.body.len() < 400);
            if path == "/api/user_connections" && named_user(&body).is_ok_and(|user| user.is_some())
            {
                panic!("{}", refusal.body);
            }
        }
    }
}

fn read(scratch: &mut Scratch, path: &str, body: &[u8]) -> Result<Plan, Refusal> {
    let options = Options {
        prefix: "/api".into(),
        key: "secret".into(),
        insecure: false,
        error_mode_transport: false,
        body_bytes_max: 1 << 20,
        user_status: rollcall::api::Statuses::Kept,
        label_filter: FilterLimits::default(),
        queries: Default::default(),
        labels: LabelLimits::default(),
    };
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = parse_head(head.as_bytes()).expect("a good head");
    let route = route(&options, path).expect("a path of the API");
    assert_eq!(path == "/api/batch", route == Route::Batch);
    plan(&options, &route, &head, body, scratch, &HASHER)
}

fn check_plan(path: &str, body: &[u8], plan: &Plan) {
    assert!(plan.steps.len() <= QueryLimits::default().commands_max);
    let is_single = !matches!(path, "/api" | "/api/batch");
    assert!(!is_single || plan.steps.len() == 1);
    for step in &plan.steps {
        if let Step::Ask(question) = step {
            check_question(question);
        }
    }
    let text = str::from_utf8(body).expect("a plan is made of text");
    match values(text) {
        Ok(values) => {
            assert!(!values.is_empty() && (path == "/api" || values.len() == 1));
            assert!(path != "/api" || values.len() == plan.steps.len());
            assert!(values.iter().all(|value| value.depth() <= 64), "no deeper than the limit");
        }
        Err(Failure::Malformed) => panic!("no JSON, and a plan of {} steps", plan.steps.len()),
        Err(Failure::TooDeep) => panic!("deeper than the limit"),
    }
    if path == "/api/user_connections"
        && let Ok(Some(user)) = named_user(body)
    {
        let hash = HASHER.hash(&user);
        let expected = Question::UserConnections { user: user.as_str().into(), hash };
        assert_eq!(plan.steps[..], [Step::Ask(expected)]);
    }
    check_reply(path, plan);
}

/// All values of a text, one after the other.
fn values(mut text: &str) -> Result<Vec<Json<'_>>, Failure> {
    let mut values = Vec::new();
    while !text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        let (value, rest) = json::first(text)?;
        values.push(value);
        text = rest;
    }
    Ok(values)
}

/// The user of a `user_connections` body that is good. `Ok(None)`: not sure, or not good.
fn named_user(body: &[u8]) -> Result<Option<String>, ()> {
    let json = json::only(str::from_utf8(body).map_err(drop)?).map_err(drop)?;
    if json.depth() > 64 || holds_odd(&json) {
        return Ok(None);
    }
    let Value::Object(members) = &json.value else { return Err(()) };
    let mut user = None;
    for (key, value) in members {
        if key.as_ref().is_some_and(|key| key.eq_ignore_ascii_case("user")) && !value.is_null() {
            let Value::Text(Some(text)) = &value.value else { return Err(()) };
            user = Some(text.clone());
        }
    }
    Ok(user)
}

/// Half a surrogate pair, or a number beyond 64 bits: refused here, no matter where it stands.
fn holds_odd(json: &Json<'_>) -> bool {
    match &json.value {
        Value::Null | Value::Bool => false,
        Value::Number => {
            let is_whole = json.raw.parse::<i64>().is_ok() || json.raw.parse::<u64>().is_ok();
            !is_whole
        }
        Value::Text(text) => text.is_none(),
        Value::Array(elements) => elements.iter().any(holds_odd),
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.is_none() || holds_odd(value))
        }
    }
}

fn check_question(question: &Question) {
    match (question, question.subject()) {
        (
            Question::UserConnections { user, hash } | Question::Connections { user, hash },
            Subject::User(subject),
        ) => {
            let expected: UserHash = HASHER.hash(user);
            assert!(*hash == expected && subject == expected);
        }
        (Question::Disconnect(params), _) => {
            assert!((3000..=4999).contains(&params.code) && params.reason.len() <= 123);
        }
        (Question::Refresh(_) | Question::Search(_), _) => {}
        (Question::Info, subject) => assert_eq!(subject, Subject::Every),
        (Question::NoChannels(_), subject) => assert_eq!(subject, Subject::Nobody),
        (question, subject) => panic!("{question:?} about {subject:?}"),
    }
}

/// Answered by nobody, a plan is a reply all the same: JSON, one line or one member per command.
fn check_reply(path: &str, plan: &Plan) {
    let outcome = |step: &Step| match step {
        Step::Ask(_) => Outcome::Answered(Merged::default()),
        Step::Done(error) => Outcome::Failed(error.clone()),
    };
    let outcomes: Vec<_> = plan.steps.iter().map(outcome).collect();
    let facts = NodeFacts {
        uid: "uid",
        name: "n",
        version: "0",
        uptime_s: 9,
        users: 2,
        rules: RuleFacts::default(),
        webhook: None,
        dangers: &[],
    };
    let mut out = Vec::new();
    let head = write_reply(plan, &outcomes, &facts, &mut out);
    assert_eq!((head.status.0, head.content_type), (200, "application/json"));
    let text = String::from_utf8(out).expect("a reply is text");
    let lines: Vec<&str> = text.split('\n').collect();
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(line).expect("a reply is JSON");
        if path == "/api/batch" {
            let replies = value["replies"].as_array().expect("a list");
            assert_eq!(replies.len(), plan.steps.len());
        } else {
            assert!(value["result"].is_object() != value["error"].is_object(), "{line}");
        }
    }
    assert_eq!(lines.len(), if path == "/api/batch" { 1 } else { plan.steps.len().max(1) });
}

/// Two legacy bodies one after the other: if each is good, so are both, and in this order.
fn concatenated(input: &mut Input<'_>) -> Vec<u8> {
    let len = input.len() % 512;
    let first = compose(&mut Input::new(input.bytes(len)), WORDS);
    let second = compose(input, WORDS);
    let both = [&first[..], input.pick(&[&b""[..], b"\n", b" \r\n"]), &second].concat();
    let read = |body: &[u8]| read(&mut Scratch::default(), "/api", body);
    if let (Ok(first), Ok(second)) = (read(&first), read(&second)) {
        let steps = first.steps.len() + second.steps.len();
        match read(&both) {
            Ok(both) => {
                assert_eq!(both.steps.len(), steps);
                assert_eq!(both.steps[..first.steps.len()], first.steps[..]);
                assert_eq!(both.steps[first.steps.len()..], second.steps[..]);
            }
            Err(refusal) => {
                assert!(steps > QueryLimits::default().commands_max, "{}", refusal.body)
            }
        }
    }
    both
}
