//! Writes JSON in its one form while it is read: the memory it takes is that of the text.

use std::fmt;
use std::io::Write as _;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::Duplicates;

/// Reads a value and appends it to a text, keys sorted and integral numbers written as integers.
pub(super) struct CanonicalWriter<'w> {
    pub(super) text: &'w mut Vec<u8>,
    /// What becomes of an object that names a key twice.
    pub(super) duplicates: Duplicates,
}

/// An entry of an object that is being written: its key, and where it stands in the text.
struct Entry {
    key: String,
    start: usize,
    end: usize,
}

impl CanonicalWriter<'_> {
    fn write<E: serde::de::Error>(self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), E> {
        serde_json::to_writer(self.text, value).map_err(E::custom)
    }

    /// Puts the entries of an object that begins at `start` into the order of their keys, each key once.
    fn sort<E: serde::de::Error>(&mut self, start: usize, mut entries: Vec<Entry>) -> Result<(), E> {
        entries.sort_by(|left, right| left.key.cmp(&right.key));
        let unsorted = self.text.split_off(start);
        for (index, entry) in entries.iter().enumerate() {
            if entries.get(index + 1).is_some_and(|next| next.key == entry.key) {
                if self.duplicates != Duplicates::LastCounts {
                    return Err(E::custom(format_args!("duplicate key {:?}", entry.key)));
                }
                continue;
            }
            if self.text.len() > start {
                self.text.push(b',');
            }
            self.text.extend_from_slice(&unsorted[entry.start - start..entry.end - start]);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for CanonicalWriter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CanonicalWriter<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.text.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let number = canonical_number(value).ok_or_else(|| E::custom("number out of range"))?;
        write!(self.text, "{number}").map_err(E::custom)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.write(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Self { text, duplicates } = self;
        text.push(b'[');
        let start = text.len();
        loop {
            let end = text.len();
            if end > start {
                text.push(b',');
            }
            if sequence.next_element_seed(CanonicalWriter { text, duplicates })?.is_none() {
                text.truncate(end);
                break;
            }
        }
        text.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.text.push(b'{');
        let object_start = self.text.len();
        let mut entries: Vec<Entry> = Vec::new();
        let mut is_sorted = true;
        while let Some(key) = map.next_key::<String>()? {
            if let Some(before) = entries.last() {
                is_sorted &= before.key < key;
                self.text.push(b',');
            }
            let start = self.text.len();
            serde_json::to_writer(&mut *self.text, &key).map_err(A::Error::custom)?;
            self.text.push(b':');
            let duplicates = self.duplicates.below(&key);
            map.next_value_seed(CanonicalWriter { text: self.text, duplicates })?;
            entries.push(Entry { key, start, end: self.text.len() });
        }
        if !is_sorted {
            self.sort(object_start, entries)?;
        }
        self.text.push(b'}');
        Ok(())
    }
}

/// An integral number that fits an `i64` or a `u64` becomes one: `jsonb` gives `1e16` back as digits.
fn canonical_number(float: f64) -> Option<Number> {
    const SIGNED: f64 = 9_223_372_036_854_775_808.0;
    const UNSIGNED: f64 = 18_446_744_073_709_551_616.0;
    if float.fract() == 0.0 {
        if (-SIGNED..SIGNED).contains(&float) {
            return Some(Number::from(float as i64));
        }
        if (SIGNED..UNSIGNED).contains(&float) {
            return Some(Number::from(float as u64));
        }
    }
    Number::from_f64(float)
}
