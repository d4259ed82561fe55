//! Reads a line. Of a long one the turns are found without keeping them; it is read for the first time then, which checks
//! that it is one.

use std::fmt;
use std::io::Read;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::measure::Measure;
use super::turn::{Turn, next_exact};

/// What a line says beside its turns.
#[derive(Debug)]
pub(super) struct Head {
    /// None of a conversation that is known by what it says.
    pub(super) id: Option<String>,
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

/// The same of a short line.
pub(super) fn parse_short(text: &[u8]) -> serde_json::Result<(Head, Option<Vec<Turn>>)> {
    let mut parser = serde_json::Deserializer::from_slice(text);
    let found = LineSeed(Kept).deserialize(&mut parser)?;
    parser.end()?;
    Ok(found)
}

/// What becomes of the turns of a line.
trait ReadTurns: Copy {
    type Turns;

    fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<Self::Turns, A::Error>;

    /// Notes which field is read.
    fn begin_field(self, _name: &str) {}
}

/// The turns are kept.
#[derive(Clone, Copy)]
struct Kept;

impl ReadTurns for Kept {
    type Turns = Vec<Turn>;

    fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<Vec<Turn>, A::Error> {
        map.next_value()
    }
}

impl ReadTurns for &Measure {
    type Turns = FoundTurns;

    fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<FoundTurns, A::Error> {
        map.next_value_seed(TurnsSeed(self))
    }

    fn begin_field(self, name: &str) {
        Measure::begin_field(self, name);
    }
}

struct LineSeed<R>(R);

impl<'de, R: ReadTurns> DeserializeSeed<'de> for LineSeed<R> {
    type Value = (Head, Option<R::Turns>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, R: ReadTurns> Visitor<'de> for LineSeed<R> {
    type Value = (Head, Option<R::Turns>);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with id and turns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut id, mut turns, mut rest) = (None::<String>, None, Map::new());
        self.0.begin_field("the first field");
        while let Some(key) = map.next_key::<String>()? {
            self.0.begin_field(&format!("{key:.100}"));
            match key.as_str() {
                "id" if id.is_some() => return Err(A::Error::duplicate_field("id")),
                "turns" if turns.is_some() => return Err(A::Error::duplicate_field("turns")),
                "messages" if turns.is_some() => next_exact(&mut map, key, &mut rest)?,
                "id" => id = map.next_value()?,
                "turns" | "messages" => turns = Some(self.0.read(&mut map)?),
                _ => {
                    next_exact(&mut map, key, &mut rest)?;
                }
            }
            self.0.begin_field("the next field");
        }
        let id = id.or_else(|| named(&mut rest));
        let head = Head { id, rest };
        if turns.is_none() && !head.is_document() {
            return Err(A::Error::missing_field("turns"));
        }
        if turns.is_none() && head.id.is_none() {
            return Err(A::Error::missing_field("id"));
        }
        Ok((head, turns))
    }
}

/// An id under another common name.
fn named(rest: &mut Map<String, Value>) -> Option<String> {
    for name in ["thread_id", "conversation_id", "external_id", "session_id"] {
        if let Some(Value::String(id)) = rest.get(name) {
            let id = id.clone();
            rest.remove(name);
            return Some(id);
        }
    }
    None
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
