//! `update_labels`: sets labels of live sessions and takes labels away.

use std::collections::BTreeMap;

use simd_json::prelude::ValueIntoString;
use simd_json::tape::Value;

use super::error::ApiError;
use super::params::{Fault, Mistyped, Place, Reading, array, elements, known, members};
use super::question::Question;
use super::selector::Selectors;
use super::terms::TermsGiven;
use super::update::{Change, LabelChange, UpdateParams};

/// Reads the selectors, the terms and `{"set","unset"}`. A key in both is set.
pub(super) fn read<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    let (mut selectors, mut given) = (Selectors::default(), TermsGiven::default());
    let (mut set, mut unset) = (BTreeMap::new(), None);
    for (key, value) in params {
        match known(key, &["set", "unset"]) {
            "set" => set = texts(value)?,
            "unset" => array(&mut unset, "unset", value)?,
            _ if given.read(key, value)? => {}
            _ => selectors.read(key, value)?,
        }
    }
    let selector = selectors.for_order(reading)?;
    let limits = reading.options.labels;
    limits.check(&set).map_err(|why| ApiError::bad_request(format_args!("key \"set\": {why}")))?;
    let unset = elements(unset)
        .map(|key| {
            let text = key.into_string().map(ToOwned::to_owned);
            text.ok_or_else(|| Place::Element("unset").mistyped("a string", key))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if set.is_empty() && unset.is_empty() {
        let why = "nothing changes, expected labels in \"set\" or keys in \"unset\"";
        return Err(ApiError::bad_request(why).into());
    }
    let change = Change::Labels(LabelChange { set, unset, limits });
    Ok(Question::Update(Box::new(UpdateParams { selector, change, terms: given.terms() })))
}

fn texts(value: Value<'_, '_>) -> Result<BTreeMap<String, String>, Mistyped> {
    members(value, Place::Key("set"))?
        .map(|(key, value)| {
            let text = value.into_string().map(ToOwned::to_owned);
            let text = text.ok_or_else(|| Place::Element("set").mistyped("a string", value))?;
            Ok((key.to_owned(), text))
        })
        .collect()
}
