//! The store: everything begins here.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use chatstore_model::{Day, Timestamp, UsageGroup, UsageGrouping, UserId};
use chatstore_sql::migrate::{DatabaseError, DatabaseErrorKind};
use chatstore_sql::{
    ConnectError, Database, DatabaseKind, Direction, MigrationError, MigrationSummary, Migrations, ReadTx,
    StandbyReads, StoreError, UnsupportedEncoding, WriteTx,
};

use crate::cache::Callers;
use crate::changes::{CallerChange, Others};
use crate::error::Result;
use crate::event_queue::EventQueue;
use crate::identity::Identity;
use crate::limit::Limiter;
use crate::measures::Measures;
use crate::principal::Principal;
use crate::shared_cache::{CacheSlot, SharedCache};
use crate::sweeper::Sweeper;
use crate::token::TokenKeys;
use uuid::Uuid;

/// A store. Cheap to clone; the clones share connections and caches.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) callers: Callers,
    pub(crate) others: Others,
    pub(crate) shared: Arc<dyn SharedCache>,
    /// Whether other processes have it too.
    pub(crate) is_shared: bool,
    pub(crate) identity: Identity,
    pub(crate) sweeper: Arc<Sweeper>,
    pub(crate) events: EventQueue,
    pub(crate) document_limit: usize,
    pub(crate) measures: Arc<Measures>,
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database behind a URL: `sqlite://chat.db`, or
    /// `postgresql://user:password@host:port/database`. A SQLite file is created when it does not
    /// exist; its tables are created by [`migrate`](Self::migrate). One process owns it at a time
    /// ([`Builder::file_lock`](crate::Builder::file_lock)).
    ///
    /// # Errors
    /// [`ConnectError`], which says what is wrong with the URL, the file or the server.
    pub async fn connect(url: impl Into<String>) -> std::result::Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// A migrated store in memory, for tests; it ends with its last clone.
    ///
    /// # Errors
    /// [`MigrationError`], when this build is damaged.
    pub async fn memory() -> std::result::Result<Self, MigrationError> {
        let connected = Self::connect("sqlite://:memory:").await;
        let store = connected.map_err(|error| MigrationError::Database {
            doing: "opening a database in memory".to_owned(),
            cause: DatabaseError::new(DatabaseErrorKind::Unavailable, error),
        })?;
        store.migrate().await?;
        Ok(store)
    }

    /// The same store with keys that are known only now that it is open, as
    /// [`Builder::token_keys`](crate::Builder::token_keys) has them.
    #[must_use]
    pub fn with_token_keys(mut self, keys: TokenKeys) -> Self {
        self.identity.keys = Some(keys);
        self
    }

    /// Creates or upgrades the tables; changes nothing when they are up to date. Any number of
    /// processes may do it at once. Each revision is a transaction of its own.
    ///
    /// # Errors
    /// [`MigrationError`]; nothing of the revision that failed was changed then.
    pub async fn migrate(&self) -> std::result::Result<MigrationSummary, MigrationError> {
        self.database.migrate(Direction::Upgrade).await
    }

    /// Everything that can be done with the revisions of the tables: plan, apply, undo, stamp, print.
    ///
    /// # Errors
    /// [`MigrationError`], when this build's revisions are not well-formed.
    pub fn migrations(&self) -> std::result::Result<Migrations<'_>, MigrationError> {
        self.database.migrations()
    }

    /// Who shows this API key, access token or token of an identity provider; `None` when it is none of these, or of no
    /// use any more. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// Of a token of an identity provider: `Forbidden` when no user has the identity, `IdentityProviderUnavailable`.
    /// That the database is unavailable.
    pub async fn authenticate(&self, credential: &str) -> Result<Option<Principal>> {
        if crate::api_key::is_key(credential) {
            return self.keys().verify(credential).await;
        }
        match self.auth().verify(credential).await? {
            Some(principal) => Ok(Some(principal)),
            None => self.auth().verify_provided(credential).await,
        }
    }

    /// What counts requests and failed logins.
    #[must_use]
    pub fn limiter(&self) -> &dyn Limiter {
        self.identity.limiter.as_ref()
    }

    /// Reads with several statements; `name` is for logs and metrics. Nothing is checked for a
    /// user, but every repository wants the owner.
    ///
    /// # Errors
    /// What `work` returns, or that the database is unavailable.
    pub async fn read<T, E, F>(&self, name: &'static str, work: F) -> std::result::Result<T, E>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> std::result::Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.database.read(name, work).await
    }

    /// Does several steps in one transaction: it commits when `work` returns `Ok` and rolls back
    /// otherwise. `work` may run again after a conflict and must wait for nothing but the
    /// transaction.
    ///
    /// The error is of any type into which a [`StoreError`] turns: [`Error`](crate::Error), `StoreError`
    /// itself, or one of the application's own, with which it undoes what was done so far:
    ///
    /// ```
    /// use chatstore::{ConversationFilter, NewConversation, Store, StoreError};
    ///
    /// #[derive(Debug)]
    /// enum PlanError {
    ///     TooMany { allowed: i64 },
    ///     Store(StoreError),
    /// }
    ///
    /// impl From<StoreError> for PlanError {
    ///     fn from(error: StoreError) -> Self {
    ///         Self::Store(error)
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "multi_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Store::memory().await?;
    /// let (ada, _created) = store.users().get_or_create_by_email("ada@example.org").await?;
    /// let allowed = 0;
    /// let created = store
    ///     .write("create_within_plan", async move |tx| {
    ///         tx.conversations().create(ada.id, &NewConversation::titled("Trip")).await?;
    ///         match tx.conversations().count(ada.id, &ConversationFilter::EVERYTHING).await? {
    ///             count if count > allowed => Err(PlanError::TooMany { allowed }),
    ///             count => Ok(count),
    ///         }
    ///     })
    ///     .await;
    /// assert!(matches!(created, Err(PlanError::TooMany { allowed: 0 })));
    /// assert_eq!(store.operations().counts().await?.conversations, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `work` returns, or what the commit reports.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> std::result::Result<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> std::result::Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.database.write(name, work).await
    }

    /// Usage of one user, or of all, from one day to another, both included, added up. Nothing
    /// here is checked: it is for the application itself.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn usage(
        &self,
        user: Option<UserId>,
        from: Day,
        to: Day,
        grouping: UsageGrouping,
    ) -> Result<Vec<UsageGroup>> {
        Ok(self
            .database
            .read_long("usage", async move |tx| tx.usage().grouped(user, from, to, grouping).await)
            .await?)
    }

    /// Whether the database answers, and takes writes where that can be asked.
    ///
    /// # Errors
    /// `ReadOnly`; else why it does not answer.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.database.ping().await?)
    }

    /// Fails when the encoding of the database cannot hold every text. [`migrate`](Self::migrate) refuses such a
    /// database as well.
    ///
    /// # Errors
    /// [`UnsupportedEncoding`].
    pub fn check_encoding(&self) -> std::result::Result<(), UnsupportedEncoding> {
        self.database.check_encoding()
    }

    /// What reads have done with standbys so far; `None` when there are none.
    #[must_use]
    pub fn standby_reads(&self) -> Option<StandbyReads> {
        self.database.standby_reads()
    }

    /// Which database system it is.
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        self.database.kind()
    }

    /// Where the database lies: file, or host, port and name.
    #[must_use]
    pub fn place(&self) -> &str {
        self.database.place()
    }

    /// The file of a SQLite database; `None` for one in memory and for PostgreSQL.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.database.file()
    }

    /// Whether the connection to a PostgreSQL server is encrypted, by the one that was opened last; `None` for SQLite.
    #[must_use]
    pub fn is_encrypted(&self) -> Option<bool> {
        self.database.is_encrypted()
    }

    /// To be called after the commit of what changes who callers are: forgets it here at once, and tells the others.
    pub(crate) async fn changed(&self, change: CallerChange) {
        self.callers.forget(change);
        if self.is_shared {
            // What could not be removed is not found any more, either.
            let _ = match change {
                CallerChange::Session(user, _) => {
                    self.shared.remove(&CacheSlot::session(user, Uuid::nil())).await.map(drop)
                }
                CallerChange::Everything => self.shared.remove_all().await,
            };
            // What was read from there before it was removed.
            self.callers.forget(change);
        }
        self.others.tell(change).await;
    }

    /// What several processes remember together.
    #[must_use]
    pub fn shared_cache(&self) -> &dyn SharedCache {
        self.shared.as_ref()
    }

    /// The present instant by the store's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.database.clock().now()
    }

    /// A new random text for people and logs, like a request's id.
    #[must_use]
    pub fn new_request_id(&self) -> String {
        self.database.ids().uuid(self.now()).to_string()
    }

    /// The model that answers when nothing else says which.
    #[must_use]
    pub fn default_model(&self) -> &str {
        self.database.default_model()
    }

    /// Maximum bytes of a document's content as JSON.
    #[must_use]
    pub const fn document_limit(&self) -> usize {
        self.document_limit
    }

    /// Finishes the writes that are queued, then closes the database. A deletion in pieces goes on with the next sweep.
    /// Events that wait are stored, as far as that takes no more than 2 seconds.
    pub async fn close(&self) {
        self.events.flush(&self.database).await;
        self.others.stop();
        self.database.close().await;
    }
}
