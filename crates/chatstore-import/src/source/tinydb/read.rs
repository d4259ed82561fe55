//! Reads the tables row by row.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::TinyDbError;
use crate::report::{Issue, ReportBuilder};
use crate::source::lenient::Lenient;
use crate::source::records::{Record, Spool, SpoolError, Table, is_field};

/// Maximum size of a row, without the messages in it, and of each of these.
const MAX_ROW_MEBIBYTES: u64 = 16;

/// Names of a conversation's column that holds its messages.
const EMBEDDED: [&str; 3] = ["messages", "history", "turns"];

/// Puts all rows into the spool.
pub(super) fn read(
    input: impl BufRead,
    spool: &Spool,
    report: &mut ReportBuilder<'_>,
) -> Result<(), TinyDbError> {
    let (bounds, failure, report) = (Bounds::default(), RefCell::new(None), RefCell::new(report));
    let tell = |told| match told {
        Told::Issue(issue) => report.borrow_mut().issue(issue),
        Told::PassedOver(issue, rows) => report.borrow_mut().pass_over(issue, rows),
    };
    let reading = Reading { spool, tell: &tell, failure: &failure, bounds: &bounds };
    let bounded = Bounded { input: Lenient::new(input), bounds: &bounds };
    let mut parser = serde_json::Deserializer::from_reader(bounded);
    let read = FileSeed(reading).deserialize(&mut parser).and_then(|()| parser.end());
    if let Some(failure) = failure.into_inner() {
        return Err(TinyDbError::from(failure));
    }
    read.map_err(|error| {
        if error.is_io() { TinyDbError::Read(error.into()) } else { TinyDbError::Format(error.to_string()) }
    })
}

/// What is said about rows while they are read.
enum Told {
    Issue(Issue),
    /// Rows that no import takes.
    PassedOver(Issue, u64),
}

#[derive(Clone, Copy)]
struct Reading<'r> {
    spool: &'r Spool,
    tell: &'r dyn Fn(Told),
    /// Why the spool failed, which the parser cannot say.
    failure: &'r RefCell<Option<SpoolError>>,
    bounds: &'r Bounds,
}

impl Reading<'_> {
    fn done<E: serde::de::Error>(self, result: Result<(), SpoolError>) -> Result<(), E> {
        result.map_err(|failure| {
            let error = E::custom(&failure);
            *self.failure.borrow_mut() = Some(failure);
            error
        })
    }
}

/// What a table of the file is.
#[derive(Clone, Copy)]
enum Kind {
    Rows(Table),
    Sessions,
    Other,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name.to_lowercase().as_str() {
            "users" | "user" => Self::Rows(Table::Users),
            "conversations" | "conversation" | "chats" | "chat" => Self::Rows(Table::Conversations),
            "messages" | "message" => Self::Rows(Table::Messages),
            "documents" | "document" => Self::Rows(Table::Documents),
            "sessions" | "session" => Self::Sessions,
            _ => Self::Other,
        }
    }
}

struct FileSeed<'r>(Reading<'r>);

impl<'de> DeserializeSeed<'de> for FileSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<(), A::Error> {
        let Self(reading) = self;
        while let Some(name) = tables.next_key::<String>()? {
            reading.bounds.begin();
            let kind = Kind::of(&name);
            let rows = tables.next_value_seed(TableSeed { reading, name: &name, kind })?;
            match kind {
                Kind::Rows(_) => {}
                Kind::Sessions => {
                    let done = "left out; users log in again";
                    let issue =
                        Issue::of_table("sessions", format!("{rows} sessions of the old application"), done);
                    (reading.tell)(Told::PassedOver(issue, rows));
                }
                Kind::Other if rows > 0 => {
                    let problem = format!("the table {name:.100} is not read: it has {rows} rows");
                    (reading.tell)(Told::Issue(Issue::of_table("tables", problem, "left out")));
                }
                Kind::Other => {}
            }
        }
        Ok(())
    }
}

struct TableSeed<'r> {
    reading: Reading<'r>,
    name: &'r str,
    kind: Kind,
}

impl TableSeed<'_> {
    fn row<'k>(&'k self, key: &'k str) -> RowSeed<'k> {
        self.reading.bounds.begin();
        RowSeed { reading: self.reading, key, kind: self.kind, parent: None }
    }
}

impl<'de> DeserializeSeed<'de> for TableSeed<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TableSeed<'_> {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the table {:.100} as an object or a list of rows", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut rows: A) -> Result<u64, A::Error> {
        let mut count = 0;
        while let Some(key) = rows.next_key::<String>()? {
            rows.next_value_seed(self.row(&key))?;
            count += 1;
        }
        Ok(count)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<u64, A::Error> {
        let mut count = 0;
        while rows.next_element_seed(self.row(&(count + 1).to_string()))?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

struct RowSeed<'r> {
    reading: Reading<'r>,
    key: &'r str,
    kind: Kind,
    /// The conversation in whose row it is.
    parent: Option<i64>,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.kind {
            Kind::Rows(_) => deserializer.deserialize_any(self),
            Kind::Sessions | Kind::Other => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
        }
    }
}

impl RowSeed<'_> {
    /// Reports a row that is none.
    fn refuse(&self) {
        if let Kind::Rows(table) = self.kind {
            let issue = Issue::of_row(table.name(), self.key, "it is not an object", "left out");
            (self.reading.tell)(Told::Issue(issue.leaving_out()));
        }
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self { reading, key, kind, parent } = self;
        let Kind::Rows(table) = kind else { return Ok(()) };
        let position = if table == Table::Conversations { reading.spool.begin_conversation() } else { 0 };
        let mut record = Record::default();
        while let Some(name) = fields.next_key::<String>()? {
            let is_embedded =
                table == Table::Conversations && EMBEDDED.iter().any(|embedded| is_field(&name, embedded));
            if is_embedded {
                let seed = EmbeddedSeed { reading, key, position };
                if let Some(value) = fields.next_value_seed(seed)? {
                    record.push(name, value);
                }
                reading.bounds.begin();
            } else {
                record.push(name, fields.next_value()?);
            }
        }
        reading.done(match table {
            Table::Users => reading.spool.user(key, &record),
            Table::Conversations => reading.spool.conversation(position, key, &record),
            Table::Messages => reading.spool.message(key, parent, &record),
            Table::Documents => reading.spool.document(key, &record),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.refuse();
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.refuse();
        Ok(())
    }
}

/// The messages in a conversation's row, in order. What is no list and no object is a value of the row.
struct EmbeddedSeed<'r> {
    reading: Reading<'r>,
    key: &'r str,
    position: i64,
}

impl EmbeddedSeed<'_> {
    fn row<'k>(&'k self, key: &'k str) -> RowSeed<'k> {
        self.reading.bounds.begin();
        let kind = Kind::Rows(Table::Messages);
        RowSeed { reading: self.reading, key, kind, parent: Some(self.position) }
    }

    fn key(&self, index: impl fmt::Display) -> String {
        format!("{}.{index}", self.key)
    }
}

impl<'de> DeserializeSeed<'de> for EmbeddedSeed<'_> {
    type Value = Option<Box<RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn raw<E: serde::de::Error>(value: impl serde::Serialize) -> Result<Option<Box<RawValue>>, E> {
    serde_json::value::to_raw_value(&value).map(Some).map_err(E::custom)
}

impl<'de> Visitor<'de> for EmbeddedSeed<'_> {
    type Value = Option<Box<RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Self::Value, A::Error> {
        let mut index = 0;
        while messages.next_element_seed(self.row(&self.key(index)))?.is_some() {
            index += 1;
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut messages: A) -> Result<Self::Value, A::Error> {
        while let Some(key) = messages.next_key::<String>()? {
            messages.next_value_seed(self.row(&self.key(key)))?;
        }
        Ok(None)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        raw(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        raw(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        raw(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        raw(value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        raw(value)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// How much was read, and where the present row began.
#[derive(Debug, Default)]
struct Bounds {
    read: std::cell::Cell<u64>,
    begun: std::cell::Cell<u64>,
}

impl Bounds {
    fn begin(&self) {
        self.begun.set(self.read.get());
    }
}

/// Ends with an error in a row that is too long.
struct Bounded<'b, R> {
    input: R,
    bounds: &'b Bounds,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Bounds { read, begun } = self.bounds;
        if read.get() - begun.get() > MAX_ROW_MEBIBYTES * 1024 * 1024 {
            let reason = format!("a row has more than {MAX_ROW_MEBIBYTES} MiB");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
        }
        let count = self.input.read(buffer)?;
        read.set(read.get() + count as u64);
        Ok(count)
    }
}
