//! Both databases find what contains a value by the rules of a plain reference: random documents, random filters.
//!
//! `CHATSTORE_TEST_PAIRS` is how many pairs of a document and a filter are compared, 4,000 by default.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a case that meets the unexpected fails at once"
)]

use std::collections::BTreeSet;

use chatstore_model::{
    CanonicalJson, DocumentFilter, DocumentId, Duplicates, JsonFilter, Limit, NewDocument, NewUser, UserId,
    UserName,
};
use chatstore_sql::DocumentList;
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Number, Value};

conformance!(random_documents_are_found_by_random_filters_as_the_reference_says);

const PAIRS: &str = "CHATSTORE_TEST_PAIRS";
const DOCUMENTS: usize = 80;

/// Keys and scalars as JSON, few enough to meet; some are one value in several spellings.
const KEYS: &[&str] = &[
    r#""""#,
    r#""a""#,
    r#""b""#,
    r#""\u0061""#,
    r#""é""#,
    r#""e\u0301""#,
    r#""知""#,
    r#""0""#,
    r#""\"]}""#,
    r#""a,b""#,
];
const SCALARS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0.0",
    "1",
    "1.0",
    "1e0",
    "10e-1",
    "1.5",
    "15e-1",
    "0.1",
    "1e300",
    "5e-324",
    "-1",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551615",
    "-9223372036854775808",
    "1e19",
    "10000000000000000000",
    r#""""#,
    r#""1""#,
    r#""null""#,
    r#""a""#,
    r#""\u0061""#,
    r#""é""#,
    r#""e\u0301""#,
    r#""知""#,
    r#""\\""#,
    r#""[{\"a\":1}]""#,
    r#""\n""#,
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// JSON text with a maximum of this many lists and objects inside each other.
    fn json(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 10 }) {
            0..4 => self.pick(SCALARS).to_owned(),
            4..7 => {
                let items: Vec<String> = (0..self.below(5)).map(|_| self.json(depth - 1)).collect();
                format!("[{}]", items.join(", "))
            }
            _ => self.object(depth),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        let entries: Vec<String> =
            (0..self.below(5)).map(|_| format!("{}: {}", self.pick(KEYS), self.json(depth - 1))).collect();
        format!("{{{}}}", entries.join(", "))
    }

    /// A part of a value that it contains, or that has something else in a place.
    fn part(&mut self, value: &Value) -> Value {
        if self.below(25) == 0 {
            return parsed(&self.json(1));
        }
        match value {
            Value::Array(items) => {
                let mut parts = Vec::new();
                for item in items {
                    for _ in 0..self.below(3) {
                        parts.push(self.part(item));
                    }
                }
                parts.reverse();
                Value::Array(parts)
            }
            Value::Object(entries) => {
                let mut parts = serde_json::Map::new();
                for (key, value) in entries {
                    if self.below(2) == 0 {
                        parts.insert(key.clone(), self.part(value));
                    }
                }
                Value::Object(parts)
            }
            scalar => scalar.clone(),
        }
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What PostgreSQL's manual says of `@>`, written down as plainly as it can be.
fn contains(value: &Value, part: &Value, is_whole: bool) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(key, part)| value.get(key).is_some_and(|value| contains(value, part, false)))
        }
        (Value::Array(value), Value::Array(part)) => {
            part.iter().all(|part| value.iter().any(|value| contains(value, part, false)))
        }
        (Value::Array(value), Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_))
            if is_whole =>
        {
            value.iter().any(|value| contains(value, part, false))
        }
        (Value::Number(value), Value::Number(part)) => is_same_number(value, part),
        (value, part) => is_scalar(value) && value == part,
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn is_same_number(left: &Number, right: &Number) -> bool {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left == right,
        (None, None) => left.as_f64() == right.as_f64(),
        _ => false,
    }
}

/// A whole number of less than 65 bits.
fn whole(number: &Number) -> Option<i128> {
    if let Some(integer) = number.as_i64() {
        return Some(integer.into());
    }
    if let Some(integer) = number.as_u64() {
        return Some(integer.into());
    }
    let float = number.as_f64().unwrap();
    (float.fract() == 0.0 && float.abs() < 1e20).then_some(float as i128)
}

/// Documents with the same value as content and, if it is an object, as metadata.
async fn create(case: &TestDatabase, owner: UserId, texts: &[String]) -> Vec<DocumentId> {
    let new: Vec<NewDocument> = texts
        .iter()
        .map(|text| {
            let content = CanonicalJson::parse_with(text, Duplicates::LastCounts).unwrap();
            let metadata = if content.is_object() { content.clone() } else { CanonicalJson::object() };
            NewDocument { metadata, ..NewDocument::new(content) }
        })
        .collect();
    let created = case
        .database
        .write("create", async move |tx| tx.documents().create_many(owner, new.as_slice()).await);
    created.await.unwrap().into_iter().map(|document| document.id).collect()
}

async fn found(case: &TestDatabase, owner: UserId, filter: DocumentFilter) -> BTreeSet<DocumentId> {
    let counted = filter.clone();
    let count = case.database.read("count", async move |tx| tx.documents().count(owner, &counted).await);
    let count = count.await.unwrap();
    let mut list = DocumentList { filter, limit: Limit::MAX, ..DocumentList::default() };
    let mut found = BTreeSet::new();
    loop {
        let asked = list.clone();
        let page = case.database.read("page", async move |tx| tx.documents().page(owner, &asked).await);
        let page = page.await.unwrap();
        found.extend(page.items.into_iter().map(|document| document.id));
        list.from = page.next;
        if list.from.is_none() {
            assert_eq!(usize::try_from(count).unwrap(), found.len());
            return found;
        }
    }
}

async fn random_documents_are_found_by_random_filters_as_the_reference_says(case: TestDatabase) {
    #[expect(clippy::disallowed_methods, reason = "a longer run is asked for by environment")]
    let pairs: usize = std::env::var(PAIRS).map_or(4_000, |pairs| pairs.parse().expect("a number of pairs"));
    let user = NewUser::named(UserName::new("ada").unwrap());
    let owner = case.database.write("user", async move |tx| tx.users().create(&user).await).await.unwrap().id;
    let mut random = Random(17);
    let texts: Vec<String> = (0..DOCUMENTS).map(|_| random.json(4)).collect();
    let values: Vec<Value> = texts.iter().map(|text| parsed(text)).collect();
    let ids = create(&case, owner, &texts).await;
    let (mut compared, mut matched) = (0, 0);
    while compared < pairs {
        let text = match random.below(3) {
            0 => random.json(2),
            _ => {
                let value = &values[random.below(DOCUMENTS)];
                random.part(value).to_string()
            }
        };
        let part = parsed(&text);
        let filter = Some(JsonFilter::parse(&text).unwrap());
        let of_content = DocumentFilter { contains: filter.clone(), ..DocumentFilter::default() };
        let of_metadata = DocumentFilter { metadata_contains: filter, ..DocumentFilter::default() };
        let expected = |is_metadata: bool| -> BTreeSet<DocumentId> {
            let empty = parsed("{}");
            let of = |value: &Value| match is_metadata && !value.is_object() {
                true => contains(&empty, &part, true),
                false => contains(value, &part, true),
            };
            ids.iter().zip(&values).filter(|(_, value)| of(value)).map(|(id, _)| *id).collect()
        };
        let found_by_content = found(&case, owner, of_content).await;
        assert_eq!(found_by_content, expected(false), "{text}");
        assert_eq!(found(&case, owner, of_metadata).await, expected(true), "metadata: {text}");
        matched += found_by_content.len();
        compared += 2 * DOCUMENTS;
    }
    assert!(matched > compared / 50, "only {matched} of {compared} pairs match: they say little");
}
