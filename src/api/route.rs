//! ② A request head to what it calls, and whether the caller may.

use std::borrow::Cow;
use std::fmt;

use super::commands::Command;
use super::expression::ExpressionLimits;
use super::user_status::Statuses;
use crate::auth::ApiKey;
use crate::limits::LabelLimits;
use crate::session::FilterLimits;
use crate::wire::http1::{Head, Status, query_value};

/// What an operator can choose about the server API.
#[derive(Clone, Debug)]
pub struct Options {
    /// Path in front of everything (`http_api.handler_prefix`, default `/api`); a slash at its end
    /// is ignored.
    pub prefix: String,
    /// The key a caller must know; empty admits nobody.
    pub key: String,
    /// No key is asked for at all.
    pub insecure: bool,
    /// Errors of `/api/<method>` are HTTP statuses (`http_api.error_mode: transport`).
    pub error_mode_transport: bool,
    /// Largest request body in bytes; one more is refused with 413.
    pub body_bytes_max: usize,
    /// Whether there are statuses of users.
    pub user_status: Statuses,
    /// How large a `label_filter` may be.
    pub label_filter: FilterLimits,
    /// What questions may cost.
    pub queries: QueryLimits,
    /// How many labels a session may have.
    pub labels: LabelLimits,
}

/// What an operator allows questions to cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueryLimits {
    /// What expressions may cost.
    pub expression: ExpressionLimits,
    /// Sessions of one page (`queries.max_page_size`), and of one that does not say how many.
    pub page_max: usize,
    /// Commands of one body (`http_api.max_commands`); one more refuses the body with 400, and none
    /// of it has run.
    pub commands_max: usize,
}

impl Default for QueryLimits {
    /// What the configuration says when it says nothing.
    fn default() -> Self {
        Self { expression: ExpressionLimits::default(), page_max: 1_000, commands_max: 1_000 }
    }
}

/// What a path calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// The prefix itself: `{"method","params"}` objects, as of v3 and still in v6.
    Legacy,
    /// `/batch`: many commands in one array.
    Batch,
    /// `/<method>`: one command, the body is its parameters.
    Command(&'static Command),
}

impl Route {
    /// Whether it is answered by a stream of events instead of a reply.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Command(command) if command.is_stream())
    }
}

/// A plain HTTP answer instead of an API reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Its status.
    pub status: Status,
    /// Its body, text for a person.
    pub body: Cow<'static, str>,
}

impl Refusal {
    /// 400, with what was wrong. The text starts as Centrifugo's whole text does.
    pub(super) fn bad_request(why: impl fmt::Display) -> Self {
        Self { status: Status(400), body: format!("Bad Request: {why}\n").into() }
    }

    /// More headers: a method that there is not is told which there is (RFC 9110 §15.5.6).
    #[must_use]
    pub const fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.status {
            Status(405) => &[("Allow", "POST")],
            _ => &[],
        }
    }

    /// 503: no new work is begun any more.
    #[must_use]
    pub const fn shutting_down() -> Self {
        Self { status: Status(503), body: Cow::Borrowed("the server is shutting down\n") }
    }
}

/// What this path calls, if anything. Paths match exactly, as in Centrifugo's router: `/api/` and
/// unknown names are nothing, and nothing is a plain 404 without a look at the key.
#[must_use]
pub fn route(options: &Options, path: &str) -> Option<Route> {
    let prefix = options.prefix.trim_end_matches('/');
    let rest = path.strip_prefix(prefix)?;
    match rest.strip_prefix('/') {
        None => rest.is_empty().then_some(Route::Legacy),
        Some("") => prefix.is_empty().then_some(Route::Legacy),
        Some("batch") => Some(Route::Batch),
        Some(name) => Command::at_path(name).map(Route::Command),
    }
}

/// Whether a request with this head may call the API. The method is checked before the key, so a
/// GET is 405 with or without one.
///
/// # Errors
/// 405 for anything but POST; 401 for a missing or wrong key, and always when no key is
/// configured.
pub fn admit(options: &Options, key: &ApiKey, head: &Head<'_>) -> Result<(), Refusal> {
    let refuse = |status| Err(Refusal { status: Status(status), body: Cow::Borrowed("") });
    if head.method != "POST" {
        return refuse(405);
    }
    if options.insecure {
        return Ok(());
    }
    let in_query = head.query().and_then(|query| query_value(query, "api_key"));
    let [own_header, authorization] = head.first_of(["x-api-key", "authorization"]);
    if key.admits(own_header, authorization, in_query.as_deref()) {
        return Ok(());
    }
    refuse(401)
}
