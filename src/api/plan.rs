//! A request body to what has to be asked, understood as a whole before anything is asked.

use smallvec::{SmallVec, smallvec};

use super::body::{Malformed, Scratch};
use super::commands::{Command, Kind};
use super::error::{ApiError, ErrorKind};
use super::params::{Fault, Place, Reading, members};
use super::question::Question;
use super::raw::Raw;
use super::route::{Options, Refusal, Route};
use super::{
    batch, block_user, channels, connections, disconnect, invalidate_user_tokens, legacy, refresh,
    revoke_token, unblock_user, update_labels, update_meta, user_block, user_connections,
    user_status,
};
use crate::session::UserHasher;
use crate::time::Now;
use crate::wire::http1::Head;
use simd_json::tape::Value;

/// What a request asks, and how its reply is laid out.
#[derive(Debug)]
pub struct Plan {
    /// Its commands, in order; the reply has one answer for each.
    pub steps: SmallVec<[Step; 1]>,
    pub(super) layout: Layout,
}

/// One command of a plan.
#[derive(PartialEq, Eq, Debug)]
pub enum Step {
    /// Shards have to be asked.
    Ask(Question),
    /// Nobody has to be asked: this is the answer.
    Done(ApiError),
}

/// How a reply is laid out.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Layout {
    /// One line per command, with the `id` the command had; 0 is none.
    Legacy { ids: SmallVec<[u32; 1]> },
    /// One envelope.
    Single(ErrorMode),
    /// `replies`, keyed by the command's name.
    Batch,
    /// No API reply at all.
    Refused(Refusal),
}

/// How the error of a single command is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ErrorMode {
    /// Status 200 and an envelope.
    Envelope,
    /// The error's own HTTP status and its bare object.
    Transport,
}

impl Plan {
    /// Whether a step asks about the node.
    #[must_use]
    pub fn asks_about_node(&self) -> bool {
        let is_about =
            |step: &Step| matches!(step, Step::Ask(Question::Info | Question::NodeStats));
        self.steps.iter().any(is_about)
    }

    /// Gives what counts from now on its time.
    pub fn made_at(&mut self, now: Now) {
        for step in &mut self.steps {
            if let Step::Ask(Question::KeepOut(rule)) = step {
                **rule = rule.as_ref().clone().made_at(now.unix_s());
            }
        }
    }

    /// A plan that asks nothing and answers a request that is refused: it takes its turn among
    /// the replies of its connection like any other.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self { steps: SmallVec::new(), layout: Layout::Refused(refusal) }
    }
}

/// What this body asks.
///
/// # Errors
/// 400 with a text: the body is empty or malformed, deeper than
/// [`BODY_DEPTH_MAX`](super::BODY_DEPTH_MAX), has more than `http_api.max_commands` commands, or breaks
/// the grammar of its route. Nothing has run then.
pub fn plan(
    options: &Options,
    route: &Route,
    head: &Head<'_>,
    body: &[u8],
    scratch: &mut Scratch,
    hasher: &UserHasher,
) -> Result<Plan, Refusal> {
    let reading = Reading { options, hasher, raw: Raw::Params(body) };
    let mode = match route {
        Route::Command(_) => error_mode(options, head),
        // Their errors stand in the reply, whatever the caller asks for.
        Route::Legacy | Route::Batch => ErrorMode::Envelope,
    };
    plan_in(mode, route, body, scratch, reading)
}

/// What this body asks when it came by another way than HTTP: errors stand in the reply.
///
/// # Errors
/// As of [`plan`].
pub fn plan_call(
    options: &Options,
    route: &Route,
    body: &[u8],
    scratch: &mut Scratch,
    hasher: &UserHasher,
) -> Result<Plan, Refusal> {
    let reading = Reading { options, hasher, raw: Raw::Params(body) };
    plan_in(ErrorMode::Envelope, route, body, scratch, reading)
}

fn plan_in(
    mode: ErrorMode,
    route: &Route,
    body: &[u8],
    scratch: &mut Scratch,
    reading: Reading<'_>,
) -> Result<Plan, Refusal> {
    refuse_empty(body)?;
    let plan = match route {
        Route::Legacy => legacy::plan(body, scratch, reading),
        Route::Batch => batch::plan(body, scratch, reading),
        Route::Command(command) => single(command, mode, body, scratch, reading),
    };
    scratch.shed();
    plan
}

/// Nothing is asked by nothing.
pub(super) fn refuse_empty(body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() {
        return Err(Refusal::bad_request("the body is empty, expected a JSON object"));
    }
    Ok(())
}

pub(super) fn error_mode(options: &Options, head: &Head<'_>) -> ErrorMode {
    let asked = head.header("x-centrifugo-error-mode");
    if options.error_mode_transport || asked == Some("transport") {
        ErrorMode::Transport
    } else {
        ErrorMode::Envelope
    }
}

/// `/api/<method>`: the body is the parameters.
fn single(
    command: &Command,
    mode: ErrorMode,
    body: &[u8],
    scratch: &mut Scratch,
    reading: Reading<'_>,
) -> Result<Plan, Refusal> {
    let step = scratch
        .parse(body, |params| match step(command, params, Place::Body, reading) {
            Ok(step) => Ok(step),
            Err(Fault::Refused(error)) => Ok(Step::Done(error)),
            Err(Fault::Mistyped(mistyped)) => Err(Refusal::bad_request(mistyped)),
        })
        .map_err(Refusal::from)??;
    Ok(Plan { steps: smallvec![step], layout: Layout::Single(mode) })
}

/// What a command with these parameters asks. Parameters must be an object even where they are
/// not looked at.
pub(super) fn step(
    command: &Command,
    params: Value<'_, '_>,
    place: Place,
    reading: Reading<'_>,
) -> Result<Step, Fault> {
    let params = members(params, place)?;
    let question = match command.kind {
        Kind::UserConnections => user_connections::read(params, reading)?,
        Kind::Connections => connections::read(params, reading)?,
        Kind::Disconnect => disconnect::read(params, reading)?,
        Kind::Refresh => refresh::read(params, reading)?,
        Kind::UpdateMeta => update_meta::read(params, reading)?,
        Kind::UpdateLabels => update_labels::read(params, reading)?,
        Kind::Info => Question::Info,
        Kind::NodeStats => Question::NodeStats,
        Kind::GetUserBlock => user_block::read(params)?,
        Kind::Channels => channels::read_list(params)?,
        Kind::Unsubscribe => channels::read_unsubscribe(params)?,
        Kind::Subscribe => return Ok(Step::Done(channels::refuse_subscribe(params)?)),
        Kind::Watch => {
            let why = "\"watch\" is a stream of events and has a path of its own, /watch";
            return Ok(Step::Done(ApiError::bad_request(why)));
        }
        Kind::BlockUser => block_user::read(params)?,
        Kind::UnblockUser => unblock_user::read(params)?,
        Kind::RevokeToken => revoke_token::read(params)?,
        Kind::UpdateUserStatus => user_status::read_update(params, reading)?,
        Kind::GetUserStatus => user_status::read_get(params, reading)?,
        Kind::DeleteUserStatus => user_status::read_delete(params, reading)?,
        Kind::InvalidateUserTokens => invalidate_user_tokens::read(params)?,
        Kind::NeedsChannels | Kind::Unavailable => return Ok(Step::Done(absent(command))),
    };
    Ok(Step::Ask(question))
}

/// What a known command that is not there yet answers.
pub(super) fn absent(command: &Command) -> ApiError {
    let name = command.name;
    if command.kind == Kind::NeedsChannels {
        return ApiError::not_available(format_args!(
            "\"{name}\" needs channels, and this server has none yet"
        ));
    }
    ApiError::new(ErrorKind::NotFound, format_args!("this server has no \"{name}\" yet"))
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::bad_request(malformed)
    }
}
