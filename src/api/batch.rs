//! `POST /api/batch`: `{"commands":[{"<method>":{…}}],"parallel"?}`, answered by `replies` in the
//! same order.
//!
//! All commands are put to the shards at once whether `parallel` is set or not; the order inside
//! a body holds either way (see the module's page). Here `connections` and `user_connections` are
//! batch commands too, as the documentation of Centrifugo PRO has it.

use simd_json::prelude::TypedScalarValue;
use simd_json::tape::Value;
use smallvec::SmallVec;

use super::body::Scratch;
use super::commands::Command;
use super::error::{ApiError, ErrorKind};
use super::params::{Fault, Mistyped, Place, Reading, array, boolean, elements, known, members};
use super::plan::{Layout, Plan, Step, step};
use super::raw::Raw;
use super::route::Refusal;

/// What a batch body asks.
pub(super) fn plan(
    body: &[u8],
    scratch: &mut Scratch,
    reading: Reading<'_>,
) -> Result<Plan, Refusal> {
    let steps = scratch.parse(body, |batch| steps(batch, body, reading))??;
    Ok(Plan { steps, layout: Layout::Batch })
}

fn steps(
    batch: Value<'_, '_>,
    body: &[u8],
    reading: Reading<'_>,
) -> Result<SmallVec<[Step; 1]>, Refusal> {
    let commands = commands(batch).map_err(Refusal::bad_request)?;
    let mut steps = SmallVec::new();
    for item in elements(commands) {
        let commands_max = reading.options.queries.commands_max;
        if steps.len() == commands_max {
            return Err(Refusal::bad_request(format_args!(
                "more than {commands_max} commands (http_api.max_commands) in one batch, send them in \
                 several"
            )));
        }
        let reading = Reading { raw: Raw::Item(body, steps.len()), ..reading };
        let step = item_step(item, reading).map_err(|mistyped| {
            Refusal::bad_request(format_args!("command {}: {mistyped}", steps.len() + 1))
        })?;
        steps.push(step);
    }
    Ok(steps)
}

fn commands<'t, 'i>(batch: Value<'t, 'i>) -> Result<Option<Value<'t, 'i>>, Mistyped> {
    let (mut commands, mut parallel) = (None, None);
    for (key, value) in members(batch, Place::Body)? {
        match known(key, &["commands", "parallel"]) {
            "commands" => array(&mut commands, "commands", value)?,
            "parallel" => boolean(&mut parallel, "parallel", value)?,
            _ => {}
        }
    }
    Ok(commands)
}

fn item_step(item: Value<'_, '_>, reading: Reading<'_>) -> Result<Step, Mistyped> {
    if item.is_null() {
        return Ok(Step::Done(ApiError::bad_request(
            "a command is null, expected an object keyed by the command's name",
        )));
    }
    let mut first: Option<(&'static Command, Value<'_, '_>)> = None;
    for (key, params) in members(item, Place::Command)? {
        let Some(command) = Command::named(key).filter(|_| !params.is_null()) else { continue };
        // The same key again is a duplicate, and the last one wins.
        if first.is_none_or(|(earlier, _)| command.precedence() <= earlier.precedence()) {
            first = Some((command, params));
        }
    }
    let Some((command, params)) = first else {
        let why = "no key of this command is the name of a command";
        return Ok(Step::Done(ApiError::new(ErrorKind::NotFound, why)));
    };
    match step(command, params, Place::Key(command.name), reading) {
        Ok(step) => Ok(step),
        Err(Fault::Refused(error)) => Ok(Step::Done(error)),
        Err(Fault::Mistyped(mistyped)) => Err(mistyped),
    }
}
