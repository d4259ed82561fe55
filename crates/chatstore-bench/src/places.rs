//! Where the databases of a run are: files in a temporary folder, databases on a given server.

use std::fs;
use std::path::{Path, PathBuf};

use chatstore_sql::DatabaseKind;
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::Failure;
use crate::data::load;

/// A filled SQLite file that is copied for whoever changes it, so that all begin alike.
#[derive(Debug)]
pub(crate) struct SqlitePlace {
    folder: TempDir,
}

impl SqlitePlace {
    /// Makes and fills the original, in a temporary folder within `parent`.
    pub(crate) async fn fill(parent: &Path, statements: Vec<String>) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("chatstore-bench-").tempdir_in(parent)?;
        let place = Self { folder };
        load::migrate(&url(&place.original())).await?;
        let path = place.original();
        tokio::task::spawn_blocking(move || load::fill_sqlite(&path, &statements)).await??;
        Ok(place)
    }

    /// The file itself, for those who only read.
    pub(crate) fn original(&self) -> PathBuf {
        self.folder.path().join("original.db")
    }

    /// A copy that is on disk already, so that writing it out disturbs nobody.
    pub(crate) fn copy(&self) -> Result<Copy, Failure> {
        let folder = tempfile::Builder::new().prefix("copy-").tempdir_in(self.folder.path())?;
        let path = folder.path().join("copy.db");
        fs::copy(self.original(), &path)?;
        fs::File::open(&path)?.sync_all()?;
        Ok(Copy { path, _folder: folder })
    }
}

/// A copy of a filled file; gone when dropped.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
    _folder: TempDir,
}

impl Copy {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn url(&self) -> String {
        url(&self.path)
    }
}

/// The URL of a SQLite file.
pub(crate) fn url(path: &Path) -> String {
    format!("{}://{}", DatabaseKind::Sqlite.as_str(), path.display())
}

/// A database of this run on the PostgreSQL server.
#[derive(Debug)]
pub(crate) struct PostgresPlace {
    server: String,
    name: String,
    url: String,
}

impl PostgresPlace {
    /// Makes an empty database; `purpose` becomes part of its name.
    pub(crate) async fn create(server: &str, purpose: &str) -> Result<Self, Failure> {
        let name = format!("chatstore_bench_{purpose}_{}", std::process::id());
        let create = format!("create database {name}");
        administer(server, &[&format!("drop database if exists {name}"), &create]).await?;
        let url = with_database(server, &name);
        Ok(Self { server: server.to_owned(), name, url })
    }

    /// Makes a migrated database and fills it.
    pub(crate) async fn fill(server: &str, purpose: &str, statements: &[String]) -> Result<Self, Failure> {
        let place = Self::create(server, purpose).await?;
        load::migrate(place.url()).await?;
        load::fill_postgres(place.url(), statements).await?;
        Ok(place)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Deletes the database, whoever is still connected to it.
    pub(crate) async fn remove(self) -> Result<(), Failure> {
        administer(&self.server, &[&format!("drop database if exists {} with (force)", self.name)]).await
    }
}

async fn administer(server: &str, statements: &[&str]) -> Result<(), Failure> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    let connection = tokio::spawn(connection);
    for statement in statements {
        client.batch_execute(statement).await?;
    }
    drop(client);
    Ok(connection.await??)
}

/// The server's URL with another database's name.
fn with_database(server: &str, name: &str) -> String {
    let (rest, parameters) = server.split_once('?').unwrap_or((server, ""));
    let host = rest.rsplit_once('/').map_or(rest, |(host, _)| host);
    let parameters = if parameters.is_empty() { String::new() } else { format!("?{parameters}") };
    format!("{host}/{name}{parameters}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn a_url_keeps_everything_but_the_database() {
        let server = "postgresql://ada:secret@localhost:5432/postgres?connect_timeout=3";
        let url = with_database(server, "bench");
        assert_eq!(url, "postgresql://ada:secret@localhost:5432/bench?connect_timeout=3");
    }
}
