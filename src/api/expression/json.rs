//! JSON as a value of CEL: whole numbers that fit 64 bits with a sign are `int`, the others
//! `double`.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::common::types::CelNull;
use cel::common::value::Val;
use cel::objects::{Key, Map};

use super::cost::BYTES_PER_STEP;

/// No fewer than the values and keys in a text, and one more for every [`BYTES_PER_STEP`] of it.
pub(super) fn weight(json: &[u8]) -> usize {
    // Each but the first stands behind one of these.
    let separators = json.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{'));
    1 + separators.count() + json.len() / BYTES_PER_STEP
}

/// The value of a text. What is not JSON, or nested deeper than `serde_json` follows, is null: then
/// nothing can be read in it.
pub(super) fn value(json: &[u8]) -> Box<dyn Val> {
    let parsed = serde_json::from_slice(json).unwrap_or(serde_json::Value::Null);
    let value: Result<Box<dyn Val>, _> = convert(parsed).try_into();
    value.unwrap_or_else(|_not_plain| Box::new(CelNull))
}

fn convert(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(is) => Value::Bool(is),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(Arc::new(text)),
        serde_json::Value::Array(items) => {
            Value::List(Arc::new(items.into_iter().map(convert).collect()))
        }
        serde_json::Value::Object(members) => {
            let members = members.into_iter();
            let map: HashMap<_, _> =
                members.map(|(key, json)| (Key::String(Arc::new(key)), convert(json))).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}
