//! A request in, a reply out: real tables of several shards, and text on both sides.

mod doors;
mod grammar;
mod label_filter;
mod node;
mod orders;
mod own_sessions;
mod refresh;
mod replies;
mod search;
mod update;

use std::collections::BTreeMap;

use super::{
    Budget, Lifetime, Merged, Mode, Naming, NodeFacts, Options, Outcome, Plan, Progress, Question,
    Receipt, RuleFacts, Scan, Scratch, Sight, Step, Target, answer, plan, route, write_reply,
};
use crate::api::{Answer, Applied, Carrier, ProcessUse, ReplyHead, ShardStats};
use crate::auth::Until;
use crate::ids::{ClientId, ConnId, SessionId, SessionSlot, ShardId};
use crate::limits::LabelLimits;
use crate::observe::{Counters, Spread};
use crate::session::{
    FilterLimits, IdKeys, Opening, Protocol, Session, Table, Transport, UserHasher,
};
use crate::time::Now;
use crate::wire::http1::parse_head;

fn options() -> Options {
    Options {
        prefix: "/api".into(),
        key: "secret".into(),
        insecure: false,
        error_mode_transport: false,
        body_bytes_max: 1 << 20,
        user_status: crate::api::Statuses::Kept,
        label_filter: FilterLimits::default(),
        queries: Default::default(),
        labels: LabelLimits::default(),
    }
}

/// What shard `at` tells of itself.
fn stats(at: usize, table: &Table) -> ShardStats {
    let sessions = table.len() as u64;
    ShardStats {
        shard: ShardId::new(at),
        sessions,
        users: table.users() as u64,
        connections: sessions + 1,
        counters: Counters { sessions_opened: 5, api_commands: 3, ..Counters::default() },
        requests: Spread::default(),
        carrier: Some(Carrier::IoUring),
        process: (at == 0).then_some(ProcessUse {
            rss_bytes: 2 << 20,
            rss_start_bytes: 1 << 20,
            memory_bytes_max: Some(1 << 30),
            descriptors_max: None,
        }),
    }
}

fn hasher() -> UserHasher {
    UserHasher::new([1, 2, 3, 4])
}

/// A head as a request to this path has it.
fn head(method: &str, target: &str, header: &str) -> String {
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n")
}

/// The plan of a body, or the text of its refusal.
fn planned(path: &str, body: &[u8]) -> Result<Plan, String> {
    let options = options();
    let head = head("POST", path, "");
    let head = parse_head(head.as_bytes()).unwrap();
    let route = route(&options, path).expect("a path of the API");
    plan(&options, &route, &head, body, &mut Scratch::default(), &hasher())
        .map_err(|refusal| format!("{} {}", refusal.status.0, refusal.body))
}

/// What is done to a session.
type Act<'q> = dyn Fn(&mut Table, SessionSlot) -> Applied + 'q;

/// Two shards and whoever is connected to them.
struct World {
    tables: [Table; 2],
    ids: Vec<(ClientId, SessionId)>,
    /// Shards that do not answer, as a mask.
    silent: u64,
    /// How long everybody has been silent, when that is known.
    silent_ms: Option<u64>,
    /// Header line of the requests.
    header: &'static str,
}

/// A session with nothing but what every session has.
const PLAIN: Opening<'static> = Opening {
    user: "42",
    app_name: "",
    app_version: "",
    transport: Transport::UniHttpStream,
    protocol: Protocol::Json,
    token_uid: "",
    token_issued_at: None,
    remote_addr: None,
    user_agent: "",
    meta: None,
    labels: &BTreeMap::new(),
    connected_at_ms: 1_700_000_000_123,
    conn: ConnId { index: 0, generation: 0 },
};

/// When everything here happens.
const NOW: Now = Now { mono_ms: 0, unix_ms: 1_700_000_000_123 };

impl World {
    fn new() -> Self {
        let table = |shard| Table::new(ShardId::new(shard), IdKeys::new([7; 32]), hasher());
        Self {
            tables: [table(0), table(1)],
            ids: Vec::new(),
            silent: 0,
            silent_ms: None,
            header: "",
        }
    }

    /// Sessions are named by the order they come in: `<0>`, `<1>`; their session ids `(0)`, `(1)`.
    fn opens(mut self, shard: usize, opening: &Opening<'_>) -> Self {
        let random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.ids.len() as u64 + 1);
        let opened = self.tables[shard].open(opening, random).unwrap();
        self.ids.push((opened.client, opened.session));
        self
    }

    /// What a shard says; what should end has ended when this returns.
    fn answers(&mut self, shard: usize, question: &Question) -> Answer {
        match question {
            Question::Info => {
                let sessions = self.tables[shard].len();
                Answer::counted(u32::try_from(sessions).unwrap())
            }
            Question::Search(_)
            | Question::Disconnect(_)
            | Question::Refresh(_)
            | Question::Update(_) => self.scans(shard, question),
            Question::KeepOut(_) | Question::Status(_) | Question::Fence(_) => Answer::counted(0),
            Question::NodeStats => Answer::stats(stats(shard, &self.tables[shard])),
            Question::UserBlock(user) => {
                let until = if user == "42" { Until::at(1_893_456_000) } else { Until::FOREVER };
                Answer::user_block((user != "43").then_some(until))
            }
            Question::Oldest { .. }
            | Question::UserConnections { .. }
            | Question::Connections { .. }
            | Question::OwnSessions(_)
            | Question::NoChannels(_) => answer(question, &self.tables[shard]),
        }
    }

    fn scans(&mut self, shard: usize, question: &Question) -> Answer {
        let table = &mut self.tables[shard];
        let silent_ms = |_: &Session<'_>| self.silent_ms;
        let sight = Sight { now: NOW, silent_ms: &silent_ms };
        let mut scan = Scan::begin(question, table, &mut Budget::new(3));
        while scan.advance(question, table, &sight, &mut Budget::new(3)) == Progress::Resting {}
        let targets = scan.take_targets();
        let answer = scan.into_answer(table);
        let end = |table: &mut Table, slot| {
            table.close(slot);
            Applied::Done
        };
        let (terms, act): (_, &Act<'_>) = match question {
            Question::Disconnect(params) => (params.terms, &end),
            Question::Refresh(params) if params.expiry.lifetime(NOW) == Lifetime::Over => {
                (params.terms, &end)
            }
            Question::Refresh(params) => (params.terms, &|_, _| Applied::Done),
            Question::Update(params) => {
                (params.terms, &|table, slot| params.change.apply(table, slot))
            }
            Question::Search(_)
            | Question::Oldest { .. }
            | Question::UserConnections { .. }
            | Question::Connections { .. }
            | Question::OwnSessions(_)
            | Question::KeepOut(_)
            | Question::Status(_)
            | Question::Fence(_)
            | Question::Info
            | Question::NodeStats
            | Question::UserBlock(_)
            | Question::NoChannels(_) => return answer,
        };
        let mut receipt = Receipt::default();
        for Target { slot, client } in targets {
            if terms.naming == Naming::Clients {
                receipt.name(client);
            }
            if terms.mode == Mode::ForReal {
                receipt.count(act(table, slot));
            }
        }
        answer.with_receipt(receipt)
    }

    fn outcome(&mut self, step: &Step) -> Outcome {
        let question = match step {
            Step::Done(error) => return Outcome::Failed(error.clone()),
            Step::Ask(question) => question,
        };
        let mut merged = Merged::default();
        merged.missing = self.silent;
        for shard in 0..2 {
            if self.silent & (1 << shard) == 0 {
                merged.add(self.answers(shard, question));
            }
        }
        Outcome::Answered(merged)
    }

    /// Status and body of the reply, ids by name on both sides.
    fn call(&mut self, path: &str, body: &str) -> String {
        let mut body = body.to_owned();
        for (at, (client, session)) in self.ids.iter().enumerate() {
            body = body.replace(&format!("<{at}>"), &client.to_string());
            body = body.replace(&format!("({at})"), &session.to_string());
        }
        let (head_of_reply, mut reply) = self.call_raw(path, body.as_bytes());
        for (at, (client, _)) in self.ids.iter().enumerate() {
            reply = reply.replace(&client.to_string(), &format!("<{at}>"));
        }
        format!("{} {reply}", head_of_reply.status.0)
    }

    fn call_raw(&mut self, path: &str, body: &[u8]) -> (ReplyHead, String) {
        let options = options();
        let head = head("POST", path, self.header);
        let head = parse_head(head.as_bytes()).unwrap();
        let route = route(&options, path).expect("a path of the API");
        let plan = plan(&options, &route, &head, body, &mut Scratch::default(), &hasher())
            .unwrap_or_else(Plan::refused);
        let outcomes: Vec<_> = plan.steps.iter().map(|step| self.outcome(step)).collect();
        let facts = NodeFacts {
            uid: "uid",
            name: "host_8000",
            version: "0.1.0",
            uptime_s: 9,
            users: 2,
            rules: RuleFacts::default(),
            webhook: None,
            dangers: &["anybody may connect".to_owned()],
        };
        let mut out = Vec::new();
        let head = write_reply(&plan, &outcomes, &facts, &mut out);
        (head, String::from_utf8(out).unwrap())
    }
}
