//! Settings: flags over environment over `.env` over defaults.

use std::fmt;

use chatstore::{DatabaseKind, Store};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::failure::{Failure, code};

const DEFAULT_URL: &str = "sqlite://chatstore.db";

/// Which database, for every command.
#[derive(Args)]
pub(crate) struct DatabaseSettings {
    /// The database: sqlite://PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME
    /// [default: from POSTGRES_USER and its kin when set, else sqlite://chatstore.db]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true, value_name = "URL")]
    database_url: Option<String>,
    #[arg(env = "POSTGRES_USER", long, hide = true, hide_env_values = true, global = true)]
    postgres_user: Option<String>,
    #[arg(env = "POSTGRES_PASSWORD", long, hide = true, hide_env_values = true, global = true)]
    postgres_password: Option<String>,
    #[arg(env = "POSTGRES_DB", long, hide = true, global = true)]
    postgres_db: Option<String>,
    #[arg(env = "POSTGRES_HOST", long, hide = true, global = true, default_value = "localhost")]
    postgres_host: String,
    #[arg(env = "POSTGRES_PORT", long, hide = true, global = true, default_value_t = 5432)]
    postgres_port: u16,
    /// The model that answers when neither message nor conversation names one
    #[arg(
        long,
        env = "CHATSTORE_DEFAULT_MODEL",
        global = true,
        value_name = "MODEL",
        default_value = "echo"
    )]
    default_model: String,
}

impl fmt::Debug for DatabaseSettings {
    /// Without URL and password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DatabaseSettings")
            .field("default_model", &self.default_model)
            .finish_non_exhaustive()
    }
}

impl DatabaseSettings {
    /// These settings with another database.
    pub(crate) fn with_url(&self, url: String) -> Self {
        Self {
            database_url: Some(url),
            postgres_user: None,
            postgres_password: None,
            postgres_db: None,
            postgres_host: self.postgres_host.clone(),
            postgres_port: self.postgres_port,
            default_model: self.default_model.clone(),
        }
    }

    /// Whether a database was named, rather than left to the default.
    pub(crate) const fn is_named(&self) -> bool {
        self.database_url.is_some() || self.postgres_user.is_some()
    }

    fn url(&self) -> String {
        if let Some(url) = &self.database_url {
            return url.clone();
        }
        let Some(user) = &self.postgres_user else { return DEFAULT_URL.to_owned() };
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let password = self.postgres_password.as_deref().map(|password| format!(":{}", encode(password)));
        let database = self.postgres_db.as_ref().unwrap_or(user);
        format!(
            "postgresql://{}{}@{}:{}/{}",
            encode(user),
            password.unwrap_or_default(),
            self.postgres_host,
            self.postgres_port,
            encode(database)
        )
    }

    /// Opens the database as it is.
    pub(crate) async fn open(&self) -> Result<Store, Failure> {
        Ok(Store::builder(self.url()).default_model(self.default_model.as_str()).connect().await?)
    }

    /// Opens a database that must be there already, with its tables up to date.
    pub(crate) async fn open_existing(&self) -> Result<Store, Failure> {
        let url = self.url();
        if let Some(file) = url.strip_prefix("sqlite://")
            && file != ":memory:"
            && !std::path::Path::new(file).exists()
            && std::path::Path::new(file).parent() != Some(std::path::Path::new("/"))
        {
            return Err(Failure::new(code::NO_INPUT, format!("there is no database {file}"))
                .hint("`chatstore migrate upgrade` makes one"));
        }
        self.open_ready().await
    }

    /// Opens the database with its tables up to date: a SQLite file is upgraded on the way, a
    /// PostgreSQL server only by `chatstore migrate upgrade`, because others may be using it.
    pub(crate) async fn open_ready(&self) -> Result<Store, Failure> {
        let store = self.open().await?;
        make_ready(&store).await?;
        Ok(store)
    }
}

/// Brings the tables up to date, or says that they are not.
pub(crate) async fn make_ready(store: &Store) -> Result<(), Failure> {
    match store.kind() {
        DatabaseKind::Sqlite => {
            store.migrate().await?;
        }
        DatabaseKind::Postgres => {
            let status = store.migration_status().await?;
            if let Some(pending) = status.pending.first() {
                let message = format!(
                    "the database at {} lacks the revision {} ({})",
                    store.place(),
                    pending.id,
                    pending.slug
                );
                return Err(
                    Failure::new(code::CONFIGURATION, message).hint("run `chatstore migrate upgrade` first")
                );
            }
        }
    }
    Ok(())
}

/// Takes what `.env` in the working directory or above it says, where the environment says nothing.
pub(crate) fn read_env_file() -> Result<(), Failure> {
    match dotenvy::dotenv() {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::Io(error)) => {
            Err(Failure::new(code::CONFIGURATION, format!("cannot read .env: {error}")))
        }
        // The driver's words would repeat the line, which may hold a password.
        Err(_) => Err(Failure::new(
            code::CONFIGURATION,
            "cannot read .env: a line of it has not the form KEY=value",
        )
        .hint("put values with blanks or special characters in single quotes")),
    }
}
