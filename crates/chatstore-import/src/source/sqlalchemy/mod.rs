//! The SQLAlchemy databases of chat_app, PAKTON, chatcore, Coach Bot and Chatter, read where they are and never changed.
//!
//! [`SqlalchemySource::open`] recognizes the application by its tables. Every row is accounted for: it is
//! added, is stored already, or is left out, and everything that does not fit is reported. The id of an
//! imported row follows from its key, so an import can be repeated, also after it was killed: it adds what is
//! missing. Keys and unknown columns are kept in `metadata.source`.
//!
//! The database is read in one transaction, some rows at a time, and memory does not grow with it. The store
//! is written in short transactions, so that others can write meanwhile. A dry run remembers the ids and
//! names of all rows, to find those that occur twice.
//!
//! Another schema is a file beside these: its tables, a function that reads them, and its name in [`Schema`].

mod chat_app;
mod linked;
mod others;
mod pakton;
mod reader;
mod tables;

use std::path::Path;

use chatstore::Error;
use chatstore_sql::ExternalDatabase;

use super::Source;
use super::records::SpoolError;
use super::row::TimesWithoutZone;
use crate::engine::Import;
use crate::report::{ImportReport, Issue};
use reader::Reader;
use tables::{TableDescription, Tables};

pub use chatstore_sql::ExternalError;
pub use tables::Mapping;

/// An application whose tables can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Users, conversations, messages and responses with integer keys beside UUIDs.
    ChatApp,
    /// Users by e-mail address and conversations by thread id.
    Pakton,
    /// Users, conversations, messages with what they drew on, and documents.
    Chatcore,
    /// Users, chats and messages with UUIDs.
    CoachBot,
    /// Users in shared conversations.
    Chatter,
}

impl Schema {
    /// Every schema.
    pub const ALL: [Self; 5] = [Self::ChatApp, Self::Pakton, Self::Chatcore, Self::CoachBot, Self::Chatter];

    /// `chat-app`, `pakton`, `chatcore`, `coach-bot` or `chatter`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatApp => "chat-app",
            Self::Pakton => "pakton",
            Self::Chatcore => "chatcore",
            Self::CoachBot => "coach-bot",
            Self::Chatter => "chatter",
        }
    }

    /// Reads its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.as_str() == text)
    }

    const fn tables(self) -> &'static [TableDescription] {
        match self {
            Self::ChatApp => &chat_app::TABLES,
            Self::Pakton => &pakton::TABLES,
            Self::Chatcore => &linked::CHATCORE,
            Self::CoachBot => &linked::COACH_BOT,
            Self::Chatter => &linked::CHATTER,
        }
    }
}

/// An import that could not be started or finished. What was written before is whole; running the import
/// again adds the rest.
#[derive(Debug, thiserror::Error)]
pub enum SqlalchemyError {
    /// The database cannot be read.
    #[error(transparent)]
    Foreign(#[from] ExternalError),
    /// Its tables are not those of a schema that is known.
    #[error("{place} is not recognized: {reasons}; its tables are: {tables}")]
    Unrecognized {
        /// The database.
        place: String,
        /// Why each schema does not fit.
        reasons: String,
        /// The tables it has.
        tables: String,
    },
    /// The mapping is wrong.
    #[error("the mapping is wrong: {0}")]
    Mapping(String),
    /// The temporary file could not be written or read.
    #[error("{0}")]
    TemporaryFile(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<SpoolError> for SqlalchemyError {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Store(error) => Self::Store(error),
            SpoolError::File(_) => Self::TemporaryFile(error.to_string()),
        }
    }
}

/// A database whose tables were recognized.
#[derive(Debug)]
pub struct SqlalchemySource {
    schema: Schema,
    database: ExternalDatabase,
    tables: Tables,
}

impl SqlalchemySource {
    /// Opens a database by the URL that SQLAlchemy is given, and finds the tables of the schema, or of
    /// the one that fits when none is named.
    ///
    /// # Errors
    /// [`SqlalchemyError::Foreign`], [`SqlalchemyError::Unrecognized`], [`SqlalchemyError::Mapping`].
    pub async fn open(url: &str, schema: Option<Schema>, mapping: &Mapping) -> Result<Self, SqlalchemyError> {
        let mut database = ExternalDatabase::open(url).await?;
        let (schema, tables) = tables::find(&mut database, schema, mapping).await?;
        Ok(Self { schema, database, tables })
    }

    /// The application whose tables they are.
    #[must_use]
    pub const fn schema(&self) -> Schema {
        self.schema
    }

    /// Where the database lies; never a password.
    #[must_use]
    pub fn place(&self) -> &str {
        self.database.place()
    }

    /// The file of a SQLite database.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.database.file()
    }
}

impl Source for SqlalchemySource {
    type Error = SqlalchemyError;

    fn tables(&self) -> Vec<&'static str> {
        match self.schema {
            Schema::ChatApp | Schema::Pakton => self.tables.0.iter().map(|layout| layout.name).collect(),
            Schema::Chatcore | Schema::CoachBot | Schema::Chatter => linked::REPORTED.to_vec(),
        }
    }

    async fn read(self, mut import: Import<'_>) -> Result<ImportReport, SqlalchemyError> {
        let Self { schema, database, tables } = self;
        let mut total = 0;
        for layout in &tables.0 {
            total += database.count(&layout.table).await?;
        }
        import.report.expect_rows(total);
        for layout in &tables.0 {
            for column in layout.missing() {
                let (problem, done) = ("the table has no such column", "left empty in every row");
                import.report.issue(Issue::of_table(layout.name, problem, done).in_column(column));
            }
        }
        let mut reader = Reader { database, import, zones: TimesWithoutZone::default() };
        let reads_members = schema == Schema::Chatter;
        others::report_others(&mut reader, &tables, reads_members).await?;
        match schema {
            Schema::ChatApp => chat_app::read(&mut reader, &tables).await?,
            Schema::Pakton => pakton::read(&mut reader, &tables).await?,
            Schema::Chatcore | Schema::CoachBot | Schema::Chatter => {
                linked::read(&mut reader, &tables, schema == Schema::Chatter).await?;
            }
        }
        let Reader { mut import, zones, .. } = reader;
        import.flush().await?;
        zones.report(&mut import);
        Ok(import.finish().await?)
    }
}
