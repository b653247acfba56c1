//! What narrows a selection: conditions on one session, all of which must hold.

use std::sync::Arc;

use compact_str::CompactString;
use simd_json::tape::Value;

use super::error::ApiError;
use super::expression::{Asked, Evaluator, Expression, Said};
use super::params::{Mistyped, Reading, integer, known, text};
use crate::session::{Candidates, Conditions, Filter, Session, Table, Transport};
use crate::time::Now;

/// What a shard sees beside the record of a session.
pub struct Sight<'a> {
    /// What time it is.
    pub now: Now,
    /// Milliseconds since a session was last heard of; `None` when that is not known.
    pub silent_ms: &'a dyn Fn(&Session<'_>) -> Option<u64>,
}

/// Conditions; the default admits everybody.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Narrowing {
    transport: Option<Transport>,
    app_name: Option<CompactString>,
    app_version: Option<CompactString>,
    connected_before_ms: Option<u64>,
    connected_after_ms: Option<u64>,
    older_than_ms: Option<u64>,
    idle_longer_than_ms: Option<u64>,
    labels: Option<Filter>,
    expression: Option<Arc<Expression>>,
}

impl Narrowing {
    /// What an index may answer of it.
    fn conditions(&self) -> Conditions<'_> {
        Conditions {
            filter: self.labels.as_ref(),
            transport: self.transport,
            app_name: self.app_name.as_deref(),
            app_version: self.app_version.as_deref(),
        }
    }

    /// The sessions that it may admit, as far as indexes tell, and the steps that asking them took.
    pub(super) fn candidates(&self, table: &Table) -> (Candidates, usize) {
        table.candidates(&self.conditions())
    }

    /// Whether it admits everybody.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The filter of labels, when there is no other condition.
    pub(super) fn labels_alone(&self) -> Option<&Filter> {
        let is_alone = Self { labels: None, ..self.clone() }.is_empty();
        self.labels.as_ref().filter(|_| is_alone)
    }

    /// Whether a session can come to meet them by waiting.
    pub(super) const fn depends_on_time(&self) -> bool {
        self.older_than_ms.is_some() || self.idle_longer_than_ms.is_some()
    }

    /// Makes ready to look at many sessions.
    pub(super) fn begin(&self) -> Option<Evaluator> {
        self.expression.as_ref().map(Expression::begin)
    }

    /// Whether a session meets the conditions. What is cheap is looked at first.
    pub(super) fn admits(
        &self,
        session: &Session<'_>,
        sight: &Sight<'_>,
        evaluator: Option<&Evaluator>,
    ) -> Asked {
        let connected_ms = session.connected_at_ms();
        let age_ms = sight.now.unix_ms.saturating_sub(connected_ms);
        let is_met = self.connected_before_ms.is_none_or(|before| connected_ms < before)
            && self.connected_after_ms.is_none_or(|after| connected_ms >= after)
            && self.older_than_ms.is_none_or(|than| age_ms > than)
            && self.conditions().admit(session)
            && self.idle_longer_than_ms.is_none_or(|than| {
                (sight.silent_ms)(session).is_some_and(|silent_ms| silent_ms > than)
            });
        match evaluator {
            _ if !is_met => Asked { said: Said::No, steps: 0 },
            None => Asked { said: Said::Yes, steps: 0 },
            Some(evaluator) => evaluator.ask(session),
        }
    }
}

/// The conditions among a command's parameters, as given.
#[derive(Default)]
pub(super) struct Narrowings<'i> {
    transport: Option<&'i str>,
    app_name: Option<&'i str>,
    app_version: Option<&'i str>,
    connected_before: Option<i64>,
    connected_after: Option<i64>,
    older_than: Option<i64>,
    idle_longer_than: Option<i64>,
    expression: Option<&'i str>,
}

const KEYS: [&str; 8] = [
    "transport",
    "app_name",
    "app_version",
    "connected_before",
    "connected_after",
    "older_than",
    "idle_longer_than",
    "expression",
];

impl<'i> Narrowings<'i> {
    /// Reads one parameter, if it is a condition.
    pub(super) fn read(&mut self, key: &str, value: Value<'_, 'i>) -> Result<(), Mistyped> {
        match known(key, &KEYS) {
            key @ "transport" => text(&mut self.transport, key, value),
            key @ "app_name" => text(&mut self.app_name, key, value),
            key @ "app_version" => text(&mut self.app_version, key, value),
            key @ "connected_before" => integer(&mut self.connected_before, key, value),
            key @ "connected_after" => integer(&mut self.connected_after, key, value),
            key @ "older_than" => integer(&mut self.older_than, key, value),
            key @ "idle_longer_than" => integer(&mut self.idle_longer_than, key, value),
            key @ "expression" => text(&mut self.expression, key, value),
            _ => Ok(()),
        }
    }

    /// Whether something beside `expression` narrows, which Centrifugo does not know.
    pub(super) fn is_extended(&self) -> bool {
        let is_some = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        let numbers =
            [self.connected_before, self.connected_after, self.older_than, self.idle_longer_than];
        is_some(self.transport)
            || is_some(self.app_name)
            || is_some(self.app_version)
            || numbers.iter().flatten().any(|number| *number != 0)
    }

    /// What they mean together with a filter of labels. Empty texts and 0 are absent, because some clients always send
    /// every key.
    pub(super) fn checked(
        self,
        labels: Option<Filter>,
        reading: Reading<'_>,
    ) -> Result<Narrowing, ApiError> {
        let given = |text: Option<&'i str>| text.filter(|text| !text.is_empty());
        let read = |source| Expression::read(source, reading.options.queries.expression);
        Ok(Narrowing {
            transport: given(self.transport).map(transport).transpose()?,
            app_name: given(self.app_name).map(CompactString::from),
            app_version: given(self.app_version).map(CompactString::from),
            connected_before_ms: number("connected_before", self.connected_before)?,
            connected_after_ms: number("connected_after", self.connected_after)?,
            older_than_ms: seconds("older_than", self.older_than)?,
            idle_longer_than_ms: seconds("idle_longer_than", self.idle_longer_than)?,
            labels,
            expression: given(self.expression).map(read).transpose()?.map(Arc::new),
        })
    }
}

fn transport(name: &str) -> Result<Transport, ApiError> {
    Transport::named(name).ok_or_else(|| {
        let names: Vec<_> = Transport::names().collect();
        let names = names.join(", ");
        ApiError::bad_request(format_args!(
            "key \"transport\": expected one of {names}, got {name:?}"
        ))
    })
}

/// A number from 1 on; 0 is absent.
pub(super) fn number(key: &str, number: Option<i64>) -> Result<Option<u64>, ApiError> {
    let number = number.filter(|number| *number != 0);
    number
        .map(|number| {
            u64::try_from(number).map_err(|_negative| {
                ApiError::bad_request(format_args!(
                    "key \"{key}\": expected a number that is not negative, got {number}"
                ))
            })
        })
        .transpose()
}

fn seconds(key: &str, seconds: Option<i64>) -> Result<Option<u64>, ApiError> {
    Ok(number(key, seconds)?.map(|seconds| seconds.saturating_mul(1_000)))
}
