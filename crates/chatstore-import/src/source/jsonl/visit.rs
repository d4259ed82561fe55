//! Reads a long line for the first time: checks that it is one, and finds its turns without keeping them.

use std::fmt;
use std::io::Read;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::measure::Measure;
use super::turn::Turn;

/// What a line says beside its turns.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) rest: Map<String, Value>,
}

impl Head {
    /// Whether the line says that it is a document.
    pub(super) fn is_document(&self) -> bool {
        self.rest.get("type").and_then(Value::as_str) == Some("document")
    }
}

/// The turns of a line: the place of the first and their number.
pub(super) type FoundTurns = (u64, usize);

/// The head of a line, and its turns unless it has none because it is a document.
pub(super) fn parse(input: impl Read, measure: &Measure) -> serde_json::Result<(Head, Option<FoundTurns>)> {
    let mut parser = serde_json::Deserializer::from_reader(input);
    let found = LineSeed(measure).deserialize(&mut parser)?;
    parser.end()?;
    Ok(found)
}

struct LineSeed<'m>(&'m Measure);

impl<'de> DeserializeSeed<'de> for LineSeed<'_> {
    type Value = (Head, Option<FoundTurns>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_> {
    type Value = (Head, Option<FoundTurns>);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with id and turns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut id, mut turns, mut rest) = (None, None, Map::new());
        self.0.begin_field("the first field");
        while let Some(key) = map.next_key::<String>()? {
            self.0.begin_field(&format!("{key:.100}"));
            match key.as_str() {
                "id" if id.is_some() => return Err(A::Error::duplicate_field("id")),
                "turns" if turns.is_some() => return Err(A::Error::duplicate_field("turns")),
                "id" => id = Some(map.next_value()?),
                "turns" => turns = Some(map.next_value_seed(TurnsSeed(self.0))?),
                _ => {
                    rest.insert(key, map.next_value()?);
                }
            }
            self.0.begin_field("the next field");
        }
        let id = id.ok_or_else(|| A::Error::missing_field("id"))?;
        let head = Head { id, rest };
        if turns.is_none() && !head.is_document() {
            return Err(A::Error::missing_field("turns"));
        }
        Ok((head, turns))
    }
}

struct TurnsSeed<'m>(&'m Measure);

impl<'de> DeserializeSeed<'de> for TurnsSeed<'_> {
    type Value = FoundTurns;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for TurnsSeed<'_> {
    type Value = FoundTurns;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of turns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut turns: A) -> Result<Self::Value, A::Error> {
        // The bracket before the first turn is the last byte that was read.
        let start = self.0.read.get();
        let mut count = 0;
        self.0.begin_turn(0);
        while turns.next_element_seed(TurnSeed)?.is_some() {
            count += 1;
            self.0.begin_turn(count);
        }
        Ok((start, count))
    }
}

struct TurnSeed;

impl<'de> DeserializeSeed<'de> for TurnSeed {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        Turn::deserialize(deserializer).map(drop)
    }
}
