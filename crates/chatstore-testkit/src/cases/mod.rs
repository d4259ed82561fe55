//! One database per case, on either database system, with a clock and ids that a test controls.

mod sources;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chatstore_sql::{Database, DatabaseOptions, Direction};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

use crate::server::database_url;

pub use sources::{SeededIds, TestClock};

/// Where the PostgreSQL server of the tests is; `cargo xtask test` starts one and sets it.
pub const POSTGRES_URL: &str = "CHATSTORE_TEST_POSTGRES_URL";

/// The port of the pooler in front of that server through which cases reach it; `cargo xtask test --pooler` sets it.
const POOLER_PORT: &str = "CHATSTORE_TEST_POOLER_PORT";

/// Where the Redis of the tests is; `cargo xtask test` starts one and sets it. Cases share it, each with a prefix of its
/// own.
pub const REDIS_URL: &str = "CHATSTORE_TEST_REDIS_URL";

/// Held while the template is created; any number that nothing else locks.
const TEMPLATE_LOCK: i64 = 4_071_952_113;

static SQLITE_TEMPLATE: OnceCell<tempfile::TempDir> = OnceCell::const_new();
static POSTGRES_TEMPLATE: OnceCell<String> = OnceCell::const_new();
static CASES: AtomicU32 = AtomicU32::new(0);

/// Which database system a case runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file of its own.
    Sqlite,
    /// A database of its own on the server of the tests.
    Postgres,
}

/// A migrated, empty database that ends with the case.
#[derive(Debug)]
pub struct TestDatabase {
    /// The database.
    pub database: Database,
    /// Its clock: stands still until the case moves it.
    pub clock: Arc<TestClock>,
    /// The URL by which other processes reach it.
    pub url: String,
    /// That of the server itself, if `url` is that of a pooler.
    pub direct_url: Option<String>,
    _end: End,
}

/// An empty database that chatstore knows nothing of, for the tables of another application. Ends with the case; a
/// file is not there yet.
#[derive(Debug)]
pub struct ExternalDatabase {
    /// The URL by which other processes reach it.
    pub url: String,
    end: End,
}

#[derive(Debug)]
enum End {
    Sqlite(#[expect(dead_code, reason = "dropped with the case")] tempfile::TempDir),
    Postgres { server: String, name: String },
}

impl Backend {
    /// A fresh database for one case.
    ///
    /// # Panics
    /// When there is no server, no room or no permission: a case that cannot run fails by name.
    pub async fn database(self) -> TestDatabase {
        let (url, direct_url, end) = self.place().await;
        let clock = Arc::new(TestClock::default());
        let options = DatabaseOptions {
            clock: Arc::<TestClock>::clone(&clock),
            ids: Arc::new(SeededIds::default()),
            direct_url: direct_url.clone(),
            ..DatabaseOptions::new(url.clone())
        };
        let database = Database::open(options).await.expect("the case's database opens");
        TestDatabase { database, clock, url, direct_url, _end: end }
    }

    /// A database without any table for one case.
    ///
    /// # Panics
    /// As [`Backend::database`].
    pub async fn external_database(self) -> ExternalDatabase {
        match self {
            Self::Sqlite => ExternalDatabase::in_file(),
            Self::Postgres => ExternalDatabase::on_server(None).await,
        }
    }

    async fn place(self) -> (String, Option<String>, End) {
        let number = CASES.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Sqlite => {
                let template = SQLITE_TEMPLATE.get_or_init(sqlite_template).await;
                let folder = tempfile::tempdir().expect("a temporary folder");
                let file: PathBuf = folder.path().join("case.db");
                std::fs::copy(template.path().join("template.db"), &file).expect("a copy of the template");
                (format!("sqlite://{}", file.display()), None, End::Sqlite(folder))
            }
            Self::Postgres => {
                let server = server_url();
                let template = POSTGRES_TEMPLATE.get_or_init(|| postgres_template(server.clone())).await;
                let name = format!("case_{}_{number}", std::process::id());
                let create = format!("create database {name} template {template}");
                administer(&server, &[&create]).await;
                let url = database_url(&server, &name);
                let end = End::Postgres { server, name };
                match through_pooler(&url) {
                    Some(pooled) => (pooled, Some(url), end),
                    None => (url, None, end),
                }
            }
        }
    }
}

impl TestDatabase {
    /// The URL of the server itself, also where cases go through a pooler.
    #[must_use]
    pub fn server_url(&self) -> &str {
        self.direct_url.as_ref().unwrap_or(&self.url)
    }
}

impl ExternalDatabase {
    /// Another with the same in it. No connection to this one may be open.
    ///
    /// # Panics
    /// As [`Backend::database`].
    pub async fn copy(&self) -> Self {
        match &self.end {
            End::Sqlite(_) => {
                let copy = Self::in_file();
                let [from, to] =
                    [&self.url, &copy.url].map(|url| url.trim_start_matches("sqlite://").to_owned());
                std::fs::copy(from, to).expect("a copy of the file");
                copy
            }
            End::Postgres { name, .. } => Self::on_server(Some(name)).await,
        }
    }

    /// Runs statements one after the other, as `sqlite3` and `pg_dump` write them for a whole database.
    ///
    /// # Panics
    /// When one fails.
    pub async fn run_script(&self, script: &str) {
        match &self.end {
            End::Sqlite(_) => {
                let file = self.url.trim_start_matches("sqlite://");
                let connection = rusqlite::Connection::open(file).expect("the file opens");
                // Tables come in the order of their names.
                connection.execute_batch("pragma foreign_keys = off").expect("a pragma");
                connection.execute_batch(script).expect("the script runs");
            }
            End::Postgres { .. } => administer(&self.url, &[script]).await,
        }
    }

    fn in_file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file: PathBuf = folder.path().join("foreign.db");
        Self { url: format!("sqlite://{}", file.display()), end: End::Sqlite(folder) }
    }

    async fn on_server(template: Option<&str>) -> Self {
        let server = server_url();
        let name = format!("foreign_{}_{}", std::process::id(), CASES.fetch_add(1, Ordering::Relaxed));
        let (client, connection) =
            tokio_postgres::connect(&server, NoTls).await.expect("the server of the tests answers");
        let connection = tokio::spawn(connection);
        let mut create = format!("create database {name}");
        if let Some(template) = template {
            wait_until_unused(&client, template).await;
            create = format!("{create} template {template}");
        }
        client.batch_execute(&create).await.unwrap_or_else(|error| panic!("{create}: {error:?}"));
        drop(client);
        connection.await.expect("no panic").expect("the connection ends well");
        let url = database_url(&server, &name);
        Self { url, end: End::Postgres { server, name } }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let Self::Postgres { server, name } = self else { return };
        let (server, drop_database) =
            (std::mem::take(server), format!("drop database if exists {name} with (force)"));
        // A runtime of its own: the case's may be the one that is being shut down.
        let done = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(administer(&server, &[&drop_database]));
        });
        if done.join().is_err() {
            eprintln!("the database {name} was left behind");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the test command passes the server's address by environment")]
fn server_url() -> String {
    std::env::var(POSTGRES_URL).unwrap_or_else(|_| {
        panic!("no PostgreSQL to test against: run `cargo xtask test`, or set {POSTGRES_URL}")
    })
}

/// The URL by way of the pooler, if the cases are to go through one.
#[expect(clippy::disallowed_methods, reason = "the test command passes the pooler's port by environment")]
fn through_pooler(url: &str) -> Option<String> {
    let port = std::env::var(POOLER_PORT).ok()?;
    let (server, name) = url.rsplit_once('/').expect("the URL names a database");
    let (host, _) = server.rsplit_once(':').expect("the URL names a port");
    Some(format!("{host}:{port}/{name}?prepared_statements=off"))
}

/// The address of the Redis of the tests.
///
/// # Panics
/// When there is none: a case that cannot run fails by name.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the test command passes the server's address by environment")]
pub fn redis_url() -> String {
    std::env::var(REDIS_URL)
        .unwrap_or_else(|_| panic!("no Redis to test against: run `cargo xtask test`, or set {REDIS_URL}"))
}

async fn sqlite_template() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("template.db").display());
    let database = Database::open(DatabaseOptions::new(url)).await.expect("the template opens");
    database.migrate(Direction::Upgrade).await.expect("the template migrates");
    database.close().await;
    folder
}

/// Creates the template of this process. A lock lets one process after the other do it, because
/// PostgreSQL refuses to copy a database with open connections.
async fn postgres_template(server: String) -> String {
    let name = format!("template_{}", std::process::id());
    let (client, connection) =
        tokio_postgres::connect(&server, NoTls).await.expect("the server of the tests answers");
    let connection = tokio::spawn(connection);
    client.execute("select pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.expect("the template's lock");
    for statement in [format!("drop database if exists {name}"), format!("create database {name}")] {
        client.batch_execute(&statement).await.expect("the template is created");
    }
    let options = DatabaseOptions { pool: 1, ..DatabaseOptions::new(database_url(&server, &name)) };
    let database = Database::open(options).await.expect("the template opens");
    database.migrate(Direction::Upgrade).await.expect("the template migrates");
    database.close().await;
    wait_until_unused(&client, &name).await;
    drop(client);
    connection.await.expect("no panic").expect("the connection ends well");
    name
}

/// Closing a pool does not wait for the server to notice.
async fn wait_until_unused(client: &tokio_postgres::Client, name: &str) {
    loop {
        let row = client
            .query_one("select count(*) from pg_stat_activity where datname = $1", &[&name])
            .await
            .expect("the server lists its connections");
        if row.get::<_, i64>(0) == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn administer(server: &str, statements: &[&str]) {
    let (client, connection) =
        tokio_postgres::connect(server, NoTls).await.expect("the server of the tests answers");
    let connection = tokio::spawn(connection);
    for statement in statements {
        client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    drop(client);
    connection.await.expect("no panic").expect("the connection ends well");
}

/// Generates two named tests of each case, one per database system.
///
/// A case is an `async fn(TestDatabase)`; `conformance!(a, b)` generates `a::sqlite`, `a::postgres`,
/// `b::sqlite` and `b::postgres`.
#[macro_export]
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {$(
        mod $case {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$case($crate::Backend::Sqlite.database().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$case($crate::Backend::Postgres.database().await).await;
            }
        }
    )*};
}
