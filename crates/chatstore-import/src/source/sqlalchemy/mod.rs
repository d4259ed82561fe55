//! The SQLAlchemy databases of chat_app, PAKTON, chatcore, Coach Bot and Chatter, of frameworks, and of any application
//! that a [`Mapping`] describes, read where they are and never changed.
//!
//! [`SqlalchemySource::open`] recognizes the application or framework by its tables. Every row is accounted for: it is
//! added, is stored already, or is left out, and everything that does not fit is reported. The id of an
//! imported row follows from its key, so an import can be repeated, also after it was killed: it adds what is
//! missing. Keys and unknown columns are kept in `metadata.source`.
//!
//! The database is read in one transaction, some rows at a time, and memory does not grow with it. The store
//! is written in short transactions, so that others can write meanwhile. A dry run remembers the ids and
//! names of all rows, to find those that occur twice.
//!
//! Another framework is a file in `maps/`, and a line in `mapped/ready.rs`.

mod chat_app;
mod json;
mod linked;
mod mapped;
mod mapping;
mod others;
mod pakton;
mod reader;
mod tables;

use std::path::Path;

use chatstore::Error;
use chatstore_model::UserId;
use chatstore_sql::ExternalDatabase;

use super::Source;
use super::records::SpoolError;
use super::row::TimesWithoutZone;
use crate::engine::Import;
use crate::report::{ImportReport, Issue};
use mapped::{MappedTable, ready_maps};
use reader::Reader;
use tables::{TableDescription, Tables};

pub use chatstore_sql::ExternalError;
pub use mapping::Mapping;

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
    kind: Kind,
    database: ExternalDatabase,
    owner: Option<UserId>,
}

/// Whose tables they are.
#[derive(Debug)]
enum Kind {
    Known(Schema, Tables),
    /// With the name of the ready map, or `mapping`.
    Mapped(&'static str, Vec<MappedTable>),
}

impl SqlalchemySource {
    /// Opens a database by the URL that SQLAlchemy is given, and finds the tables of the schema. Without one these are
    /// the tables of the schema that fits, else what the mapping describes, and without a mapping those of the
    /// framework that fits.
    ///
    /// # Errors
    /// [`SqlalchemyError::Foreign`], [`SqlalchemyError::Unrecognized`], [`SqlalchemyError::Mapping`].
    pub async fn open(url: &str, schema: Option<Schema>, mapping: &Mapping) -> Result<Self, SqlalchemyError> {
        let schema = tables::asked(schema, mapping)?;
        let database = ExternalDatabase::open(url).await?;
        let based = mapped::based(mapping)?;
        let candidates = match (schema, mapping.ready) {
            (Some(schema), _) => vec![schema],
            (None, None) if based.is_empty() => Schema::ALL.to_vec(),
            (None, _) => Vec::new(),
        };
        let mut reasons = match tables::find(&database, &candidates, mapping).await? {
            Ok((schema, tables)) => {
                return Ok(Self { kind: Kind::Known(schema, tables), database, owner: None });
            }
            Err(reasons) => reasons,
        };
        for (index, (name, map)) in based.iter().enumerate() {
            match mapped::resolve(&database, map).await {
                Ok(tables) => return Ok(Self { kind: Kind::Mapped(name, tables), database, owner: None }),
                Err(SqlalchemyError::Mapping(_)) if index + 1 < based.len() => {}
                Err(SqlalchemyError::Mapping(reason)) => {
                    // The lines of a ready map are 0.
                    let reason = reason.replacen("line 0:", "in the map that it is based on:", 1);
                    return Err(SqlalchemyError::Mapping(reason));
                }
                Err(error) => return Err(error),
            }
        }
        if schema.is_none() && !mapping.sections.is_empty() {
            let kind = Kind::Mapped("mapping", mapped::resolve(&database, mapping).await?);
            return Ok(Self { kind, database, owner: None });
        }
        if schema.is_none() {
            for map in ready_maps(mapping.ready) {
                match mapped::resolve(&database, &map.mapping()?).await {
                    Ok(tables) => {
                        return Ok(Self { kind: Kind::Mapped(map.name, tables), database, owner: None });
                    }
                    Err(SqlalchemyError::Mapping(reason)) => {
                        let reason = reason.split_once(": ").map_or(reason.as_str(), |(_, reason)| reason);
                        reasons.push(format!("{}: {reason}", map.name));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(SqlalchemyError::Unrecognized {
            place: database.place().to_owned(),
            reasons: reasons.join("; "),
            tables: database.table_names().await?.join(", "),
        })
    }

    /// The same with this owner of what names none, instead of [`UserId::ANONYMOUS`].
    #[must_use]
    pub fn owned_by(self, owner: UserId) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// Whether nothing in the database says whose its conversations are.
    #[must_use]
    pub fn names_no_owner(&self) -> bool {
        match &self.kind {
            Kind::Known(..) => false,
            Kind::Mapped(_, tables) => mapped::names_no_owner(tables),
        }
    }

    /// The application whose tables they are, the framework, or `mapping`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Known(schema, _) => schema.as_str(),
            Kind::Mapped(name, _) => name,
        }
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
        match &self.kind {
            Kind::Known(Schema::ChatApp | Schema::Pakton, tables) => {
                tables.0.iter().map(|layout| layout.name).collect()
            }
            Kind::Known(..) => linked::REPORTED.to_vec(),
            Kind::Mapped(..) => mapped::REPORTED.to_vec(),
        }
    }

    async fn read(self, import: Import<'_>) -> Result<ImportReport, SqlalchemyError> {
        let Self { kind, database, owner } = self;
        let owner = owner.unwrap_or(UserId::ANONYMOUS);
        let mut reader = Reader { database, import, owner, zones: TimesWithoutZone::default() };
        match kind {
            Kind::Known(schema, tables) => read_known(&mut reader, schema, &tables).await?,
            Kind::Mapped(_, tables) => {
                others::report_others(&mut reader, &mapped::read_tables(&tables).collect::<Vec<_>>(), false)
                    .await?;
                mapped::read(&mut reader, &tables).await?;
            }
        }
        let Reader { mut import, zones, .. } = reader;
        import.flush().await?;
        zones.report(&mut import);
        Ok(import.finish().await?)
    }
}

async fn read_known(reader: &mut Reader<'_>, schema: Schema, tables: &Tables) -> Result<(), SqlalchemyError> {
    let mut total = 0;
    for layout in &tables.0 {
        total += reader.database.count(&layout.table).await?;
    }
    reader.import.report.expect_rows(total);
    for layout in &tables.0 {
        for column in layout.missing() {
            let (problem, done) = ("the table has no such column", "left empty in every row");
            reader.import.report.issue(Issue::of_table(layout.name, problem, done).in_column(column));
        }
    }
    let reads_members = schema == Schema::Chatter;
    let read: Vec<&str> = tables.0.iter().map(|layout| layout.table.name.as_str()).collect();
    others::report_others(reader, &read, reads_members).await?;
    match schema {
        Schema::ChatApp => chat_app::read(reader, tables).await,
        Schema::Pakton => pakton::read(reader, tables).await,
        Schema::Chatcore | Schema::CoachBot | Schema::Chatter => {
            linked::read(reader, tables, reads_members).await
        }
    }
}
