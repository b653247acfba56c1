//! `label_filter` as JSON (Centrifugo's `FilterNode`): `{"op","key","cmp","val","vals","nodes"}`.
//!
//! Whatever is wrong with one is error 107, also a wrong type, and the text says where it stands.

use simd_json::prelude::ValueIntoString;
use simd_json::tape::Value;

use super::error::ApiError;
use super::params::{Mistyped, Place, array, elements, known, members, text};
use crate::session::{Filter, FilterFields, FilterLimits, WrongField};

/// Reads the value of the key `label_filter`.
///
/// # Errors
/// 107 for what is no filter, makes no sense or is beyond the limits.
pub(super) fn read(value: Value<'_, '_>, limits: FilterLimits) -> Result<Filter, ApiError> {
    Filter::read(value, limits, |node| fields(node).map_err(WrongField::from))
        .map_err(|error| ApiError::bad_request(format_args!("label_filter{error}")))
}

fn fields<'t, 'i>(node: Value<'t, 'i>) -> Result<FilterFields<'i, Value<'t, 'i>>, Mistyped> {
    let [mut op, mut key, mut cmp, mut val] = [None; 4];
    let [mut vals, mut nodes] = [None; 2];
    for (name, value) in members(node, Place::Body)? {
        match known(name, &["op", "key", "cmp", "val", "vals", "nodes"]) {
            "op" => text(&mut op, "op", value)?,
            "key" => text(&mut key, "key", value)?,
            "cmp" => text(&mut cmp, "cmp", value)?,
            "val" => text(&mut val, "val", value)?,
            "vals" => array(&mut vals, "vals", value)?,
            "nodes" => array(&mut nodes, "nodes", value)?,
            _ => {}
        }
    }
    let listed = |value: Value<'_, 'i>| {
        value.into_string().ok_or_else(|| Place::Element("vals").mistyped("a string", value))
    };
    let text = Option::unwrap_or_default;
    Ok(FilterFields {
        op: text(op),
        key: text(key),
        cmp: text(cmp),
        val: text(val),
        vals: elements(vals).map(listed).collect::<Result<_, _>>()?,
        nodes: elements(nodes).collect(),
    })
}

impl From<Mistyped> for WrongField {
    fn from(mistyped: Mistyped) -> Self {
        let name = match mistyped.place() {
            Place::Key(name) | Place::Element(name) => name,
            Place::Body | Place::Command => "",
        };
        Self { name, why: mistyped.types() }
    }
}
