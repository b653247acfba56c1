//! `update_meta`: replaces what the backend attached to live sessions.

use simd_json::tape::Value;

use super::error::ApiError;
use super::params::{Fault, Reading};
use super::question::Question;
use super::selector::Selectors;
use super::terms::TermsGiven;
use super::update::{Change, UpdateParams};
use crate::protocol::json;

/// Bytes of a `meta` without spaces: it is kept once for each session selected. A longer one is
/// error 107 (`a_meta_that_is_too_long_is_refused`).
const META_BYTES_MAX: usize = 64 * 1024;

/// Reads the selectors, the terms and `{"meta"?}`; no `meta`, or `null`, takes it away.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    let (mut selectors, mut given) = (Selectors::default(), TermsGiven::default());
    for (key, value) in params {
        if !given.read(key, value)? {
            selectors.read(key, value)?;
        }
    }
    let selector = selectors.for_order(reading)?;
    let raw = reading
        .raw
        .param("update_meta", "meta")
        .map_err(|why| ApiError::bad_request(format_args!("key \"meta\": expected JSON, {why}")))?;
    let mut meta = Vec::new();
    json::write_raw(&mut meta, raw.unwrap_or("null").as_bytes());
    if meta.len() > META_BYTES_MAX {
        let bytes = meta.len();
        return Err(ApiError::bad_request(format_args!(
            "key \"meta\": expected at most {META_BYTES_MAX} bytes, got {bytes}"
        ))
        .into());
    }
    let change = Change::Meta((meta != b"null").then(|| meta.into()));
    Ok(Question::Update(Box::new(UpdateParams { selector, change, terms: given.terms() })))
}
