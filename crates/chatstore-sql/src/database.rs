//! The database: opened from a URL, read and written through closures.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};

use chatstore_model::{Clock, IdSource, UserId};

use crate::context::Context;
use crate::db::Sql;
#[cfg(feature = "postgres")]
use crate::db::postgres::{Notifications, Standbys};
use crate::error::{ConnectError, StoreError, UnsupportedEncoding};
use crate::measures::{DatabaseMeasures, Measures};
use crate::options::{DatabaseKind, DatabaseOptions};
#[cfg(feature = "postgres")]
use crate::options::{machine_random, server_of, standby_servers};
use crate::repo;
use crate::tx::{ReadTx, WriteTx};
#[cfg(feature = "postgres")]
use crate::url::PostgresTarget;
use crate::url::Target;

/// The standbys, looked after from now on; `None` when there are none.
#[cfg(feature = "postgres")]
fn watched_standbys(
    backend: &Backend,
    servers: Vec<PostgresTarget>,
    pool: usize,
    context: &Arc<Context>,
) -> Option<Arc<Standbys>> {
    let primary = match backend {
        Backend::Postgres(primary) if !servers.is_empty() => Arc::downgrade(primary),
        _ => return None,
    };
    let standbys = Arc::new(Standbys::new(servers, pool, context, machine_random));
    tokio::spawn(Standbys::watch(Arc::downgrade(&standbys), primary));
    Some(standbys)
}

async fn find_anonymous(tx: &mut ReadTx<'_>) -> Result<(), StoreError> {
    tx.users().get(UserId::ANONYMOUS).await.map(drop)
}

/// A database. Cheap to clone; the clones share connections.
///
/// There is no begin and commit: a transaction left open would hold SQLite's only writer, and the
/// pool's connection, for as long as its holder thinks.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

/// A database that is open as long as others use it: for work that must not keep it open.
#[derive(Clone)]
pub struct WeakDatabase(Weak<Inner>);

impl WeakDatabase {
    /// The database, while it is in use.
    #[must_use]
    pub fn upgrade(&self) -> Option<Database> {
        self.0.upgrade().map(Database)
    }
}

impl fmt::Debug for WeakDatabase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WeakDatabase")
    }
}

struct Inner {
    backend: Backend,
    #[cfg(feature = "postgres")]
    standbys: Option<Arc<Standbys>>,
    context: Arc<Context>,
    place: String,
}

pub(crate) enum Backend {
    #[cfg(feature = "sqlite")]
    Sqlite(Box<crate::db::sqlite::SqliteDatabase>),
    #[cfg(feature = "postgres")]
    Postgres(Arc<crate::db::postgres::PostgresDatabase>),
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Database").field("place", &self.0.place).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens a database; creates the SQLite file when it does not exist. Must be called inside a
    /// Tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`], which says what was wrong and what would be right.
    pub async fn open(options: DatabaseOptions) -> Result<Self, ConnectError> {
        let context = Arc::new(Context::new(
            options.clock,
            options.ids,
            options.default_model,
            options.rows_at_once.into(),
            Measures::new(repo::statements().iter().map(Sql::name), options.slow_statement),
        ));
        let target = Target::parse(&options.url)?;
        #[cfg(feature = "postgres")]
        let standby_servers = standby_servers(&target, &options.standby_urls)?;
        let (backend, place) = match target {
            #[cfg(feature = "sqlite")]
            Target::Sqlite(path) => {
                let place =
                    path.as_ref().map_or_else(|| "memory".to_owned(), |path| path.display().to_string());
                let opened =
                    crate::db::sqlite::SqliteDatabase::open(path, options.file_lock, Arc::clone(&context))?;
                (Backend::Sqlite(Box::new(opened)), place)
            }
            #[cfg(feature = "postgres")]
            Target::Postgres(server) => {
                let place = server.place.clone();
                let connected = crate::db::postgres::PostgresDatabase::connect(
                    &server,
                    options.pool.max(1),
                    Arc::clone(&context),
                    machine_random,
                );
                let mut database = connected.await?;
                if let Some(url) = &options.direct_url {
                    database = database.with_direct(&server_of(url)?, machine_random)?;
                }
                (Backend::Postgres(Arc::new(database)), place)
            }
        };
        Ok(Self(Arc::new(Inner {
            #[cfg(feature = "postgres")]
            standbys: watched_standbys(&backend, standby_servers, options.pool.max(1), &context),
            backend,
            context,
            place,
        })))
    }

    /// Runs `work` with a transaction that only reads. Each statement in it sees the data of its
    /// own moment. It may run again: when the connection turns out to be dead; on SQLite when it takes longer
    /// than 2 ms or reads more than 256 KiB, on one of two threads, where it is interrupted when the caller stops waiting;
    /// on PostgreSQL when it reads long messages, of which half as many are read at a time as there are processors.
    ///
    /// # Errors
    /// What `work` returns; [`StoreError::Unavailable`] when no connection could be had; [`StoreError::Overloaded`]
    /// when 64 others wait to run again.
    pub async fn read<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        tracing::trace!(name, "read");
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.read(work).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => Box::pin(database.read(work)).await,
        }
    }

    /// Like [`read`](Self::read), for work whose time grows with what is stored. On PostgreSQL half as many of them as
    /// there are processors run at a time, two at least, and a quarter of the connections at most. SQLite notices them by
    /// itself, whichever way they come.
    ///
    /// # Errors
    /// As `read`; [`StoreError::Overloaded`] when 64 others wait already.
    pub async fn read_long<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        tracing::trace!(name, "read_long");
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.read(work).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => Box::pin(database.read_long(work)).await,
        }
    }

    /// Runs `work` in a transaction: all of its changes are on disk when this returns `Ok`, none
    /// when it returns an error other than [`StoreError::OutcomeUnknown`].
    ///
    /// Any error of `work` undoes everything, one of the caller's own type as well. The error of a statement
    /// does so even when `work` passes over it.
    ///
    /// `work` may run again after a conflict with another transaction, so it should do nothing but
    /// use the transaction. On SQLite it runs on the writing thread and must not wait for anything
    /// else. A caller that stops waiting does not undo a write that was queued.
    ///
    /// # Errors
    /// What `work` returns, or what the commit reports.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        tracing::trace!(name, "write");
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.writer.run(work).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => Box::pin(database.write(false, None, work)).await,
        }
    }

    /// Like [`write`](Self::write), for work that changes something in at most one statement: on
    /// PostgreSQL it then needs neither `begin` nor `commit`, which is a third of an append's time.
    ///
    /// # Errors
    /// As `write`; a second changing statement is refused.
    pub async fn write_single<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        tracing::trace!(name, "write_single");
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.writer.run(work).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => Box::pin(database.write(true, None, work)).await,
        }
    }

    /// The same without keeping it open.
    #[must_use]
    pub fn downgrade(&self) -> WeakDatabase {
        WeakDatabase(Arc::downgrade(&self.0))
    }

    /// What others tell on a channel from now on, on a connection of its own. `None` on SQLite, and behind a pooler that
    /// gives each transaction another session where the server itself is not named.
    #[cfg(feature = "postgres")]
    pub async fn listen(&self, channel: &str) -> Option<Result<Notifications, StoreError>> {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(_) => None,
            Backend::Postgres(database) => database.listen(channel).await,
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.0.backend
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn standbys(&self) -> Option<&Standbys> {
        self.0.standbys.as_deref()
    }

    /// Which system it is.
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(_) => DatabaseKind::Sqlite,
            #[cfg(feature = "postgres")]
            Backend::Postgres(_) => DatabaseKind::Postgres,
        }
    }

    /// Where it lies: file, or host, port and name; never a password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// The file of a SQLite database; `None` for one in memory and for PostgreSQL.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.path(),
            #[cfg(feature = "postgres")]
            Backend::Postgres(_) => None,
        }
    }

    /// Whether the connection to the server is encrypted, by the one that was opened last; `None` for SQLite.
    #[must_use]
    pub fn is_encrypted(&self) -> Option<bool> {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(_) => None,
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => Some(database.is_encrypted()),
        }
    }

    /// Whether a SQLite file looked like a copy of one in use, without the write-ahead log (`-wal`) that has its newest
    /// rows, when it was opened. A file copied by a tool that knows SQLite looks so too, and is complete. The next clean
    /// close by an owner ends it.
    #[must_use]
    pub fn may_lack_rows(&self) -> bool {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.may_lack_rows(),
            #[cfg(feature = "postgres")]
            Backend::Postgres(_) => false,
        }
    }

    /// Statements sent so far.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.0.context.statements()
    }

    /// What it has done since it was opened; asks neither database nor disk for more than the size of a file.
    #[must_use]
    pub fn measures(&self) -> DatabaseMeasures {
        let (connections, sqlite) = match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => (database.connection_measures(), Some(database.measures())),
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => (Some(database.connection_measures()), None),
        };
        self.0.context.measures.read(connections, sqlite)
    }

    /// The clock it was opened with.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.context.clock)
    }

    /// The source of ids it was opened with.
    #[must_use]
    pub fn ids(&self) -> Arc<dyn IdSource> {
        Arc::clone(&self.0.context.ids)
    }

    /// The default model it was opened with.
    #[must_use]
    pub fn default_model(&self) -> &str {
        &self.0.context.default_model
    }

    /// Fails when the encoding of the database cannot hold every text: nothing may be written there. Only a
    /// PostgreSQL database may have such an encoding.
    ///
    /// # Errors
    /// [`UnsupportedEncoding`].
    pub fn check_encoding(&self) -> Result<(), UnsupportedEncoding> {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => UnsupportedEncoding::check(database.encoding()),
        }
    }

    /// Whether the database answers, and takes writes where that can be asked.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when PostgreSQL takes no writes; else why it does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.read(find_anonymous).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => {
                database.read(find_anonymous).await?;
                if database.read(async |tx| tx.statistics().takes_writes().await).await? {
                    return Ok(());
                }
                database.renew();
                Err(StoreError::ReadOnly(crate::error::Cause::new("ping: its transactions are read-only")))
            }
        }
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// When the file or the server cannot be asked.
    pub async fn size_bytes(&self) -> Result<u64, StoreError> {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.size_bytes(),
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => {
                let size = database.read(async |tx| tx.statistics().postgres_size().await).await?;
                Ok(u64::try_from(size).unwrap_or(0))
            }
        }
    }

    /// Reads all of a SQLite file and looks for damage: with the indexes up to 64 MiB, otherwise without. It has a
    /// thread of its own at the lowest priority, which after a second works half of the time. A caller that stops
    /// waiting ends it. PostgreSQL does nothing here.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if there is damage: it is logged once, and everything is refused with the same error
    /// from then on. That the file is not available.
    pub async fn check_file(&self) -> Result<(), StoreError> {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.check_file().await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// Leaves nothing of deleted rows in SQLite's write-ahead log: moves it into the file, where deleted content is
    /// overwritten, and empties it. To be called after an erasure has committed. PostgreSQL does so by itself.
    ///
    /// # Errors
    /// [`StoreError::Timeout`], if reads kept it from being emptied for 5 seconds; it is then done as soon as they
    /// end. That the file is not available.
    pub async fn empty_log(&self) -> Result<(), StoreError> {
        match &self.0.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => database.empty_log().await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// Finishes the writes that are queued, then closes every connection.
    pub async fn close(&self) {
        #[cfg(feature = "postgres")]
        if let Some(standbys) = &self.0.standbys {
            standbys.close().await;
        }
        on_either!(Backend: &self.0.backend, database => database.close().await);
    }
}
