//! `POST /api`: concatenated `{"id"?,"method","params"}` objects, one reply line for each.
//!
//! This is the only form v3 had; cent 4 and older clients still send it. Centrifugo runs each
//! command as it reads it and loses every answer when a later one is malformed. Here the whole
//! body is understood first, and a body that is refused has not run at all.

use simd_json::prelude::{TypedScalarValue, ValueAsScalar, ValueIntoString};
use simd_json::tape::Value;
use smallvec::SmallVec;

use super::body::{Malformed, Objects, Scratch};
use super::commands::{Command, Kind};
use super::error::{ApiError, ErrorKind};
use super::params::{Fault, Mistyped, Place, Reading, known, members, number};
use super::plan::{Layout, Plan, Step, absent, step};
use super::question::Question;
use super::raw::Raw;
use super::route::Refusal;

/// What a legacy body asks.
pub(super) fn plan(
    body: &[u8],
    scratch: &mut Scratch,
    reading: Reading<'_>,
) -> Result<Plan, Refusal> {
    let mut lines = Lines::default();
    // Nearly every body is one object: only when it is not, it is cut and each piece parsed.
    let reading = Reading { raw: Raw::Line(body), ..reading };
    let whole = scratch.parse(body, |command| lines.push(command, reading));
    match whole {
        Ok(pushed) => pushed?,
        Err(malformed) => several(body, malformed, &mut lines, scratch, reading)?,
    }
    let Lines { steps, ids } = lines;
    Ok(Plan { steps, layout: Layout::Legacy { ids } })
}

fn several(
    body: &[u8],
    whole: Malformed,
    lines: &mut Lines,
    scratch: &mut Scratch,
    reading: Reading<'_>,
) -> Result<(), Refusal> {
    for object in Objects::of(body) {
        let malformed = |why| lines_malformed(lines.steps.len(), why);
        let object = object.map_err(malformed)?;
        if object.len() == body.len() {
            return Err(malformed(whole));
        }
        let commands_max = reading.options.queries.commands_max;
        if lines.steps.len() == commands_max {
            return Err(Refusal::bad_request(format_args!(
                "more than {commands_max} commands (http_api.max_commands) in one body, send them in \
                 several"
            )));
        }
        let at = lines.steps.len();
        let reading = Reading { raw: Raw::Line(object), ..reading };
        scratch
            .parse(object, |command| lines.push(command, reading))
            .map_err(|why| lines_malformed(at, why))??;
    }
    if lines.steps.is_empty() {
        return Err(Refusal::bad_request("the body is blank, expected a JSON object"));
    }
    Ok(())
}

fn lines_malformed(before: usize, why: Malformed) -> Refusal {
    Refusal::bad_request(format_args!("command {}: {why}", before + 1))
}

#[derive(Default)]
struct Lines {
    steps: SmallVec<[Step; 1]>,
    ids: SmallVec<[u32; 1]>,
}

impl Lines {
    fn push(&mut self, command: Value<'_, '_>, reading: Reading<'_>) -> Result<(), Refusal> {
        let (id, step) = line(command, reading).map_err(|why| {
            Refusal::bad_request(format_args!("command {}: {why}", self.steps.len() + 1))
        })?;
        self.steps.push(step);
        self.ids.push(id);
        Ok(())
    }
}

/// Why a line is not a command: the body is refused. (What is wrong with the parameters of a
/// command is that command's answer.)
#[derive(Debug, thiserror::Error)]
enum BadLine {
    #[error(transparent)]
    Mistyped(#[from] Mistyped),
    #[error("key \"method\" is missing, expected the name of a command")]
    NoMethod,
    #[error("key \"method\": {0:?} is a number in quotes, expected it without, or a name")]
    QuotedNumber(String),
    #[error("key \"method\": there is no command {0:?}")]
    Unknown(String),
}

/// Characters of an unknown name that are told back.
const ECHO_CHARS: usize = 40;

fn line(command: Value<'_, '_>, reading: Reading<'_>) -> Result<(u32, Step), BadLine> {
    if command.is_null() {
        return Err(Place::Command.mistyped("an object", command).into());
    }
    let (mut id, mut method, mut params) = (None, None, None);
    for (key, value) in members(command, Place::Command)? {
        match known(key, &["method", "params", "id"]) {
            "method" if !value.is_null() => method = Some(value),
            "params" => params = Some(value),
            "id" => number(&mut id, "id", value)?,
            _ => {}
        }
    }
    let step = match find(method.ok_or(BadLine::NoMethod)?)? {
        Ok(command) => line_step(command, params, reading),
        Err(number) => Step::Done(ApiError::new(
            ErrorKind::NotFound,
            format_args!("there is no command of number {number}"),
        )),
    };
    Ok((id.unwrap_or(0), step))
}

/// The command a method means. A number that means none is the answer of that command, as in
/// Centrifugo; a name that means none refuses the body.
fn find(method: Value<'_, '_>) -> Result<Result<&'static Command, u64>, BadLine> {
    if let Some(number) = method.as_u64() {
        return Ok(Command::numbered(number).ok_or(number));
    }
    let Some(name) = method.into_string() else {
        return Err(Place::Key("method").mistyped("a name or a whole number", method).into());
    };
    Command::named(name).map(Ok).ok_or_else(|| {
        let echo = name.chars().take(ECHO_CHARS).collect();
        let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { BadLine::QuotedNumber(echo) } else { BadLine::Unknown(echo) }
    })
}

/// A command of a legacy body never fails for its parameters: the error is its answer.
fn line_step(command: &Command, params: Option<Value<'_, '_>>, reading: Reading<'_>) -> Step {
    match (command.kind, params) {
        // The one command that takes none ignores whatever there is.
        (Kind::Info, _) => Step::Ask(Question::Info),
        (Kind::NeedsChannels | Kind::Unavailable, _) => Step::Done(absent(command)),
        (_, None) => Step::Done(ApiError::bad_request(
            "key \"params\" is missing, expected an object with the command's parameters",
        )),
        (_, Some(params)) => match step(command, params, Place::Key("params"), reading) {
            Ok(step) => step,
            Err(Fault::Refused(error)) => Step::Done(error),
            Err(Fault::Mistyped(mistyped)) => Step::Done(ApiError::bad_request(mistyped)),
        },
    }
}
