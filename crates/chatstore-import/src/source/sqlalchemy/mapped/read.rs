//! Reads the fields of a row as a mapping says.

use std::collections::BTreeMap;

use chatstore_model::Timestamp;
use chatstore_sql::ExternalValue;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::super::json::json;
use super::super::mapping::{TimeForm, ValueMap};
use crate::source::row::moment::{self, Moment};

/// Where a value is in a row.
#[derive(Debug, Clone)]
pub(super) enum Read {
    Cell { index: usize, is_json: bool, path: Vec<String> },
    Constant(String),
    Joined { parts: Vec<Read>, separator: String },
    First(Vec<Read>),
}

/// A field of ours, and how it is read.
#[derive(Debug)]
pub(super) struct ReadField {
    pub(super) name: &'static str,
    pub(super) read: Read,
    pub(super) map: ValueMap,
}

type Raw = Box<RawValue>;

impl ReadField {
    /// The value of the field as JSON; none where it is null.
    pub(super) fn value(&self, row: &[ExternalValue]) -> Option<Raw> {
        let read = self.read.value(row);
        let read = if self.map.values.is_empty() && self.map.otherwise.is_none() {
            read
        } else {
            let named = read.as_deref().and_then(text_of);
            let mapped = named.as_ref().and_then(|text| self.map.values.get(text));
            match mapped.or(self.map.otherwise.as_ref()) {
                Some(text) => to_raw_value(text).ok(),
                None => read,
            }
        }?;
        match self.name {
            "created_at" | "updated_at" => Some(self.time(read)),
            "content" => Some(content(read)),
            "parts" => parts(&read),
            "used_documents" => Some(nested(read)),
            _ => Some(read),
        }
    }

    /// A time in our form; one that is not in the form of the mapping is an object, which is no time.
    fn time(&self, raw: Raw) -> Raw {
        let zone = self.map.zone.clone().unwrap_or(TimeZone::UTC);
        let instant = match &self.map.time {
            None if self.map.zone.is_none() => return raw,
            None => match moment::read_loose(&external(&raw)) {
                Moment::WithoutZone(instant) => in_zone(instant, &zone),
                other => other.instant(),
            },
            Some(TimeForm::Epoch(per_second)) => since_1970(&raw, *per_second),
            Some(TimeForm::Pattern(pattern)) => by_pattern(&raw, pattern, &zone),
        };
        let written = match instant {
            Some(instant) => to_raw_value(&instant.to_string()),
            None => to_raw_value(&BTreeMap::from([("unreadable", &raw)])),
        };
        written.unwrap_or(raw)
    }
}

impl Read {
    fn value(&self, row: &[ExternalValue]) -> Option<Raw> {
        match self {
            Self::Cell { index, is_json, path } => {
                let value = row.get(*index)?;
                if path.is_empty() { json(value, *is_json) } else { within(value, path) }
            }
            Self::Constant(text) => to_raw_value(text).ok(),
            Self::Joined { parts, separator } => {
                let parts: Option<Vec<String>> =
                    parts.iter().map(|part| part.value(row).as_deref().and_then(text_of)).collect();
                to_raw_value(&parts?.join(separator)).ok()
            }
            Self::First(reads) => reads.iter().find_map(|read| read.value(row)),
        }
    }

    /// The place of a value in which it should find JSON, and which holds none.
    pub(super) fn place_without_json(&self, row: &[ExternalValue]) -> Option<usize> {
        match self {
            Self::Cell { index, path, .. } if !path.is_empty() => {
                let text = row.get(*index).and_then(text_in)?;
                serde_json::from_str::<&RawValue>(text).is_err().then_some(*index)
            }
            Self::Cell { .. } | Self::Constant(_) => None,
            Self::Joined { parts, .. } | Self::First(parts) => {
                parts.iter().find_map(|part| part.place_without_json(row))
            }
        }
    }
}

fn text_in(value: &ExternalValue) -> Option<&str> {
    match value {
        ExternalValue::Text(text) => Some(text),
        ExternalValue::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// What is at the end of a path; none where there is nothing, or null.
fn within(value: &ExternalValue, path: &[String]) -> Option<Raw> {
    let mut found: &RawValue = serde_json::from_str(text_in(value)?).ok()?;
    for step in path {
        found = if found.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(found.get()).ok()?;
            items.get(step.parse::<usize>().ok()?).copied()?
        } else {
            let entries: BTreeMap<String, &RawValue> = serde_json::from_str(found.get()).ok()?;
            entries.get(step).copied()?
        };
    }
    (found.get() != "null").then(|| found.to_owned())
}

/// A text, or a number or truth value as it is written.
pub(super) fn text_of(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

/// The text of content: of a list, the texts in it, one after the other.
fn content(raw: Raw) -> Raw {
    let Ok(Value::Array(items)) = serde_json::from_str::<Value>(raw.get()) else { return raw };
    let texts = items.iter().filter_map(|item| match item {
        Value::String(text) => Some(text.as_str()),
        item => item.get("text").and_then(Value::as_str),
    });
    to_raw_value(&texts.collect::<String>()).unwrap_or(raw)
}

/// A list of objects; an object alone is a list of one, and anything else is no parts.
fn parts(raw: &Raw) -> Option<Raw> {
    let raw = nested(raw.clone());
    match raw.get().as_bytes().first()? {
        b'[' => Some(raw),
        b'{' => RawValue::from_string(format!("[{}]", raw.get())).ok(),
        _ => None,
    }
}

/// The JSON in a text of JSON.
fn nested(raw: Raw) -> Raw {
    let Ok(text) = serde_json::from_str::<String>(raw.get()) else { return raw };
    let is_nested = text.trim_start().starts_with(['{', '[']);
    match RawValue::from_string(text.trim().to_owned()) {
        Ok(inner) if is_nested => inner,
        _ => raw,
    }
}

fn external(raw: &RawValue) -> ExternalValue {
    match serde_json::from_str(raw.get()) {
        Ok(Value::String(text)) => ExternalValue::Text(text),
        Ok(Value::Number(number)) => match number.as_i64() {
            Some(number) => ExternalValue::Int(number),
            None => number.as_f64().map_or(ExternalValue::Null, ExternalValue::Real),
        },
        _ => ExternalValue::Null,
    }
}

fn since_1970(raw: &RawValue, per_second: i64) -> Option<Timestamp> {
    let text = text_of(raw)?;
    let microseconds = match text.trim().parse::<i128>() {
        Ok(number) => (number * 1_000_000).div_euclid(i128::from(per_second)),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "its range is checked below"
        )]
        Err(_) => (text.trim().parse::<f64>().ok()? * (1_000_000.0 / per_second as f64)).round() as i128,
    };
    Timestamp::from_microseconds(i64::try_from(microseconds).ok()?).ok()
}

fn by_pattern(raw: &RawValue, pattern: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text_of(raw)?;
    let parsed = jiff::fmt::strtime::BrokenDownTime::parse(pattern, text.trim()).ok()?;
    let instant = match parsed.to_timestamp() {
        Ok(instant) => instant,
        Err(_) => {
            let date_time: DateTime = parsed
                .to_datetime()
                .or_else(|_| parsed.to_date().map(|date: Date| date.at(0, 0, 0, 0)))
                .ok()?;
            zone.to_timestamp(date_time).ok()?
        }
    };
    timestamp(instant)
}

/// A time that was taken as UTC, in the zone that it is in.
fn in_zone(instant: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let utc = jiff::Timestamp::from_microsecond(instant.as_microseconds()).ok()?;
    timestamp(zone.to_timestamp(TimeZone::UTC.to_datetime(utc)).ok()?)
}

fn timestamp(instant: jiff::Timestamp) -> Option<Timestamp> {
    Timestamp::from_microseconds(instant.as_microsecond()).ok()
}
