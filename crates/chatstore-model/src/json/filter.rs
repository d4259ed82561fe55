//! Whether a JSON value contains another one, as PostgreSQL's `@>` defines it, told from canonical texts alone.
//!
//! An object contains another one if it has each of its keys with a value that contains the other's. A list contains
//! another one if each element of that is equal to one of its own, or contained in one. Order and repetition do not
//! matter. Texts, numbers, truth values and null contain what is equal to them. Beside that, a list that is the whole
//! value contains what is equal to one of its elements.

use super::{CanonicalJson, Duplicates, InvalidJson};
use crate::limits;

/// A JSON value that others may contain. It has a maximum of [`limits::FILTER_VALUES`] values, because comparing lists
/// of lists takes time in proportion to both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFilter(CanonicalJson);

/// JSON that is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// It is not JSON, or holds U+0000.
    #[error("must be JSON: {0}")]
    Json(#[from] InvalidJson),
    /// It has too many values, or too many inside each other.
    #[error(
        "must have at most {} values, and at most {} lists and objects inside each other",
        limits::FILTER_VALUES,
        limits::JSON_DEPTH
    )]
    TooLarge,
}

impl JsonFilter {
    /// The filter for what contains `value`.
    ///
    /// # Errors
    /// [`InvalidFilter::TooLarge`].
    pub fn new(value: CanonicalJson) -> Result<Self, InvalidFilter> {
        let is_small = value.depth() <= limits::JSON_DEPTH
            && values_in(value.as_str().as_bytes(), limits::FILTER_VALUES).is_some();
        if is_small { Ok(Self(value)) } else { Err(InvalidFilter::TooLarge) }
    }

    /// Reads the filter from JSON. Of a key that an object names twice the last value counts.
    ///
    /// # Errors
    /// [`InvalidFilter`].
    pub fn parse(text: &str) -> Result<Self, InvalidFilter> {
        Self::new(CanonicalJson::parse_with(text, Duplicates::LastCounts)?)
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &CanonicalJson {
        &self.0
    }

    /// The filter, prepared for being compared with many values.
    #[must_use]
    pub fn matcher(&self) -> JsonMatcher<'_> {
        JsonMatcher(Part::of(self.0.as_str().as_bytes()))
    }
}

/// A filter that is prepared for being compared with many values.
#[derive(Debug)]
pub struct JsonMatcher<'f>(Part<'f>);

impl JsonMatcher<'_> {
    /// Whether the value with this canonical text, as [`CanonicalJson::as_str`] has it, contains the filter's value.
    #[must_use]
    pub fn is_contained_in(&self, canonical: &str) -> bool {
        let value = canonical.as_bytes();
        match &self.0 {
            Part::Scalar(scalar) if is_list(value) => items(value).any(|item| item == *scalar),
            part => part.is_contained_in(value),
        }
    }
}

/// A value of a filter, taken apart.
#[derive(Debug)]
enum Part<'f> {
    Scalar(&'f [u8]),
    List {
        /// In order, each once.
        scalars: Vec<&'f [u8]>,
        containers: Vec<Self>,
    },
    /// In the order of the keys, as canonical texts have them.
    Object(Vec<(&'f [u8], Self)>),
}

impl<'f> Part<'f> {
    fn of(value: &'f [u8]) -> Self {
        if is_list(value) {
            let (mut containers, mut scalars): (Vec<&[u8]>, Vec<&[u8]>) =
                items(value).partition(|item| is_container(item));
            for texts in [&mut containers, &mut scalars] {
                texts.sort_unstable();
                texts.dedup();
            }
            return Self::List { scalars, containers: containers.into_iter().map(Self::of).collect() };
        }
        if is_container(value) {
            return Self::Object(entries(value).map(|(key, value)| (key, Self::of(value))).collect());
        }
        Self::Scalar(value)
    }

    fn is_contained_in(&self, value: &[u8]) -> bool {
        match self {
            Self::Scalar(scalar) => value == *scalar,
            Self::List { scalars, containers } => is_list(value) && has_items(value, scalars, containers),
            Self::Object(parts) => is_container(value) && !is_list(value) && has_entries(value, parts),
        }
    }
}

fn has_items(list: &[u8], scalars: &[&[u8]], containers: &[Part<'_>]) -> bool {
    let mut is_found = vec![false; scalars.len()];
    let mut missing_scalars = scalars.len();
    let mut missing_containers: Vec<&Part<'_>> = containers.iter().collect();
    let mut items = items(list);
    while missing_scalars > 0 || !missing_containers.is_empty() {
        let Some(item) = items.next() else { return false };
        if is_container(item) {
            missing_containers.retain(|part| !part.is_contained_in(item));
        } else if let Ok(place) = scalars.binary_search(&item)
            && !is_found[place]
        {
            is_found[place] = true;
            missing_scalars -= 1;
        }
    }
    true
}

/// Both have their keys in the same order, so that one pass finds all of them.
fn has_entries(object: &[u8], parts: &[(&[u8], Part<'_>)]) -> bool {
    let mut entries = entries(object);
    parts.iter().all(|(key, part)| {
        entries.find(|(own, _)| own == key).is_some_and(|(_, value)| part.is_contained_in(value))
    })
}

/// How many values there are in one, itself included; `None` if more than `most`.
fn values_in(value: &[u8], most: usize) -> Option<usize> {
    let mut count = 1;
    let mut add = |inner: &[u8]| {
        count += values_in(inner, most)?;
        (count <= most).then_some(())
    };
    if is_list(value) {
        items(value).try_for_each(&mut add)?;
    } else if is_container(value) {
        entries(value).try_for_each(|(_, inner)| add(inner))?;
    }
    (count <= most).then_some(count)
}

fn is_list(value: &[u8]) -> bool {
    value.first() == Some(&b'[')
}

fn is_container(value: &[u8]) -> bool {
    matches!(value.first(), Some(b'[' | b'{'))
}

/// The elements of a list.
fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Rest::of(list);
    std::iter::from_fn(move || rest.next_value())
}

/// The entries of an object: each key with its quotes, and its value.
fn entries(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Rest::of(object);
    std::iter::from_fn(move || Some((rest.next_value()?, rest.next_value()?)))
}

/// What is left of a list or an object, behind a bracket, comma or colon.
struct Rest<'t> {
    bytes: &'t [u8],
    position: usize,
}

impl<'t> Rest<'t> {
    const fn of(container: &'t [u8]) -> Self {
        Self { bytes: container, position: 1 }
    }

    fn next_value(&mut self) -> Option<&'t [u8]> {
        let start = self.position;
        if matches!(self.bytes.get(start), None | Some(b']' | b'}')) {
            return None;
        }
        let end = end_of_value(self.bytes, start);
        self.position = match self.bytes.get(end) {
            Some(b',' | b':') => end + 1,
            _ => end,
        };
        self.bytes.get(start..end)
    }
}

fn end_of_value(bytes: &[u8], start: usize) -> usize {
    match bytes[start] {
        b'"' => end_of_text(bytes, start),
        b'[' | b'{' => end_of_container(bytes, start),
        _ => {
            let length = bytes[start..].iter().position(|byte| matches!(byte, b',' | b']' | b'}'));
            length.map_or(bytes.len(), |length| start + length)
        }
    }
}

fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut position = start + 1;
    while let Some(next) =
        bytes.get(position..).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'"' | b'\\')))
    {
        position += next;
        if bytes[position] == b'"' {
            return position + 1;
        }
        position += 2;
    }
    bytes.len()
}

fn end_of_container(bytes: &[u8], start: usize) -> usize {
    let (mut position, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => {
                position = end_of_text(bytes, position);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        position += 1;
        if depth == 0 {
            return position;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(document: &str, filter: &str) -> bool {
        let document = CanonicalJson::parse_with(document, Duplicates::LastCounts).unwrap();
        JsonFilter::parse(filter).unwrap().matcher().is_contained_in(document.as_str())
    }

    #[test]
    fn a_value_contains_what_postgres_says_it_contains() {
        for (document, filter) in [
            (r#"{"a": 1, "b": 2}"#, r#"{"b": 2}"#),
            (r#"{"a": 1}"#, "{}"),
            ("[1, 2, 3]", "[3, 1, 1, 3]"),
            ("[1, 2]", "[]"),
            ("[]", "[]"),
            ("[1, [2, 3]]", "[[3]]"),
            ("[[1], [2]]", "[[1], [2], []]"),
            (r#"[{"a": 1, "b": [1, 2]}]"#, r#"[{"b": [2]}, {"a": 1}]"#),
            (r#"{"a": {"b": {"c": null, "d": 1}}}"#, r#"{"a": {"b": {"c": null}}}"#),
            (r#"["foo", "bar"]"#, r#""bar""#),
            ("[1, null]", "null"),
            ("1", "1.0"),
            ("[1e0]", "[1]"),
            (r#"{"a": 1.50}"#, r#"{"a": 15e-1}"#),
            ("[9007199254740993]", "9007199254740993"),
            (r#"{"a": 1, "a": 2}"#, r#"{"a": 3, "a": 2}"#),
            (r#"{"é\"]}": "知\n"}"#, r#"{"\u00e9\"]}": "\u77e5\u000a"}"#),
            (r#"{"": [true]}"#, r#"{"": [true]}"#),
        ] {
            assert!(contains(document, filter), "{document} contains {filter}");
        }
    }

    #[test]
    fn a_value_does_not_contain_what_postgres_says_it_does_not() {
        for (document, filter) in [
            (r#"{"a": 1}"#, r#"{"a": 2}"#),
            (r#"{"a": 1}"#, r#"{"b": 1}"#),
            (r#"{"a": {"b": 1}}"#, r#"{"b": 1}"#),
            (r#"{"a": [1, 2]}"#, r#"{"a": 1}"#),
            (r#"{"a": 1}"#, r#"{"a": [1]}"#),
            ("[1, 2]", "[[1]]"),
            ("[[1, 2]]", "[1]"),
            ("[[1, 2]]", "1"),
            ("[[1], [2]]", "[[1, 2]]"),
            (r#""foo""#, r#"["foo"]"#),
            ("1", "[]"),
            ("1", "{}"),
            ("[]", "{}"),
            ("{}", "[]"),
            (r#"[{"a": 1}]"#, r#"{"a": 1}"#),
            (r#"{"a": 1}"#, r#"[{"a": 1}]"#),
            (r#"{"a": 1}"#, r#""a""#),
            (r#"{"a": null}"#, r#"{"b": null}"#),
            ("[1]", r#""1""#),
            ("[0]", "[false]"),
            ("9007199254740993", "9007199254740992"),
            (r#""é""#, r#""e\u0301""#),
            (r#"{"a": {"x": 1}, "b": {"y": 2}}"#, r#"{"a": {"y": 2}}"#),
        ] {
            assert!(!contains(document, filter), "{document} does not contain {filter}");
        }
    }

    #[test]
    fn a_filter_has_a_maximum_number_of_values_and_depth() {
        let list = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert!(JsonFilter::parse(&list(limits::FILTER_VALUES - 1)).is_ok());
        assert_eq!(JsonFilter::parse(&list(limits::FILTER_VALUES)), Err(InvalidFilter::TooLarge));
        let deep = |depth: usize| CanonicalJson::new(nested(depth)).unwrap();
        assert!(JsonFilter::new(deep(limits::JSON_DEPTH)).is_ok());
        assert_eq!(JsonFilter::new(deep(limits::JSON_DEPTH + 1)), Err(InvalidFilter::TooLarge));
        assert!(matches!(JsonFilter::parse("{"), Err(InvalidFilter::Json(_))));
        assert!(matches!(JsonFilter::parse(r#""\u0000""#), Err(InvalidFilter::Json(InvalidJson::Nul))));
    }

    fn nested(depth: usize) -> serde_json::Value {
        (0..depth).fold(serde_json::Value::Null, |inner, _| serde_json::Value::Array(vec![inner]))
    }
}
