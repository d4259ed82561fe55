//! One row of a source, read field by field; what does not fit is reported and kept aside.

mod layout;
mod message;
pub(super) mod moment;
mod zones;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chatstore_model::{CanonicalJson, Timestamp, limits};
use chatstore_sql::ExternalValue;
use serde_json::{Map, Value};

use crate::report::Issue;
use moment::Moment;

pub(super) use message::{content, role_of};

/// The declared type of a column that holds JSON, and of one whose values say themselves what they are.
pub(super) const JSON: &str = "json";
pub(super) const LOOSE: &str = "loose";

pub(super) use layout::Layout;
pub(super) use zones::TimesWithoutZone;

/// Characters of a value that a report quotes.
const QUOTED: usize = 60;

/// Characters that are kept of a text too long for metadata.
const BEGINNING: usize = 1_000;

/// A row, with what was noted about it and what has no field of its own.
pub(super) struct Row<'r> {
    layout: &'r Layout,
    values: &'r [ExternalValue],
    /// What identifies it in its table.
    pub(super) key: String,
    pub(super) source: Map<String, Value>,
    pub(super) issues: Vec<Issue>,
    /// Columns with a time that has no zone.
    pub(super) without_zone: Vec<&'static str>,
}

impl<'r> Row<'r> {
    /// The row, with its unknown columns kept aside.
    pub(super) fn new(layout: &'r Layout, values: &'r [ExternalValue], key_field: &str) -> Self {
        let key = shown(layout.value(values, key_field));
        let mut row =
            Self { layout, values, key, source: Map::new(), issues: Vec::new(), without_zone: Vec::new() };
        for index in layout.unknown() {
            let column = &layout.table.columns[index];
            if values[index] != ExternalValue::Null {
                let value = row.json(&column.name, &values[index], column.declared.starts_with("json"));
                row.source.insert(column.name.clone(), value);
            }
        }
        row
    }

    pub(super) fn value(&self, field: &str) -> &'r ExternalValue {
        self.layout.value(self.values, field)
    }

    /// The declared type of a described column.
    pub(super) fn declared(&self, field: &str) -> Option<&'r str> {
        let place = self.layout.place(field)?;
        self.layout.table.columns.get(place).map(|column| column.declared.as_str())
    }

    pub(super) fn is_null(&self, field: &str) -> bool {
        *self.value(field) == ExternalValue::Null
    }

    pub(super) fn report(
        &mut self,
        field: Option<&str>,
        problem: impl Into<String>,
        done: impl Into<String>,
    ) {
        let column = field.map(|field| self.layout.column(field).unwrap_or(field).to_owned());
        let problem = problem.into();
        // A key is read as a text and kept aside as well.
        if self.issues.iter().any(|issue| issue.column == column && issue.problem == problem) {
            return;
        }
        let issue = Issue::of_row(self.layout.name, &self.key, problem, done);
        self.issues.push(Issue { column, ..issue });
    }

    /// Reports something of a column that a person should look at.
    pub(super) fn report_for_review(&mut self, column: &str, problem: &str, done: &str) {
        let issue = Issue::of_row(self.layout.name, &self.key, problem, done).in_column(column);
        self.issues.push(issue.needing_review());
    }

    /// Reports a field whose value is of no use, and keeps it aside.
    fn misfit(&mut self, field: &str, problem: &str, done: impl Into<String>) {
        self.report(Some(field), format!("{} {problem}", quoted(self.value(field))), done);
        self.keep(field);
    }

    /// Keeps a field's value aside as it is.
    pub(super) fn keep(&mut self, field: &str) {
        let value = self.value(field);
        if *value != ExternalValue::Null {
            let value = self.json(field, value, false);
            self.source.insert(field.to_owned(), value);
        }
    }

    /// Keeps a field's JSON aside.
    pub(super) fn keep_json(&mut self, field: &str) {
        let value = self.json(field, self.value(field), true);
        self.source.insert(field.to_owned(), value);
    }

    /// A text of whatever length.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        match self.value(field) {
            ExternalValue::Null => None,
            ExternalValue::Text(text) if !text.contains('\0') => Some(text.clone()),
            ExternalValue::Text(text) => {
                self.keep_bytes(field, text.as_bytes());
                self.report(Some(field), "it holds the NUL character", "replaced by U+FFFD");
                Some(text.replace('\0', "\u{fffd}"))
            }
            ExternalValue::Bytes(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                let is_whole = std::str::from_utf8(bytes).is_ok();
                let done = if is_whole {
                    "read as UTF-8"
                } else {
                    "read as UTF-8, with U+FFFD for the rest; the bytes are in metadata.source"
                };
                if !is_whole || text.contains('\0') {
                    self.keep_bytes(field, bytes);
                }
                self.report(Some(field), "it holds bytes instead of text", done);
                Some(text.replace('\0', "\u{fffd}"))
            }
            other => Some(shown(other)),
        }
    }

    /// A text with a maximum number of characters; the whole is kept aside when it is truncated.
    pub(super) fn text_within(&mut self, field: &str, most: usize) -> Option<String> {
        let text = self.text(field)?;
        let Some((end, _)) = text.char_indices().nth(most) else { return Some(text) };
        let length = text.chars().count();
        self.report(
            Some(field),
            format!("it has {length} characters, {most} are allowed"),
            "truncated; the whole text is in metadata.source",
        );
        self.source.entry(field).or_insert_with(|| text.clone().into());
        Some(text[..end].to_owned())
    }

    /// As [`text_within`](Self::text_within), where an empty text is none.
    pub(super) fn filled_text(&mut self, field: &str, most: usize) -> Option<String> {
        let text = self.text_within(field, most)?;
        if text.is_empty() {
            self.report(Some(field), "it is empty", "treated as null");
            self.source.insert(field.to_owned(), text.into());
            return None;
        }
        Some(text)
    }

    /// A count, which is not negative.
    pub(super) fn count(&mut self, field: &str) -> Option<i64> {
        let number = match self.value(field) {
            ExternalValue::Null => return None,
            ExternalValue::Int(number) => Some(*number),
            #[allow(clippy::cast_possible_truncation, reason = "whole numbers below 2^53 only")]
            ExternalValue::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Some(*number as i64)
            }
            ExternalValue::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| (0..=limits::COUNT).contains(number)) {
            return Some(number);
        }
        let problem = format!("is not a count from 0 to {}", limits::COUNT);
        self.misfit(field, &problem, "left empty; the value is in metadata.source");
        None
    }

    /// A truth value; `missing` where there is none, `otherwise` where it is unreadable.
    pub(super) fn flag(&mut self, field: &str, missing: bool, otherwise: bool) -> bool {
        let flag = match self.value(field) {
            ExternalValue::Null => return missing,
            ExternalValue::Bool(flag) => Some(*flag),
            ExternalValue::Int(0) => Some(false),
            ExternalValue::Int(1) => Some(true),
            ExternalValue::Text(text) => match text.trim().to_lowercase().as_str() {
                "0" | "f" | "false" | "n" | "no" => Some(false),
                "1" | "t" | "true" | "y" | "yes" => Some(true),
                _ => None,
            },
            _ => None,
        };
        flag.unwrap_or_else(|| {
            let done = format!("taken as {otherwise}; it is in metadata.source");
            self.misfit(field, "is neither true nor false", done);
            otherwise
        })
    }

    /// A time, when there is a usable one.
    pub(super) fn time(&mut self, field: &'static str) -> Option<Timestamp> {
        let place = self.layout.place(field)?;
        let declared = &self.layout.table.columns[place].declared;
        let has_zone = declared == "timestamptz" || declared.contains("with time zone");
        let value = &self.values[place];
        let moment =
            if declared == LOOSE { moment::read_loose(value) } else { moment::read(value, has_zone) };
        match moment {
            Moment::Missing => None,
            Moment::Instant(instant) => Some(instant),
            Moment::WithoutZone(instant) => {
                self.without_zone.push(field);
                Some(instant)
            }
            Moment::OtherForm(instant, form) => {
                let done = format!("read as {instant}; the original is in metadata.source");
                self.misfit(field, &format!("is {form}"), done);
                Some(instant)
            }
            Moment::Unusable => {
                let done = "taken from the rows around it; the original is in metadata.source";
                self.misfit(field, "is not a time", done);
                None
            }
        }
    }

    /// A time, else the one that is taken instead, which is reported when nothing was said yet.
    pub(super) fn time_or(&mut self, field: &'static str, instead: Timestamp) -> Timestamp {
        let is_null = self.is_null(field);
        self.time(field).unwrap_or_else(|| {
            if is_null && self.layout.place(field).is_some() {
                self.report(Some(field), "it is null", format!("taken from the rows around it: {instead}"));
            }
            instead
        })
    }

    /// `{"source": …}` within the limit of metadata.
    pub(super) fn metadata(&mut self) -> CanonicalJson {
        loop {
            let source = Value::Object(std::mem::take(&mut self.source));
            let Ok(json) = CanonicalJson::new(Value::Object(Map::from_iter([("source".to_owned(), source)])))
            else {
                self.report(None, "a column's name holds the NUL character", "unknown columns are left out");
                return CanonicalJson::object();
            };
            if json.depth() <= limits::JSON_DEPTH && json.as_str().len() <= limits::METADATA_BYTES {
                return json;
            }
            if let Value::Object(mut metadata) = json.to_value()
                && let Some(Value::Object(source)) = metadata.remove("source")
            {
                self.source = source;
            }
            self.cut_largest();
        }
    }

    /// Cuts the largest of what is kept aside.
    fn cut_largest(&mut self) {
        let largest = self.source.iter().max_by_key(|(_, value)| value.to_string().len());
        let Some(name) = largest.map(|(name, _)| name.clone()) else { return };
        let text = match self.source.remove(&name) {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let beginning: String = text.chars().take(BEGINNING).collect();
        // A beginning that is the largest still belongs to a row of very many columns.
        let done = if beginning.len() < text.len() {
            self.source.insert(name.clone(), beginning.into());
            "only its beginning is kept"
        } else {
            "left out"
        };
        self.report(Some(&name), "it is too large for metadata, whose limit is 65,536 bytes", done);
    }

    fn keep_bytes(&mut self, field: &str, bytes: &[u8]) {
        self.source.insert(field.to_owned(), base64_of(bytes));
    }

    /// A value as JSON; what JSON or the databases cannot hold is written otherwise.
    fn json(&mut self, field: &str, value: &ExternalValue, is_json: bool) -> Value {
        match value {
            ExternalValue::Null => Value::Null,
            ExternalValue::Bool(flag) => Value::Bool(*flag),
            ExternalValue::Int(number) => (*number).into(),
            ExternalValue::Real(number) => {
                serde_json::Number::from_f64(*number).map_or_else(|| number.to_string().into(), Value::Number)
            }
            ExternalValue::Bytes(bytes) => base64_of(bytes),
            ExternalValue::Text(text) => {
                if is_json && let Ok(json) = CanonicalJson::parse(text) {
                    return json.to_value();
                }
                if text.contains('\0') {
                    self.report(Some(field), "it holds the NUL character", "replaced by U+FFFD");
                }
                text.replace('\0', "\u{fffd}").into()
            }
        }
    }
}

fn base64_of(bytes: &[u8]) -> Value {
    serde_json::json!({ "base64": STANDARD.encode(bytes) })
}

/// A value as text.
pub(super) fn shown(value: &ExternalValue) -> String {
    match value {
        ExternalValue::Null => "null".to_owned(),
        ExternalValue::Bool(flag) => flag.to_string(),
        ExternalValue::Int(number) => number.to_string(),
        ExternalValue::Real(number) => number.to_string(),
        ExternalValue::Text(text) => text.clone(),
        ExternalValue::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The beginning of a value, for a report.
pub(super) fn quoted(value: &ExternalValue) -> String {
    let text = shown(value);
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
