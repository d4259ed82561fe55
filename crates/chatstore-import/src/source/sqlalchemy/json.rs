//! Values of columns as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chatstore_sql::ExternalValue;
use serde_json::value::RawValue;

/// A value as JSON text; null where there is none.
pub(super) fn json(value: &ExternalValue, is_json: bool) -> Option<Box<RawValue>> {
    let written = match value {
        ExternalValue::Null => return None,
        ExternalValue::Bool(flag) => serde_json::value::to_raw_value(flag),
        ExternalValue::Int(number) => serde_json::value::to_raw_value(number),
        ExternalValue::Real(number) if number.is_finite() => serde_json::value::to_raw_value(number),
        ExternalValue::Real(number) => serde_json::value::to_raw_value(&number.to_string()),
        ExternalValue::Text(text) if is_json => {
            let parsed = RawValue::from_string(text.clone());
            parsed.or_else(|_| serde_json::value::to_raw_value(text))
        }
        ExternalValue::Text(text) => serde_json::value::to_raw_value(text),
        ExternalValue::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::value::to_raw_value(text),
            Err(_) => serde_json::value::to_raw_value(&STANDARD.encode(bytes)),
        },
    };
    written.ok()
}
