//! `disconnect`: ends the sessions of a user, or one session by its id.

use std::ops::RangeInclusive;

use compact_str::CompactString;
use simd_json::tape::Value;

use super::error::ApiError;
use super::fence::{self, Fence};
use super::params::{Fault, Place, Reading, integer, known, members, number, text};
use super::question::Question;
use super::selector::{Selector, Selectors};
use super::terms::{Terms, TermsGiven};
use crate::protocol::codes::{self, REASON_BYTES_MAX};
/// Codes that can be told: every transport can carry them and every SDK sorts by them, 3000 to 3499
/// and 4000 to 4499 let the client come back, the others do not (client protocol; RFC 6455 §7.4.2).
const CODES: RangeInclusive<u32> = 3000..=4999;

/// Code when the caller gives none.
const CODE_DEFAULT: u32 = 3503;

/// Reason when the caller gives none and the code is not one of the server's own.
const REASON_DEFAULT: &str = "disconnect";

/// The text that belongs to a code.
fn reason_of(code: u32) -> &'static str {
    let known = codes::DISCONNECTS.iter().find(|(known, _)| known.code == code);
    known.map_or(REASON_DEFAULT, |(known, _)| &known.reason)
}

/// Which sessions to end, and what to tell them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DisconnectParams {
    selector: Selector,
    /// Disconnect code the clients see, from 3000 to 4999.
    pub code: u32,
    /// Reason the clients see, at most [`REASON_BYTES_MAX`] bytes.
    pub reason: CompactString,
    /// How it is done.
    pub terms: Terms,
    /// What keeps them out afterwards.
    pub fence: Option<Box<Fence>>,
}

impl DisconnectParams {
    /// What our own code asks for.
    #[must_use]
    pub fn new(selector: Selector, code: u32, reason: &str) -> Self {
        debug_assert!(CODES.contains(&code) && reason.len() <= REASON_BYTES_MAX);
        Self { selector, code, reason: reason.into(), terms: Terms::default(), fence: None }
    }

    /// The same on other terms, and without a fence.
    pub(super) fn with_terms(&self, terms: Terms) -> Self {
        let Self { selector, code, reason, .. } = self.clone();
        Self { selector, code, reason, terms, fence: None }
    }

    /// Which sessions end.
    #[must_use]
    pub const fn selector(&self) -> &Selector {
        &self.selector
    }
}

/// Reads the selectors, the terms and `{"disconnect":{"code","reason"},"fence"}`.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    let (mut selectors, mut given) = (Selectors::default(), TermsGiven::default());
    let (mut told, mut fence) = (Told::default(), None);
    for (key, value) in params {
        match known(key, &["disconnect", "fence"]) {
            "disconnect" => told.read(value)?,
            key @ "fence" => integer(&mut fence, key, value)?,
            _ if given.read(key, value)? => {}
            _ => selectors.read(key, value)?,
        }
    }
    let selector = selectors.for_order(reading)?;
    let (code, reason) = told.checked()?;
    let params = DisconnectParams::new(selector, code, reason);
    let (terms, fence) = (given.terms(), fence::read(fence, params.selector())?);
    Ok(Question::Disconnect(Box::new(DisconnectParams { terms, fence, ..params })))
}

/// What the clients are told, as given.
#[derive(Default)]
struct Told<'i> {
    code: Option<u32>,
    reason: Option<&'i str>,
}

impl<'i> Told<'i> {
    fn read(&mut self, value: Value<'_, 'i>) -> Result<(), Fault> {
        for (key, value) in members(value, Place::Key("disconnect"))? {
            match known(key, &["code", "reason"]) {
                "code" => number(&mut self.code, "disconnect.code", value)?,
                "reason" => text(&mut self.reason, "disconnect.reason", value)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Code and reason, when they can be told. Code 0 is an absent one.
    fn checked(self) -> Result<(u32, &'i str), ApiError> {
        let code = self.code.filter(|code| *code != 0);
        let given = self.reason.filter(|reason| !reason.is_empty());
        let code = code.unwrap_or(CODE_DEFAULT);
        // Never none: clients look at the code only when there is a reason beside it.
        let reason = given.unwrap_or_else(|| reason_of(code));
        if !CODES.contains(&code) {
            return Err(ApiError::bad_request(format_args!(
                "key \"disconnect.code\": expected a code from 3000 to 4999, got {code}"
            )));
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(reason).is_ok() {
            return Err(ApiError::bad_request(
                "key \"disconnect.reason\": expected a text that is not JSON, which old clients \
                 take for advice whether to reconnect",
            ));
        }
        if reason.len() > REASON_BYTES_MAX {
            let bytes = reason.len();
            return Err(ApiError::bad_request(format_args!(
                "key \"disconnect.reason\": expected at most {REASON_BYTES_MAX} bytes, got {bytes}"
            )));
        }
        Ok((code, reason))
    }
}
