//! The server API without its connection: a body to a plan, a plan to a reply.

use std::collections::BTreeMap;

use rollcall::api::{
    Merged, NodeFacts, Options, Outcome, Plan, RuleFacts, Scratch, Step, answer, plan, route,
    write_reply,
};
use rollcall::ids::{ConnId, ShardId};
use rollcall::limits::LabelLimits;
use rollcall::session::{FilterLimits, IdKeys, Opening, Protocol, Table, Transport, UserHasher};
use rollcall::wire::http1::parse_head;

/// The founding page's request body.
pub(crate) const PAGE: &str = r#"{"method": "user_connections", "params": {"user": "42"}}"#;

const HEAD: &[u8] = b"POST /api HTTP/1.1\r\nHost: localhost:8000\r\n\r\n";

/// The hasher of every table and plan here.
pub(crate) const fn hasher() -> UserHasher {
    UserHasher::new([1, 2, 3, 4])
}

/// Gives `run` a way to plan a body, with all that is not the body done before.
pub(crate) fn with_planner<R>(run: impl FnOnce(&mut dyn FnMut(&[u8]) -> Plan) -> R) -> R {
    let options = Options {
        prefix: String::new(),
        key: String::new(),
        insecure: true,
        error_mode_transport: false,
        body_bytes_max: 1 << 20,
        user_status: rollcall::api::Statuses::NotKept,
        label_filter: FilterLimits::default(),
        queries: Default::default(),
        labels: LabelLimits::default(),
    };
    let head = parse_head(HEAD).expect("a head");
    let route = route(&options, "/").expect("the prefix itself");
    let (mut scratch, hasher) = (Scratch::default(), hasher());
    run(&mut |body| {
        plan(&options, &route, &head, body, &mut scratch, &hasher).expect("a good body")
    })
}

/// So many sessions of the page's user.
pub(crate) fn table(sessions: u64) -> Table {
    let mut table = Table::new(ShardId::new(0), IdKeys::new([7; 32]), hasher());
    for random in 1..=sessions {
        let opening = Opening {
            user: "42",
            app_name: "terminal",
            app_version: "1.2.3",
            transport: Transport::UniHttpStream,
            protocol: Protocol::Json,
            token_uid: "0f6cd0d5-3a2c-4b9e-9a5a-6f2a7f1c2b3d",
            token_issued_at: Some(1_690_000_000),
            remote_addr: None,
            user_agent: "",
            labels: &BTreeMap::new(),
            meta: Some(br#"{"device":"phone","os":"android","build":1234,"tags":["a","b"]}"#),
            connected_at_ms: 1_700_000_000_123,
            conn: ConnId { index: 0, generation: 0 },
        };
        let opened = table.open(&opening, random.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        assert!(opened.is_ok(), "room for {sessions} sessions");
    }
    table
}

/// Answers the page's question from a table, merges the one answer and writes the reply.
pub(crate) fn reply(plan: &Plan, table: &Table, out: &mut Vec<u8>) {
    let facts = NodeFacts {
        uid: "",
        name: "",
        version: "",
        uptime_s: 0,
        users: 1,
        rules: RuleFacts::default(),
        webhook: None,
        dangers: &[],
    };
    let Some(Step::Ask(question)) = plan.steps.first() else { unreachable!("a listing") };
    let mut merged = Merged::default();
    merged.add(answer(question, table));
    out.clear();
    write_reply(plan, &[Outcome::Answered(merged)], &facts, out);
}
