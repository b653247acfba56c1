//! JSON of the server API: reading a request with simd-json and with serde_json, writing 1, 10 and
//! 100 sessions by hand and with serde_json.
//!
//! `cargo bench --bench api_json`. The serde sides are what one would write without this module:
//! typed structures, every string borrowed where it can be.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use rollcall::api::{Question, Step};
use rollcall::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use harness::api::{PAGE, reply, table, with_planner};
use harness::timing;

mod harness {
    pub(crate) mod api;
    pub(crate) mod timing;
}

#[derive(Deserialize)]
struct Command<'a> {
    #[serde(default)]
    id: u32,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct UserConnections<'a> {
    #[serde(borrow)]
    user: std::borrow::Cow<'a, str>,
}

/// What has to be done with serde_json: the stream of commands, then each command's parameters.
fn parse_with_serde(body: &[u8]) -> usize {
    let mut users = 0;
    for command in serde_json::Deserializer::from_slice(body).into_iter::<Command<'_>>() {
        let command = command.expect("a good body");
        assert!(command.method.eq_ignore_ascii_case("user_connections"));
        let params = command.params.expect("parameters").get();
        let params: UserConnections<'_> = serde_json::from_str(params).expect("good parameters");
        users += params.user.len() + command.id as usize;
    }
    users
}

fn parse(c: &mut Criterion) {
    for (name, body) in [("page", PAGE.to_owned()), ("page_x100", [PAGE; 100].join("\n"))] {
        let mut group = c.benchmark_group(format!("api_parse_{name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("plan (simd-json, hash of the user included)", |b| {
            with_planner(|plan| b.iter(|| plan(black_box(body.as_bytes()))));
        });
        group.bench_function("serde_json, typed (no hash, no plan)", |b| {
            b.iter(|| parse_with_serde(black_box(body.as_bytes())));
        });
        group.bench_function("serde_json, Value", |b| {
            b.iter(|| {
                let stream = serde_json::Deserializer::from_slice(black_box(body.as_bytes()));
                stream.into_iter::<serde_json::Value>().filter(Result::is_ok).count()
            });
        });
        group.finish();
    }
}

#[derive(Serialize)]
struct Info<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    app_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    app_version: &'a str,
    transport: &'a str,
    protocol: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    token_uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_issued_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

fn info(session: &Session<'_>) -> (String, Box<RawValue>, [String; 5], Option<i64>) {
    let meta = session.meta().map_or("null", |meta| std::str::from_utf8(meta).expect("JSON"));
    let texts = [
        session.app_name().to_owned(),
        session.app_version().to_owned(),
        session.transport().name().to_owned(),
        session.protocol().name().to_owned(),
        session.token_uid().to_string(),
    ];
    let meta = RawValue::from_string(meta.to_owned()).expect("JSON");
    (session.client().to_string(), meta, texts, session.token_issued_at())
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("api_encode");
    for sessions in [1, 10, 100] {
        let table = table(sessions);
        let plan = with_planner(|plan| plan(PAGE.as_bytes()));
        group.throughput(Throughput::Elements(sessions));
        let id = BenchmarkId::new("answer, merge and reply", sessions);
        group.bench_function(id, |b| {
            let mut out = Vec::new();
            b.iter(|| {
                reply(black_box(&plan), &table, &mut out);
                out.len()
            });
        });
        // Only the serializer is measured: what it needs was copied out of the table before.
        let Step::Ask(Question::UserConnections { user, hash }) = &plan.steps[0] else {
            unreachable!("a listing")
        };
        let owned: Vec<_> = table.by_user(user, *hash).map(|session| info(&session)).collect();
        let id = BenchmarkId::new("serde_json from prepared structures", sessions);
        group.bench_function(id, |b| {
            let mut out = Vec::new();
            b.iter(|| {
                out.clear();
                let connections: BTreeMap<&str, Info<'_>> = black_box(&owned)
                    .iter()
                    .map(|(client, meta, texts, issued_at)| {
                        let [app_name, app_version, transport, protocol, uid] = texts;
                        let (token_uid, token_issued_at) = (uid.clone(), *issued_at);
                        let meta = Some(&**meta);
                        let info = Info {
                            app_name,
                            app_version,
                            transport,
                            protocol,
                            token_uid,
                            token_issued_at,
                            meta,
                        };
                        (client.as_str(), info)
                    })
                    .collect();
                let reply =
                    BTreeMap::from([("result", BTreeMap::from([("connections", connections)]))]);
                serde_json::to_writer(&mut out, &reply).expect("into memory");
                out.len()
            });
        });
    }
    group.finish();
}

fn main() {
    timing::run(|criterion| {
        parse(criterion);
        encode(criterion);
    });
}
