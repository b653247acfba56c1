//! The reply, written by hand: laid out as its route wants it, answers joined from the shards'
//! fragments.

use std::borrow::Cow;

use super::answer::{Merged, Outcome};
use super::error::{ApiError, ErrorKind};
use super::info::{self, NodeFacts};
use super::node_stats;
use super::plan::{ErrorMode, Layout, Plan, Step};
use super::question::Question;
use super::terms;
use super::user_block;
use super::user_status::{self, StatusOrder};
use crate::wire::http1::Status;

/// What goes in front of a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyHead {
    /// Status of the response.
    pub status: Status,
    /// Content type of its body.
    pub content_type: &'static str,
}

/// Writes the reply of a plan. `outcomes` has one for each step, in order.
///
/// # Panics
/// When it has not.
pub fn write_reply(
    plan: &Plan,
    outcomes: &[Outcome],
    facts: &NodeFacts<'_>,
    out: &mut Vec<u8>,
) -> ReplyHead {
    assert_eq!(plan.steps.len(), outcomes.len(), "every step has its outcome");
    let answers = plan.steps.iter().zip(outcomes).map(settle);
    let mut status = Status(200);
    match &plan.layout {
        Layout::Legacy { ids } => {
            for (line, (id, answer)) in ids.iter().zip(answers).enumerate() {
                if line > 0 {
                    out.push(b'\n');
                }
                write_envelope(*id, answer, facts, out);
            }
        }
        Layout::Batch => {
            out.extend_from_slice(b"{\"replies\":[");
            for (item, answer) in answers.enumerate() {
                if item > 0 {
                    out.push(b',');
                }
                write_keyed(answer, facts, out);
            }
            out.extend_from_slice(b"]}");
        }
        Layout::Single(mode) => {
            for answer in answers {
                match (answer, mode) {
                    (Err(error), ErrorMode::Transport) => {
                        status = error.kind().status();
                        error.write(out);
                    }
                    (answer, ErrorMode::Transport | ErrorMode::Envelope) => {
                        write_envelope(0, answer, facts, out);
                    }
                }
            }
        }
        Layout::Refused(refusal) => {
            out.extend_from_slice(refusal.body.as_bytes());
            return ReplyHead { status: refusal.status, content_type: "text/plain; charset=utf-8" };
        }
    }
    ReplyHead { status, content_type: "application/json" }
}

type Settled<'a> = Result<(&'a Question, &'a Merged), Cow<'a, ApiError>>;

/// What a step comes to.
fn settle<'a>((step, outcome): (&'a Step, &'a Outcome)) -> Settled<'a> {
    match (step, outcome) {
        (Step::Ask(question), Outcome::Answered(merged)) => match shortfall(question, merged) {
            Some(error) => Err(Cow::Owned(error)),
            None => Ok((question, merged)),
        },
        (Step::Ask(_), Outcome::Failed(error)) | (Step::Done(error), _) => {
            Err(Cow::Borrowed(error))
        }
    }
}

/// Why an answer that came is no success. A listing may be partial and says so; what changes
/// sessions is whole or an error, because its caller acts on "nobody is left".
fn shortfall(question: &Question, merged: &Merged) -> Option<ApiError> {
    if let Some(error) = merged.error() {
        return Some(error.clone());
    }
    let undone = match question {
        Question::Disconnect(_) => Some("sessions that should end may still be there"),
        Question::Refresh(_) => Some("sessions may still end when they would have"),
        Question::Update(_) => Some("sessions may still be as they were"),
        Question::Status(_) => Some("it may be done or not"),
        Question::Fence(_) => Some("connects may be refused or not"),
        Question::KeepOut(_) => Some("the rule may hold or not, and sessions may still be there"),
        Question::Oldest { .. }
        | Question::UserConnections { .. }
        | Question::Connections { .. }
        | Question::Search(_)
        | Question::OwnSessions(_)
        | Question::Info
        | Question::NodeStats
        | Question::UserBlock(_)
        | Question::NoChannels(_) => None,
    };
    if let Some(undone) = undone.filter(|_| merged.missing != 0) {
        return Some(ApiError::new(
            ErrorKind::Internal,
            format_args!("not every part of the server answered in time, {undone}, send it again"),
        ));
    }
    merged.is_too_large().then(|| {
        ApiError::not_available(
            "the sessions of this reply take more than 32 MiB, ask for fewer users at once",
        )
    })
}

/// `{"id"?,"error"|"result"}`
fn write_envelope(id: u32, answer: Settled<'_>, facts: &NodeFacts<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    if id != 0 {
        out.extend_from_slice(b"\"id\":");
        out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        out.push(b',');
    }
    match answer {
        Ok((question, merged)) => {
            out.extend_from_slice(b"\"result\":");
            write_result(question, merged, facts, out);
        }
        Err(error) => write_error(&error, out),
    }
    out.push(b'}');
}

/// `{"<method>":{…}}` or `{"error":{…}}`
fn write_keyed(answer: Settled<'_>, facts: &NodeFacts<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    match answer {
        Ok((question, merged)) => {
            out.push(b'"');
            out.extend_from_slice(question.name().as_bytes());
            out.extend_from_slice(b"\":");
            write_result(question, merged, facts, out);
        }
        Err(error) => write_error(&error, out),
    }
    out.push(b'}');
}

fn write_error(error: &ApiError, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"error\":");
    error.write(out);
}

fn write_result(question: &Question, merged: &Merged, facts: &NodeFacts<'_>, out: &mut Vec<u8>) {
    match question {
        Question::UserConnections { .. } | Question::Connections { .. } => {
            merged.write_connections(out);
        }
        Question::Search(search) => search.write(merged, out),
        Question::Disconnect(params) => terms::write(merged, "closed", params.terms, out),
        Question::Refresh(params) => terms::write(merged, "refreshed", params.terms, out),
        Question::Update(params) => terms::write(merged, "updated", params.terms, out),
        Question::Status(order) => match &**order {
            StatusOrder::Get { users } => user_status::write(users, merged.statuses(), out),
            StatusOrder::Update { .. } | StatusOrder::Delete { .. } => out.extend_from_slice(b"{}"),
        },
        Question::Info => info::write(facts, merged, out),
        Question::NodeStats => node_stats::write(facts, merged, out),
        Question::UserBlock(_) => user_block::write(merged.user_block(), out),
        Question::NoChannels(about) => about.write(out),
        // The oldest is asked for by a connect, own sessions by their client, a fence by what
        // follows it, none of them by a body.
        Question::KeepOut(_)
        | Question::Fence(_)
        | Question::Oldest { .. }
        | Question::OwnSessions(_) => {
            out.extend_from_slice(b"{}");
        }
    }
}
