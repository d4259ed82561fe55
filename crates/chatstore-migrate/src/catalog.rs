//! The definitions in a database by name, and how two databases differ.

use std::collections::BTreeMap;
use std::fmt;

/// The object that a definition describes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    pub(crate) table: String,
    /// `table`, `view`, `column`, `constraint`, `index` or `trigger`.
    pub(crate) kind: String,
    /// Empty for the table itself.
    pub(crate) name: String,
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, kind, name } = self;
        if name.is_empty() {
            write!(formatter, "the {kind} {table}")
        } else {
            write!(formatter, "the {kind} {table}.{name}")
        }
    }
}

/// Every table, column, constraint and index of a database with its definition. The order of columns
/// is no part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    definitions: BTreeMap<Object, String>,
}

/// One difference between what is expected and what is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// What it is about, such as `the column users.name`.
    pub object: String,
    /// The expected definition; `None` when the object should not exist.
    pub expected: Option<String>,
    /// The definition found; `None` when the object does not exist.
    pub found: Option<String>,
    is_whole_table: bool,
}

impl Deviation {
    /// Whether it is a whole table or view that no revision creates, like one of the application's own beside ours.
    #[must_use]
    pub fn is_other_table(&self) -> bool {
        self.is_whole_table && self.expected.is_none()
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => {
                write!(formatter, "{object} is {found:?} where {expected:?} is expected")
            }
            (Some(_), None) => write!(formatter, "{object} is missing"),
            _ => write!(formatter, "{object} is not expected"),
        }
    }
}

impl Catalog {
    pub(crate) fn add(&mut self, object: Object, definition: String) {
        self.definitions.insert(object, definition);
    }

    /// Whether the database has no tables.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty()
    }

    /// How another catalog differs from this one, in alphabetical order. Where a whole table is missing or
    /// not expected, its parts are not listed.
    #[must_use]
    pub fn deviations(&self, found: &Self) -> Vec<Deviation> {
        let mut objects: Vec<&Object> = self.definitions.keys().chain(found.definitions.keys()).collect();
        objects.sort_unstable();
        objects.dedup();
        let mut deviations = Vec::new();
        for object in objects {
            let is_whole_table = object.name.is_empty();
            let (here, there) = (self.definitions.get(object), found.definitions.get(object));
            if here != there && (is_whole_table || self.has(&object.table) == found.has(&object.table)) {
                deviations.push(Deviation {
                    object: object.to_string(),
                    expected: here.cloned(),
                    found: there.cloned(),
                    is_whole_table,
                });
            }
        }
        deviations
    }

    fn has(&self, table: &str) -> bool {
        self.definitions.keys().any(|object| object.table == table && object.name.is_empty())
    }
}
