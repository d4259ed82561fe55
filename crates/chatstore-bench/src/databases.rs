//! Databases that exist for one run: files in a temporary folder, databases on a given PostgreSQL server.

use std::fs;
use std::path::{Path, PathBuf};

use chatstore_sql::DatabaseKind;
use chatstore_testkit::server::database_url;
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::arguments::Databases;
use crate::data::load;
use crate::error::Error;

/// The URL of a SQLite file.
pub fn url(path: &Path) -> String {
    format!("{}://{}", DatabaseKind::Sqlite.as_str(), path.display())
}

/// An empty database of either kind, with a folder for the files that belong to it.
#[derive(Debug)]
pub struct TemporaryDatabase {
    url: String,
    file: PathBuf,
    folder: TempDir,
    postgres: Option<PostgresDatabase>,
}

impl TemporaryDatabase {
    /// Creates it; `purpose` becomes part of its name. On SQLite there is no file before the first connection.
    ///
    /// # Errors
    /// When the folder or the database cannot be created.
    pub async fn create(kind: DatabaseKind, databases: &Databases, purpose: &str) -> Result<Self, Error> {
        let folder = databases.temporary_folder()?;
        let file = folder.path().join(format!("{purpose}.db"));
        let postgres = match kind {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => {
                Some(PostgresDatabase::create(databases.postgres.url()?, purpose).await?)
            }
        };
        let url = postgres.as_ref().map_or_else(|| url(&file), |database| database.url().to_owned());
        Ok(Self { url, file, folder, postgres })
    }

    /// Which database it is.
    pub const fn kind(&self) -> DatabaseKind {
        if self.postgres.is_some() { DatabaseKind::Postgres } else { DatabaseKind::Sqlite }
    }

    /// Its URL, as the store reads it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// SQLite's file; of no meaning on PostgreSQL.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The folder: only SQLite's files and what was added are in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Deletes the database and the folder, even while it is in use.
    ///
    /// # Errors
    /// When either cannot be deleted.
    pub async fn remove(self) -> Result<(), Error> {
        self.folder.close()?;
        match self.postgres {
            Some(database) => database.remove().await,
            None => Ok(()),
        }
    }
}

/// A filled SQLite file that is copied for every measurement that changes it, so that all begin alike.
#[derive(Debug)]
pub struct SqliteOriginal {
    folder: TempDir,
}

impl SqliteOriginal {
    /// Creates and fills it in a temporary folder.
    ///
    /// # Errors
    /// When the file cannot be created, or a statement fails.
    pub async fn fill(folder: TempDir, statements: Vec<String>) -> Result<Self, Error> {
        let original = Self { folder };
        load::migrate(&url(&original.path())).await?;
        let path = original.path();
        tokio::task::spawn_blocking(move || load::fill_sqlite(&path, &statements)).await??;
        Ok(original)
    }

    /// The file itself, for measurements that only read.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("original.db")
    }

    /// A copy that is on disk already, so that writing it out disturbs no measurement.
    ///
    /// # Errors
    /// When the file cannot be copied.
    pub fn copy(&self) -> Result<SqliteCopy, Error> {
        let folder = tempfile::Builder::new().prefix("copy-").tempdir_in(self.folder.path())?;
        let path = folder.path().join("copy.db");
        fs::copy(self.path(), &path)?;
        fs::File::open(&path)?.sync_all()?;
        Ok(SqliteCopy { path, _folder: folder })
    }
}

/// A copy of a filled file; deleted when dropped.
#[derive(Debug)]
pub struct SqliteCopy {
    path: PathBuf,
    _folder: TempDir,
}

impl SqliteCopy {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its URL.
    pub fn url(&self) -> String {
        url(&self.path)
    }
}

/// A database of this run on the PostgreSQL server.
#[derive(Debug)]
pub struct PostgresDatabase {
    server: String,
    name: String,
    url: String,
}

impl PostgresDatabase {
    /// Creates an empty database; `purpose` becomes part of its name.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn create(server: &str, purpose: &str) -> Result<Self, Error> {
        let name = format!("chatstore_bench_{purpose}_{}", std::process::id());
        let create = format!("create database {name}");
        administer(server, &[&format!("drop database if exists {name}"), &create]).await?;
        let url = database_url(server, &name);
        Ok(Self { server: server.to_owned(), name, url })
    }

    /// Creates a migrated database and fills it.
    ///
    /// # Errors
    /// As [`create`](Self::create), and when a statement fails.
    pub async fn fill(server: &str, purpose: &str, statements: &[String]) -> Result<Self, Error> {
        let database = Self::create(server, purpose).await?;
        load::migrate(database.url()).await?;
        load::fill_postgres(database.url(), statements).await?;
        Ok(database)
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Deletes the database, even while connections to it are open.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn remove(self) -> Result<(), Error> {
        administer(&self.server, &[&format!("drop database if exists {} with (force)", self.name)]).await
    }
}

async fn administer(server: &str, statements: &[&str]) -> Result<(), Error> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    let connection = tokio::spawn(connection);
    for statement in statements {
        client.batch_execute(statement).await?;
    }
    drop(client);
    Ok(connection.await??)
}
